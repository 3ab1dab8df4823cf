"""Asterisms: an index of small figures of points on the sphere.

Stars of a catalogue and towns seen from a camera are described alike: both are unit vectors with a
brightness. `matchers.asterism_match` finds the rotation of a photo's points to those of an index.

References
----------
Mortari, D., Samaan, M. A., Bruccoleri, C., Junkins, J. L. (2004). The Pyramid star identification
technique. Navigation 51 (3), 171-183.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from matchers.asterism_figures import (
    AsterismParameters,
    Figures,
    azimuths,
    canonical,
    groups,
    large_enough,
)
from matchers.code_table import CodeTable

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

# The density of points around each is that of its nearest ones, this many
DENSITY_NEIGHBOURS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class AsterismIndex:
    """Points of the reference, their figures, and trees to find both quickly.

    Attributes
    ----------
    vectors : ndarray of float64, shape (n, 3)
        Unit vectors.
    brightness : ndarray of float64, shape (n,)
        In any unit; more is brighter.
    figures : Figures
        Each in one canonical order of its members.
    parameters : AsterismParameters
        What they were made with.
    azimuths_rad : ndarray of float64, shape (m, k)
        Directions of the figures' axes in the frames of their members.
    density : ndarray of float64, shape (n,)
        Points per steradian around each point.
    point_tree : cKDTree
        Of the vectors.
    code_table : CodeTable or None
        Of the codes in units of the tolerances; None without any figure.
    """

    vectors: FloatArray
    brightness: FloatArray
    figures: Figures
    parameters: AsterismParameters
    azimuths_rad: FloatArray
    density: FloatArray
    point_tree: cKDTree
    code_table: CodeTable | None


def build_index(
    vectors: ArrayLike, brightness: ArrayLike, parameters: AsterismParameters
) -> AsterismIndex:
    """Index the figures of a reference: a star catalogue, or the towns around a camera.

    Parameters
    ----------
    vectors : array_like, shape (n, 3)
        Directions, of any length but zero.
    brightness : array_like, shape (n,)
        In any unit; more is brighter.
    parameters : AsterismParameters
        Which figures to make.

    Returns
    -------
    AsterismIndex

    Raises
    ------
    ValueError
        If the shapes do not fit, or a number is not finite.
    """
    points = unit(vectors)
    bright = np.asarray(brightness, float)
    if bright.shape != (len(points),):
        raise ValueError(
            f"brightness has shape {bright.shape} for {len(points)} vectors: give one number each."
        )
    figures = large_enough(canonical(points, groups(points, bright, parameters)), parameters)
    return AsterismIndex(
        vectors=points,
        brightness=bright,
        figures=figures,
        parameters=parameters,
        azimuths_rad=azimuths(points, figures),
        density=local_density(points),
        point_tree=cKDTree(points),
        code_table=CodeTable.of(scaled_codes(figures.codes, parameters)) if len(figures) else None,
    )


def unit(vectors: ArrayLike) -> FloatArray:
    """Vectors of shape (n, 3) at unit length; ValueError where that cannot be."""
    points = np.asarray(vectors, float).reshape(-1, 3) if np.size(vectors) else np.zeros((0, 3))
    length = np.linalg.norm(points, axis=1, keepdims=True)
    if not (np.isfinite(points).all() and (length > 0.0).all()):
        raise ValueError("A vector is zero or not finite: leave such points out.")
    return points / length


def scaled_codes(codes: FloatArray, parameters: AsterismParameters) -> FloatArray:
    """Codes in units of the tolerances: alike within a distance of 1."""
    places = codes[:, :-1] / parameters.shape_tolerance
    return np.column_stack([places, codes[:, -1] / parameters.log_size_tolerance])


def local_density(points: FloatArray) -> FloatArray:
    """Points per steradian around each point, from the distance of its nearest ones.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 3)
        Unit vectors.

    Returns
    -------
    ndarray of float64, shape (n,)
    """
    k = min(DENSITY_NEIGHBOURS, len(points) - 1)
    if k < 1:
        return np.full(len(points), len(points) / (4.0 * np.pi))
    distance = cKDTree(points).query(points, k=k + 1)[0][:, -1]
    # A cap of chord c covers pi c^2 of the unit sphere, exactly
    return k / (np.pi * np.maximum(distance, 1e-9) ** 2)
