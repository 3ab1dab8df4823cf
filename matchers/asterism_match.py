"""Which rotation carries a photo's points onto the reference's: figures propose, points decide.

Figures of the photo meet figures of the reference that have the same code. Each meeting names
pairs of points, and the turn about them; pairs and turns that many of them name become
rotations. A rotation is weighed by all other points that it brings together, against chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray, IndexArray
from matchers.asterism_fit import MatchParameters, Proposals, beyond_turns, fit_and_weigh, rescaled
from matchers.asterisms import (
    AsterismIndex,
    azimuths,
    every_order,
    frames,
    groups,
    large_enough,
    scaled_codes,
    turns_about_z,
    unit,
)

# Votes of different cells fall together: so many times the wanted cells are counted
SPARE = 8


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
    photo_vectors : array_like, shape (n, 3)
        Directions in the camera frame, z forward, of any length.
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


def match_rays(
    index: AsterismIndex,
    rays: FloatArray,
    brightness: FloatArray,
    parameters: MatchParameters,
    bends: FloatArray,
) -> list[Attitude]:
    """Attitudes of unit vectors as they are, in no order."""
    alike = find_alike_figures(index, rays, brightness, parameters.neighbours)
    if len(alike) == 0:
        return []
    proposals = count_votes(alike, index, rays, parameters.turn_step_deg, parameters.weighed)
    bends = beyond_turns(rays, bends) if len(bends) else bends
    fitted = fit_and_weigh(index, rays, proposals, parameters, bends)
    weighed = fitted.weighed
    odds = weighed.log10_odds - np.log10(len(alike))
    found = []
    for v in range(len(fitted.rotations)):
        met = np.flatnonzero(weighed.met[v])
        found.append(
            Attitude(
                rotation=fitted.rotations[v],
                scale=float(fitted.scales[v]),
                mirrored=False,
                inliers=np.stack([met, weighed.near[v, met]], axis=1),
                log10_odds=float(odds[v]),
                own=np.flatnonzero(weighed.own[v]),
                figures_met=len(alike),
                bends=fitted.bends[v],
            )
        )
    return found


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
    seen = np.where([[[a.mirrored]] for a in best], flipped(vectors, True), vectors)
    turned = np.stack([a.rotation for a in best])
    sized = rescaled(seen, np.array([[[a.scale]] for a in best]))
    placed = sized @ np.swapaxes(turned, 1, 2)
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


def flipped(vectors: FloatArray, mirrored: bool) -> FloatArray:
    """Vectors with their x negated where they are of a mirrored picture."""
    return vectors * [-1.0, 1.0, 1.0] if mirrored else vectors


def spread(rays: FloatArray) -> float:
    """Root mean square distance of unit vectors from their mean; 0 for none."""
    if len(rays) == 0:
        return 0.0
    return float(np.sqrt(((rays - rays.mean(axis=0)) ** 2).sum(axis=1).mean()))


@dataclass(frozen=True, kw_only=True, eq=False)
class AlikeFigures:
    """Figures of the photo and of the reference with the same code.

    Members, shape (c, k), stand in the same order; turns, shape (c, k), lead from the photo's frame
    at each member to the reference's; the natural logarithm of the scale, shape (c,), is that of
    the reference's length over the photo's.
    """

    photo: IndexArray
    reference: IndexArray
    turn_rad: FloatArray
    log_scale: FloatArray

    def __len__(self) -> int:
        return len(self.photo)


def find_alike_figures(
    index: AsterismIndex, rays: FloatArray, brightness: FloatArray, neighbours: int
) -> AlikeFigures:
    """The figures of the reference that look like figures of the photo's unit vectors (n, 3)."""
    p = index.parameters
    none = np.zeros((0, p.members), np.intp)
    nothing = AlikeFigures(
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
    return AlikeFigures(photo=ours, reference=theirs, turn_rad=turn, log_scale=log_scale)


def count_votes(
    alike: AlikeFigures, index: AsterismIndex, rays: FloatArray, turn_step_deg: float, most: int
) -> Proposals:
    """The rotations that most alike figures (at least one) name, ``most`` of them.

    Votes whose turns lie in the same two steps are counted together.
    """
    from matchers import compiled_figures

    n, k = len(rays), alike.photo.shape[1]
    steps = max(3, round(360.0 / turn_step_deg))
    turn = alike.turn_rad.ravel()
    # Cells are two steps wide and overlap, so that no border cuts a cluster
    chosen, key = compiled_figures.fullest_cells(
        np.ascontiguousarray(alike.photo, np.int64),
        np.ascontiguousarray(alike.reference, np.int64),
        np.ascontiguousarray(alike.turn_rad, float),
        len(index.vectors),
        steps,
        SPARE * most,
    )
    order = np.argsort(key, kind="stable")
    chosen, key = chosen[order], key[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    votes = np.diff(starts, append=len(chosen))
    top = np.argsort(-votes, kind="stable")[:most]
    voters = chosen % len(turn)
    sine, cosine = (np.add.reduceat(f(turn[voters]), starts)[top] for f in (np.sin, np.cos))
    mean_turn = np.arctan2(sine, cosine)
    log_scale = np.add.reduceat(alike.log_scale[voters // k], starts)[top] / votes[top]
    giver = voters[starts[top]]
    photo, reference = alike.photo.ravel()[giver], alike.reference.ravel()[giver]
    own = np.zeros((len(top), n), bool)
    own[np.arange(len(top))[:, None], alike.photo[giver // k]] = True
    return Proposals(
        rotations=turned_frames(rays[photo], index.vectors[reference], mean_turn),
        photo=photo,
        reference=reference,
        own=own,
        votes=votes[top],
        log_scale=log_scale,
    )


def turned_frames(photo: FloatArray, reference: FloatArray, turn_rad: FloatArray) -> FloatArray:
    """Rotations (v, 3, 3) that carry photo vectors onto reference vectors with a turn."""
    turned = frames(reference) @ turns_about_z(turn_rad) @ np.swapaxes(frames(photo), 1, 2)
    return np.asarray(turned)
