"""Does the photo agree with a camera just there? Patches of lights around given pixels tell."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.registration_light import city_light, smoothed
from matchers.camera import Camera
from matchers.patches import match_patches
from matchers.view import render
from regengine.evaluate.registration import GroundPoints, distance_m
from regengine.light_windows import HasWindows, footprint_window, ground_sample_km

PATCH_PX = 31  # as the fine fit uses
REACH_PX = 16
MARGIN_KM = 25.0
# Photo and map are compared in pixels of about this size below the camera
SAMPLE_KM = 0.33
LARGEST_PX = 1000
SMOOTH_PX = 1.0


@dataclass(frozen=True, kw_only=True)
class LocalShift:
    """Displacement of the photo's lights from where a camera shows the map's.

    Attributes
    ----------
    tried, found : int
        Pixels far enough from the rim to be tried; those of them with a clear peak.
    median_px, median_m : float
        Median length over those found, in pixels of the stored image and on the ground; NaN
        without any.
    """

    tried: int
    found: int
    median_px: float
    median_m: float


def local_shift(
    photo: Path, camera: Camera, light_map: HasWindows, points: GroundPoints
) -> LocalShift | None:
    """Measure the displacement at given pixels by normalised correlation of patches.

    Parameters
    ----------
    photo : Path
        The photo.
    camera : Camera
        Camera to test, for the image as stored.
    light_map : HasWindows
        The night-light map.
    points : GroundPoints
        Where to look; their places are not used.

    Returns
    -------
    LocalShift or None
        None where the map holds nothing of what the camera sees.
    """
    longest = max(camera.width_px, camera.height_px)
    values, factor = city_light(
        photo, min(LARGEST_PX, round(longest * ground_sample_km(camera) / SAMPLE_KM))
    )
    small = camera.scaled(factor, values.shape[1], values.shape[0])
    levels = footprint_window(light_map, camera, MARGIN_KM, ground_sample_km(small) / 1.2)
    if levels is None:
        return None
    view = render(levels, small)
    border = PATCH_PX // 2 + REACH_PX + 1
    centres = np.rint((np.stack([points.x, points.y], axis=1) + 0.5) * factor - 0.5)
    size = np.array([small.width_px, small.height_px])
    inside = ((centres >= border) & (centres < size - border)).all(axis=1)
    centres = centres[inside].astype(np.intp)
    matches = match_patches(smoothed(values, SMOOTH_PX), view, centres, PATCH_PX, REACH_PX)
    shift_px = np.hypot(matches.dx, matches.dy) / factor
    shift_m = distance_m(
        *small.pixel_to_lonlat(matches.x, matches.y),
        *small.pixel_to_lonlat(matches.x + matches.dx, matches.y + matches.dy),
    )
    return LocalShift(
        tried=len(centres),
        found=len(matches),
        median_px=float(np.median(shift_px)) if len(matches) else float("nan"),
        median_m=float(np.median(shift_m)) if len(matches) else float("nan"),
    )
