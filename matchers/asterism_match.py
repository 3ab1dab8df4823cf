"""Which rotation carries a photo's points onto the reference's: figures propose, points decide.

Figures of the photo meet figures of the reference that have the same code. Each meeting names
pairs of points, and the turn about them; pairs and turns that many meetings name become
rotations. A rotation is weighed by all other points that it brings together, against chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray, IndexArray
from matchers.asterism_fit import count_votes, flipped, meet, rescaled, spread
from matchers.asterism_odds import MatchParameters, beyond_turns, settle
from matchers.asterisms import AsterismIndex, unit


@dataclass(frozen=True, kw_only=True, eq=False)
class Attitude:
    """A rotation that a photo's points may have to the reference's.

    Attributes
    ----------
    rotation : ndarray of float64, shape (3, 3)
        Carries photo vectors (flipped and rescaled as below) into the reference's frame.
    scale : float
        Tangents of the photo's angles were multiplied by it: the focal length is the nominal one
        divided by it.
    mirrored : bool
        The x of the photo vectors was negated first.
    inliers : ndarray of int, shape (k, 2)
        Photo points and the reference points that they fall on.
    log10_odds : float
        Of this rotation against chance, without the points of the figure that proposed it and
        less the logarithm of the number of figures that met.
    own : ndarray of int, shape (m,)
        The photo points of that figure.
    figures_met : int
        That number.
    bends : ndarray of float64, shape (m,)
        Sigmas by which each way of `match` moved the photo's points before the rotation.
    """

    rotation: FloatArray
    scale: float
    mirrored: bool
    inliers: IndexArray
    log10_odds: float
    own: IndexArray
    figures_met: int
    bends: FloatArray


def match(
    index: AsterismIndex,
    photo_vectors: ArrayLike,
    photo_brightness: ArrayLike,
    parameters: MatchParameters,
    bends: FloatArray | None = None,
) -> list[Attitude]:
    """Attitudes of a photo's points, the likeliest first.

    Parameters
    ----------
    index : AsterismIndex
        The reference.
    photo_vectors : array_like, shape (n, 3)
        Directions in the camera frame, z forward, of any length.
    photo_brightness : array_like, shape (n,)
        In any unit; more is brighter.
    parameters : MatchParameters
        How to compare.
    bends : ndarray of float64, shape (m, n, 3), optional
        Ways in which the unit vectors may move together by one sigma each, beyond a rotation; for
        pictures that are not mirrored, at one scale.

    Returns
    -------
    list of Attitude
        Distinct ones; empty where no figure of the photo meets one of the reference.

    Raises
    ------
    ValueError
        If a vector is zero or not finite.
    """
    vectors = unit(photo_vectors)
    bright = np.asarray(photo_brightness, float)
    chosen = np.argsort(-bright, kind="stable")[: parameters.brightest]
    ways = np.zeros((0, len(chosen), 3)) if bends is None else bends[:, chosen]
    found: list[Attitude] = []
    for mirrored in parameters.mirrored:
        seen = flipped(vectors[chosen], mirrored)
        for scale in parameters.scales:
            for attitude in match_rays(
                index, rescaled(seen, scale), bright[chosen], parameters, ways
            ):
                inliers = np.stack([chosen[attitude.inliers[:, 0]], attitude.inliers[:, 1]], axis=1)
                found.append(
                    replace(
                        attitude,
                        scale=scale * attitude.scale,
                        mirrored=mirrored,
                        inliers=inliers,
                        own=chosen[attitude.own],
                    )
                )
    return distinct(found, vectors[chosen], parameters)


def distinct(
    attitudes: list[Attitude], vectors: FloatArray, parameters: MatchParameters
) -> list[Attitude]:
    """The likeliest attitudes, without those that place or pair the photo's points as one before.

    Two are the same when they place the points together, or share half of their inliers.
    """
    if not attitudes:
        return []
    best = sorted(attitudes, key=lambda a: -a.log10_odds)
    limit = 4.0 * parameters.sigma_rad + parameters.sigma_share * spread(vectors)
    placed = np.stack(
        [rescaled(flipped(vectors, a.mirrored), a.scale) @ a.rotation.T for a in best]
    )
    most = 1 + max(int(a.inliers[:, 0].max(initial=0)) for a in best)
    partners = np.full((len(best), most), -1, np.intp)
    for number, attitude in enumerate(best):
        partners[number, attitude.inliers[:, 0]] = attitude.inliers[:, 1]
    paired = partners >= 0
    fewest = paired.sum(axis=1)
    kept: list[int] = []
    for number in range(len(best)):
        if len(kept) == parameters.kept:
            break
        shared = (paired[number] & (partners[kept] == partners[number])).sum(axis=1)
        apart = np.linalg.norm(placed[kept] - placed[number], axis=2).mean(axis=1)
        alike = 2 * shared > np.minimum(fewest[number], fewest[kept])
        if not (alike | (apart < limit)).any():
            kept.append(number)
    return [best[number] for number in kept]


def match_rays(
    index: AsterismIndex,
    rays: FloatArray,
    brightness: FloatArray,
    parameters: MatchParameters,
    bends: FloatArray,
) -> list[Attitude]:
    """Attitudes of unit vectors as they are, in no order."""
    meetings = meet(index, rays, brightness, parameters.neighbours)
    if len(meetings) == 0:
        return []
    proposals = count_votes(meetings, index, rays, parameters.turn_step_deg, parameters.weighed)
    bends = beyond_turns(rays, bends) if len(bends) else bends
    settled = settle(index, rays, proposals, parameters, bends)
    weighed = settled.weighed
    odds = weighed.log10_odds - np.log10(len(meetings))
    found = []
    for v in range(len(settled.rotations)):
        met = np.flatnonzero(weighed.met[v])
        found.append(
            Attitude(
                rotation=settled.rotations[v],
                scale=float(settled.scales[v]),
                mirrored=False,
                inliers=np.stack([met, weighed.near[v, met]], axis=1),
                log10_odds=float(odds[v]),
                own=np.flatnonzero(weighed.own[v]),
                figures_met=len(meetings),
                bends=settled.bends[v],
            )
        )
    return found
