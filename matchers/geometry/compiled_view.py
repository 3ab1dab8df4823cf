"""Compiled versions of `matchers.geometry.projection` and of map rendering through a camera."""

from __future__ import annotations

from math import floor, isnan, nan, sqrt
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from detectors.compiled import array, compile_for, helper
from matchers.geometry import projection

f4, f8, i8 = types.float32, types.float64, types.int64

LEVELS = 6  # maximum number of pyramid levels
SEEN = 1e-3  # a sample counts as sky if sky lattice points have more than this weight


@overload(projection.nan_unless, strict=False)
def nan_unless(condition: Any, value: Any) -> Any:
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
):
    register_jitable(error_model="numpy")(formula)

one, two, nodes = array(f8, 1), array(f8, 2), f8[:, ::1]
moves_less = compile_for(types.boolean(one, one, i8, two, f8))(projection.moves_less)
fill_views = compile_for(types.void(one, two, two, nodes, f8[:, :, ::1]))(projection.fill_views)


@helper
def bilinear(values: Any, x: float, y: float) -> float:
    """Interpolate bilinearly between pixels; 0 outside the image."""
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
def interpolate_between(values: Any, x: float, y: float) -> float:
    """Interpolate bilinearly between pixels that are all inside the image."""
    left, top = np.int64(x), np.int64(y)
    fx, fy = x - left, y - top
    # Unsigned indices avoid the check for negative ones, which count from the end
    i, j, one = np.uint64(top), np.uint64(left), np.uint64(1)
    above = values[i, j] + fx * (values[i, j + one] - values[i, j])
    below = values[i + one, j] + fx * (values[i + one, j + one] - values[i + one, j])
    return above + fy * (below - above)


@helper
def mix_corners(a: float, b: float, c: float, d: float, fx: float, fy: float) -> float:
    """Interpolate bilinearly between the corners of a cell; NaN if NaN corners have weight."""
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


@compile_for(
    types.void(
        types.UniTuple(array(f4, 2), LEVELS),
        i8,
        array(types.boolean, 2),
        array(f8, 2),
        array(f8, 2),
        i8,
        i8,
        types.boolean,
        f4[:, ::1],
        f4[:, ::1],
    )
)
def draw(
    levels: Any,
    count: int,
    valid: Any,
    cols: Any,
    rows: Any,
    step: int,
    samples: int,
    mean_side: bool,
    light: Any,
    known: Any,
) -> None:
    """Render a map pyramid into an image, with the covered share of each pixel.

    Parameters
    ----------
    levels : tuple of ndarray of float32
        The map's pyramid; the first ``count`` levels are used.
    valid : ndarray of bool
        Mask of data in the finest level; of size 0 if all pixels have data.
    light, known : ndarray of float32, shape (h, w)
        Output; must be 0 on entry.

    Others are as for `matchers.geometry.map_grid.draw`.
    """
    height, width = light.shape[0] * samples, light.shape[1] * samples
    map_height, map_width = levels[0].shape
    everywhere = valid.size == 0
    share = np.float32(1.0 / (samples * samples))
    pixel = np.empty(max(height, width), np.int64)
    for k in range(len(pixel)):
        pixel[k] = k // samples
    for top in range(0, height, step):
        for left in range(0, width, step):
            bottom, right = min(top + step, height), min(left + step, width)
            i, j = top // step, left // step
            c_1, c_2, c_3, c_4 = cols[i, j], cols[i, j + 1], cols[i + 1, j], cols[i + 1, j + 1]
            r_1, r_2, r_3, r_4 = rows[i, j], rows[i, j + 1], rows[i + 1, j], rows[i + 1, j + 1]
            col_x, col_y = 0.5 * (c_2 - c_1 + c_4 - c_3), 0.5 * (c_3 - c_1 + c_4 - c_2)
            row_x, row_y = 0.5 * (r_2 - r_1 + r_4 - r_3), 0.5 * (r_3 - r_1 + r_4 - r_2)
            side = sqrt(abs(col_x * row_y - col_y * row_x))
            if not mean_side:
                longest = max(col_x * col_x + row_x * row_x, col_y * col_y + row_y * row_y)
                side *= side / sqrt(max(longest, 1e-12))
            level, scale = 0, 1.0
            while level < count - 1 and side * scale >= step * 2.0**0.75:
                level, scale = level + 1, 0.5 * scale
            values = levels[level]
            # Inside the map, and so inside all of its levels; False for NaN
            edge = 1.0 / scale
            most_c, most_r = map_width - 2.0 * edge, map_height - 2.0 * edge
            if (
                (edge < min(c_1, c_2) and edge < min(c_3, c_4))
                and (edge < min(r_1, r_2) and edge < min(r_3, r_4))
                and (max(c_1, c_2) < most_c and max(c_3, c_4) < most_c)
                and (max(r_1, r_2) < most_r and max(r_3, r_4) < most_r)
                and not isnan(side)
            ):
                for y in range(top, bottom):
                    fy = (y - top) / step
                    col, row = c_1 + fy * (c_3 - c_1), r_1 + fy * (r_3 - r_1)
                    more_col = (c_2 + fy * (c_4 - c_2) - col) / step
                    more_row = (r_2 + fy * (r_4 - r_2) - row) / step
                    lit, counted = light[pixel[y]], known[pixel[y]]
                    for x in range(left, right):
                        if everywhere or valid[int(row + 0.5), int(col + 0.5)]:
                            counted[pixel[x]] += share
                        at_col, at_row = (col + 0.5) * scale - 0.5, (row + 0.5) * scale - 0.5
                        lit[pixel[x]] += share * np.float32(
                            interpolate_between(values, at_col, at_row)
                        )
                        col += more_col
                        row += more_row
                continue
            for y in range(top, bottom):
                for x in range(left, right):
                    fx, fy = (x - left) / step, (y - top) / step
                    col, row = (
                        mix_corners(c_1, c_2, c_3, c_4, fx, fy),
                        mix_corners(r_1, r_2, r_3, r_4, fx, fy),
                    )
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
