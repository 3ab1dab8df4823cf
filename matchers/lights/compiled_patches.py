"""Compiled loops over light: patches against a reference, derivatives, lights by azimuth."""

from __future__ import annotations

from math import atan2, cos, pi, sin, sqrt
from typing import Any

import numpy as np
from numba import types

from detectors.compiled import array, compile_for

f4, f8, i8 = types.float32, types.float64, types.int64


@compile_for(
    types.void(
        array(f8, 3),
        array(i8, 3),
        array(f8, 2),
        array(f8, 3),
        array(f8, 3),
        array(f8, 2),
        array(types.int8, 3),
        array(f4, 4),
        array(f8, 1),
        f8[:, ::1],
        i8[:, ::1],
    )
)
def fill_best_matches(
    distance: Any,
    places: Any,
    reach: Any,
    rotations: Any,
    frames: Any,
    right: Any,
    coefficients: Any,
    projections: Any,
    turns_rad: Any,
    best: Any,
    which: Any,
) -> None:
    """Find the best correlation of each patch with nearby reference points, and the point.

    Parameters
    ----------
    distance, places : ndarray, shape (v, n, k)
        Distance and index of the reference points nearest to each patch under each rotation.
    reach : ndarray of float64, shape (v, n)
        Maximum distance; 0 to exclude a patch.
    rotations : ndarray of float64, shape (v, 3, 3)
    frames : ndarray of float64, shape (m, 3, 3)
        Local frames of the reference points.
    right : ndarray of float64, shape (n, 3)
        Direction of the right side of each patch.
    coefficients : ndarray of int8, shape (harmonics, m, c)
    projections : ndarray of float32, shape (n, harmonics, 2, c)
        Factors of the coefficients for the real and the imaginary part of a cross-spectrum.
    turns_rad : ndarray of float64
        Angles to try relative to that of the rotation.
    best : ndarray of float64, shape (v, n)
        Output: correlations; must be -1 on entry.
    which : ndarray of int, shape (v, n)
        Output: which of the nearest points it is; must be 0 on entry.
    """
    harmonics, _, width = coefficients.shape
    real, imaginary = np.empty(harmonics), np.empty(harmonics)
    for v in range(distance.shape[0]):
        for n in range(distance.shape[1]):
            x = y = z = 0.0
            turned = False
            for k in range(distance.shape[2]):
                if not distance[v, n, k] < reach[v, n]:
                    continue
                place = places[v, n, k]
                if not turned:
                    to = rotations[v]
                    x = to[0, 0] * right[n, 0] + to[0, 1] * right[n, 1] + to[0, 2] * right[n, 2]
                    y = to[1, 0] * right[n, 0] + to[1, 1] * right[n, 1] + to[1, 2] * right[n, 2]
                    z = to[2, 0] * right[n, 0] + to[2, 1] * right[n, 1] + to[2, 2] * right[n, 2]
                    turned = True
                here = frames[place]
                turn = atan2(
                    here[0, 1] * x + here[1, 1] * y + here[2, 1] * z,
                    here[0, 0] * x + here[1, 0] * y + here[2, 0] * z,
                )
                score = -1.0
                for h in range(harmonics):
                    first = second = np.float32(0.0)
                    for c in range(width):
                        value = np.float32(coefficients[h, place, c])
                        first += value * projections[n, h, 0, c]
                        second += value * projections[n, h, 1, c]
                    real[h], imaginary[h] = first, second
                for trial in range(len(turns_rad)):
                    angle = turn + turns_rad[trial]
                    one_cosine, one_sine = cos(angle), sin(angle)
                    cosine, sine, total = 1.0, 0.0, 0.0
                    for h in range(harmonics):
                        cosine, sine = (
                            cosine * one_cosine - sine * one_sine,
                            sine * one_cosine + cosine * one_sine,
                        )
                        total += real[h] * cosine - imaginary[h] * sine
                    score = max(score, total)
                if score > best[v, n]:
                    best[v, n], which[v, n] = score, k


