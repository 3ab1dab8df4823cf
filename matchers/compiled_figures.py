"""Compiled: which codes of figures are alike, and what most of those that are vote for."""

from __future__ import annotations

from math import exp, floor, hypot, inf, log, log10, pi, sqrt
from typing import Any

import numpy as np
from numba import types

from matchers.compiled import array, compiled, helper

f4, f8, i8 = types.float32, types.float64, types.int64

FIRST_PAIRS = 1 << 14
# Cells of votes are counted in so many: 512 kB, which stay in a processor's cache. No cell is told
# from others that have as many votes as can be counted
FOLD_BITS, MOST_VOTES = 18, (1 << 16) - 1
FOLDS = 1 << FOLD_BITS
SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Fibonacci hashing
WIDTH = 5  # numbers of a code that are compared, so that the loop over them needs no counter


@helper
def grown(values: Any) -> Any:
    """The same at the beginning of an array twice as long, and zeros."""
    more = np.zeros(2 * len(values), values.dtype)
    for n in range(len(values)):  # a copy of a slice takes seconds to compile
        more[n] = values[n]
    return more


@helper
def longer(rows: Any) -> Any:
    """The same rows at the beginning of twice as many."""
    more = np.empty((2 * len(rows), rows.shape[1]), rows.dtype)
    for n in range(len(rows)):
        for k in range(rows.shape[1]):
            more[n, k] = rows[n, k]
    return more


