"""The diffuse part of an image: what is left when every light is taken away."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.mesh import (
    SAMPLES_ACROSS_BOX,
    FloatImage,
    Mesh,
    filled,
    lowest_mode,
    smoothed,
)

# One step of 8-bit sRGB in the dark, 1 / 255 / 12.92, over sqrt(12). Black that was clipped shows
# less noise than it has; less than this cannot be told from rounding.
ROUNDING_SIGMA = 1.0 / 255.0 / 12.92 / 12.0**0.5
RING = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]


@dataclass(frozen=True, kw_only=True)
class Background:
    """Diffuse light of an image and the noise about it.

    Attributes
    ----------
    level : ndarray of float32, shape (h, w)
        Diffuse light.
    noise : ndarray of float32, shape (h, w)
        One sigma of the pixels about the level where no light is; at least that of rounding.
    """

    level: FloatImage
    noise: FloatImage


def diffuse_background(
    light: NDArray[np.generic], *, scale_px: float, mask: NDArray[np.bool_] | None = None
) -> Background:
    """Large-scale background: moonlit cloud, airglow, aurora, haze, reflections.

    The image is cut into boxes; of each, the lowest mode of the pixels is taken, so that lights
    do not lift it (`detectors.mesh.lowest_mode`). The boxes pass a 3 x 3 median, boxes that are
    lights all over are replaced by their neighbours, and the rest is interpolated bicubically.

    Parameters
    ----------
    light : ndarray, shape (h, w)
        Linear light; integers count as fractions of their full scale.
    scale_px : float
        Size of a box; structure larger than about twice this counts as diffuse.
    mask : ndarray of bool, shape (h, w), optional
        True where pixels must be ignored.

    Returns
    -------
    Background
        Level and noise for every pixel, ignored ones too.

    Raises
    ------
    ValueError
        If the image is not two-dimensional or empty, the mask has another shape, or the scale is
        below 4 pixels.

    References
    ----------
    Bertin, E., Arnouts, S. (1996). SExtractor: software for source extraction. A&AS 117, 393-404.
    """
    mesh, level, noise = _boxes(light, scale_px, mask)
    full_noise = np.maximum(mesh.upsample(noise), noise.min())
    return Background(level=mesh.upsample(level), noise=full_noise)


def diffuse_level(
    light: NDArray[np.generic],
    *,
    scale_px: float,
    mask: NDArray[np.bool_] | None = None,
    samples_across: int = SAMPLES_ACROSS_BOX,
) -> FloatImage:
    """The level of `diffuse_background` alone, in two thirds of the time.

    With fewer samples across a box the level is found sooner, and less surely.
    """
    mesh, level, _ = _boxes(light, scale_px, mask, samples_across)
    return mesh.upsample(level)


def hot_pixels(
    light: NDArray[np.generic], *, threshold_sigma: float = 8.0, neighbour_fraction: float = 0.1
) -> NDArray[np.bool_]:
    """Single bright pixels without any light around them: defects of the sensor.

    A lamp blurred by no more than 0.4 px still puts a seventh of its peak into a neighbour.

    Parameters
    ----------
    light : ndarray, shape (h, w)
        Linear light; integers count as fractions of their full scale.
    threshold_sigma : float, optional
        How far a pixel must rise above its eight neighbours.
    neighbour_fraction : float, optional
        The brightest neighbour's rise must stay below this fraction of the pixel's own.

    Returns
    -------
    ndarray of bool, shape (h, w)
        True where a pixel is hot.
    """
    image = as_float_image(light)
    hot = np.zeros(image.shape, bool)
    if min(image.shape) < 3:
        return hot
    image = np.where(np.isfinite(image), image, np.float32(0.0))
    step = np.abs(image[:, 1:] - image[:, :-1])[::2, ::2]
    sigma = max(1.4826 * float(np.median(step)) / 2.0**0.5, ROUNDING_SIGMA)
    sharp = image - cv2.blur(image, (3, 3)) > 0.8 * threshold_sigma * sigma
    row, col = np.nonzero(sharp)
    padded = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    ring = np.stack([padded[row + 1 + i, col + 1 + j] for i, j in RING])
    # Of eight noisy pixels the darkest lies 1.4 sigma below their mean (normal order statistics)
    floor = ring.min(axis=0) + 1.4 * sigma
    rise, lifted = image[row, col] - floor, ring.max(axis=0) - floor
    found = (rise > threshold_sigma * sigma) & (lifted < neighbour_fraction * rise)
    hot[row[found], col[found]] = True
    return hot


def as_float_image(light: NDArray[np.generic]) -> FloatImage:
    """The image as contiguous float32; integers become fractions of their full scale.

    Raises
    ------
    ValueError
        Where it is no image.
    """
    image: FloatImage = np.ascontiguousarray(light, np.float32)
    if light.dtype.kind in "iu":
        full_scale = np.iinfo(light.dtype.name).max
        image = np.asarray(image / full_scale, np.float32)
    if image.ndim != 2 or image.size == 0:
        raise ValueError(f"light must be a two-dimensional image, not of shape {image.shape}")
    return image


def pixels_to_ignore(image: FloatImage, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Masked pixels and those that are not finite; ValueError where the mask does not fit."""
    bad = ~np.isfinite(image)
    if mask is None:
        return bad
    if mask.shape != image.shape:
        raise ValueError(f"mask has shape {mask.shape}, the image {image.shape}")
    return bad | np.asarray(mask, bool)


def _boxes(
    light: NDArray[np.generic],
    scale_px: float,
    mask: NDArray[np.bool_] | None,
    samples_across: int = SAMPLES_ACROSS_BOX,
) -> tuple[Mesh, FloatImage, FloatImage]:
    """Boxes over an image, their level and their noise."""
    image = as_float_image(light)
    if not scale_px >= 4.0:
        raise ValueError(f"scale_px must be at least 4 pixels, not {scale_px}")
    ignored = pixels_to_ignore(image, mask)
    mesh = Mesh.with_scale(image.shape, scale_px)
    samples = mesh.samples(np.where(ignored, np.float32(np.nan), image), samples_across)
    level = smoothed(lowest_mode(samples, ROUNDING_SIGMA)[0])
    # Once more about the interpolated level: a slope within a box is neither noise nor light.
    slope = mesh.samples_of(level, samples_across)
    correction, noise = lowest_mode(samples - slope, ROUNDING_SIGMA)
    level = smoothed(_without_lit_boxes(level + correction, noise))
    return mesh, level, np.maximum(smoothed(noise), np.float32(ROUNDING_SIGMA))


def _without_lit_boxes(level: FloatImage, noise: FloatImage) -> FloatImage:
    """Boxes far above and more uneven than those around are lights all over: made holes."""
    if min(level.shape) < 5:
        return level
    full, spread = filled(level), filled(noise)
    around, usual = cv2.medianBlur(full, 5), cv2.medianBlur(spread, 5)
    lit = (full > 2.0 * around + 3.0 * usual) & (spread > 3.0 * usual)
    return np.where(lit, np.float32(np.nan), level)
