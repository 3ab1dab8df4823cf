"""Fractal fields tied to the ground: coastlines, population and clouds are cut out of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from benchmarks.arrays import FloatArray

KM_PER_DEGREE = 111.2  # a texture needs no better


def fractal_tile(rng: np.random.Generator, size: int, slope: float) -> NDArray[np.float32]:
    """A periodic random field with a power-law spectrum, zero mean and unit variance."""
    spectrum = scipy.fft.rfft2(rng.standard_normal((size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    frequency[0, 0] = np.inf
    field = scipy.fft.irfft2(spectrum * frequency**-slope, s=(size, size))
    return ((field - field.mean()) / field.std()).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class GroundNoise:
    """A periodic field laid over the ground."""

    tile: NDArray[np.float32]  # shape (size, size)
    spacing_km: float  # distance of its samples on the ground
    lat0_deg: float  # latitude at which east-west distances are true
    # The tile is turned by this much, so that its repeats do not line up with meridians
    turn_deg: float = 0.0

    def at(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> FloatArray:
        """Bilinear values at geographic positions, shape as given."""
        lon, lat = np.broadcast_arrays(np.asarray(lon_deg, float), np.asarray(lat_deg, float))
        east = lon * KM_PER_DEGREE * np.cos(np.radians(self.lat0_deg)) / self.spacing_km
        north = lat * KM_PER_DEGREE / self.spacing_km
        turn = np.radians(self.turn_deg)
        column = np.cos(turn) * east - np.sin(turn) * north
        row = np.sin(turn) * east + np.cos(turn) * north
        size = len(self.tile)
        return bilinear(self.tile, column % size, row % size, cv2.BORDER_WRAP)


def bilinear(
    table: NDArray[np.float32], column: FloatArray, row: FloatArray, border: int
) -> FloatArray:
    """Bilinear values of a table (OpenCV's, in steps of 1/32 of a cell), any shape of positions."""
    width = 4096  # OpenCV wants a picture of positions, no side above 32767
    count = column.size
    full = max(-(-count // width), 1) * width
    map_x, map_y = np.zeros(full, np.float32), np.zeros(full, np.float32)
    map_x[:count], map_y[:count] = column.ravel(), row.ravel()
    values = cv2.remap(
        table,
        map_x.reshape(-1, width),
        map_y.reshape(-1, width),
        cv2.INTER_LINEAR,
        borderMode=border,
        borderValue=-1.0,
    )
    return np.asarray(values.ravel()[:count].reshape(column.shape), dtype=np.float64)


def blur_image(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """Gaussian blur with reflected borders; wide ones are done on a reduced copy."""
    if sigma_px <= 0.0:
        return image
    factor = int(sigma_px // 6)
    if factor < 2:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px), dtype=np.float32)
    height, width = image.shape[:2]
    small = cv2.resize(
        image,
        (max(width // factor, 1), max(height // factor, 1)),
        interpolation=cv2.INTER_AREA,
    )
    small = cv2.GaussianBlur(small, (0, 0), sigma_px / factor)
    return np.asarray(
        cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32
    )


# Random numbers by counter: the n-th lamp of a town is the same however many are drawn.

UintArray = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def mix(value: ArrayLike) -> UintArray:
    """Scramble 64-bit integers so that neighbours become independent.

    References
    ----------
    Steele, G. L., Lea, D. & Flood, C. H. (2014). Fast splittable pseudorandom number generators.
    OOPSLA '14 (the finaliser of SplitMix64).
    """
    z = np.atleast_1d(np.asarray(value)).astype(np.uint64)
    z = z + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


def key_of(*parts: ArrayLike) -> UintArray:
    """One 64-bit key out of several integers or integer arrays (broadcast)."""
    key = mix(0)
    for part in parts:
        values = np.atleast_1d(np.asarray(part))
        unsigned = values if values.dtype == np.uint64 else values.astype(np.int64).view(np.uint64)
        key = mix(key ^ mix(unsigned))
    return key


def uniform(key: UintArray, stream: int) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1) for keys; another stream gives independent ones."""
    bits = mix(key ^ mix(stream)) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def normal(key: UintArray, stream: int) -> NDArray[np.float64]:
    """Standard normal numbers for keys (Box and Muller 1958)."""
    radius = np.sqrt(-2.0 * np.log(uniform(key, 2 * stream + 1_000_000)))
    return radius * np.cos(2.0 * np.pi * uniform(key, 2 * stream + 1_000_001))
