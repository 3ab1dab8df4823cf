"""Compiled: the map through a camera, and the motion of its pixels with the camera's pose.

Cameras are arrays of `CAMERA` numbers, see `matchers.camera.Camera.numbers`.
"""

from __future__ import annotations

from math import atan2, floor, hypot, isnan, nan, pi, sqrt
from typing import Any

import numpy as np
from numba import types

from detectors.constants import SEMI_MAJOR_M
from matchers.camera import CONVERGED, SINGULAR
from matchers.compiled import array, compiled, helper
from matchers.earth import ECCENTRICITY_SQ, SEMI_MINOR_M
from matchers.pose import ALONG, K1, PRINCIPAL_X, PRINCIPAL_Y, UP
from matchers.pose import FOCAL as LOG_FOCAL

f4, f8, i8 = types.float32, types.float64, types.int64

ITERATIONS = 10  # of straightening
LEVELS = 6  # of a pyramid
LEAST_BLOCK = 4  # samples that share a level
SEEN = 1e-3  # a sample is sky where lattice points that are have this weight
WIDTH, FOCAL, PRINCIPAL, DISTORTION, POSITION, MATRIX, MIRRORED = 0, 1, 2, 4, 9, 12, 21
CAMERA = 22


@helper
def bent(u: float, v: float, k1: float, k2: float, p1: float, p2: float, k3: float) -> Any:
    """Distorted coordinates and their derivatives by the ideal ones: u, v, uu, vv, uv."""
    r2 = u * u + v * v
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2.0 * (k1 + r2 * (2.0 * k2 + 3.0 * r2 * k3))
    return (
        u * radial + 2.0 * p1 * u * v + p2 * (r2 + 2.0 * u * u),
        v * radial + p1 * (r2 + 2.0 * v * v) + 2.0 * p2 * u * v,
        radial + slope * u * u + 2.0 * p1 * v + 6.0 * p2 * u,
        radial + slope * v * v + 6.0 * p1 * v + 2.0 * p2 * u,
        slope * u * v + 2.0 * p1 * u + 2.0 * p2 * v,
    )


@helper
def straightened(u: float, v: float, k1: float, k2: float, p1: float, p2: float, k3: float) -> Any:
    """Ideal coordinates of distorted ones; see `matchers.camera.undistort`."""
    a, b = u, v
    longest = 0.3 * hypot(u, v)
    for _ in range(ITERATIONS):
        bent_u, bent_v, uu, vv, uv = bent(a, b, k1, k2, p1, p2, k3)
        area = uu * vv - uv * uv
        if abs(area) < SINGULAR:
            area = SINGULAR
        miss_u, miss_v = u - bent_u, v - bent_v
        step_u = min(max((vv * miss_u - uv * miss_v) / area, -longest), longest)
        step_v = min(max((uu * miss_v - uv * miss_u) / area, -longest), longest)
        a, b = a + step_u, b + step_v
        if abs(step_u) + abs(step_v) < CONVERGED:
            break
    return a, b


@helper
def ground(camera: Any, x: float, y: float) -> Any:
    """Where on the ellipsoid a pixel looks, ECEF in metres; NaN for the sky."""
    if camera[MIRRORED] != 0.0:
        x = camera[WIDTH] - 1.0 - x
    u = (x - camera[PRINCIPAL]) / camera[FOCAL]
    v = (y - camera[PRINCIPAL + 1]) / camera[FOCAL]
    k1, k2, p1, p2, k3 = camera[4], camera[5], camera[6], camera[7], camera[8]
    if k1 != 0.0 or k2 != 0.0 or p1 != 0.0 or p2 != 0.0 or k3 != 0.0:
        u, v = straightened(u, v, k1, k2, p1, p2, k3)
    m = MATRIX
    rx = u * camera[m] + v * camera[m + 1] + camera[m + 2]
    ry = u * camera[m + 3] + v * camera[m + 4] + camera[m + 5]
    rz = u * camera[m + 6] + v * camera[m + 7] + camera[m + 8]
    px, py, pz = camera[POSITION], camera[POSITION + 1], camera[POSITION + 2]
    ax, ay, az = rx / SEMI_MAJOR_M, ry / SEMI_MAJOR_M, rz / SEMI_MINOR_M
    bx, by, bz = px / SEMI_MAJOR_M, py / SEMI_MAJOR_M, pz / SEMI_MINOR_M
    a = ax * ax + ay * ay + az * az
    b = ax * bx + ay * by + az * bz
    c = bx * bx + by * by + bz * bz - 1.0
    root = b * b - a * c
    if root < 0.0 or b >= 0.0:
        return nan, nan, nan
    distance = (-b - sqrt(root)) / a
    return px + distance * rx, py + distance * ry, pz + distance * rz


