"""Compiled: the formulas of `matchers.projection`, and the map drawn through a camera."""

from __future__ import annotations

from math import floor, isnan, nan, sqrt
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from matchers import projection
from matchers.compiled import array, compiled, helper

f4, f8, i8 = types.float32, types.float64, types.int64

LEVELS = 6  # of a pyramid
LEAST_BLOCK = 4  # samples that share a level
SEEN = 1e-3  # a sample is sky where lattice points that are have this weight


@overload(projection.nan_unless, strict=False)
def nan_unless(condition: Any, value: Any) -> Any:
    """Of a number."""
    return lambda condition, value: value if condition else nan


for formula in (
    projection.distort,
    projection.distortion_jacobian,
    projection.undistort,
    projection.distortion_of,
    projection.to_tangents,
    projection.to_image,
    projection.to_local,
    projection.to_pixel,
    projection.to_ray,
    projection.meet_ellipsoid,
    projection.to_ground,
    projection.surface_lonlat,
    projection.fill_motion,
):
    register_jitable(error_model="numpy")(formula)

one, two, nodes = array(f8, 1), array(f8, 2), f8[:, ::1]
fill_places = compiled(types.void(one, one, i8, nodes, nodes))(projection.fill_places)
fill_pixels = compiled(types.void(one, i8, two, f8, f4[::1], f4[::1]))(projection.fill_pixels)
moves_less = compiled(types.boolean(one, one, i8, two, f8))(projection.moves_less)
fill_views = compiled(types.void(one, two, two, nodes, f8[:, :, ::1]))(projection.fill_views)
fill_lattice_motion = compiled(types.void(one, two, i8, f8[:, :, :, ::1]))(
    projection.fill_lattice_motion
)


@helper
def slope(values: Any, i: int, j: int, down: int, across: int, height: int, width: int) -> float:
    """Change of a lattice's values from one block to the next; NaN where it cannot be told."""
    here = values[i, j]
    after_i, after_j = i + down, j + across
    before_i, before_j = i - down, j - across
    after = values[after_i, after_j] if after_i < height and after_j < width else nan
    before = values[before_i, before_j] if before_i >= 0 and before_j >= 0 else nan
    if isnan(after):
        return here - before
    return after - here if isnan(before) else 0.5 * (after - before)


@helper
def level_at(
    cols: Any, rows: Any, i: int, j: int, apart: int, side: Any, count: int, block: int
) -> int:
    """Pyramid level that suits the narrow side of a block's footprint on the map.

    ``apart`` is how far the blocks' first samples are apart in the lattice, ``block`` in samples;
    ``side`` is how much of the lattice counts.
    """
    height, width = side
    col_x = slope(cols, i, j, 0, apart, height, width)
    row_x = slope(rows, i, j, 0, apart, height, width)
    col_y = slope(cols, i, j, apart, 0, height, width)
    row_y = slope(rows, i, j, apart, 0, height, width)
    area = abs(col_x * row_y - col_y * row_x)
    longest = max(col_x * col_x + row_x * row_x, col_y * col_y + row_y * row_y)
    narrow = area / sqrt(max(longest, 1e-12)) / block
    if isnan(narrow):
        return count - 1
    level = 0
    while level < count - 1 and narrow >= 2.0 ** (level + 0.75):
        level += 1
    return level


@helper
def bilinear(values: Any, x: float, y: float) -> float:
    """Value between pixels; dark beyond the edges."""
    height, width = values.shape
    left, top = floor(x), floor(y)
    fx, fy = x - left, y - top
    total = 0.0
    for i in range(max(top, 0), min(top + 2, height)):
        for j in range(max(left, 0), min(left + 2, width)):
            weight = (fx if j > left else 1.0 - fx) * (fy if i > top else 1.0 - fy)
            total += weight * values[i, j]
    return total


@helper
def between(values: Any, x: float, y: float) -> float:
    """Value between pixels that are all there."""
    left, top = np.int64(x), np.int64(y)
    fx, fy = x - left, y - top
    # Without a sign: what may be negative counts from the end, which costs a comparison
    i, j, one = np.uint64(top), np.uint64(left), np.uint64(1)
    above = values[i, j] + fx * (values[i, j + one] - values[i, j])
    below = values[i + one, j] + fx * (values[i + one, j + one] - values[i + one, j])
    return above + fy * (below - above)


@helper
def corners_of(values: Any, i: int, j: int) -> Any:
    """A cell of a lattice: its corners, and the least and the greatest; NaN if any is."""
    a, b, c, d = values[i, j], values[i, j + 1], values[i + 1, j], values[i + 1, j + 1]
    if isnan(a) or isnan(b) or isnan(c) or isnan(d):
        return a, b, c, d, nan, nan
    return a, b, c, d, min(min(a, b), min(c, d)), max(max(a, b), max(c, d))


