"""Directions of a few pixels that tell how a photo lies, worked out once for a camera."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera

FloatArray = NDArray[np.float64]


@lru_cache(maxsize=4)  # of one frame after the other, a column at a time
def key_rays(camera: Camera) -> FloatArray:
    """Directions that pixels see.

    Parameters
    ----------
    camera : Camera
        Of the photo.

    Returns
    -------
    ndarray of float64, shape (7, 3)
        Unit vectors in ECEF: of the image centre, of half a pixel below and above it, and of the
        four corners.
    """
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    x, y = right / 2.0, bottom / 2.0
    rays = camera.rays(
        [x, x, x, 0.0, right, right, 0.0], [y, y + 0.5, y - 0.5, 0.0, 0.0, bottom, bottom]
    )
    return np.asarray(rays @ camera.matrix.T / np.linalg.norm(rays, axis=-1, keepdims=True))
