"""Rotations and scales that carry paired points onto each other, many at once.

References
----------
Markley, F. L. (1988). Attitude determination using vector observations and the singular value
decomposition. Journal of the Astronautical Sciences 36 (3), 245-258.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEAST_FOR_SCALE = 4  # pairs, to fit the scale as well


def flipped(vectors: FloatArray, mirrored: bool) -> FloatArray:
    """Vectors with their x negated where they are of a mirrored picture."""
    return vectors * [-1.0, 1.0, 1.0] if mirrored else vectors


def rescaled(vectors: FloatArray, scale: FloatArray | float) -> FloatArray:
    """Unit vectors whose tangents to the z axis are multiplied by a scale."""
    factors = np.ones((*np.shape(scale)[:-1], 3)) if np.ndim(scale) else np.ones(3)
    factors[..., :2] = scale
    stretched = vectors * factors
    return np.asarray(stretched / np.linalg.norm(stretched, axis=-1, keepdims=True))


def carrying(vectors: FloatArray, onto: FloatArray) -> FloatArray:
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
    """Scales at which photo points that were paired spread as far as their partners.

    Parameters
    ----------
    rays : ndarray of float64, shape (n, 3) or (v, n, 3)
        The photo's points, not rescaled.
    targets : ndarray of float64, shape (v, n, 3)
        Their partners.
    share : ndarray of float64, shape (v, n)
        Weight of each pair.
    now : ndarray of float64, shape (v,)
        Scales at hand.
    most : float
        Logarithms of scales stay within this.

    Returns
    -------
    ndarray of float64, shape (v,)
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
    """Least-squares rotations of points onto targets (Wahba's problem, by SVD).

    Parameters
    ----------
    points, targets : ndarray of float64, shape (v, n, 3)
        Unit vectors.
    share : ndarray of float64, shape (v, n)
        Weight of each pair.
    otherwise : ndarray of float64, shape (v, 3, 3)
        Taken where fewer than two pairs count.

    Returns
    -------
    ndarray of float64, shape (v, 3, 3)
        Proper rotations.

    References
    ----------
    Markley (1988), see the module.
    """
    profile = np.einsum("vn,vni,vnj->vij", share, targets, points)
    u, _, vt = np.linalg.svd(profile)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return np.where((share > 0.0).sum(axis=1)[:, None, None] >= 2, u @ vt, otherwise)


def spread(rays: FloatArray) -> float:
    """Root mean square distance of unit vectors from their mean; 0 for none."""
    if len(rays) == 0:
        return 0.0
    return float(np.sqrt(((rays - rays.mean(axis=0)) ** 2).sum(axis=1).mean()))
