"""Lightning in a photograph of a night: clouds lit from within by pulses, and their truth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import BoolArray, FloatArray
from benchmarks.simulate.render import SRGB_LIGHT, to_srgb

# Light of a flash through cloud as a camera balanced for daylight sees it, and how far it varies
FLASH_RGB = (0.86, 0.93, 1.0)
COLOUR_SPREAD = 0.03
# Widths of the cloud's lumps, pixels, and the standard deviation of the logarithm of their light
TEXTURE_PX = (3.0, 7.0, 15.0)
TEXTURE = 0.12
# A Gaussian core goes over into an exponential skirt at so many half widths
CORE_HALF_WIDTHS = 1.5
SNR_BLUR_PX = 2.5
MIN_APART = 2.2  # of the sum of two widths: nearer ones would be one flash


@dataclass(frozen=True, kw_only=True)
class FlashSettings:
    """What the flashes of a frame are like; ranges are drawn evenly, those of widths in logs."""

    count: tuple[int, int] = (1, 4)
    fwhm_px: tuple[float, float] = (8.0, 60.0)  # across; for frames of 1,000 px
    aspect: tuple[float, float] = (1.0, 2.5)
    pulses: tuple[int, int] = (1, 3)
    peak_light: tuple[float, float] = (0.02, 4.0)  # 1 fills the sensor
    noise_levels: float = 1.0  # of the 8-bit picture


@dataclass(frozen=True, kw_only=True)
class Flashes:
    """The true flashes of a frame; columns of one length."""

    # (N,): middle of the light, pixels
    x: FloatArray
    y: FloatArray
    fwhm_px: FloatArray  # (N,): geometric mean of length and width at half of the peak
    # (N,): peak of what the flash adds to the picture's mean of red, green and blue, blurred by
    # `SNR_BLUR_PX`, over the spread of the same blur of the empty picture within two widths
    snr: FloatArray


def add_lightning(
    rng: np.random.Generator,
    picture: NDArray[np.uint8],
    ground: BoolArray,
    settings: FlashSettings = FlashSettings(),
) -> tuple[NDArray[np.uint8], Flashes]:
    """Draw flashes over the ground of a picture of 8-bit sRGB, shape (h, w, 3)."""
    height, width = ground.shape
    light = SRGB_LIGHT.astype(np.float32)[picture]
    empty = cv2.GaussianBlur(picture.astype(np.float32).mean(axis=2), (0, 0), SNR_BLUR_PX)
    rows: list[tuple[float, float, float, float]] = []
    for _ in range(int(rng.integers(settings.count[0], settings.count[1] + 1))):
        fwhm = float(np.exp(rng.uniform(*np.log(settings.fwhm_px))))
        x, y = rng.uniform(0.0, width - 1.0), rng.uniform(0.0, height - 1.0)
        peak = float(np.exp(rng.uniform(*np.log(settings.peak_light))))
        flash = peak * _shape(rng, (height, width), x, y, fwhm, settings)
        near = [np.hypot(x - a, y - b) < MIN_APART * (fwhm + c) for a, b, c, _ in rows]
        if not ground[round(y), round(x)] or any(near):
            continue
        colour = np.array(FLASH_RGB) * (1.0 + COLOUR_SPREAD * rng.standard_normal(3))
        added = flash[..., None] * colour.astype(np.float32)
        alone = _levels(SRGB_LIGHT.astype(np.float32)[picture] + added).mean(axis=2)
        excess = cv2.GaussianBlur(alone, (0, 0), SNR_BLUR_PX) - empty
        away = np.hypot(np.arange(width) - x, (np.arange(height) - y)[:, None])
        spread = max(float(empty[away < 2.0 * fwhm].std()), 0.3)
        light += added
        rows.append((x, y, fwhm, float(excess.max()) / spread))
    levels = _levels(light) + settings.noise_levels * rng.standard_normal(light.shape)
    columns = np.array(rows, float).reshape(-1, 4).T
    return np.rint(np.clip(levels, 0.0, 255.0)).astype(np.uint8), Flashes(
        **dict(zip(("x", "y", "fwhm_px", "snr"), columns, strict=True))
    )


def _shape(
    rng: np.random.Generator,
    shape: tuple[int, int],
    x: float,
    y: float,
    fwhm: float,
    settings: FlashSettings,
) -> NDArray[np.float32]:
    """Light of one flash with a peak of about 1: pulses beside each other under lumpy cloud."""
    height, width = shape
    light = np.zeros(shape, np.float32)
    aspect, turn = rng.uniform(*settings.aspect), rng.uniform(0.0, np.pi)
    count = int(rng.integers(settings.pulses[0], settings.pulses[1] + 1))
    offsets = 0.35 * fwhm * rng.standard_normal((count, 2))
    offsets -= offsets.mean(axis=0)
    for dx, dy in offsets:
        across = np.arange(width) - x - dx, (np.arange(height) - y - dy)[:, None]
        u = np.cos(turn) * across[0] + np.sin(turn) * across[1]
        v = np.cos(turn) * across[1] - np.sin(turn) * across[0]
        r = np.hypot(u / np.sqrt(aspect), v * np.sqrt(aspect)) / (0.5 * fwhm)
        core = np.exp(-np.log(2.0) * r**2)
        slope = 2.0 * np.log(2.0) * CORE_HALF_WIDTHS
        skirt = np.exp(-np.log(2.0) * CORE_HALF_WIDTHS**2 - slope * (r - CORE_HALF_WIDTHS))
        light += np.where(r < CORE_HALF_WIDTHS, core, skirt).astype(np.float32)
    light /= light.max()
    for lump_px in TEXTURE_PX:
        lumps = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), lump_px)
        light *= np.exp(TEXTURE * lumps / lumps.std()).astype(np.float32)
    return light


def _levels(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Levels from 0 to 255, not rounded, of linear light."""
    return np.asarray(255.0 * to_srgb(np.clip(light, 0.0, 1.0)), np.float32)
