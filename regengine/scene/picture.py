"""The standard picture of scene features, a photo resampled to one size, and its quality.

Quality ranks frames of one place: sharpness, exposure and cloud cover.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.masks import CAPTION_SHARE, mask_caption_strips
from detectors.types import FloatArray
from regengine.photo.formats import PhotoFile, as_photo_file
from regengine.photo.image import (
    CLIPPED_FROM,
    LUMINANCE_WEIGHTS,
    linear_curve,
    read_display_rgb,
    read_small_jpeg,
)

# Long side of the measured picture. Every photo is resampled to it, smaller ones upwards: no
# feature may identify a source by its size. The archive's own small copies have 640 px.
SIDE_PX = 512
# A JPEG is decoded at the smallest of 1/2, 1/4 or 1/8 with at least this many pixels: 3 times
# faster at 12 megapixels.
MIN_DECODED_PX = 1000
CAPTION_MARGIN_PX = 2
# Largest difference of the channels in a grey picture, 0 to 1: two levels of an 8-bit file, which
# compression leaves
GREY_BELOW = 2.5 / 255.0
CAPTION_WHITE = 250.0 / 255.0


@dataclass(frozen=True)
class ScenePicture:
    """A photo resampled to a long side of `SIDE_PX` pixels."""

    # Shape (h, w, 3): red, green and blue as displayed (sRGB), 0 to 1; equal for a grey photo
    rgb: NDArray[np.float32]
    # Shape (h, w): False on caption strips, which are not part of the scene
    shown: NDArray[np.bool_]

    @cached_property
    def linear(self) -> NDArray[np.float32]:
        """Linear red, green and blue (inverse of the sRGB curve), shape (h, w, 3), 0 to 1."""
        return linear_light(self.rgb)

    @cached_property
    def luminance(self) -> NDArray[np.float32]:
        """Linear luminance, shape (h, w), 0 to 1."""
        return np.asarray(self.linear @ np.array(LUMINANCE_WEIGHTS, np.float32), np.float32)

    @cached_property
    def lightness(self) -> NDArray[np.float32]:
        """Brightness as displayed (luminance through the sRGB curve), shape (h, w), 0 to 1."""
        y = self.luminance
        curved = 1.055 * np.maximum(y, 1e-9) ** (1.0 / 2.4) - 0.055
        return np.where(y <= 0.0031308, 12.92 * y, curved).astype(np.float32)

    @cached_property
    def brightest(self) -> NDArray[np.float32]:
        """The brightest of the three channels as displayed, shape (h, w), 0 to 1."""
        red, green, blue = (self.rgb[..., channel] for channel in range(3))
        return np.asarray(np.maximum(np.maximum(red, green), blue))

    @cached_property
    def is_grey(self) -> bool:
        """Whether the photo has no colours: a copy in grey, or of a camera that tells none."""
        red, green, blue = (self.rgb[..., channel] for channel in range(3))
        darkest = np.minimum(np.minimum(red, green), blue)
        coloured = self.brightest - darkest >= GREY_BELOW
        return bool(np.mean(coloured[self.shown]) < 0.01)

    @cached_property
    def scene(self) -> ScenePicture:
        """The picture without its caption strips, for operations on neighbouring pixels."""
        if self.shown.all():
            return self
        rows, columns = (np.flatnonzero(self.shown.any(axis=axis)) for axis in (1, 0))
        window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return ScenePicture(rgb=self.rgb[window], shown=self.shown[window])

    @cached_property
    def half(self) -> ScenePicture:
        """The scene at half size, each pixel the mean of four: sufficient for most features."""
        rgb = self.scene.rgb
        height, width = ((side + 1) // 2 for side in rgb.shape[:2])
        small = np.asarray(
            cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.float32
        )
        return ScenePicture(rgb=small, shown=np.ones((height, width), bool))


def linear_light(shown: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light of brightness as displayed (inverse of the sRGB curve)."""
    table = linear_curve(65535)
    return np.take(table, (shown * np.float32(len(table) - 1) + np.float32(0.5)).astype(np.uint16))