@helper
def row_of(sorted_values: Any, value: int, low: int, high: int) -> int:
    """Which of some rows of ascending values is this one; -1 for none."""
    end = high
    while low < high:
        middle = (low + high) // 2
        if sorted_values[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low if low < end and sorted_values[low] == value else -1


@helper
def alike_among(
    code: Any, table: Any, first: int, end: int, asked: int, mine: Any, its: Any, found: int
) -> int:
    """Write down which rows of a run are alike, and count them.

    Apart from `alike`, for a loop with an array in it that may be replaced takes three times as
    long.
    """
    for entry in range(first, end):
        apart = np.float32(0.0)
        for d in range(WIDTH):
            difference = code[d] - table[entry, d]
            apart += difference * difference
        mine[found], its[found] = asked, entry
        found += int(apart <= np.float32(1.0))
    return found


@compiled(
    types.UniTuple(i8[::1], 2)(
        array(f8, 2),
        array(i8, 1),
        array(f4, 2),
        array(f8, 1),
        array(i8, 1),
        array(i8, 1),
        array(i8, 1),
        array(i8, 1),
        i8,
        f8,
        f8,
    )
)
def alike(
    codes: Any,
    order: Any,
    table: Any,
    low: Any,
    sides: Any,
    cells: Any,
    firsts: Any,
    starts: Any,
    slots: int,
    slot_width: float,
    reach: float,
) -> Any:
    """Pairs of rows, of ``codes`` and of the table, within a distance of 1.

    ``order`` is that in which codes are asked for; ``low`` and ``sides`` are those of a
    `matchers.code_table.CodeTable` of cells 1 wide, ``cells``, ``firsts``, ``starts`` and
    ``slots`` those of its slots. A cell farther away than ``reach`` is not looked into. Rows of
    ``table`` are `WIDTH` wide, filled up with zeros.
    """
    numbers, width = len(sides), codes.shape[1]
    mine, its = np.empty(FIRST_PAIRS, np.int64), np.empty(FIRST_PAIRS, np.int64)
    found = 0
    beyond, numbered = np.empty((numbers, 3)), np.empty((numbers, 3), np.int64)
    turn = np.empty(numbers, np.int64)
    # What is left of the square of the reach, and the cell's number, by the numbers before each
    left, cell = np.empty(numbers + 1), np.empty(numbers + 1, np.int64)
    left[0], cell[0] = reach * reach, 0
    code = np.zeros(WIDTH, np.float32)
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
                numbered[number, way] = at + 1
        last = codes[asked, width - 1] - low[numbers]
        # All combinations of the three ways of each number, the last one fastest; what is too far
        # away stays so whatever the later numbers are
        number = 0
        turn[0] = -1
        while number >= 0:
            turn[number] += 1
            if turn[number] == 3:
                number -= 1
                continue
            left[number + 1] = left[number] - beyond[number, turn[number]]
            if left[number + 1] < 0.0:
                continue
            cell[number + 1] = cell[number] * sides[number] + numbered[number, turn[number]]
            if number < numbers - 1:
                number += 1
                turn[number] = -1
                continue
            before = cell[number]
            row = row_of(cells, cell[numbers], firsts[before], firsts[before + 1])
            if row < 0:
                continue
            around = sqrt(left[numbers])
            lowest, highest = (last - around) / slot_width, (last + around) / slot_width
            first_slot = floor(min(max(lowest, 0.0), float(slots)))
            last_slot = floor(min(max(highest + 1.0, float(first_slot)), float(slots)))
            first, end = starts[row * slots + first_slot], starts[row * slots + last_slot]
            while found + end - first > len(mine):
                mine, its = grown(mine), grown(its)
            found = alike_among(code, table, first, end, asked, mine, its, found)
    return mine[:found].copy(), its[:found].copy()


@compiled(
    types.Tuple((i8[:, ::1], f8[:, ::1], f8[:, ::1]))(
        array(f8, 2), array(i8, 2), array(i8, 2), f8, f8
    )
)
def in_every_order(points: Any, groups: Any, orders: Any, slack: float, spare: float) -> Any:
    """Members, codes and axes of figures in every order that might be the canonical one.

    See `matchers.asterisms.every_order` and `Figures`; ``orders`` are all those of k members, in
    which the groups (m, k) are tried one after the other.
    """
    count, k = groups.shape
    least = np.zeros(count)
    for g in range(count):
        for a in range(k):
            for b in range(a):
                square = 0.0
                for d in range(3):
                    square += (points[groups[g, a], d] - points[groups[g, b], d]) ** 2
                least[g] = max(least[g], sqrt(square))
        least[g] /= spare
    room = 2 * count + 16
    members, codes = np.empty((room, k), np.int64), np.empty((room, 2 * k - 3))
    axes = np.empty((room, 3))
    along, side, middle = np.empty(3), np.empty(3), np.empty(3)
    x, y = np.empty(k - 2), np.empty(k - 2)
    reach = 1.0 + slack
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
            # Inside the sphere, y grows to the left of x about the figure's middle
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
            if found == room:
                room *= 2
                members, codes, axes = longer(members), longer(codes), longer(axes)
            for a in range(k):
                members[found, a] = groups[g, order[a]]
            for a in range(k - 2):
                codes[found, 2 * a], codes[found, 2 * a + 1] = x[a], y[a]
            codes[found, 2 * k - 4] = log(length)
            for d in range(3):
                axes[found, d] = along[d]
            found += 1
    return members[:found].copy(), codes[:found].copy(), axes[:found].copy()


@compiled(types.UniTuple(i8[::1], 2)(array(i8, 2), array(i8, 2), array(f8, 2), i8, i8, i8))
def fullest_cells(
    photo: Any, reference: Any, turn_rad: Any, points: int, steps: int, most: int
) -> Any:
    """Votes of the cells that get the most, and these cells: at least ``most``, if there are.

    Each of the pairs of members, shape (c, k), votes for its two points at its turn in two cells,
    each two of ``steps`` wide; the second votes are numbered after all of the first. Cells are
    counted in `FOLDS`, where different ones may fall together.
    """
    pairs = photo.size
    votes, folds = np.empty(2 * pairs, np.int64), np.empty(2 * pairs, np.int32)
    counts = np.zeros(FOLDS, np.uint16)
    n = 0
    for c in range(photo.shape[0]):
        for k in range(photo.shape[1]):
            first = (photo[c, k] * points + reference[c, k]) * steps
            # Cells of the same two points stand together
            fold = np.int64((np.uint64(first) * SPREAD) >> np.uint64(64 - FOLD_BITS))
            step = floor(turn_rad[c, k] / (2.0 * pi) * steps) % steps
            for vote in (n, n + pairs):
                votes[vote] = first + step
                folds[vote] = (fold + step) & (FOLDS - 1)
                counts[folds[vote]] += counts[folds[vote]] < MOST_VOTES
                step = step + 1 if step + 1 < steps else 0
            n += 1
    cells = np.zeros(MOST_VOTES + 1, np.int64)  # that have so many votes
    for count in counts:
        cells[count] += 1
    enough, fullest = MOST_VOTES, cells[MOST_VOTES]
    while enough > 1 and fullest < most:
        enough -= 1
        fullest += cells[enough]
    found = 0
    for vote in range(2 * pairs):
        found += counts[folds[vote]] >= enough
    chosen, keys = np.empty(found, np.int64), np.empty(found, np.int64)
    found = 0
    for vote in range(2 * pairs):
        if counts[folds[vote]] >= enough:
            chosen[found], keys[found] = vote, votes[vote]
            found += 1
    return chosen, keys


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
def weighed(
    distance: Any,
    near: Any,
    sigma: Any,
    density: Any,
    own: Any,
    farthest_sigmas: float,
    share: float,
    odds: Any,
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
            inside[i] = distance[v, i] < farthest_sigmas * sigma[v, i]
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
        odds[v] = total
