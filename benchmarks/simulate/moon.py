"""Simulated frames of the Moon, to train a classifier: real ones of the archive are few."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import ImageArray
from benchmarks.simulate.noise import blur_image, fractal_tile
from benchmarks.simulate.render import smear, through_jpeg, tone, vignette

LONG_SIDE_PX = (480, 660)
ASPECTS = (1.5, 1.5, 1.5, 4 / 3, 4 / 3, 16 / 9, 1.0)
MIN_RADIUS_PX = 10.0
# For a Moon that is neither hidden nor beyond the border, of at least so much of the picture
MIN_LIT = 0.0012
# The exposure brings the brightest pixel to a share of what fills the sensor; the noise of a
# hundredth of that is a share of it, too: both even in their logarithms
LEVEL, NOISE = (0.2, 3.0), (0.02, 0.4)
CAST = 0.08  # spread of the logarithm of the white balance's gains


@dataclass(frozen=True, kw_only=True)
class MoonDisc:
    """Where a Moon is drawn and how it is lit."""

    x: float
    y: float
    radius_px: float
    phase_deg: float  # between Sun and camera as seen from the Moon: 0 is full, 90 half
    turn_deg: float = 0.0  # direction of its lit side, from +x towards +y
    earthshine: float = 0.0  # light of the dark side, as a share of the lit one's


def draw_moon(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A frame of the Moon in black sky, shape (height, width, 3)."""
    longest = int(rng.integers(*LONG_SIDE_PX))
    shortest = round(longest / float(rng.choice(ASPECTS)))
    width, height = (shortest, longest) if rng.random() < 0.12 else (longest, shortest)
    light = np.zeros((height, width, 3), np.float32)
    while np.mean(light.max(axis=2) > 0.2) < MIN_LIT:  # thin ones beyond the border
        light = moon_light(_draw_disc(rng, width, height), width, height, rng)
    picture = light * np.float32(np.exp(rng.uniform(*np.log(LEVEL))) / light.mean(axis=2).max())
    return _store(_develop(_pass_through_lens(picture, rng), rng), rng)


def moon_light(disc: MoonDisc, width: int, height: int, rng: np.random.Generator) -> ImageArray:
    """A lit disc with seas and craters over black, about 0 to 1, shape (height, width, 3).

    Its surface scatters as Lommel and Seeliger have it, mu0 / (mu0 + mu): a full Moon is as
    bright at its rim as in its middle.
    """
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    turn = np.radians(disc.turn_deg)
    x, y = (columns - disc.x) / disc.radius_px, (rows - disc.y) / disc.radius_px
    along, across = np.cos(turn) * x + np.sin(turn) * y, -np.sin(turn) * x + np.cos(turn) * y
    away = np.hypot(x, y)
    mu = np.sqrt(np.clip(1.0 - away**2, 0.0, 1.0))
    phase = np.radians(disc.phase_deg)
    mu0 = np.clip(np.sin(phase) * along + np.cos(phase) * mu, 0.0, 1.0)
    lit = 2.0 * mu0 / np.maximum(mu0 + mu, 1e-3)
    albedo = _albedo(rng, along, across, mu)
    edge = np.clip((1.0 - away) * disc.radius_px + 0.5, 0.0, 1.0)
    plane = edge * albedo * (np.minimum(lit, 1.3) + disc.earthshine)
    colour = np.exp(rng.normal((0.05, 0.0, -0.06), 0.03))
    return np.asarray(plane[..., None] * colour, np.float32)


