"""Frames by day, honest or in the near infrared, and of the station itself."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.arrays import ImageArray
from benchmarks.simulate.hardware import PARTS, Hardware, draw_foreground
from benchmarks.simulate.noise import blurred, fractal_tile
from benchmarks.simulate.scene_canvas import Look, View, draw_view, frame_size, ground_texture

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
    return through_air(view, ground, sun_height, float(np.exp(rng.normal(0.3, 0.5))))


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
    shading = _relief(blurred(np.asarray(field, np.float32), 1.0), 0.3, rng)
    return depth.astype(np.float32), shading


def through_air(view: View, ground: ImageArray, sun_height: float, haze: float) -> ImageArray:
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


def unfiltered(light: ImageArray, rng: np.random.Generator) -> ImageArray:
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


def infrared(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A day frame by a sensor without infrared filter, bare or behind a filter of one colour."""
    light, _ = day_light(rng, limb_share=0.08)
    rgb = unfiltered(light, rng)
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
        veil = blurred(np.asarray(np.clip(1.0 + 0.5 * tile, 0.0, 2.0), np.float32), 20.0)
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


def inside(rng: np.random.Generator) -> tuple[ImageArray, Look]:
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
    glow = 4.0 * lamps + blurred(lamps, 30.0)
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
