"""Light of lamps and streets without the smooth light of cloud, haze and glass around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

# What is wider than this is smooth. On 27 telephoto frames of the training half, at 640 to 1,600 px
# along the long side, 3, 5 and 7 px served alike
WIDEST_GRAIN_PX = 5


def grainy_light(light: Image) -> Image:
    """What of a photo's light is narrower than a few pixels: its white top-hat.

    A photo that resolves streets shows city light as grain. Moonlit cloud, lightning, reflections
    and haze are smooth, however bright, and an opening holds nothing else.

    Parameters
    ----------
    light : ndarray of float32, shape (h, w)
        Linear light.

    Returns
    -------
    ndarray of float32, shape (h, w)
        The light less its opening by a disc of `WIDEST_GRAIN_PX`; not negative.

    References
    ----------
    Serra, J. (1982). Image Analysis and Mathematical Morphology. Academic Press, chapter XII.
    """
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (WIDEST_GRAIN_PX, WIDEST_GRAIN_PX))
    return np.asarray(cv2.morphologyEx(light, cv2.MORPH_TOPHAT, disc), np.float32)
