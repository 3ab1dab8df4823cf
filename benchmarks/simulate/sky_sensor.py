"""From mean electrons to a picture: noise, hot pixels, clipping, tone curve or raw numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

ImageArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SkySensor:
    """A sensor and its software; the defaults are a D3S at ISO 6,400, brought down to 1,500 px.

    Attributes
    ----------
    full_scale_electrons : float
        Of a pixel of the picture at its largest value.
    read_noise_electrons : float
        One sigma.
    bits : 8, 12 or 14
        8: the sRGB curve and 256 steps; 12, 14: linear numbers with so many bits.
    jpeg_quality : int or None
        Compress and decompress 8-bit pictures as JPEG of that quality.
    hot_pixels : int
        How many; each shines in one channel.
    hot_full_scales : float
        Mean brightness of hot pixels in units of the full scale (exponentially distributed).
    """

    full_scale_electrons: float = 15_000.0
    read_noise_electrons: float = 9.0
    bits: Literal[8, 12, 14] = 8
    jpeg_quality: int | None = None
    hot_pixels: int = 40
    hot_full_scales: float = 0.2


@dataclass(frozen=True, kw_only=True)
class SkyPicture:
    """A developed picture.

    Attributes
    ----------
    stored : ndarray of uint8 or uint16, shape (h, w, 3)
        RGB as a file would hold it.
    light : ndarray of float32, shape (h, w, 3)
        The same as linear light, 1 at full scale.
    saturated : ndarray of bool, shape (h, w)
        A channel is clipped.
    hot_x, hot_y : ndarray of int64, shape (n,)
        Hot pixels.
    """

    stored: NDArray[Any]
    light: ImageArray
    saturated: NDArray[np.bool_]
    hot_x: IntArray
    hot_y: IntArray


def expose_sky(electrons: ImageArray, sensor: SkySensor, rng: np.random.Generator) -> SkyPicture:
    """Picture of mean electrons.

    Parameters
    ----------
    electrons : ndarray of float32, shape (h, w, 3)
    sensor : SkySensor
    rng : numpy.random.Generator

    Returns
    -------
    SkyPicture
    """
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
        saturated = np.any(stored >= 252, axis=2)  # as regengine.image takes for clipped
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
