"""Rotations and scales that carry paired points onto each other, many at once.

References
----------
Markley, F. L. (1988). Attitude determination using vector observations and the singular value
decomposition. Journal of the Astronautical Sciences 36 (3), 245-258.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.asterisms import (
    AsterismIndex,
    azimuths,
    every_order,
    frames,
    groups,
    large_enough,
    scaled_codes,
)

LEAST_FOR_SCALE = 4  # pairs, to fit the scale as well


def flipped(vectors: FloatArray, mirrored: bool) -> FloatArray:
    """Vectors with their x negated where they are of a mirrored picture."""
    return vectors * [-1.0, 1.0, 1.0] if mirrored else vectors


def rescaled(vectors: FloatArray, scale: FloatArray | float) -> FloatArray:
    """Unit vectors whose tangents to the z axis are multiplied by a scale."""
    factors = np.ones((*np.shape(scale)[:-1], 3)) if np.ndim(scale) else np.ones(3)
    factors[..., :2] = scale
    stretched = vectors * factors
    return np.asarray(stretched / np.linalg.norm(stretched, axis=-1, keepdims=True))


def carrying(vectors: FloatArray, onto: FloatArray) -> FloatArray:
    """The smallest rotations (v, 3, 3) that carry unit vectors (v, 3) onto others, not opposite."""
    axis = np.cross(vectors, onto)
    cross = np.zeros((len(vectors), 3, 3))
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -axis[:, 2], axis[:, 1], -axis[:, 0]
    cross -= np.swapaxes(cross, 1, 2)
    cosine = np.einsum("vi,vi->v", vectors, onto)[:, None, None]
    return np.asarray(np.eye(3) + cross + cross @ cross / (1.0 + cosine))


def fitted_scales(
    rays: FloatArray, targets: FloatArray, share: FloatArray, now: FloatArray, most: float
) -> FloatArray:
    """Scales at which photo points that were paired spread as far as their partners.

    Parameters
    ----------
    rays : ndarray of float64, shape (n, 3) or (v, n, 3)
        The photo's points, not rescaled.
    targets : ndarray of float64, shape (v, n, 3)
        Their partners.
    share : ndarray of float64, shape (v, n)
        Weight of each pair.
    now : ndarray of float64, shape (v,)
        Scales at hand.
    most : float
        Logarithms of scales stay within this.

    Returns
    -------
    ndarray of float64, shape (v,)
    """
    bent = rescaled(rays if rays.ndim == 3 else rays[None], now[:, None, None])
    sizes = []
    for points in (targets, bent):
        count = np.maximum(share.sum(axis=1), 1.0)[:, None]
        middle = np.einsum("vn,vni->vi", share, points) / count
        sizes.append(np.einsum("vn,vn->v", share, ((points - middle[:, None]) ** 2).sum(axis=2)))
    change = 0.5 * np.log(np.maximum(sizes[0], 1e-18) / np.maximum(sizes[1], 1e-18))
    change = np.where((share > 0.0).sum(axis=1) >= LEAST_FOR_SCALE, change, 0.0)
    return np.exp(np.clip(np.log(now) + change, -most, most))


def fitted_rotations(
    points: FloatArray, targets: FloatArray, share: FloatArray, otherwise: FloatArray
) -> FloatArray:
    """Least-squares rotations of points onto targets (Wahba's problem, by SVD).

    Parameters
    ----------
    points, targets : ndarray of float64, shape (v, n, 3)
        Unit vectors.
    share : ndarray of float64, shape (v, n)
        Weight of each pair.
    otherwise : ndarray of float64, shape (v, 3, 3)
        Taken where fewer than two pairs count.

    Returns
    -------
    ndarray of float64, shape (v, 3, 3)
        Proper rotations.

    References
    ----------
    Markley (1988), see the module.
    """
    profile = np.einsum("vn,vni,vnj->vij", share, targets, points)
    u, _, vt = np.linalg.svd(profile)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return np.where((share > 0.0).sum(axis=1)[:, None, None] >= 2, u @ vt, otherwise)


def spread(rays: FloatArray) -> float:
    """Root mean square distance of unit vectors from their mean; 0 for none."""
    if len(rays) == 0:
        return 0.0
    return float(np.sqrt(((rays - rays.mean(axis=0)) ** 2).sum(axis=1).mean()))


# Figures that look alike vote for pairs of points, and for the turn about them.


TABLE = 262_147  # cells of the voting table: a prime, 2 MB, which stay in a processor's cache
# Votes of different cells fall together in the table: so many times the wanted cells are counted
SPARE = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Meetings:
    """Figures of the photo and of the reference with the same code, each of shape (c, k).

    Attributes
    ----------
    photo, reference : ndarray of int
        Their members, in the same order.
    turn_rad : ndarray of float64
        Turn about each member, from the photo's frame there to the reference's.
    log_scale : ndarray of float64, shape (c,)
        Natural logarithm of the reference's length over the photo's.
    """

    photo: IndexArray
    reference: IndexArray
    turn_rad: FloatArray
    log_scale: FloatArray

    def __len__(self) -> int:
        return len(self.photo)


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposals:
    """Rotations that meetings voted for, most votes first.

    Attributes
    ----------
    rotations : ndarray of float64, shape (v, 3, 3)
        Photo to reference.
    photo, reference : ndarray of int, shape (v,)
        The pair of points that each rests on.
    own : ndarray of bool, shape (v, n)
        Photo points of the figure that gave the first vote.
    votes : ndarray of int, shape (v,)
    log_scale : ndarray of float64, shape (v,)
        Mean of the figures that voted.
    """

    rotations: FloatArray
    photo: IndexArray
    reference: IndexArray
    own: BoolArray
    votes: IndexArray
    log_scale: FloatArray

    def __len__(self) -> int:
        return len(self.rotations)


def meet(
    index: AsterismIndex, rays: FloatArray, brightness: FloatArray, neighbours: int
) -> Meetings:
    """Find the figures of the reference that look like figures of the photo.

    Parameters
    ----------
    index : AsterismIndex
        The reference.
    rays : ndarray of float64, shape (n, 3)
        Unit vectors of the photo's points.
    brightness : ndarray of float64, shape (n,)
        Of each.
    neighbours : int
        The photo's figures are made of so many nearest neighbours.

    Returns
    -------
    Meetings
    """
    p = index.parameters
    none = np.zeros((0, p.members), np.intp)
    nothing = Meetings(
        photo=none, reference=none, turn_rad=np.zeros(none.shape), log_scale=np.zeros(0)
    )
    slack = np.exp(p.log_size_tolerance)
    wider = replace(
        p, neighbours=neighbours, size_rad=(p.size_rad[0] / slack, p.size_rad[1] * slack)
    )
    members = groups(rays, brightness, wider)
    if index.code_table is None or len(members) == 0:
        return nothing
    photo = large_enough(every_order(rays, members, p.shape_tolerance), wider)
    if len(photo) == 0:
        return nothing
    mine, its = index.code_table.alike(scaled_codes(photo.codes, p))
    ours, theirs = photo.members[mine], index.figures.members[its]
    turn = index.azimuths_rad[its] - azimuths(rays, photo)[mine]
    log_scale = index.figures.codes[its, -1] - photo.codes[mine, -1]
    return Meetings(photo=ours, reference=theirs, turn_rad=turn, log_scale=log_scale)


def turned_frames(photo: FloatArray, reference: FloatArray, turn_rad: FloatArray) -> FloatArray:
    """Rotations (v, 3, 3) that carry photo vectors onto reference vectors with a turn."""
    c, s = np.cos(turn_rad), np.sin(turn_rad)
    turns = np.zeros((len(turn_rad), 3, 3))
    turns[:, 0, 0], turns[:, 0, 1], turns[:, 1, 0], turns[:, 1, 1] = c, -s, s, c
    turns[:, 2, 2] = 1.0
    rotations = frames(reference) @ turns @ np.swapaxes(frames(photo), 1, 2)
    return np.asarray(rotations)


def count_votes(
    meetings: Meetings, index: AsterismIndex, rays: FloatArray, turn_step_deg: float, most: int
) -> Proposals:
    """The rotations that most meetings name.

    Parameters
    ----------
    meetings : Meetings
        At least one.
    index : AsterismIndex
        The reference.
    rays : ndarray of float64, shape (n, 3)
        The photo's points.
    turn_step_deg : float
        Votes whose turns lie in the same two steps are counted together.
    most : int
        At most so many rotations are returned.

    Returns
    -------
    Proposals
    """
    n, k = len(rays), meetings.photo.shape[1]
    steps = max(3, round(360.0 / turn_step_deg))
    turn = meetings.turn_rad.ravel()
    cell = np.floor(turn / (2.0 * np.pi) * steps).astype(np.int64) % steps
    pair = meetings.photo.ravel().astype(np.int64) * len(index.vectors) + meetings.reference.ravel()
    # Cells are two steps wide and overlap, so that no border cuts a cluster
    key = np.concatenate([pair * steps + cell, pair * steps + (cell + 1) % steps])
    chosen = often(key, SPARE * most)
    chosen = chosen[np.argsort(key[chosen], kind="stable")]
    starts = np.flatnonzero(np.diff(key[chosen], prepend=-1))
    votes = np.diff(starts, append=len(chosen))
    top = np.argsort(-votes, kind="stable")[:most]
    voters = chosen % len(pair)
    sine, cosine = (np.add.reduceat(f(turn[voters]), starts)[top] for f in (np.sin, np.cos))
    mean_turn = np.arctan2(sine, cosine)
    log_scale = np.add.reduceat(meetings.log_scale[voters // k], starts)[top] / votes[top]
    giver = voters[starts[top]]
    photo, reference = meetings.photo.ravel()[giver], meetings.reference.ravel()[giver]
    own = np.zeros((len(top), n), bool)
    own[np.arange(len(top))[:, None], meetings.photo[giver // k]] = True
    return Proposals(
        rotations=turned_frames(rays[photo], index.vectors[reference], mean_turn),
        photo=photo,
        reference=reference,
        own=own,
        votes=votes[top],
        log_scale=log_scale,
    )


def often(key: NDArray[np.int64], most: int) -> IndexArray:
    """Where the keys stand that occur most often: those of at least `most` cells, if there are."""
    folded = key % TABLE
    counts = np.bincount(folded)
    cells = np.bincount(counts)
    cells[0] = 0
    as_full = np.cumsum(cells[::-1])[::-1]  # cells with at least so many votes
    enough = int(np.flatnonzero(as_full >= min(most, int(as_full[0])))[-1])
    return np.flatnonzero(counts[folded] >= max(enough, 1))
