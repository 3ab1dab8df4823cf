"""Odds of rotations: what all of a photo's points say of them, against chance.

References
----------
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.asterism_fit import carrying, fitted_rotations, fitted_scales, rescaled
from matchers.asterism_votes import Proposals
from matchers.asterisms import AsterismIndex

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]

ROUNDS = 2  # of fitting rotations to what they bring together
FARTHEST_SIGMAS = 3.5


@dataclass(frozen=True, kw_only=True)
class MatchParameters:
    """How a photo's points are compared with the reference's.

    Attributes
    ----------
    brightest : int
        So many of the photo's points are used.
    neighbours : int
        As in `AsterismParameters`, for the photo.
    sigma_rad : float
        One sigma of the places of points, per axis.
    sigma_share : float
        What is added to it for every radian from the points that the rotation rests on: errors
        of the focal length, of the lens and of the camera's position.
    match_share : float
        Share of the photo's points that the right rotation brings together with others.
    turn_step_deg : float
        Meetings whose turns agree to this (and up to twice it) vote together.
    weighed : int
        So many rotations, the most often named, are weighed.
    fitted : int
        So many are fitted, the best at first sight: in 30 looks at 15 training frames of cities
        the right rotation stood there at most 46th.
    kept : int
        At most so many are returned.
    scale_free : bool
        Whether the scale is fitted, too, within the figures' tolerance of size.
    scales : tuple of float
        Tangents of the photo's angles are multiplied by each of these in turn: 1 where the focal
        length is known.
    mirrored : tuple of bool
        Whether to take the photo as it is, flipped left to right, or both in turn.
    """

    brightest: int = 30
    neighbours: int = 8
    sigma_rad: float = 1e-3
    sigma_share: float = 0.0
    match_share: float = 0.5
    turn_step_deg: float = 4.0
    weighed: int = 300
    fitted: int = 120
    kept: int = 20
    scale_free: bool = False
    scales: tuple[float, ...] = (1.0,)
    mirrored: tuple[bool, ...] = (False,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighed:
    """What the photo's points say of rotations.

    Attributes
    ----------
    log10_odds : ndarray of float64, shape (v,)
        Against chance.
    near : ndarray of int, shape (v, n)
        Reference point nearest to each photo point.
    met : ndarray of bool, shape (v, n)
        Whether it speaks for the rotation.
    own : ndarray of bool, shape (v, n)
        Photo points of the figure that proposed it: they do not count.
    """

    log10_odds: FloatArray
    near: IndexArray
    met: NDArray[np.bool_]
    own: NDArray[np.bool_]


def settle(
    index: AsterismIndex, rays: FloatArray, proposals: Proposals, parameters: MatchParameters
) -> tuple[FloatArray, FloatArray, Weighed]:
    """Weigh rotations, fit each to the points that it brings together, and weigh them again.

    Parameters
    ----------
    index : AsterismIndex
        The reference.
    rays : ndarray of float64, shape (n, 3)
        The photo's points.
    proposals : Proposals
        Where to start.
    parameters : MatchParameters
        How to compare.

    Returns
    -------
    rotations : ndarray of float64, shape (v, 3, 3)
        Of the `fitted` best at first sight, these first.
    scales : ndarray of float64, shape (v,)
    weighed : Weighed
        The best met on the way.
    """
    most = index.parameters.log_size_tolerance
    log_scales = np.clip(proposals.log_scale, -most, most) * float(parameters.scale_free)
    rotations, scales = proposals.rotations, np.exp(log_scales)
    centres = index.vectors[proposals.reference]
    bent = rescaled(rays[None], scales[:, None, None])
    # The voted rotation carries the point that it rests on as it was before the scale moved it
    moved = bent[np.arange(len(bent)), proposals.photo]
    rotations = rotations @ carrying(moved, rays[proposals.photo])
    best = weigh(index, bent @ np.swapaxes(rotations, 1, 2), centres, proposals.own, parameters)
    order = np.argsort(-best.log10_odds, kind="stable")[: parameters.fitted]
    rotations, scales, own = rotations[order], scales[order], proposals.own[order]
    best = Weighed(
        log10_odds=best.log10_odds[order], near=best.near[order], met=best.met[order], own=own
    )
    bent = bent[order]
    kept_rotations, kept_scales = rotations, scales
    now = best
    for _ in range(ROUNDS):
        targets = index.vectors[now.near % len(index.vectors)]
        share = now.met.astype(float)
        if parameters.scale_free:
            scales = fitted_scales(rays, targets, share, scales, most)
            bent = rescaled(rays[None], scales[:, None, None])
        rotations = fitted_rotations(bent, targets, share, rotations)
        placed = bent @ np.swapaxes(rotations, 1, 2)
        count = np.maximum(share.sum(axis=1, keepdims=True), 1.0)
        centres = np.einsum("vn,vni->vi", share, placed) / count
        now = weigh(index, placed, centres, own, parameters)
        better = now.log10_odds > best.log10_odds
        best = Weighed(
            log10_odds=np.where(better, now.log10_odds, best.log10_odds),
            near=np.where(better[:, None], now.near, best.near),
            met=np.where(better[:, None], now.met, best.met),
            own=own,
        )
        kept_rotations = np.where(better[:, None, None], rotations, kept_rotations)
        kept_scales = np.where(better, scales, kept_scales)
    return kept_rotations, kept_scales, best


def weigh(
    index: AsterismIndex,
    placed: FloatArray,
    centres: FloatArray,
    own: NDArray[np.bool_],
    parameters: MatchParameters,
) -> Weighed:
    """Odds of rotations against chance.

    A photo point is a reference point with a Gaussian error, or anything else anywhere:
    1 - h + h G / density, against 1 for chance, the density being that of the reference there.

    Parameters
    ----------
    index : AsterismIndex
        The reference.
    placed : ndarray of float64, shape (v, n, 3)
        The photo's points in the reference's frame under each rotation.
    centres : ndarray of float64, shape (v, 3)
        From there on errors grow.
    own : ndarray of bool, shape (v, n)
        Points that do not count.
    parameters : MatchParameters
        How to compare.

    Returns
    -------
    Weighed
    """
    apart = np.linalg.norm(placed - centres[:, None], axis=-1)
    sigma = parameters.sigma_rad + parameters.sigma_share * apart
    distance, near = index.point_tree.query(
        placed.reshape(-1, 3), distance_upper_bound=FARTHEST_SIGMAS * float(sigma.max())
    )
    distance, near = distance.reshape(sigma.shape), near.reshape(sigma.shape)
    inside = distance < FARTHEST_SIGMAS * sigma
    density = index.density[np.where(inside, near, 0)]
    gauss = np.exp(-0.5 * (np.where(inside, distance, 0.0) / sigma) ** 2) / (2 * np.pi * sigma**2)
    h = parameters.match_share
    ratio = 1.0 - h + np.where(inside, h * gauss / density, 0.0)
    # A reference point is met by the nearest photo point alone
    same = (near[:, :, None] == near[:, None, :]) & inside[:, :, None] & inside[:, None, :]
    beaten = (same & (distance[:, None, :] < distance[:, :, None])).any(axis=2)
    ratio = np.where(beaten, 1.0 - h, ratio)
    return Weighed(
        log10_odds=np.where(own, 0.0, np.log10(ratio)).sum(axis=1),
        near=near,
        met=inside & ~beaten & (ratio > 1.0),
        own=own,
    )
