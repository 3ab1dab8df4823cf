"""Numbers of exports against PROJ, OpenCV, and shapely."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation
from shapely import Point, Polygon
from shapely.affinity import translate
from shapely.ops import unary_union

from regengine.export.formats.geotiff import (
    differentiate_pixels,
)
from regengine.export.warp import draw_block, map_blocks, map_grid
from regengine.frames.geometry import (
    describe_orientation,
    find_shortest_span,
    join_at,
    make_footprints,
    make_polygons,
    rings_bbox,
    unite_spans,
    view_geometry,
)
from regengine.registration.control_points import ground_jacobian
from tests.world.exports import LENS, ecef_of, nadir_camera, seen_places, turned

WGS84 = Geod(ellps="WGS84")
TO_LONLAT = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True)


def camera_of(lon: float, lat: float, tilt_deg: float, bearing: float = 0.0, **more: Any) -> Any:
    return replace(turned(nadir_camera(lon, lat, tilt_deg=tilt_deg), bearing), **more)


CAMERAS = {
    "down": camera_of(136.9, 35.7, 0.0, 8.0),
    "east": camera_of(20.0, 50.0, 40.0, 95.0, distortion=LENS, focal_px=900.0),
    "mirrored": camera_of(-60.0, -20.0, 45.0, 215.0, mirrored=True, distortion=LENS),
    "date line": camera_of(179.95, -40.0, 30.0, 300.0),
    "limb": camera_of(10.0, 20.0, 66.0, 10.0, focal_px=600.0),
    "stretched": camera_of(3.0, 70.0, 25.0, 160.0, pixel_aspect=1.02),
}
EVERY = pytest.mark.parametrize("name", CAMERAS)


def opencv_pixels(camera: Any, points_ecef_m: Any) -> tuple[np.ndarray, np.ndarray]:
    """Pixels, shape (n, 2), by OpenCV's projectPoints, and its Jacobian, shape (n, 2, 15)."""
    local = (
        Rotation.from_quat(camera.quaternion)
        .inv()
        .apply(np.asarray(points_ecef_m) - camera.position_ecef_m)
    )
    down_px = camera.focal_px * (camera.pixel_aspect or 1.0)
    (cx, cy), matrix = camera.principal_point, np.diag([camera.focal_px, down_px, 1.0])
    matrix[:2, 2] = cx, cy
    zero = np.zeros(3)
    lens = np.array(camera.distortion, float)
    pixels, jacobian = cv2.projectPoints(local[:, None], zero, zero, matrix, lens)
    pixels, jacobian = pixels[:, 0], jacobian.reshape(len(local), 2, -1)
    if camera.mirrored:
        pixels[:, 0] = camera.width_px - 1.0 - pixels[:, 0]
        jacobian[:, 0] *= -1.0
    return pixels, jacobian


# Footprints --------------------------------------------------------------------------------------


def valid(rings: list[list[tuple[float, float]]]) -> list[Polygon]:
    found = [Polygon(ring) for ring in rings]
    for polygon, ring in zip(found, rings, strict=True):
        assert polygon.is_valid
        assert ring[0] == ring[-1]
        assert polygon.exterior.is_ccw
        west, south, east, north = polygon.bounds
        assert -180.0 <= west < east <= 180.0
        assert -90.0 <= south < north <= 90.0
    return found


@pytest.mark.parametrize(("lon", "tilt"), [(136.9, 40.0), (179.5, 0.0), (-179.9, 68.0)])
def test_a_footprint_holds_what_the_photo_shows(lon: float, tilt: float) -> None:
    camera = camera_of(lon, 45.0, tilt, focal_px=700.0)
    (rings,) = make_footprints([camera])
    ground = unary_union(valid(rings))
    for limit, inside in ((79.5, True), (90.0, False)):
        x, _, lons, lats = seen_places(camera, limit_deg=limit, count=(12, 12))
        held = [ground.buffer(0.01).contains(Point(*at)) for at in zip(lons, lats, strict=True)]
        assert all(held) or not inside
        seen = len(x)
    assert (sum(held) < seen) == (tilt > 60.0)  # beyond 80 degrees nothing is held
    assert (len(rings) > 1) == (abs(lon) > 170)
    joined = join_at(rings, lon)
    assert joined.geom_type == "Polygon"
    assert joined.contains(Point(lon, joined.centroid.y)) or tilt > 30.0
    assert joined.area == pytest.approx(ground.area, rel=1e-6)


