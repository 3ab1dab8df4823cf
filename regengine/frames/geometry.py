"""Footprints that any map can draw, and the view geometry of photos.

The outline of a footprint ends at the edge of the photo, or where the incidence reaches 80 degrees.
It is cut at the antimeridian; around a pole it is closed along the map's edge. The scene centre is
the ground position of the image centre.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.geometry.camera import Camera, ManyCameras, is_turned
from matchers.geometry.earth import (
    ecef_to_geodetic,
    incidence_deg,
    local_axes,
    measure_lonlat,
    surface_to_lonlat,
)
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, trace_visible_outlines
from regengine.orbit.rotation import icrs_to_itrf

Ring = list[tuple[float, float]]
PER_SIDE = 17  # directions along each side of the photo


def make_footprints(
    cameras: Sequence[Camera | None], limit_deg: float = MAX_INCIDENCE_DEG
) -> list[list[Ring]]:
    """Polygons of the visible ground, up to a maximum incidence; none without a camera."""
    found: list[list[Ring]] = [[] for _ in cameras]
    sound = {n: one for n, one in enumerate(cameras) if one is not None and is_turned(one)}
    # Pixels along the border of each image, in order
    along, down = np.linspace(0.0, 1.0, PER_SIDE)[:-1], np.zeros(PER_SIDE - 1)
    x = np.concatenate([along, down + 1.0, 1.0 - along, down])
    y = np.concatenate([down, along, down + 1.0, 1.0 - along])
    with np.errstate(all="ignore"):
        many = ManyCameras.of(list(sound.values()))
        ground = many.pixel_to_ecef(x * (many.width_px - 1.0), y * (many.height_px - 1.0))
        angle = incidence_deg(many.position_ecef_m[:, None, :], ground)
        (limb,) = np.nonzero(~(angle <= limit_deg).all(axis=1))
        if limb.size:
            to_limb = many[limb]
            x, y, seen = trace_visible_outlines(to_limb, PER_SIDE, limit_deg)
            # The visible part of the Earth is convex in the image: sorted by angle about its
            # centre, its edge is a ring
            middle_x, middle_y = x.mean(axis=1, keepdims=True), y.mean(axis=1, keepdims=True)
            order = np.argsort(np.arctan2(y - middle_y, x - middle_x), axis=1)
            x, y = (np.take_along_axis(a, order, axis=1) for a in (x, y))
            ground[limb] = np.where(seen[:, None, None], to_limb.pixel_to_ecef(x, y), np.nan)
        lon, lat = surface_to_lonlat(ground)
    for row, number in enumerate(sound):
        known = np.isfinite(lon[row]) & np.isfinite(lat[row])
        found[number] = make_polygons(lon[row, known], lat[row, known])
    return found


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
        part = shapely.transform(part, lambda xy, middle=middle: np.round(xy - [middle, 0.0], 7))
        pieces = shapely.get_parts(shapely.get_parts(shapely.remove_repeated_points(part)))
        found += [
            list(shapely.orient_polygons(piece).exterior.coords)
            for piece in pieces  # also of nested collections
            if piece.area > 1e-10  # square degrees: smaller fragments of the cut are dropped
        ]
    return found


def as_shape(rings: Sequence[Ring]) -> Any:
    """Rings as a multipolygon; None if there are none."""
    import shapely

    return shapely.MultiPolygon([shapely.Polygon(ring) for ring in rings]) if rings else None


def join_at(rings: Sequence[Ring], lon: float) -> Any:
    """Rings that were cut at the antimeridian as one shape, its longitudes around a given one.

    They continue beyond 180 degrees, as programs need them that take the map for a plane.
    """
    import shapely

    turned = []
    for ring in rings:
        middle = (min(x for x, _ in ring) + max(x for x, _ in ring)) / 2.0
        turns = 360.0 * round((lon - middle) / 360.0)
        turned.append(shapely.Polygon([(x + turns, y) for x, y in ring]))
    return shapely.union_all(turned)


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


LonLat = tuple[float, float]
View = dict[str, float]
VIEW = (
    "camera_lon",
    "camera_lat",
    "camera_altitude_km",
    "off_nadir_deg",  # of the optical axis
    "centre_lon",
    "centre_lat",
    "line_off_nadir_deg",  # of the line of sight to the scene centre; > 90 upward
    "look_bearing_deg",  # azimuth of that line over the ground, east of north, 0 to 360
    "incidence_deg",  # between that line and the vertical at the ground
    "gsd_m",  # side of the square with the ground area of the central pixel
    "up_bearing_deg",  # azimuth of the upward direction of the image as stored, at the centre
)
# Centre of a pixel, and half a pixel to its left, right, top and bottom
AROUND_X = np.array([0.0, -0.5, 0.5, 0.0, 0.0])
AROUND_Y = np.array([0.0, 0.0, 0.0, -0.5, 0.5])


def view_geometry(cameras: Sequence[Camera]) -> list[View]:
    """`VIEW` of cameras; NaN for missing cameras, and for values undefined in the sky."""
    found: list[View] = [dict.fromkeys(VIEW, float("nan")) for _ in cameras]
    sound = [number for number, camera in enumerate(cameras) if is_turned(camera)]
    with np.errstate(all="ignore"):
        many = ManyCameras.of([cameras[number] for number in sound])
        x, y = (many.width_px - 1.0) / 2.0, (many.height_px - 1.0) / 2.0
        lon, lat, height_m = ecef_to_geodetic(many.position_ecef_m)
        _, _, up = _local(many.matrix[:, :, 2], lon, lat)
        ground = many.pixel_to_ecef(x + AROUND_X, y + AROUND_Y)
        centre, left, right, above, below = np.moveaxis(ground, 1, 0)
        centre_lon, centre_lat = surface_to_lonlat(centre)
        east, north, outward = _local(many.rays(x, y)[:, 0], lon, lat)
        up_east, up_north, _ = _local(above - below, centre_lon, centre_lat)
        values = (
            lon,
            lat,
            height_m / 1e3,
            np.degrees(np.arccos(np.clip(-up, -1.0, 1.0))),
            centre_lon,
            centre_lat,
            # Near the nadir an arc cosine would lose half of the digits
            np.degrees(np.arctan2(np.hypot(east, north), -outward)),
            _bearing(east, north),
            incidence_deg(many.position_ecef_m, centre),
            np.sqrt(np.linalg.norm(np.cross(right - left, below - above), axis=-1)),
            _bearing(up_east, up_north),
        )
    for number, told in zip(sound, zip(*(a.tolist() for a in values), strict=True), strict=True):
        found[number] = dict(zip(VIEW, told, strict=True))
    return found


def _local(vectors: FloatArray, lon: FloatArray, lat: FloatArray) -> FloatArray:
    """East, north and up components of ECEF vectors (n, 3) at places, shape (3, n)."""
    x, y, z = vectors.T
    (sin_lon, cos_lon), (sin_lat, cos_lat) = (
        (np.sin(np.radians(angle)), np.cos(np.radians(angle))) for angle in (lon, lat)
    )
    outward = cos_lon * x + sin_lon * y
    return np.array(
        [
            cos_lon * y - sin_lon * x,
            cos_lat * z - sin_lat * outward,
            cos_lat * outward + sin_lat * z,
        ]
    )


def _bearing(east: FloatArray, north: FloatArray) -> FloatArray:
    # Twice: a value slightly below zero becomes 360.0 after the first modulo
    return np.asarray(np.degrees(np.arctan2(east, north)) % 360.0 % 360.0)


COMPASS = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")


def describe_orientation(view: View) -> str | None:
    """A text such as ``north up, looking southwest``; None without a camera."""
    up, look = (
        COMPASS[round(bearing / 45.0) % 8] if math.isfinite(bearing) else None
        for bearing in (view["up_bearing_deg"], view["look_bearing_deg"])
    )
    if look is None or up is None:
        return look and f"looking {look}"
    # Below five degrees off nadir a photo is not perceived as oblique
    return f"{up} up, looking {'down' if view['off_nadir_deg'] < 5.0 else look}"


@lru_cache(maxsize=4)  # for one frame after the other, one column at a time
def sky_position(camera: Camera, time_utc: datetime) -> dict[str, float]:
    """Direction of a camera among the stars, located by the ground.

    ``ra_deg`` and ``dec_deg`` of the image centre, ICRS; ``position_angle_deg`` of the image's
    upward direction there, from north to east; ``radius_deg`` from the centre to the farthest
    corner; ``sees_sky``, whether a part of the image is above the horizon; ``earth_ra_deg``,
    ``earth_dec_deg`` and ``earth_radius_deg`` of the Earth's disc.
    """
    to_icrs = icrs_to_itrf(time_utc).T
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    x, y = right / 2.0, bottom / 2.0
    # Centre of the image, half a pixel above it, and the corners
    rays = camera.rays([x, x, 0.0, right, right, 0.0], [y, y - 0.5, 0.0, 0.0, bottom, bottom])
    rays = rays @ camera.matrix.T / np.linalg.norm(rays, axis=-1, keepdims=True)
    middle, above, *corners = rays @ to_icrs.T
    position = np.asarray(camera.position_ecef_m)
    to_earth = to_icrs @ -position
    (ra, earth_ra), (dec, earth_dec) = measure_lonlat([middle, to_earth]).tolist()
    distance = np.linalg.norm(position)
    radius_deg = float(np.degrees(np.arccos(np.clip(np.min(corners @ middle), -1.0, 1.0))))
    earth_radius_deg = float(
        np.degrees(np.arcsin(np.minimum(1.0, 1e3 * EARTH_RADIUS_KM / distance)))
    )
    aside_deg = float(np.degrees(np.arccos(np.clip(to_earth @ middle / distance, -1.0, 1.0))))
    # An image farther than a degree within the Earth's disc shows no sky
    sees_sky = aside_deg + radius_deg >= earth_radius_deg - 1.0
    if sees_sky:
        along_x, along_y = np.linspace(0.0, right, 33), np.linspace(0.0, bottom, 33)
        border_x = np.concatenate([along_x, along_x, np.zeros(33), np.full(33, right)])
        border_y = np.concatenate([np.zeros(33), np.full(33, bottom), along_y, along_y])
        with np.errstate(all="ignore"):
            sees_sky = bool(np.isnan(camera.pixel_to_ecef(border_x, border_y)).any())
    up = above - middle
    east, north, _ = local_axes(ra, dec)
    return {
        "ra_deg": ra % 360.0 % 360.0,
        "dec_deg": dec,
        "position_angle_deg": float(_bearing(up @ east, up @ north)),
        "radius_deg": radius_deg,
        "sees_sky": sees_sky,
        "earth_ra_deg": earth_ra % 360.0 % 360.0,
        "earth_dec_deg": earth_dec,
        "earth_radius_deg": earth_radius_deg,
    }