@compiled(types.void(array(f8, 1), array(f8, 1), i8, f8[:, ::1], f8[:, ::1]))
def places(camera: Any, grid: Any, step: int, cols: Any, rows: Any) -> None:
    """Fill in column and row of the map under a lattice of pixels, NaN for the sky.

    Lattice points are ``step`` pixels apart; the grid is lon0_deg, lat0_deg, step_deg, width.
    """
    degrees = 180.0 / pi
    middle = grid[0] + 0.5 * (grid[3] - 1.0) * grid[2]
    for i in range(cols.shape[0]):
        for j in range(cols.shape[1]):
            x, y, z = ground(camera, float(j * step), float(i * step))
            if isnan(x):
                cols[i, j] = rows[i, j] = nan
                continue
            lon = atan2(y, x) * degrees
            lat = atan2(z, (1.0 - ECCENTRICITY_SQ) * sqrt(x * x + y * y)) * degrees
            turn = lon - middle
            if turn >= 180.0 or turn < -180.0:
                turn -= 360.0 * floor((turn + 180.0) / 360.0)
            cols[i, j] = (middle + turn - grid[0]) / grid[2]
            rows[i, j] = (grid[1] - lat) / grid[2]


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


@helper
def point_motion(
    camera: Any, axes: Any, x: float, y: float, z: float, of_x: Any, of_y: Any
) -> None:
    """Fill in how the pixel of a ground point moves with the pose: not at all where it hides."""
    m = MATRIX
    x, y, z = x - camera[POSITION], y - camera[POSITION + 1], z - camera[POSITION + 2]
    away = x * camera[m + 2] + y * camera[m + 5] + z * camera[m + 8]
    if not away > 0.0:
        return
    k1, k2, p1, p2, k3 = camera[4], camera[5], camera[6], camera[7], camera[8]
    focal, mirror = camera[FOCAL], -1.0 if camera[MIRRORED] != 0.0 else 1.0
    u = (x * camera[m] + y * camera[m + 3] + z * camera[m + 6]) / away
    v = (x * camera[m + 1] + y * camera[m + 4] + z * camera[m + 7]) / away
    bent_u, bent_v, uu, vv, uv = bent(u, v, k1, k2, p1, p2, k3)
    for k in range(PRINCIPAL_X):
        # Turning the camera by r turns the point by -r: d(local) = local x r
        du = dv = 0.0
        if k == 0:
            du, dv = u * v, 1.0 + v * v
        elif k == 1:
            du, dv = -(1.0 + u * u), -u * v
        elif k == 2:
            du, dv = v, -u
        elif ALONG <= k <= UP:
            du = (u * axes[k - ALONG, 2] - axes[k - ALONG, 0]) / away
            dv = (v * axes[k - ALONG, 2] - axes[k - ALONG, 1]) / away
        of_x[k] = mirror * focal * (uu * du + uv * dv)
        of_y[k] = focal * (uv * du + vv * dv)
    of_x[LOG_FOCAL], of_y[LOG_FOCAL] = mirror * focal * bent_u, focal * bent_v
    square = u * u + v * v
    of_x[K1], of_y[K1] = mirror * focal * u * square, focal * v * square
    of_x[PRINCIPAL_X], of_y[PRINCIPAL_Y] = mirror, 1.0


