"""Linear light to a stored picture, by a camera of any make, well or badly used."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.hardware import PARTS, Hardware, draw_foreground
from benchmarks.simulate.noise import blurred
from benchmarks.simulate.render import smear, to_jpeg, tone, vignette

ImageArray = NDArray[np.float32]

HARDWARE_RGB = ((1.0, 0.55, 0.2), (1.0, 0.75, 0.45), (1.0, 0.97, 0.92), (0.7, 0.8, 1.0))


@dataclass(frozen=True, kw_only=True)
class Look:
    """Ranges that a frame's development is drawn from."""

    # quantile and level: the exposure brings this quantile of the luminance to a share of what
    # fills the sensor, drawn evenly in its logarithm
    quantile: float
    level: tuple[float, float]
    # Range of the noise of a full pixel's hundredth, as a share of it, logarithmic
    noise: tuple[float, float] = (0.03, 0.3)
    hardware: float = 0.3  # share of frames with parts of the station in front
    lit: float = 0.3  # most brightness of those parts, as a share of what fills the sensor
    cast: float = 0.12  # spread of the logarithm of the white balance's gains
    crop: float = 0.3  # share of frames of which a part is kept
    grey: float = 0.0  # share of frames by sensors that see no colour


def develop(light: ImageArray, look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take a picture of light."""
    full = max(float(np.quantile(light.mean(axis=2), look.quantile)), 1e-9)
    picture = light * np.float32(np.exp(rng.uniform(*np.log(look.level))) / full)
    if rng.random() < look.hardware:
        picture = _behind_hardware(picture, look, rng)
    picture = _through_lens(picture, rng)
    gains = np.exp(look.cast * rng.standard_normal(3))
    picture = picture * (gains / gains[1]).astype(np.float32)
    picture = _colours(picture, rng)
    picture = picture + _noise(picture, look, rng)
    picture += np.float32(max(rng.normal(0.0, 0.004), -0.004)) * np.float32(
        rng.uniform(0.7, 1.3, 3)
    )
    if look.grey > 0.0 and rng.random() < look.grey:
        picture = np.repeat(picture[..., 1:2], 3, axis=2)
    contrast = float(rng.uniform(-0.15, 0.5))
    gamma = float(np.exp(0.12 * rng.standard_normal()))
    stored = tone(np.clip(picture, 0.0, 1.0) ** np.float32(gamma), contrast)
    return stored_file(_sharpened(stored, rng), rng, crop=look.crop)


def _behind_hardware(picture: ImageArray, look: Look, rng: np.random.Generator) -> ImageArray:
    height, width = picture.shape[:2]
    chosen = rng.choice(PARTS, size=int(rng.integers(1, 4)), replace=False)
    front = draw_foreground(
        Hardware(
            seed=int(rng.integers(2**31)),
            parts=tuple(str(part) for part in chosen),
            size=float(rng.uniform(0.2, 0.7)),
            lit_by="dark",
            brightness=look.lit * float(rng.random() ** 2),
            blur_px=float(np.exp(rng.uniform(np.log(0.5), np.log(4.0)))),
        ),
        width,
        height,
    )
    colour = np.array(HARDWARE_RGB[int(rng.integers(len(HARDWARE_RGB)))], np.float32)
    return picture * (1.0 - front.cover[..., None]) + front.light[..., None] * colour


def _through_lens(picture: ImageArray, rng: np.random.Generator) -> ImageArray:
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
        # A window's glare is of what the sensor could hold some thousand times over
        plane = np.minimum(np.ascontiguousarray(picture[..., channel]), 3000.0)
        plane = smear(plane, motion, turn)
        plane = (1.0 - halo) * blurred(plane, sigma) + halo * blurred(plane, wide)
        planes.append(plane * falloff)
    return np.stack(planes, axis=-1).astype(np.float32)


def _colours(picture: ImageArray, rng: np.random.Generator) -> ImageArray:
    """More or less colourful than the light; a few cameras see no colour."""
    grey = picture.mean(axis=2, keepdims=True)
    colourful = 0.0 if rng.random() < 0.02 else float(rng.uniform(0.65, 1.5))
    return np.maximum(grey + np.float32(colourful) * (np.minimum(picture, 30.0) - grey), 0.0)


def _noise(picture: ImageArray, look: Look, rng: np.random.Generator) -> ImageArray:
    height, width = picture.shape[:2]
    share = float(np.exp(rng.uniform(*np.log(look.noise))))
    noise = rng.standard_normal((height, width, 3), dtype=np.float32)
    noise = blurred(noise, float(rng.choice([0.0, 0.6, 1.2])))  # as the camera smooths it
    noise /= noise.std()
    noise = noise + rng.uniform(0.0, 1.0) * (noise.mean(axis=2, keepdims=True) - noise)
    spread = share * np.sqrt(0.01 * np.clip(picture, 0.0, 1.0) + np.float32(2e-5))
    return np.asarray(spread * noise, np.float32)


def _sharpened(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Unsharp masking, as cameras and editors do it."""
    amount = max(float(rng.uniform(-0.4, 1.5)), 0.0)
    soft = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.6, 1.6)))
    return np.asarray(cv2.addWeighted(picture, 1.0 + amount, soft, -amount, 0.0), np.uint8)


def stored_file(
    picture: NDArray[np.uint8], rng: np.random.Generator, *, crop: float
) -> NDArray[np.uint8]:
    """A picture turned, mirrored, cropped (so many of them), scaled, through a JPEG."""
    turns = int(rng.choice(4, p=[0.7, 0.1, 0.1, 0.1]))
    picture = np.rot90(picture, turns)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    if rng.random() < crop:
        height, width = picture.shape[:2]
        keep_y, keep_x = rng.uniform(0.6, 1.0, 2)
        top = int(rng.uniform(0.0, 1.0 - keep_y) * height)
        left = int(rng.uniform(0.0, 1.0 - keep_x) * width)
        picture = picture[top : top + int(keep_y * height), left : left + int(keep_x * width)]
    scale = float(np.exp(rng.uniform(np.log(0.75), np.log(1.4))))
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    scaled = np.asarray(
        cv2.resize(np.ascontiguousarray(picture), size, interpolation=method), np.uint8
    )
    encoded = np.frombuffer(to_jpeg(scaled, int(rng.integers(55, 97))), np.uint8)
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.uint8)