def read_scene_picture(photo: Path | PhotoFile) -> ScenePicture:
    """Read a photo (JPEG, PNG, TIFF, FITS or raw) at the size used for classification.

    Raises FrameError if the file is not a readable image, or is damaged or truncated.
    """
    return scene_picture(read_scene_rgb(photo))


def read_scene_rgb(photo: Path | PhotoFile) -> NDArray[np.uint8]:
    """A photo's colours as displayed (sRGB), shape (h, w, 3), close to the size needed.

    Raises FrameError, as `read_scene_picture` does.
    """
    file = as_photo_file(photo)
    decoded = read_small_jpeg(file, MIN_DECODED_PX)
    return read_display_rgb(file, MIN_DECODED_PX)[0] if decoded is None else decoded


def scene_picture(rgb: NDArray[np.uint8]) -> ScenePicture:
    """Resample decoded colours (sRGB, any size, shape (h, w, 3)) to the standard size."""
    height, width = rgb.shape[:2]
    scale = SIDE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    small = np.asarray(
        cv2.resize(rgb.astype(np.float32), size, interpolation=method) / 255.0, np.float32
    )
    # Archives print captions in white strips along the borders; an entirely white picture has none
    white = small.min(axis=2) > CAPTION_WHITE
    if white.mean() > CAPTION_SHARE:
        captions = np.zeros(white.shape, bool)
    else:
        captions = mask_caption_strips(white, margin_px=CAPTION_MARGIN_PX)
    return ScenePicture(rgb=small, shown=~captions)


# Blur
TILE_PX = 256
# Gaussians (sigma in pixels, reduction) at which the gradient energy is measured; the coarser ones
# on copies reduced by the second number
SCALES_PX = ((0.7, 1), (1.0, 1), (1.4, 1), (2.0, 1), (2.8, 2), (4.0, 2), (5.6, 4))
# Differences of neighbours cause blur themselves: the variance of a box of two pixels and of a
# pixel
OWN_VARIANCE_PX2 = 2.0 / 12.0
SIGMAS_PX = np.concatenate([[0.0], np.geomspace(0.2, 12.0, 48)])
# Exponents from point fields (2) to isolated soft edges
MIN_EXPONENT, MAX_EXPONENT = 0.25, 2.0
# Typical exponent of land and clouds, and the weight of this prior where blur and scene are
# ambiguous
USUAL_EXPONENT, USUAL_WEIGHT = 1.0, 0.003
# Error of the law's logarithm, and relative error of the noise
MODEL_ERROR, NOISE_ERROR = 0.05, 0.3
# Noise is estimated from the calmest eighth of a tile's blocks, by their energy at the fifth scale
BLOCK_PX, CALM_SHARE, CALM_SCALE = 32, 8, 4
SURE_NOISE = 0.9
NOISE_PARTS = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 1.0)
DIFFERENCE = np.array([[-0.5, 0.0, 0.5]], np.float32)
# Sharpness is one half at this sigma
HALF_SHARP_PX = 1.6
# Clouds by day and by moonlight
DAY, NIGHT = ("day",), ("night_nocity", "cities")
MIN_GROUND = 0.05  # share of the picture
# Clouds are then white: their smallest colour is above this (as displayed, 0 to 1) and above this
# share of the brightest cloud's, and their saturation is not above this. Set on 23 real day photos
# whose cover was estimated by eye: 0.11 mean error, rank correlation 0.83.
WHITE_FROM, WHITE_SHARE, COLOURFUL = 0.20, 0.45, 0.60
# By moonlight, ground and clouds must have at least this brightness, and clouds at most this
# saturation
LIGHT_BY_NIGHT, GREY_BY_NIGHT = 0.07, 0.30
# Lamps make their surroundings uneven: standard deviation over mean, as displayed
EVEN = 0.16
LAMP_PX, SMOOTH_PX = 9, 5
# Of the picture whose quality is measured: 45 megapixels have 8,256 px; larger ones are reduced
QUALITY_SIDE_PX = 8_400


