"""Identified stars of a frame, how far a camera puts them off, and what their sigmas are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.types import BoolArray, FloatArray
from matchers.camera import Lens
from matchers.sky_camera import SkyCamera
from matchers.star_fit import PARAMETERS, jacobian

HUBER_SIGMA = 2.0  # stars farther off count less
OUTLIER_SIGMA = 4.0  # 3 of 10,000 good stars are beyond (two-dimensional normal)
GROWTHS = (0.0, 0.3, 0.6, 1.0, 1.5, 2.5)  # that are tried
ENOUGH_STARS = 1500  # three numbers ask for no more
MEDIAN_CHI2_2 = 1.3863  # of a chi-square with two degrees of freedom

LENS_PARAMETERS = ("focal_px", "x_px", "y_px", "k1", "k2", "p1", "p2", "k3")

# How far the principal point may lie from the middle of the picture, one sigma, as a share of its
# long side: 0.36 mm on a full-frame sensor. Calibrated SLR lenses have some tenths of a millimetre
# (Fraser 2013, Photogramm. Eng. 79, 381: interior orientation of consumer-grade cameras)
PRINCIPAL_SIGMA_SHARE = 0.01
# What decentred elements move a star by in the corners, one sigma, as a share of the long side:
# 14 um on a full-frame sensor. Decentring distortion of digital cameras stays in the tens of
# micrometres (Fraser 1997, ISPRS J. Photogramm. 52, 149). Without this, it could not be told from
# the principal point in narrow fields, and left out, it would make that one wrong
DECENTRING_SIGMA_SHARE = 4e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class LensFrame:
    """Identified stars of one frame.

    Attributes
    ----------
    camera : SkyCamera
        Where it is believed to look, and the lens to start from.
    x, y : ndarray of float64, shape (N,)
        Where the stars are, pixels of the image as stored.
    sigma_px : ndarray of float64, shape (N,)
        Of these places, per axis.
    directions_icrs : ndarray of float64, shape (N, 3)
        Unit vectors of the stars as they appear.
    """

    camera: SkyCamera
    x: FloatArray
    y: FloatArray
    sigma_px: FloatArray
    directions_icrs: FloatArray

    @property
    def radius_squared(self) -> FloatArray:
        """Square of the stars' distances from the picture's middle, in half diagonals."""
        width, height = self.camera.width_px, self.camera.height_px
        x, y = self.x - (width - 1) / 2.0, self.y - (height - 1) / 2.0
        return np.asarray((x * x + y * y) / (0.25 * (width**2 + height**2)))


@dataclass(frozen=True, kw_only=True)
class ErrorModel:
    """Variance of a star's place per axis: (scale (1 + growth r^2) sigma)^2 + floor^2."""

    floor_px: float = 0.0  # what the stars' sigmas do not know of
    scale: float = 1.0  # what the stars' sigmas are multiplied by
    # By how much more in the corners (r in half diagonals), where stars are less sharp than
    # detectors take them to be
    growth: float = 0.0

    def variance(self, frame: LensFrame) -> FloatArray:
        """Variance per axis of a frame's stars, shape (N,)."""
        scale = self.scale * (1.0 + self.growth * frame.radius_squared)
        return np.asarray((scale * frame.sigma_px) ** 2 + self.floor_px**2)


AT_THEIR_WORD = ErrorModel()


def residuals(frame: LensFrame, camera: SkyCamera) -> FloatArray:
    """Seen less predicted places of a frame's stars, pixels, shape (N, 2)."""
    x, y = camera.image_of(frame.directions_icrs @ camera.matrix)
    return np.stack([frame.x - x, frame.y - y], axis=1)


