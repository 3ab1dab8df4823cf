"""Pictures drawn with known content: limbs, lightning, and scenes by day and night."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.limb import compute_rays, limb_angle_deg, nadir_vector
from tests.world.fields import spot

ALTITUDE_KM = 415.0
FLASH_RGB = (0.86, 0.93, 1.0)
SODIUM_RGB = (1.0, 0.55, 0.12)
SIZE = (420, 640)
LAMP = (255.0, 180.0, 90.0)
Image = NDArray[np.float32]


def drawn_limb(
    *,
    off_nadir_deg,
    roll_deg,
    focal_px=320.0,
    shape=(267, 400),
    airglow=0.02,
    ground=0.003,
    cities=60,
    seed=0,
):
    """Linear light; heights in the sky from the sine of the angle to the nadir."""
    rng = np.random.default_rng(seed)
    height, width = shape
    x, y = np.meshgrid(np.arange(float(width)), np.arange(float(height)))
    centre = ((width - 1) / 2.0, (height - 1) / 2.0)
    angle = np.degrees(
        np.arccos(compute_rays(x, y, focal_px, centre) @ nadir_vector(off_nadir_deg, roll_deg))
    )
    edge, layer = limb_angle_deg(ALTITUDE_KM, 0.0), limb_angle_deg(ALTITUDE_KM, 93.0)
    light = 0.0008 + ground * (angle < edge)
    light += airglow * np.exp(-0.5 * ((angle - layer) / 0.12) ** 2)
    light += 0.3 * airglow * ((angle < layer) & (angle > edge))
    below = np.argwhere(angle < edge - 3.0)
    for row, column in below[rng.integers(0, len(below), cities)] if len(below) else []:
        spot(light, column, row, 1.5, rng.uniform(0.02, 0.5))
    above = np.argwhere(angle > layer + 1.0)
    for row, column in above[rng.integers(0, len(above), 200)] if len(above) else []:
        light[row, column] += 0.1
    light += 0.0006 * rng.standard_normal(shape)
    return np.clip(light, 0.0, 1.0).astype(np.float32)


def night_ground(height, width, *, seed=0, noise=4e-4):
    """Dark ground with faint structure that can be recognised in a neighbour, and sodium lamps."""
    rng = np.random.default_rng(seed)
    lumps = sum(
        cv2.GaussianBlur(rng.standard_normal((height, width)), (0, 0), px) * px for px in (2, 6, 15)
    )
    light = (0.008 + 0.004 * np.clip(lumps, -1.5, 3.0))[..., None] * np.ones(3)
    for x, y in rng.uniform((6, 6), (width - 6, height - 6), (60, 2)):
        add_blob(light, x, y, 1.2, float(rng.uniform(0.1, 0.5)), SODIUM_RGB)
    return np.clip(light + rng.normal(0.0, noise, light.shape), 0.0, 1.0).astype(np.float32)


def add_blob(light, x, y, sigma, peak, colour=FLASH_RGB):
    """Add a Gaussian of coloured light, in place."""
    for channel, share in enumerate(colour):
        spot(light[..., channel], x, y, sigma, peak * share)


def plain(colour, size=SIZE):
    return np.full((*size, 3), tuple(colour), np.float32)


def grain(image, sigma=2.0, seed=7):
    rng = np.random.default_rng(seed)
    return image + rng.normal(0.0, sigma, image.shape).astype(np.float32)


def spots(image, places, colour=LAMP, sigma_px=1.3, seed=3):
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


def evenly(number, size=SIZE, seed=5):
    rng = np.random.default_rng(seed)
    return rng.uniform((8, 8), (size[1] - 8, size[0] - 8), (number, 2))


def sky_above(image, sky, curvature, level=0.3):
    """The part above an arc replaced; curvature in units of one over half the long side."""
    height, width = image.shape[:2]
    half = max(height, width) / 2.0
    rows, columns = np.mgrid[:height, :width]
    arc = level * height + curvature * (columns - width / 2.0) ** 2 / (2.0 * half)
    return np.where((rows < arc)[..., None], np.array(tuple(sky), np.float32), image)


def land(size=SIZE, seed=11, contrast=45.0):
    """Texture as of land by day: more contrast the larger it is."""
    rng = np.random.default_rng(seed)
    total = np.zeros(size, np.float32)
    for octave in range(1, 7):
        coarse = rng.normal(size=(size[0] // 2**octave + 2, size[1] // 2**octave + 2))
        total += 1.6**octave * cv2.resize(coarse.astype(np.float32), size[::-1])
    total *= contrast / total.std()
    return np.clip(plain((120, 125, 130), size) + total[..., None] * (0.9, 1.0, 1.1), 0, 255)


def rack(size=SIZE):
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


def disc(radius_px, size=SIZE, bite=None):
    """A grey disc with a sharp rim on black; a bite of the same radius makes a crescent."""
    rows, columns = np.mgrid[: size[0], : size[1]].astype(np.float32)
    x, y = columns - size[1] * 0.45, rows - size[0] * 0.5
    inside = np.clip(radius_px - np.hypot(x, y) + 0.5, 0, 1)
    if bite is not None:
        inside *= np.clip(np.hypot(x - bite * radius_px, y) - radius_px + 0.5, 0, 1)
    return inside[..., None] * plain((215, 212, 205), size)


def sunset(size=SIZE):
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


def night_city(size=SIZE):
    """Lamps in towns on a dark Earth under a limb with airglow."""
    image = sky_above(plain((9, 10, 14), size), (3, 4, 4), 0.25, 0.2)
    glow = sky_above(plain((0, 0, 0), size), (30, 60, 20), 0.25, 0.2)
    glow -= sky_above(plain((0, 0, 0), size), (30, 60, 20), 0.25, 0.16)
    rng = np.random.default_rng(5)
    centres = rng.uniform((90, 90), (size[1] - 90, size[0] - 90), (5, 2))
    towns = centres[rng.integers(0, 5, 260)] + rng.normal(0, 22, (260, 2))
    towns = np.clip(towns, 8, (size[1] - 9, size[0] - 9))
    return grain(spots(image + glow, towns[towns[:, 1] > 0.35 * size[0]]))


DRAWINGS = {
    "black": lambda size: plain((0, 0, 0), size),
    "white": lambda size: plain((255, 255, 255), size),
    "noise": lambda size: np.random.default_rng(7).uniform(0, 255, (*size, 3)),
    "night city": night_city,
    "stars": lambda size: grain(spots(plain((4, 4, 5), size), evenly(250, size), (200, 200, 210))),
    "land": land,
    "rack": rack,
    "moon": lambda size: disc(60.0, size),
    "sunset": sunset,
}


@cache
def drawing(kind, size=SIZE):
    return eight_bit(DRAWINGS[kind](size))


def eight_bit(image):
    return np.clip(np.round(image), 0, 255).astype(np.uint8)
