"""Where the fit to a person's points begins: the attitude in closed form."""

from __future__ import annotations

import numpy as np

from matchers.attitude import with_attitude
from matchers.camera import Camera
from matchers.resection_points import PointPairs, whitened

# How much the attitude of the start weighs beside the points: it decides where they leave it open,
# such as the roll about a single one
SHARE_OF_START = 1e-9


def best_start(start: Camera, pairs: PointPairs) -> Camera:
    """The start, or the start turned to the points, whichever is nearer to most of them."""
    turned = turned_to(start, pairs)

    def typical(camera: Camera) -> float:
        return float(np.median((whitened(camera, pairs) ** 2).sum(axis=1)))

    return min(turned, start, key=typical)


def turned_to(start: Camera, pairs: PointPairs) -> Camera:
    """The start turned so that its rays point at the places, in closed form.

    Parameters
    ----------
    start : Camera
        Any attitude will do.
    pairs : PointPairs
        One turns it by as little as can be.

    Returns
    -------
    Camera

    References
    ----------
    Kabsch, W. (1976). A solution for the best rotation to relate two sets of vectors. Acta
    Crystallographica A32, 922-923.
    """
    rays = start.rays(*pairs.pixels.T)
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    away = pairs.ground_ecef_m - np.asarray(start.position_ecef_m)
    away = away / np.linalg.norm(away, axis=1, keepdims=True)
    share = 1.0 / pairs.sigma_px**2
    related = np.einsum("n,ni,nj->ij", share / share.sum(), away, rays)
    left, _, right = np.linalg.svd(related + SHARE_OF_START * start.matrix)
    proper = np.diag([1.0, 1.0, np.linalg.det(left @ right)])
    return with_attitude(start, left @ proper @ right)