@compile_for(
    types.void(array(f4, 2), array(f4, 2), array(f8, 4), array(f8, 1), f4[:, :, ::1], f4[:, :, ::1])
)
def fill_design(
    view: Any, weight: Any, motion: Any, scale: Any, design: Any, weighted: Any
) -> None:
    """Compute derivatives of an image by offset, gain and pose, and the same times the weight.

    Parameters
    ----------
    motion : ndarray of float64, shape (n_y, n_x, 2, p)
        Pixel motion per unit of each parameter, on a lattice from corner to corner.
    scale : ndarray of float64, shape (p,)
        Units of the parameters.
    design, weighted : ndarray of float32, shape (2 + p, h, w)
    """
    height, width = view.shape
    nodes_y, nodes_x, _, parameters = motion.shape
    along_x, along_y = np.empty(nodes_x), np.empty(nodes_x)
    step_x = (width - 1.0) / (nodes_x - 1.0)
    step_y = (height - 1.0) / (nodes_y - 1.0)
    across, down = np.empty(width, np.float32), np.empty(width, np.float32)
    for i in range(height):
        before, after = max(i - 1, 0), min(i + 1, height - 1)
        apart = np.float32(1.0 / max(after - before, 1))
        for j in range(width):
            down[j] = (view[after, j] - view[before, j]) * apart
        for j in range(1, width - 1):
            across[j] = (view[i, j + 1] - view[i, j - 1]) * np.float32(0.5)
        across[0] = view[i, min(1, width - 1)] - view[i, 0]
        across[width - 1] = view[i, width - 1] - view[i, max(width - 2, 0)]
        for j in range(width):
            design[0, i, j] = np.float32(1.0)
            design[1, i, j] = view[i, j]
            weighted[0, i, j] = weight[i, j]
            weighted[1, i, j] = weight[i, j] * view[i, j]
        node = min(int(i / step_y), nodes_y - 2) if height > 1 else 0
        share = i / step_y - node if height > 1 else 0.0
        for k in range(parameters):
            for n in range(nodes_x):
                first, second = motion[node, n, 0, k], motion[node + 1, n, 0, k]
                along_x[n] = -scale[k] * (first + share * (second - first))
                first, second = motion[node, n, 1, k], motion[node + 1, n, 1, k]
                along_y[n] = -scale[k] * (first + share * (second - first))
            start = 0
            for n in range(nodes_x - 1):
                end = width if n == nodes_x - 2 else min(int((n + 1) * step_x) + 1, width)
                slope_x = np.float32((along_x[n + 1] - along_x[n]) / max(step_x, 1e-9))
                slope_y = np.float32((along_y[n + 1] - along_y[n]) / max(step_x, 1e-9))
                base_x = np.float32(along_x[n] - n * step_x * slope_x)
                base_y = np.float32(along_y[n] - n * step_x * slope_y)
                for j in range(start, end):
                    at = np.float32(j)
                    change = across[j] * (base_x + slope_x * at)
                    change += down[j] * (base_y + slope_y * at)
                    design[k + 2, i, j] = change
                    weighted[k + 2, i, j] = weight[i, j] * change
                start = end


@compile_for(
    types.void(array(f8, 2), array(f8, 1), array(f8, 3), array(f8, 1), array(f8, 1), f4[:, :, ::1])
)
def add_lights(
    vectors: Any, light: Any, axes: Any, cosines: Any, per_light: Any, panoramas: Any
) -> None:
    """Add lights to panoramas: azimuth, clockwise from north, by rows of distance.

    Parameters
    ----------
    vectors : ndarray of float64, shape (n, 3)
        Unit vectors from the Earth's centre to the lights, in ascending order of z.
    light : ndarray of float64, shape (n,)
    axes : ndarray of float64, shape (k, 3, 3)
        East, north and up at each place, as rows.
    cosines : ndarray of float64, shape (rows + 1,)
        Cosines of the angles at the Earth's centre between the rows, descending.
    per_light : ndarray of float64, shape (rows,)
        What a row has of a light.
    panoramas : ndarray of float32, shape (k, rows, azimuths)
        Changed in place. A light is shared by the two azimuths that it lies between.
    """
    azimuths = panoramas.shape[2]
    nearest, farthest = cosines[0], cosines[-1]
    away = sqrt(1.0 - farthest * farthest)
    for k in range(len(axes)):
        east, north, up = axes[k, 0], axes[k, 1], axes[k, 2]
        level = sqrt(up[0] * up[0] + up[1] * up[1])
        # The lowest and highest z of directions so far from up
        low = up[2] * farthest - level * away if up[2] > -farthest else -1.0
        high = up[2] * farthest + level * away if up[2] < farthest else 1.0
        first, last = np.searchsorted(vectors[:, 2], low), np.searchsorted(vectors[:, 2], high)
        for i in range(first, last):
            x, y, z = vectors[i, 0], vectors[i, 1], vectors[i, 2]
            cosine = x * up[0] + y * up[1] + z * up[2]
            if cosine <= farthest or cosine >= nearest:
                continue
            below, above = 0, len(cosines) - 1
            while above - below > 1:
                middle = (below + above) // 2
                if cosine > cosines[middle]:
                    above = middle
                else:
                    below = middle
            turn = atan2(
                x * east[0] + y * east[1] + z * east[2],
                x * north[0] + y * north[1] + z * north[2],
            )
            column = turn / (2.0 * pi) * azimuths - 0.5
            whole = int(np.floor(column))
            part, amount = column - whole, light[i] * per_light[below]
            panoramas[k, below, whole % azimuths] += (1.0 - part) * amount
            panoramas[k, below, (whole + 1) % azimuths] += part * amount
