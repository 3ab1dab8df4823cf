"""Compiled correlation of a photo's patches with the reference under rotation hypotheses."""

from __future__ import annotations

from math import atan2, cos, sin
from typing import Any

import numpy as np
from numba import types

from matchers.compiled import array, compile_for

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
    asked: Any,
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
    asked : ndarray of float32, shape (n, harmonics, 2, c)
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
                        first += value * asked[n, h, 0, c]
                        second += value * asked[n, h, 1, c]
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