@given(
    st.floats(-720.0, 720.0),
    st.lists(st.floats(0.2, 1.0), min_size=3, max_size=24),
    st.floats(1.0, 80.0),
    st.booleans(),
)
def test_any_star_is_cut_into_valid_parts_of_the_same_area(
    lon: float, radii: list[float], width: float, backwards: bool
) -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, len(radii), endpoint=False)
    x = lon + width * np.array(radii) * np.cos(angle)
    y = 0.5 * width * np.array(radii) * np.sin(angle)
    whole = Polygon(np.stack([x, y], axis=1))
    if backwards:
        x, y = x[::-1], y[::-1]
    parts = [Polygon(ring) for ring in make_polygons((x + 180.0) % 360.0 - 180.0, y)]
    assert all(part.is_valid for part in parts)
    assert sum(part.area for part in parts) == pytest.approx(whole.area, abs=1e-3)
    again = unary_union(
        [translate(part, 360.0 * world) for part in parts for world in range(-3, 4)]
    )
    assert again.buffer(1e-4).contains(whole.buffer(-1e-4))


def test_spans_are_united_and_surrounded_by_the_shortest() -> None:
    spans = [(170.0, -175.0), (-178.0, -160.0), (100.0, 110.0), (105.0, 120.0)]
    united = [(-180.0, -160.0), (100.0, 120.0), (170.0, 180.0)]
    assert unite_spans(spans) == unite_spans(united) == united
    assert find_shortest_span(spans) == (100.0, -160.0)
    east = [(170.0, 10.0), (180.0, 10.0), (180.0, 12.0), (170.0, 10.0)]
    west = [(-180.0, 9.0), (-175.0, 10.0), (-180.0, 12.0), (-180.0, 9.0)]
    assert rings_bbox([east, west]) == [170.0, 9.0, -175.0, 12.0]
    assert make_footprints([camera_of(0.0, 0.0, 150.0)]) == [[]]  # the sky alone


# Directions --------------------------------------------------------------------------------------


def east_north_up(vectors: Any, lon: float, lat: float) -> np.ndarray:
    """ECEF vectors in the directions of a place, by PROJ."""
    at = f"+proj=topocentric +ellps=WGS84 +lon_0={lon:.12f} +lat_0={lat:.12f} +h_0=0"
    origin = ecef_of(lon, lat)
    return np.stack(
        Transformer.from_pipeline(at).transform(*(origin + np.asarray(vectors)).T), axis=-1
    )


def tilt_of(vector: Any) -> float:
    """Angle to the vertical, degrees."""
    return math.degrees(math.atan2(math.hypot(vector[0], vector[1]), vector[2]))


def azimuth(vector: Any) -> float:
    return math.degrees(math.atan2(vector[0], vector[1])) % 360.0


@EVERY
def test_the_view_of_a_camera_is_what_proj_makes_of_its_rays(name: str) -> None:
    camera = CAMERAS[name]
    (view,) = view_geometry([camera])
    eye = np.array(camera.position_ecef_m)
    lon, lat, height_m = TO_LONLAT.transform(*eye)
    found = [view[f"camera_{key}"] for key in ("lon", "lat", "altitude_km")]
    assert found == pytest.approx([lon, lat, height_m / 1e3], abs=3e-6)
    axis = east_north_up(Rotation.from_quat(camera.quaternion).apply([[0.0, 0.0, 1.0]]), lon, lat)[
        0
    ]
    assert view["off_nadir_deg"] == pytest.approx(tilt_of(-axis), abs=1e-5)
    x = 319.5 + np.array([0.0, -0.5, 0.5, 0.5, -0.5, 0.0, 0.0])
    y = 212.5 + np.array([0.0, -0.5, -0.5, 0.5, 0.5, -0.5, 0.5])
    at = np.stack(camera.pixel_to_lonlat(x, y), axis=-1)
    assert (view["centre_lon"], view["centre_lat"]) == pytest.approx(tuple(at[0]), abs=1e-7)
    ground = ecef_of(*at.T)
    assert opencv_pixels(camera, ground)[0] == pytest.approx(np.stack([x, y], axis=-1), abs=2e-3)
    (sight,) = east_north_up([ground[0] - eye], lon, lat)
    line_deg = tilt_of(-sight)
    assert view["line_off_nadir_deg"] == pytest.approx(line_deg, abs=1e-4)
    there = east_north_up(np.stack([eye, *ground[1:]]) - ground[0], *at[0])
    assert view["incidence_deg"] == pytest.approx(tilt_of(there[0]), abs=1e-4)
    assert view["gsd_m"] == pytest.approx(math.sqrt(Polygon(there[1:5, :2]).area), rel=1e-3)
    up = azimuth(there[5] - there[6])
    assert view["up_bearing_deg"] == pytest.approx(up, abs=0.01)
    if line_deg > 1.0:
        assert view["look_bearing_deg"] == pytest.approx(azimuth(sight), abs=1e-3)
    compass = ("north", "northeast", "east", "southeast", "south", "southwest", "west", "northwest")
    looks = "down" if name == "down" else compass[round(azimuth(sight) / 45.0) % 8]
    assert describe_orientation(view) == f"{compass[round(up / 45.0) % 8]} up, looking {looks}"


