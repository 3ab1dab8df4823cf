"""The ground that a photo shows as polygons that any map can draw.

The outline ends where the photo does, or where the ground is seen at more than 80 degrees of
incidence. It is cut at the antimeridian; around a pole it is closed along the map's edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from detectors.types import FloatArray
from matchers.camera import Camera, ManyCameras, is_turned
from matchers.earth import incidence_deg, surface_to_lonlat
from matchers.footprint import MAX_INCIDENCE_DEG, visible_outlines

Ring = list[tuple[float, float]]
PER_SIDE = 17  # directions along each side of the photo
DIGITS = 7  # of degrees: a centimetre
SMALLEST = 1e-10  # square degrees: what is cut off smaller is none


def footprint(camera: Camera) -> list[Ring]:
    """Polygons of the ground in sight of a camera; see `footprints`."""
    return footprints([camera])[0]


def footprints(cameras: Sequence[Camera]) -> list[list[Ring]]:
    """Polygons of the ground in sight."""
    found: list[list[Ring]] = [[] for _ in cameras]
    sound = [number for number, camera in enumerate(cameras) if is_turned(camera)]
    with np.errstate(all="ignore"):
        many = ManyCameras.of([cameras[number] for number in sound])
        lon, lat = _outlines(many)
    for row, number in enumerate(sound):
        seen = np.isfinite(lon[row]) & np.isfinite(lat[row])
        found[number] = polygons(lon[row, seen], lat[row, seen])
    return found


def _outlines(cameras: ManyCameras) -> tuple[FloatArray, FloatArray]:
    """Places around the visible ground, in order, shape (n, m); NaN where none is in sight."""
    x, y = _border(cameras)
    ground = cameras.pixel_to_ecef(x, y)
    angle = incidence_deg(cameras.position_ecef_m[:, None, :], ground)
    (limb,) = np.nonzero(~(angle <= MAX_INCIDENCE_DEG).all(axis=1))
    if limb.size:
        to_limb = cameras[limb]
        x, y, seen = visible_outlines(to_limb, PER_SIDE)
        # What a photo shows of the Earth is convex: by angle about its midst, its edge is a ring
        middle_x, middle_y = x.mean(axis=1, keepdims=True), y.mean(axis=1, keepdims=True)
        order = np.argsort(np.arctan2(y - middle_y, x - middle_x), axis=1)
        x, y = (np.take_along_axis(a, order, axis=1) for a in (x, y))
        ground[limb] = np.where(seen[:, None, None], to_limb.pixel_to_ecef(x, y), np.nan)
    return surface_to_lonlat(ground)


def _border(cameras: ManyCameras) -> tuple[FloatArray, FloatArray]:
    """Pixels around each picture, in order, shape (n, 4 * PER_SIDE - 4)."""
    along, down = np.linspace(0.0, 1.0, PER_SIDE)[:-1], np.zeros(PER_SIDE - 1)
    x = np.concatenate([along, down + 1.0, 1.0 - along, down])
    y = np.concatenate([down, along, down + 1.0, 1.0 - along])
    return x * (cameras.width_px - 1.0), y * (cameras.height_px - 1.0)


def polygons(lon: FloatArray, lat: FloatArray) -> list[Ring]:
    """Polygons of a ring on the globe, in whichever direction it runs; see `footprint`.

    Its corners, degrees, shape (n,), are less than 180 degrees of longitude from their neighbours.
    """
    if len(lon) < 3:
        return []
    steps = (np.diff(np.append(lon, lon[0])) + 180.0) % 360.0 - 180.0
    run = lon[0] + np.concatenate([[0.0], np.cumsum(steps)])
    corners = np.stack([run[:-1], lat], axis=1)
    turn = round(float(run[-1] - run[0]) / 360.0)
    if turn:
        corners = _around_a_pole(corners, 360.0 * turn)
    size = area(corners)
    if size < 0.0:
        corners = corners[::-1]
    first = int(np.floor((corners[:, 0].min() + 180.0) / 360.0))
    last = int(np.floor((corners[:, 0].max() + 180.0) / 360.0))
    found = []
    if first == last and not (corners[:, 0] == 360.0 * first - 180.0).any():
        ring = _ring(corners - [360.0 * first, 0.0])
        return [ring] if abs(size) > SMALLEST and len(ring) >= 4 else []
    for world in range(first, last + 1):
        west = 360.0 * world - 180.0
        for east in cut(corners, west, 1.0):
            for part in cut(east, west + 360.0, -1.0):
                if abs(area(part)) > SMALLEST:
                    found.append(_ring(part - [360.0 * world, 0.0]))
    return [ring for ring in found if len(ring) >= 4]


def _around_a_pole(corners: FloatArray, turn: float) -> FloatArray:
    """A ring about a pole as a polygon of the map: along the map's edge to the pole and back.

    It begins where it crosses the antimeridian next to the pole.
    """
    step = np.array([turn, 0.0])
    pole = 90.0 if corners[:, 1].mean() > 0.0 else -90.0
    after = np.concatenate([corners[1:], corners[:1] + step])
    world, next_world = (np.floor((a[:, 0] + 180.0) / 360.0) for a in (corners, after))
    crossing = np.flatnonzero(world != next_world)
    meridian = 360.0 * np.maximum(world, next_world)[crossing] - 180.0
    share = (meridian - corners[crossing, 0]) / (after[crossing, 0] - corners[crossing, 0])
    lats = corners[crossing, 1] + share * (after[crossing, 1] - corners[crossing, 1])
    nearest = int(np.argmin(np.abs(pole - lats)))
    first, start, lat = int(crossing[nearest]) + 1, meridian[nearest], lats[nearest]
    ring = np.concatenate([corners[first:], corners[:first] + step])
    ends = [[start + turn, lat], [start + turn, pole], [start, pole]]
    return np.concatenate([[[start, lat]], ring, ends])


def area(corners: FloatArray) -> float:
    """Area of a polygon of shape (n, 2), positive where it runs counter-clockwise."""
    x, y = corners[:, 0], corners[:, 1]
    last = x[-1] * y[0] - y[-1] * x[0]
    return float(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:]) + last) / 2.0


def cut(corners: FloatArray, meridian: float, side: float) -> list[FloatArray]:
    """Parts of a simple polygon on one side of a meridian.

    Where the polygon's edge crosses the meridian, in order of latitude, every other stretch of
    the meridian is inside: the parts are closed along these.
    """
    away = side * (corners[:, 0] - meridian)
    away[away == 0.0] = 1e-12  # a corner on the line lies a hair inside
    if (away > 0.0).all():
        return [corners]
    if (away < 0.0).all():
        return []
    chains: list[list[FloatArray]] = []
    start = int(np.flatnonzero((away > 0.0) & (np.roll(away, 1) < 0.0))[0])
    for step in range(len(corners)):
        here, before = (start + step) % len(corners), (start + step - 1) % len(corners)
        if (away[here] > 0.0) != (away[before] > 0.0):
            share = away[before] / (away[before] - away[here])
            lat = corners[before, 1] + share * (corners[here, 1] - corners[before, 1])
            crossing = np.array([meridian, lat])
            if away[here] > 0.0:
                chains.append([crossing])
            else:
                chains[-1].append(crossing)
        if away[here] > 0.0:
            chains[-1].append(corners[here])
    return _joined(chains)


def _joined(chains: list[list[FloatArray]]) -> list[FloatArray]:
    """Chains between crossings as rings: each end goes on along the meridian to its neighbour."""
    ends = [(float(chain[k][1]), number, k) for number, chain in enumerate(chains) for k in (0, -1)]
    ends.sort()
    partner = {}
    for lower, upper in zip(ends[::2], ends[1::2], strict=True):
        partner[lower[1:]], partner[upper[1:]] = upper[1:], lower[1:]
    rings, left = [], set(range(len(chains)))
    while left:
        number = first = min(left)
        ring: list[FloatArray] = []
        while number in left:
            left.remove(number)
            ring += chains[number]
            number, _ = partner[number, -1]
        if number == first:
            rings.append(np.array(ring))
    return rings


def _ring(corners: FloatArray) -> Ring:
    lon = np.clip(np.round(corners[:, 0], DIGITS), -180.0, 180.0)
    lat = np.clip(np.round(corners[:, 1], DIGITS), -90.0, 90.0)
    ring: Ring = []
    for place in zip(lon.tolist(), lat.tolist(), strict=True):
        if not ring or ring[-1] != place:
            ring.append(place)
    while len(ring) > 1 and ring[-1] == ring[0]:
        ring.pop()
    return [*ring, ring[0]]


# Boxes on a globe: from west to east, also where that leads across the antimeridian.

Span = tuple[float, float]  # of longitudes, eastward; the first is the larger across 180 degrees


def rings_bbox(rings: Sequence[Ring]) -> list[float] | None:
    """Box of polygons that are cut at the antimeridian."""
    if not rings:
        return None
    lons = [[lon for lon, _ in ring] for ring in rings]
    lats = [lat for ring in rings for _, lat in ring]
    west, east = shortest_span((min(each), max(each)) for each in lons)
    return [west, min(lats), east, max(lats)]


def shortest_span(spans: Iterable[Span]) -> Span:
    """The shortest span that holds some."""
    joined = united(spans)
    gaps = [after[0] - before[1] for before, after in pairwise(joined)]
    over_180 = joined[0][0] + 360.0 - joined[-1][1]
    if not gaps or over_180 >= max(gaps):
        return joined[0][0], joined[-1][1]
    widest = gaps.index(max(gaps))
    return joined[widest + 1][0], joined[widest][1]


def united(spans: Iterable[Span]) -> list[Span]:
    """Spans that do not touch, none across the antimeridian, from west to east."""
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
