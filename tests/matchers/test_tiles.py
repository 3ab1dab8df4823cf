"""Tiles are stereographic: Snyder's formulae say where a direction appears, and nothing shears."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from matchers.camera import Camera
from matchers.dense import (
    DenseParameters,
    TileGrid,
    camera_at,
    stereographic,
    templates_for,
    tile_grid,
    tile_step_deg,
)
from matchers.light_grid import LightGrid, pyramid
from matchers.pose import off_nadir_attitude
from matchers.view import lattice, view_along
from tests.matchers.lamp_world import camera_over, ecef, look_matrix

FloatArray = NDArray[np.float64]

PHOTO = camera_over(12.0, 42.0, width=64, height=43, focal_px=90.0)
# A boresight anywhere that sees ground, and the tile's turn about it
ATTITUDE = look_matrix(12.0, 42.0, 35.0, 200.0, 0.0)
PLACES = st.floats(-80.0, 80.0)
ROLLS = st.floats(-180.0, 180.0)


def on_tile(grid: TileGrid, directions: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pixels of directions in the tile's frame (Snyder 1987, eq. 21-2 to 21-4, polar aspect)."""
    x, y, z = np.moveaxis(directions / np.linalg.norm(directions, axis=-1, keepdims=True), -1, 0)
    radius = 2.0 * grid.focal_px * np.tan(0.5 * np.arctan2(np.hypot(x, y), z))
    azimuth = np.arctan2(y, x)
    middle = (grid.side_px - 1) / 2.0
    return middle + radius * np.cos(azimuth), middle + radius * np.sin(azimuth)


def seen_on_tile(grid: TileGrid, camera: Camera, x: float, y: float) -> FloatArray:
    """Where the tile shows what a pixel of a camera looks at."""
    ray = camera.rays(x, y) @ Rotation.from_quat(camera.quaternion).as_matrix().T
    return np.array(on_tile(grid, ray @ ATTITUDE))


@given(side=st.integers(20, 256), focal=st.floats(30.0, 500.0))
def test_a_pixels_ray_leads_back_to_it(side: int, focal: float) -> None:
    grid = tile_grid(side, focal)
    assert np.abs(np.linalg.norm(grid.rays, axis=-1) - 1.0).max() < 1e-9
    found_x, found_y = on_tile(grid, grid.rays)
    at = lattice(side)
    assert np.abs(found_x - at[None, :]).max() < 1e-6
    assert np.abs(found_y - at[:, None]).max() < 1e-6
    # The lattice holds every pixel of the tile
    assert at[0] == 0.0
    assert at[-1] >= side - 1


@settings(deadline=None)
@given(dx=PLACES, dy=PLACES, roll=ROLLS)
def test_tiles_are_conformal(dx: float, dy: float, roll: float) -> None:
    """Steps to the right and down turn the boresight by equal angles, at right angles."""
    grid = tile_grid(181, 120.0)
    x, y = 90.0 + dx, 90.0 + dy
    small = 1e-3

    def boresight(at_x: float, at_y: float) -> FloatArray:
        return camera_at(PHOTO, grid, ATTITUDE, at_x, at_y, roll).boresight_ecef

    right = (boresight(x + small, y) - boresight(x - small, y)) / (2.0 * small)
    below = (boresight(x, y + small) - boresight(x, y - small)) / (2.0 * small)
    half = math.atan(math.hypot(dx, dy) / (2.0 * grid.focal_px))
    scale = math.cos(half) ** 2 / grid.focal_px  # d theta / d radius
    assert np.linalg.norm(right) == pytest.approx(scale, rel=1e-6)
    assert np.linalg.norm(below) == pytest.approx(scale, rel=1e-6)
    assert float(right @ below) == pytest.approx(0.0, abs=1e-6 * scale**2)
    # Not the mirror image: right, down, forward are right-handed
    assert float(np.cross(right, below) @ boresight(x, y)) > 0.0


