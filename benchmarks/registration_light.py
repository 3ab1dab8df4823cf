"""A photo's city light for the checks and the peers, made apart from the engine's own steps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import diffuse_background, hot_pixels
from regengine.image import read_linear_light

Image = NDArray[np.float32]

# The background of a box an eighth of the picture wide holds clouds and haze, and no city
BOX_SHARE = 1.0 / 8.0
NOISE_SIGMAS = 3.0
SHARE_OF_BRIGHTEST = 0.02
BRIGHTEST_QUANTILE = 0.995


def city_light(photo: Path, long_side_px: int) -> tuple[Image, float]:
    """Log light of a photo above its diffuse background.

    Parameters
    ----------
    photo : Path
    long_side_px : int
        Larger pictures are averaged down to this.

    Returns
    -------
    values : ndarray of float32, shape (h, w)
        ``log10(1 + excess / knee)``, the knee at 3 sigma of the noise or 2 % of the brightest.
    factor : float
        Its size over that of the stored image.
    """
    picture = read_linear_light(photo, max_long_side_px=long_side_px)
    light = picture.light
    hot = hot_pixels(light)
    background = diffuse_background(light, scale_px=BOX_SHARE * max(light.shape), mask=hot)
    excess = np.where(hot, 0.0, np.maximum(light - background.level, 0.0))
    brightest = float(np.quantile(excess, BRIGHTEST_QUANTILE))
    knee = np.maximum(NOISE_SIGMAS * background.noise, SHARE_OF_BRIGHTEST * brightest)
    return np.log10(1.0 + excess / np.maximum(knee, 1e-9)).astype(np.float32), picture.factor


def smoothed(values: Image, sigma_px: float) -> Image:
    """Blurred copy."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px), np.float32)
