"""Measure how far the blocks of product B lie from product A: the table of `world_shift`.

``python -m benchmarks.trials.measure_shift MAP WORLD``
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from benchmarks.trials.lights import COLS, NORTH, ROWS, STEP_DEG, TABLE, UNIT_PX, WEST
from benchmarks.trials.source import CLASS_RADIANCE
from regengine.lights.map import open_light_map

FloatArray = NDArray[np.float64]
Image = NDArray[np.float32]
Codes = NDArray[np.uint8]  # logarithms of light, for two maps of a hemisphere fill the memory

CELL_PX = 120
WINDOW_PX = 160  # compared about each cell
LEAST_LIT = 0.01
LEAST_NCC = 0.45
LARGEST_PX = 2.5
FINE_PX, BROAD_PX = 1.2, 5.0  # what is left out of the comparison: grain, and what is broader
BORDER_PX = 12
CODES_PER_DECADE = 80.0
ITERATIONS = 12
CONVERGED_PX = 0.01
AGREEING_PX = 0.3  # neighbours of one block differ by less: jumps between blocks are of a pixel
FEWEST_AGREEING = 4


def shift_px(true: Codes, moved: Codes) -> tuple[FloatArray, float]:
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


def _details(image: Codes) -> Image:
    light = image.astype(np.float32)
    fine, broad = (cv2.GaussianBlur(light, (0, 0), px) for px in (FINE_PX, BROAD_PX))
    return np.asarray(fine - broad, np.float32)


def measured(true: Codes, moved: Codes) -> FloatArray:
    """Shift east and north, and correlation, of every cell; NaN where there is too little light."""
    found = np.full((3, ROWS, COLS), np.nan)
    margin = (WINDOW_PX - CELL_PX) // 2
    for row in range(ROWS):
        for col in range(COLS):
            top, left = row * CELL_PX - margin, col * CELL_PX - margin
            window = np.s_[max(top, 0) : top + WINDOW_PX, max(left, 0) : left + WINDOW_PX]
            if (moved[window] > 0.0).mean() < LEAST_LIT or min(moved[window].shape) < CELL_PX:
                continue
            shift, ncc = shift_px(true[window], moved[window])
            if ncc >= LEAST_NCC and np.abs(shift).max() <= LARGEST_PX:
                found[:, row, col] = shift[0], -shift[1], ncc
    return found


def completed(found: FloatArray, true: Codes, moved: Codes) -> FloatArray:
    """A shift for every cell: medians within blocks, and the likeliest neighbour's elsewhere."""
    sure = np.full((2, ROWS, COLS), np.nan)
    padded = np.pad(found[:2], ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    for row, col in np.argwhere(np.isfinite(found[0])):
        near = padded[:, row : row + 3, col : col + 3].reshape(2, -1)
        same = np.abs(near - found[:2, row, col][:, None]).max(axis=0) < AGREEING_PX
        if same.sum() >= FEWEST_AGREEING:
            sure[:, row, col] = np.median(near[:, same], axis=1)
    nearest = distance_transform_edt(np.isnan(sure[0]), return_distances=False, return_indices=True)
    result = sure[:, nearest[0], nearest[1]]
    # On the border of two blocks, the cell's own light tells to which it belongs
    for row, col in np.argwhere(np.isfinite(found[0]) & np.isnan(sure[0])):
        near = sure[:, max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3].reshape(2, -1)
        near = near[:, np.isfinite(near[0])]
        if near.shape[1]:
            cell = np.s_[row * CELL_PX : (row + 1) * CELL_PX, col * CELL_PX : (col + 1) * CELL_PX]
            fits = [_correlation(true[cell], moved[cell], shift) for shift in near.T]
            result[:, row, col] = near[:, int(np.argmax(fits))]
    return result


def _correlation(true: Codes, moved: Codes, shift: FloatArray) -> float:
    warp = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, -shift[1]]])
    size = (moved.shape[1], moved.shape[0])
    now = cv2.warpAffine(_details(moved), warp, size, flags=cv2.INTER_CUBIC)
    target = _details(true)
    spread = float(now.std() * target.std())
    return float(((now - now.mean()) * (target - target.mean())).mean()) / max(spread, 1e-9)


def main(map_path: str, world_path: str) -> None:
    """Measure the shifts of product B (``world_path``) against product A and store them."""
    import rasterio
    from rasterio.windows import Window

    table = np.zeros(256, np.uint8)
    for code, radiance in CLASS_RADIANCE.items():
        table[code] = round(CODES_PER_DECADE * np.log10(1.0 + radiance))
    height, width = ROWS * CELL_PX, COLS * CELL_PX
    true, moved = (np.zeros((height, width), np.uint8) for _ in range(2))
    light_map = open_light_map((Path(map_path),))
    with rasterio.open(world_path) as world:
        skipped = round((world.transform.f - NORTH) / STEP_DEG)
        for top in range(0, height - 1200 + 1, 1200):
            north = NORTH - top * STEP_DEG
            rows = min(1200, world.height - skipped - top)
            if rows <= 0:
                break
            part = world.read(1, window=Window(0, skipped + top, width, rows))
            moved[top : top + rows] = table[part]
            grid = light_map.window(
                WEST, north - 5.0, WEST + COLS * CELL_PX * STEP_DEG, north, STEP_DEG
            )
            i = round((grid.lat0_deg - (north - 0.5 * STEP_DEG)) / STEP_DEG)
            j = round((WEST + 0.5 * STEP_DEG - grid.lon0_deg) / STEP_DEG)
            values = grid.values[i : i + rows, j : j + width]
            true[top : top + rows] = np.round(CODES_PER_DECADE * values)
    result = completed(measured(true, moved), true, moved)
    east, north_px = (np.round(plane / UNIT_PX).astype(np.int8) for plane in result)
    np.savez_compressed(TABLE, east=east, north=north_px)


if __name__ == "__main__":
    main(*sys.argv[1:])
