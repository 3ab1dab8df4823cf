"""The parameters of a lens, and how the pixels of stars move with them and with the attitude."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from matchers.lens import Lens
from matchers.sky_camera import SkyCamera
from matchers.star_fit import PARAMETERS, jacobian

FloatArray = NDArray[np.float64]

LENS_PARAMETERS = ("focal_px", "x_px", "y_px", "k1", "k2", "p1", "p2", "k3")


def lens_values(lens: Lens) -> FloatArray:
    """The parameters of a lens in the order of `LENS_PARAMETERS`, shape (8,)."""
    return np.array([lens.focal_px, *lens.principal_point, *lens.distortion])


def slopes(camera: SkyCamera, vectors_icrs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Derivatives of pixels.

    Parameters
    ----------
    camera : SkyCamera
    vectors_icrs : ndarray, shape (N, 3)
        Directions before the camera.

    Returns
    -------
    by_turn : ndarray, shape (N, 2, 3)
        Pixels per radian, for a small turn of the camera about its own axes (x right, y down,
        z forward).
    by_lens : ndarray, shape (N, 2, 8)
        Pixels per unit of each of `LENS_PARAMETERS`.
    """
    rows = jacobian(camera, vectors_icrs).reshape(-1, 2, PARAMETERS)
    by_turn, by_lens = rows[:, :, :3], rows[:, :, 3:].copy()
    by_lens[:, :, 0] /= camera.focal_px  # there by the logarithm
    return by_turn, by_lens