def _albedo(rng: np.random.Generator, x: ImageArray, y: ImageArray, mu: ImageArray) -> ImageArray:
    """Dark seas and bright highlands on a ball seen from afar."""
    bulge = 1.0 / (0.4 + 0.6 * mu)  # the rim is seen at a slant
    column, row = ((128.0 + 40.0 * part * bulge).astype(np.float32) % 256 for part in (x, y))
    tile = fractal_tile(rng, 256, 1.6)
    seas = cv2.remap(tile, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    dark = 1.0 / (1.0 + np.exp(-(seas - rng.uniform(-0.3, 0.6)) / 0.12))
    return np.asarray(0.8 - rng.uniform(0.25, 0.4) * dark, np.float32)


def _draw_disc(rng: np.random.Generator, width: int, height: int) -> MoonDisc:
    radius = float(np.exp(rng.uniform(np.log(MIN_RADIUS_PX), np.log(0.6 * max(width, height)))))
    reach = 0.5 if rng.random() < 0.25 else 0.35  # some are cut by the border
    thin = rng.random() < 0.15
    return MoonDisc(
        x=(0.5 + float(rng.uniform(-reach, reach))) * width,
        y=(0.5 + float(rng.uniform(-reach, reach))) * height,
        radius_px=radius,
        phase_deg=float(rng.uniform(100.0, 155.0) if thin else np.abs(rng.normal(0.0, 55.0)) % 130),
        turn_deg=float(rng.uniform(0.0, 360.0)),
        earthshine=float(np.exp(rng.uniform(-9.0, -3.5))),
    )


def _pass_through_lens(picture: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Defocus, motion, the glow about bright things, darker corners."""
    height, width = picture.shape[:2]
    # Most photos are far larger than what the classifier sees of them, and sharp at its size
    sigma = float(np.exp(rng.normal(np.log(0.4), 0.6)))
    motion = float(rng.exponential(3.0)) if rng.random() < 0.15 else 0.0
    turn = float(rng.uniform(0.0, 180.0))
    halo, wide = float(rng.uniform(0.0, 0.06)), float(rng.uniform(6.0, 40.0))
    falloff = vignette(width, height, float(rng.uniform(0.0, 0.6)))
    planes = []
    for channel in range(3):
        plane = smear(np.ascontiguousarray(picture[..., channel]), motion, turn)
        plane = (1.0 - halo) * blur_image(plane, sigma) + halo * blur_image(plane, wide)
        planes.append(plane * falloff)
    return np.stack(planes, axis=-1).astype(np.float32)


def _develop(picture: ImageArray, rng: np.random.Generator) -> NDArray[np.uint8]:
    """White balance, colourfulness, noise, black level and curve."""
    gains = np.exp(CAST * rng.standard_normal(3))
    picture = picture * (gains / gains[1]).astype(np.float32)
    level = picture.mean(axis=2, keepdims=True)  # more or less colourful than the light
    picture = np.maximum(
        level + np.float32(rng.uniform(0.65, 1.5)) * (np.minimum(picture, 30.0) - level), 0.0
    )
    picture = picture + _noise(picture, rng)
    picture += np.float32(max(rng.normal(0.0, 0.004), -0.004)) * np.float32(
        rng.uniform(0.7, 1.3, 3)
    )
    contrast = float(rng.uniform(-0.15, 0.5))
    gamma = float(np.exp(0.12 * rng.standard_normal()))
    return tone(np.clip(picture, 0.0, 1.0) ** np.float32(gamma), contrast)


def _noise(picture: ImageArray, rng: np.random.Generator) -> ImageArray:
    height, width = picture.shape[:2]
    share = float(np.exp(rng.uniform(*np.log(NOISE))))
    noise = rng.standard_normal((height, width, 3), dtype=np.float32)
    noise = blur_image(noise, float(rng.choice([0.0, 0.6, 1.2])))  # as the camera smooths it
    noise /= noise.std()
    noise = noise + rng.uniform(0.0, 1.0) * (noise.mean(axis=2, keepdims=True) - noise)
    spread = share * np.sqrt(0.01 * np.clip(picture, 0.0, 1.0) + np.float32(2e-5))
    return np.asarray(spread * noise, np.float32)


def _store(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture turned, mirrored, scaled, through a JPEG."""
    turns = int(rng.choice(4, p=[0.7, 0.1, 0.1, 0.1]))
    picture = np.rot90(picture, turns)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    rng.random()
    scale = float(np.exp(rng.uniform(np.log(0.75), np.log(1.4))))
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    scaled = cv2.resize(np.ascontiguousarray(picture), size, interpolation=method)
    return through_jpeg(np.asarray(scaled, np.uint8), int(rng.integers(55, 97)))
