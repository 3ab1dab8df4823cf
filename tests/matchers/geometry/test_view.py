"""The rendered map shows lights where PROJ and OpenCV put them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pyproj import Geod

from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import LightGrid, fill_missing, make_pyramid
from matchers.geometry.view import draw, lattice, render_known
from tests.matchers.lamp_world import camera_over, ecef, project

WGS84 = Geod(ellps="WGS84")


def grid_of(values: FloatImage, lon0: float, lat0: float, step: float, **more: Any) -> LightGrid:
    """A grid by its values, the centre of its first pixel and its step, degrees."""
    return LightGrid(values=values, lon0_deg=lon0, lat0_deg=lat0, step_deg=step, **more)


def grid_with_lights(
    places: list[tuple[float, float]], *, west: float, north: float, step: float, size: int
) -> tuple[LightGrid, list[tuple[float, float]]]:
    """A dark grid with single lit pixels near some places, and where their centres are."""
    values = np.zeros((size, size), np.float32)
    centres = []
    for lon, lat in places:
        col, row = int((lon - west) / step), int((north - lat) / step)
        values[row, col] = 1.0
        centres.append((west + (col + 0.5) * step, north - (row + 0.5) * step))
    grid = grid_of(values, west + 0.5 * step, north - 0.5 * step, step)
    return grid, centres


def centroid(image: FloatImage, x: float, y: float, reach: int) -> tuple[float, float]:
    """Centre of the light around a place of an image."""
    left, top = max(round(x) - reach, 0), max(round(y) - reach, 0)
    part = image[top : top + 2 * reach + 1, left : left + 2 * reach + 1].astype(float)
    assert part.sum() > 0.0
    i, j = np.mgrid[: part.shape[0], : part.shape[1]]
    return (
        left + float((part * j).sum() / part.sum()),
        top + float((part * i).sum() / part.sum()),
    )


VIEWS = {
    "nadir": camera_over(12.0, 42.0, focal_px=1000.0, roll=25.0),
    "oblique": camera_over(8.3, 42.0, focal_px=1800.0, off_nadir=37.0, azimuth=80.0),
    "steep": camera_over(12.0, 36.1, focal_px=1800.0, off_nadir=55.0, azimuth=3.0, roll=-140.0),
    "mirrored": camera_over(12.0, 42.0, focal_px=1000.0, roll=-60.0, mirrored=True),
    "distorted": camera_over(
        12.0, 42.0, focal_px=1000.0, roll=70.0, distortion=(-0.4, 0.0, 0.01, 0.0, 0.0)
    ),
}


def lights_in(camera: Camera, count: int = 12) -> list[tuple[float, float]]:
    """Places well inside a picture."""
    rng = np.random.default_rng(5)
    x = rng.uniform(20, camera.width_px - 21, 40)
    y = rng.uniform(20, camera.height_px - 21, 40)
    lon, lat = camera.pixel_to_lonlat(x, y)
    seen = np.flatnonzero(np.isfinite(lon))[:count]
    return [(float(lon[k]), float(lat[k])) for k in seen]


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("supersample", [1, 2, 3])
def test_single_lit_pixels_appear_where_they_are(name: str, supersample: int) -> None:
    """A map pixel is 2.2 to 4 image pixels wide here: half of one would be ten tolerances."""
    camera = VIEWS[name]
    for place in lights_in(camera):
        west, north = round(place[0]) - 2.0, round(place[1]) + 2.0
        grid, [(lon, lat)] = grid_with_lights([place], west=west, north=north, step=0.01, size=400)
        x, y = project(camera, ecef(lon, lat)[None])[0]
        found = centroid(render_known(make_pyramid(grid, 4), camera, supersample)[0], x, y, 14)
        assert found == pytest.approx((x, y), abs=0.1)


def test_a_grid_across_the_antimeridian_is_continuous() -> None:
    camera = camera_over(179.95, -17.0, focal_px=1000.0)
    for lon in (179.8, -179.9):
        turned = lon if lon > 0 else lon + 360.0
        grid, [(at_lon, at_lat)] = grid_with_lights(
            [(turned, -17.1)], west=178.0, north=-15.0, step=0.01, size=400
        )
        x, y = project(camera, ecef(at_lon, at_lat)[None])[0]
        assert 0.0 < x < 299.0
        found = centroid(render_known(make_pyramid(grid, 3), camera, 2)[0], x, y, 10)
        assert found == pytest.approx((x, y), abs=0.1)


def test_the_sky_is_dark_and_the_rest_bright() -> None:
    camera = camera_over(12.0, 42.0, off_nadir=68.0, azimuth=0.0, focal_px=250.0)
    grid = grid_of(np.ones((600, 900), np.float32), -33.0, 72.0, 0.1)
    lon, _ = camera.pixel_to_lonlat(*np.meshgrid(np.arange(300.0), np.arange(200.0)))
    sky = ~np.isfinite(lon)
    assert 0.05 < sky.mean() < 0.6
    image = render_known(make_pyramid(grid, 5), camera, 2)[0]
    edge = np.abs(np.gradient(sky.astype(float))[0]) > 0  # within a lattice step of the limb
    for _ in range(6):
        edge[1:] |= edge[:-1]
        edge[:-1] |= edge[1:]
    assert image[sky & ~edge].max() == 0.0
    assert image[~sky & ~edge].min() > 0.999


@pytest.mark.parametrize("mean_side", [False, True])
def test_the_level_grows_with_the_footprint(mean_side: bool) -> None:
    """Of a pyramid whose light is the number of the level."""
    step_deg, side = 0.01, 2048
    levels = [
        grid_of(np.full((side >> k, side >> k), k, np.float32), 0.0, 10.0, step_deg * 2**k)
        for k in range(6)
    ]
    x, y = np.meshgrid(lattice(12, 4), lattice(12, 4))

    def level_of(col: FloatArray, row: FloatArray) -> int:
        ground = ecef(step_deg * (col + 60.0), 10.0 - step_deg * (row + 60.0))
        light, _ = draw(levels, ground, (12, 12), 4, mean_side=mean_side)
        assert np.ptp(light) == 0.0
        return int(light[0, 0])

    found = [level_of(s * x, s * y) for s in (0.3, 1, 2, 4, 8, 16, 100)]
    assert found == [0, 0, 1, 2, 3, 4, 5]  # never beyond the coarsest
    # A slanted footprint goes by its narrow side, or its mean one
    assert level_of(16 * x, 2 * y) == (2 if mean_side else 1)
    assert level_of(1.414 * (x - y) + 20.0, 1.414 * (x + y)) == 1


def ending_grid() -> LightGrid:
    """Four degrees of light, of which the western half holds no data."""
    valid = np.ones((400, 400), bool)
    valid[:, :200] = False
    return grid_of(np.ones((400, 400), np.float32), 10.005, 43.995, 0.01, valid=valid)


@pytest.mark.parametrize("supersample", [1, 2])
@pytest.mark.parametrize("told", ["by the map", "by the window's edge"])
def test_what_the_map_does_not_hold_is_not_known(supersample: int, told: str) -> None:
    """No data in the window and nothing beyond the window are the same."""
    grid = ending_grid()
    if told == "by the window's edge":
        grid = replace(grid, values=grid.values[:, 200:], valid=None, lon0_deg=12.005)
    camera = camera_over(12.0, 42.0, focal_px=1500.0)
    _, known = render_known([grid], camera, supersample)
    x, y = np.meshgrid(np.arange(300.0), np.arange(200.0))
    lon, _ = camera.pixel_to_lonlat(x, y)
    clear = np.abs(lon - 12.0) > 0.02
    assert (known[clear] == (lon > 12.0)[clear]).all()
    assert 0.2 < (known[clear] == 0.0).mean() < 0.8


@pytest.mark.parametrize("valid", ["all", "none", "not told"])
def test_beyond_the_windows_edge_nothing_is_known_and_the_sky_is(valid: str) -> None:
    """Half a pixel beyond the outermost centres the window ends, on all four sides."""
    given = {"all": np.ones((3, 5), bool), "none": np.zeros((3, 5), bool), "not told": None}
    grid = grid_of(np.ones((3, 5), np.float32), 0.0, 2.0, 1.0, valid=given[valid])
    nodes = lattice(40, 4)
    lon, lat = np.meshgrid(0.2 * nodes - 1.13, 3.13 - 0.2 * nodes)
    ground = ecef(lon, lat)
    ground[-3:] = np.nan
    _, known = draw([grid], ground, (40, 40), 4)
    at = 0.2 * np.arange(40)
    col = row = at - 1.13
    inside = np.outer((row > -0.5) & (row < 2.5), (col > -0.5) & (col < 4.5))
    expected = inside & (valid != "none")
    assert (known[:29] == expected[:29]).all()
    assert (known[36:] == 1.0).all()  # the sky


def test_a_pyramid_keeps_means_and_places() -> None:
    rng = np.random.default_rng(0)
    grid = grid_of(rng.random((96, 128)).astype(np.float32), 5.0, 50.0, 0.25)
    levels = make_pyramid(grid, 9)
    assert levels[0] is grid
    assert [level.values.shape for level in levels] == [(96, 128), (48, 64), (24, 32), (12, 16)]
    for k, level in enumerate(levels):
        assert level.values.mean() == pytest.approx(grid.values.mean(), abs=1e-6)
        assert level.step_deg == 0.25 * 2**k
        # The outer edges stay where they are
        assert level.lon0_deg - 0.5 * level.step_deg == pytest.approx(5.0 - 0.125)
        assert level.lat0_deg + 0.5 * level.step_deg == pytest.approx(50.0 + 0.125)
    assert levels[1].values[3, 5] == pytest.approx(grid.values[6:8, 10:12].mean())
    assert len(make_pyramid(grid, 2)) == 2


def test_a_pixel_of_a_pyramid_is_valid_if_all_its_parts_are() -> None:
    valid = np.ones((32, 32), bool)
    valid[5, 9] = False
    grid = grid_of(np.ones((32, 32), np.float32), 0.0, 0.0, 1.0, valid=valid)
    half = make_pyramid(grid, 2)[1]
    assert np.argwhere(~half.valid).tolist() == [[2, 4]]


def test_holes_are_filled_with_the_mean() -> None:
    values = np.array([[1.0, 3.0], [0.0, 0.0]], np.float32)
    valid = np.array([[True, True], [False, True]])
    grid = grid_of(values, 0.0, 0.0, 1.0, valid=valid)
    assert fill_missing(grid).values == pytest.approx(np.array([[1.0, 3.0], [4.0 / 3.0, 0.0]]))
    assert fill_missing(replace(grid, valid=None)).values is values
    assert fill_missing(replace(grid, valid=np.zeros((2, 2), bool))).values is values
