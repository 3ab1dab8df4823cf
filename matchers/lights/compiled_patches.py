"""Compiled: what the patches of a photo say of the places that rotations carry them to."""

from __future__ import annotations

from math import atan2, cos, sin
from typing import Any

import numpy as np
from numba import types

from matchers.compiled import array, compiled

f4, f8, i8 = types.float32, types.float64, types.int64


@compiled(
    types.void(
        array(f8, 2),
        array(i8, 2),
        array(f8, 2),
        array(f8, 3),
        array(f8, 3),
        array(f8, 2),
        array(types.int8, 3),
        array(f4, 4),
        f8[:, ::1],
    )
)
def correlate_nearest(
    distance: Any,
    places: Any,
    reach: Any,
    rotations: Any,
    frames: Any,
    right: Any,
    coefficients: Any,
    projections: Any,
    correlation: Any,
) -> None:
    """Fill in how well each patch of a photo looks like the place that it falls on.

    Parameters
    ----------
    distance, places : ndarray, shape (v, n)
        The nearest place of the reference to each patch under each rotation.
    reach : ndarray of float64, shape (v, n)
        How near it must be; 0 for a patch that has no say.
    rotations : ndarray of float64, shape (v, 3, 3)
    frames : ndarray of float64, shape (m, 3, 3)
        Of the reference's places.
    right : ndarray of float64, shape (n, 3)
        Where each patch has its right.
    coefficients : ndarray of int8, shape (harmonics, m, c)
    projections : ndarray of float32, shape (n, harmonics, 2, c)
        What coefficients are multiplied by for the real and the imaginary part of a spectrum.
    correlation : ndarray of float64, shape (v, n)
        Stays as it is where no place is near.
    """
    harmonics, _, width = coefficients.shape
    for v in range(distance.shape[0]):
        to = rotations[v]
        for n in range(distance.shape[1]):
            if not distance[v, n] < reach[v, n]:
                continue
            place = places[v, n]
            x = to[0, 0] * right[n, 0] + to[0, 1] * right[n, 1] + to[0, 2] * right[n, 2]
            y = to[1, 0] * right[n, 0] + to[1, 1] * right[n, 1] + to[1, 2] * right[n, 2]
            z = to[2, 0] * right[n, 0] + to[2, 1] * right[n, 1] + to[2, 2] * right[n, 2]
            here = frames[place]
            turn = atan2(
                here[0, 1] * x + here[1, 1] * y + here[2, 1] * z,
                here[0, 0] * x + here[1, 0] * y + here[2, 0] * z,
            )
            one_cosine, one_sine = cos(turn), sin(turn)
            cosine, sine, total = 1.0, 0.0, 0.0
            for h in range(harmonics):
                real: Any = np.float32(0.0)
                imaginary: Any = np.float32(0.0)
                for c in range(width):
                    value = np.float32(coefficients[h, place, c])
                    real += value * projections[n, h, 0, c]
                    imaginary += value * projections[n, h, 1, c]
                cosine, sine = (
                    cosine * one_cosine - sine * one_sine,
                    sine * one_cosine + cosine * one_sine,
                )
                total += real * cosine - imaginary * sine
            correlation[v, n] = total