@settings(deadline=None)
@given(dx=PLACES, dy=PLACES, roll=ROLLS)
def test_a_camera_lies_in_the_tile_where_it_was_put(dx: float, dy: float, roll: float) -> None:
    """Its middle is there, its right edge turned by the roll, its top to the left of that."""
    grid = tile_grid(181, 120.0)
    x, y = 90.0 + dx, 90.0 + dy
    camera = camera_at(PHOTO, grid, ATTITUDE, x, y, roll)
    middle = seen_on_tile(grid, camera, 31.5, 21.0)
    assert middle == pytest.approx([x, y], abs=1e-6)
    c, s = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    small = 1e-3
    for (px, py), direction in {
        (31.5 + small, 21.0): (c, s),
        (31.5, 21.0 - small): (s, -c),
    }.items():
        step = seen_on_tile(grid, camera, px, py) - middle
        assert step / np.linalg.norm(step) == pytest.approx(direction, abs=1e-4)
    assert camera.position_ecef_m == PHOTO.position_ecef_m
    assert camera.focal_px == PHOTO.focal_px


@given(
    width=st.integers(24, 96),
    height=st.integers(24, 96),
    focal_share=st.floats(0.5, 10.0),
)
def test_a_pinhole_image_becomes_stereographic(width: int, height: int, focal_share: float) -> None:
    """A smooth picture, drawn in either projection from its definition."""
    focal = focal_share * max(width, height)
    cx, cy = (width - 1) / 2.0, (height - 1) / 2.0

    def scene(px: FloatArray, py: FloatArray) -> FloatArray:
        return 2.0 + np.sin(px / 11.0) + np.cos(py / 9.0 + px / 17.0)

    x, y = np.meshgrid(np.arange(width, dtype=float), np.arange(height, dtype=float))
    found = stereographic(scene(x, y).astype(np.float32), focal)
    assert found.shape == (height, width)
    # A stereographic pixel at radius 2 f tan(theta / 2) is the pinhole's at f tan(theta)
    radius = np.hypot(x - cx, y - cy)
    theta = 2.0 * np.arctan(radius / (2.0 * focal))
    stretch = np.where(radius > 0.0, focal * np.tan(theta) / np.maximum(radius, 1e-9), 1.0)
    at_x, at_y = cx + (x - cx) * stretch, cy + (y - cy) * stretch
    inside = (at_x >= 0) & (at_x <= width - 1) & (at_y >= 0) & (at_y <= height - 1)
    outside = (at_x < -1) | (at_x > width) | (at_y < -1) | (at_y > height)
    # Bilinear interpolation of waves 9 px a radian is good to 1 / 8 / 9^2 of each
    assert np.abs(found - scene(at_x, at_y))[inside].max() < 0.01
    assert (found[outside] == 0.0).all()


@pytest.mark.parametrize("focal_share", [0.5, 0.8, 1.4, 4.0])
def test_a_photo_at_a_cells_corner_is_displaced_as_much_as_is_allowed(focal_share: float) -> None:
    """Its corners, where the tile has them and where the turned template does."""
    parameters = DenseParameters()
    focal = focal_share * 64.0
    half = 0.5 * math.hypot(64.0, 43.0)
    step = tile_step_deg(half / focal, parameters)
    grid = tile_grid(255, focal)
    # The corner of a square cell of that step is farthest from the tile's boresight
    x = 127.0 + 2.0 * focal * math.tan(0.5 * math.radians(step) / math.sqrt(2.0))
    camera = replace(PHOTO, focal_px=focal)
    placed = camera_at(camera, grid, ATTITUDE, x, 127.0, 0.0)
    shown = 2.0 * focal * math.tan(0.5 * math.atan(half / focal))  # in the template
    worst = 0.0
    for turn in np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False):
        c, s = math.cos(turn), math.sin(turn)
        corner = seen_on_tile(grid, placed, 31.5 + half * c, 21.0 + half * s)
        away = math.dist(corner, (x + shown * c, 127.0 + shown * s))
        worst = max(worst, away / shown)
    assert 0.9 < worst / parameters.displaced_share < 1.15


@pytest.mark.parametrize("focal_share", [0.5, 1.4, 5.0, 15.0])
def test_shifts_reach_beyond_half_a_step(focal_share: float) -> None:
    parameters = DenseParameters()
    image = np.ones((43, 64), np.float32)
    focal = focal_share * 64.0
    templates = templates_for(image, image, focal, parameters)
    diagonal = math.hypot(43.0, 64.0)
    assert templates.side_px >= diagonal
    assert templates.fft_px <= 256
    assert templates.step_deg <= tile_step_deg(0.5 * diagonal / focal, parameters) + 1e-9
    reach_px = 0.5 * (templates.fft_px - templates.side_px)
    reached = 2.0 * math.atan((reach_px + 0.5) / (2.0 * focal))
    assert math.degrees(reached) >= 0.6 * templates.step_deg


