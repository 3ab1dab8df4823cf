"""Compiled loops of the streak search: line sums of the Radon transform, and the fit of a line."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types

from detectors.compiled import array, compile_for

f4, f8, i8 = types.float32, types.float64, types.int64
column = array(f8, 1)


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


@compile_for(types.Tuple((i8, i8, f8))(column, column, array(i8, 1), array(i8, 1)))
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


@compile_for(types.Tuple((f8[:, ::1], f8[::1]))(array(f4, 2), array(f4, 2), column, column, f8, i8))
def sum_normal_equations(
    light: Any, known: Any, signal: Any, weight: Any, sigma: Any, terms: Any
) -> Any:
    """Normal equations of a Gauss-Newton step of a line, (terms + 1, terms + 1), and right side.

    The model is light = A(u) exp(-(v - c(u))^2 / 2 sigma^2), c a polynomial of so many terms in t
    from -1 to 1 along the strip: 1, t, 1 - t^2. The amplitude A is measured on the light itself, in
    chunks of sufficient signal-to-noise ratio, and never negative. The last unknown is ln sigma.

    `light`, `known` (n, m): a strip about the path; `signal`, `weight` (n,): filter sum across it
    and its variance.
    """
    rows, cols = light.shape
    v = (np.arange(cols) - cols // 2) / sigma
    shape = np.exp(-0.5 * v**2)
    snr = signal.sum() / np.sqrt(max(weight.sum(), 1e-6))
    chunks = int(min(max((snr / 3.0) ** 2, 1.0), min(32.0, rows // 4 + 1.0)))
    normal, right = np.zeros((terms + 1, terms + 1)), np.zeros(terms + 1)
    for k in range(chunks):
        first, last = int(k * (rows / chunks)), int((k + 1) * (rows / chunks))
        last = rows if k + 1 == chunks else last
        level = signal[first:last].sum() / max(weight[first:last].sum(), 1e-3)
        if level <= 0.0:
            continue
        for i in range(first, last):
            # Derivatives by c and by ln sigma, the latter orthogonal to a change of the amplitude:
            # each is a factor along the path times one across it
            both = mixed = wide = by_place = by_width = 0.0
            for j in range(cols):
                slope, widening = shape[j] * v[j] / sigma, shape[j] * (v[j] ** 2 - 0.5)
                both += known[i, j] * slope * slope
                mixed += known[i, j] * slope * widening
                wide += known[i, j] * widening * widening
                left = light[i, j] - level * known[i, j] * shape[j]
                by_place += left * slope
                by_width += left * widening
            t = -1.0 + 2.0 * i / (rows - 1)
            basis = (1.0, t, 1.0 - t**2)
            for a in range(terms):
                for b in range(terms):
                    normal[a, b] += level**2 * both * basis[a] * basis[b]
                normal[a, terms] += level**2 * mixed * basis[a]
                normal[terms, a] = normal[a, terms]
                right[a] += level * by_place * basis[a]
            normal[terms, terms] += level**2 * wide
            right[terms] += level * by_width
    return normal, right
