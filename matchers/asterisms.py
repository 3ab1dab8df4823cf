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
from functools import cached_property
from itertools import combinations, permutations

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.code_table import CodeTable

# Beyond this height above the equator, the frames on the sphere are taken from the x axis
POLAR = 0.8
# Chords are longer than what they are in a figure's plane, by less than this at any size in use
SPARE = 1.05
# Of so many nearest points the neighbours that are bright enough are taken
SOUGHT_PER_NEIGHBOUR = 3

# The density of points around each is that of its nearest ones, this many
DENSITY_NEIGHBOURS = 8


@dataclass(frozen=True, kw_only=True)
class AsterismParameters:
    """Which figures are made of points, and when two are alike.

    Attributes
    ----------
    members : int
        Points of a figure: 3 (triangles) or 4 (quads).
    neighbours : int
        Figures are made of a point and of its nearest neighbours, this many.
    brightness_share : float
        Only points of at least this share of a point's brightness are its neighbours: faint
        points that one picture shows and the other does not stay out of the figures of bright
        ones. 0 lets all in.
    size_rad : tuple of float
        Figures that are smaller or larger than this (chords, about radians) are not made.
    shape_tolerance : float
        Places of the other members may differ by this, as a share of the figure's length.
    log_size_tolerance : float
        The natural logarithms of the lengths may differ by this.
    """

    members: int = 3
    neighbours: int = 8
    brightness_share: float = 0.0
    size_rad: tuple[float, float] = (0.0, 2.0)
    shape_tolerance: float = 0.02
    log_size_tolerance: float = 0.02


@dataclass(frozen=True, kw_only=True, eq=False)
class Figures:
    """Figures of points, and their codes."""

    members: IndexArray  # (m, k): indices of the points; the first two are the farthest apart
    # (m, 2 k - 3): places (x, y) of the other members in the frame of the first two, x along it,
    # both in units of its length, and the logarithm of that length
    codes: FloatArray
    axes: FloatArray  # (m, 3): unit vectors from the first member towards the second

    def __len__(self) -> int:
        return len(self.members)

    def chosen(self, which: BoolArray) -> Figures:
        """Those that are marked."""
        return Figures(**{name: column[which] for name, column in vars(self).items()})


def groups(
    points: FloatArray, brightness: FloatArray, parameters: AsterismParameters
) -> IndexArray:
    """Points (n, 3) with pairs (or triples) of their nearest neighbours that are bright enough.

    Distinct groups of indices, ascending, shape (m, k).
    """
    k = parameters.members
    n = len(points)
    if n < k:
        return np.zeros((0, k), np.intp)
    sought = parameters.neighbours
    if parameters.brightness_share > 0.0:
        sought *= SOUGHT_PER_NEIGHBOUR
    sought = min(sought, n - 1)
    distance, near = cKDTree(points).query(points, k=sought + 1)
    distance, near = distance[:, 1:], near[:, 1:]
    fits = brightness[near] >= parameters.brightness_share * brightness[:, None]
    fits &= (distance > 0.0) & (distance <= parameters.size_rad[1])
    # Neighbours that fit come first, the nearest of them before the others
    order = np.argsort(~fits, axis=1, kind="stable")[:, : parameters.neighbours]
    near = np.take_along_axis(near, order, axis=1)
    fits = np.take_along_axis(fits, order, axis=1)
    found = []
    for chosen in combinations(range(near.shape[1]), k - 1):
        whole = fits[:, list(chosen)].all(axis=1)
        found.append(np.column_stack([np.flatnonzero(whole), near[whole][:, list(chosen)]]))
    if not found:
        return np.zeros((0, k), np.intp)
    members = np.sort(np.concatenate(found), axis=1)
    key = members[:, 0].astype(np.int64)
    for column in range(1, k):
        key = key * n + members[:, column]
    return members[np.unique(key, return_index=True)[1]]


def describe(points: FloatArray, members: IndexArray) -> Figures:
    """Codes of figures in the order in which their members are given."""
    at = points[members]
    along = at[:, 1] - at[:, 0]
    length = np.maximum(np.linalg.norm(along, axis=1), 1e-12)
    along = along / length[:, None]
    # Inside the sphere, y grows to the left of x about the figure's middle
    side = np.cross(at.mean(axis=1), along)
    side /= np.maximum(np.linalg.norm(side, axis=1), 1e-12)[:, None]
    others = at[:, 2:] - at[:, :1]
    x = np.einsum("mki,mi->mk", others, along) / length[:, None]
    y = np.einsum("mki,mi->mk", others, side) / length[:, None]
    places = np.stack([x, y], axis=-1).reshape(len(members), 2 * (members.shape[1] - 2))
    return Figures(
        members=members,
        codes=np.column_stack([places, np.log(length)]),
        axes=along,
    )