def error_model(frames: Sequence[LensFrame], away: list[FloatArray]) -> ErrorModel:
    """Scale, growth and floor that residuals, (N, 2) for each frame, make likeliest.

    Likeliest under Student's distribution with four degrees of freedom, whose tails are as long as
    those of residuals among neighbours that nobody knows.
    """
    step = max(1, sum(len(r) for r in away) // ENOUGH_STARS)
    square = np.concatenate([(r**2).sum(axis=1) for r in away])[::step]
    usual = float(np.sqrt(np.median(square) / MEDIAN_CHI2_2))
    best, least = AT_THEIR_WORD, np.inf
    for growth in GROWTHS:
        grown = ErrorModel(growth=growth)
        own = np.concatenate([grown.variance(f) for f in frames])[::step]
        for floor in (0.0, *(usual * np.geomspace(0.03, 1.0, 9)).tolist()):
            scale = _scale(square, own, floor)
            total = np.maximum(scale**2 * own + floor**2, 1e-300)
            unlikely = float((np.log(total) + 3.0 * np.log1p(square / total / 4.0)).sum())
            if unlikely < least:
                least = unlikely
                best = ErrorModel(floor_px=floor, scale=scale, growth=growth)
    return best


def _scale(square: FloatArray, variance: FloatArray, floor_px: float) -> float:
    """What sigmas are multiplied by, beside a floor, for the median star."""
    low, high = 0.0, 2.0 * float(np.sqrt((square / variance).max())) + 1e-12
    for _ in range(18):
        middle = 0.5 * (low + high)
        if np.median(square / (middle**2 * variance + floor_px**2 + 1e-300)) > MEDIAN_CHI2_2:
            low = middle
        else:
            high = middle
    return high


def inliers(
    frames: Sequence[LensFrame], cameras: list[SkyCamera], model: ErrorModel
) -> list[BoolArray]:
    """Stars of each frame within `OUTLIER_SIGMA` of where its camera puts them."""
    return [
        (residuals(f, c) ** 2).sum(axis=1) < OUTLIER_SIGMA**2 * model.variance(f)
        for f, c in zip(frames, cameras, strict=True)
    ]


def lens_values(lens: Lens) -> FloatArray:
    """The parameters of a lens in the order of `LENS_PARAMETERS`, shape (8,)."""
    return np.array([lens.focal_px, *lens.principal_point, *lens.distortion])


def slopes(camera: SkyCamera, vectors_icrs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Derivatives of pixels."""
    rows = jacobian(camera, vectors_icrs).reshape(-1, 2, PARAMETERS)
    by_turn, by_lens = rows[:, :, :3], rows[:, :, 3:].copy()
    by_lens[:, :, 0] /= camera.focal_px  # there by the logarithm
    return by_turn, by_lens


@dataclass(frozen=True, kw_only=True, eq=False)
class NormalStep:
    """One step of the fit: what to change, how sure that is, and the cost before it.

    ``tails`` is by how much the residuals' tails widen the covariances, which have it in them.
    """

    shared: FloatArray
    turns: FloatArray
    shared_covariance: FloatArray
    turn_covariance: FloatArray
    cost: float
    tails: float


def normal_step(
    frames: Sequence[LensFrame],
    cameras: list[SkyCamera],
    columns: list[int],
    kept: list[BoolArray],
    model: ErrorModel,
) -> NormalStep:
    """Normal equations of all frames, attitudes eliminated, and their solution.

    The cameras, where the step starts, share the lens; ``columns`` of `LENS_PARAMETERS` are free;
    ``kept`` stars count, less where they are farther off than `HUBER_SIGMA`.
    """
    lens = cameras[0]
    size = len(columns)
    normal, right, cost = _beforehand(lens)
    normal, right = normal[np.ix_(columns, columns)], right[columns]
    crossed, own, own_right = [], [], []
    pulls, shares, bends = [], [], []
    for frame, camera, good in zip(frames, cameras, kept, strict=True):
        by_turn, by_lens = slopes(camera, frame.directions_icrs[good])
        residual = residuals(frame, camera)[good]
        variance = model.variance(frame)[good]
        distance = np.sqrt((residual**2).sum(axis=1) / variance)
        far = distance > HUBER_SIGMA
        share = np.where(far, HUBER_SIGMA / np.maximum(distance, 1e-12), 1.0)
        weight = share / variance
        cost += float(np.where(far, (2.0 - share) * HUBER_SIGMA * distance, distance**2).sum())
        pulls.append((share * distance) ** 2 / 2.0)
        shares.append(share)
        bends.append((share + ~far) / 2.0)  # across the direction of the residual, and along it
        shared = by_lens[:, :, columns].reshape(2 * int(good.sum()), size)
        turn, seen = by_turn.reshape(-1, 3), residual.ravel()
        both = np.repeat(weight, 2)[:, None]
        normal += shared.T @ (both * shared)
        right += shared.T @ (both[:, 0] * seen)
        crossed.append(shared.T @ (both * turn))
        own.append(np.linalg.inv(turn.T @ (both * turn)))
        own_right.append(turn.T @ (both[:, 0] * seen))
    gain = [b @ c for b, c in zip(crossed, own, strict=True)]
    for b, g, r in zip(crossed, gain, own_right, strict=True):
        normal = normal - g @ b.T
        right = right - g @ r
    covariance = np.linalg.inv(normal) if size else np.zeros((0, 0))
    step = covariance @ right
    turns = [c @ (r - b.T @ step) for b, c, r in zip(crossed, own, own_right, strict=True)]
    spread = [c + g.T @ covariance @ g for c, g in zip(own, gain, strict=True)]
    # Of M-estimates (Huber 1981, 7.6): mean psi^2 / (mean psi')^2, the normal matrix having mean w
    spread_psi = np.concatenate(pulls).mean() * np.concatenate(shares).mean()
    tails = max(float(spread_psi / np.concatenate(bends).mean() ** 2), 1.0)
    return NormalStep(
        shared=step,
        turns=np.array(turns),
        shared_covariance=tails * np.asarray(covariance, float),
        turn_covariance=tails * np.array(spread),
        cost=cost,
        tails=tails,
    )


def _beforehand(lens: SkyCamera) -> tuple[FloatArray, FloatArray, float]:
    """What is known of a lens without any star: normal matrix, right side, cost."""
    longest = max(lens.width_px, lens.height_px)
    corner = 0.5 * float(np.hypot(lens.width_px, lens.height_px)) / lens.focal_px
    principal = PRINCIPAL_SIGMA_SHARE * longest
    # A tangential term moves a star by at most 3 p r^2 focal lengths
    tangential = DECENTRING_SIGMA_SHARE * longest / (3.0 * corner**2 * lens.focal_px)
    middle = ((lens.width_px - 1) / 2.0, (lens.height_px - 1) / 2.0)
    weight, away = np.zeros(len(LENS_PARAMETERS)), np.zeros(len(LENS_PARAMETERS))
    weight[1:3], weight[5:7] = principal**-2, tangential**-2
    away[1:3] = np.array(middle) - np.array(lens.principal_point)
    away[5:7] = -np.array(lens.distortion[2:4])
    return np.diag(weight), weight * away, float(weight @ away**2)