@helper
def pixel(camera: Any, x: float, y: float, z: float) -> Any:
    """The pixel of a point (ECEF, metres), hidden or not; NaN behind the camera."""
    m = MATRIX
    x, y, z = x - camera[POSITION], y - camera[POSITION + 1], z - camera[POSITION + 2]
    away = x * camera[m + 2] + y * camera[m + 5] + z * camera[m + 8]
    if not away > 0.0:
        return nan, nan
    u = (x * camera[m] + y * camera[m + 3] + z * camera[m + 6]) / away
    v = (x * camera[m + 1] + y * camera[m + 4] + z * camera[m + 7]) / away
    k1, k2, p1, p2, k3 = camera[4], camera[5], camera[6], camera[7], camera[8]
    u, v = bent(u, v, k1, k2, p1, p2, k3)[:2]
    x = camera[PRINCIPAL] + camera[FOCAL] * u
    y = camera[PRINCIPAL + 1] + camera[FOCAL] * v
    return (camera[WIDTH] - 1.0 - x if camera[MIRRORED] != 0.0 else x), y


@compiled(types.void(array(f8, 1), i8, array(f8, 2), f8, f4[::1], f4[::1]))
def pixels_of(
    camera: Any, height: int, points: Any, least_cosine: float, cols: Any, rows: Any
) -> None:
    """Fill in which pixels see points (n, 3) of the unit sphere, where any do.

    Not the outermost ones, and not where the cosine of incidence is less than so much.
    """
    for n in range(len(points)):
        x, y, z = points[n]
        to_x, to_y, to_z = x - camera[POSITION], y - camera[POSITION + 1], z - camera[POSITION + 2]
        away = sqrt(to_x * to_x + to_y * to_y + to_z * to_z)
        if to_x * x + to_y * y + to_z * z < -least_cosine * away:
            col, row = pixel(camera, x, y, z)
            if 1.0 < col < camera[WIDTH] - 2.0 and 1.0 < row < height - 2.0:
                cols[n], rows[n] = col, row


@compiled(types.boolean(array(f8, 1), array(f8, 1), i8, array(f8, 2), f8))
def moves_less(first: Any, second: Any, height: int, places: Any, most_px: float) -> bool:
    """Whether most ground that one camera sees is nearly at the same pixels of another.

    Of what lies at ``places``, shape (n, 2) and shares of the image's sides; no where all of it is
    sky.
    """
    seen = far = 0
    for n in range(len(places)):
        x, y = places[n, 0] * first[WIDTH], places[n, 1] * height
        at_x, at_y, at_z = ground(first, x, y)
        if isnan(at_x):
            continue
        there_x, there_y = pixel(second, at_x, at_y, at_z)
        seen += 1
        far += not hypot(there_x - x, there_y - y) < most_px
        if 2 * far > len(places):
            return False
    return 2 * far < seen


@compiled(types.void(array(f8, 1), array(f8, 2), array(f8, 2), f8[:, :, ::1]))
def motion_of(camera: Any, axes: Any, points: Any, change: Any) -> None:
    """Fill in how the pixels of ground points (n, 3) move: `matchers.pose.pixel_derivatives`.

    ``axes`` are those of `matchers.pose.track_axes`, in the camera's frame; ``change``, shape
    (n, 2, 10), is 0 before.
    """
    for n in range(len(points)):
        x, y, z = points[n]
        point_motion(camera, axes, x, y, z, change[n, 0], change[n, 1])


@compiled(types.void(array(f8, 1), array(f8, 2), i8, f8[:, :, :, ::1]))
def lattice_motion(camera: Any, axes: Any, height: int, change: Any) -> None:
    """As `motion_of`, shape (n_y, n_x, 2, 10), of a lattice from corner to corner of the image."""
    nodes_y, nodes_x = change.shape[:2]
    for i in range(nodes_y):
        for j in range(nodes_x):
            at_x = (camera[WIDTH] - 1.0) * j / (nodes_x - 1)
            at_y = (height - 1.0) * i / (nodes_y - 1)
            x, y, z = ground(camera, at_x, at_y)
            point_motion(camera, axes, x, y, z, change[i, j, 0], change[i, j, 1])
