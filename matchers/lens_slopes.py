"""How the pixels of directions move with the camera's attitude and with its lens."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matchers.lens import Lens

FloatArray = NDArray[np.float64]

LENS_PARAMETERS = ("focal_px", "x_px", "y_px", "k1", "k2", "p1", "p2", "k3")
DISTORTION_TERMS = LENS_PARAMETERS[3:]


def lens_values(lens: Lens) -> FloatArray:
    """The parameters of a lens in the order of `LENS_PARAMETERS`, shape (8,)."""
    return np.array([lens.focal_px, *lens.principal_point, *lens.distortion])


def slopes(lens: Lens, local: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Derivatives of pixels, analytically.

    Parameters
    ----------
    lens : Lens
    local : ndarray, shape (N, 3)
        Directions in the camera's frame, before it (z above 0).

    Returns
    -------
    by_turn : ndarray, shape (N, 2, 3)
        Pixels per radian, for a small turn of the camera about its own axes (x right, y down,
        z forward).
    by_lens : ndarray, shape (N, 2, 8)
        Pixels per unit of each of `LENS_PARAMETERS`.
    """
    depth = local[:, 2]
    u, v = local[:, 0] / depth, local[:, 1] / depth
    k1, k2, p1, p2, k3 = lens.distortion
    r2 = u * u + v * v
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    steeper = k1 + r2 * (2.0 * k2 + 3.0 * r2 * k3)
    crossed = 2.0 * (u * v * steeper + p1 * u + p2 * v)
    bend = np.empty((depth.size, 2, 2))  # of distorted by ideal coordinates
    bend[:, 0, 0] = radial + 2.0 * u * u * steeper + 2.0 * p1 * v + 6.0 * p2 * u
    bend[:, 1, 1] = radial + 2.0 * v * v * steeper + 6.0 * p1 * v + 2.0 * p2 * u
    bend[:, 0, 1] = bend[:, 1, 0] = crossed

    by_lens = np.zeros((depth.size, 2, len(LENS_PARAMETERS)))
    by_lens[:, 0, 0] = u * radial + 2.0 * p1 * u * v + p2 * (r2 + 2.0 * u * u)
    by_lens[:, 1, 0] = v * radial + p1 * (r2 + 2.0 * v * v) + 2.0 * p2 * u * v
    by_lens[:, 0, 1] = by_lens[:, 1, 2] = 1.0
    for column, power in ((3, r2), (4, r2**2), (7, r2**3)):
        by_lens[:, 0, column] = lens.focal_px * u * power
        by_lens[:, 1, column] = lens.focal_px * v * power
    by_lens[:, 0, 5] = by_lens[:, 1, 6] = lens.focal_px * 2.0 * u * v
    by_lens[:, 1, 5] = lens.focal_px * (r2 + 2.0 * v * v)
    by_lens[:, 0, 6] = lens.focal_px * (r2 + 2.0 * u * u)

    # A camera that turns by d sees the direction l move by l x d
    turned = np.zeros((depth.size, 2, 3))  # of ideal coordinates by the turn
    turned[:, 0, 0], turned[:, 0, 1], turned[:, 0, 2] = u * v, -1.0 - u * u, v
    turned[:, 1, 0], turned[:, 1, 1], turned[:, 1, 2] = 1.0 + v * v, -u * v, -u
    by_turn = lens.focal_px * (bend @ turned)
    if lens.mirrored:
        by_turn[:, 0] *= -1.0
        by_lens[:, 0] *= -1.0
    return by_turn, by_lens
