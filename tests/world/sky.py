"""Simulated photographs of the real sky through a lens of 50 mm f/1.4, exposed for two seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray, ImageArray
from matchers.geometry.sky_camera import SkyCamera
from tests.world.fields import stored

EXPOSURE_S = 2.0
# Full width at half maximum of stars in the middle and half a diagonal away, between them with the
# square of the distance; the light that arrives there, a polynomial of that square
FWHM_PX, FWHM_CORNER_PX = 1.8, 2.6
FALLOFF = (-0.75, 0.35, -0.10)
# Wings of star images are Moffat's with beta about 3 (Trujillo et al. 2001, MNRAS 328, 977; lenses
# between 2.5 and 4.8): a = FWHM / (2 sqrt(2^(1 / beta) - 1))
MOFFAT_BETA = 3
SCALE_PER_FWHM = 0.5 / (2.0 ** (1.0 / MOFFAT_BETA) - 1.0) ** 0.5
GAUSS_NODE = 0.5 / 3.0**0.5  # two-point Gauss-Legendre across a pixel
LARGEST_HALF_PX = 90  # of the windows that stars are drawn into
END_OF_NOISE = 0.05  # of the background's: where a star has less it ends
# A D3S at ISO 6,400, brought down to 1,500 px: electrons of a pixel at its largest value, read
# noise, how many pixels are hot in one channel and how bright they are on average
FULL_SCALE, READ_NOISE, HOT_PIXELS, HOT_FULL_SCALES = 15_000.0, 9.0, 40, 0.2
# Magnitude of the star of the Sun's colour that gives one electron a second on the axis, and what a
# magnitude of BP - RP adds: red, green, blue. 10 cm^2, 1,000 photons / (s cm^2 A) at magnitude 0,
# 900 A, a quarter of them counted: 2.2e6
ZERO_POINT_MAG, COLOUR_TERMS = (15.2, 15.9, 15.3), (-0.45, 0.15, 0.75)
SUN_COLOUR, COLOUR_SPREAD_MAG = 0.82, 0.5  # BP - RP, and its spread among stars to magnitude 8
# 22 mag / arcsec^2 is 36 electrons on a pixel of 99 arcsec; airglow and the window add more
SKY_ELECTRONS_S = (70.0, 120.0, 80.0)


@dataclass(frozen=True, kw_only=True)
class SkyFrame:
    """A simulated frame and its truth: the stars whose middle lies within the picture.

    ``index`` are rows of the directions given, brightest first.
    """

    picture: NDArray[np.uint8]
    index: NDArray[np.int64]
    x: FloatArray
    y: FloatArray
    magnitude: FloatArray


def sky_frame(
    camera: SkyCamera,
    directions: FloatArray,
    magnitudes: FloatArray,
    colours: FloatArray,
    rng: np.random.Generator,
) -> SkyFrame:
    """Photograph the sky; colours that are not known are drawn."""
    index = _in_view(camera, directions, magnitudes)
    x, y = camera.project(directions[index])
    lost = ~np.isfinite(x + y)
    x[lost], y[lost] = -1e6, -1e6  # outside of every picture
    colour = rng.normal(0.0, COLOUR_SPREAD_MAG, index.size)
    colour = np.where(np.isfinite(colours[index]), colours[index] - SUN_COLOUR, colour)
    in_band = magnitudes[index][:, None] + colour[:, None] * np.array(COLOUR_TERMS)
    electrons = EXPOSURE_S * 10.0 ** (0.4 * (np.array(ZERO_POINT_MAG) - in_band))
    electrons = electrons * _arrives(_half_diagonals_squared(camera, x, y))[:, None]
    row, column = np.mgrid[: camera.height_px, : camera.width_px].astype(np.float32)
    arrives = _arrives(_half_diagonals_squared(camera, column, row)).astype(np.float32)
    sky = np.asarray(SKY_ELECTRONS_S, np.float32) * np.float32(EXPOSURE_S)
    image = np.ones((*row.shape, 1), np.float32) * sky * arrives[..., None]
    fwhm_px = FWHM_PX + (FWHM_CORNER_PX - FWHM_PX) * _half_diagonals_squared(camera, x, y)
    noise = float(np.sqrt(image[..., 1].min() + READ_NOISE**2))
    _add_stars(image, x, y, electrons, SCALE_PER_FWHM * fwhm_px, noise)
    inside = (np.abs(x - 0.5 * (camera.width_px - 1)) <= 0.5 * camera.width_px) & (
        np.abs(y - 0.5 * (camera.height_px - 1)) <= 0.5 * camera.height_px
    )
    kept = np.nonzero(inside & (electrons[:, 1] > 0.0))[0]
    return SkyFrame(
        picture=_expose(image, rng),
        index=index[kept].astype(np.int64),
        x=x[kept],
        y=y[kept],
        magnitude=magnitudes[index[kept]],
    )


def _half_diagonals_squared(camera: SkyCamera, x: NDArray, y: NDArray) -> FloatArray:
    """Squared distance of pixels from the principal point in half diagonals of the image."""
    px, py = camera.principal_point
    half = 0.5 * float(np.hypot(camera.width_px, camera.height_px))
    return np.asarray(np.hypot(np.asarray(x, float) - px, np.asarray(y, float) - py) / half) ** 2


def _arrives(r2: FloatArray) -> FloatArray:
    a1, a2, a3 = FALLOFF
    return np.asarray(np.maximum(1.0 + r2 * (a1 + r2 * (a2 + r2 * a3)), 0.0), float)


def _in_view(
    camera: SkyCamera, directions: FloatArray, magnitudes: FloatArray
) -> NDArray[np.int64]:
    """Stars that may reach the picture, brightest first.

    Chosen by angle, as a distorted projection may fold what lies far outside into the picture.
    """
    x, y = np.meshgrid([0.0, 0.5 * (camera.width_px - 1), camera.width_px - 1.0],
                       [0.0, 0.5 * (camera.height_px - 1), camera.height_px - 1.0])  # fmt: skip
    rays = camera.to_sky(x.ravel(), y.ravel())
    rays = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    reach = float(np.arccos(np.clip(rays @ rays[4], -1.0, 1.0)).max()) + 0.02
    chosen = np.nonzero(directions @ rays[4] > np.cos(reach))[0]
    return np.asarray(chosen[np.argsort(magnitudes[chosen], kind="stable")], np.int64)


def _add_stars(
    image: ImageArray,
    x: FloatArray,
    y: FloatArray,
    electrons: FloatArray,
    scales: FloatArray,
    noise_electrons: float,
) -> None:
    """Draw stars as Moffat profiles, integrated over the pixels, in place."""
    height, width, _ = image.shape
    peaks = (MOFFAT_BETA - 1) / np.pi * electrons.max(axis=1, initial=0.0) / scales**2
    end = END_OF_NOISE * noise_electrons
    for k in np.flatnonzero(peaks > end):
        reach = scales[k] * ((peaks[k] / end) ** (1.0 / MOFFAT_BETA) - 1.0) ** 0.5
        half = int(min(np.ceil(reach), LARGEST_HALF_PX))
        column, row = round(x[k]), round(y[k])
        columns = np.arange(max(column - half, 0), min(column + half + 1, width))
        rows = np.arange(max(row - half, 0), min(row + half + 1, height))
        profile = np.zeros((rows.size, columns.size))
        for down in (-GAUSS_NODE, GAUSS_NODE):
            for right in (-GAUSS_NODE, GAUSS_NODE):
                r2 = (rows[:, None] + down - y[k]) ** 2 + (columns + right - x[k]) ** 2
                profile += 0.25 / (1.0 + r2 / scales[k] ** 2) ** MOFFAT_BETA
        profile *= (MOFFAT_BETA - 1) / np.pi / scales[k] ** 2
        if profile.size:
            light = profile[..., None] * electrons[k]
            image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] += light.astype(np.float32)


def _expose(electrons: ImageArray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Picture of mean electrons: RGB in 256 steps of the curve of sRGB."""
    height, width, _ = electrons.shape
    spread = np.sqrt(np.maximum(electrons, 0.0) + np.float32(READ_NOISE**2))
    noise = rng.standard_normal(electrons.shape, dtype=np.float32)
    counted = (electrons + spread * noise) / np.float32(FULL_SCALE)
    hot_x, hot_y = (rng.integers(0, side, HOT_PIXELS) for side in (width, height))
    channel = rng.integers(0, 3, HOT_PIXELS)
    counted[hot_y, hot_x, channel] += HOT_FULL_SCALES * rng.exponential(size=HOT_PIXELS)
    return stored(np.round(np.clip(counted, 0.0, 1.0).astype(np.float32) * 65_535) / 65_535.0)
