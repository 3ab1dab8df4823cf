"""The streaks of one photo, in the pixels of the picture as stored."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.foreground import blank_parts
from detectors.registry import streak_detectors
from detectors.streak_types import StreakDetections, StreakDetector
from regengine.detector_choice import chosen_detector
from regengine.frame_id import frame_id_of
from regengine.image import LinearLight, read_linear_light
from regengine.photo_stars import not_sky
from regengine.stored_pixels import in_stored_pixels

BEST_METHOD = "radon"  # of `python -m benchmarks streaks`
# Twelve megapixels: the Station's cameras at their full 4256 px, and most frames of telescopes.
# Streaks are as thin as stars, and averaging would blur their ends
DETECTION_SIDE_PX = 4300
ENDS = ("x1", "y1", "x2", "y2")
CSV_COLUMNS = (
    *(*ENDS, "snr", "width_px", "log10_false_alarm", "kind"),
    *("length_px", "flux", "bow_px", "sigma_end_px", "sigma_line_px", "flags"),
)


@dataclass(frozen=True, kw_only=True)
class PhotoStreaks:
    """What one method found in one photo.

    Attributes
    ----------
    path : Path
        The photo.
    frame : str
        Its frame id.
    method : str
        Name of the detector.
    streaks : StreakDetections
        In pixels of the picture as stored.
    width_px, height_px : int
        Of the picture as stored.
    seconds : float
        Time of the detection, without reading the file.
    """

    path: Path
    frame: str
    method: str
    streaks: StreakDetections
    width_px: int
    height_px: int
    seconds: float


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
) -> PhotoStreaks:
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
    PhotoStreaks

    Raises
    ------
    FrameError
        If the file is no readable image.
    """
    method = streak_detector() if detector is None else detector
    picture = read_linear_light(path, max_long_side_px=max_long_side_px)
    started = time.perf_counter()
    streaks = detect_streaks(picture, method, mask=no_streaks_in(picture) if sky_only else None)
    height, width = picture.light.shape
    return PhotoStreaks(
        path=path,
        frame=frame_id_of(path),
        method=method.name,
        streaks=streaks,
        width_px=round(width / picture.factor),
        height_px=round(height / picture.factor),
        seconds=time.perf_counter() - started,
    )


def no_streaks_in(picture: LinearLight) -> NDArray[np.bool_]:
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


def detect_streaks(
    picture: LinearLight,
    detector: StreakDetector | None = None,
    *,
    mask: NDArray[np.bool_] | None = None,
) -> StreakDetections:
    """Find the streaks of a picture that was read.

    Parameters
    ----------
    picture : LinearLight
        As `read_linear_light` gives it.
    detector : StreakDetector, optional
        The method; the best one if not given.
    mask : ndarray of bool, optional
        True where pixels of ``picture.light`` must be ignored (ground, hardware).

    Returns
    -------
    StreakDetections
        In pixels of the picture as stored.
    """
    method = streak_detector() if detector is None else detector
    found = method.detect(picture.light, picture.without(mask), picture.saturated)
    return in_stored_pixels(found, picture.factor, picture.full_scale)


def streak_records(streaks: StreakDetections, *, profiles: bool = False) -> list[dict[str, Any]]:
    """Plain values of each streak, the surest first, rounded to what they are worth.

    Parameters
    ----------
    streaks : StreakDetections
    profiles : bool, optional
        Add the light along each, from the first end to the second.

    Returns
    -------
    list of dict
        None where a value is not known.
    """
    lengths = streaks.length_px
    records: list[dict[str, Any]] = []
    for i in range(len(streaks)):
        record: dict[str, Any] = {
            **{name: round(float(getattr(streaks, name)[i]), 2) for name in ENDS},
            "snr": _rounded(streaks.snr[i], 4),
            "width_px": _rounded(streaks.width_px[i], 3),
            "log10_false_alarm": _rounded(streaks.log10_false_alarm[i], 4),
            "kind": str(streaks.kind[i]),
            "length_px": round(float(lengths[i]), 1),
            "flux": _rounded(streaks.flux[i], 5),
            "bow_px": round(float(streaks.bow_px[i]), 2),
            "sigma_end_px": _rounded(streaks.sigma_end_px[i], 3),
            "sigma_line_px": _rounded(streaks.sigma_line_px[i], 3),
            "flags": list(streaks.flag_names(i)),
        }
        if profiles:
            record["profile"] = [_rounded(value, 4) for value in streaks.profiles[i]]
        records.append(record)
    return records


def _rounded(value: float, digits: int) -> float | None:
    """A number to some digits; None where it is none or endless, which JSON has no word for."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None
