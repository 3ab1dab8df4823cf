"""Coarser versions of a map, averaged on the fly where it holds no overviews of its own."""

from __future__ import annotations

import numpy as np

from regengine.lights.radiance import Mask, Values
from regengine.lights.source import LightSource

# 64 x 15 arcsec = 16 arcmin: one pixel is then as large as a metropolis and nothing is left to
# match.
FACTORS = (1, 2, 4, 8, 16, 32, 64)
STRIP_PIXELS = 16_000_000  # 100 MB of values and masks at a time


def block_mean(values: Values, valid: Mask, factor: int) -> tuple[Values, Mask]:
    """Mean of the valid pixels of each block; a block is valid if half of its pixels are.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, cols)
        Map values; both sides multiples of ``factor``.
    valid : ndarray of bool, shape (rows, cols)
        Where there is data.
    factor : int
        Side of a block, pixels.

    Returns
    -------
    values : ndarray of float32, shape (rows / factor, cols / factor)
        Means; 0 where not valid.
    valid : ndarray of bool
        Validity of the blocks.
    """
    rows, cols = values.shape[0] // factor, values.shape[1] // factor
    blocks = (rows, factor, cols, factor)
    total = np.where(valid, values, 0.0).reshape(blocks).sum(axis=1).sum(axis=2)
    count = valid.reshape(blocks).sum(axis=1, dtype=np.int32).sum(axis=2)
    enough = 2 * count >= factor * factor
    mean = np.where(enough, total / np.maximum(count, 1), 0.0)
    return mean.astype(np.float32), enough


def read_reduced(
    source: LightSource, row: int, col: int, rows: int, cols: int, factor: int
) -> tuple[Values, Mask]:
    """A block of a map's grid reduced by a factor.

    Parameters
    ----------
    source : LightSource
        The map.
    row, col, rows, cols : int
        Block within ``source.grid.reduced(factor)``.
    factor : int
        A power of two.

    Returns
    -------
    values : ndarray of float32, shape (rows, cols)
        Map values; 0 where there is no data.
    valid : ndarray of bool, shape (rows, cols)
        Where there is data.
    """
    at_hand = (1, *source.overview_factors)
    nearest = max(f for f in at_hand if f <= factor and factor % f == 0)
    if nearest == factor:
        return source.read(row, col, rows, cols, factor)
    ratio = factor // nearest
    fine = source.grid.reduced(nearest)
    values = np.zeros((rows, cols), np.float32)
    valid = np.zeros((rows, cols), np.bool_)
    fine_cols = min(cols * ratio, fine.cols - col * ratio)
    strip = max(1, STRIP_PIXELS // (cols * ratio * ratio))
    for first in range(0, rows, strip):
        count = min(strip, rows - first)
        top = (row + first) * ratio
        fine_rows = min(count * ratio, fine.rows - top)
        part, part_valid = source.read(top, col * ratio, fine_rows, fine_cols, nearest)
        padding = ((0, count * ratio - fine_rows), (0, cols * ratio - fine_cols))
        block = slice(first, first + count)
        values[block], valid[block] = block_mean(
            np.pad(part, padding), np.pad(part_valid, padding), ratio
        )
    return values, valid
