"""Star candidates: peaks of the matched-filtered frame, and its noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detectors.background import (
    RING,
    Mesh,
    estimate_lowest_mode,
    estimate_upper_spread,
    fill_holes,
    smooth_boxes,
)
from detectors.psf import PointSpread
from detectors.scale_space import blur_image, find_local_maxima, make_gaussian_kernel
from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray

# Width of the Gaussian that estimates the local background, relative to the star. This value loses
# 3 % of the signal-to-noise ratio and follows airglow, haze and the Milky Way
AROUND_SIGMAS = 4.0
# Pixels are clipped at this many sigma above the local background, to avoid dark rings around stars
BRIGHT_SIGMA = 4.0
NORMAL_QUARTILE = 0.6745
NOISE_BOX_PX = 64.0
CLUTTER_BOX_PX = 32.0
TOE_LIGHT = np.float32(0.0031308)  # IEC 61966-2-1
SAMPLES_ACROSS = 16  # 256 per box: sigma is accurate to 8 %, the median of nine boxes to 4 %
CLUTTER_WEIGHT = 0.8  # weight of surrounding texture as noise, as for lights
# Noise that is clipped at black, or processed, has a longer upper tail than its dark side implies
TAIL_QUANTILES, TAIL_WEIGHT = (0.9, 0.95, 0.98), 0.85
MAX_TAIL = 2.0  # times the dark side; larger tails are due to stars, as in the Milky Way
TRAILS_A_BOX = 4.0
LEFT_OVER = 0.3  # assumed residual after subtraction, as a fraction of the star


def stabilise_noise(light: FloatImage) -> FloatImage:
    """Apply a variance-stabilising transform: the square root of light plus a small offset.

    Shot noise is proportional to the square root of the light. Cameras also store roughly the
    square root, so noise that is symmetric there is skewed in linear light. The offset is 0.0031,
    below which sRGB is linear.
    """
    root = np.maximum(light, np.float32(0.0))
    root += TOE_LIGHT
    return np.sqrt(root, out=root)


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """A matched-filtered frame and its noise."""

    response: FloatImage  # (h, w): filter response, in units of the image
    mesh: Mesh  # boxes over the frame
    boxes: FloatImage  # (rows, cols): sigma of the response between stars, by box
    gain: float  # sigma of the response to unit white noise per pixel

    def noise_at(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Interpolate the sigma of the response at pixels."""
        return self.mesh.at(self.boxes, row, col)

    def above(self, snr: float) -> tuple[IndexArray, IndexArray, FloatArray]:
        """Find rows, columns and signal-to-noise ratio of the pixels above a given ratio."""
        row, col = _find_above(self.response, snr * float(self.boxes.min()))
        ratio = self.response[row, col] / self.noise_at(row, col)
        keep = ratio > snr
        return row[keep], col[keep], ratio[keep]


def filter_frame(
    image: FloatImage,
    psf: PointSpread,
    ignored: BoolImage,
    *,
    least_noise: float,
    black_clipped: bool = False,
) -> Filtered:
    """Filter a frame with the PSF minus a local background, and measure the noise of the response.

    `image` (h, w): stabilised light (`stabilise_noise`), background subtracted. `ignored` (h, w):
    pixels excluded from the noise estimate. `least_noise`: lower bound of the sigma of a pixel.
    `black_clipped`: many pixels are black, so the dark side of the noise is unreliable.
    """
    response, gain = filter_answer(image, psf)
    known = np.where(ignored, np.float32(np.nan), response) if ignored.any() else response
    length = psf.trail_length_px
    mesh = Mesh.with_scale(image.shape, NOISE_BOX_PX + TRAILS_A_BOX * length)
    samples = mesh.samples(known, SAMPLES_ACROSS)
    spread = smooth_boxes(estimate_lowest_mode(samples, least_noise * gain)[1])
    tail = smooth_boxes(estimate_upper_spread(samples, TAIL_QUANTILES))
    fine = Mesh.with_scale(image.shape, CLUTTER_BOX_PX + TRAILS_A_BOX * length)
    clutter = fill_holes(estimate_upper_spread(fine.samples(known, SAMPLES_ACROSS)))
    long_tailed = np.float32(TAIL_WEIGHT) * tail
    if not black_clipped:
        long_tailed = np.minimum(long_tailed, np.float32(MAX_TAIL) * spread)
    coarse = np.maximum(spread, long_tailed)
    boxes = cv2.resize(coarse, (fine.cols, fine.rows), interpolation=cv2.INTER_LINEAR)
    boxes = np.maximum(boxes, np.float32(CLUTTER_WEIGHT) * clutter)
    boxes = np.maximum(boxes, np.float32(least_noise * gain))
    return Filtered(response=response, mesh=fine, boxes=boxes, gain=gain)


