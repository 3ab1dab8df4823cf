"""Quality score of a frame for viewing its place, from four measures.

==========  ========================================  ===========================================
measure     part, 0 to 1                              source
==========  ========================================  ===========================================
sharpness   as measured, `regengine.scene.picture`  Zhuo & Sim 2011, Pattern Recognition 44, 1852
cloud       1 - cloud
off-nadir   cosine of the incidence at the centre:    Kasten & Young 1989, Applied Optics 28, 4735
            the air mass grows as its inverse
resolution  1 / (1 + resolution / 100 m): at 100 m    Elvidge et al. 2007, Int. J. Remote Sensing
            the features of a town begin to be lost   28, 2645 (50 to 100 m for settlements)
==========  ========================================  ===========================================

The score is the geometric mean of the four parts, so that good parts cannot compensate for a bad
one. An unknown measure counts as `UNKNOWN`, which is better than a known bad value and worse than a
known good one.
"""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import render_known
from matchers.lights.photo_light import EvenedImage
from matchers.lights.verify import LIGHTS, LightPeaks, find_light_peaks, spread_shifts
from regengine.errors import FrameError
from regengine.frames.frame import ExportFrame
from regengine.io.checksums import compute_sha256
from regengine.maps.places import ABSURD
from regengine.maps.reference import RasterMap
from regengine.registration.windows import compute_ground_sample_km, find_footprint_window

UNKNOWN = 0.5


def incidence_part(off_nadir_deg: float, altitude_km: float) -> float:
    """Cosine of the incidence angle at the image centre."""
    sine = (EARTH_RADIUS_KM + altitude_km) / EARTH_RADIUS_KM * math.sin(math.radians(off_nadir_deg))
    if off_nadir_deg >= 90.0 or sine >= 1.0:
        return 0.0
    return math.sqrt(1.0 - sine * sine)


def quality_score(
    *,
    sharpness: float | None,
    cloud: float | None,
    off_nadir_deg: float | None,
    altitude_km: float | None,
    resolution_m: float | None,
) -> float | None:
    """Score of a frame, 0 to 1; None without a position on the ground.

    Sharpness and cloud, 0 to 1, are None if unknown; the others, of the solved camera, are None
    without a camera, or if its centre shows the sky.
    """
    if off_nadir_deg is None or altitude_km is None or resolution_m is None:
        return None
    parts = (
        UNKNOWN if sharpness is None else sharpness,
        UNKNOWN if cloud is None else 1.0 - cloud,
        incidence_part(off_nadir_deg, altitude_km),
        1.0 / (1.0 + resolution_m / 100.0),
    )
    # At least 0.01 each, so that a single part never makes all frames equal
    return math.prod(max(part, 0.01) for part in parts) ** (1.0 / len(parts))


def look(frame: ExportFrame, light_map: RasterMap | None = None) -> dict[str, Any]:
    """Measure a frame's photo; empty if it is missing, changed, or unreadable.

    ``sharpness`` is 1 for detail at pixel scale, towards 0 for motion blur, None without detail.
    ``cloud`` is the share of the ground that clouds hide, None if it cannot be determined: from a
    light map (``cloud_source`` is ``lights``) if possible; otherwise from the ``photo``, by day or
    moonlight.
    """
    from regengine.photo.image import read_display_rgb, read_linear_light
    from regengine.registration.prepare_photo import find_photo_lights
    from regengine.scene.picture import QUALITY_SIDE_PX, photo_quality, scene_picture

    path = frame.photo
    if path is None:
        return {}
    try:
        if compute_sha256(path) != frame.result.sha256:
            return {}
        rgb, _ = read_display_rgb(path, QUALITY_SIDE_PX)
        hidden = None
        rejected = frame.review is not None and frame.review.decision == "rejected"
        camera = None if frame.verdict != "accepted" or rejected else frame.camera
        # Without a credible camera, it is not known which lights to expect
        if light_map is not None and camera is not None:
            with suppress(*ABSURD):
                light = read_linear_light(path, max_long_side_px=1024)
                sample_km = compute_ground_sample_km(camera) / light.factor
                lights = find_photo_lights(light, sample_km)
                hidden = estimate_hidden_share(lights.narrow, camera, light_map)
    except (FrameError, OSError):
        return {}
    quality = photo_quality(rgb, scene_picture(rgb), frame.result.category or "")
    cloud = quality["cloud_fraction"] if hidden is None else hidden
    source = "photo" if hidden is None else "lights"
    return {
        "sharpness": quality["sharpness"] or None,
        "cloud": cloud,
        "cloud_source": None if cloud is None else source,
    }


# Cloud cover at night: the share of the map's lights that are not detected.

# Grain of clouds and noise cause many chance matches: a detection counts if its contrast relative
# to the map's is this share of the frame's median. 0 and 0.5 were no better on average, but without
# it, a sample half under moonlit cloud resulted in 0.13 instead of 0.24
MIN_SHARE = 0.3


def estimate_hidden_share(image: EvenedImage, camera: Camera, light_map: RasterMap) -> float | None:
    """Estimate the share of expected lights that clouds hide."""
    picture = image.resized(512)
    small = picture.camera(camera)
    levels = find_footprint_window(light_map, camera, 25.0, compute_ground_sample_km(small) / 1.2)
    if levels is None:
        return None
    view, known = render_known(levels, small, 2)
    weight = np.asarray(picture.weight * known, np.float32)
    expected = find_light_peaks(view, weight, 40)  # the strongest: 20 and 80 were no better
    seen = find_light_peaks(picture.values, weight, 400)
    # With fewer lights in the photo, its exposure is doubtful
    if len(expected) < 15 or len(seen) < 5:
        return None
    met, chance = measure_met_shares(
        expected, seen, (picture.values.shape[1], picture.values.shape[0])
    )
    beyond_chance = (met - chance) / max(1.0 - chance, 1e-9)
    # Median share matched beyond chance in the clear frames (quartiles 0.79, 0.89)
    return float(np.clip(1.0 - beyond_chance / 0.84, 0.0, 1.0))


def measure_met_shares(
    expected: LightPeaks, seen: LightPeaks, size_px: tuple[int, int]
) -> tuple[float, float]:
    """Share of expected lights with an equally strong detected match, and that by chance."""
    brightest = brightest_within(expected.positions, seen)
    share = brightest / expected.contrast
    met = brightest > 0.0
    usual = float(np.median(share[met])) if met.any() else 0.0
    least = MIN_SHARE * usual * expected.contrast
    shifted = expected.positions[None] + spread_shifts()[:, None]
    inside = ((shifted >= 0.0) & (shifted < np.array(size_px))).all(axis=2)
    by_chance = brightest_within(shifted.reshape(-1, 2), seen).reshape(inside.shape)
    counts = (by_chance > least) & (by_chance > 0.0)
    chance = float(counts[inside].mean()) if inside.any() else 0.0
    return float((met & (brightest >= least)).mean()), chance


def brightest_within(places: FloatArray, towns: LightPeaks) -> FloatArray:
    """Contrast of the strongest light that matches each place, shape (n,); 0 without a match."""
    near = cKDTree(towns.positions).query(
        places, k=min(4, len(towns)), distance_upper_bound=LIGHTS.match_px
    )[1]
    contrast = np.append(towns.contrast, 0.0)  # for missing neighbours
    return np.asarray(contrast[near.reshape(len(places), -1)].max(axis=1), np.float64)
