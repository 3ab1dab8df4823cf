"""Pictures drawn with known content, for tests of the scene's features."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture, scene_picture

SIZE = (420, 640)
LAMP = (255.0, 180.0, 90.0)
Image = NDArray[np.float32]


def plain(colour: Iterable[float], size: tuple[int, int] = SIZE) -> Image:
    return np.full((*size, 3), tuple(colour), np.float32)


def grain(image: Image, sigma: float = 2.0, seed: int = 7) -> Image:
    rng = np.random.default_rng(seed)
    return image + rng.normal(0.0, sigma, image.shape).astype(np.float32)


def spots(
    image: Image,
    places: NDArray[np.float64],
    colour: Iterable[float] = LAMP,
    sigma_px: float = 1.3,
    seed: int = 3,
) -> Image:
    """Gaussian spots at (x, y), of unlike brightness."""
    rng = np.random.default_rng(seed)
    image = image.copy()
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    reach = int(6 * sigma_px) + 2
    for x, y in places:
        window = (
            slice(max(int(y) - reach, 0), int(y) + reach),
            slice(max(int(x) - reach, 0), int(x) + reach),
        )
        away = (columns[window] - x) ** 2 + (rows[window] - y) ** 2
        light = np.exp(-away / (2 * sigma_px**2)) * rng.uniform(0.3, 1.0)
        image[window] += light[..., None] * np.array(tuple(colour), np.float32)
    return image


def evenly(number: int, size: tuple[int, int] = SIZE, seed: int = 5) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return rng.uniform((8, 8), (size[1] - 8, size[0] - 8), (number, 2))


def in_towns(number: int, towns: int = 5, size: tuple[int, int] = SIZE) -> NDArray[np.float64]:
    rng = np.random.default_rng(5)
    centres = rng.uniform((90, 90), (size[1] - 90, size[0] - 90), (towns, 2))
    places = centres[rng.integers(0, towns, number)] + rng.normal(0, 22, (number, 2))
    return np.clip(places, 8, (size[1] - 9, size[0] - 9))


def sky_above(image: Image, sky: Iterable[float], curvature: float, level: float = 0.3) -> Image:
    """The part above an arc replaced; curvature in units of one over half the long side."""
    height, width = image.shape[:2]
    half = max(height, width) / 2.0
    rows, columns = np.mgrid[:height, :width]
    arc = level * height + curvature * (columns - width / 2.0) ** 2 / (2.0 * half)
    return np.where((rows < arc)[..., None], np.array(tuple(sky), np.float32), image)


def land(size: tuple[int, int] = SIZE, seed: int = 11, contrast: float = 45.0) -> Image:
    """Texture as of land by day: more contrast the larger it is."""
    rng = np.random.default_rng(seed)
    total = np.zeros(size, np.float32)
    for octave in range(1, 7):
        coarse = rng.normal(size=(size[0] // 2**octave + 2, size[1] // 2**octave + 2))
        total += 1.6**octave * cv2.resize(coarse.astype(np.float32), size[::-1])
    total *= contrast / total.std()
    return np.clip(plain((120, 125, 130), size) + total[..., None] * (0.9, 1.0, 1.1), 0, 255)


def near_infrared(size: tuple[int, int] = SIZE) -> Image:
    """Land as a camera without an infrared filter shows it: brown, under bluish cloud."""
    value = land(size, seed=21)[..., 1:2]
    return np.where(value > 150, (0.85, 1.0, 1.05), (1.15, 0.9, 0.75)) * value


def rack(size: tuple[int, int] = SIZE) -> Image:
    """Panels at right angles, as inside a module."""
    image = grain(plain((150, 150, 145), size), 3.0)
    rng = np.random.default_rng(2)
    for _ in range(40):
        x, y = rng.uniform((0, 0), (size[1], size[0]))
        w, h = rng.uniform(25, 160, 2)
        corner = int(x), int(y), int(x + w), int(y + h)
        shade = rng.uniform(30, 240)
        image[corner[1] : corner[3], corner[0] : corner[2]] = (shade, shade, shade * 0.95)
    return image


def disc(radius_px: float, size: tuple[int, int] = SIZE, bite: float | None = None) -> Image:
    """A grey disc with a sharp rim on black; a bite of the same radius makes a crescent."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    x, y = columns - size[1] * 0.45, rows - size[0] * 0.5
    inside = np.clip(radius_px - np.hypot(x, y) + 0.5, 0, 1)
    if bite is not None:
        inside *= np.clip(np.hypot(x - bite * radius_px, y) - radius_px + 0.5, 0, 1)
    return inside[..., None] * plain((215, 212, 205), size)


def sunset(size: tuple[int, int] = SIZE) -> Image:
    """Orange, white and blue layers between black and black."""
    rows = (np.mgrid[: size[0], : size[1]][0] / size[0] - 0.45)[..., None]
    image = plain((2, 2, 3), size)
    for place, width, colour in (
        (0.06, 0.035, (255, 110, 20)),
        (0.02, 0.02, (255, 220, 170)),
        (-0.03, 0.03, (60, 120, 255)),
    ):
        image = image + np.exp(-(((rows - place) / width) ** 2)) * np.array(colour, np.float32)
    return grain(image, 1.0)


def night_city(size: tuple[int, int] = SIZE) -> Image:
    """Lamps in towns on a dark Earth under a limb with airglow."""
    image = sky_above(plain((9, 10, 14), size), (3, 4, 4), 0.25, 0.2)
    glow = sky_above(plain((0, 0, 0), size), (30, 60, 20), 0.25, 0.2)
    glow -= sky_above(plain((0, 0, 0), size), (30, 60, 20), 0.25, 0.16)
    towns = in_towns(260, size=size)
    return grain(spots(image + glow, towns[towns[:, 1] > 0.35 * size[0]]))


DRAWINGS = {
    "black": lambda size: plain((0, 0, 0), size),
    "white": lambda size: plain((255, 255, 255), size),
    "noise": lambda size: np.random.default_rng(7).uniform(0, 255, (*size, 3)),
    "grey": lambda size: np.repeat(np.random.default_rng(8).uniform(0, 90, (*size, 1)), 3, axis=2),
    "night city": night_city,
    "stars": lambda size: grain(spots(plain((4, 4, 5), size), evenly(250, size), (200, 200, 210))),
    "land": land,
    "near infrared": near_infrared,
    "rack": rack,
    "moon": lambda size: disc(60.0, size),
    "sunset": sunset,
}


@cache
def drawing(kind: str, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    return eight_bit(DRAWINGS[kind](size))


def eight_bit(image: Image) -> NDArray[np.uint8]:
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def picture_of(image: Image) -> ScenePicture:
    return scene_picture(eight_bit(image))
