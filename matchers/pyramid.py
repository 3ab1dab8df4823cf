"""A map as a pyramid of ever coarser grids, and which of them suits a view."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.light_grid import LightGrid

Image = NDArray[np.float32]


def pyramid(grid: LightGrid, levels: int) -> tuple[LightGrid, ...]:
    """Halve a grid again and again by averaging 2 x 2 pixels.

    Parameters
    ----------
    grid : LightGrid
        Finest level.
    levels : int
        How many levels to return at most, the given one included; stops at 8 pixels.

    Returns
    -------
    tuple of LightGrid
        Finest first.
    """
    result = [grid]
    while len(result) < levels and min(result[-1].values.shape) >= 16:
        last = result[-1]
        rows, cols = (side // 2 * 2 for side in last.values.shape)
        size = (cols // 2, rows // 2)
        half = np.asarray(
            cv2.resize(last.values[:rows, :cols], size, interpolation=cv2.INTER_AREA), np.float32
        )
        valid = None
        if last.valid is not None:
            parts = last.valid[:rows, :cols].reshape(rows // 2, 2, cols // 2, 2)
            valid = np.asarray(parts.all(axis=(1, 3)))
        result.append(
            LightGrid(
                values=half,
                valid=valid,
                lon0_deg=last.lon0_deg + 0.5 * last.step_deg,
                lat0_deg=last.lat0_deg - 0.5 * last.step_deg,
                step_deg=2.0 * last.step_deg,
                saturation=last.saturation,
            )
        )
    return tuple(result)


def filled(grid: LightGrid) -> LightGrid:
    """A grid whose pixels without data hold the mean of the others, so that no edge shows.

    Parameters
    ----------
    grid : LightGrid
        A window of a map.

    Returns
    -------
    LightGrid
        The same object where nothing is to be filled.
    """
    if grid.valid is None or grid.valid.all() or not grid.valid.any():
        return grid
    mean = np.float32(grid.values[grid.valid].mean())
    return replace(grid, values=np.where(grid.valid, grid.values, mean))


def footprint_level(col: Image, row: Image, count: int) -> NDArray[np.int8]:
    """Pyramid level that suits the narrow side of every sample's footprint on the map.

    Parameters
    ----------
    col, row : ndarray of float32, shape (h, w)
        Map positions of the samples.
    count : int
        Levels of the pyramid.

    Returns
    -------
    ndarray of int8, shape (h, w)
        Measured on every fourth sample; neighbours share its level.
    """
    step = 4
    c, r = col[::step, ::step], row[::step, ::step]
    if min(c.shape) < 2:
        return np.zeros(col.shape, np.int8)
    dcol_dy, dcol_dx = np.gradient(c)
    drow_dy, drow_dx = np.gradient(r)
    area = np.abs(dcol_dx * drow_dy - dcol_dy * drow_dx)
    longest_sq = np.maximum(dcol_dx**2 + drow_dx**2, dcol_dy**2 + drow_dy**2)
    narrow = area / np.sqrt(np.maximum(longest_sq, 1e-12)) / step
    level = np.floor(np.log2(np.maximum(narrow, 1.0)) + 0.25)
    coarse = np.clip(level, 0, count - 1).astype(np.int8)
    return coarse.repeat(step, axis=0).repeat(step, axis=1)[: col.shape[0], : col.shape[1]]
