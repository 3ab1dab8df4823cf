"""Towns: compact lights at the map's scale, found alike in the photo and in the map's view.

At a photo's own scale single streets and stadiums outshine their town; the map knows only towns.
Both images are therefore compared in the logarithm and after the same band-pass filter.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]

# Photo towns agree with the map's to about half of this scale on five hand-checked photographs
SCALE_PX = 2.5
OUTER_RATIO = 2.5
# A rise of 5 % in light against the surroundings
LEAST_CONTRAST = 0.02


@dataclass(frozen=True, kw_only=True)
class Towns:
    """Positions (pixels) and contrast of towns, the strongest first; each shape (n,)."""

    x: FloatArray
    y: FloatArray
    contrast: FloatArray

    def __len__(self) -> int:
        return len(self.x)

    @property
    def positions(self) -> FloatArray:
        """Positions as an array of shape (n, 2)."""
        return np.stack([self.x, self.y], axis=-1)


def find_towns(
    log_light: Image, weight: Image | None, count: int, scale_px: float = SCALE_PX
) -> Towns:
    """Local maxima of a log-light image after a difference of Gaussians, sub-pixel.

    Parameters
    ----------
    log_light : ndarray of float32, shape (h, w)
        Light, log-compressed.
    weight : ndarray of float32, shape (h, w), or None
        0 where nothing counts.
    count : int
        At most so many, the strongest.
    scale_px : float
        Sigma of the inner Gaussian.

    Returns
    -------
    Towns
    """
    inner = cv2.GaussianBlur(log_light, (0, 0), scale_px)
    if weight is None:
        band = inner - cv2.GaussianBlur(log_light, (0, 0), scale_px * OUTER_RATIO)
    else:
        lit = cv2.GaussianBlur(log_light * weight, (0, 0), scale_px * OUTER_RATIO)
        counted = cv2.GaussianBlur(weight, (0, 0), scale_px * OUTER_RATIO)
        band = inner - lit / np.maximum(counted, 1e-3)
    side = 2 * int(np.ceil(1.5 * scale_px)) + 1
    peak = (band >= cv2.dilate(band, np.ones((side, side)))) & (band > LEAST_CONTRAST)
    if weight is not None:
        peak &= weight > 0.5
    border = 2
    peak[:border] = peak[-border:] = False
    peak[:, :border] = peak[:, -border:] = False
    i, j = np.nonzero(peak)
    order = np.argsort(-band[i, j], kind="stable")[:count]
    i, j = i[order], j[order]
    return Towns(
        x=j + _vertex(band[i, j - 1], band[i, j], band[i, j + 1]),
        y=i + _vertex(band[i - 1, j], band[i, j], band[i + 1, j]),
        contrast=band[i, j].astype(float),
    )


def _vertex(before: Image, here: Image, after: Image) -> FloatArray:
    """Where the parabola through three samples peaks, relative to the middle one."""
    curvature = np.minimum(after - 2.0 * here + before, -1e-9).astype(float)
    return np.clip(-0.5 * (after - before) / curvature, -1.0, 1.0)
