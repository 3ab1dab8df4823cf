"""Asterisms: an index of small groups of points on the sphere.

Catalogue stars and light peaks viewed from a camera have the same representation: unit vectors with
a brightness. `matchers.points.asterism_match` finds the rotation of a photo's points to those of an
index.

References
----------
Mortari, D., Samaan, M. A., Bruccoleri, C., Junkins, J. L. (2004). The Pyramid star identification
technique. Navigation 51 (3), 171-183.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, permutations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from detectors.types import Columns, FloatArray, IndexArray

# Sine of the latitude beyond which local frames on the sphere refer to the x axis instead of the
# pole. Stored index files depend on this value
POLAR = 0.8


@dataclass(frozen=True, kw_only=True)
class AsterismParameters:
    """Parameters for making asterisms of points, and tolerances for matching them."""

    neighbours: int = 8  # an asterism is a point and two of this many nearest neighbours
    # Minimum brightness of neighbours relative to the point. Faint points may be detected in one
    # image only, so they are excluded from asterisms of bright points. 0 includes all points
    brightness_share: float = 0.0
    size_rad: tuple[float, float] = (0.0, 2.0)  # minimum and maximum length (chord)
    shape_tolerance: float = 0.02  # of the third member's position, as a fraction of the length
    log_size_tolerance: float = 0.02  # of the natural logarithm of the length


@dataclass(frozen=True, kw_only=True, eq=False)
class Figures(Columns):
    """Asterisms of points, and their codes."""

    members: IndexArray  # (m, 3): indices of the points; the first two are the farthest apart
    # (m, 3): position (x, y) of the third member, with x along the line from the first to the
    # second member, both in units of the length of that line; and the natural logarithm of that
    # length
    codes: FloatArray
    axes: FloatArray  # (m, 3): unit vectors from the first member towards the second

    def within(self, size_rad: tuple[float, float]) -> Figures:
        low, high = np.log(np.maximum(size_rad, 1e-12))
        return self.select((self.codes[:, -1] >= low) & (self.codes[:, -1] <= high))


def group_neighbours(
    points: FloatArray, brightness: FloatArray, parameters: AsterismParameters
) -> IndexArray:
    """Group each point (n, 3) with pairs of its nearest neighbours that are bright enough.

    Returns distinct groups of indices, each in ascending order, shape (m, 3).
    """
    n = len(points)
    if n < 3:
        return np.zeros((0, 3), np.intp)
    candidates = parameters.neighbours
    if parameters.brightness_share > 0.0:
        candidates *= 3
    distance, near = cKDTree(points).query(points, k=min(candidates, n - 1) + 1)
    distance, near = distance[:, 1:], near[:, 1:]
    fits = brightness[near] >= parameters.brightness_share * brightness[:, None]
    fits &= (distance > 0.0) & (distance <= parameters.size_rad[1])
    # Sort valid neighbours first, nearest first among them
    order = np.argsort(~fits, axis=1, kind="stable")[:, : parameters.neighbours]
    near, fits = np.take_along_axis(near, order, axis=1), np.take_along_axis(fits, order, axis=1)
    found = [np.zeros((0, 3), np.intp)]
    for columns in map(list, combinations(range(near.shape[1]), 2)):
        complete = fits[:, columns].all(axis=1)
        found.append(np.column_stack([np.flatnonzero(complete), near[complete][:, columns]]))
    members = np.sort(np.concatenate(found), axis=1)
    key = members @ np.array([n * n, n, 1], np.int64)
    return members[np.unique(key, return_index=True)[1]]


def encode(points: FloatArray, members: IndexArray) -> Figures:
    """Compute codes of asterisms in the given order of their members."""
    at = points[members]
    along = at[:, 1] - at[:, 0]
    length = np.maximum(lengths(along), 1e-12)
    along /= length[:, None]
    # As seen from inside the sphere; perpendicular to x and to the direction of the centroid
    side = np.cross(at.mean(axis=1), along)
    side /= np.maximum(lengths(side), 1e-12)[:, None]
    third = (at[:, 2] - at[:, 0]) / length[:, None]
    codes = [np.vecdot(third, along), np.vecdot(third, side), np.log(length)]
    return Figures(members=members, codes=np.stack(codes, axis=1), axes=along)


def encode_every_order(points: FloatArray, members: IndexArray, slack: float) -> Figures:
    """Compute codes of asterisms in each order that may be canonical in the presence of noise.

    ``slack`` is the tolerance of this test as a fraction of the asterism's length.
    """
    at = points[members]
    apart = lengths(at[:, :, None] - at[:, None])
    # Chords exceed their length in the asterism's plane by less than 5 % at any size
    least = apart.max(axis=(1, 2)) / (1.05 * (1.0 + slack))
    orders = [
        members[apart[:, order[0], order[1]] >= least][:, list(order)]
        for order in permutations(range(3))
    ]
    figures = encode(points, np.concatenate(orders))
    x, y = figures.codes[:, 0], figures.codes[:, 1]
    near = (np.hypot(x, y) <= 1.0 + slack) & (np.hypot(x - 1.0, y) <= 1.0 + slack)
    return figures.select((x <= 0.5 + slack) & near)


def frames(vectors: FloatArray) -> FloatArray:
    """Compute right-handed local frames (..., 3, 3) whose third column is the given vector."""
    polar = np.abs(vectors[..., 2:]) > POLAR
    pole = np.where(polar, [1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    first = np.cross(pole, vectors)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    return np.stack([first, np.cross(vectors, first), vectors], axis=-1)


def turns_about_z(angle_rad: FloatArray) -> FloatArray:
    """Compute rotations (n, 3, 3) about the third axis, from the first towards the second."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    turns = np.zeros((len(angle_rad), 3, 3))
    turns[:, 0, 0], turns[:, 0, 1], turns[:, 1, 0], turns[:, 1, 1] = cosine, -sine, sine, cosine
    turns[:, 2, 2] = 1.0
    return turns


