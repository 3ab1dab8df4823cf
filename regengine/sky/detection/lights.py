"""The lights of one photo, in the pixels of the picture as stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detectors.registry import light_detectors
from detectors.types import LightDetections, LightDetector
from regengine.sky.detection.detect import (
    PhotoDetections,
    chosen_detector,
    detect_in_photo,
    place_record,
    sigma_record,
)

BEST_METHOD = "blobs"  # of `python -m benchmarks lights`
# Towns of an 85 mm photo are 2 to 40 pixels large at this size, what the detectors are made for
DETECTION_SIDE_PX = 1500
CSV_COLUMNS = ("x", "y", "flux", "snr", "radius_px", "sigma_x_px", "sigma_y_px", "flags")


def light_detector(name: str | None) -> LightDetector:
    """The light detector of that name; the best one for None.

    Raises
    ------
    ConfigError
        If there is no such method.
    """
    return chosen_detector(light_detectors(), name, best=BEST_METHOD, what="lights")


def detect_lights(
    path: Path, detector: LightDetector, *, max_long_side_px: int = DETECTION_SIDE_PX
) -> PhotoDetections[LightDetections]:
    """Read a photo and find its lights.

    Parameters
    ----------
    path : Path
        JPEG, PNG, TIFF, FITS or raw file.
    detector : LightDetector
        The method.
    max_long_side_px : int, optional
        Larger photos are averaged down to this before lights are sought.

    Returns
    -------
    PhotoDetections

    Raises
    ------
    FrameError
        If the file is no readable image.
    """
    return detect_in_photo(path, detector, max_long_side_px=max_long_side_px)


def light_records(lights: LightDetections) -> list[dict[str, Any]]:
    """Plain values of each light, the brightest first, rounded to what they are worth."""
    return [
        {
            **place_record(lights.x[i], lights.y[i], lights.flux[i], lights.snr[i]),
            "radius_px": round(float(lights.radius_px[i]), 3),
            **sigma_record(lights.covariance_px2[i]),
            "flags": list(lights.flag_names(i)),
        }
        for i in range(len(lights))
    ]