@helper
def mixed(a: float, b: float, c: float, d: float, fx: float, fy: float) -> float:
    """Bilinear between the corners of a cell, of which those that are NaN must not count."""
    total = sky = 0.0
    for corner, weight in (
        (a, (1.0 - fx) * (1.0 - fy)),
        (b, fx * (1.0 - fy)),
        (c, (1.0 - fx) * fy),
        (d, fx * fy),
    ):
        if isnan(corner):
            sky += weight
        else:
            total += weight * corner
    return nan if sky > SEEN else total


@compiled(
    types.void(
        types.UniTuple(array(f4, 2), LEVELS),
        i8,
        array(types.boolean, 2),
        array(f8, 2),
        array(f8, 2),
        i8,
        i8,
        f4[:, ::1],
        f4[:, ::1],
    )
)
def shown(
    levels: Any,
    count: int,
    valid: Any,
    cols: Any,
    rows: Any,
    step: int,
    samples: int,
    light: Any,
    known: Any,
) -> None:
    """Fill in the light of a map in an image, and how much of each pixel the map knows.

    Parameters
    ----------
    levels : tuple of ndarray of float32
        The map's pyramid, of which the first ``count`` count.
    valid : ndarray of bool
        Where the finest holds data; of size 0 where it does everywhere.
    cols, rows : ndarray of float64, shape (n_y, n_x)
        Map positions of every ``step``-th sample, NaN for the sky; a lattice of more than 1
        reaches beyond the last sample.
    samples : int
        Along each side of a pixel.
    light, known : ndarray of float32, shape (h, w)
        Filled with 0.
    """
    height, width = light.shape[0] * samples, light.shape[1] * samples
    block = max(step, LEAST_BLOCK)
    apart = block // step
    side = (height, width) if step == 1 else (-(-height // block), -(-width // block))
    level_known = min(side[0], side[1]) > apart
    map_height, map_width = levels[0].shape
    everywhere = valid.size == 0
    share = np.float32(1.0 / (samples * samples))
    pixel = np.arange(max(height, width)) // samples
    for top in range(0, height, block):
        for left in range(0, width, block):
            bottom, right = min(top + block, height), min(left + block, width)
            i, j = top // step, left // step
            level = level_at(cols, rows, i, j, apart, side, count, block) if level_known else 0
            values = levels[level]
            scale = 0.5**level
            c_1 = c_2 = c_3 = c_4 = r_1 = r_2 = r_3 = r_4 = 0.0
            if step > 1:
                c_1, c_2, c_3, c_4, least_c, most_c = corners_of(cols, i, j)
                r_1, r_2, r_3, r_4, least_r, most_r = corners_of(rows, i, j)
                # Within the map, and so within all of its levels: NaN is not
                edge = 1.0 / scale
                within = least_c > edge and most_c < map_width - 2.0 * edge
                if within and least_r > edge and most_r < map_height - 2.0 * edge:
                    for y in range(top, bottom):
                        fy = (y - top) / block
                        col, row = c_1 + fy * (c_3 - c_1), r_1 + fy * (r_3 - r_1)
                        more_col = (c_2 + fy * (c_4 - c_2) - col) / block
                        more_row = (r_2 + fy * (r_4 - r_2) - row) / block
                        lit, counted = light[pixel[y]], known[pixel[y]]
                        for x in range(left, right):
                            if everywhere or valid[int(row + 0.5), int(col + 0.5)]:
                                counted[pixel[x]] += share
                            at_col, at_row = (col + 0.5) * scale - 0.5, (row + 0.5) * scale - 0.5
                            lit[pixel[x]] += share * np.float32(between(values, at_col, at_row))
                            col += more_col
                            row += more_row
                    continue
            for y in range(top, bottom):
                for x in range(left, right):
                    if step == 1:
                        col, row = cols[y, x], rows[y, x]
                    else:
                        fx, fy = (x - left) / block, (y - top) / block
                        col = mixed(c_1, c_2, c_3, c_4, fx, fy)
                        row = mixed(r_1, r_2, r_3, r_4, fx, fy)
                    at_y, at_x = pixel[y], pixel[x]
                    if isnan(col):
                        known[at_y, at_x] += share
                        continue
                    if not (-1.5 < col < map_width + 0.5 and -1.5 < row < map_height + 0.5):
                        continue
                    near_col, near_row = floor(col + 0.5), floor(row + 0.5)
                    inside = 0 <= near_col < map_width and 0 <= near_row < map_height
                    if inside and (everywhere or valid[near_row, near_col]):
                        known[at_y, at_x] += share
                    light[at_y, at_x] += share * np.float32(
                        bilinear(values, (col + 0.5) * scale - 0.5, (row + 0.5) * scale - 0.5)
                    )
