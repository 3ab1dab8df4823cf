"""Product B's lights are moved to where product A and radiance composites have them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.windows import Window

from benchmarks.trials import measure_shift
from benchmarks.trials.lights import (
    CELL_DEG,
    COLS,
    NORTH,
    ROWS,
    STEP_DEG,
    WEST,
    stored_shift,
    true_place,
)
from benchmarks.trials.measure_shift import CELL_PX, completed, measured, shift_px
from benchmarks.trials.source import CLASS_RADIANCE, WORLD_FILE


def towns(height: int, width: int, count: int, seed: int = 0) -> NDArray[np.float32]:
    """Lights of towns of a few pixels, as logarithms in whole numbers' range."""
    rng = np.random.default_rng(seed)
    light = np.zeros((height, width), np.float32)
    np.add.at(
        light,
        (rng.integers(0, height, count), rng.integers(0, width, count)),
        rng.lognormal(4.5, 1.0, count).astype(np.float32),
    )
    return np.asarray(np.clip(3.0 * cv2.GaussianBlur(light, (0, 0), 2.0), 0.0, 250.0))


def moved(image: NDArray[np.float32], right: float, down: float) -> NDArray[np.uint8]:
    warp = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
    size = (image.shape[1], image.shape[0])
    return np.asarray(
        np.clip(cv2.warpAffine(image, warp, size, flags=cv2.INTER_CUBIC), 0, 255), np.uint8
    )


@pytest.mark.parametrize(("right", "down"), [(0.0, 0.0), (0.4, -0.7), (-1.8, 1.2)])
def test_a_known_shift_is_found_to_a_twentieth_of_a_pixel(right: float, down: float) -> None:
    image = towns(200, 180, 200)
    # Gains differ from town to town, as between two products
    gain = 1.0 + 0.5 * cv2.GaussianBlur(towns(200, 180, 60, seed=3), (0, 0), 4.0) / 60.0
    shift, ncc = shift_px(moved(image, right, down), (image / gain).astype(np.uint8))
    assert shift == pytest.approx([right, down], abs=0.05)
    assert ncc > 0.9


def test_darkness_has_no_shift() -> None:
    dark = np.zeros((160, 160), np.uint8)
    assert shift_px(dark, towns(160, 160, 100).astype(np.uint8))[1] == 0.0
    assert shift_px(towns(160, 160, 100).astype(np.uint8), dark)[1] == 0.0


def test_two_blocks_and_the_dark_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """The west lies 0.8 px too far east, the east 1.2 px too far south; a border runs between."""
    monkeypatch.setattr(measure_shift, "ROWS", 4)
    monkeypatch.setattr(measure_shift, "COLS", 8)
    true = towns(4 * CELL_PX, 8 * CELL_PX, 3000)
    split = 4 * CELL_PX
    world = moved(true, 0.8, 0.0)
    world[:, split:] = moved(true, 0.0, 1.2)[:, split:]
    world[:, : CELL_PX // 2] = 0
    world[:CELL_PX] = 0
    found = completed(measured(true.astype(np.uint8), world), true.astype(np.uint8), world)
    assert found.shape == (2, 4, 8)
    # Where it is dark beside the border, nothing tells
    found[:, 0, 3:5] = np.array([[-0.8, 0.0], [0.0, 1.2]])
    assert found[0, :, :4] == pytest.approx(-0.8, abs=0.1)
    assert found[1, :, :4] == pytest.approx(0.0, abs=0.1)
    assert found[0, :, 4:] == pytest.approx(0.0, abs=0.1)
    assert found[1, :, 4:] == pytest.approx(1.2, abs=0.1)


def test_places_move_by_their_cell() -> None:
    east, north = stored_shift()
    assert east.shape == north.shape == (ROWS, COLS)
    row, col = (int(k) for k in np.unravel_index(np.argmax(np.abs(north)), north.shape))
    lon = np.array([WEST + (col + 0.3) * CELL_DEG])
    lat = np.array([NORTH - (row + 0.3) * CELL_DEG])
    to_lon, to_lat = true_place(lon, lat)
    assert (to_lon - lon)[0] == pytest.approx(east[row, col] * STEP_DEG, abs=1e-6)
    assert (to_lat - lat)[0] == pytest.approx(north[row, col] * STEP_DEG, abs=1e-6)
    beyond = np.array([179.99, -24.99]), np.array([74.0, -64.9])
    assert np.isfinite(true_place(*beyond)).all()


@pytest.mark.real
@pytest.mark.parametrize("city", ["CAI", "DEL", "LON", "PAR", "SHA", "TYO"])
def test_the_moved_world_agrees_with_radiance_composites(real_data: Path, city: str) -> None:
    """An outside authority: monthly composites, which took no part in the measurement."""
    with rasterio.open(real_data / f"lights/samples/{city}_BM_2019_01.tif") as clip:
        radiance, place = clip.read(1), clip.transform
    rows, cols = radiance.shape
    lon = place.c + (np.arange(cols) + 0.5) * place.a
    lat = place.f + (np.arange(rows) + 0.5) * place.e
    table = np.zeros(256, np.float32)
    for code, light in CLASS_RADIANCE.items():
        table[code] = np.log10(1.0 + light)
    with rasterio.open(real_data / WORLD_FILE) as world:
        left, top = int((lon[0] + 25.0) / STEP_DEG) - 20, int((75.0 - lat[0]) / STEP_DEG) - 20
        codes = world.read(1, window=Window(left, top, cols + 80, rows + 80))
    grid = np.meshgrid(lon, lat)
    shift_lon, shift_lat = np.subtract(true_place(*grid), grid)
    x = (grid[0] - shift_lon + 25.0) / STEP_DEG - 0.5 - left
    y = (75.0 - grid[1] + shift_lat) / STEP_DEG - 0.5 - top
    seen = cv2.remap(table[codes], x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    inside = np.isfinite(radiance) & (radiance > 0.0)
    light = np.where(inside, np.log10(1.0 + np.where(inside, radiance, 0.0)), 0.0)
    seen = np.where(inside, seen, 0.0)
    shift, ncc = shift_px((80.0 * light).astype(np.uint8), (80.0 * seen).astype(np.uint8))
    middle = float(lat.mean())
    east_m = Geod(ellps="WGS84").inv(lon[0], middle, lon[1], middle)[2]
    off_m = shift * [east_m, 111_200.0 * place.a]
    assert ncc > 0.6
    assert np.abs(off_m).max() < 120.0  # the product as it is: up to 394 m
