"""Densities of a streak's four numbers: two times, and two distances beside the track.

The times have the clock's error in common. Ends without a time of their own (cut by the border, or
faded) only say that they were passed while the exposure lasted.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

FloatArray = NDArray[np.float64]


def log_density_of(
    y: FloatArray,
    covariance: FloatArray,
    speeds: FloatArray,
    kept: tuple[bool, bool],
    cut: tuple[bool, bool],
    clock_s: FloatArray,
    exposure_s: float,
) -> FloatArray:
    """Logarithm of the density of the numbers that count.

    Parameters
    ----------
    y : ndarray of float64, shape (m, 4)
        Of m tracks: seconds at which the ends were passed, from the exposure's start and from its
        finish, then pixels beside the track.
    covariance : ndarray of float64, shape (m, 4, 4)
        Of all errors but the clock's.
    speeds : ndarray of float64, shape (m, 2)
        Pixels a second, at each end.
    kept : tuple of bool
        Which ends are those of the exposure.
    cut : tuple of bool
        Which of the others the border cuts.
    clock_s : ndarray of float64, shape (G,)
    exposure_s : float

    Returns
    -------
    ndarray of float64, shape (m, G)
        Per pixel for each number that counts.
    """
    used = [k for k in (0, 1) if kept[k]] + [2, 3]
    told = np.array([1.0 if k < 2 else 0.0 for k in used])
    inverse, log_norm = _inverse(covariance, used)
    residual = y[:, used][:, None, :] - clock_s[:, None] * told  # (m, G, u)
    weighted = residual @ inverse
    log_density = -0.5 * np.sum(weighted * residual, axis=-1) + log_norm[:, None]
    for k in range(2):
        if kept[k]:
            log_density -= np.log(speeds[:, k])[:, None]
        elif not cut[k]:
            log_density -= np.log(np.maximum(speeds[:, k] * exposure_s, 1.0))[:, None]
    within = _within_exposure(y, covariance, used, weighted, kept, clock_s, exposure_s)
    return log_density + np.log(np.maximum(within, 1e-30))


def _within_exposure(
    y: FloatArray,
    covariance: FloatArray,
    used: list[int],
    weighted: FloatArray,
    kept: tuple[bool, bool],
    clock_s: FloatArray,
    exposure_s: float,
) -> FloatArray:
    """Probability that the ends without a time of their own were passed while exposing."""
    shares = []
    for k in range(2):
        if kept[k]:
            continue
        gain = covariance[:, used, k]
        expected = np.einsum("mgu,mu->mg", weighted, gain)
        inverse, _ = _inverse(covariance, used)
        left = covariance[:, k, k] - np.einsum("mu,muv,mv->m", gain, inverse, gain)
        sigma = np.sqrt(np.maximum(left, 1e-12))[:, None]
        # Time from the start, or up to the finish, of the exposure
        inside = (y[:, k, None] - clock_s - expected) * (1.0 if k == 0 else -1.0)
        low = ndtr(inside / sigma)
        shares.append(low if len(used) == 2 else low - ndtr((inside - exposure_s) / sigma))
    if not shares:
        return np.ones((len(y), len(clock_s)))
    # Two ends without a time share their error: what one forbids the other does not allow again
    return shares[0] if len(shares) == 1 else np.maximum(shares[0] + shares[1] - 1.0, 0.0)


def log_companion_of(
    y: FloatArray,
    covariance: FloatArray,
    speeds: FloatArray,
    kept: tuple[bool, bool],
    exposure_s: float,
) -> FloatArray:
    """Logarithm of the density for a satellite on the same track at any time.

    Parameters
    ----------
    y, covariance, speeds, kept, exposure_s
        As of `log_density_of`.

    Returns
    -------
    ndarray of float64, shape (m,)
        For each second in which it may pass.
    """
    used = [k for k in (0, 1) if kept[k]] + [2, 3]
    told = np.array([1.0 if k < 2 else 0.0 for k in used])
    inverse, log_norm = _inverse(covariance, used)
    residual = y[:, used]
    weighted = np.einsum("mu,muv->mv", residual, inverse)
    square = np.sum(weighted * residual, axis=-1)
    log_density = log_norm
    for k in range(2):
        if kept[k]:
            log_density = log_density - np.log(speeds[:, k])
    if not any(kept):
        return log_density - 0.5 * square + np.log(exposure_s)
    stiffness = np.einsum("u,muv,v->m", told, inverse, told)
    pull = weighted @ told
    return (
        log_density - 0.5 * (square - pull**2 / stiffness) + 0.5 * np.log(2.0 * np.pi / stiffness)
    )


def _inverse(covariance: FloatArray, used: list[int]) -> tuple[FloatArray, FloatArray]:
    """Inverse of a part of the covariance, and the logarithm of its normal density's factor."""
    part = covariance[:, used][:, :, used]
    _, log_det = np.linalg.slogdet(part)
    return np.asarray(np.linalg.inv(part)), -0.5 * (log_det + len(used) * np.log(2.0 * np.pi))
