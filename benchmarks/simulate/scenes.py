"""Simulated frames of scenes that no trial shows, to train a classifier where real ones are few.

By day, honest or in the near infrared; the station within and without; the Moon; the Sun at the
limb.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray, ImageArray
from benchmarks.simulate.hardware import PARTS, Hardware, draw_foreground
from benchmarks.simulate.noise import bilinear, blur_image, fractal_tile
from benchmarks.simulate.render import smear, to_jpeg, tone, vignette


@dataclass(frozen=True, kw_only=True)
class Look:
    """Ranges that a frame's development is drawn from."""

    # quantile and level: the exposure brings this quantile of the luminance to a share of what
    # fills the sensor, drawn evenly in its logarithm
    quantile: float
    level: tuple[float, float]
    # Range of the noise of a full pixel's hundredth, as a share of it, logarithmic
    noise: tuple[float, float] = (0.03, 0.3)
    cast: float = 0.12  # spread of the logarithm of the white balance's gains
    crop: float = 0.3  # share of frames of which a part is kept


def develop(light: ImageArray, look: Look, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Take a picture of light."""
    full = max(float(np.quantile(light.mean(axis=2), look.quantile)), 1e-9)
    picture = light * np.float32(np.exp(rng.uniform(*np.log(look.level))) / full)
    picture = _pass_through_lens(picture, rng)
    gains = np.exp(look.cast * rng.standard_normal(3))
    picture = picture * (gains / gains[1]).astype(np.float32)
    level = picture.mean(axis=2, keepdims=True)  # more or less colourful than the light
    picture = np.maximum(
        level + np.float32(rng.uniform(0.65, 1.5)) * (np.minimum(picture, 30.0) - level), 0.0
    )
    picture = picture + _noise(picture, look, rng)
    picture += np.float32(max(rng.normal(0.0, 0.004), -0.004)) * np.float32(
        rng.uniform(0.7, 1.3, 3)
    )
    contrast = float(rng.uniform(-0.15, 0.5))
    gamma = float(np.exp(0.12 * rng.standard_normal()))
    stored = tone(np.clip(picture, 0.0, 1.0) ** np.float32(gamma), contrast)
    return store_picture(stored, rng, crop=look.crop)


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
        # A window's glare is of what the sensor could hold some thousand times over
        plane = np.minimum(np.ascontiguousarray(picture[..., channel]), 3000.0)
        plane = smear(plane, motion, turn)
        plane = (1.0 - halo) * blur_image(plane, sigma) + halo * blur_image(plane, wide)
        planes.append(plane * falloff)
    return np.stack(planes, axis=-1).astype(np.float32)


def _noise(picture: ImageArray, look: Look, rng: np.random.Generator) -> ImageArray:
    height, width = picture.shape[:2]
    share = float(np.exp(rng.uniform(*np.log(look.noise))))
    noise = rng.standard_normal((height, width, 3), dtype=np.float32)
    noise = blur_image(noise, float(rng.choice([0.0, 0.6, 1.2])))  # as the camera smooths it
    noise /= noise.std()
    noise = noise + rng.uniform(0.0, 1.0) * (noise.mean(axis=2, keepdims=True) - noise)
    spread = share * np.sqrt(0.01 * np.clip(picture, 0.0, 1.0) + np.float32(2e-5))
    return np.asarray(spread * noise, np.float32)


def store_picture(
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


EARTH_RADIUS_KM = 6371.0
TILE = 512
LEVELS = 6
LONG_SIDE_PX = (480, 660)
ASPECTS = (1.5, 1.5, 1.5, 4 / 3, 4 / 3, 16 / 9, 1.0)


@dataclass(frozen=True, kw_only=True)
class View:
    """Sights of a frame's pixels."""

    width_px: int
    height_px: int
    focal_px: float
    altitude_km: float
    # Shape (height, width): Least height along the sight, below 0 for ground
    perigee_km: FloatArray
    # ahead_km and aside_km: shape (height, width): Ground seen, from the nadir along the Earth's
    # curve; that of the limb for the sky.
    ahead_km: FloatArray
    aside_km: FloatArray
    distance_km: FloatArray  # shape (height, width): To that ground
    # Shape (height, width): Of the angle between the sight and the ground's vertical, 0 to 1
    cosine: FloatArray

    @property
    def ground(self) -> ImageArray:
        """1 on ground and 0 on sky, with a soft edge of a pixel, shape (height, width)."""
        km_per_px = np.sqrt(2.0 * EARTH_RADIUS_KM * self.altitude_km) / self.focal_px
        return np.asarray(np.clip(0.5 - self.perigee_km / km_per_px, 0.0, 1.0), np.float32)

    @property
    def footprint_km(self) -> FloatArray:
        """Size of a pixel on the ground, shape (height, width)."""
        return self.distance_km / self.focal_px / np.sqrt(np.clip(self.cosine, 0.02, 1.0))


def limb_off_nadir_deg(altitude_km: float) -> float:
    """Angle between the nadir and the limb, degrees."""
    return float(np.degrees(np.arcsin(EARTH_RADIUS_KM / (EARTH_RADIUS_KM + altitude_km))))


def frame_size(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height of a frame, pixels."""
    longest = int(rng.integers(*LONG_SIDE_PX))
    shortest = round(longest / float(rng.choice(ASPECTS)))
    return (shortest, longest) if rng.random() < 0.12 else (longest, shortest)


def draw_view(
    rng: np.random.Generator,
    *,
    limb: tuple[float, float] | None = None,
    off_nadir_deg: tuple[float, float] = (0.0, 45.0),
    field_deg: tuple[float, float] = (12.0, 80.0),
) -> View:
    """Draw where a camera looks."""
    width, height = frame_size(rng)
    field = np.exp(rng.uniform(*np.log(field_deg)))
    focal = 0.5 * max(width, height) / np.tan(np.radians(0.5 * field))
    altitude_km = float(rng.uniform(340.0, 430.0))
    if limb is None:
        lean, roll = float(rng.uniform(*off_nadir_deg)), float(rng.uniform(-180.0, 180.0))
    else:
        away = float(np.degrees(np.arctan(0.5 * min(width, height) / focal)))
        lean = limb_off_nadir_deg(altitude_km) - float(rng.uniform(*limb)) * away
        # Mostly held level, some obliquely, and a few anyhow
        roll = float(rng.choice([4.0, 25.0, 180.0], p=[0.5, 0.35, 0.15]) * rng.uniform(-1.0, 1.0))
    return view_at(width, height, focal, altitude_km, lean, roll)


def view_at(
    width: int, height: int, focal_px: float, altitude_km: float, lean_deg: float, roll_deg: float
) -> View:
    """Sights of a camera that leans from the nadir and is turned about its axis."""
    lean, roll = np.radians([lean_deg, roll_deg])
    forward = np.array([np.sin(lean), 0.0, -np.cos(lean)])
    top = np.array([np.cos(lean), 0.0, np.sin(lean)])
    right = np.cos(roll) * np.cross(forward, top) - np.sin(roll) * top
    axes = np.stack([right, np.cross(forward, right), forward], axis=1)
    u = (np.arange(width) - 0.5 * (width - 1)) / focal_px
    v = (np.arange(height) - 0.5 * (height - 1)) / focal_px
    local = np.stack(np.broadcast_arrays(u[None, :], v[:, None], 1.0), axis=-1)
    rays = local @ axes.T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    radius = EARTH_RADIUS_KM + altitude_km
    towards = -radius * rays[..., 2]
    closest = np.sqrt(np.maximum(radius**2 - towards**2, 0.0))
    perigee = np.where(towards > 0.0, closest - EARTH_RADIUS_KM, altitude_km - towards)
    depth = np.sqrt(np.maximum(EARTH_RADIUS_KM**2 - closest**2, 0.0))
    distance = np.where(
        towards > 0.0, towards - depth, np.sqrt(2.0 * EARTH_RADIUS_KM * altitude_km)
    )
    point = distance[..., None] * rays + (0.0, 0.0, radius)
    flat = np.hypot(point[..., 0], point[..., 1])
    arc = EARTH_RADIUS_KM * np.arctan2(flat, point[..., 2]) / np.maximum(flat, 1e-9)
    return View(
        width_px=width,
        height_px=height,
        focal_px=float(focal_px),
        altitude_km=altitude_km,
        perigee_km=perigee,
        ahead_km=arc * point[..., 0],
        aside_km=arc * point[..., 1],
        distance_km=distance,
        cosine=np.clip(depth / EARTH_RADIUS_KM, 0.0, 1.0),
    )


def ground_texture(
    rng: np.random.Generator, view: View, *, scale_km: float, slope: float, stretch: float = 1.0
) -> ImageArray:
    """A fractal field on the ground as the pixels see it, smoothed where they see much ground."""
    tile = fractal_tile(rng, TILE, slope)
    spacing = 3.0 * scale_km / TILE
    turn = rng.uniform(0.0, 2.0 * np.pi)
    along = np.cos(turn) * view.ahead_km - np.sin(turn) * view.aside_km
    across = np.sin(turn) * view.ahead_km + np.cos(turn) * view.aside_km
    level = np.clip(np.log2(np.maximum(view.footprint_km / spacing, 1e-6)), 0.0, LEVELS - 1.0)
    offset = rng.uniform(0.0, TILE, 2)
    result = np.zeros(along.shape)
    for number in range(LEVELS):
        share = np.maximum(1.0 - np.abs(level - number), 0.0)
        if share.any():
            size = len(tile)
            step = spacing * 2.0**number
            column = (along / stretch / step + offset[0] / 2.0**number) % size
            row = (across / step + offset[1] / 2.0**number) % size
            result += share * bilinear(tile, column, row, cv2.BORDER_WRAP)
        half = (len(tile) // 2, len(tile) // 2)
        tile = np.asarray(cv2.resize(tile, half, interpolation=cv2.INTER_AREA), np.float32)
    return result.astype(np.float32)


# Reflectances at 0.61, 0.54, 0.46 and 0.85 um: green leaves are four to ten times brighter in the
# near infrared than in red, water is black there (after the USGS spectral library, version 7).
SEA = (0.020, 0.035, 0.055, 0.008)
SHALLOWS = (0.05, 0.16, 0.17, 0.012)
FOREST = (0.035, 0.060, 0.030, 0.38)
SOIL = (0.17, 0.12, 0.08, 0.25)
DESERT = (0.42, 0.29, 0.18, 0.50)
SNOW = (0.82, 0.84, 0.86, 0.72)
# Of clear air looking straight down, and its colour-dependent optical depth
AIR = (0.022, 0.048, 0.105, 0.008)
AIR_DEPTH = (0.08, 0.13, 0.24, 0.03)


def day_reflectance(view: View, rng: np.random.Generator) -> ImageArray:
    """A day's Earth as a camera above the air sees it."""
    extent_km = max(60.0, float(np.median(view.footprint_km)) * view.width_px)
    ground = surface(view, rng, extent_km)
    # The lower the Sun, the darker and the warmer
    sun_height = float(np.sin(np.radians(rng.uniform(12.0, 80.0))))
    ground *= sun_height
    depth, shading = clouds(view, rng, extent_km, float(rng.beta(0.8, 1.3)))
    shadow = np.roll(depth, (int(rng.integers(-6, 7)), int(rng.integers(-6, 7))), (0, 1))
    ground *= 1.0 - 0.55 * (1.0 - np.exp(-shadow))[..., None]
    opaque = 1.0 - np.exp(-depth)
    white = 0.85 * sun_height * depth / (depth + 3.0) * shading
    tint = np.array([1.0, 1.0, 1.02, 0.93], np.float32)
    ground = ground * (1.0 - opaque[..., None]) + white[..., None] * tint
    return add_air(view, ground, sun_height, float(np.exp(rng.normal(0.3, 0.5))))


def surface(view: View, rng: np.random.Generator, extent_km: float) -> ImageArray:
    """Reflectance of land and sea, shape (height, width, 4)."""
    shape = (*view.perigee_km.shape, 4)
    height = ground_texture(
        rng, view, scale_km=extent_km * rng.uniform(0.3, 2.0), slope=rng.uniform(1.4, 2.0)
    )
    wet = ground_texture(rng, view, scale_km=extent_km * 0.8, slope=1.5) + rng.normal(0.0, 1.0)
    fine = ground_texture(rng, view, scale_km=extent_km * 0.25, slope=1.0)
    level = float(rng.choice([-3.0, 3.0, np.nan], p=[0.3, 0.25, 0.45]))
    if not np.isfinite(level):
        level = float(np.quantile(height, rng.uniform(0.15, 0.85)))
    sea = np.clip((level - height) / 0.02, 0.0, 1.0)[..., None]
    near_coast = np.exp(-np.abs(level - height) / rng.uniform(0.02, 0.25))[..., None]
    shallow = np.array(SHALLOWS, np.float32)
    tint = np.exp(rng.normal(0.0, 0.25, 4)).astype(np.float32)
    water = np.array(SEA, np.float32) * tint
    water = water + (near_coast * rng.random()) * (shallow - water)
    water = water * (1.0 + 0.1 * fine[..., None])
    dry = np.clip(0.5 - 0.5 * wet, 0.0, 1.0)[..., None]
    green, soil, bare = (np.array(colour, np.float32) for colour in (FOREST, SOIL, DESERT))
    land = green + np.clip(2.0 * dry, 0.0, 1.0) * (soil - green)
    land = land + np.clip(2.0 * dry - 1.0, 0.0, 1.0) * (bare - land)
    land = land * np.exp(rng.uniform(0.1, 0.35) * fine)[..., None]
    land = land * _relief(height, 0.3, rng)[..., None]
    if rng.random() < 0.25:
        line = float(np.quantile(height, rng.uniform(0.4, 0.97)))
        high = np.clip((height + 0.15 * fine - line) / 0.4, 0.0, 1.0)[..., None]
        land = land + high * (np.array(SNOW, np.float32) - land)
    return np.broadcast_to(sea * water + (1.0 - sea) * land, shape).astype(np.float32)


def clouds(
    view: View, rng: np.random.Generator, extent_km: float, cover: float
) -> tuple[ImageArray, ImageArray]:
    """Optical depth and side-lit shading of clouds, each shape (height, width).

    ``cover`` is the share of the picture that they touch.
    """
    slope, stretch = float(rng.uniform(1.0, 1.8)), float(np.exp(abs(rng.normal(0.0, 0.6))))
    field = ground_texture(
        rng, view, scale_km=extent_km * rng.uniform(0.15, 1.2), slope=slope, stretch=stretch
    )
    if rng.random() < 0.5:  # little ones within the large
        field = field + 0.7 * ground_texture(rng, view, scale_km=extent_km * 0.1, slope=1.0)
    threshold = float(np.quantile(field, 1.0 - np.clip(cover, 0.0, 0.98)))
    thick = np.maximum(field - threshold, 0.0) / rng.uniform(0.4, 2.0)
    depth = np.exp(rng.uniform(np.log(0.6), np.log(8.0))) * thick ** rng.uniform(1.0, 2.2)
    shading = _relief(blur_image(np.asarray(field, np.float32), 1.0), 0.3, rng)
    return depth.astype(np.float32), shading


def add_air(view: View, ground: ImageArray, sun_height: float, haze: float) -> ImageArray:
    """Ground dimmed and veiled by the air before it, and the air above the limb."""
    mass = 1.0 / np.sqrt(np.clip(view.cosine, 0.0, 1.0) ** 2 + 0.0016)
    optical = haze * mass[..., None] * np.array(AIR_DEPTH, np.float32)
    full = np.array(AIR, np.float32) / np.array(AIR_DEPTH, np.float32) * sun_height
    # Air that is deep enough turns white
    veil = full * (1.0 - np.exp(-optical)) * (1.0 + 0.5 * (1.0 - np.exp(-0.3 * optical)))
    below = ground * np.exp(-optical) + veil
    height_km = np.maximum(view.perigee_km, 0.0)[..., None]
    scale = np.array([7.0, 8.0, 9.0, 7.0], np.float32)
    # Along the limb's tangent there is 70 times as much air as above the nadir
    tangent = 25.0 * haze * np.array(AIR_DEPTH, np.float32) * np.exp(-height_km / scale)
    above = full * (1.0 - np.exp(-tangent)) * 1.5
    edge = view.ground[..., None]
    return np.asarray(edge * below + (1.0 - edge) * above, np.float32)


def _relief(field: ImageArray, most: float, rng: np.random.Generator) -> ImageArray:
    """Shading of a surface lit from a side, about 1."""
    turn = rng.uniform(0.0, 2.0 * np.pi)
    step = np.cos(turn) * cv2.Sobel(field, cv2.CV_32F, 1, 0, scale=0.125)
    step = step + np.sin(turn) * cv2.Sobel(field, cv2.CV_32F, 0, 1, scale=0.125)
    strength = most * rng.random() / max(float(step.std()), 1e-6)
    return np.asarray(np.clip(1.0 + strength * step, 0.3, 1.8), np.float32)


# Of visible light and of the near infrared by red, green and blue pixels: without any filter
# against infrared, and behind a blue and a red gel
FILTERS = (
    ((1.0, 1.0, 1.0), (1.0, 0.6, 0.6)),
    ((0.05, 0.4, 0.9), (1.0, 0.6, 0.6)),
    ((0.85, 0.08, 0.04), (1.0, 0.6, 0.6)),
)


def remove_infrared_filter(light: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Light as a camera without infrared filter records and balances it."""
    visible, infrared = FILTERS[int(rng.integers(len(FILTERS)))]
    sense = np.array(infrared) * np.exp(rng.normal(0.0, 0.2, 3))
    rgb = light[..., :3] * np.array(visible) + light[..., 3:] * sense
    # Most automatic white balances even out the means; one set for daylight leaves all red
    white, evened = rgb.mean(axis=(0, 1)), rng.uniform(0.2, 1.05)
    gains = (white.mean() / np.maximum(white, 1e-6)) ** evened
    return np.asarray(rgb * gains * np.exp(rng.normal((0.02, 0.0, 0.02), 0.03)), np.float32)


DAY_LOOK = Look(quantile=0.9, level=(0.12, 0.9), noise=(0.01, 0.15), cast=0.08)
INFRARED_LOOK = Look(quantile=0.9, level=(0.15, 0.8), noise=(0.01, 0.15), cast=0.03)


def day(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A day frame: linear red, green and blue, and how to develop it."""
    light, _ = day_light(rng, limb_share=0.2)
    # Settings of the white balance from that of lamps to that of shade
    warm, pink = rng.normal(0.0, (0.09, 0.02))
    rgb = light[..., :3] * np.exp(np.array([warm + pink, 0.0, pink - warm], np.float32))
    return rgb, DAY_LOOK


def draw_infrared(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A day frame by a sensor without infrared filter, bare or behind a filter of one colour."""
    light, _ = day_light(rng, limb_share=0.08)
    rgb = remove_infrared_filter(light, rng)
    return rgb, INFRARED_LOOK


def day_light(rng: np.random.Generator, *, limb_share: float) -> tuple[ImageArray, View]:
    """Light of a day frame in four bands, and its view; so many show the limb."""
    if rng.random() >= limb_share:
        view = draw_view(rng, off_nadir_deg=(0.0, 45.0), field_deg=(2.0, 70.0))
    else:
        view = draw_view(rng, limb=(0.0, 1.3), field_deg=(20.0, 90.0))
    light = day_reflectance(view, rng)
    if rng.random() < 0.2:  # haze, or a window that the Sun shines on
        tile = cv2.resize(fractal_tile(rng, 64, 2.0), (view.width_px, view.height_px))
        veil = blur_image(np.asarray(np.clip(1.0 + 0.5 * tile, 0.0, 2.0), np.float32), 20.0)
        light = light + (rng.uniform(0.02, 0.2) * veil)[..., None]
    return light, view


INSIDE_LOOK = Look(quantile=0.9, level=(0.15, 0.9), noise=(0.01, 0.3), cast=0.1)
OTHER_LOOK = Look(quantile=0.9, level=(0.2, 0.9), noise=(0.01, 0.15), cast=0.06)
# Walls, bags, foil, handrails, cables
THING_RGB = (
    (0.75, 0.75, 0.72),
    (0.55, 0.55, 0.55),
    (0.85, 0.82, 0.70),
    (0.30, 0.25, 0.18),
    (0.08, 0.08, 0.09),
    (0.10, 0.18, 0.45),
    (0.65, 0.40, 0.12),
)
SKIN_RGB = ((0.95, 0.92, 0.88), (0.75, 0.73, 0.70), (0.55, 0.40, 0.20), (0.35, 0.36, 0.40))


def draw_inside(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A module from within: boxes along common directions, cables, lamps."""
    width, height = frame_size(rng)
    picture = np.full((height, width, 3), THING_RGB[0], np.float32)
    turn = rng.uniform(0.0, 0.5 * np.pi)
    for _ in range(int(rng.integers(80, 400))):
        colour = np.array(THING_RGB[int(rng.integers(len(THING_RGB)))]) * rng.uniform(0.4, 1.3)
        spot = rng.uniform(0.0, 1.0, 2) * (width, height)
        large = max(width, height) * float(np.exp(rng.uniform(np.log(0.008), np.log(0.2))))
        lean = turn + rng.normal(0.0, 0.06) + 0.5 * np.pi * int(rng.integers(2))
        sides = (large, large * float(rng.uniform(0.15, 1.0)))
        corners = cv2.boxPoints((tuple(spot.tolist()), sides, float(np.degrees(lean))))
        paint = tuple(float(value) for value in colour)
        cv2.fillPoly(picture, [np.round(corners).astype(np.int32)], paint, cv2.LINE_AA)
    lamps = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(0, 6))):
        spot = np.round(rng.uniform(0.0, 1.0, 2) * (width, height)).astype(int).tolist()
        axes = (int(rng.integers(4, 60)), int(rng.integers(2, 14)))
        cv2.ellipse(lamps, spot, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    shade = np.clip(1.0 + 0.4 * _field(rng, width, height, 2.0), 0.1, 2.0)
    lit = picture * (shade * _rough(rng, width, height, 0.08))[..., None]
    glow = 4.0 * lamps + blur_image(lamps, 30.0)
    return np.asarray(lit + glow[..., None], np.float32), INSIDE_LOOK


def other(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """Vehicles and structure in sunlight before the Earth."""
    light, view = day_light(rng, limb_share=0.7)
    picture = light[..., :3].copy()
    bright = float(np.quantile(picture, 0.95))
    for _ in range(int(rng.integers(1, 4))):
        front = draw_foreground(
            Hardware(
                seed=int(rng.integers(2**31)),
                parts=tuple(str(p) for p in rng.choice(PARTS[:4], int(rng.integers(1, 4)))),
                size=float(rng.uniform(0.3, 0.9)),
                lit_by="sun",
                brightness=bright * float(rng.uniform(0.6, 2.0)),
                blur_px=float(rng.uniform(0.4, 1.2)),
            ),
            view.width_px,
            view.height_px,
        )
        rough = _rough(rng, view.width_px, view.height_px, 0.25)
        colour = np.array(SKIN_RGB[int(rng.integers(len(SKIN_RGB)))], np.float32)
        lit = (front.light * rough)[..., None] * colour
        picture = picture * (1.0 - front.cover[..., None]) + lit
    return np.asarray(picture, np.float32), OTHER_LOOK


def _field(rng: np.random.Generator, width: int, height: int, slope: float) -> ImageArray:
    tile = fractal_tile(rng, 256, slope)
    return np.asarray(cv2.resize(tile, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _rough(rng: np.random.Generator, width: int, height: int, strength: float) -> ImageArray:
    """Small unevenness of a surface, about 1."""
    return np.asarray(np.exp(strength * _field(rng, width, height, 1.0)), np.float32)


# The arc is set against what the sensor holds, wherever the ground is dark
SUN_LOOK = Look(quantile=0.98, level=(0.2, 2.0), noise=(0.01, 0.3), cast=0.1)
# Of a sight that grazes the ground: Rayleigh's zenith depths at 0.61, 0.54, 0.46 um, 70 air masses
GRAZING_DEPTH = (3.9, 6.4, 12.5)
# Ozone's Chappuis band takes orange and green out of the light at 15 to 35 km: twilight's blue
OZONE_DEPTH = (1.6, 1.3, 0.25)


def sunset_sunrise(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of the Sun at the limb: linear light and how to develop it."""
    if rng.random() < 0.3:  # just above a limb that is still lit
        view = draw_view(rng, limb=(-0.8, 0.2), field_deg=(25.0, 100.0))
        light = day_reflectance(view, rng)[..., :3] * np.float32(np.exp(rng.uniform(-2.5, 0.0)))
        light = light + sun_disc(view, _sun_place(view, rng), rng)
        return light.astype(np.float32), SUN_LOOK
    view = draw_view(rng, limb=(-0.8, 0.8), field_deg=(6.0, 90.0))
    sun = _sun_place(view, rng)
    light = twilight_arc(view, sun[0], rng)
    if rng.random() < 0.6:
        light += sun_disc(view, sun, rng)
    return light.astype(np.float32), SUN_LOOK


def twilight_arc(view: View, sun_x: float, rng: np.random.Generator) -> ImageArray:
    """The lit air above the limb by height: red, orange, white, blue, black; brightest at the Sun.

    Single scattering of sunlight that has grazed the same air twice over, with ozone, dust and
    layers at random; shape (height, width, 3).
    """
    height_km = view.perigee_km
    above = np.maximum(height_km, 0.0)[..., None]
    dust = np.exp(rng.normal(-0.3, 0.6))
    depth = (np.array(GRAZING_DEPTH) + dust) * np.exp(-above / 7.5)
    ozone = np.array(OZONE_DEPTH) * np.exp(-0.5 * ((above - 24.0) / 8.0) ** 2)
    ozone *= np.exp(rng.normal(0.0, 0.3))
    path = float(np.exp(rng.normal(0.0, 0.5)))  # the lower the Sun, the longer its light's way
    scattered = (1.0 - np.exp(-depth)) * np.exp(-path * depth - (1.0 + path) * ozone)
    edge = (1.0 - view.ground)[..., None]
    # Rows run along the limb where the camera is level; the glow is widest for a deep Sun
    columns = np.arange(view.width_px)[None, :] - sun_x
    wide = view.focal_px * np.exp(rng.uniform(np.log(0.08), np.log(1.5)))
    glow = np.exp(-(np.abs(columns / wide) ** 1.2)) + rng.uniform(0.0, 0.3)
    # The cloud tops below the arc catch some of it
    below = view.ground[..., None] * np.exp(np.minimum(height_km, 0.0) / 6.0)[..., None]
    reddish = np.array([1.0, 0.45, 0.15]) * rng.uniform(0.0, 0.25)
    return np.asarray((edge * scattered + below * reddish) * glow[..., None], np.float32)


def sun_disc(view: View, place: tuple[float, float], rng: np.random.Generator) -> ImageArray:
    """The Sun with halo, star and mirror images in the lens, shape (height, width, 3)."""
    x, y = place
    rows, columns = np.mgrid[: view.height_px, : view.width_px].astype(np.float32)
    away = np.hypot(columns - x, rows - y) + 0.5
    size = max(view.width_px, view.height_px)
    radius = max(np.radians(0.265) * view.focal_px, 1.0)
    row, column = round(min(y, view.height_px - 1)), round(min(x, view.width_px - 1))
    height_km = max(float(view.perigee_km[row, column]), 0.0)
    # Low in the air the disc is red
    depth = np.array(GRAZING_DEPTH) * np.exp(-height_km / 8.0)
    colour = np.exp(-0.5 * depth)
    colour /= colour.max()
    power = float(np.exp(rng.uniform(np.log(1.0), np.log(30.0))))
    disc = 60.0 * np.clip(radius - away + 0.5, 0.0, 1.0)
    halo = power * 0.05 / (1.0 + (away / (rng.uniform(0.01, 0.05) * size)) ** rng.uniform(1.8, 3.0))
    light = disc + halo
    if rng.random() < 0.6:
        light = light + power * _star(columns - x, rows - y, away / size, rng)
    picture = light[..., None] * colour
    return np.asarray(picture, np.float32)


def _star(x: ImageArray, y: ImageArray, away: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Rays by diffraction at the blades of the aperture."""
    turn = np.arctan2(y, x)
    count = int(rng.choice([6, 8, 14, 16, 18]))
    sharp = float(rng.uniform(20.0, 200.0))
    rays = np.abs(np.cos(0.5 * count * (turn - rng.uniform(0.0, 3.2)))) ** sharp
    uneven = 1.0 + 0.4 * np.cos(3.0 * turn + rng.uniform(0.0, 6.3))
    return np.asarray(0.3 * rays * uneven * np.exp(-away / rng.uniform(0.03, 0.2)), np.float32)


def _sun_place(view: View, rng: np.random.Generator) -> tuple[float, float]:
    """A pixel near the limb, or above it."""
    x = float(rng.uniform(0.05, 0.95) * view.width_px)
    column = np.abs(view.perigee_km[:, int(x)] - rng.uniform(0.0, 15.0))
    y = float(np.argmin(column))
    if rng.random() < 0.35:  # well up in the black sky, towards where the heights grow
        up = np.sign(view.perigee_km[0, int(x)] - view.perigee_km[-1, int(x)])
        y -= up * float(rng.uniform(0.05, 0.5)) * view.height_px
    return x, float(np.clip(y, 0.0, view.height_px - 1.0))


MIN_RADIUS_PX = 10.0
# For a Moon that is neither hidden nor beyond the border, of at least so much of the picture
MIN_LIT = 0.0012
MOON_LOOK = Look(quantile=1.0, level=(0.2, 3.0), noise=(0.02, 0.4), cast=0.08, crop=0.0)


@dataclass(frozen=True, kw_only=True)
class MoonDisc:
    """Where a Moon is drawn and how it is lit."""

    x: float
    y: float
    radius_px: float
    phase_deg: float  # between Sun and camera as seen from the Moon: 0 is full, 90 half
    turn_deg: float = 0.0  # direction of its lit side, from +x towards +y
    earthshine: float = 0.0  # light of the dark side, as a share of the lit one's


def moon(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of the Moon in black sky: linear light and how to develop it."""
    width, height = frame_size(rng)
    shown = np.zeros((height, width, 3), np.float32)
    while np.mean(shown.max(axis=2) > 0.2) < MIN_LIT:  # thin ones beyond the border
        shown = moon_light(_draw_disc(rng, width, height), width, height, rng)
    return shown, MOON_LOOK


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


DRAWERS: Mapping[str, Callable[[np.random.Generator], tuple[ImageArray, Look]]] = {
    "day": day,
    "infrared": draw_infrared,
    "inside": draw_inside,
    "moon": moon,
    "other": other,
    "sunset_sunrise": sunset_sunrise,
}


def draw(kind: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw a frame of a class."""
    light, look = DRAWERS[kind](rng)
    return develop(light, look, rng)
