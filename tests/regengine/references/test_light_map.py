"""Windows of one or several maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from light_map_makers import STEP, blob, centroid, write_geotiff

from regengine import LightMap, open_light_map
from regengine.errors import ConfigError, LightMapError
from tests.world.program import run

WORLD_STEP = 0.5  # a coarse world of 720 by 360 pixels stands for the fine one


def world_samples() -> np.ndarray:
    return np.random.default_rng(6).gamma(0.5, 8.0, (360, 720)).astype(np.float32)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> LightMap:
    path = tmp_path_factory.mktemp("world") / "world.tif"
    write_geotiff(path, world_samples(), west=-180.0, north=90.0, step=WORLD_STEP)
    return open_light_map([path])


longitudes = st.floats(-540.0, 540.0)
sizes = st.floats(0.3, 170.0)


@given(west=longitudes, width=sizes, south=st.floats(-95.0, 85.0), height=sizes)
def test_any_window_holds_the_worlds_pixels_at_their_places(
    world: LightMap, west: float, width: float, south: float, height: float
) -> None:
    """Also across the antimeridian and over the poles."""
    north = south + height
    if min(north, 90.0) <= max(south, -90.0):
        return
    grid = world.window(west, south, west + width, north, WORLD_STEP)
    rows, cols = np.indices(grid.values.shape)
    lon = grid.lon0_deg + cols * grid.step_deg
    lat = grid.lat0_deg - rows * grid.step_deg
    expected_col = np.floor((lon + 180.0) / WORLD_STEP).astype(int) % 720
    expected_row = np.floor((90.0 - lat) / WORLD_STEP).astype(int)
    assert grid.step_deg == WORLD_STEP
    assert grid.valid is None
    expected = np.log10(1.0 + world_samples())[expected_row, expected_col]
    np.testing.assert_allclose(grid.values, expected, atol=1e-6)
    # covers what was asked for, and not a pixel more than needed
    assert lon.min() - 0.25 <= west + 1e-6
    assert lon.max() + 0.25 >= west + width - 1e-6
    assert lat.min() - 0.25 <= max(south, -90.0) + 1e-6
    assert lat.max() + 0.25 >= min(north, 90.0) - 1e-6
    assert grid.values.shape[1] <= np.ceil(width / WORLD_STEP) + 1


@given(west=longitudes, factor=st.sampled_from([2, 4, 8]))
@settings(max_examples=20)
def test_coarse_windows_are_means_on_one_grid_wherever_they_begin(
    world: LightMap, west: float, factor: int
) -> None:
    values = np.log10(1.0 + world_samples())
    means = values.reshape(360 // factor, factor, 720 // factor, factor).mean(axis=(1, 3))
    step = factor * WORLD_STEP
    grid = world.window(west, -20.0, west + 50.0, 30.0, step * 1.3)
    assert grid.step_deg == pytest.approx(step)
    first_col = (grid.lon0_deg - step / 2 + 180.0) / step
    first_row = (90.0 - grid.lat0_deg - step / 2) / step
    assert first_col == pytest.approx(round(first_col), abs=1e-6)
    cols = (round(first_col) + np.arange(grid.values.shape[1])) % (720 // factor)
    rows = round(first_row) + np.arange(grid.values.shape[0])
    np.testing.assert_allclose(grid.values, means[np.ix_(rows, cols)], atol=1e-5)


def test_the_whole_turn_is_a_window(world: LightMap) -> None:
    grid = world.window(-180.0, -90.0, 180.0, 90.0, 32 * WORLD_STEP)
    assert grid.values.shape == (12, 23)  # 360 / 32 and 720 / 32, rounded up
    assert grid.lat0_deg == pytest.approx(90.0 - 8.0)


@pytest.mark.parametrize(
    "region",
    [(10, 0, 10, 5), (10, 0, 5, 5), (0, 5, 5, 5), (0, 0, 361, 5), (0, 91, 5, 95),
     (float("nan"), 0, 5, 5)],
)  # fmt: skip
def test_no_region_is_told(world: LightMap, region: tuple[float, float, float, float]) -> None:
    with pytest.raises(ConfigError, match="is not a"):
        world.window(*region, 1.0)
    with pytest.raises(ConfigError, match="is not a"):
        world.window(0, 0, 1, 1, 0.0)


def test_a_map_without_data_at_the_place_does_not_cover_it(tmp_path: Path) -> None:
    samples = np.ones((40, 40), np.float32)
    samples[:20] = np.nan
    light_map = open_light_map([write_geotiff(tmp_path / "m.tif", samples)])
    with pytest.raises(LightMapError) as caught:
        light_map.window(0.0, -10 * STEP, 20 * STEP, 0.0, STEP)
    assert caught.value.code == "outside_map"
    assert light_map.window(0.0, -40 * STEP, 20 * STEP, 0.0, STEP).valid is not None


def test_beyond_the_edge_is_dark_and_not_valid(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "m.tif", np.full((30, 30), 9.0, np.float32))
    grid = open_light_map([path]).window(-10 * STEP, -35 * STEP, 10 * STEP, 5 * STEP, STEP)
    assert grid.values.shape == (40, 20)
    assert (grid.values[grid.valid] == 1.0).all()
    assert (grid.values[~grid.valid] == 0.0).all()
    assert np.argwhere(grid.valid).min(axis=0).tolist() == [5, 10]
    assert np.argwhere(grid.valid).max(axis=0).tolist() == [34, 19]


def test_a_picture_saturated_in_the_window_says_so(tmp_path: Path) -> None:
    picture = np.zeros((100, 100), np.uint8)
    picture[50:, :] = 255
    light_map = open_light_map([write_geotiff(tmp_path / "m.tif", picture, north=50.0)])
    top = light_map.window(0.0, 50.0 - 40 * STEP, 0.4, 50.0, STEP)
    bottom = light_map.window(0.0, 50.0 - 90 * STEP, 0.4, 50.0 - 60 * STEP, STEP)
    assert top.saturation is None
    assert bottom.saturation == pytest.approx(np.log10(1.0 + 25.0), abs=0.01)  # 25 nW


def test_of_equals_the_first_given_counts(tmp_path: Path) -> None:
    low = write_geotiff(tmp_path / "low.tif", np.full((20, 20), 1.0, np.float32))
    high = write_geotiff(tmp_path / "high.tif", np.full((20, 20), 9.0, np.float32))
    box = (0.0, -20 * STEP, 20 * STEP, 0.0, STEP)
    assert open_light_map([high, low]).window(*box).values.max() == pytest.approx(1.0)
    assert open_light_map([low, high]).window(*box).values.max() == pytest.approx(np.log10(2.0))


def test_a_finer_map_counts_before_a_coarser_one(tmp_path: Path) -> None:
    coarse = np.full((10, 10), 1.0, np.float32)
    write_geotiff(tmp_path / "coarse.tif", coarse, step=16 * STEP)
    write_geotiff(tmp_path / "fine.tif", np.full((40, 40), 9.0, np.float32))
    light_map = open_light_map([tmp_path / "coarse.tif", tmp_path / "fine.tif"])
    grid = light_map.window(0.0, -80 * STEP, 80 * STEP, 0.0, STEP)
    assert grid.values[:39, :39] == pytest.approx(1.0)
    assert grid.values[45:, 45:] == pytest.approx(np.log10(2.0), abs=1e-5)


def test_a_window_far_from_the_greenwich_turn_is_the_same(tmp_path: Path) -> None:
    path = write_geotiff(tmp_path / "m.tif", blob(50, 50, 20, 30), west=200.0, north=10.0)
    light_map = open_light_map([path])  # 200° east, as in maps of 0 to 360
    grid = light_map.window(-160.0, 9.8, -159.8, 10.0, STEP)
    assert centroid(grid) == pytest.approx((-160.0 + 30.5 * STEP, 10 - 20.5 * STEP), abs=1e-4)


def test_a_large_map_without_overviews_is_not_read_for_one(tmp_path: Path) -> None:
    """2,048 by 4,096 pixels: too many to be read, the overview of a built map is not."""
    path = write_geotiff(tmp_path / "large.tif", np.full((2048, 4096), 3.0, np.float32))
    plain = open_light_map([path])
    assert plain.overview(16.0 * STEP) is None
    said = run("lights", "build", path, "--out", tmp_path / "built.tif", "--no-index", "--quiet")
    assert said.code == 0, said.err
    overview = open_light_map([tmp_path / "built.tif"]).overview(16.0 * STEP)
    assert overview.values.shape == (128, 256)
    np.testing.assert_allclose(overview.values, np.log10(4.0), atol=1e-4)
