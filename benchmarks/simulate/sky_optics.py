"""What a lens does to starlight: its falloff, its growing stars, and each star on the pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.types import FloatArray

ImageArray = NDArray[np.float32]

# Wings of star images are Moffat's with beta about 3 (Trujillo et al. 2001, MNRAS 328, 977; lenses
# between 2.5 and 4.8)
MOFFAT_BETA = 3
# a = FWHM / (2 sqrt(2^(1 / beta) - 1))
_SCALE_PER_FWHM = 0.5 / (2.0 ** (1.0 / MOFFAT_BETA) - 1.0) ** 0.5
_GAUSS_NODE = 0.5 / 3.0**0.5  # two-point Gauss-Legendre across a pixel
# Half sides of the windows that stars are drawn into
_HALF_SIDES_PX = (2, 3, 4, 6, 9, 14, 22, 35, 55, 90)
# Stars end where a pixel has less than this share of the background's noise; whose brightest pixel
# has less are not drawn
_END_OF_NOISE = 0.05


class SkyProjection(Protocol):
    """What the simulator needs of a camera."""

    @property
    def width_px(self) -> int:
        """Width of the image."""
        ...

    @property
    def height_px(self) -> int:
        """Height of the image."""
        ...

    @property
    def principal_point(self) -> tuple[float, float]:
        """Pixel of the optical axis."""
        ...

    def to_sky(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Directions (ICRS unit vectors) that pixels see."""
        ...

    def project(self, vectors_icrs: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Pixels of directions; NaN where the camera cannot see them."""
        ...


@dataclass(frozen=True, kw_only=True)
class SkyLens:
    """How sharp and how bright a lens draws, by the distance from the optical axis."""

    # fwhm_px and fwhm_corner_px: full width at half maximum of stars in the middle and half a
    # diagonal away; it grows with the square of the distance.
    fwhm_px: float = 1.8
    fwhm_corner_px: float = 2.6
    # Share of the light that arrives: 1 + a1 r^2 + a2 r^4 + a3 r^6, r in half diagonals
    falloff: tuple[float, float, float] = (-0.75, 0.35, -0.10)

    def fwhm(self, camera: SkyProjection, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Full width at half maximum of stars at some pixels."""
        grown = (self.fwhm_corner_px - self.fwhm_px) * half_diagonals(camera, x, y) ** 2
        return np.asarray(self.fwhm_px + grown, float)

    def arrives(self, camera: SkyProjection, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Share of the light that arrives at some pixels, 1 on the axis."""
        r2 = half_diagonals(camera, x, y) ** 2
        a1, a2, a3 = self.falloff
        return np.asarray(np.maximum(1.0 + r2 * (a1 + r2 * (a2 + r2 * a3)), 0.0), float)


def half_diagonals(camera: SkyProjection, x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Distance of pixels from the principal point in half diagonals of the image."""
    px, py = camera.principal_point
    half = 0.5 * float(np.hypot(camera.width_px, camera.height_px))
    return np.asarray(np.hypot(np.asarray(x, float) - px, np.asarray(y, float) - py) / half)


def add_stars(
    image: ImageArray,
    x: FloatArray,
    y: FloatArray,
    electrons: FloatArray,
    fwhm_px: FloatArray,
    noise_electrons: float,
) -> None:
    """Draw stars as Moffat profiles, integrated over the pixels, in place."""
    scale = fwhm_px * _SCALE_PER_FWHM
    peak = (MOFFAT_BETA - 1) / np.pi * electrons.max(axis=1, initial=0.0) / scale**2
    end = _END_OF_NOISE * noise_electrons
    reach = scale * np.sqrt(np.maximum(peak / end, 1.0) ** (1.0 / MOFFAT_BETA) - 1.0)
    seen = peak > end
    least = 0.0
    for half in _HALF_SIDES_PX:
        most = np.inf if half == _HALF_SIDES_PX[-1] else float(half)
        chosen = np.nonzero(seen & (reach > least) & (reach <= most))[0]
        most_pixels = 2_000_000  # bounds the memory for the largest windows
        step = max(1, most_pixels // (2 * half + 1) ** 2)
        for start in range(0, chosen.size, step):
            part = chosen[start : start + step]
            _draw(image, x[part], y[part], electrons[part], scale[part], half)
        least = most


def _draw(
    image: ImageArray,
    x: FloatArray,
    y: FloatArray,
    electrons: FloatArray,
    scale: FloatArray,
    half: int,
) -> None:
    """Stars that share the size of their window."""
    height, width, channels = image.shape
    offset = np.arange(-half, half + 1)
    column = np.round(x).astype(int)[:, None] + offset
    row = np.round(y).astype(int)[:, None] + offset
    from_x, from_y = column - x[:, None], row - y[:, None]
    profile = np.zeros((x.size, offset.size, offset.size))
    inverse = (1.0 / scale**2)[:, None, None]
    for shift_y in (-_GAUSS_NODE, _GAUSS_NODE):
        y2 = ((from_y + shift_y) ** 2)[:, :, None]
        for shift_x in (-_GAUSS_NODE, _GAUSS_NODE):
            x2 = ((from_x + shift_x) ** 2)[:, None, :]
            profile += 0.25 / (1.0 + (x2 + y2) * inverse) ** MOFFAT_BETA
    profile *= (MOFFAT_BETA - 1) / np.pi * inverse
    inside = ((row >= 0) & (row < height))[:, :, None] & ((column >= 0) & (column < width))[
        :, None, :
    ]
    index = (row[:, :, None] * width + column[:, None, :])[inside]
    for channel in range(channels):
        light = (profile * electrons[:, channel, None, None])[inside]
        plane = np.bincount(index, weights=light, minlength=height * width)
        image[..., channel] += plane.reshape(height, width).astype(np.float32)


def peak_share(fwhm_px: FloatArray) -> FloatArray:
    """Share of a star's light in its brightest pixel: within a circle of a pixel's area."""
    area = np.pi * (fwhm_px * _SCALE_PER_FWHM) ** 2
    return np.asarray(1.0 - (1.0 + 1.0 / area) ** (1.0 - MOFFAT_BETA), float)


# From mean electrons to a picture: noise, hot pixels, clipping, tone curve or raw numbers.

IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SkySensor:
    """A sensor and its software; the defaults are a D3S at ISO 6,400, brought down to 1,500 px."""

    full_scale_electrons: float = 15_000.0  # of a pixel of the picture at its largest value
    read_noise_electrons: float = 9.0  # one sigma
    # 8: the sRGB curve and 256 steps; 12, 14: linear numbers with so many bits.
    bits: Literal[8, 12, 14] = 8
    # Compress and decompress 8-bit pictures as JPEG of that quality
    jpeg_quality: int | None = None
    hot_pixels: int = 40  # how many; each shines in one channel.
    # Mean brightness of hot pixels in units of the full scale (exponentially distributed)
    hot_full_scales: float = 0.2


@dataclass(frozen=True, kw_only=True)
class SkyPicture:
    """A developed picture."""

    stored: NDArray[Any]  # shape (h, w, 3): RGB as a file would hold it
    light: ImageArray  # shape (h, w, 3): The same as linear light, 1 at full scale
    saturated: NDArray[np.bool_]  # shape (h, w): A channel is clipped
    # hot_x and hot_y: shape (n,): Hot pixels
    hot_x: IntArray
    hot_y: IntArray


def expose_sky(electrons: ImageArray, sensor: SkySensor, rng: np.random.Generator) -> SkyPicture:
    """Picture of mean electrons."""
    height, width, _ = electrons.shape
    spread = np.sqrt(np.maximum(electrons, 0.0) + np.float32(sensor.read_noise_electrons**2))
    noise = rng.standard_normal(electrons.shape, dtype=np.float32)
    counted = (electrons + spread * noise) / np.float32(sensor.full_scale_electrons)
    hot_x = rng.integers(0, width, sensor.hot_pixels)
    hot_y = rng.integers(0, height, sensor.hot_pixels)
    channel = rng.integers(0, 3, sensor.hot_pixels)
    counted[hot_y, hot_x, channel] += sensor.hot_full_scales * rng.exponential(
        size=sensor.hot_pixels
    )
    clipped: ImageArray = np.clip(counted, 0.0, 1.0).astype(np.float32)
    if sensor.bits == 8:
        stored: NDArray[Any] = _through_jpeg(_srgb(clipped), sensor.jpeg_quality)
        light = _SRGB_LIGHT[stored]
        saturated = np.any(stored >= 252, axis=2)  # as regengine.photo.image takes for clipped
    else:
        top = 2**sensor.bits - 1
        stored = np.round(clipped * top).astype(np.uint16)
        light = (stored / np.float32(top)).astype(np.float32)
        saturated = np.any(stored == top, axis=2)
    return SkyPicture(
        stored=stored, light=light, saturated=np.asarray(saturated), hot_x=hot_x, hot_y=hot_y
    )


def _srgb_light() -> ImageArray:
    """Linear light of the 256 values of sRGB (IEC 61966-2-1)."""
    value = np.arange(256) / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_SRGB_LIGHT = _srgb_light()
_STEPS = 65_535


def _srgb(light: ImageArray) -> NDArray[np.uint8]:
    table = np.arange(_STEPS + 1) / _STEPS
    curve = np.where(table <= 0.0031308, 12.92 * table, 1.055 * table ** (1 / 2.4) - 0.055)
    values = np.round(255.0 * curve).astype(np.uint8)
    return np.asarray(values[np.round(light * _STEPS).astype(np.int32)])


def _through_jpeg(picture: NDArray[np.uint8], quality: int | None) -> NDArray[np.uint8]:
    if quality is None:
        return picture
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, packed = cv2.imencode(".jpg", picture[..., ::-1], settings)
    unpacked = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(np.asarray(unpacked, np.uint8)[..., ::-1])
