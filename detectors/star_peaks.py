"""Where stars may be: peaks of the frame filtered by what a star looks like."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.mesh import (
    FloatArray,
    FloatImage,
    IndexArray,
    Mesh,
    filled,
    lowest_mode,
    smoothed,
    upper_spread,
)
from detectors.point_spread import PointSpread
from detectors.scale_space import gaussian_blur, gaussian_kernel, local_maxima

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
MOST_TAIL = 2.0  # times the dark side: what is brighter are stars, as in the Milky Way
MOST_TAIL_OF_TRAILS = 1.1  # trails fill many pixels
TRAILS_A_BOX = 4.0


def stabilised(light: FloatImage) -> FloatImage:
    """Light on a scale on which its noise hardly depends on it: a root with a linear toe.

    Photons' noise grows with the root of the light, and cameras store about the root of it, so
    that noise which is even there is skewed in light. sRGB is linear below 0.0031, and so is this.
    """
    return np.asarray(cv2.sqrt(np.maximum(light, np.float32(0.0)) + TOE_LIGHT))


def slope_of_light(stable: FloatArray) -> FloatArray:
    """Light per unit of `stabilised` light."""
    return 2.0 * stable


@dataclass(frozen=True, kw_only=True)
class Filtered:
    """A frame under the matched filter, and its noise.

    Attributes
    ----------
    response : ndarray of float32, shape (h, w)
        The filter's answer, in units of the image.
    noise : ndarray of float32, shape (h, w)
        Its sigma between the stars.
    gain : float
        Sigma of the answer to white noise of one per pixel.
    """

    response: FloatImage
    noise: FloatImage
    gain: float

    def snr(self) -> FloatImage:
        """Signal-to-noise ratio of a star at each pixel."""
        return np.asarray(self.response / self.noise)

    def pixel_noise(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """White noise of a pixel that would make the noise of the answer there."""
        return self.noise[row, col].astype(float) / self.gain


def filtered(
    image: FloatImage,
    psf: PointSpread,
    ignored: NDArray[np.bool_],
    *,
    least_noise: float,
    black_clipped: bool = False,
) -> Filtered:
    """Filter a frame by a star's profile less the light around, and measure the noise left.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Stabilised light (`stabilised`), large-scale background removed.
    psf : PointSpread
        What a star looks like.
    ignored : ndarray of bool, shape (h, w)
        Pixels that tell nothing of the noise.
    least_noise : float
        No sigma of a pixel below this is believed.
    black_clipped : bool, optional
        The dark side of the noise is not to be believed: many pixels are black.

    Returns
    -------
    Filtered
    """
    response, gain = filter_answer(image, psf)
    known = np.where(ignored, np.float32(np.nan), response) if ignored.any() else response
    length = psf.trail_length_px
    mesh = Mesh.with_scale(image.shape, NOISE_BOX_PX + TRAILS_A_BOX * length)
    samples = mesh.samples(known, SAMPLES_ACROSS)
    spread = smoothed(lowest_mode(samples, least_noise * gain)[1])
    tail = smoothed(upper_spread(samples, TAIL_QUANTILES))
    fine = Mesh.with_scale(image.shape, CLUTTER_BOX_PX)
    clutter = filled(upper_spread(fine.samples(known, SAMPLES_ACROSS)))
    long_tailed = np.float32(TAIL_WEIGHT) * tail
    if not black_clipped:
        long_tailed = np.minimum(long_tailed, np.float32(MOST_TAIL) * spread)
    coarse = np.maximum(spread, long_tailed)
    boxes = cv2.resize(coarse, (fine.cols, fine.rows), interpolation=cv2.INTER_LINEAR)
    boxes = np.maximum(boxes, np.float32(CLUTTER_WEIGHT) * clutter)
    noise = np.maximum(fine.upsample(boxes), boxes.min())  # cubics fall short beside edges
    return Filtered(
        response=response,
        noise=np.maximum(noise, np.float32(least_noise * gain)),
        gain=gain,
    )


def peaks(
    seen: Filtered, min_snr: float, allowed: NDArray[np.bool_]
) -> tuple[IndexArray, IndexArray]:
    """Rows and columns of the peaks that rise far enough above the noise, the strongest first."""
    snr = seen.snr()
    row, col = local_maxima(snr, min_snr)
    keep = allowed[row, col]
    row, col = row[keep], col[keep]
    order = np.argsort(-snr[row, col], kind="stable")
    return row[order], col[order]


def filter_answer(image: FloatImage, psf: PointSpread) -> tuple[FloatImage, float]:
    """The filter's answer, and the sigma that white noise of one has in it."""
    if psf.trail_length_px == 0.0:
        matched = gaussian_blur(image, psf.sigma_px)
        kernel = gaussian_kernel(psf.sigma_px)
    else:
        drawn = psf.kernel()
        kernel = drawn / drawn.sum()
        matched = np.asarray(
            cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
        )
    around = AROUND_SIGMAS * float(np.hypot(psf.sigma_px, psf.trail_length_px / 12.0**0.5))
    wide = gaussian_kernel(around)
    inner = (wide.shape[0] - kernel.shape[0]) // 2
    difference = -wide
    difference[inner : inner + kernel.shape[0], inner : inner + kernel.shape[1]] += kernel
    gain = float(np.sqrt(np.square(difference).sum()))
    return np.asarray(matched - _light_around(image, around)), gain


def _light_around(image: FloatImage, sigma: float) -> FloatImage:
    """A Gaussian blur without the bright stars, at half the pixels: it shows nothing finer."""
    h, w = image.shape
    size = (-(-w // 2), -(-h // 2))
    half: FloatImage = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    blurred = gaussian_blur(half, 0.5 * sigma)
    usual = float(np.median(np.abs((half - blurred)[::4, ::4]))) / NORMAL_QUARTILE
    if usual > 0.0:
        faint = np.minimum(half, blurred + np.float32(BRIGHT_SIGMA * usual))
        blurred = gaussian_blur(faint, 0.5 * sigma)
    return np.asarray(cv2.resize(blurred, (w, h), interpolation=cv2.INTER_LINEAR), np.float32)
