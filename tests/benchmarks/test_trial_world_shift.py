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
from benchmarks.trials.source import CLASS_RADIANCE, WORLD_FILE

LARGEST_PX = 2.5
FINE_PX, BROAD_PX = 1.2, 5.0  # what is left out of the comparison: grain, and what is broader
BORDER_PX = 12
ITERATIONS = 12
CONVERGED_PX = 0.01


def shift_px(
    true: NDArray[np.uint8], moved: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], float]:
    """How far right and down the content of one window lies of another's.

    Gauss-Newton on the difference of both, less what is broader or finer than towns.
    """
    target, picture = _details(true), _details(moved)
    inner = np.s_[BORDER_PX:-BORDER_PX, BORDER_PX:-BORDER_PX]
    shift = np.zeros(2)
    b = target[inner].ravel()
    if b.std() < 0.01:
        return shift, 0.0
    for _ in range(ITERATIONS):
        warp = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
        size = (picture.shape[1], picture.shape[0])
        now = np.asarray(cv2.warpAffine(picture, warp, size, flags=cv2.INTER_CUBIC))
        gy, gx = np.gradient(now)
        design = np.stack([part[inner].ravel() for part in (now, -gx, -gy)])
        normal = (design @ design.T).astype(float)
        if np.linalg.cond(normal) > 1e8:
            return shift, 0.0
        gain, *moved_by = np.linalg.solve(normal, (design @ b).astype(float))
        if gain < 0.01:
            return shift, 0.0
        step = np.clip(np.array(moved_by) / gain, -1.0, 1.0)
        shift = shift + step
        if np.abs(shift).max() > LARGEST_PX + 1.0:
            return shift, 0.0
        if np.abs(step).max() < CONVERGED_PX:
            break
    return shift, float(np.corrcoef(now[inner].ravel(), b)[0, 1])


def _details(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    light = image.astype(np.float32)
    fine, broad = (cv2.GaussianBlur(light, (0, 0), px) for px in (FINE_PX, BROAD_PX))
    return np.asarray(fine - broad, np.float32)


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
