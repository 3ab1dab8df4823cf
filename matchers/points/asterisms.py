"""Asterisms: an index of small groups of points on the sphere.

Stars of a catalogue and light peaks seen from a camera are described alike: both are unit vectors
with a brightness. `matchers.points.asterism_match` finds the rotation of a photo's points to those
of an index.

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

from detectors.types import BoolArray, FloatArray, IndexArray

# Of frames on the sphere, which the file of an index rests on: beyond this sine of the latitude
# they are taken from the x axis
POLAR = 0.8


@dataclass(frozen=True, kw_only=True)
class AsterismParameters:
    """Which asterisms are made of points, and when two are alike."""

    neighbours: int = 8  # asterisms are made of a point and of two of its nearest, this many
    # Only points of at least this share of a point's brightness are its neighbours: faint points
    # that one picture shows and the other does not stay out of the asterisms of bright ones. 0
    # lets all in
    brightness_share: float = 0.0
    # Where brightness decides, neighbours are chosen among this many times as many points
    candidates_per_neighbour: int = 3
    size_rad: tuple[float, float] = (0.0, 2.0)  # shorter and longer ones (chords) are not made
    shape_tolerance: float = 0.02  # of places of the other members, as a share of the length
    log_size_tolerance: float = 0.02  # of the natural logarithms of the lengths
    density_neighbours: int = 8  # the density around a point is that of its nearest ones


@dataclass(frozen=True, kw_only=True, eq=False)
class Figures:
    """Asterisms of points, and their codes."""

    members: IndexArray  # (m, 3): indices of the points; the first two are the farthest apart
    # (m, 3): place (x, y) of the third member in the frame of the first two, x along it, both in
    # units of its length, and the logarithm of that length
    codes: FloatArray
    axes: FloatArray  # (m, 3): unit vectors from the first member towards the second

    def __len__(self) -> int:
        return len(self.members)

    def chosen(self, which: BoolArray) -> Figures:
        """Those that are marked."""
        return Figures(**{name: column[which] for name, column in vars(self).items()})

    def within(self, size_rad: tuple[float, float]) -> Figures:
        """Those whose length is within limits."""
        low, high = np.log(np.maximum(size_rad, 1e-12))
        return self.chosen((self.codes[:, -1] >= low) & (self.codes[:, -1] <= high))


def group_neighbours(
    points: FloatArray, brightness: FloatArray, parameters: AsterismParameters
) -> IndexArray:
    """Points (n, 3) with pairs of their nearest neighbours that are bright enough.

    Distinct groups of indices, ascending, shape (m, 3).
    """
    n = len(points)
    if n < 3:
        return np.zeros((0, 3), np.intp)
    candidates = parameters.neighbours
    if parameters.brightness_share > 0.0:
        candidates *= parameters.candidates_per_neighbour
    distance, near = cKDTree(points).query(points, k=min(candidates, n - 1) + 1)
    distance, near = distance[:, 1:], near[:, 1:]
    fits = brightness[near] >= parameters.brightness_share * brightness[:, None]
    fits &= (distance > 0.0) & (distance <= parameters.size_rad[1])
    # Neighbours that fit come first, the nearest of them before the others
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
    """Codes of asterisms in the order in which their members are given."""
    at = points[members]
    along = at[:, 1] - at[:, 0]
    length = np.maximum(lengths(along), 1e-12)
    along /= length[:, None]
    # Inside the sphere, y grows to the left of x about the asterism's middle
    side = np.cross(at.mean(axis=1), along)
    side /= np.maximum(lengths(side), 1e-12)[:, None]
    third = (at[:, 2] - at[:, 0]) / length[:, None]
    codes = [np.vecdot(third, along), np.vecdot(third, side), np.log(length)]
    return Figures(members=members, codes=np.stack(codes, axis=1), axes=along)


def encode_canonical(points: FloatArray, members: IndexArray) -> Figures:
    """Codes of asterisms in their one canonical order.

    The first two members are the farthest apart; the third is nearer to the first.
    """
    at = points[members]
    sides = [((at[:, a] - at[:, b]) ** 2).sum(axis=1) for a, b in ((0, 1), (0, 2), (1, 2))]
    orders = np.array([(0, 1, 2), (0, 2, 1), (1, 2, 0)])[np.argmax(sides, axis=0)]
    figures = encode(points, np.take_along_axis(members, orders, axis=1))
    swapped = figures.codes[:, :1] > 0.5
    return encode(points, np.where(swapped, figures.members[:, [1, 0, 2]], figures.members))


def encode_every_order(points: FloatArray, members: IndexArray, slack: float) -> Figures:
    """Codes of asterisms in every order that noise might make the canonical one, at least one each.

    The order may be missed by ``slack``, a share of an asterism's length.
    """
    at = points[members]
    apart = lengths(at[:, :, None] - at[:, None])
    # Chords are longer than what they are in an asterism's plane, by less than 5 % at any size
    least = apart.max(axis=(1, 2)) / (1.05 * (1.0 + slack))
    orders = [
        members[apart[:, order[0], order[1]] >= least][:, list(order)]
        for order in permutations(range(3))
    ]
    figures = encode(points, np.concatenate(orders))
    x, y = figures.codes[:, 0], figures.codes[:, 1]
    near = (np.hypot(x, y) <= 1.0 + slack) & (np.hypot(x - 1.0, y) <= 1.0 + slack)
    return figures.chosen((x <= 0.5 + slack) & near)


def frames(vectors: FloatArray) -> FloatArray:
    """Right-handed frames on the sphere: matrices (..., 3, 3) whose third column is the vector."""
    polar = np.abs(vectors[..., 2:]) > POLAR
    pole = np.where(polar, [1.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    first = np.cross(pole, vectors)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    return np.stack([first, np.cross(vectors, first), vectors], axis=-1)


def turns_about_z(angle_rad: FloatArray) -> FloatArray:
    """Rotations (n, 3, 3) about the third axis, from the first towards the second."""
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    turns = np.zeros((len(angle_rad), 3, 3))
    turns[:, 0, 0], turns[:, 0, 1], turns[:, 1, 0], turns[:, 1, 1] = cosine, -sine, sine, cosine
    turns[:, 2, 2] = 1.0
    return turns


def azimuths(points: FloatArray, figures: Figures) -> FloatArray:
    """Directions (radians) of asterisms' axes in the frames of their members, shape (m, 3)."""
    local = frames(points)[figures.members]
    along = np.einsum("mkij,mi->mkj", local[..., :2], figures.axes)
    return np.arctan2(along[..., 1], along[..., 0])


