"""Point-pattern matching: find the rotation of a photo's points to those of a reference.

Asterisms of the photo are matched to asterisms of the reference with a similar code. Each match
votes for pairs of points and for a rotation angle about them. The pairs and angles with most votes
give rotation hypotheses. Each hypothesis is scored by all other points that it matches, against
chance.
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
    """An attitude hypothesis: a rotation of a photo's points to those of the reference.

    rotation: Rotates photo vectors (rescaled by `scale`) into the reference frame, shape (3, 3).
    scale: Factor of the tangents of the photo's angles. The focal length is the nominal one divided
        by it.
    inliers: Indices of photo points and of the reference points that they match, shape (k, 2).
    log10_odds: Odds of this rotation against chance, without the points of the asterism that
        proposed it, and minus the logarithm of the number of matched asterisms.
    own: Photo points of the asterism that proposed it, shape (m,).
    figures_met: Number of matched asterisms.
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
    """Find attitudes of a photo's points, most probable first.

    Parameters
    ----------
    photo_vectors : array_like, shape (n, 3)
        Directions in the camera frame, z forward, of any length.
    photo_brightness : array_like, shape (n,)
        In any unit; larger is brighter.

    Returns
    -------
    list of Attitude
        Distinct attitudes; empty if the photo and the reference do not have similar asterisms.

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
    """Match asterisms of the photo's unit vectors (n, 3) to similar ones of the reference.

    Returns members in the photo and in the reference, in the same order, and the rotation angles
    from the photo's frame at each member to that of the reference, all of shape (c, 3). The last
    item is the natural logarithm of the ratio of lengths, reference over photo, shape (c,).
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
    """Find the rotations with most votes of at least one asterism match, best odds first.

    A vote is for a pair of points and a rotation angle about them. Bins of the angle are two steps
    wide and overlap, so that a bin edge does not split a cluster.
    """
    n = len(rays)
    steps = max(3, round(360.0 / parameters.turn_step_deg))
    turn, photo, reference = (each.ravel() for each in (turn_rad, members, reference_members))
    pair = (photo * np.int64(len(index.vectors)) + reference) * steps
    step = np.floor(turn / (2.0 * np.pi) * steps).astype(np.int64) % steps
    # Store the vote number in the low bits, so that one sort orders votes by bin
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
    # The voted rotation maps the pair's photo point before scaling. Correct it by the smallest
    # rotation that undoes the shift due to the scale, as a product of two reflections
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
    """Keep the most probable attitudes without duplicates.

    Two attitudes are duplicates if they rotate the points to nearly the same positions, or if they
    share more than half of their inliers.
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