def blob_map(lon: float, lat: float, sigma_deg: float) -> LightGrid:
    """A single round light on a grid of 0.02 degrees that holds a quarter of Europe."""
    step, west, north = 0.02, lon - 12.0, lat + 12.0
    at_lon = west + (np.arange(1200) + 0.5) * step
    at_lat = north - (np.arange(1200) + 0.5) * step
    across = np.exp(-0.5 * ((at_lon - lon) * np.cos(np.radians(lat)) / sigma_deg) ** 2)
    down = np.exp(-0.5 * ((at_lat - lat) / sigma_deg) ** 2)
    return LightGrid(
        values=np.outer(down, across).astype(np.float32),
        lon0_deg=west + 0.5 * step,
        lat0_deg=north - 0.5 * step,
        step_deg=step,
    )


@pytest.mark.parametrize(
    ("off_nadir", "azimuth", "lon", "lat"),
    [(0.0, 0.0, 12.6, 42.9), (25.0, 130.0, 14.2, 39.5), (45.0, 290.0, 7.6, 43.2)],
)
def test_a_light_of_the_map_appears_where_it_is_seen(
    off_nadir: float, azimuth: float, lon: float, lat: float
) -> None:
    grid = tile_grid(120, 100.0)
    attitude = off_nadir_attitude(PHOTO.position_ecef_m, off_nadir, azimuth, 0.0)
    levels = pyramid(blob_map(lon, lat, 0.12), 4)
    light, known = view_along(
        levels, PHOTO.position_ecef_m, grid.rays @ attitude.T, grid.side_px, grid.side_px
    )
    assert known is None
    assert light.shape == (120, 120)
    sight = ecef(lon, lat) - np.asarray(PHOTO.position_ecef_m)
    x, y = on_tile(grid, sight @ attitude)
    assert 5.0 < x < 115.0
    assert 5.0 < y < 115.0
    i, j = np.mgrid[:120, :120]
    total = float(light.sum())
    # Interpolation between rays 4 px apart bends slanted ground by up to 0.15 px
    assert float((light * j).sum()) / total == pytest.approx(float(x), abs=0.25)
    assert float((light * i).sum()) / total == pytest.approx(float(y), abs=0.25)


def test_a_tile_knows_where_the_map_ends_and_that_the_sky_is_dark() -> None:
    """West of 12 degrees the map holds nothing; the sky needs no map."""
    grid = tile_grid(160, 60.0)
    attitude = off_nadir_attitude(PHOTO.position_ecef_m, 50.0, 0.0, 0.0)
    valid = np.ones((600, 900), bool)
    valid[:, :450] = False
    whole = LightGrid(
        values=np.ones(valid.shape, np.float32), lon0_deg=-32.95, lat0_deg=79.95, step_deg=0.1
    )
    ending = replace(whole, valid=valid)
    light, known = view_along(
        pyramid(ending, 3),
        PHOTO.position_ecef_m,
        grid.rays @ attitude.T,
        grid.side_px,
        grid.side_px,
    )
    assert known is not None
    x, y = np.meshgrid(np.arange(160.0), np.arange(160.0))
    u, v = (x - 79.5) / 120.0, (y - 79.5) / 120.0
    radius = np.hypot(u, v)
    angle = 2.0 * np.arctan(radius)
    share = np.sin(angle) / np.maximum(radius, 1e-12)
    rays = np.stack([u * share, v * share, np.cos(angle)], axis=-1) @ attitude.T
    # The horizon lies at asin(a / (a + h)) from the nadir, within the ellipsoid's 0.2 degrees
    down = look_matrix(12.0, 42.0, 0.0, 0.0, 0.0)[:, 2]
    from_nadir = np.degrees(np.arccos(np.clip(rays @ down, -1.0, 1.0)))
    sky, ground = from_nadir > 72.0, from_nadir < 66.0
    assert sky.sum() > 500
    assert (light[sky] == 0.0).all()
    assert (known[sky] == 1.0).all()
    # The camera looks north along its own meridian: the map's edge, too
    assert (known[ground & (x < 78.0)] == 0.0).all()
    assert (known[ground & (x > 81.0)] == 1.0).all()
    assert (
        view_along(
            pyramid(whole, 3),
            PHOTO.position_ecef_m,
            grid.rays @ attitude.T,
            grid.side_px,
            grid.side_px,
        )[1]
        is None
    )
