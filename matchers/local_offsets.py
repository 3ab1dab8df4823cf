"""What patches still tell of their surroundings once the camera is fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.refine import FLOOR_PX, Refinement

FloatArray = NDArray[np.float64]

# Overlapping patches share their noise: what neighbours have in common else is read off pairs that
# stand side by side
NEAREST_SIDES, FARTHEST_SIDES = 1.0, 2.0
# Reach of a local offset, patch sides: less than that no two patches tell of
REACH_SIDES = 1.5
FEWEST_PAIRS = 12


@dataclass(frozen=True, kw_only=True)
class LocalOffsets:
    """Where the photo lies beside the fitted camera, at every patch.

    Attributes
    ----------
    offset_px : ndarray, shape (n, 2)
        Photo minus camera, as far as neighbouring patches bear it out.
    covariance : ndarray, shape (n, 2, 2)
        Of that; 0 where neighbours have nothing in common.
    noise : ndarray, shape (n, 2, 2)
        Of each patch by itself.
    """

    offset_px: FloatArray
    covariance: FloatArray
    noise: FloatArray


def local_offsets(refinement: Refinement) -> LocalOffsets:
    """Smooth part of what a fit leaves of its patches, by Gaussian-process regression.

    A patch by itself is off by a pixel: its towns have grown, or shine more on one side than on
    the map. Twenty patches of a camera are not, unless the camera is wrong there (a lens that one
    coefficient does not describe, heights, an edited picture), and then neighbours are off alike.
    How much they are follows from the residuals of pairs side by side.

    Parameters
    ----------
    refinement : Refinement
        The fit.

    Returns
    -------
    LocalOffsets

    References
    ----------
    Rasmussen, C. E., Williams, C. K. I. (2006). Gaussian Processes for Machine Learning, 2.2.
    """
    matches, residual = refinement.matches, refinement.residual_px
    count = len(matches)
    noise, widened = patch_noise(refinement)
    place = np.stack([matches.x, matches.y], axis=1)
    distance = np.linalg.norm(place[:, None] - place[None], axis=2) / matches.size_px
    kernel = np.exp(-0.5 * (distance / REACH_SIDES) ** 2)
    variance = common_variance(residual, refinement.weights, distance, kernel)
    if variance <= 0.0:
        return LocalOffsets(
            offset_px=np.zeros((count, 2)), covariance=np.zeros((count, 2, 2)), noise=noise
        )
    # What widened the sigmas of single patches is partly what they have in common
    typical = float(np.median(np.trace(noise, axis1=1, axis2=2))) / 2.0
    noise = noise * max(1.0 - variance / typical, 1.0 / widened)
    common = variance * np.kron(kernel, np.eye(2))
    root = np.linalg.cholesky(noise)
    own = np.einsum("ij,iac,jbc->iajb", matches.overlap, root, root).reshape(common.shape)
    gain = np.linalg.solve(common + own, common).T
    left = (common - gain @ common).reshape(count, 2, count, 2)
    index = np.arange(count)
    return LocalOffsets(
        offset_px=(gain @ residual.ravel()).reshape(count, 2),
        covariance=left[index, :, index, :],
        noise=noise,
    )


def patch_noise(refinement: Refinement) -> tuple[FloatArray, float]:
    """Covariance of every patch as the fit has found it, shape (n, 2, 2), and a factor in it.

    The stated ones, widened by the residuals (that factor, at least 1), and for what the fit
    believes little by its weight.
    """
    if not len(refinement.matches):
        return np.zeros((0, 2, 2)), 1.0
    stated = refinement.matches.covariance + FLOOR_PX**2 * np.eye(2)
    whiten = np.linalg.cholesky(np.linalg.inv(stated)).transpose(0, 2, 1)
    white = np.einsum("nij,nj->ni", whiten, refinement.residual_px)
    widened = max(1.0, 1.4826 * float(np.median(np.abs(white)))) ** 2
    return np.asarray(stated * (widened / refinement.weights)[:, None, None]), widened


def common_variance(
    residual: FloatArray, weights: FloatArray, distance: FloatArray, kernel: FloatArray
) -> float:
    """Variance a axis of what neighbouring patches share, pixels squared; 0 where too few do.

    Parameters
    ----------
    residual : ndarray, shape (n, 2)
        What the fit leaves, pixels.
    weights : ndarray, shape (n,)
        Its robust weights.
    distance : ndarray, shape (n, n)
        Between patches, in their sides.
    kernel : ndarray, shape (n, n)
        Correlation assumed at that distance.
    """
    beside = np.triu((distance >= NEAREST_SIDES) & (distance <= FARTHEST_SIDES))
    if beside.sum() < FEWEST_PAIRS:
        return 0.0
    pair = np.outer(weights, weights)[beside]
    product = (residual @ residual.T / 2.0)[beside]
    shared = float((pair * product).sum() / (pair * kernel[beside]).sum())
    return max(shared, 0.0)
