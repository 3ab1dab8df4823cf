"""Overlays: what is drawn lies where the camera says."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer
from scipy.spatial import KDTree
from scipy.spatial.transform import Rotation

from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import LightGrid
from regengine import Registration
from regengine.places import coast_lines
from regengine.registration.overlay import (
    draw_coast,
    draw_contours,
    draw_graticule,
    draw_overlay,
    draw_towns,
    find_visible_region,
    render_map,
)
from tests.world.results import nadir_camera, nothing_found, proposal, solved

CONTOURS = ((0, 110, 200), (0, 200, 255), (255, 0, 230))  # blues and magenta: no street lamp is
POINT = 90, 255, 90

TOWN = (136.95, 35.72)


def grid_around(camera: Camera, step_deg: float = 0.004) -> LightGrid:
    """Map with one round town at TOWN."""
    west, south, east, north, _ = find_visible_region(camera)
    lon = np.arange(west, east + step_deg, step_deg)
    lat = np.arange(north, south - step_deg, -step_deg)
    east_km = (lon - TOWN[0]) * 111.2 * np.cos(np.radians(TOWN[1]))
    north_km = (lat - TOWN[1]) * 111.2
    values = 2.0 * np.exp(-0.5 * (east_km[None] ** 2 + north_km[:, None] ** 2) / 2.5**2)
    return LightGrid(
        values=values.astype(np.float32), lon0_deg=lon[0], lat0_deg=lat[0], step_deg=step_deg
    )


def coloured(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Row and column of pixels of a colour, however thinned by antialiasing."""
    reference = np.array(colour, float) / np.linalg.norm(colour)
    strength = picture.astype(float) @ reference
    total = np.linalg.norm(picture.astype(float), axis=2)
    return np.argwhere((strength > 80.0) & (strength > 0.985 * total))


@settings(max_examples=15)
@given(
    lon=st.floats(-180, 179.9),
    lat=st.floats(-52, 52),
    tilt_deg=st.floats(-60, 60),
    mirrored=st.booleans(),
)
def test_rendering_samples_the_map_at_the_place_of_each_pixel(
    lon: float, lat: float, tilt_deg: float, mirrored: bool
) -> None:
    camera = nadir_camera(lon, lat, tilt_deg=tilt_deg).scaled(0.4, 256, 172)
    camera = replace(camera, mirrored=mirrored)
    region = find_visible_region(camera)
    west, south, east, north, _ = region
    step = (east - west) / 300
    rows = int((north - south) / step) + 2
    # A plane in latitude is sampled without error by linear interpolation.
    values = np.repeat((north - step * np.arange(rows))[:, None], 302, axis=1)
    grid = LightGrid(values=values.astype(np.float32), lon0_deg=west, lat0_deg=north, step_deg=step)
    rendered = render_map(camera, grid)
    x, y = np.meshgrid(np.arange(256.0), np.arange(172.0))
    _, expected = camera.pixel_to_lonlat(x, y)
    seen = np.isfinite(rendered)
    assert seen.any()
    # To a quarter of what a pixel spans
    spans_deg = np.hypot(*np.gradient(expected))
    seen &= np.isfinite(spans_deg)
    assert (np.abs(rendered - expected)[seen] <= 0.25 * spans_deg[seen] + 1e-4 * step).all()


def test_beyond_the_limb_the_map_is_sky() -> None:
    camera = nadir_camera(tilt_deg=68.0)
    rendered = render_map(camera, grid_around(nadir_camera()))
    assert np.isnan(rendered[0]).all()
    assert np.isfinite(rendered[-1]).all()


def test_contours_surround_the_town() -> None:
    camera = nadir_camera()
    picture = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    draw_contours(picture, render_map(camera, grid_around(camera)))
    drawn = coloured(picture, CONTOURS[-1])
    x, y = camera.lonlat_to_pixel(*TOWN)
    assert len(drawn) > 8
    assert drawn[:, 1].mean() == pytest.approx(float(x), abs=0.7)
    assert drawn[:, 0].mean() == pytest.approx(float(y), abs=0.7)