def canonical(points: FloatArray, members: IndexArray) -> Figures:
    """Codes of figures in their one canonical order.

    The first two members are the farthest apart; the others stand in order of x and on average
    nearer to the first than to the second.
    """
    k = members.shape[1]
    sides = list(combinations(range(k), 2))
    at = points[members]
    lengths = np.stack([((at[:, a] - at[:, b]) ** 2).sum(axis=1) for a, b in sides], axis=1)
    first_two = np.array(sides)[lengths.argmax(axis=1)]
    rest = np.array([[c for c in range(k) if c not in side] for side in sides])
    order = np.concatenate([first_two, rest[lengths.argmax(axis=1)]], axis=1)
    turned = describe(points, np.take_along_axis(members, order, axis=1))
    x = turned.codes[:, :-1:2]
    swapped = x.mean(axis=1) > 0.5
    x = np.where(swapped[:, None], 1.0 - x, x)
    order = np.concatenate(
        [np.where(swapped[:, None], [1, 0], [0, 1]), 2 + np.argsort(x, axis=1, kind="stable")],
        axis=1,
    )
    return describe(points, np.take_along_axis(turned.members, order, axis=1))


def every_order(points: FloatArray, members: IndexArray, slack: float) -> Figures:
    """Codes of figures in every order that noise might make the canonical one, at least one each.

    The order may be missed by ``slack``, a share of a figure's length.
    """
    from matchers.compiled_figures import in_every_order

    orders = np.array(list(permutations(range(members.shape[1]))))
    found, codes, axes = in_every_order(
        np.ascontiguousarray(points, float),
        np.ascontiguousarray(members, np.int64),
        orders,
        slack,
        # Those whose first two members are too near to each other need not be described
        SPARE * (1.0 + slack),
    )
    return Figures(members=found, codes=codes, axes=axes)


def large_enough(figures: Figures, parameters: AsterismParameters) -> Figures:
    """The figures whose size is within the limits."""
    low, high = np.log(np.maximum(parameters.size_rad, 1e-12))
    fits = (figures.codes[:, -1] >= low) & (figures.codes[:, -1] <= high)
    return figures.chosen(fits)


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
    """Direction angles (radians) of figures' axes in the frames of their members, shape (m, k)."""
    local = frames(points)[figures.members]
    along = np.einsum("mkij,mi->mkj", local[..., :2], figures.axes)
    return np.arctan2(along[..., 1], along[..., 0])


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
    azimuths_rad : ndarray of float64, shape (m, k)
        Directions of the figures' axes in the frames of their members.
    code_table : CodeTable or None
        Of the codes in units of the tolerances; None without any figure.
    whole : tuple of AsterismIndex and ndarray of bool, or None
        What this was cut out of, and which of its points are left.
    """

    vectors: FloatArray
    brightness: FloatArray
    figures: Figures
    parameters: AsterismParameters
    azimuths_rad: FloatArray
    point_tree: cKDTree
    code_table: CodeTable | None
    whole: tuple[AsterismIndex, BoolArray] | None = None

    @cached_property
    def density(self) -> FloatArray:
        """Points per steradian around each point, also those that were cut off; shape (n,)."""
        if self.whole is None:
            return local_density(self.vectors)
        index, left = self.whole
        return index.density[left]


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
        point_tree=cKDTree(points),
        code_table=CodeTable.of(scaled_codes(figures.codes, parameters)) if len(figures) else None,
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


def scaled_codes(codes: FloatArray, parameters: AsterismParameters) -> FloatArray:
    """Codes in units of the tolerances: alike within a distance of 1."""
    places = codes[:, :-1] / parameters.shape_tolerance
    return np.column_stack([places, codes[:, -1] / parameters.log_size_tolerance])


def local_density(points: FloatArray) -> FloatArray:
    """Points per steradian around unit vectors (n, 3), by the distance of their nearest ones."""
    k = min(DENSITY_NEIGHBOURS, len(points) - 1)
    if k < 1:
        return np.full(len(points), len(points) / (4.0 * np.pi))
    distance = cKDTree(points).query(points, k=k + 1)[0][:, -1]
    # A cap of chord c covers pi c^2 of the unit sphere, exactly
    return k / (np.pi * np.maximum(distance, 1e-9) ** 2)
