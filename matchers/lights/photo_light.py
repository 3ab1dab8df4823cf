"""The photo's side of the comparison: its city light, freed of everything diffuse."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from detectors.types import FloatImage
from matchers.geometry.camera import Camera

# Normalized pictures take this share of the whole picture's variance for the least spread
EVEN_FLOOR = 0.1
KEPT_PX = 256  # light images up to this size are made once


@dataclass(frozen=True, kw_only=True)
class LightImage:
    """City light of a photo, log-compressed like the map.

    values: ``log10(1 + excess / knee)``; 0 where there is only diffuse light, shape (h, w).
    weight: 1 where the pixel counts, 0 where it does not (hot pixels, borders of edited copies),
        shape (h, w).
    factor: Size of this image over the size of the stored one.
    """

    values: FloatImage
    weight: FloatImage
    factor: float
    # Small ones that `resized` made: a photo's cameras are compared at few sizes
    _resized: dict[tuple[int, float, float], LightImage] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def resized(
        self, long_side_px: int, smooth_px: float = 0.7, detail_px: float = 0.0
    ) -> LightImage:
        """Area-averaged and slightly blurred copy; never larger than this one.

        Parameters
        ----------
        detail_px : float
            If above 0, structure broader than this is taken out, see `detail`.
        """
        wanted = long_side_px, smooth_px, detail_px
        if wanted in self._resized:
            return self._resized[wanted]
        made = self._resize(*wanted)
        if long_side_px <= KEPT_PX:
            self._resized[wanted] = made
        return made

    def _resize(self, long_side_px: int, smooth_px: float, detail_px: float) -> LightImage:
        height, width = self.values.shape
        scale = min(1.0, long_side_px / max(height, width))
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        values, weight = self.values * self.weight, self.weight
        if scale < 1.0:
            values = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
            weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA))
            # Sizes are whole pixels: bring the height, stretched by that, to the width's scale
            stretch = height * size[0] / (width * size[1])
            undo = np.array([[1.0, 0.0, 0.0], [0.0, stretch, (stretch - 1.0) / 2.0]])
            values = np.asarray(cv2.warpAffine(values, undo, size), np.float32)
            weight = np.asarray(cv2.warpAffine(weight, undo, size), np.float32)
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), smooth_px))
        covered = np.asarray(cv2.GaussianBlur(weight, (0, 0), smooth_px), np.float32)
        smoothed = (values / np.maximum(covered, 1e-3)).astype(np.float32)
        return LightImage(
            values=detail(smoothed, detail_px, covered) if detail_px > 0.0 else smoothed,
            weight=weight.astype(np.float32),
            factor=self.factor * size[0] / width,
        )

    def flipped(self) -> LightImage:
        """The image left to right: a mirrored picture as it would have been."""
        return replace(self, values=self.values[:, ::-1].copy(), weight=self.weight[:, ::-1].copy())

    def camera(self, stored: Camera) -> Camera:
        """The stored image's camera for this image."""
        height, width = self.values.shape
        return stored.scaled(self.factor, width, height)

    def stored_camera(self, camera: Camera, stored: Camera) -> Camera:
        """A camera of this image for the stored one, whose size ``stored`` has."""
        return camera.scaled(1.0 / self.factor, stored.width_px, stored.height_px)


def blur(image: FloatImage, sigma_px: float) -> FloatImage:
    """An image blurred by a Gaussian; a broad one on a coarser grid, good to 1 % within."""
    step = int(sigma_px / 2.5)  # the coarsest grid that has so many steps to a sigma
    if step < 2:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.float32)
    height, width = image.shape
    size = (math.ceil(width / step), math.ceil(height / step))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    # Averaging over pixels of s blurs by s^2 / 12, and drawing lines between them by s^2 / 6
    sigmas = [
        math.sqrt((sigma_px * coarse / fine) ** 2 - 0.25)
        for coarse, fine in zip(size, (width, height), strict=True)
    ]
    # Mirrored at the edge of the pixels, which is nearly where the fine grid is
    edge = cv2.BORDER_REFLECT
    small = cv2.GaussianBlur(small, (0, 0), sigmas[0], sigmaY=sigmas[1], borderType=edge)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def count_around(weight: FloatImage, scale_px: float) -> FloatImage:
    """How much counts around every pixel, by a Gaussian of that sigma; never nothing."""
    return np.maximum(blur(weight, scale_px), np.float32(1e-3))


def detail(
    image: FloatImage,
    scale_px: float,
    weight: FloatImage | None = None,
    around: FloatImage | None = None,
) -> FloatImage:
    """What remains of an image when its broad structure is taken out.

    One bright blob looks like any other; the streets and suburbs around it do not.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Photo or rendered map, in the logarithm of light.
    scale_px : float
        Sigma of the Gaussian that is subtracted.
    weight : ndarray of float32, shape (h, w), optional
        What counts: nothing beyond its edge enters the mean (normalised convolution, Knutsson &
        Westin 1993).
    around : ndarray of float32, shape (h, w), optional
        `count_around` of that weight and scale, where it is at hand.
    """
    if weight is None:
        return image - blur(image, scale_px)
    around = count_around(weight, scale_px) if around is None else around
    return np.asarray(image - blur(image * weight, scale_px) / around, np.float32)


def normalize_contrast(image: FloatImage, scale_px: float, weight: FloatImage) -> FloatImage:
    """An image whose contrast is alike everywhere: divided by its spread around every pixel.

    A great city outshines all else in a photo, and a wrong camera need only lay another great city
    on it to correlate well. So small towns count as much as cores.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Photo or rendered map without broad structure, see `detail`; darkness, whose spread is far
        below the picture's, stays dark.
    scale_px : float
        Sigma of the Gaussian that the spread is taken over.

    References
    ----------
    Jarrett, K., Kavukcuoglu, K., Ranzato, M., LeCun, Y. (2009). What is the best multi-stage
    architecture for object recognition? ICCV, 2146-2153, section 2 (local contrast normalisation).
    """
    square = weight * image * image
    around = blur(square, scale_px) / count_around(weight, scale_px)
    overall = float(square.sum()) / max(float(weight.sum()), 1e-9)
    spread = np.sqrt(around + EVEN_FLOOR * overall)
    return np.asarray(image / np.maximum(spread, 1e-9), np.float32)


def light_image(
    light: FloatImage,
    level: FloatImage,
    noise: FloatImage,
    weight: FloatImage,
    factor: float,
    most_share: float = np.inf,
) -> LightImage:
    """City light of a photo from its linear light, its diffuse background and the noise about it.

    Light is cut off at ``most_share`` of the brightest lights, as a map that saturates does.
    """
    excess = np.maximum(light - level, 0.0)
    counted = excess[::2, ::2][weight[::2, ::2] > 0.5]
    brightest = float(np.quantile(counted, 0.995)) if counted.size else 0.0
    excess = np.minimum(excess, most_share * max(brightest, 1e-9))
    # Lights below three sigma of the noise are compressed away. The excess at which compression
    # turns logarithmic is never below 2 % of the brightest lights: the map's 1 nW/cm2/sr stands in
    # about that relation to its city cores (60 nW/cm2/sr)
    knee = np.maximum(3.0 * noise, 0.02 * brightest)
    values = np.log10(1.0 + excess / np.maximum(knee, 1e-9))
    return LightImage(values=values.astype(np.float32), weight=weight, factor=factor)
