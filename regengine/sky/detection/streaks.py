"""The streaks of one photo, in the pixels of the picture as stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detectors.masks import blank_parts
from detectors.registry import streak_detectors
from detectors.types import BoolImage, StreakDetections, StreakDetector
from regengine.photo.image import LinearLight
from regengine.sky.detection.detect import (
    PhotoDetections,
    chosen_detector,
    detect_in_photo,
    significant,
)
from regengine.sky.detection.stars import not_sky

BEST_METHOD = "radon"  # of `python -m benchmarks streaks`
# Twelve megapixels: the Station's cameras at their full 4256 px, and most frames of telescopes.
# Streaks are as thin as stars, and averaging would blur their ends
DETECTION_SIDE_PX = 4300
ENDS = ("x1", "y1", "x2", "y2")
CSV_COLUMNS = (
    *(*ENDS, "snr", "width_px", "log10_false_alarm", "kind"),
    *("length_px", "flux", "bow_px", "sigma_end_px", "sigma_line_px", "flags"),
)


def streak_detector(name: str | None = None) -> StreakDetector:
    """The streak detector of that name; the best one for None.

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    return chosen_detector(streak_detectors(), name, best=BEST_METHOD, what="streaks")


def detect_photo_streaks(
    path: Path,
    detector: StreakDetector | None = None,
    *,
    max_long_side_px: int = DETECTION_SIDE_PX,
    sky_only: bool = True,
) -> PhotoDetections[StreakDetections]:
    """Read a photo and find its streaks.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF, FITS or raw file.
    detector : StreakDetector, optional
        The method; the best one if not given.
    max_long_side_px : int, optional
        Larger photos are averaged down to this before streaks are sought.
    sky_only : bool, optional
        Leave out captions, black bars and, where the Earth's limb is seen, what lies below it.

    Returns
    -------
    PhotoDetections

    Raises
    ------
    FrameError
        If the file is no readable image.
    """
    return detect_in_photo(
        path,
        streak_detector() if detector is None else detector,
        max_long_side_px=max_long_side_px,
        hidden=no_streaks_in if sky_only else None,
    )


def no_streaks_in(picture: LinearLight) -> BoolImage:
    """What is no sky, and black bars, whose straight edges look like streaks.

    Parameters
    ----------
    picture : LinearLight

    Returns
    -------
    ndarray of bool
        Of the shape of ``picture.light``.
    """
    hidden = not_sky(picture)
    if picture.full_scale == 1.0:  # black of FITS images has no level, and their gaps are known
        hidden = hidden | blank_parts(picture.light)
    return hidden


def streak_records(streaks: StreakDetections, *, profiles: bool = False) -> list[dict[str, Any]]:
    """Plain values of each streak, the surest first, rounded to what they are worth."""
    lengths = streaks.length_px
    records: list[dict[str, Any]] = []
    for i in range(len(streaks)):
        record: dict[str, Any] = {
            **{name: round(float(getattr(streaks, name)[i]), 2) for name in ENDS},
            "snr": significant(streaks.snr[i], 4),
            "width_px": significant(streaks.width_px[i], 3),
            "log10_false_alarm": significant(streaks.log10_false_alarm[i], 4),
            "kind": str(streaks.kind[i]),
            "length_px": round(float(lengths[i]), 1),
            "flux": significant(streaks.flux[i], 5),
            "bow_px": round(float(streaks.bow_px[i]), 2),
            "sigma_end_px": significant(streaks.sigma_end_px[i], 3),
            "sigma_line_px": significant(streaks.sigma_line_px[i], 3),
            "flags": list(streaks.flag_names(i)),
        }
        if profiles:
            record["profile"] = [significant(value, 4) for value in streaks.profiles[i]]
        records.append(record)
    return records
