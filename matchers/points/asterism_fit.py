"""Fit of rotations and scales to matched points, and their odds against chance.

References
----------
Markley, F. L. (1988). Attitude determination using vector observations and the singular value
decomposition. Journal of the Astronautical Sciences 36 (3), 245-258.
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.points.asterisms import AsterismIndex, lengths


@dataclass(frozen=True, kw_only=True)
class MatchParameters:
    """Parameters for matching a photo's points to those of the reference."""

    brightest: int = 30  # number of brightest photo points to use
    neighbours: int = 8  # as in `AsterismParameters`, for the photo
    sigma_rad: float = 1e-3  # one sigma of the positions of points, per axis
    # Added to `sigma_rad` per radian of distance from the centre of the rotation, for errors of the
    # focal length, of the lens and of the camera's position
    sigma_share: float = 0.0
    max_sigmas: float = 3.5  # maximum distance between matching points
    # Fraction of the photo's points that match for the correct rotation, as in
    # `matchers.lights.verify.LightParams`; 0.44 to 0.64 for light peaks of training frames
    match_share: float = 0.5
    # Matches whose rotation angles agree to this (and up to twice it) vote for the same rotation
    turn_step_deg: float = 4.0
    weighed: int = 300  # number of rotations with most votes to score
    # Number of rotations with the best initial odds to fit
    fitted: int = 120
    kept: int = 20  # maximum number of rotations returned
    fit_rounds: int = 2  # rounds of refitting rotations to their matches
    scale_free: bool = False  # also fit the scale, within the size tolerance of the asterisms
    # Factors of the tangents of the photo's angles to try in turn; 1 for a known focal length
    scales: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rotations:
    """Rotations of a photo's points, with their matches and odds."""

    rotations: FloatArray  # (v, 3, 3): photo to reference
    scales: FloatArray  # (v,)
    # (v, n): points of the asterism that proposed the rotation, which are excluded from the odds
    own: BoolArray
    log10_odds: FloatArray  # (v,): against chance
    near: IndexArray  # (v, n): reference point nearest to each photo point
    met: BoolArray  # (v, n): whether the photo point matches it

    def fit_again(
        self, index: AsterismIndex, rays: FloatArray, parameters: MatchParameters
    ) -> Rotations:
        """Refit the rotations to their matched points, and recompute the odds."""
        targets = index.vectors[self.near % len(index.vectors)]
        share = self.met.astype(float)
        scales = self.scales
        if parameters.scale_free:
            most = index.parameters.log_size_tolerance
            scales = fit_scales(rays, targets, share, scales, most)
        scaled = rescale_tangents(rays[None], scales[:, None, None])
        rotations = fit_rotations(scaled, targets, share, self.rotations)
        placed = scaled @ np.swapaxes(rotations, 1, 2)
        count = np.maximum(share.sum(axis=1, keepdims=True), 1.0)
        centres = np.einsum("vn,vni->vi", share, placed) / count
        odds, near, met = weigh(index, placed, centres, self.own, parameters)
        return replace(
            self, rotations=rotations, scales=scales, log10_odds=odds, near=near, met=met
        )

    def better_of(self, other: Rotations) -> Rotations:
        """Select, for each rotation, the version with the better odds."""
        better = other.log10_odds > self.log10_odds
        columns = {}
        for name, column in vars(self).items():
            rows = better.reshape(-1, *[1] * (column.ndim - 1))
            columns[name] = np.where(rows, getattr(other, name), column)
        return Rotations(**columns)


def weigh(
    index: AsterismIndex,
    placed: FloatArray,
    centres: FloatArray,
    own: BoolArray,
    parameters: MatchParameters,
) -> tuple[FloatArray, IndexArray, BoolArray]:
    """Compute odds of rotations against chance, nearest reference points, and matches.

    A photo point is either a reference point with a Gaussian error G, with the probability h, or an
    unrelated point at a random position. The likelihood ratio against chance is 1 - h + h G /
    density, where the density is that of reference points there. If several photo points match one
    reference point, only the nearest counts.
    """
    sigma = parameters.sigma_rad + parameters.sigma_share * lengths(placed - centres[:, None])
    distance, near = index.point_tree.query(
        placed.reshape(-1, 3), distance_upper_bound=parameters.max_sigmas * float(sigma.max())
    )
    distance, near = distance.reshape(sigma.shape), near.reshape(sigma.shape)
    inside = distance < parameters.max_sigmas * sigma
    # For each reference point, sort photo points within the limit first, nearest first among them
    nearness = np.where(inside, 0.5 * distance / parameters.max_sigmas / sigma.max(), 0.75)
    order = np.argsort(near + nearness, axis=1)
    first = np.diff(np.take_along_axis(near, order, axis=1), axis=1, prepend=-1) != 0
    np.put_along_axis(first, order, first.copy(), axis=1)
    variance, share = sigma**2, parameters.match_share
    gauss = np.exp(-0.5 * distance**2 / variance) / (2.0 * np.pi * variance)
    likelier = share * gauss / index.density[near % len(index.vectors)]
    ratio = 1.0 - share + np.where(inside & first, likelier, 0.0)
    return np.where(own, 0.0, np.log10(ratio)).sum(axis=1), near, ratio > 1.0


def rescale_tangents(vectors: FloatArray, scale: FloatArray | float) -> FloatArray:
    """Multiply the tangents of angles from the z axis by a scale; return unit vectors."""
    factors = np.ones((*np.shape(scale)[:-1], 3)) if np.ndim(scale) else np.ones(3)
    factors[..., :2] = scale
    stretched = vectors * factors
    return np.asarray(stretched / lengths(stretched)[..., None])


def fit_scales(
    rays: FloatArray, targets: FloatArray, share: FloatArray, now: FloatArray, most: float
) -> FloatArray:
    """Fit scales (v,) at which matched photo points have the same spread as their targets.

    ``rays``, shape (n, 3), are not rescaled. ``share``, shape (v, n), are weights of the matches.
    ``most`` is the maximum absolute logarithm of a scale.
    """
    scaled = rescale_tangents(rays[None], now[:, None, None])
    count = np.maximum(share.sum(axis=1), 1.0)[:, None]
    squares = []
    for points in (targets, scaled):
        middle = np.einsum("vn,vni->vi", share, points) / count
        squares.append(np.einsum("vn,vn->v", share, ((points - middle[:, None]) ** 2).sum(axis=2)))
    change = 0.5 * np.log(np.maximum(squares[0], 1e-18) / np.maximum(squares[1], 1e-18))
    change = np.where((share > 0.0).sum(axis=1) >= 4, change, 0.0)
    return np.exp(np.clip(np.log(now) + change, -most, most))


def fit_rotations(
    points: FloatArray, targets: FloatArray, share: FloatArray, otherwise: FloatArray
) -> FloatArray:
    """Fit least-squares rotations (v, 3, 3) of points to targets (Wahba's problem; Markley 1988).

    Points and targets have shape (v, n, 3), the weights ``share`` (v, n). Rotations with fewer than
    two points are taken from ``otherwise``.
    """
    profile = np.einsum("vn,vni,vnj->vij", share, targets, points)
    u, _, vt = np.linalg.svd(profile)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return np.where((share > 0.0).sum(axis=1)[:, None, None] >= 2, u @ vt, otherwise)
