"""Footprint polygons that any map can draw.

The outline ends at the edge of the photo, or where the incidence reaches 80 degrees. It is cut at
the antimeridian; around a pole it is closed along the map's edge.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera, ManyCameras, is_turned
from matchers.geometry.earth import incidence_deg, surface_to_lonlat
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, trace_visible_outlines

Ring = list[tuple[float, float]]
PER_SIDE = 17  # directions along each side of the photo
DIGITS = 7  # of degrees: a centimetre
SMALLEST = 1e-10  # square degrees: smaller fragments of the cut are dropped


def make_footprints(
    cameras: Sequence[Camera], limit_deg: float = MAX_INCIDENCE_DEG
) -> list[list[Ring]]:
    """Polygons of the visible ground, up to a maximum incidence."""
    found: list[list[Ring]] = [[] for _ in cameras]
    sound = [number for number, camera in enumerate(cameras) if is_turned(camera)]
    with np.errstate(all="ignore"):
        many = ManyCameras.of([cameras[number] for number in sound])
        lon, lat = _outlines(many, limit_deg)
    for row, number in enumerate(sound):
        seen = np.isfinite(lon[row]) & np.isfinite(lat[row])
        found[number] = make_polygons(lon[row, seen], lat[row, seen])
    return found


def _outlines(cameras: ManyCameras, limit_deg: float) -> tuple[FloatArray, FloatArray]:
    """Outline of the visible ground, in order, shape (n, m); NaN where none is visible."""
    # Pixels along the border of each image, in order
    along, down = np.linspace(0.0, 1.0, PER_SIDE)[:-1], np.zeros(PER_SIDE - 1)
    x = np.concatenate([along, down + 1.0, 1.0 - along, down])
    y = np.concatenate([down, along, down + 1.0, 1.0 - along])
    x, y = x * (cameras.width_px - 1.0), y * (cameras.height_px - 1.0)
    ground = cameras.pixel_to_ecef(x, y)
    angle = incidence_deg(cameras.position_ecef_m[:, None, :], ground)
    (limb,) = np.nonzero(~(angle <= limit_deg).all(axis=1))
    if limb.size:
        to_limb = cameras[limb]
        x, y, seen = trace_visible_outlines(to_limb, PER_SIDE, limit_deg)
        # The visible part of the Earth is convex in the image: sorted by angle about its centre,
        # its edge is a ring
        middle_x, middle_y = x.mean(axis=1, keepdims=True), y.mean(axis=1, keepdims=True)
        order = np.argsort(np.arctan2(y - middle_y, x - middle_x), axis=1)
        x, y = (np.take_along_axis(a, order, axis=1) for a in (x, y))
        ground[limb] = np.where(seen[:, None, None], to_limb.pixel_to_ecef(x, y), np.nan)
    return surface_to_lonlat(ground)


def make_polygons(lon: FloatArray, lat: FloatArray) -> list[Ring]:
    """Polygons of a ring on the globe, of either orientation; see `make_footprints`.

    Its corners, degrees, shape (n,), are less than 180 degrees of longitude from their neighbours.
    """
    import shapely

    if len(lon) < 3:
        return []
    run = np.unwrap(np.append(lon, lon[0]), period=360.0)
    corners = np.stack([run[:-1], lat], axis=1)
    turn = round(float(run[-1] - run[0]) / 360.0)
    if turn:  # around a pole: three copies, to cover one complete map, closed along the pole
        laps = np.concatenate([corners + np.array([360.0 * lap, 0.0]) for lap in (-turn, 0, turn)])
        pole = 90.0 if lat.mean() > 0.0 else -90.0
        corners = np.concatenate([laps, [[laps[-1, 0], pole], [laps[0, 0], pole]]])
    whole = shapely.make_valid(shapely.Polygon(corners))
    west, east = (run[0], run[0]) if turn else (run.min(), run.max())
    first, last = (math.floor((edge + 180.0) / 360.0) for edge in (west, east))
    found: list[Ring] = []
    for world in range(first, last + 1):
        middle = 360.0 * world
        part = whole
        if first < last or turn:
            part = whole.intersection(shapely.box(middle - 180.0, -90.0, middle + 180.0, 90.0))
        found += _rings(part, middle)
    return found


def _rings(part: Any, middle: float) -> list[Ring]:
    """Outlines of all polygons in a geometry, counter-clockwise, about a central longitude."""
    import shapely

    part = shapely.transform(part, lambda xy: np.round(xy - [middle, 0.0], DIGITS))
    part = shapely.remove_repeated_points(part)
    pieces = shapely.get_parts(shapely.get_parts(part))  # also of nested collections
    return [
        list(shapely.orient_polygons(piece).exterior.coords)
        for piece in pieces
        if piece.area > SMALLEST
    ]


def as_shape(rings: Sequence[Ring]) -> Any:
    """Rings as a multipolygon; None if there are none."""
    import shapely

    return shapely.MultiPolygon([shapely.Polygon(ring) for ring in rings]) if rings else None


def join_at(rings: Sequence[Ring], lon: float) -> Any:
    """Rings that were cut at the antimeridian as one shape, its longitudes around a given one.

    They continue beyond 180 degrees, as programs need them that take the map for a plane.
    """
    import shapely

    def turned(ring: Ring) -> Ring:
        middle = (min(x for x, _ in ring) + max(x for x, _ in ring)) / 2.0
        turns = 360.0 * round((lon - middle) / 360.0)
        return [(x + turns, y) for x, y in ring]

    return shapely.union_all([shapely.Polygon(turned(ring)) for ring in rings])


# Bounding boxes on the globe: from west to east, also across the antimeridian.

Span = tuple[float, float]  # longitudes, eastward; the first is greater if it crosses 180 degrees


def rings_bbox(rings: Sequence[Ring]) -> list[float] | None:
    """Bounding box of polygons that are cut at the antimeridian."""
    if not rings:
        return None
    lons = [[lon for lon, _ in ring] for ring in rings]
    lats = [lat for ring in rings for _, lat in ring]
    west, east = find_shortest_span((min(each), max(each)) for each in lons)
    return [west, min(lats), east, max(lats)]


def find_shortest_span(spans: Iterable[Span]) -> Span:
    """The shortest longitude span that contains the given ones."""
    joined = unite_spans(spans)
    gaps = [after[0] - before[1] for before, after in pairwise(joined)]
    over_180 = joined[0][0] + 360.0 - joined[-1][1]
    if not gaps or over_180 >= max(gaps):
        return joined[0][0], joined[-1][1]
    widest = gaps.index(max(gaps))
    return joined[widest + 1][0], joined[widest][1]


def unite_spans(spans: Iterable[Span]) -> list[Span]:
    """Merge spans into disjoint ones from west to east, none across the antimeridian."""
    pieces: list[Span] = []
    for west, east in spans:
        pieces += [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    joined: list[Span] = []
    for west, east in sorted(pieces):
        if joined and west <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(east, joined[-1][1]))
        else:
            joined.append((west, east))
    return joined
