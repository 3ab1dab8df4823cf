"""Ground footprints for the catalogue: simplified polygons, resolution, and total area seen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from matchers.geometry.camera import Camera
from matchers.geometry.footprint import WGS84

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
