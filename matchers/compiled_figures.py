"""Compiled: codes of asterisms, which of them are alike, and the odds of rotations."""

from __future__ import annotations

from math import exp, floor, hypot, inf, log, log10, pi, sqrt
from typing import Any

import numpy as np
from numba import types

from matchers.compiled import array, compiled

f4, f8, i8 = types.float32, types.float64, types.int64


@compiled(
    i8(
        array(f8, 2),
        array(i8, 1),
        array(f4, 2),
        array(i8, 1),
        array(f8, 1),
        array(i8, 1),
        i8[::1],
        i8[::1],
    )
)
def find_alike_codes(
    codes: Any, order: Any, table: Any, first_rows: Any, low: Any, sides: Any, row: Any, entry: Any
) -> int:
    """Write down pairs of rows, of codes and of a table, within a distance of 1; how many.

    ``order`` is that in which codes are asked for; ``first_rows``, ``low`` and ``sides`` are those
    of a `matchers.code_table.CodeTable`. Pairs beyond the end of ``row`` and ``entry`` are counted
    alone.
    """
    numbers, width, found = len(sides), codes.shape[1], 0
    ways = np.empty((3**numbers, numbers), np.int64)  # to the cell before, the same, the next
    for number in range(numbers):
        for way in range(len(ways)):
            ways[way, number] = way // 3 ** (numbers - 1 - number) % 3
    beyond, cells = np.empty((numbers, 3)), np.empty((numbers, 3), np.int64)
    code = np.empty(width, np.float32)
    for asked in order:
        for d in range(width):
            code[d] = codes[asked, d]
        for number in range(numbers):
            place = codes[asked, number] - low[number]
            for way in range(3):
                at = floor(place) + (way - 1)
                away = max(max(at - place, place - (at + 1.0)), 0.0)
                inside = -1 <= at <= sides[number] - 2
                beyond[number, way] = away * away if inside else inf
                cells[number, way] = at + 1
        for way in ways:
            left, cell = 1.0 + 1e-5, 0  # and what rounding adds
            for number in range(numbers):
                left -= beyond[number, way[number]]
                cell = cell * sides[number] + cells[number, way[number]]
            if left < 0.0:
                continue
            around = np.float32(sqrt(left))
            lowest, highest = code[width - 1] - around, code[width - 1] + around
            first, end = first_rows[cell], first_rows[cell + 1]
            while first < end:  # bisection
                middle = (first + end) // 2
                if table[middle, width - 1] < lowest:
                    first = middle + 1
                else:
                    end = middle
            for candidate in range(first, first_rows[cell + 1]):
                if table[candidate, width - 1] > highest:
                    break
                square = np.float32(0.0)
                for d in range(width):
                    difference = code[d] - table[candidate, d]
                    square += difference * difference
                if square <= np.float32(1.0):
                    if found < len(row):
                        row[found], entry[found] = asked, candidate
                    found += 1
    return found


@compiled(
    i8(
        array(f8, 2),
        array(i8, 2),
        array(i8, 2),
        f8,
        i8[:, ::1],
        f8[:, ::1],
        f8[:, ::1],
    )
)
def encode_orders(
    points: Any, groups: Any, orders: Any, slack: float, members: Any, codes: Any, axes: Any
) -> int:
    """Fill in members, codes and axes of asterisms in every order that might be the canonical one.

    See `matchers.asterisms.encode_every_order` and `Figures`; ``orders`` are all those of k
    members, in which the groups (m, k) are tried one after the other. How many were filled in.
    """
    count, k = groups.shape
    reach = 1.0 + slack
    # Asterisms whose first two members are nearer to each other need not be described: chords are
    # longer than what they are in an asterism's plane, by less than 5 % at any size in use
    least = np.zeros(count)
    for g in range(count):
        for a in range(k):
            for b in range(a):
                square = 0.0
                for d in range(3):
                    square += (points[groups[g, a], d] - points[groups[g, b], d]) ** 2
                least[g] = max(least[g], sqrt(square))
        least[g] /= 1.05 * reach
    along, side, middle = np.empty(3), np.empty(3), np.empty(3)
    x, y = np.empty(k - 2), np.empty(k - 2)
    found = 0
    for order in orders:
        for g in range(count):
            first, second = points[groups[g, order[0]]], points[groups[g, order[1]]]
            square = 0.0
            for d in range(3):
                along[d] = second[d] - first[d]
                square += along[d] * along[d]
            length = max(sqrt(square), 1e-12)
            if length < least[g]:
                continue
            for d in range(3):
                along[d] /= length
                middle[d] = 0.0
                for a in range(k):
                    middle[d] += points[groups[g, a], d] / k
            # Inside the sphere, y grows to the left of x about the asterism's middle
            side[0] = middle[1] * along[2] - middle[2] * along[1]
            side[1] = middle[2] * along[0] - middle[0] * along[2]
            side[2] = middle[0] * along[1] - middle[1] * along[0]
            wide = max(sqrt(side[0] ** 2 + side[1] ** 2 + side[2] ** 2), 1e-12)
            mean, fits = 0.0, True
            for a in range(k - 2):
                x[a] = y[a] = 0.0
                for d in range(3):
                    away = points[groups[g, order[a + 2]], d] - first[d]
                    x[a] += away * along[d] / length
                    y[a] += away * side[d] / (wide * length)
                mean += x[a] / (k - 2)
                fits = fits and hypot(x[a], y[a]) <= reach and hypot(1.0 - x[a], y[a]) <= reach
                for b in range(a):
                    fits = fits and hypot(x[a] - x[b], y[a] - y[b]) <= reach
                if a > 0:
                    fits = fits and x[a] - x[a - 1] >= -slack
            if not fits or mean > 0.5 + slack:
                continue
            for a in range(k):
                members[found, a] = groups[g, order[a]]
            for a in range(k - 2):
                codes[found, 2 * a], codes[found, 2 * a + 1] = x[a], y[a]
            codes[found, 2 * k - 4] = log(length)
            for d in range(3):
                axes[found, d] = along[d]
            found += 1
    return found


@compiled(
    types.void(
        array(f8, 2),
        array(i8, 2),
        array(f8, 2),
        array(f8, 1),
        array(types.boolean, 2),
        f8,
        f8,
        f8[::1],
        types.boolean[:, ::1],
    )
)
def weigh_matches(
    distance: Any,
    near: Any,
    sigma: Any,
    density: Any,
    own: Any,
    max_sigmas: float,
    share: float,
    log10_odds: Any,
    met: Any,
) -> None:
    """Fill in the odds (v,) of rotations, and which points (v, n) speak for them.

    See `matchers.asterism_fit.weigh`; ``near`` and ``distance`` are of each photo point's nearest
    reference point.
    """
    count = distance.shape[1]
    inside = np.empty(count, np.bool_)
    for v in range(distance.shape[0]):
        for i in range(count):
            inside[i] = distance[v, i] < max_sigmas * sigma[v, i]
        total = 0.0
        for i in range(count):
            ratio, beaten = 1.0 - share, False
            if inside[i]:
                for j in range(count):
                    nearer = inside[j] and near[v, j] == near[v, i]
                    if nearer and distance[v, j] < distance[v, i]:
                        beaten = True
                        break
            if inside[i] and not beaten:
                square = sigma[v, i] * sigma[v, i]
                gauss = exp(-0.5 * distance[v, i] ** 2 / square) / (2.0 * pi * square)
                ratio += share * gauss / density[near[v, i]]
                met[v, i] = ratio > 1.0
            if not own[v, i]:
                total += log10(ratio)
        log10_odds[v] = total
