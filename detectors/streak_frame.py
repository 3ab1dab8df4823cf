"""Input frames of streak detectors: background-subtracted light in units of the noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import (
    Mesh,
    as_float_image,
    estimate_lowest_mode,
    fill_holes,
    mask_ignored_pixels,
    read_clipped_map,
    remove_stripes,
    select_ranks,
    smooth_boxes,
    spread_about_zero,
)
from detectors.scale_space import blur_image, compute_blurred_noise
from detectors.types import BoolImage, FloatArray, FloatImage

NOISE_BOX_PX = 48.0
NOISE_SAMPLES = 20  # across a box
FLAT_SIGMA_PX = 10.0


@dataclass(frozen=True, kw_only=True)
class StreakFrame:
    """An image in units of its noise, with masks of ignored and clipped pixels."""

    residual: FloatImage  # (h, w): light above the background over `noise`; 0 where ignored
    noise: FloatImage  # (h, w): one sigma of a pixel, in units of the image
    ignored: BoolImage  # (h, w): masked pixels and pixels that are not finite
    clipped: BoolImage  # (h, w): clipped pixels

    @classmethod
    def of(
        cls,
        light: NDArray[np.generic],
        mask: BoolImage | None,
        saturated: NDArray[np.generic] | None,
    ) -> StreakFrame | None:
        """Prepare an image; arguments as for `detectors.types.Detector.detect`.

        None if detection is impossible: too small, all ignored, or all pixels equal.

        Raises ValueError if the image is not two-dimensional, or if the shape of mask or saturation
        differs from it.
        """
        image = as_float_image(light)
        ignored = mask_ignored_pixels(image, mask)
        told = read_clipped_map(saturated, image)
        if min(image.shape) < 16 or ignored.all():
            return None
        known = image[~ignored] if ignored.any() else image.ravel()
        sample = known[:: max(1, known.size // 50_000)]
        low, high = float(known.min()), float(known.max())
        if not high > low:
            return None
        # Pixels at the maximum value if there are several; one may be an unclipped star
        clipped = (image >= high - 1e-6 * abs(high)) & ~ignored
        if np.count_nonzero(clipped) < 6 or np.mean(clipped) > 0.5:
            clipped = np.zeros(image.shape, bool)
        clipped |= told & ~ignored
        # Scale to the frame's own range, so that float32 is precise enough for any offset
        darker, lighter = np.quantile(sample, (0.16, 0.84))
        scale = max(float(lighter - darker) / 2.0, 1e-6 * (high - low))
        shifted = np.where(ignored, np.float32(0.0), (image - np.median(sample)) / scale)
        # Without the large-scale background, in units of the noise
        image = np.asarray(shifted, np.float32)
        hidden = ignored | clipped
        mesh = Mesh.with_scale(image.shape, 32.0)
        samples = mesh.samples(np.where(hidden, np.float32(np.nan), image), 16)
        level = mesh.upsample(smooth_boxes(estimate_lowest_mode(samples, 1e-6)[0]))
        above = image - level
        noise = estimate_pixel_noise(above, hidden)
        residual = np.asarray(above / noise, np.float32)
        residual[ignored] = 0.0
        residual, defects = remove_stripes(residual)
        ignored |= defects
        residual[ignored] = 0.0
        return cls(
            residual=residual,
            noise=np.asarray(noise * np.float32(scale)),
            ignored=ignored,
            clipped=clipped,
        )


def estimate_pixel_noise(above: FloatImage, hidden: BoolImage) -> FloatImage:
    """Estimate the noise of pixels from second differences, which suppress cloud texture.

    The second difference (1, -2, 1) x (1, -2, 1) divided by 4 has 1.5 times the sigma of a pixel.
    It is insensitive to slopes and curvature of the light.
    """
    kernel = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]).astype(np.float32) / 6.0
    rough = cv2.filter2D(above, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101)
    rough = np.where(hidden, np.float32(np.nan), np.abs(rough)).astype(np.float32)
    mesh = Mesh.with_scale(above.shape, NOISE_BOX_PX)
    samples = mesh.samples(np.asarray(rough, np.float32), NOISE_SAMPLES)
    with np.errstate(all="ignore"):
        ordered = np.sort(samples, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)
    # The 45th percentile of |x| for a normal x is 0.598 sigma. It is slightly below the median,
    # since stars and streaks only increase |x|
    boxes = select_ranks(ordered, 0.45 * count) / 0.598
    boxes[count < 20] = np.nan
    boxes = smooth_boxes(fill_holes(np.asarray(boxes, np.float32)))
    least = max(0.2 * float(np.median(boxes)), 1e-3)
    return np.maximum(mesh.upsample(boxes), np.float32(least))


def flatten_residual(
    residual: FloatImage, hidden: BoolImage, *, roughly: bool = False
) -> tuple[FloatImage, FloatImage]:
    """Remove residual background at scales much larger than the width of a streak.

    A Gaussian blur is subtracted, and the result is divided by its texture. A streak as faint as
    the noise loses about a tenth, the ratio of its width to that of the Gaussian. Bright pixels are
    excluded from a second blur. If clouds have texture, a finer blur is subtracted where that
    reduces the texture. Hidden pixels are ignored. `roughly`: omit the second and the finer blur.

    Returns `flat` and `texture`, the ratio of blurred noise to white noise, at least 1.
    """
    known = ~hidden
    flat, texture = _even_texture(subtract_level(residual, known, FLAT_SIGMA_PX), hidden)
    if roughly:
        return flat, texture
    flat[hidden] = 0.0
    bright = blur_image(flat, 1.2) > 4.0 * compute_blurred_noise(1.2)
    dark = known & (cv2.dilate(bright.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0)
    flat, texture = _even_texture(subtract_level(residual, dark, FLAT_SIGMA_PX), hidden)
    if float(texture.max()) < 1.2:
        return flat, texture
    fine, fine_texture = _even_texture(subtract_level(residual, dark, 4.5), hidden)
    # Subtracting a finer blur removes a quarter of a streak's light, so it must reduce the cloud
    # texture by a fifth
    return np.where(fine_texture < 0.8 * texture, fine, flat), texture


def subtract_level(residual: FloatImage, known: BoolImage, sigma_px: float) -> FloatImage:
    """Subtract the Gaussian blur of the residual, computed from known pixels only."""
    h, w = residual.shape
    weight = known.astype(np.float32)
    cut = np.clip(residual, -3.0, 3.0) * weight
    size = (-(-w // 2), -(-h // 2))
    light = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    light = cv2.GaussianBlur(light, (0, 0), 0.5 * sigma_px)
    share = cv2.GaussianBlur(share, (0, 0), 0.5 * sigma_px)
    level = cv2.resize(light / np.maximum(share, 0.05), (w, h), interpolation=cv2.INTER_LINEAR)
    return np.asarray(residual - level, np.float32)


def _even_texture(flat: FloatImage, hidden: BoolImage) -> tuple[FloatImage, FloatImage]:
    """Divide the frame by its cloud texture: the ratio of blurred noise to white noise.

    The texture is measured in boxes on the negative values of the blurred frame. It is at least 1,
    so smooth parts are unchanged. Also returns the texture.
    """
    h, w = flat.shape
    size = (-(-w // 2), -(-h // 2))
    seen = np.where(hidden, np.float32(0.0), flat)
    half = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.float32)
    blurred = blur_image(half, 0.75)
    lost = cv2.resize(hidden.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.25
    coarse = Mesh.with_scale(half.shape, 0.5 * NOISE_BOX_PX)
    dark = np.where(lost | (blurred >= 0.0), np.float32(np.nan), blurred)
    # Averaging 2 x 2 pixels adds 1/4 px^2 to the variance of the blur
    unit = np.float32(compute_blurred_noise(float(np.hypot(1.5, 0.5))))
    boxes = smooth_boxes(spread_about_zero(coarse.samples(dark, NOISE_SAMPLES))) / unit
    mesh = Mesh.with_boxes(flat.shape, coarse.rows, coarse.cols)
    texture = np.maximum(mesh.upsample(np.maximum(boxes, np.float32(1.0))), np.float32(1.0))
    return np.asarray(flat / texture, np.float32), np.asarray(texture)


def find_clipped_streaks(clipped: BoolImage) -> BoolImage:
    """Find clipped areas that are long, thin and oblique: neither stars nor charge bleeding.

    `clipped` (h, w).
    """
    if not clipped.any():
        return np.zeros(clipped.shape, bool)
    labels, _, _, _, long, short, angle = _label_areas(clipped)
    # Charge bleeds along columns or rows
    askew = np.minimum(np.abs(np.sin(angle)), np.abs(np.cos(angle))) > np.sin(np.radians(1.5))
    streak = (long > 15.0) & (long > 6.0 * short) & askew
    streak[0] = False
    return np.asarray(streak[labels])


def find_saturated_stars(clipped: BoolImage) -> FloatArray:
    """Find round clipped areas: centre and radius in pixels, shape (N, 3): x, y, radius.

    `clipped` (h, w).
    """
    _, size, x, y, long, short, _ = _label_areas(clipped)
    radius = np.sqrt(size / np.pi)
    # The least radius and the largest axis ratio of a star with diffraction spikes
    star = (radius >= 1.5) & (long <= 2.0 * short)
    star[0] = False
    return np.column_stack([x, y, radius])[star]


def _label_areas(lit: BoolImage) -> tuple[NDArray[Any], ...]:
    """Label connected areas and measure them by their moments; label 0 is the background.

    Returns labels, and for each area the number of pixels, centre x and y, long and short side of
    the equivalent rectangle, and angle.
    """
    count, labels = cv2.connectedComponents(lit.astype(np.uint8))
    rows, cols = np.nonzero(lit)
    label = labels[rows, cols]
    size = np.bincount(label, minlength=count)

    def mean(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(label, values, count) / np.maximum(size, 1), float)

    x, y = cols.astype(float), rows.astype(float)
    mx, my = mean(x), mean(y)
    x, y = x - mx[label], y - my[label]
    xx, yy, xy = mean(x * x), mean(y * y), mean(x * y)
    middle, apart = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    long = np.sqrt(12.0 * (middle + apart) + 1.0)
    short = np.sqrt(12.0 * np.maximum(middle - apart, 0.0) + 1.0)
    return np.asarray(labels), size, mx, my, long, short, 0.5 * np.arctan2(2.0 * xy, xx - yy)
