"""Compiled: which codes of asterisms are alike."""

from __future__ import annotations

from math import floor, inf, sqrt
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
