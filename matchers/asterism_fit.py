"""Rotations and scales that carry points onto each other, and their odds against chance.

References
----------
Markley, F. L. (1988). Attitude determination using vector observations and the singular value
decomposition. Journal of the Astronautical Sciences 36 (3), 245-258.
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.asterisms import AsterismIndex, lengths

ROUNDS = 2  # of fitting rotations to what they bring together
BENT_ROUNDS = 4  # where bends are fitted, too, which bring together more in each
FARTHEST_SIGMAS = 3.5
LEAST_FOR_SCALE = 4  # pairs, to fit the scale as well

STEP = 1e-4  # logarithm of the scale, for its derivative
MOST_SIGMAS = 2.0


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
        Alike figures whose turns agree to this (and up to twice it) vote together.
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
    # as matchers.verify.SHARE_MET: towns of right training frames met at 0.44 to 0.64
    match_share: float = 0.5
    turn_step_deg: float = 4.0
    weighed: int = 300
    # 30 looks at 15 training frames: the right rotation was among the best 46 before any fit
    fitted: int = 120
    kept: int = 20
    scale_free: bool = False
    scales: tuple[float, ...] = (1.0,)
    mirrored: tuple[bool, ...] = (False,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposals:
    """Rotations that alike figures voted for, most votes first."""

    rotations: FloatArray  # (v, 3, 3): photo to reference
    photo: IndexArray  # (v,): the pair of points that each rests on
    reference: IndexArray
    own: BoolArray  # (v, n): photo points of the figure that gave the first vote
    votes: IndexArray  # (v,)
    log_scale: FloatArray  # (v,): mean of the figures that voted

    def __len__(self) -> int:
        return len(self.rotations)


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighed:
    """What the photo's points say of rotations."""

    log10_odds: FloatArray  # (v,): against chance
    near: IndexArray  # (v, n): reference point nearest to each photo point
    met: BoolArray  # (v, n): whether it speaks for the rotation
    own: BoolArray  # (v, n): photo points of the figure that proposed it: they do not count


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedRotations:
    """Rotations that were fitted, and what the photo's points say of them.

    ``bends``, shape (v, m), are the sigmas of each bend; ``weighed`` is the best met on the way.
    """

    rotations: FloatArray
    scales: FloatArray
    bends: FloatArray
    weighed: Weighed

    def better_of(self, other: FittedRotations) -> FittedRotations:
        """Of each rotation, the one with the better odds."""
        better = other.weighed.log10_odds > self.weighed.log10_odds
        row = better[:, None]
        return FittedRotations(
            rotations=np.where(row[..., None], other.rotations, self.rotations),
            scales=np.where(better, other.scales, self.scales),
            bends=np.where(row, other.bends, self.bends),
            weighed=Weighed(
                log10_odds=np.where(better, other.weighed.log10_odds, self.weighed.log10_odds),
                near=np.where(row, other.weighed.near, self.weighed.near),
                met=np.where(row, other.weighed.met, self.weighed.met),
                own=self.weighed.own,
            ),
        )


def fit_and_weigh(
    index: AsterismIndex,
    rays: FloatArray,
    proposals: Proposals,
    parameters: MatchParameters,
    bends: FloatArray,
) -> FittedRotations:
    """Weigh rotations, fit each to the points that it brings together, and weigh them again.

    Bends, shape (m, n, 3), are those of `beyond_turns`, none where m is 0. The `fitted` best at
    first sight remain, these first.
    """
    now = as_voted(index, rays, proposals, parameters, len(bends))
    best = now
    for _ in range(BENT_ROUNDS if len(bends) else ROUNDS):
        now = fitted_again(index, rays, now, parameters, bends)
        best = best.better_of(now)
    return best


def as_voted(
    index: AsterismIndex,
    rays: FloatArray,
    proposals: Proposals,
    parameters: MatchParameters,
    bends: int,
) -> FittedRotations:
    """The best of the rotations as they were voted for, nothing bent yet; see `fit_and_weigh`."""
    most = index.parameters.log_size_tolerance
    log_scales = np.clip(proposals.log_scale, -most, most) * float(parameters.scale_free)
    scales = np.exp(log_scales)
    centres = index.vectors[proposals.reference]
    sized = rescaled(rays[None], scales[:, None, None])
    # The voted rotation carries the point that it rests on as it was before the scale moved it
    moved = sized[np.arange(len(sized)), proposals.photo]
    rotations = proposals.rotations @ smallest_rotations(moved, rays[proposals.photo])
    weighed = weigh(index, sized @ np.swapaxes(rotations, 1, 2), centres, proposals.own, parameters)
    order = np.argsort(-weighed.log10_odds, kind="stable")[: parameters.fitted]
    return FittedRotations(
        rotations=rotations[order],
        scales=scales[order],
        bends=np.zeros((len(order), bends)),
        weighed=Weighed(**{name: column[order] for name, column in vars(weighed).items()}),
    )