def rays_ecef(camera: Camera, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unit vectors that pixels look along, (n, 3); the lens by a table of r (1 + k1 r^2).

    NaN near and beyond the largest radius, where a pixel is any angle wide.
    """
    if camera.mirrored:
        x = camera.width_px - 1.0 - x
    offset = (np.stack([x, y], axis=-1) - camera.principal_point) / camera.focal_px
    bent, k1 = np.hypot(*offset.T), camera.distortion[0]
    table = np.linspace(0.0, 2.0 if k1 >= 0.0 else np.sqrt(-1.0 / (3.0 * k1)), 20_000)
    reached = table * (1.0 + k1 * table**2)
    straight = np.interp(bent, reached, table)
    straight[bent > 0.95 * reached[-1]] = np.nan
    local = np.column_stack([offset * (straight / np.maximum(bent, 1e-12))[:, None], bent**0])
    local /= np.linalg.norm(local, axis=1, keepdims=True)
    return Rotation.from_quat(camera.quaternion).apply(local)


def seen_lines(camera: Camera, lines: list[np.ndarray]) -> np.ndarray:
    """Unit vectors towards lines (lon, lat) of the ground that the Earth does not hide, (n, 3)."""
    fine = np.linspace(0.0, 1.0, 60)[:, None]
    places = np.concatenate([a + fine * (b - a) for line in lines for a, b in pairwise(line)])
    to_ecef = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
    ground = np.stack(to_ecef.transform(*places.T, np.zeros(len(places))), axis=-1)
    # The Earth hides what lies beyond the plane in which rays touch it
    axes = np.array([6_378_137.0, 6_378_137.0, 6_356_752.3142])
    near = (ground / axes) @ (np.array(camera.position_ecef_m) / axes) > 1.0
    towards = ground[near] - camera.position_ecef_m
    return towards / np.linalg.norm(towards, axis=1, keepdims=True)


@pytest.mark.parametrize(("tilt_deg", "mirrored"), [(0.0, False), (45.0, True), (70.0, False)])
@pytest.mark.parametrize("k1", [0.0, -0.15, -0.4, -0.8])
def test_every_drawn_pixel_shows_the_coast_or_a_round_degree(
    k1: float, tilt_deg: float, mirrored: bool
) -> None:
    """Nothing is drawn in the sky, nor where a lens lays what it cannot see into the picture."""
    lens = {"focal_px": 527.0, "distortion": (k1, 0.0, 0.0, 0.0, 0.0), "mirrored": mirrored}
    camera = replace(nadir_camera(tilt_deg=tilt_deg), **lens)
    region = find_visible_region(camera)
    graticule, coast = (np.zeros((426, 640, 3), np.uint8) for _ in range(2))
    labels = draw_graticule(graticule, camera, region)
    draw_coast(coast, camera, region)
    around = np.linspace(-40.0, 40.0, 400)
    round_degrees = []
    for text in {label.text for label in labels}:
        line = np.full(400, float(text[:-2]) * (-1.0 if text[-1] in "WS" else 1.0))
        parts = (line, 35.7 + around) if text[-1] in "EW" else (136.9 + 2.0 * around, line)
        round_degrees.append(np.column_stack(parts))
    for picture, lines in ((graticule, round_degrees), (coast, coast_lines(*region[:4]))):
        y, x = (part.astype(float) for part in np.nonzero(picture.max(axis=2) > 60))
        rays, right, below = (
            rays_ecef(camera, x + dx, y + dy) for dx, dy in ((0, 0), (1, 0), (0, 1))
        )
        pixel = np.linalg.norm([right - rays, below - rays], axis=2).max(axis=0)
        judged = np.isfinite(pixel)
        assert np.count_nonzero(judged) > 100
        away, _ = KDTree(seen_lines(camera, lines)).query(rays[judged])
        assert (away / pixel[judged]).max() < 1.6


def test_towns_are_named_where_they_are_the_larger_first() -> None:
    camera = nadir_camera(136.9, 35.17)
    picture = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    labels = draw_towns(picture, camera, find_visible_region(camera))
    assert labels[0].text == "Nagoya"
    x, y = camera.lonlat_to_pixel(136.906, 35.181)
    assert (labels[0].x, labels[0].y) == pytest.approx((float(x), float(y)), abs=8.0)
    at = np.array([(one.x, one.y) for one in labels])
    apart = np.linalg.norm(at[:, None] - at[None], axis=2)[np.triu_indices(len(at), 1)]
    assert apart.min() >= 0.06 * camera.width_px
    assert picture.any()
    assert find_visible_region(nadir_camera(tilt_deg=120.0)) is None


@pytest.mark.parametrize("lon", [179.9, -179.9])
def test_the_coast_on_both_sides_of_the_antimeridian(lon: float) -> None:
    """Rabi and Taveuni lie on either side of it."""
    camera = nadir_camera(lon, -16.7)
    picture = np.zeros((camera.height_px, camera.width_px, 3), np.uint8)
    draw_coast(picture, camera, find_visible_region(camera))
    for place in ((179.88, -16.62), (-179.88, -16.79)):
        x, y = (int(v) for v in camera.lonlat_to_pixel(*place))
        assert picture[y - 40 : y + 41, x - 40 : x + 41].any()


def test_without_a_map_the_points_are_drawn_all_the_same() -> None:
    picture = draw_overlay(proposal(), np.zeros((426, 640, 3), np.uint8), 1.0, None)
    assert len(coloured(picture, POINT)) > 60
    assert picture.shape[0] < 426 + 250


def test_words_tell_what_the_result_says() -> None:
    def words(**known: Any) -> str:
        return repr(Registration(replace(proposal(), **known)))

    mirrored = solved(replace(nadir_camera(), mirrored=True))
    for text in (
        *("0.9997", "margin 0.29", "143 matched", "mirrored", "orientation 6", "-131.7 s"),
        *("residual 0.7 px (160 m)", "off-nadir 0°", "focal length 1506 px", "391 km (tle)"),
        "centre 35.70 N 136.90 E",
    ):
        assert text in words(solved=mirrored)
    assert "centre sky" in words(solved=solved(nadir_camera(tilt_deg=120.0)))
    assert "centre" not in repr(Registration(nothing_found()))
    told = {0.5: "0.50", 0.9997: "0.9997", 0.99999: ">0.9999", 0.004: "0.0040", 1e-6: "<0.0001"}
    for probability, text in told.items():
        assert f"; probability {text};" in words(probability=probability)
    for low, high, limits in ((0.97, 1.0, "0.97 to 1"), (0.0, 0.99995, "0 to >0.9999")):
        within = words(probability=0.98, probability_low=low, probability_high=high)
        assert f"; probability 0.98 ({limits});" in within
