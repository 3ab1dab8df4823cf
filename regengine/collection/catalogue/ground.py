"""What a camera sees of the ground, in a few numbers and a small polygon."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta

import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.footprint import WGS84
from regengine.exchange.export.footprint import Ring
from regengine.exchange.export.layers import wkb_rings

# Share of a ring's extent by which a corner may be moved: polygons of 65 corners become some ten
SIMPLER = 0.004


def area_km2(rings: list[Ring]) -> float:
    """Area of rings on the WGS84 ellipsoid, square kilometres."""
    total = 0.0
    for ring in rings:
        lon, lat = zip(*ring, strict=True)
        total += abs(WGS84.polygon_area_perimeter(lon, lat)[0])
    return total / 1e6


def simplified(rings: list[Ring]) -> list[Ring]:
    """Rings with fewer corners, within 0.4 % of their extent.

    References
    ----------
    Douglas, D. & Peucker, T. (1973), Cartographica 10, 112.
    """
    from skimage.measure import approximate_polygon

    found = []
    for ring in rings:
        corners = np.array(ring)
        extent = float(np.hypot(*np.ptp(corners, axis=0)))
        fewer = approximate_polygon(corners, SIMPLER * extent)
        kept = [(float(lon), float(lat)) for lon, lat in fewer]
        found.append(kept if len(kept) >= 4 else ring)
    return found


def resolution_m(camera: Camera) -> float | None:
    """Size on the ground of the pixel in the middle of the image."""
    x, y = (camera.width_px - 1) / 2, (camera.height_px - 1) / 2
    ground = camera.pixel_to_ecef([x - 0.5, x + 0.5, x, x], [y, y, y - 0.5, y + 0.5])
    area = float(np.linalg.norm(np.cross(ground[1] - ground[0], ground[3] - ground[2])))
    return math.sqrt(area) if math.isfinite(area) and area > 0.0 else None


# The ground that at least one of many photos shows, counted in cells of 100 square kilometres.

AREAS = "regengine.area_seen_km2"  # key in the file's metadata
CELL_KM = 10.0
ROWS = round(np.pi * EARTH_RADIUS_KM / CELL_KM)
MIDDLES = -90.0 + 180.0 * (np.arange(ROWS) + 0.5) / ROWS
ACROSS = np.maximum(np.round(2.0 * ROWS * np.cos(np.radians(MIDDLES))), 1.0).astype(np.int64)
# A row's height along the meridian by its length along the parallel, shared by its cells
CELL_KM2 = (np.pi * EARTH_RADIUS_KM / ROWS) * (
    2.0 * np.pi * EARTH_RADIUS_KM * np.cos(np.radians(MIDDLES)) / ACROSS
)


class AreaSeen:
    """Ground that was seen, by any keys."""

    def __init__(self) -> None:
        self._seen: defaultdict[tuple[str, str], dict[int, int]] = defaultdict(dict)

    def add(self, geometry: bytes, keys: Iterable[tuple[str, str]]) -> None:
        """Add a footprint."""
        rows: dict[int, int] = {}
        for ring in wkb_rings(geometry):
            for row, bits in _covered(ring):
                rows[row] = rows.get(row, 0) | bits
        for key in keys:
            seen = self._seen[key]
            for row, bits in rows.items():
                seen[row] = seen.get(row, 0) | bits

    def areas_km2(self) -> dict[str, dict[str, float]]:
        """Square kilometres by division and value."""
        found: defaultdict[str, dict[str, float]] = defaultdict(dict)
        for (division, value), rows in sorted(self._seen.items()):
            area = sum(bits.bit_count() * CELL_KM2[row] for row, bits in rows.items())
            found[division][value] = round(float(area), 0)
        return dict(found)


def _covered(ring: FloatArray) -> list[tuple[int, int]]:
    """Rows of the grid whose cells have their middles within a ring, and those cells as bits."""
    lat = ring[:, 1]
    first, beyond = np.searchsorted(MIDDLES, [lat.min(), lat.max()])
    rows = np.arange(first, beyond)
    if not len(rows):
        return []
    lower, upper = ring[:-1], ring[1:]
    middle = MIDDLES[rows][:, None]
    crosses = (lower[:, 1] <= middle) != (upper[:, 1] <= middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (middle - lower[:, 1]) / (upper[:, 1] - lower[:, 1])
    lon = np.where(crosses, lower[:, 0] + share * (upper[:, 0] - lower[:, 0]), np.inf)
    lon.sort(axis=1)
    # A cell's middle lies half a cell beyond its edge
    edges = np.ceil((lon + 180.0) / 360.0 * ACROSS[rows][:, None] - 0.5)
    found = []
    for row, counts, ends in zip(rows.tolist(), crosses.sum(axis=1).tolist(), edges, strict=True):
        bits = 0
        for west, east in ends[:counts].astype(np.int64).reshape(-1, 2).tolist():
            bits |= ((1 << max(east - west, 0)) - 1) << west
        if bits:
            found.append((row, bits))
    return found


# Boxes across the antimeridian have their western edge beyond their eastern one
IN_BOX = """
{lat} >= f.south AND {lat} <= f.north AND CASE WHEN f.west <= f.east
THEN {lon} BETWEEN f.west AND f.east ELSE {lon} >= f.west OR {lon} <= f.east END
"""


def covers(footprint: bytes, lon: float, lat: float) -> bool:
    """Whether a footprint has a place in it."""
    from skimage.measure import points_in_poly

    return any(bool(points_in_poly([(lon, lat)], ring)[0]) for ring in wkb_rings(footprint))


HOURS_PER_DEGREE = 1.0 / 15.0


def night_of(time_utc: datetime, lon: float) -> date:
    """Date of the evening of a night, by the mean solar time of a place.

    Photos before and after midnight, and on both sides of the date line, belong to one night,
    which goes from one mean solar noon to the next.
    """
    return (time_utc + timedelta(hours=lon * HOURS_PER_DEGREE - 12.0)).date()