def fitted_again(
    index: AsterismIndex,
    rays: FloatArray,
    now: FittedRotations,
    parameters: MatchParameters,
    bends: FloatArray,
) -> FittedRotations:
    """Rotations fitted to the points that they bring together, and weighed; see `fit_and_weigh`."""
    most = index.parameters.log_size_tolerance
    targets = index.vectors[now.weighed.near % len(index.vectors)]
    share = now.weighed.met.astype(float)
    scales, sigmas, rotations = now.scales, now.bends, now.rotations
    shaped = bent_by(rays, bends, sigmas)
    if parameters.scale_free:
        scales = fitted_scales(shaped, targets, share, scales, most)
    sized = rescaled(shaped, scales[:, None, None])
    rotations = fitted_rotations(sized, targets, share, rotations)
    if len(bends):
        missing = targets @ rotations - sized
        sigmas = fitted_sigmas(bends, missing, share, sigmas, parameters.sigma_rad)
        sized = rescaled(bent_by(rays, bends, sigmas), scales[:, None, None])
        rotations = fitted_rotations(sized, targets, share, rotations)
    placed = sized @ np.swapaxes(rotations, 1, 2)
    count = np.maximum(share.sum(axis=1, keepdims=True), 1.0)
    centres = np.einsum("vn,vni->vi", share, placed) / count
    return FittedRotations(
        rotations=rotations,
        scales=scales,
        bends=sigmas,
        weighed=weigh(index, placed, centres, now.weighed.own, parameters),
    )


def weigh(
    index: AsterismIndex,
    placed: FloatArray,
    centres: FloatArray,
    own: BoolArray,
    parameters: MatchParameters,
) -> Weighed:
    """Odds of rotations against chance.

    A photo point is a reference point with a Gaussian error, or anything else anywhere:
    1 - h + h G / density, against 1 for chance, the density being that of the reference there.
    Of several photo points at one reference point, the nearest counts.
    """
    from matchers import compiled_figures

    apart = lengths(placed - centres[:, None])
    sigma = parameters.sigma_rad + parameters.sigma_share * apart
    distance, near = index.point_tree.query(
        placed.reshape(-1, 3), distance_upper_bound=FARTHEST_SIGMAS * float(sigma.max())
    )
    distance, near = distance.reshape(sigma.shape), near.reshape(sigma.shape)
    odds, met = np.empty(len(placed)), np.zeros(sigma.shape, bool)
    compiled_figures.weighed(
        distance,
        near,
        sigma,
        index.density,
        np.ascontiguousarray(own),
        FARTHEST_SIGMAS,
        parameters.match_share,
        odds,
        met,
    )
    return Weighed(log10_odds=odds, near=near, met=met, own=own)


def rescaled(vectors: FloatArray, scale: FloatArray | float) -> FloatArray:
    """Unit vectors whose tangents to the z axis are multiplied by a scale."""
    factors = np.ones((*np.shape(scale)[:-1], 3)) if np.ndim(scale) else np.ones(3)
    factors[..., :2] = scale
    stretched = vectors * factors
    return np.asarray(stretched / lengths(stretched)[..., None])


def smallest_rotations(vectors: FloatArray, onto: FloatArray) -> FloatArray:
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
    """Scales (v,) at which photo points that were paired spread as far as their partners.

    Parameters
    ----------
    rays : ndarray of float64, shape (n, 3) or (v, n, 3)
        The photo's points, not rescaled.
    targets : ndarray of float64, shape (v, n, 3)
    share : ndarray of float64, shape (v, n)
        Weight of each pair.
    now : ndarray of float64, shape (v,)
        Scales at hand.
    most : float
        Logarithms of scales stay within this.
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
    """Least-squares rotations of points onto targets (Wahba's problem, by SVD; Markley 1988).

    Parameters
    ----------
    points, targets : ndarray of float64, shape (v, n, 3)
        Unit vectors.
    share : ndarray of float64, shape (v, n)
        Weight of each pair.
    otherwise : ndarray of float64, shape (v, 3, 3)
        Taken where fewer than two pairs count.
    """
    profile = np.einsum("vn,vni,vnj->vij", share, targets, points)
    u, _, vt = np.linalg.svd(profile)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return np.where((share > 0.0).sum(axis=1)[:, None, None] >= 2, u @ vt, otherwise)


def beyond_turns(rays: FloatArray, bends: FloatArray) -> FloatArray:
    """Bends (m, n, 3) of points (n, 3), one sigma each, without what a rotation or a scale does.

    Fits of these do not wait for each other then.
    """
    turns = [np.cross(axis, rays) for axis in np.eye(3)]
    stretch = (rescaled(rays, np.exp(STEP)) - rays) / STEP
    known = np.stack([*turns, stretch]).reshape(4, -1)
    flat = bends.reshape(len(bends), -1)
    shares = np.linalg.lstsq(known.T, flat.T, rcond=None)[0]
    return np.asarray((flat - shares.T @ known).reshape(bends.shape))


def bent_by(rays: FloatArray, bends: FloatArray, sigmas: FloatArray) -> FloatArray:
    """Points moved by so many sigmas (v, m) of each bend: unit vectors of shape (v, n, 3)."""
    moved = rays + np.einsum("vm,mni->vni", sigmas, bends)
    return np.asarray(moved / lengths(moved)[..., None])


def fitted_sigmas(
    bends: FloatArray,
    missing: FloatArray,
    share: FloatArray,
    now: FloatArray,
    sigma_rad: float,
) -> FloatArray:
    """How many sigmas of each bend bring paired points together."""
    normal = np.einsum("vn,ani,bni->vab", share, bends, bends) / sigma_rad**2
    normal += np.eye(len(bends))
    pull = np.einsum("vn,ani,vni->va", share, bends, missing) / sigma_rad**2 - now
    change = np.linalg.solve(normal, pull[..., None])[..., 0]
    return np.clip(now + change, -MOST_SIGMAS, MOST_SIGMAS)