# Quality measures of ``classify --quality``, and their decimals in records
QUALITY_DIGITS = {
    "sharpness": 3,
    "cloud_fraction": 3,
    "exposure_stops": 2,
    "clipped_share": 4,
    "black_share": 4,
}


def photo_quality(
    rgb: NDArray[np.uint8], picture: ScenePicture, category: str
) -> dict[str, float | None]:
    """Quality of a photo at full resolution, shape (h, w, 3); `picture` is its standard size.

    ``sharpness``: at full resolution; 1 for detail at pixel scale, towards 0 for motion blur; 0
    without detail. ``cloud_fraction``: share of the visible ground under clouds; None where it
    cannot be determined. ``exposure_stops``: mean luminance relative to 18 % grey; nights are far
    below 0. ``clipped_share``, ``black_share``: of pixels at the limits of the file's range.
    """
    return {
        "sharpness": measure_sharpness(rgb[..., 1]),
        "cloud_fraction": cloud_fraction(picture, category),
        **measure_exposure(picture),
    }


def measure_exposure(picture: ScenePicture) -> dict[str, float]:
    """Exposure of a picture without its captions."""
    light = picture.luminance[picture.shown]
    highest = picture.rgb.max(axis=2)[picture.shown]
    return {
        # A light meter aims at a grey of this luminance
        "exposure_stops": float(np.log2(max(float(light.mean()), 1e-6) / 0.18)),
        "clipped_share": float(np.mean(highest >= CLIPPED_FROM)),
        "black_share": float(np.mean(highest < 2.5 / 255.0)),
    }


def measure_sharpness(grey: NDArray[np.uint8]) -> float:
    """Sharpness of a photo, from 0 to 1, by the sigma of the equivalent Gaussian blur.

    A scene whose power falls as a power of frequency, observed through a Gaussian blur of sigma b
    and through a Gaussian window of sigma s, has gradients of the energy ``A (b^2 + s^2)^-p``: p is
    1/2 for edges, 2 for a field of points, between for land and clouds. Four windows determine A, p
    and b; the energy of a tile's calmest blocks is taken as noise and subtracted. Motion blur is
    determined from the gradient tensor: fine detail is lost along it, coarse detail is not. The
    eigenvectors of the fine tensor relative to the coarse one are independent of the direction of
    the scene's own edges. The blur is measured in both directions, and the larger one counts.

    References
    ----------
    Zhuo, S. & Sim, T. (2011), Pattern Recognition 44, 1852: blur of edges by two Gaussians.
    """
    measured = [_tensors(tile) for tile in _choose_tiles(np.ascontiguousarray(grey))]
    if not measured:
        return 0.0
    tensors, noise = (np.array(part) for part in zip(*measured, strict=True))
    shares = tensors - SURE_NOISE * noise
    shares = shares / np.maximum(_energy(shares)[:, -1:, None], 1e-9)
    worst = _worst_direction(np.median(shares, axis=0))
    sigmas = []
    for along in (worst, worst + 0.5 * np.pi):
        signal, noisy = _energy(tensors, along), _energy(noise, along)
        fitted = [_fit_sigma(e, n) for e, n in zip(signal, noisy, strict=True)]
        # Many tiles show only soft clouds or clear air; the sharper third represents the lens
        sigmas.append(float(np.quantile(fitted, 0.33)))
    return 1.0 / (1.0 + (max(sigmas) / HALF_SHARP_PX) ** 2)


