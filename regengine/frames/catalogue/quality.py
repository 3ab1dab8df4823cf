"""Quality score of a frame for viewing its place, from four measures.

==========  ========================================  ===========================================
measure     part, 0 to 1                              source
==========  ========================================  ===========================================
sharpness   as measured, `regengine.scene.quality`  Zhuo & Sim 2011, Pattern Recognition 44, 1852
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
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.spatial import cKDTree

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.footprint import WGS84
from matchers.geometry.view import render_known
from matchers.lights.photo_light import LightImage
from matchers.lights.verify import LIGHTS, LightPeaks, find_light_peaks, spread_shifts
from regengine.errors import FrameError
from regengine.frames.frame import ExportFrame
from regengine.io.checksums import compute_sha256
from regengine.maps.places import ABSURD
from regengine.maps.reference import NightLights
from regengine.registration.windows import compute_ground_sample_km, find_footprint_window

if TYPE_CHECKING:
    from shapely import MultiPolygon


# Tolerance of corners, as a share of a ring's extent: polygons of 65 corners are reduced to some
# ten
SIMPLER = 0.004
AREAS = "regengine.area_seen_km2"  # key in the file's metadata
CELL_KM2 = 100.0
CELL_M = 1e3 * math.sqrt(CELL_KM2)
EQUAL_AREA = "EPSG:6933"  # a cylindrical projection: metres
WEST_M, NORTH_M = -17_367_530.45, 7_314_540.83  # of the globe in it


def area_km2(shape: MultiPolygon) -> float:
    """Area of polygons on the WGS84 ellipsoid, square kilometres."""
    return abs(float(WGS84.geometry_area_perimeter(shape)[0])) / 1e6


def simplify(shape: MultiPolygon) -> MultiPolygon:
    """Polygons with fewer corners, within 0.4 % of their extent.

    References
    ----------
    Douglas, D. & Peucker, T. (1973), Cartographica 10, 112.
    """
    import shapely

    parts = shapely.get_parts(shape)
    west, south, east, north = shapely.bounds(parts).T
    return shapely.multipolygons(
        shapely.simplify(parts, SIMPLER * np.hypot(east - west, north - south))
    )


def resolution_m(camera: Camera) -> float | None:
    """Ground size of the central pixel of the image."""
    x, y = (camera.width_px - 1) / 2, (camera.height_px - 1) / 2
    ground = camera.pixel_to_ecef([x - 0.5, x + 0.5, x, x], [y, y, y - 0.5, y + 0.5])
    area = float(np.linalg.norm(np.cross(ground[1] - ground[0], ground[3] - ground[2])))
    return math.sqrt(area) if math.isfinite(area) and area > 0.0 else None


def area_seen_km2(footprints: Iterable[bytes]) -> float:
    """Ground area covered by at least one of many footprints (WKB), in cells of `CELL_KM2`."""
    import shapely
    from pyproj import Transformer
    from rasterio import Affine
    from rasterio.features import rasterize

    project = Transformer.from_crs("OGC:CRS84", EQUAL_AREA, always_xy=True).transform
    seen = np.zeros((math.ceil(2.0 * NORTH_M / CELL_M), math.ceil(-2.0 * WEST_M / CELL_M)), "u1")
    to_cells = Affine(CELL_M, 0.0, WEST_M, 0.0, -CELL_M, NORTH_M)
    left = iter(footprints)
    while some := list(islice(left, 4096)):
        shapes = shapely.transform(shapely.from_wkb(some), project, interleaved=False)
        rasterize(shapes, out=seen, transform=to_cells)
    return float(np.count_nonzero(seen)) * CELL_KM2


HALF_RESOLUTION_M = 100.0
UNKNOWN = 0.5
MIN_COUNT = 0.01  # minimum of a part, so that a single part never makes all frames equal


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
        1.0 / (1.0 + resolution_m / HALF_RESOLUTION_M),
    )
    return math.prod(max(part, MIN_COUNT) for part in parts) ** (1.0 / len(parts))


Source = Literal["photo", "lights"]
READ_PX = 1024  # long side for the detection of lights


@dataclass(frozen=True, kw_only=True)
class PictureFacts:
    """Measurements of a photo.

    Sharpness is 1 for detail at pixel scale, towards 0 for motion blur, None without detail or
    without a photo. Cloud is the share of the ground that clouds hide, None if it cannot be
    determined.
    """

    sharpness: float | None = None
    cloud: float | None = None
    cloud_source: Source | None = None


NOTHING_SEEN = PictureFacts()


def look(frame: ExportFrame, light_map: NightLights | None = None) -> PictureFacts:
    """Measure a frame's photo: `NOTHING_SEEN` if it is missing, changed, or unreadable.

    The share hidden by clouds is estimated from a light map if possible; otherwise from the photo,
    by day or moonlight.
    """
    from regengine.scene.picture import scene_picture
    from regengine.scene.quality import photo_quality, read_for_quality

    path = frame.photo
    if path is None:
        return NOTHING_SEEN
    try:
        if compute_sha256(path) != frame.result.sha256:
            return NOTHING_SEEN
        rgb = read_for_quality(path)
        hidden = None if light_map is None else _measure_hidden(path, frame, light_map)
    except (FrameError, OSError):
        return NOTHING_SEEN
    quality = photo_quality(rgb, scene_picture(rgb), frame.result.category or "")
    cloud = quality.cloud_fraction if hidden is None else hidden
    source: Source = "photo" if hidden is None else "lights"
    return PictureFacts(
        sharpness=quality.sharpness or None,
        cloud=cloud,
        cloud_source=None if cloud is None else source,
    )


def _measure_hidden(path: Path, frame: ExportFrame, light_map: NightLights) -> float | None:
    """Share of the map's lights that are not detected; None without a credible camera."""
    from regengine.photo.image import read_linear_light
    from regengine.registration.prepare_photo import find_photo_lights

    rejected = frame.review is not None and frame.review.decision == "rejected"
    if frame.camera is None or frame.verdict != "accepted" or rejected:
        return None
    try:
        light = read_linear_light(path, max_long_side_px=READ_PX)
        lights = find_photo_lights(light, compute_ground_sample_km(frame.camera) / light.factor)
        return estimate_hidden_share(lights.narrow, frame.camera, light_map)
    except ABSURD:
        return None


