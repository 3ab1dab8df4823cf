"""Compiled loops over the line sums of the Radon transform."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from detectors.compiled import array, compile_for

f4, f8, i8 = types.float32, types.float64, types.int64


@compile_for(types.void(array(f4, 3), f4[:, :, ::1]))
def add_halves(sums: Any, longer: Any) -> None:
    """Line sums of twice as many rows, (2 rows, tiles / 2, w), from those of a level."""
    rows, _, width = sums.shape
    for s in range(rows):
        for step in range(2):
            cut = max(0, width - s - step)
            for tile in range(longer.shape[1]):
                above, below = sums[s, 2 * tile], sums[s, 2 * tile + 1, width - cut :]
                out = longer[2 * s + step, tile]
                for x in range(cut):
                    out[x] = above[x] + below[x]
                out[cut:] = above[cut:]


@compile_for(types.Tuple((i8[:, ::1], f4[::1]))(array(f4, 3), array(i8, 2), array(f4, 2)))
def find_peaks(sums: Any, shifts: Any, least: Any) -> Any:
    """Sums over tiles that follow each other along a line, where they exceed those beside them.

    `sums` (rows, tiles, w): of one level; `shifts` (n, rows): columns from a line's first tile to
    each of n tiles, of which the first is that tile; `least` (n, rows): thresholds of sums over so
    many tiles, infinite where those are not looked for. Gives number of tiles less one, slope, tile
    and column, (N, 4), and the sums, (N,). Lines that leave the image before their last tile have
    none.
    """
    rows, tiles, width = sums.shape
    total = np.empty(width, np.float32)
    places, found, count = np.empty((width, 4), np.int64), np.empty(width, np.float32), 0
    for s in range(rows):
        for tile in range(tiles):
            total[:] = 0.0
            for k in range(min(len(shifts), tiles - tile)):
                size, bound = width - shifts[k, s], least[k, s]
                ahead = sums[s, tile + k, width - size :]
                above = 0
                for x in range(size):
                    light = total[x] + ahead[x]
                    total[x] = light
                    above += light > bound
                if above == 0:
                    continue
                if count + above > len(found):
                    places = np.concatenate((places, np.empty((len(found) + width, 4), np.int64)))
                    found = np.concatenate((found, np.empty(len(found) + width, np.float32)))
                for x in range(size):
                    light = total[x]
                    if (
                        light > bound
                        and (x == 0 or light >= total[x - 1])
                        and (x + 1 == size or light >= total[x + 1])
                    ):
                        places[count] = k, s, tile, x
                        found[count] = light
                        count += 1
    return places[:count], found[:count]


@compile_for(types.Tuple((i8, i8, f8))(array(f8, 1), array(f8, 1), array(i8, 1), array(i8, 1)))
def find_best_pair(total: Any, spread: Any, first: Any, last: Any) -> Any:
    """The steps [i, j) of greatest light over noise, and that ratio.

    `total`, `spread` (n + 1,): light and its variance, added up to each step; `first`, `last`: i
    and j to choose from.
    """
    best, begin, end = -np.inf, first[0], last[0]
    for i in first:
        for j in last:
            noise = spread[j] - spread[i]
            if j > i and noise > 1e-3:
                snr = (total[j] - total[i]) / np.sqrt(noise)
                if snr > best:
                    best, begin, end = snr, i, j
    return begin, end, best