def _energy(tensors: FloatArray, along: float | None = None) -> FloatArray:
    """Gradient energy of tensors (..., 3), in total or along a direction, radians."""
    xx, yy, xy = tensors[..., 0], tensors[..., 1], tensors[..., 2]
    if along is None:
        return np.asarray(xx + yy)
    cos, sin = np.cos(along), np.sin(along)
    return np.asarray(cos**2 * xx + sin**2 * yy + 2.0 * sin * cos * xy)


def _choose_tiles(grey: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Tiles with the most coarse detail."""
    height, width = grey.shape
    side = min(TILE_PX, height, width) // (2 * BLOCK_PX) * (2 * BLOCK_PX)
    if side < 2 * BLOCK_PX:
        return []
    # Tiles are chosen by the strength of detail of this size, which noise does not affect
    step = side // 8
    rows, cols = height // side, width // side
    whole = grey[: rows * side, : cols * side]
    # Means of blocks, which suppress noise
    coarse = cv2.resize(whole, (cols * step, rows * step), interpolation=cv2.INTER_AREA)
    detail = coarse.reshape(rows, step, cols, step).std(axis=(1, 3)).ravel()
    tiles = []
    for index in np.argsort(-detail)[:20]:
        row, col = divmod(int(index), cols)
        # Of 255, standard deviation of a tile's coarse samples
        if detail[index] > 2.0:
            tiles.append(grey[row * side : (row + 1) * side, col * side : (col + 1) * side])
    return tiles


def _tensors(tile: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Gradient tensors xx, yy, xy of a tile at the scales, shape (scales, 3), and of its noise.

    The noise is estimated from its calmest blocks.
    """
    blocks = []
    image, reduced = tile.astype(np.float32), 1
    grid = (tile.shape[1] // BLOCK_PX, tile.shape[0] // BLOCK_PX)
    for sigma, factor in SCALES_PX:
        if factor > reduced:
            half = (image.shape[1] // 2, image.shape[0] // 2)
            image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.float32)
            reduced = factor
        # Remaining blur after the means of the reduction
        sigma_there = np.sqrt(sigma**2 - (factor**2 - 1) / 12.0) / factor
        smooth = cv2.GaussianBlur(image, (0, 0), sigma_there)
        x = cv2.filter2D(smooth, -1, DIFFERENCE / factor)
        y = cv2.filter2D(smooth, -1, DIFFERENCE.T / factor)
        products = cv2.merge([x * x, y * y, x * y])
        blocks.append(cv2.resize(products, grid, interpolation=cv2.INTER_AREA).reshape(-1, 3))
    found = np.array(blocks, np.float64)
    coarse = _energy(found[CALM_SCALE])
    calm = np.argsort(coarse)[: max(len(coarse) // CALM_SHARE, 1)]
    return found.mean(axis=1), found[:, calm].mean(axis=1)


def _fit_sigma(energy: FloatArray, noise: FloatArray) -> float:
    """Fit the blur of ``A (b^2 + s^2)^-p`` to energies at the scales."""
    own = np.array([sigma**2 + factor**2 * OWN_VARIANCE_PX2 for sigma, factor in SCALES_PX])
    size = np.log(SIGMAS_PX[:, None] ** 2 + own[None, :])
    clear = np.maximum(energy - SURE_NOISE * noise, 0.05 * energy + 1e-12)
    weight = 1.0 / (MODEL_ERROR**2 + (NOISE_ERROR * noise / clear) ** 2)
    weight /= weight.sum()
    away = size - (size @ weight)[:, None]
    best, sigma = np.inf, 0.0
    # Calm blocks may have detail, too: their share of noise is also fitted
    for part in NOISE_PARTS:
        signal = np.log(np.maximum(energy - part * noise, 0.05 * energy + 1e-12))
        value = signal - weight @ signal
        exponent = USUAL_WEIGHT * USUAL_EXPONENT - (away * value) @ weight
        exponent = exponent / (USUAL_WEIGHT + away**2 @ weight)
        exponent = np.clip(exponent, MIN_EXPONENT, MAX_EXPONENT)
        left = (value + exponent[:, None] * away) ** 2 @ weight
        left = left + USUAL_WEIGHT * (exponent - USUAL_EXPONENT) ** 2
        if left.min() < best:
            best, sigma = float(left.min()), float(SIGMAS_PX[int(np.argmin(left))])
    return sigma


def _worst_direction(tensors: FloatArray) -> float:
    """Direction, radians, with the lowest ratio of the fine to the coarse tensor."""
    from scipy.linalg import eigh

    fine, coarse = (np.array([[xx, xy], [xy, yy]]) for xx, yy, xy in (tensors[0], tensors[-1]))
    coarse = coarse + 1e-9 * np.trace(coarse) * np.eye(2)
    try:
        values, vectors = eigh(fine, coarse)
    except np.linalg.LinAlgError:
        return 0.0
    if values[0] <= 0.0:
        return 0.0
    return float(np.arctan2(vectors[1, 0], vectors[0, 0]) % np.pi)


def cloud_fraction(picture: ScenePicture, category: str) -> float | None:
    """Share of the ground under clouds.

    References
    ----------
    Chavez, P. (1988), Remote Sensing of Environment 24, 459: haze by the darkest objects.
    Otsu, N. (1979), IEEE Transactions on Systems, Man, and Cybernetics 9, 62.
    """
    if category in DAY:
        ground = picture.shown & (picture.lightness > 0.08)
        if ground.mean() < MIN_GROUND:
            return None
        clear = picture.rgb[ground]
        # Haze covers the whole ground: the darkest twentieth of each colour is subtracted.
        clear = np.maximum(clear - np.quantile(clear, 0.05, axis=0), 0.0)
        least = clear.min(axis=1)
        bright = max(WHITE_FROM, WHITE_SHARE * float(np.quantile(least, 0.998)))
        return float(np.mean((least > bright) & (_colourfulness(clear) < COLOURFUL)))
    if category in NIGHT:
        stored = np.round(255.0 * picture.rgb).astype(np.uint8)
        # Lamps are small: the median around them is that of the ground
        calm = cv2.medianBlur(stored, LAMP_PX).astype(np.float32) / np.float32(255.0)
        mean = np.asarray(cv2.GaussianBlur(calm, (0, 0), SMOOTH_PX), np.float32)
        raw = picture.rgb.max(axis=2)
        size = (2 * LAMP_PX + 1, 2 * LAMP_PX + 1)
        level = cv2.blur(raw, size)
        spread = np.sqrt(np.maximum(cv2.blur(raw * raw, size) - level**2, 0.0))
        light, grey = mean.max(axis=2), _colourfulness(mean) < GREY_BY_NIGHT
        # Lightning and the lit limb are brighter
        lit = picture.shown & (light > LIGHT_BY_NIGHT) & (light < 0.75)
        lit &= spread < EVEN * level + 0.02
        # Share of the picture with even illumination, as only the Moon provides
        if (lit & grey).mean() < 0.12:
            return None
        # Otsu's threshold, and the share of the variance between the two classes
        levels = (128.0 * light[lit]).astype(np.uint8)
        darkest = int(cv2.threshold(levels, 0, 1, cv2.THRESH_OTSU)[0])
        upper = levels > darkest
        if upper.all() or not upper.any():
            return None
        apart = levels[upper].mean() - levels[~upper].mean()
        share = upper.mean()
        # Minimum separation of two classes of brightness: share of the variance (Otsu 1979)
        if share * (1.0 - share) * apart**2 < 0.6 * levels.var():
            return None
        return float((lit & grey & (light > (darkest + 1) / 128.0)).sum() / lit.sum())
    return None


def _colourfulness(rgb: NDArray[np.floating]) -> NDArray[np.float32]:
    """Saturation, from 0 for grey to 1."""
    highest, lowest = rgb.max(axis=-1), rgb.min(axis=-1)
    return np.asarray((highest - lowest) / np.maximum(highest, 1e-6), np.float32)
