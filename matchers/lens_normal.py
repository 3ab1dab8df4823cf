"""Normal equations of a lens and the attitudes of all its frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matchers.lens_slopes import LENS_PARAMETERS, slopes
from matchers.lens_stars import BoolArray, ErrorModel, FloatArray, LensFrame, residuals
from matchers.sky_camera import SkyCamera

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
    huber: float,
) -> NormalStep:
    """Normal equations of all frames, attitudes eliminated, and their solution.

    Parameters
    ----------
    frames : sequence of LensFrame
    cameras : list of SkyCamera
        Where the step starts; they share the lens.
    columns : list of int
        Which of `LENS_PARAMETERS` are free.
    kept : list of ndarray of bool
        Stars that count.
    model : ErrorModel
    huber : float
        Stars farther off than so many sigmas count less.

    Returns
    -------
    NormalStep
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
        far = distance > huber
        share = np.where(far, huber / np.maximum(distance, 1e-12), 1.0)
        weight = share / variance
        cost += float(np.where(far, (2.0 - share) * huber * distance, distance**2).sum())
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
