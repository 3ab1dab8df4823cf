"""What the other patches of a photo say of a place that one of them looks like.

A patch that is laid on a place of the reference at some turn carries all of the photo there. The
photo's other patches must then look like what lies where they fall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from detectors.types import FloatArray, IndexArray
from matchers.asterism_fit import fitted_rotations, fitted_scales, rescaled
from matchers.polar_patches import (
    ANGLES,
    ComplexArray,
    PatchTable,
    best_correlations,
    correlation_at,
    turns_at,
)

# Logarithm (base 10) of how much likelier a correlation is at the right place than at a wrong one
# that the photo was carried to, a straight line through histograms of the training half at
# 0.65 km; below, and where the reference has no place, it is a little less likely
LEAST_CORRELATION, LOG10_PER_UNIT, NONE_LOG10 = 0.25, 3.0, -0.25
NEAREST = 2
TURNS_RAD = (-0.1, 0.0, 0.1)
# Places are met within so many pixels and a share of the distance from the patch laid down; less
# once the rotation is fitted
ROUGH_PX, ROUGH_SHARE = 4.0, 0.1
FINE_PX, FINE_SHARE = 3.0, 0.03
MOST_LOG_SCALE = 0.15
ROUNDS = 2
LEAST_SHARE = 0.3  # weight of the patch laid down, whose own evidence is its rank
KEPT = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchMap:
    """Places of the reference: unit vectors, frames (`matchers.asterisms`), and patches."""

    vectors: FloatArray
    frames: FloatArray
    tree: cKDTree
    table: PatchTable
    pixel_rad: float


@dataclass(frozen=True, kw_only=True, eq=False)
class PatchPhoto:
    """Places of a photo.

    Attributes
    ----------
    vectors : ndarray of float64, shape (n, 3)
        Unit vectors of the level frame.
    frames : ndarray of float64, shape (n, 3, 3)
        Columns: right and up of the picture that the patches were cut from, and the place.
    queries : ndarray of complex64, shape (n, rings, HARMONICS)
        Of `matchers.polar_patches.asked`.
    """

    vectors: FloatArray
    frames: FloatArray
    queries: ComplexArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Laid:
    """A way to lay a photo on the reference.

    Attributes
    ----------
    rotation : ndarray of float64, shape (3, 3)
        Level frame to that of the reference, after `rescaled` by ``scale``.
    scale : float
    log10_odds : float
        Of the other patches, less the logarithm of the rank of the one laid down.
    met : int
        Patches that speak for it.
    own : int
        The patch laid down.
    """

    rotation: FloatArray
    scale: float
    log10_odds: float
    met: int
    own: int


def lay(reference: PatchMap, photo: PatchPhoto, laid: IndexArray, best: int) -> list[Laid]:
    """Lay some of a photo's patches on the places that they look like.

    Parameters
    ----------
    reference : PatchMap
    photo : PatchPhoto
    laid : ndarray of int
        Which patches of the photo.
    best : int
        On so many places each.

    Returns
    -------
    list of Laid
        The `KEPT` likeliest of each patch.
    """
    if len(laid) == 0 or len(reference.vectors) < NEAREST:
        return []
    best = min(best, len(reference.vectors))
    scores = best_correlations(reference.table, photo.queries[laid])
    found: list[Laid] = []
    for row, own in enumerate(laid.tolist()):
        places = np.argpartition(-scores[row], best - 1)[:best]
        places = places[np.argsort(-scores[row, places], kind="stable")]
        turns = turns_at(reference.table, places, photo.queries[own])
        turned = rotations_of(reference, photo, own, places, turns)
        odds, _, said = weigh(
            reference, photo, turned, own, ROUGH_PX, ROUGH_SHARE, np.ones(len(places))
        )
        odds = odds - np.log10(1.0 + np.arange(len(places)))
        found += [
            Laid(
                rotation=turned[i],
                scale=1.0,
                log10_odds=float(odds[i]),
                met=int((said[i] > 0.0).sum()) + 1,
                own=own,
            )
            for i in np.argsort(-odds, kind="stable")[:KEPT].tolist()
        ]
    return found


def rotations_of(
    reference: PatchMap,
    photo: PatchPhoto,
    query: int,
    places: IndexArray,
    turns: IndexArray,
) -> FloatArray:
    """Rotations that carry one patch onto places at turns, shape (m, 3, 3)."""
    angle = 2.0 * np.pi * turns.astype(float) / ANGLES
    turn = np.zeros((len(places), 3, 3))
    turn[:, 0, 0] = turn[:, 1, 1] = np.cos(angle)
    turn[:, 1, 0] = np.sin(angle)
    turn[:, 0, 1] = -turn[:, 1, 0]
    turn[:, 2, 2] = 1.0
    return np.asarray(reference.frames[places] @ turn @ photo.frames[query].T)


def weigh(
    reference: PatchMap,
    photo: PatchPhoto,
    rotations: FloatArray,
    own: int,
    tolerance_px: float,
    tolerance_share: float,
    scales: FloatArray,
) -> tuple[FloatArray, IndexArray, FloatArray]:
    """Odds of rotations by all patches but one, and what each patch fell on."""
    count = len(photo.vectors)
    bent = rescaled(photo.vectors[None], scales[:, None, None])
    fallen = np.einsum("mij,mnj->mni", rotations, bent)
    apart = np.linalg.norm(photo.vectors - photo.vectors[own], axis=1)
    reach = tolerance_px * reference.pixel_rad + tolerance_share * apart
    distance, places = reference.tree.query(
        fallen.reshape(-1, 3), k=NEAREST, distance_upper_bound=float(reach.max())
    )
    shape = (len(rotations), count, NEAREST)
    distance, places = distance.reshape(shape), places.reshape(shape)
    hit = distance < reach[:, None]
    hit[:, own] = False
    row, other, which = np.nonzero(hit)
    there = places[hit]
    here = reference.frames[there]
    right = np.einsum("mij,mj->mi", rotations[row], photo.frames[other, :, 0])
    turn = np.arctan2(
        np.einsum("mi,mi->m", here[..., 1], right), np.einsum("mi,mi->m", here[..., 0], right)
    )
    met = np.full(shape, -1.0)
    met[row, other, which] = correlation_at(
        reference.table, there, photo.queries, other, turn + np.array(TURNS_RAD)[:, None]
    ).max(axis=0)
    first = met.argmax(axis=2)
    near = np.take_along_axis(places, first[..., None], axis=2)[..., 0] % len(reference.vectors)
    near[:, own] = reference.tree.query(fallen[:, own])[1]
    best = met.max(axis=2)
    said = np.where(
        best > LEAST_CORRELATION, LOG10_PER_UNIT * (best - LEAST_CORRELATION), NONE_LOG10
    )
    said[:, own] = 0.0
    return said.sum(axis=1), near, said


def fitted(reference: PatchMap, photo: PatchPhoto, way: Laid) -> Laid:
    """A way fitted, with its scale, to all that it brings together."""
    one = np.ones(1)
    start = way.rotation[None]
    rough, near, said = weigh(reference, photo, start, way.own, ROUGH_PX, ROUGH_SHARE, one)
    rank = float(rough[0]) - way.log10_odds
    for _ in range(ROUNDS):
        share = np.maximum(said, 0.0)
        share[:, way.own] = max(float(share.mean()), LEAST_SHARE)
        targets = reference.vectors[near]
        scale = fitted_scales(photo.vectors, targets, share, one * way.scale, MOST_LOG_SCALE)
        bent = rescaled(photo.vectors[None], scale[:, None, None])
        turned = fitted_rotations(bent, targets, share, way.rotation[None])
        odds, near, said = weigh(reference, photo, turned, way.own, FINE_PX, FINE_SHARE, scale)
        way = Laid(
            rotation=turned[0],
            scale=float(scale[0]),
            log10_odds=float(odds[0]) - rank,
            met=int((said > 0.0).sum()) + 1,
            own=way.own,
        )
    return way