# Pictures on a map -------------------------------------------------------------------------------


def assembled(camera: Any, grid: Any) -> tuple[np.ndarray, ...]:
    """Places in the photo, x and y, and what is seen, over the whole map."""
    x, y = np.full((2, grid.height, grid.width), np.nan)
    seen = np.zeros((grid.height, grid.width), bool)
    for block in map_blocks(camera, grid):
        height, width = block.seen.shape
        at = slice(block.row, block.row + height), slice(block.column, block.column + width)
        x[at], y[at], seen[at] = block.x, block.y, block.seen
    return x, y, seen


def places_of(grid: Any) -> tuple[np.ndarray, np.ndarray]:
    """Longitudes and latitudes of the middles of a map's pixels, by rasterio and PROJ."""
    size = grid.resolution
    transform = rasterio.Affine(size, 0.0, grid.west, 0.0, -size, grid.north)
    column, row = np.meshgrid(np.arange(grid.width), np.arange(grid.height))
    east, north = transform @ (column + 0.5, row + 0.5)
    back = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    return tuple(np.asarray(one) for one in back.transform(east, north))


@EVERY
def test_every_pixel_of_a_map_takes_its_colour_from_where_opencv_projects_it(name: str) -> None:
    camera = CAMERAS[name]
    crs = "EPSG:3857" if name in ("limb", "mirrored", "stretched") else "EPSG:4326"
    grid = map_grid(camera, crs, 4.0 * map_grid(camera, crs, None).resolution)
    x, y, seen = assembled(camera, grid)
    lon, lat = places_of(grid)
    ground = ecef_of(lon, lat)
    pixels = opencv_pixels(camera, ground.reshape(-1, 3))[0].reshape(*seen.shape, 2)
    sight, up = np.array(camera.position_ecef_m) - ground, ecef_of(lon, lat, 1.0) - ground
    steep = (sight * up).sum(axis=-1) / np.linalg.norm(sight, axis=-1)
    angle = np.degrees(np.arccos(np.clip(steep, -1.0, 1.0)))
    off = np.hypot(pixels[..., 0] - x, pixels[..., 1] - y)[seen]
    assert off.max() < 0.035
    # Seen is what lies in the photo, and not too flat
    aside = np.abs(pixels - [319.5, 212.5]) - [320.0, 213.0]
    inside = (aside.max(axis=-1) < -0.05) & (angle < 79.95)
    outside = (aside.max(axis=-1) > 0.05) | (angle > 80.05)
    assert seen[inside].all()
    assert not seen[outside].any()
    # No ground that is seen is cut off at the map's edge, and no row or column is empty for long
    assert not seen[[0, -1]].all(axis=1).any()
    for axis in (0, 1):
        ends = np.nonzero(seen.any(axis=axis))[0][[0, -1]]
        assert ends[0] <= 2
        assert ends[1] >= seen.shape[1 - axis] - 3
    # What is drawn there is the photo between its pixels
    photo = np.random.default_rng(5).integers(0, 256, (426, 640, 3), np.uint8)
    photo = cv2.GaussianBlur(photo, (0, 0), 2.0)
    for block in map_blocks(camera, grid):
        drawn = draw_block(block, photo, "bilinear")
        at = [block.y[block.seen], block.x[block.seen]]
        wanted = map_coordinates(photo[..., 1].astype(float), at, order=1, mode="nearest")
        assert np.abs(drawn[block.seen][:, 1] - wanted).max() < 3.0
        assert not drawn[~block.seen].any()


@EVERY
def test_derivatives_of_pixels_are_opencvs(name: str) -> None:
    camera = CAMERAS[name]
    _, _, lon, lat = seen_places(camera, limit_deg=75.0, count=(5, 4))
    ground = ecef_of(lon, lat)
    _, jacobian = opencv_pixels(camera, ground)
    # The camera turns, and not what it sees; both focal lengths grow
    wide, high = camera.focal_px, camera.focal_px * (camera.pixel_aspect or 1.0)
    longer = wide * jacobian[..., 6] + high * jacobian[..., 7]
    wanted = np.concatenate([-jacobian[..., :3], longer[..., None]], axis=-1)
    assert differentiate_pixels(camera, ground) == pytest.approx(wanted, rel=1e-4, abs=0.02)
    # A metre to the east and to the north, by PROJ's geodesics
    ahead = [ecef_of(*WGS84.fwd(lon, lat, np.full(len(lon), to), np.full(len(lon), 10.0))[:2])
             for to in (90.0, 0.0)]  # fmt: skip
    here = opencv_pixels(camera, ground)[0]
    wanted = np.stack([(opencv_pixels(camera, one)[0] - here) / 10.0 for one in ahead], axis=-1)
    assert ground_jacobian(camera, lon, lat) == pytest.approx(wanted, rel=1e-3, abs=1e-7)
