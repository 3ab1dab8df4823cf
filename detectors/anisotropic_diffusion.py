"""Anisotropic diffusion: noise is smoothed away within regions, edges stay."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatImage

WINDOW_SIGMA_PX, SIMILARITY_WINDOW_PX = 1.5, 11
K1, K2 = 0.01, 0.03

MOST_ITERATIONS = 100
WINDOW_PX = 384  # the number of iterations is chosen on a part of large images
NOISE_ADDED = 0.7  # sigma of what is added to one half, and 1/0.7 is taken from the other
LEAST_GAIN = 2e-4  # of SSIM an iteration: less is its plateau, of which the beginning is taken


def structural_similarity(one: FloatImage, other: FloatImage, data_range: float) -> float:
    """Mean SSIM of two images under Gaussian windows.

    References
    ----------
    Wang, Z., et al. (2004). Image quality assessment: from error visibility to structural
    similarity. IEEE TIP 13, 600-612; window and constants are theirs.
    """
    mean_one, mean_other = _windowed(one), _windowed(other)
    both = mean_one * mean_other
    squares = np.square(mean_one) + np.square(mean_other)
    spreads = _windowed(np.square(one) + np.square(other)) - squares
    covariance = _windowed(one * other) - both
    c1, c2 = np.float32((K1 * data_range) ** 2), np.float32((K2 * data_range) ** 2)
    similarity = (2 * both + c1) * (2 * covariance + c2) / ((squares + c1) * (spreads + c2))
    return float(similarity.mean(dtype=np.float64))


def _windowed(image: FloatImage) -> FloatImage:
    return np.asarray(
        cv2.GaussianBlur(image, (SIMILARITY_WINDOW_PX, SIMILARITY_WINDOW_PX), WINDOW_SIGMA_PX)
    )


def diffuse_once(
    image: FloatImage, edge: float, *, blur_px: float = 1.0, step: float = 1.0 / 7.0
) -> FloatImage:
    """One explicit step of I' = div(g grad I) with g = exp(-(|grad(G * I)| / edge)^2).

    Eight neighbours: light flows from pixel to pixel by the mean of the two pixels' g, diagonally
    half as much. Without loops over neighbours: with the binomial 3 x 3 mean B, the sum of the
    flows is 4 (g B(I) + B(g I) - I B(g) - g I). Nothing flows across the border.

    References
    ----------
    Perona, P., Malik, J. (1990). Scale-space and edge detection using anisotropic diffusion.
    IEEE PAMI 12, 629-639. Catte, F., et al. (1992). Image selective smoothing and edge detection
    by nonlinear diffusion. SIAM J. Numer. Anal. 29, 182-193 (the blurred gradient).
    Gerig, G., et al. (1992). Nonlinear anisotropic filtering of MRI data. IEEE TMI 11, 221-232.
    """
    blurred = cv2.GaussianBlur(image, (0, 0), blur_px, borderType=cv2.BORDER_REPLICATE)
    slope_x = _floats(cv2.Sobel(blurred, cv2.CV_32F, 1, 0, ksize=1, scale=0.5))
    slope_y = _floats(cv2.Sobel(blurred, cv2.CV_32F, 0, 1, ksize=1, scale=0.5))
    np.square(slope_x, out=slope_x)
    np.square(slope_y, out=slope_y)
    slope_x += slope_y
    slope_x *= np.float32(-1.0 / edge**2)
    g = _floats(cv2.exp(slope_x))
    flow = g * _mean3(image)
    through = g * image
    flow += _mean3(through)
    flow -= through
    flow -= image * _mean3(g)
    flow *= np.float32(4.0 * step)
    flow += image
    return flow


def noise_slope(noise: float, blur_px: float = 1.0) -> float:
    """Root mean square of |grad(G * n)| of white noise n with that sigma."""
    return noise / (2.0 * np.pi**0.5 * blur_px**2)


def diffused(
    image: FloatImage, iterations: int, *, noise: float, edge_noises: float = 4.0
) -> FloatImage:
    """Several steps; edges are slopes `edge_noises` times what the noise shows at first."""
    for _ in range(iterations):
        image = diffuse_once(image, edge_noises * noise_slope(noise))
    return image


def best_iterations(
    image: FloatImage,
    *,
    noise: float,
    data_range: float,
    edge_noises: float = 4.0,
    seed: int = 0,
    most: int = MOST_ITERATIONS,
) -> int:
    """The number of iterations with the largest SSIM against an independent view of the scene.

    Against the noisy image itself SSIM is largest without any diffusion. So noise n of the
    image's own sigma is added and taken away: I + 0.7 n and I - n / 0.7 show one scene with
    independent noise (where that is normal). The first is diffused and compared with the second,
    as long as SSIM grows by `LEAST_GAIN` an iteration.

    `image` (h, w); `noise`: sigma of its pixels; `seed`: of the noise that is added; `most`: no
    more iterations. Gives 0 to `most`.

    References
    ----------
    Oliveira, N. L., Lei, J., Tibshirani, R. J. (2021). Unbiased risk estimation in the normal
    means problem via coupled bootstrap techniques. arXiv:2111.09447 (the two views).
    """
    part = brightest_window(image, WINDOW_PX)
    added = np.random.default_rng(seed).standard_normal(part.shape, np.float32) * np.float32(noise)
    view = part + np.float32(NOISE_ADDED) * added
    reference = part - np.float32(1.0 / NOISE_ADDED) * added
    edge = edge_noises * noise_slope(noise * (1.0 + NOISE_ADDED**2) ** 0.5)
    best = structural_similarity(view, reference, data_range)
    for iteration in range(1, most + 1):
        view = diffuse_once(view, edge)
        now = structural_similarity(view, reference, data_range)
        if now < best + LEAST_GAIN:
            return iteration - 1
        best = now
    return most


def brightest_window(image: FloatImage, side_px: int) -> FloatImage:
    """The part of at most that size, on a grid of half of it, with the most light above 0."""
    h, w = image.shape
    tops = range(0, max(1, h - side_px + 1), side_px // 2)
    lefts = range(0, max(1, w - side_px + 1), side_px // 2)
    corners = [(top, left) for top in tops for left in lefts]

    def light(corner: tuple[int, int]) -> float:
        top, left = corner
        return float(np.maximum(image[top : top + side_px, left : left + side_px], 0.0).sum())

    top, left = max(corners, key=light)
    return image[top : top + side_px, left : left + side_px]


def _mean3(image: FloatImage) -> FloatImage:
    """Binomial mean, weights 1 2 1 in both directions."""
    return _floats(cv2.GaussianBlur(image, (3, 3), 0, borderType=cv2.BORDER_REPLICATE))


def _floats(image: NDArray[np.generic]) -> FloatImage:
    return np.asarray(image, np.float32)
