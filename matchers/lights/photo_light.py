"""City-light images of photos, with the diffuse background removed, and their filtering."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from detectors.types import FloatImage
from matchers.geometry.camera import Camera

# Share of the image's overall variance added to the local variance in contrast normalisation (by
# eye)
EVEN_FLOOR = 0.1


@dataclass(frozen=True, kw_only=True)
class EvenedImage:
    """City light of a photo, log-compressed like the map.

    values: ``log10(1 + excess / knee)``; 0 for purely diffuse light, shape (h, w).
    weight: 1 for valid pixels, 0 for others (hot pixels, borders of edited copies), shape (h, w).
    factor: Size of this image relative to the stored image.
    """

    values: FloatImage
    weight: FloatImage
    factor: float
    # Cache of small images made by `resized`, since cameras of a photo are compared at few sizes
    _resized: dict[tuple[int, float, float], EvenedImage] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def resized(
        self, long_side_px: int, smooth_px: float = 0.7, detail_px: float = 0.0
    ) -> EvenedImage:
        """Make an area-averaged and slightly blurred copy; never larger than this image.

        If `detail_px` is above 0, broader structure is removed, see `detail`.
        """
        wanted = long_side_px, smooth_px, detail_px
        if wanted in self._resized:
            return self._resized[wanted]
        height, width = self.values.shape
        scale = min(1.0, long_side_px / max(height, width))
        size = (max(8, round(width * scale)), max(8, round(height * scale)))
        values, weight = self.values * self.weight, self.weight
        if scale < 1.0:
            values = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))
            weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA))
            # Rounding to whole pixels stretches the height: rescale it to the scale of the width
            stretch = height * size[0] / (width * size[1])
            undo = np.array([[1.0, 0.0, 0.0], [0.0, stretch, (stretch - 1.0) / 2.0]])
            values = np.asarray(cv2.warpAffine(values, undo, size), np.float32)
            weight = np.asarray(cv2.warpAffine(weight, undo, size), np.float32)
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), smooth_px))
        covered = np.asarray(cv2.GaussianBlur(weight, (0, 0), smooth_px), np.float32)
        smoothed = (values / np.maximum(covered, 1e-3)).astype(np.float32)
        made = EvenedImage(
            values=detail(smoothed, detail_px, covered) if detail_px > 0.0 else smoothed,
            weight=weight.astype(np.float32),
            factor=self.factor * size[0] / width,
        )
        if long_side_px <= 256:  # larger ones are not cached
            self._resized[wanted] = made
        return made

    def unmirrored(self, mirrored: bool) -> EvenedImage:
        """Flip the image horizontally if the photo is mirrored; searches assume that it is not."""
        if not mirrored:
            return self
        return replace(self, values=self.values[:, ::-1].copy(), weight=self.weight[:, ::-1].copy())

    def camera(self, stored: Camera) -> Camera:
        height, width = self.values.shape
        return stored.scaled(self.factor, width, height)

    def stored_camera(self, camera: Camera, stored: Camera) -> Camera:
        """Scale a camera of this image to the stored image, whose size ``stored`` gives."""
        return camera.scaled(1.0 / self.factor, stored.width_px, stored.height_px)


def blur(image: FloatImage, sigma_px: float) -> FloatImage:
    """Blur by a Gaussian; wide ones use a coarser grid, accurate to 1 % away from the border."""
    step = int(sigma_px / 2.5)  # at least 2.5 steps of the coarse grid per sigma
    if step < 2:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), np.float32)
    height, width = image.shape
    size = (math.ceil(width / step), math.ceil(height / step))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    # Averaging over pixels of size s adds a variance of s^2 / 12, linear interpolation s^2 / 6
    sigmas = [
        math.sqrt((sigma_px * coarse / fine) ** 2 - 0.25)
        for coarse, fine in zip(size, (width, height), strict=True)
    ]
    # Reflect at the pixel edge, which nearly coincides with the edge of the fine grid
    edge = cv2.BORDER_REFLECT
    small = cv2.GaussianBlur(small, (0, 0), sigmas[0], sigmaY=sigmas[1], borderType=edge)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))


def count_around(weight: FloatImage, scale_px: float) -> FloatImage:
    """Compute the Gaussian-weighted mean of the weight around each pixel; at least 0.001."""
    return np.maximum(blur(weight, scale_px), np.float32(1e-3))


def detail(
    image: FloatImage,
    scale_px: float,
    weight: FloatImage | None = None,
    around: FloatImage | None = None,
) -> FloatImage:
    """Remove the broad structure of a photo or rendered map in log light (high-pass filter).

    Bright blobs look alike; the streets and suburbs around them are distinctive. `scale_px`: sigma
    of the Gaussian that is subtracted. Pixels of weight 0 do not affect the mean (normalised
    convolution, Knutsson & Westin 1993). `around`: `count_around` of that weight and scale, if
    already computed.
    """
    if weight is None:
        return image - blur(image, scale_px)
    around = count_around(weight, scale_px) if around is None else around
    return np.asarray(image - blur(image * weight, scale_px) / around, np.float32)


def normalize_contrast(image: FloatImage, scale_px: float, weight: FloatImage) -> FloatImage:
    """Normalise the local contrast: divide by the local spread, in a Gaussian window of `scale_px`.

    Otherwise a large city dominates the correlation, and a wrong camera that puts another large
    city on it correlates well. After normalisation, small towns count as much as city centres. The
    image has no broad structure, see `detail`. Dark areas, whose spread is far below that of the
    image, remain dark.

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
) -> EvenedImage:
    """Compute the city-light image of a photo from linear light, diffuse background and noise.

    Light is clipped at ``most_share`` of the brightest lights, to imitate a saturated map.
    """
    excess = np.maximum(light - level, 0.0)
    counted = excess[::2, ::2][weight[::2, ::2] > 0.5]
    brightest = float(np.quantile(counted, 0.995)) if counted.size else 0.0
    excess = np.minimum(excess, most_share * max(brightest, 1e-9))
    # Compression is linear below the knee and logarithmic above it. The knee is at 3 sigma of the
    # noise, which suppresses fainter light, and at least 2 % of the brightest lights. That is about
    # the ratio of the map's knee (1 nW/cm2/sr) to its city centres (60 nW/cm2/sr)
    knee = np.maximum(3.0 * noise, 0.02 * brightest)
    values = np.log10(1.0 + excess / np.maximum(knee, 1e-9))
    return EvenedImage(values=values.astype(np.float32), weight=weight, factor=factor)