# Cloud cover at night: the share of the map's lights that are not detected.

COMPARED_PX = 512  # long side
MARGIN_KM = 25.0
EXPECTED = 40  # number of the map's strongest lights: 20 and 80 were no better
MIN_EXPECTED = 15
MIN_SEEN = 5  # lights in the photo: with fewer, its exposure is doubtful
MAX_SEEN = 400
NEIGHBOURS = 4
# Grain of clouds and noise cause many chance matches: a detection counts if its contrast relative
# to the map's is this share of the frame's median. 0 and 0.5 were no better on average, but without
# it, a sample half under moonlit cloud resulted in 0.13 instead of 0.24
MIN_SHARE = 0.3
# Median share of expected lights matched beyond chance in the clear frames (quartiles 0.79, 0.89)
MET_IF_CLEAR = 0.84


def estimate_hidden_share(
    image: LightImage, camera: Camera, light_map: NightLights
) -> float | None:
    """Estimate the share of expected lights that clouds hide."""
    picture = image.resized(COMPARED_PX)
    small = picture.camera(camera)
    levels = find_footprint_window(
        light_map, camera, MARGIN_KM, compute_ground_sample_km(small) / 1.2
    )
    if levels is None:
        return None
    view, known = render_known(levels, small, 2)
    weight = np.asarray(picture.weight * known, np.float32)
    expected = find_light_peaks(view, weight, EXPECTED)
    seen = find_light_peaks(picture.values, weight, MAX_SEEN)
    if len(expected) < MIN_EXPECTED or len(seen) < MIN_SEEN:
        return None
    met, chance = measure_met_shares(
        expected, seen, (picture.values.shape[1], picture.values.shape[0])
    )
    beyond_chance = (met - chance) / max(1.0 - chance, 1e-9)
    return float(np.clip(1.0 - beyond_chance / MET_IF_CLEAR, 0.0, 1.0))


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
        places, k=min(NEIGHBOURS, len(towns)), distance_upper_bound=LIGHTS.match_px
    )[1]
    contrast = np.append(towns.contrast, 0.0)  # for missing neighbours
    return np.asarray(contrast[near.reshape(len(places), -1)].max(axis=1), np.float64)
