"""A frame as streak detectors take it: light above a smooth background, in units of its noise."""

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

SHORTEST_SIDE_PX = 16
LEVEL_BOX_PX, NOISE_BOX_PX = 32.0, 48.0
LEVEL_SAMPLES, NOISE_SAMPLES = 16, 20  # across a box
# Pixels of a plateau at the very top count as clipped where no map of saturation is given
MIN_ON_PLATEAU = 6
SAMPLES = 50_000
FLAT_SIGMA_PX, MAX_LIGHT = 10.0, 3.0
# A finer blur takes a quarter from a streak: it must leave so much less of the clouds
FINE_SIGMA_PX, FINE_GAIN, MIN_TEXTURE = 4.5, 0.8, 1.2
BRIGHT_BLUR_PX, BRIGHT_SIGMA = 1.2, 4.0
TEXTURE_SIGMA_PX = 1.5

LONGEST_SHARE, MIN_LENGTH_PX = 6.0, 15.0
# Of the clipped area of a star that is bright enough for spikes: its radius, long over short side
MIN_STAR_RADIUS_PX, LONGEST_STAR = 1.5, 2.0
ALONG_AXIS = np.sin(np.radians(1.5))  # charge bleeds along columns or rows


@dataclass(frozen=True, kw_only=True)
class StreakFrame:
    """An image in units of its noise, and which of its pixels tell something."""

    residual: FloatImage  # (h, w): light above the background over `noise`; 0 where ignored
    noise: FloatImage  # (h, w): one sigma of a pixel, in units of the image
    ignored: BoolImage  # (h, w): masked pixels and those that are no numbers
    clipped: BoolImage  # (h, w): as bright as can be

    @classmethod
    def of(
        cls,
        light: NDArray[np.generic],
        mask: BoolImage | None,
        saturated: NDArray[np.generic] | None,
    ) -> StreakFrame | None:
        """Look at an image; arguments as of `detectors.types.Detector.detect`.

        None where nothing can be found: too small, all ignored, or all equal.

        Raises ValueError if the image is not two-dimensional or mask or saturation do not fit.
        """
        image = as_float_image(light)
        ignored = mask_ignored_pixels(image, mask)
        told = read_clipped_map(saturated, image)
        if min(image.shape) < SHORTEST_SIDE_PX or ignored.all():
            return None
        known = image[~ignored] if ignored.any() else image.ravel()
        sample = known[:: max(1, known.size // SAMPLES)]
        low, high = float(known.min()), float(known.max())
        if not high > low:
            return None
        clipped = _find_plateau(image, ignored, high)
        clipped |= told & ~ignored
        # Units of the frame's own range: float32 carries it whatever the offset
        darker, lighter = np.quantile(sample, (0.16, 0.84))
        scale = max(float(lighter - darker) / 2.0, 1e-6 * (high - low))
        shifted = np.where(ignored, np.float32(0.0), (image - np.median(sample)) / scale)
        residual, noise = _whiten_noise(np.asarray(shifted, np.float32), ignored | clipped)
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


def _find_plateau(image: FloatImage, ignored: BoolImage, high: float) -> BoolImage:
    """Pixels at the top value, if several are; a brightest star has one such pixel."""
    top = (image >= high - 1e-6 * abs(high)) & ~ignored
    if np.count_nonzero(top) < MIN_ON_PLATEAU or np.mean(top) > 0.5:
        return np.zeros(image.shape, bool)
    return np.asarray(top)


def _whiten_noise(image: FloatImage, hidden: BoolImage) -> tuple[FloatImage, FloatImage]:
    """Light above the large-scale background over the pixels' noise; and that noise."""
    known = np.where(hidden, np.float32(np.nan), image)
    mesh = Mesh.with_scale(image.shape, LEVEL_BOX_PX)
    level = mesh.upsample(
        smooth_boxes(estimate_lowest_mode(mesh.samples(known, LEVEL_SAMPLES), 1e-6)[0])
    )
    above = image - level
    noise = estimate_pixel_noise(above, hidden)
    return np.asarray(above / noise, np.float32), noise


def estimate_pixel_noise(above: FloatImage, hidden: BoolImage) -> FloatImage:
    """Sigma of the pixels from differences of neighbours: texture of clouds hardly counts.

    The quarter of the second difference (1, -2, 1) x (1, -2, 1), which has the sigma of a pixel
    times 1.5, knows nothing of slopes and bends.
    """
    kernel = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]).astype(np.float32) / 6.0
    rough = cv2.filter2D(above, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT_101)
    rough = np.where(hidden, np.float32(np.nan), np.abs(rough)).astype(np.float32)
    mesh = Mesh.with_scale(above.shape, NOISE_BOX_PX)
    samples = mesh.samples(np.asarray(rough, np.float32), NOISE_SAMPLES)
    with np.errstate(all="ignore"):
        ordered = np.sort(samples, axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)
    # The 45th percentile of |x| of a normal x is 0.598 sigma: a little below the median, as
    # stars and streaks only add
    boxes = select_ranks(ordered, 0.45 * count) / 0.598
    boxes[count < 20] = np.nan
    boxes = smooth_boxes(fill_holes(np.asarray(boxes, np.float32)))
    least = max(0.2 * float(np.median(boxes)), 1e-3)
    return np.maximum(mesh.upsample(boxes), np.float32(least))


