"""Ways in which all of a photo's points may move together, beyond a rotation and a scale.

A camera that is tilted a little otherwise than was assumed sees ground foreshortened otherwise.
To first order each point then moves along a known direction, and how far is fitted with the
rotation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matchers.asterism_fit import rescaled

FloatArray = NDArray[np.float64]

STEP = 1e-4  # logarithm of the scale, for its derivative
MOST_SIGMAS = 2.0


def beyond_turns(rays: FloatArray, bends: FloatArray) -> FloatArray:
    """Bends without what a rotation or a scale does: fits of these do not wait for each other.

    Parameters
    ----------
    rays : ndarray of float64, shape (n, 3)
        The photo's points.
    bends : ndarray of float64, shape (m, n, 3)
        How they move, for one sigma of each bend.

    Returns
    -------
    ndarray of float64, shape (m, n, 3)
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
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True))


def fitted_sigmas(
    bends: FloatArray,
    missing: FloatArray,
    share: FloatArray,
    now: FloatArray,
    sigma_rad: float,
) -> FloatArray:
    """How many sigmas of each bend bring paired points together.

    Parameters
    ----------
    bends : ndarray of float64, shape (m, n, 3)
        Of `beyond_turns`.
    missing : ndarray of float64, shape (v, n, 3)
        From the photo's points as they are bent now to their partners, in the photo's frame.
    share : ndarray of float64, shape (v, n)
        Weight of each pair.
    now : ndarray of float64, shape (v, m)
        Sigmas at hand.
    sigma_rad : float
        One sigma of the places of points.

    Returns
    -------
    ndarray of float64, shape (v, m)
        The likeliest, given that bends are Gaussian of one sigma.
    """
    normal = np.einsum("vn,ani,bni->vab", share, bends, bends) / sigma_rad**2
    normal += np.eye(len(bends))
    pull = np.einsum("vn,ani,vni->va", share, bends, missing) / sigma_rad**2 - now
    change = np.linalg.solve(normal, pull[..., None])[..., 0]
    return np.clip(now + change, -MOST_SIGMAS, MOST_SIGMAS)