@dataclass(frozen=True, kw_only=True, eq=False)
class AsterismIndex:
    """Points of the reference, their asterisms, and what finds both quickly.

    vectors: Unit vectors, shape (n, 3).
    figures: Each in one canonical order of its members.
    azimuths_rad: Directions of the asterisms' axes in the frames of their members, shape (m, 3).
    code_tree: Of the codes in units of the tolerances.
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
        k = min(self.parameters.density_neighbours, n - 1)
        if k < 1:
            return np.full(n, n / (4.0 * np.pi))
        distance = self.point_tree.query(self.vectors, k=k + 1)[0][:, -1]
        # A cap of chord c covers pi c^2 of the unit sphere, exactly
        return k / (np.pi * np.maximum(distance, 1e-9) ** 2)


def build_index(
    vectors: ArrayLike, brightness: ArrayLike, parameters: AsterismParameters
) -> AsterismIndex:
    """Index the asterisms of a reference: a star catalogue, or the light peaks around a camera.

    Parameters
    ----------
    vectors : array_like, shape (n, 3)
        Directions, of any length but zero.
    brightness : array_like, shape (n,)
        In any unit; more is brighter.

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
    figures = encode_canonical(points, group_neighbours(points, bright, parameters))
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
    """Lengths (...) of vectors (..., 3): `numpy.linalg.norm` in less than half the time."""
    return np.asarray(np.sqrt(np.vecdot(vectors, vectors)))


def unit(vectors: ArrayLike) -> FloatArray:
    """Vectors of shape (n, 3) at unit length; ValueError where that cannot be."""
    points = np.asarray(vectors, float).reshape(-1, 3) if np.size(vectors) else np.zeros((0, 3))
    length = np.linalg.norm(points, axis=1, keepdims=True)
    if not (np.isfinite(points).all() and (length > 0.0).all()):
        raise ValueError("A vector is zero or not finite: leave such points out.")
    return points / length


def scale_codes(codes: FloatArray, parameters: AsterismParameters) -> FloatArray:
    """Codes in units of the tolerances: alike within a distance of 1."""
    places = codes[:, :-1] / parameters.shape_tolerance
    return np.column_stack([places, codes[:, -1] / parameters.log_size_tolerance])