def flatten_residual(
    residual: FloatImage, hidden: BoolImage, *, roughly: bool = False
) -> tuple[FloatImage, FloatImage]:
    """The residual without what is left of the background at scales far above a streak's width.

    A Gaussian blur is taken away, and the rest evened out. A streak as faint as the
    noise loses about its width over that of the Gaussian, a tenth; what stands out is left out of
    a second blur. Where clouds have
    texture, a finer blur is taken away if that leaves less of it. Hidden pixels have no say.
    Roughly is without the second blur and the finer one.

    Gives `flat` and `texture`: by how much the blurred noise exceeded white noise, at least 1.
    """
    known = ~hidden
    flat, texture = _even_texture(subtract_level(residual, known, FLAT_SIGMA_PX), hidden)
    if roughly:
        return flat, texture
    flat[hidden] = 0.0
    bright = blur_image(flat, BRIGHT_BLUR_PX) > BRIGHT_SIGMA * compute_blurred_noise(BRIGHT_BLUR_PX)
    dark = known & (cv2.dilate(bright.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0)
    flat, texture = _even_texture(subtract_level(residual, dark, FLAT_SIGMA_PX), hidden)
    if float(texture.max()) < MIN_TEXTURE:
        return flat, texture
    fine, fine_texture = _even_texture(subtract_level(residual, dark, FINE_SIGMA_PX), hidden)
    return np.where(fine_texture < FINE_GAIN * texture, fine, flat), texture


def subtract_level(residual: FloatImage, known: BoolImage, sigma_px: float) -> FloatImage:
    """The residual less its Gaussian blur; only known pixels tell of that."""
    h, w = residual.shape
    weight = known.astype(np.float32)
    cut = np.clip(residual, -MAX_LIGHT, MAX_LIGHT) * weight
    size = (-(-w // 2), -(-h // 2))
    light = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    light = cv2.GaussianBlur(light, (0, 0), 0.5 * sigma_px)
    share = cv2.GaussianBlur(share, (0, 0), 0.5 * sigma_px)
    level = cv2.resize(light / np.maximum(share, 0.05), (w, h), interpolation=cv2.INTER_LINEAR)
    return np.asarray(residual - level, np.float32)


def _even_texture(flat: FloatImage, hidden: BoolImage) -> tuple[FloatImage, FloatImage]:
    """The frame over what its blurred noise has more than white noise, and that: clouds' texture.

    In boxes, by the dark side of the blurred frame; calm parts stay as they are.
    """
    h, w = flat.shape
    size = (-(-w // 2), -(-h // 2))
    seen = np.where(hidden, np.float32(0.0), flat)
    half = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.float32)
    blurred = blur_image(half, 0.5 * TEXTURE_SIGMA_PX)
    lost = cv2.resize(hidden.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.25
    coarse = Mesh.with_scale(half.shape, 0.5 * NOISE_BOX_PX)
    dark = np.where(lost | (blurred >= 0.0), np.float32(np.nan), blurred)
    # Squares of two pixels blur by 1/4 px^2 more
    unit = np.float32(compute_blurred_noise(float(np.hypot(TEXTURE_SIGMA_PX, 0.5))))
    boxes = smooth_boxes(spread_about_zero(coarse.samples(dark, NOISE_SAMPLES))) / unit
    mesh = Mesh.with_boxes(flat.shape, coarse.rows, coarse.cols)
    texture = np.maximum(mesh.upsample(np.maximum(boxes, np.float32(1.0))), np.float32(1.0))
    return np.asarray(flat / texture, np.float32), np.asarray(texture)


def find_clipped_streaks(clipped: BoolImage) -> BoolImage:
    """Clipped areas that are long, thin and lie askew: no stars, and nothing that bled.

    `clipped` (h, w).
    """
    if not clipped.any():
        return np.zeros(clipped.shape, bool)
    labels, _, _, _, long, short, angle = _label_areas(clipped)
    askew = np.minimum(np.abs(np.sin(angle)), np.abs(np.cos(angle))) > ALONG_AXIS
    streak = (long > MIN_LENGTH_PX) & (long > LONGEST_SHARE * short) & askew
    streak[0] = False
    return np.asarray(streak[labels])


def find_saturated_stars(clipped: BoolImage) -> FloatArray:
    """Middle and radius in pixels of the round clipped areas, shape (N, 3): x, y, radius.

    `clipped` (h, w).
    """
    _, size, x, y, long, short, _ = _label_areas(clipped)
    radius = np.sqrt(size / np.pi)
    star = (radius >= MIN_STAR_RADIUS_PX) & (long <= LONGEST_STAR * short)
    star[0] = False
    return np.column_stack([x, y, radius])[star]


def _label_areas(lit: BoolImage) -> tuple[NDArray[Any], ...]:
    """Each pixel's number of connected area; of the areas, the first what lies in none, by their
    moments: pixels, middle x and y, long and short side as of a rectangle, angle.
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
