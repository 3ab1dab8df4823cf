"""Which rotation carries a photo's points onto the reference's: asterisms propose, points decide.

Asterisms of the photo meet asterisms of the reference that have the same code. Each meeting names
pairs of points, and the turn about them; pairs and turns that many of them name become
rotations. A rotation is weighed by all other points that it brings together, against chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from detectors.types import FloatArray, IndexArray
from matchers.points.asterism_fit import MatchParameters, Rotations, rescale_tangents, weigh
from matchers.points.asterisms import (
    AsterismIndex,
    azimuths,
    encode_every_order,
    frames,
    group_neighbours,
    lengths,
    scale_codes,
    turns_about_z,
    unit,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Attitude:
    """A rotation that a photo's points may have to the reference's.

    rotation: Carries photo vectors (rescaled as below) into the reference's frame, shape (3, 3).
    scale: Tangents of the photo's angles were multiplied by it: the focal length is the nominal one
        divided by it.
    inliers: Photo points and the reference points that they fall on, shape (k, 2).
    log10_odds: Of this rotation against chance, without the points of the asterism that proposed it
        and less the logarithm of the number of asterisms that met.
    own: The photo points of that asterism, shape (m,).
    figures_met: That number.
    """

    rotation: FloatArray
    scale: float
    inliers: IndexArray
    log10_odds: float
    own: IndexArray
    figures_met: int


def match(
    index: AsterismIndex,
    photo_vectors: ArrayLike,
    photo_brightness: ArrayLike,
    parameters: MatchParameters,
) -> list[Attitude]:
    """Attitudes of a photo's points, the likeliest first.

    Parameters
    ----------
    photo_vectors : array_like, shape (n, 3)
        Directions in the camera frame, z forward, of any length.
    photo_brightness : array_like, shape (n,)
        In any unit; more is brighter.

    Returns
    -------
    list of Attitude
        Distinct ones; empty where no asterism of the photo meets one of the reference.

    Raises
    ------
    ValueError
        If a vector is zero or not finite.
    """
    vectors, brightness = unit(photo_vectors), np.asarray(photo_brightness, float)
    chosen = np.argsort(-brightness, kind="stable")[: parameters.brightest]
    vectors = vectors[chosen]
    found: list[Attitude] = []
    for scale in parameters.scales:
        rays = rescale_tangents(vectors, scale)
        alike = find_alike_asterisms(index, rays, brightness[chosen], parameters.neighbours)
        n_met = len(alike[0])
        if n_met == 0:
            continue
        fit = best = rotate_as_voted(index, rays, *alike, parameters)
        for _ in range(parameters.fit_rounds):
            fit = fit.fit_again(index, rays, parameters)
            best = best.better_of(fit)
        for v, odds in enumerate(best.log10_odds):
            met = np.flatnonzero(best.met[v])
            found.append(
                Attitude(
                    rotation=best.rotations[v],
                    scale=float(scale * best.scales[v]),
                    inliers=np.stack([chosen[met], best.near[v, met]], axis=1),
                    log10_odds=float(odds - np.log10(n_met)),
                    own=chosen[best.own[v]],
                    figures_met=n_met,
                )
            )
    return keep_distinct(found, vectors, parameters)


def find_alike_asterisms(
    index: AsterismIndex, rays: FloatArray, brightness: FloatArray, neighbours: int
) -> tuple[IndexArray, IndexArray, FloatArray, FloatArray]:
    """The asterisms of the reference that look like some of the photo's unit vectors (n, 3).

    Members in the photo and in the reference, in the same order, and the turns that lead from the
    photo's frame at each to the reference's, shape (c, 3); the natural logarithms of the
    reference's lengths over the photo's, shape (c,).
    """
    p = index.parameters
    slack = np.exp(p.log_size_tolerance)
    size_rad = (p.size_rad[0] / slack, p.size_rad[1] * slack)
    members = group_neighbours(
        rays, brightness, replace(p, neighbours=neighbours, size_rad=size_rad)
    )
    photo = encode_every_order(rays, members, p.shape_tolerance).within(size_rad)
    asked = cKDTree(scale_codes(photo.codes, p))
    alike = asked.sparse_distance_matrix(index.code_tree, 1.0, output_type="ndarray")
    mine, its = alike["i"], alike["j"]
    return (
        photo.members[mine],
        index.figures.members[its],
        index.azimuths_rad[its] - azimuths(rays, photo)[mine],
        index.figures.codes[its, -1] - photo.codes[mine, -1],
    )


def rotate_as_voted(
    index: AsterismIndex,
    rays: FloatArray,
    members: IndexArray,
    reference_members: IndexArray,
    turn_rad: FloatArray,
    log_scale: FloatArray,
    parameters: MatchParameters,
) -> Rotations:
    """The rotations that most alike asterisms (at least one) name, those with the best odds first.

    A vote is for a pair of points and the turn about them. Cells of turns are two steps wide and
    overlap, so that no border cuts a cluster.
    """
    n = len(rays)
    steps = max(3, round(360.0 / parameters.turn_step_deg))
    turn, photo, reference = (each.ravel() for each in (turn_rad, members, reference_members))
    pair = (photo * np.int64(len(index.vectors)) + reference) * steps
    step = np.floor(turn / (2.0 * np.pi) * steps).astype(np.int64) % steps
    # Cells with the numbers of their votes in the last bits: sorted at once
    bits = (2 * len(turn)).bit_length()
    votes = np.concatenate([pair + step, pair + (step + 1) % steps]) << bits
    votes = np.sort(votes | np.arange(len(votes)))
    starts = np.flatnonzero(np.diff(votes >> bits, prepend=-1))
    counts = np.diff(starts, append=len(votes))
    top = np.argsort(-counts, kind="stable")[: parameters.weighed]
    counts = counts[top]
    begins = np.cumsum(counts) - counts
    rows = np.arange(counts.sum()) + np.repeat(starts[top] - begins, counts)
    voters = (votes[rows] & ((1 << bits) - 1)) % len(turn)
    sine, cosine = (np.add.reduceat(f(turn[voters]), begins) for f in (np.sin, np.cos))
    most = index.parameters.log_size_tolerance * float(parameters.scale_free)
    log_scale = np.add.reduceat(log_scale[voters // 3], begins) / counts
    scales = np.exp(np.clip(log_scale, -most, most))
    first = voters[begins]
    own = np.zeros((len(top), n), bool)
    own[np.arange(len(top))[:, None], members[first // 3]] = True
    # The voted rotation carries the point that it rests on as it was before the scale moved it:
    # two reflections are the smallest rotation back
    centres, at = index.vectors[reference[first]], rays[photo[first]]
    turned = frames(centres) @ turns_about_z(np.arctan2(sine, cosine))
    rotations = turned @ np.swapaxes(frames(at), 1, 2)
    scaled = rescale_tangents(rays[None], scales[:, None, None])
    moved = scaled[np.arange(len(top)), photo[first]]
    half = (moved + at) / lengths(moved + at)[:, None]
    for mirror in (half, moved):
        rotations = rotations - 2.0 * (rotations @ mirror[..., None]) * mirror[:, None]
    odds, near, met = weigh(index, scaled @ np.swapaxes(rotations, 1, 2), centres, own, parameters)
    order = np.argsort(-odds, kind="stable")[: parameters.fitted]
    return Rotations(
        rotations=rotations[order],
        scales=scales[order],
        own=own[order],
        log10_odds=odds[order],
        near=near[order],
        met=met[order],
    )


def keep_distinct(
    attitudes: list[Attitude], vectors: FloatArray, parameters: MatchParameters
) -> list[Attitude]:
    """The likeliest attitudes, without those that place or pair the photo's points as one before.

    Two are the same when they place the points together, or share half of their inliers.
    """
    if not attitudes:
        return []
    best = sorted(attitudes, key=lambda a: -a.log10_odds)
    spread = float(np.sqrt(((vectors - vectors.mean(axis=0)) ** 2).sum(axis=1).mean()))
    limit = 4.0 * parameters.sigma_rad + parameters.sigma_share * spread
    scaled = rescale_tangents(vectors, np.array([[[a.scale]] for a in best]))
    placed = scaled @ np.swapaxes(np.stack([a.rotation for a in best]), 1, 2)
    partners = np.full((len(best), 1 + max(a.inliers[:, 0].max(initial=0) for a in best)), -1)
    for number, attitude in enumerate(best):
        partners[number, attitude.inliers[:, 0]] = attitude.inliers[:, 1]
    paired = partners >= 0
    counts = paired.sum(axis=1)
    kept: list[int] = []
    for number in range(len(best)):
        if len(kept) == parameters.kept:
            break
        shared = (paired[number] & (partners[kept] == partners[number])).sum(axis=1)
        apart = np.linalg.norm(placed[kept] - placed[number], axis=2).mean(axis=1)
        alike = 2 * shared > np.minimum(counts[number], counts[kept])
        if not (alike | (apart < limit)).any():
            kept.append(number)
    return [best[number] for number in kept]
