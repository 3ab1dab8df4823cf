"""Where stars may be: peaks of the frame filtered by what a star looks like."""

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

# The light around a star is taken from a Gaussian this many times as wide: costs 3 % of the
# signal-to-noise ratio and follows airglow, haze and the Milky Way
AROUND_SIGMAS = 4.0
# Pixels that rise so many sigma above the light around count as so bright there: stars dig no rings
BRIGHT_SIGMA = 4.0
NORMAL_QUARTILE = 0.6745
NOISE_BOX_PX = 64.0
CLUTTER_BOX_PX = 32.0
TOE_LIGHT = np.float32(0.0031308)  # IEC 61966-2-1
SAMPLES_ACROSS = 16  # 256 samples a box: sigma is good to 8 %, the median of nine boxes to 4 %
CLUTTER_WEIGHT = 0.8  # as of lights: texture all around counts as noise
# Noise that was clipped at black or processed has longer tails than its dark side tells
TAIL_QUANTILES, TAIL_WEIGHT = (0.9, 0.95, 0.98), 0.85
MAX_TAIL = 2.0  # times the dark side: what is brighter are stars, as in the Milky Way
TRAILS_A_BOX = 4.0
LEFT_OVER = 0.3  # of a star that was taken away


def stabilise_noise(light: FloatImage) -> FloatImage:
    """Light on a scale on which its noise hardly depends on it: a root with a linear toe.

    Photons' noise grows with the root of the light, and cameras store about the root of it, so
    that noise which is even there is skewed in light. sRGB is linear below 0.0031, and so is this.
    """
    root = np.maximum(light, np.float32(0.0))
    root += TOE_LIGHT
    return np.sqrt(root, out=root)


def compute_light_slope(stable: FloatArray) -> FloatArray:
    """Light per unit of `stabilise_noise` light.

    Nothing is darker than no light: a level that was carried on over masked ground may be, and
    noise of no height would make one pixel outweigh all others.
    """
    return 2.0 * np.maximum(stable, float(TOE_LIGHT) ** 0.5)


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """A frame under the matched filter, and its noise."""

    response: FloatImage  # (h, w): the filter's answer, in units of the image
    mesh: Mesh  # boxes over the frame
    boxes: FloatImage  # (rows, cols): its sigma between the stars, by box
    gain: float  # sigma of the answer to white noise of one per pixel

    def noise_at(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Sigma of the answer at pixels."""
        return self.mesh.at(self.boxes, row, col)

    def pixel_noise(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """White noise of a pixel that would make the noise of the answer there."""
        return self.noise_at(row, col) / self.gain

    def above(self, snr: float) -> tuple[IndexArray, IndexArray, FloatArray]:
        """Rows, columns and signal-to-noise ratio of the pixels that exceed one."""
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
    """Filter a frame by a star's profile less the light around, and measure the noise left.

    `image` (h, w): stabilised light (`stabilise_noise`), large-scale background removed; `ignored`
    (h, w): pixels that tell nothing of the noise; `least_noise`: no sigma of a pixel below this is
    believed; `black_clipped`: the dark side of the noise is not to be believed: many pixels are
    black.
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
    """Rows and columns of the peaks that rise far enough above the noise, the strongest first.

    `allowed` (h, w): where a peak may be; `before` (h, w): the answer before stars were taken away:
    what they may leave counts as noise. Gives `row`, `col` (N,).
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
    """As `detectors.scale_space.find_local_maxima`; soon where few pixels are above the
    threshold.
    """
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
    """Rows and columns of pixels above a threshold."""
    row, col = np.divmod(np.flatnonzero(image > np.float32(threshold)), image.shape[1])
    return row, col


def filter_answer(image: FloatImage, psf: PointSpread) -> tuple[FloatImage, float]:
    """The filter's answer, and the sigma that white noise of one has in it."""
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
    return np.asarray(matched - _estimate_light_around(image, around)), gain


def _estimate_light_around(image: FloatImage, sigma: float) -> FloatImage:
    """A Gaussian blur without the bright stars, at half the pixels: it shows nothing finer."""
    h, w = image.shape
    size = (-(-w // 2), -(-h // 2))
    half: FloatImage = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    blurred = blur_image(half, 0.5 * sigma)
    usual = float(np.median(np.abs((half - blurred)[::4, ::4]))) / NORMAL_QUARTILE
    if usual > 0.0:
        faint = np.minimum(half, blurred + np.float32(BRIGHT_SIGMA * usual))
        blurred = blur_image(faint, 0.5 * sigma)
    return np.asarray(cv2.resize(blurred, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