def find_peaks(
    seen: Filtered,
    min_snr: float,
    allowed: BoolImage,
    before: FloatImage | None = None,
) -> tuple[IndexArray, IndexArray]:
    """Find peaks above a minimum signal-to-noise ratio, highest ratio first.

    `allowed` (h, w): mask of permitted positions. `before` (h, w): response before stars were
    subtracted, from which residuals of these stars are estimated and added to the noise. Returns
    `row`, `col` (N,).
    """
    row, col = _find_maxima(seen.response, min_snr * float(seen.boxes.min()))
    keep = allowed[row, col]
    row, col = row[keep], col[keep]
    noise = seen.noise_at(row, col)
    if before is not None:
        taken = before[row, col] - seen.response[row, col]
        noise = np.hypot(noise, LEFT_OVER * taken)
    snr = seen.response[row, col] / noise
    order = np.argsort(-snr, kind="stable")
    order = order[snr[order] > min_snr]
    return row[order], col[order]


def _find_maxima(response: FloatImage, threshold: float) -> tuple[IndexArray, IndexArray]:
    """Find maxima as `detectors.scale_space.find_local_maxima`, faster if few exceed the limit."""
    row, col = _find_above(response, threshold)
    if 8 * row.size > response.size:
        return find_local_maxima(response, threshold)
    h, w = response.shape
    inside = (row > 0) & (row < h - 1) & (col > 0) & (col < w - 1)
    row, col = row[inside], col[inside]
    for i, j in RING:
        keep = response[row, col] >= response[row + i, col + j]
        row, col = row[keep], col[keep]
    return row, col


def _find_above(image: FloatImage, threshold: float) -> tuple[IndexArray, IndexArray]:
    """Find rows and columns of pixels above a threshold."""
    row, col = np.divmod(np.flatnonzero(image > np.float32(threshold)), image.shape[1])
    return row, col


def filter_answer(image: FloatImage, psf: PointSpread) -> tuple[FloatImage, float]:
    """Compute the filter response, and its sigma for unit white noise."""
    if psf.trail_length_px == 0.0:
        matched = blur_image(image, psf.sigma_px)
        kernel = make_gaussian_kernel(psf.sigma_px)
    else:
        drawn = psf.kernel()
        kernel = drawn / drawn.sum()
        matched = np.asarray(
            cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        )
    around = AROUND_SIGMAS * float(np.hypot(psf.sigma_px, psf.trail_length_px / 12.0**0.5))
    wide = make_gaussian_kernel(around)
    inner = (wide.shape[0] - kernel.shape[0]) // 2
    difference = -wide
    difference[inner : inner + kernel.shape[0], inner : inner + kernel.shape[1]] += kernel
    gain = float(np.sqrt(np.square(difference).sum()))
    # The local background by a Gaussian blur, clipping bright stars, at half size
    h, w = image.shape
    size = (-(-w // 2), -(-h // 2))
    half: FloatImage = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    blurred = blur_image(half, 0.5 * around)
    usual = float(np.median(np.abs((half - blurred)[::4, ::4]))) / NORMAL_QUARTILE
    if usual > 0.0:
        faint = np.minimum(half, blurred + np.float32(BRIGHT_SIGMA * usual))
        blurred = blur_image(faint, 0.5 * around)
    level = np.asarray(cv2.resize(blurred, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(matched - level), gain
