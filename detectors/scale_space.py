"""Difference-of-Gaussians scale space in octaves, and its peaks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import map_coordinates

from detectors.types import FloatArray, FloatImage, IndexArray

BASE_SIGMA = 1.0  # blur of an octave's first image, in pixels of the octave
# Inner sigmas of the two differences of an octave, in its pixels; the outer sigma is twice as large
INNER_SIGMAS = (1.0, 2.0**0.5)


@dataclass(frozen=True, kw_only=True)
class Octave:
    """Two differences of Gaussians of an image, and the response of the next octave."""

    base: FloatImage  # (h, w): the octave's image, blurred by `BASE_SIGMA`
    responses: tuple[FloatImage, FloatImage]  # (h, w): differences of Gaussians at `INNER_SIGMAS`
    # (h, w): the next octave's first response, interpolated to this octave's pixels
    above: FloatImage
    halved: FloatImage  # base of the next octave: pixel i of it is pixel 2 i of this one
    outer: FloatImage  # (h, w): the image blurred by 2 px, the light around a blob of this octave


def make_octave(base: FloatImage) -> Octave:
    """Compute the differences of Gaussians of one octave.

    Halving applies to the image blurred by 2 of its pixels. The amplitude above the new Nyquist
    frequency is then below 0.7 %.

    `base` (h, w): image blurred by `BASE_SIGMA` pixels.

    References
    ----------
    Lowe, D. G. (2004). Distinctive image features from scale-invariant keypoints. IJCV 60, 91-110.
    """
    second = blur_image(base, 1.0)  # to sigma 1.41
    third = blur_image(second, 2.0**0.5)  # to sigma 2
    fourth = blur_image(third, 2.0)  # to sigma 2.83
    halved = np.ascontiguousarray(third[::2, ::2])
    above = halved - blur_image(halved, 3.0**0.5)  # to sigma 2 of the halved pixels
    # Upsampled by linear interpolation, with pixel i at pixel 2 i
    shift = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (base.shape[1], base.shape[0])
    return Octave(
        base=base,
        responses=(base - third, second - fourth),
        above=np.asarray(
            cv2.warpAffine(above, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        ),
        halved=halved,
        outer=third,
    )


def compute_noise_gain(inner_sigma_px: float) -> float:
    """Compute the sigma of a difference of Gaussians (s, 2 s) for unit white noise per pixel.

    The integral of the product of two unit Gaussians a and b is 1 / (2 pi (a^2 + b^2)).
    """
    return float(np.sqrt((1.0 + 1.0 / 4.0 - 4.0 / 5.0) / (4.0 * np.pi)) / inner_sigma_px)


def find_local_maxima(response: FloatImage, threshold: float) -> tuple[IndexArray, IndexArray]:
    """Find rows and columns of 3 x 3 maxima above a threshold, excluding the border."""
    highest = cv2.dilate(response, np.ones((3, 3), np.uint8))
    found = (response >= highest) & (response > threshold)
    found[[0, -1], :] = False
    found[:, [0, -1]] = False
    row, col = np.divmod(np.flatnonzero(found), response.shape[1])
    return row, col


def fit_quadratic_peak(
    response: FloatImage, row: IndexArray, col: IndexArray
) -> tuple[FloatArray, FloatArray]:
    """Compute subpixel offsets (dx, dy) of local maxima by fitting a paraboloid.

    `response` (h, w): filtered image. `row`, `col` (N,): local maxima away from the border. Returns
    `dx`, `dy` (N,): at most one pixel.
    """

    def pixel(i: int, j: int) -> FloatArray:
        return np.asarray(response[row + i, col + j], np.float64)

    centre = pixel(0, 0)
    gx, gy = 0.5 * (pixel(0, 1) - pixel(0, -1)), 0.5 * (pixel(1, 0) - pixel(-1, 0))
    hxx = pixel(0, 1) + pixel(0, -1) - 2.0 * centre
    hyy = pixel(1, 0) + pixel(-1, 0) - 2.0 * centre
    hxy = 0.25 * (pixel(1, 1) + pixel(-1, -1) - pixel(1, -1) - pixel(-1, 1))
    det = hxx * hyy - hxy * hxy
    peaked = det > 0.0
    safe = np.where(peaked, det, 1.0)
    dx = np.where(peaked, -(hyy * gx - hxy * gy) / safe, 0.0)
    dy = np.where(peaked, -(hxx * gy - hxy * gx) / safe, 0.0)
    return np.clip(dx, -1.0, 1.0), np.clip(dy, -1.0, 1.0)


def measure_prominence(
    response: FloatImage, row: IndexArray, col: IndexArray, inner: float
) -> FloatArray:
    """How far a peak rises above the highest of the ways that lead across it.

    Along a ridge (the limb, an edge of hardware) the response stays high on two opposite sides.

    `response` (h, w): a filtered image; `row`, `col` (N,): its peaks; `inner`: sigma of the filter;
    the sides are looked at 1.5 to 2.5 of it away. Gives (N,): in units of the response.
    """
    # Where the sides of a peak are looked at, and in how many directions
    angle = np.arange(16) * (2.0 * np.pi / 16)
    radius = np.array([1.5, 2.0, 2.5])[:, None] * inner
    at_row = row[:, None, None] + radius * np.sin(angle)
    at_col = col[:, None, None] + radius * np.cos(angle)
    sides = map_coordinates(response, np.stack([at_row, at_col]), order=1, mode="nearest")
    lowest = sides.min(axis=1)
    half = 8
    ways = np.minimum(lowest[:, :half], lowest[:, half:])
    return np.asarray(response[row, col] - ways.max(axis=1), float)


def blur_image(image: FloatImage, sigma: float) -> FloatImage:
    """Apply a Gaussian blur truncated at 3.5 sigma, with replicated border pixels."""
    size = _choose_kernel_size(sigma)
    return np.asarray(cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REPLICATE))


def compute_blurred_noise(sigma: float) -> float:
    """Compute the sigma of unit white noise after a Gaussian blur."""
    return float(1.0 / (2.0 * np.sqrt(np.pi) * sigma))


def make_gaussian_kernel(sigma: float) -> FloatImage:
    """Make the kernel of `blur_image`, shape (n, n)."""
    line = cv2.getGaussianKernel(_choose_kernel_size(sigma), sigma, cv2.CV_32F)
    return np.asarray(line @ line.T)


def _choose_kernel_size(sigma: float) -> int:
    return 2 * round(3.5 * sigma) + 1