def azimuths(points: FloatArray, figures: Figures) -> FloatArray:
    """Compute azimuths (radians) of asterisms' axes in their members' frames, shape (m, 3)."""
    local = frames(points)[figures.members]
    along = np.einsum("mkij,mi->mkj", local[..., :2], figures.axes)
    return np.arctan2(along[..., 1], along[..., 0])


@dataclass(frozen=True, kw_only=True, eq=False)
class AsterismIndex:
    """Reference points and their asterisms, with k-d trees of both.

    vectors: Unit vectors, shape (n, 3).
    figures: Asterisms in canonical order.
    azimuths_rad: Azimuths of the asterisms' axes in the frames of their members, shape (m, 3).
    code_tree: Tree of the codes in units of the tolerances.
    """

    vectors: FloatArray
    figures: Figures
    parameters: AsterismParameters
    azimuths_rad: FloatArray
    point_tree: cKDTree
    code_tree: cKDTree

    @cached_property
    def density(self) -> FloatArray:
        """Points per steradian around each point, shape (n,)."""
        n = len(self.vectors)
        k = min(8, n - 1)
        if k < 1:
            return np.full(n, n / (4.0 * np.pi))
        distance = self.point_tree.query(self.vectors, k=k + 1)[0][:, -1]
        # A spherical cap of chord radius c has an area of exactly pi c^2 on the unit sphere
        return k / (np.pi * np.maximum(distance, 1e-9) ** 2)


def build_index(
    vectors: ArrayLike, brightness: ArrayLike, parameters: AsterismParameters
) -> AsterismIndex:
    """Index the asterisms of a reference: a star catalogue, or the light peaks around a camera.

    Parameters
    ----------
    vectors : array_like, shape (n, 3)
        Directions, of any non-zero length.
    brightness : array_like, shape (n,)
        In any unit; larger is brighter.

    Returns
    -------
    AsterismIndex

    Raises
    ------
    ValueError
        If the shapes do not match, or if a vector is zero or not finite.
    """
    points = unit(vectors)
    bright = np.asarray(brightness, float)
    if bright.shape != (len(points),):
        raise ValueError(
            f"brightness has shape {bright.shape} for {len(points)} vectors: give one number each."
        )
    # In canonical order: the first two members are the pair with the largest separation, and the
    # third is closer to the first than to the second
    members = group_neighbours(points, bright, parameters)
    at = points[members]
    sides = [((at[:, a] - at[:, b]) ** 2).sum(axis=1) for a, b in ((0, 1), (0, 2), (1, 2))]
    orders = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])[np.argmax(sides, axis=0)]
    figures = encode(points, np.take_along_axis(members, orders, axis=1))
    swapped = figures.codes[:, :1] > 0.5
    figures = encode(points, np.where(swapped, figures.members[:, [1, 0, 2]], figures.members))
    figures = figures.within(parameters.size_rad)
    return AsterismIndex(
        vectors=points,
        figures=figures,
        parameters=parameters,
        azimuths_rad=azimuths(points, figures),
        point_tree=cKDTree(points),
        code_tree=cKDTree(scale_codes(figures.codes, parameters)),
    )


def lengths(vectors: FloatArray) -> FloatArray:
    """Compute lengths (...) of vectors (..., 3), twice as fast as `numpy.linalg.norm`."""
    return np.asarray(np.sqrt(np.vecdot(vectors, vectors)))


def unit(vectors: ArrayLike) -> FloatArray:
    """Normalise vectors (n, 3) to unit length; raises ValueError if one is zero or not finite."""
    points = np.asarray(vectors, float).reshape(-1, 3) if np.size(vectors) else np.zeros((0, 3))
    length = np.linalg.norm(points, axis=1, keepdims=True)
    if not (np.isfinite(points).all() and (length > 0.0).all()):
        raise ValueError("A vector is zero or not finite: leave such points out.")
    return points / length


def scale_codes(codes: FloatArray, parameters: AsterismParameters) -> FloatArray:
    """Scale codes to units of the tolerances: asterisms match within a distance of 1."""
    places = codes[:, :-1] / parameters.shape_tolerance
    return np.column_stack([places, codes[:, -1] / parameters.log_size_tolerance])
