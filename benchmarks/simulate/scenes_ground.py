"""Frames by day, honest or in the near infrared, and of the station itself."""

from __future__ import annotations

from dataclasses import replace

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
MUDDY = (0.15, 0.13, 0.08, 0.06)
FOREST = (0.035, 0.060, 0.030, 0.38)
GRASS = (0.09, 0.11, 0.05, 0.40)
SOIL = (0.17, 0.12, 0.08, 0.25)
DESERT = (0.42, 0.29, 0.18, 0.50)
PALE_DESERT = (0.45, 0.40, 0.32, 0.52)
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
    shallow = np.array(SHALLOWS if rng.random() < 0.7 else MUDDY, np.float32)
    tint = np.exp(rng.normal(0.0, 0.25, 4)).astype(np.float32)
    water = np.array(SEA, np.float32) * tint
    water = water + (near_coast * rng.random()) * (shallow - water)
    water = water * (1.0 + 0.1 * fine[..., None])
    if rng.random() < 0.3:
        water = water + _glint(view, rng)[..., None]
    dry = np.clip(0.5 - 0.5 * wet, 0.0, 1.0)[..., None]
    green = np.array(FOREST, np.float32)
    green = green + rng.random() * (np.array(GRASS, np.float32) - green)
    bare = np.array(DESERT if rng.random() < 0.6 else PALE_DESERT, np.float32)
    soil = np.array(SOIL, np.float32)
    land = green + np.clip(2.0 * dry, 0.0, 1.0) * (soil - green)
    land = land + np.clip(2.0 * dry - 1.0, 0.0, 1.0) * (bare - land)
    if rng.random() < 0.2:
        land = land * _fields(view, rng, extent_km)
    land = land * np.exp(rng.uniform(0.1, 0.35) * fine)[..., None]
    land = land * _relief(height, 0.3, rng)[..., None]
    if rng.random() < 0.5:
        land = _rivers(view, rng, extent_km, land, water)
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
    drawn_out = _warped(view, rng, extent_km)
    field = ground_texture(
        rng, drawn_out, scale_km=extent_km * rng.uniform(0.15, 1.2), slope=slope, stretch=stretch
    )
    if rng.random() < 0.5:  # little ones within the large
        field = field + 0.7 * ground_texture(rng, view, scale_km=extent_km * 0.1, slope=1.0)
    threshold = float(np.quantile(field, 1.0 - np.clip(cover, 0.0, 0.98)))
    thick = np.maximum(field - threshold, 0.0) / rng.uniform(0.4, 2.0)
    depth = np.exp(rng.uniform(np.log(0.6), np.log(8.0))) * thick ** rng.uniform(1.0, 2.2)
    shading = _relief(blurred(np.asarray(field, np.float32), 1.0), 0.3, rng)
    return depth.astype(np.float32), shading


def _warped(view: View, rng: np.random.Generator, extent_km: float) -> View:
    """The ground drawn out into wisps and whirls, as winds do it to clouds."""
    far = extent_km * rng.uniform(0.0, 0.15)
    moved = [ground_texture(rng, view, scale_km=0.5 * extent_km, slope=1.9) for _ in range(2)]
    return replace(
        view,
        ahead_km=view.ahead_km + far * moved[0],
        aside_km=view.aside_km + far * moved[1],
    )


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


def _glint(view: View, rng: np.random.Generator) -> ImageArray:
    """The Sun's broad reflection on the sea."""
    rows, columns = np.mgrid[: view.height_px, : view.width_px].astype(np.float32)
    centre = rng.uniform(0.0, 1.0, 2) * (view.width_px, view.height_px)
    size = max(view.width_px, view.height_px) * rng.uniform(0.1, 0.4)
    turn, narrow = rng.uniform(0.0, np.pi), rng.uniform(1.0, 4.0)
    x, y = (columns - centre[0]) / size, (rows - centre[1]) / size
    along, across = np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y
    away = along**2 + (narrow * across) ** 2
    return np.asarray(rng.uniform(0.02, 0.3) * np.exp(-away), np.float32)


def _fields(view: View, rng: np.random.Generator, extent_km: float) -> ImageArray:
    """Patches of crops: squares of a turned grid, each with its own shade in four bands."""
    size_km = max(extent_km * rng.uniform(0.006, 0.03), 0.4)
    turn = rng.uniform(0.0, np.pi)
    along = np.cos(turn) * view.ahead_km - np.sin(turn) * view.aside_km
    across = np.sin(turn) * view.ahead_km + np.cos(turn) * view.aside_km
    shade, hue = rng.normal(0.0, 0.2, (64, 64, 1)), rng.normal(0.0, 0.07, (64, 64, 4))
    table = np.exp(shade + hue).astype(np.float32)
    row = np.floor(along / size_km).astype(int) % 64
    column = np.floor(across / size_km / rng.uniform(0.4, 1.0) + 0.3 * row).astype(int) % 64
    # Where a pixel sees more than one, their mean
    seen = np.clip(size_km / np.maximum(view.footprint_km, 1e-6) - 1.0, 0.0, 1.0)[..., None]
    return np.asarray(1.0 + seen * (table[row, column] - 1.0), np.float32)


def _rivers(
    view: View, rng: np.random.Generator, extent_km: float, land: ImageArray, water: ImageArray
) -> ImageArray:
    """Winding lines of water: where a smooth field passes through zero."""
    field = ground_texture(rng, view, scale_km=extent_km * rng.uniform(0.3, 1.0), slope=1.8)
    steep = np.hypot(
        cv2.Sobel(field, cv2.CV_32F, 1, 0, scale=0.125),
        cv2.Sobel(field, cv2.CV_32F, 0, 1, scale=0.125),
    )
    width_px = float(np.exp(rng.uniform(np.log(0.6), np.log(5.0))))
    near = np.abs(field) / np.maximum(blurred(steep, 4.0), 1e-5)
    there = np.clip(width_px - near, 0.0, 1.0)[..., None]
    return np.asarray(land + there * (water - land), np.float32)


# Filters: their share, and least and most of what red, green and blue pixels see through them of
# the visible light; gels leak
FILTERS = (
    (0.25, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    (0.35, (0.0, 0.2, 0.8), (0.1, 0.6, 1.0)),
    (0.40, (0.7, 0.02, 0.0), (1.0, 0.15, 0.08)),
)
# Of the near infrared by red, green and blue pixels, against their best visible light
LEAST_INFRARED, MOST_INFRARED = (0.7, 0.35, 0.3), (1.3, 0.9, 0.9)
# Of stray light just beyond the visible, where red pixels see best
LEAST_VEIL, MOST_VEIL = (0.8, 0.3, 0.05), (1.0, 0.75, 0.5)
# Colour matrices that make honest colours of visible light draw its channels apart
CROSSTALK = ((1.7, -0.5, -0.2), (-0.3, 1.6, -0.3), (-0.1, -0.6, 1.7))


def unfiltered(light: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Light as a camera without infrared filter records and balances it."""
    chosen = int(rng.choice(len(FILTERS), p=[share for share, _, _ in FILTERS]))
    visible = rng.uniform(FILTERS[chosen][1], FILTERS[chosen][2])
    sense = rng.uniform(LEAST_INFRARED, MOST_INFRARED)
    sense.sort()
    sense = sense[::-1]
    infra = light[..., 3]
    # Lenses bend it less than visible light: where one is sharp the other is not
    unsharp = float(np.exp(rng.uniform(np.log(0.2), np.log(1.2))))
    seen = light[..., :3]
    if rng.random() < 0.5:
        infra = blurred(infra, unsharp)
    else:
        seen = np.stack([blurred(seen[..., band], unsharp) for band in range(3)], axis=-1)
    mixed = seen * visible + infra[..., None] * sense
    rgb = np.asarray(mixed, np.float32)
    if rng.random() < 0.75:  # coatings reflect it, most where they end
        veil = rng.uniform(LEAST_VEIL, MOST_VEIL) * rng.uniform(0.05, 0.8)
        rgb += np.float32(veil * np.quantile(rgb, 0.9))
    return _balanced(rgb, rng) * _shading(rgb.shape[:2], rng)


def _balanced(rgb: ImageArray, rng: np.random.Generator) -> ImageArray:
    """White balance and colour matrix of a camera that takes all of it for visible light."""
    mode = rng.random()
    if mode < 0.6:  # evens out the means, as most automatic ones do
        white, evened = rgb.mean(axis=(0, 1)), rng.uniform(0.85, 1.05)
    elif mode < 0.9:  # makes what is brightest white
        level = rgb.mean(axis=2)
        white = rgb[level >= np.quantile(level, 0.97)].mean(axis=0)
        evened = rng.uniform(0.8, 1.0)
    else:  # set for daylight: all is red, brown or pink
        white, evened = rgb.mean(axis=(0, 1)), rng.uniform(0.0, 0.6)
    gains = (white.mean() / np.maximum(white, 1e-6)) ** evened * np.exp(
        rng.normal((0.02, 0.0, 0.02), 0.03)
    )
    matrix = np.eye(3) + rng.uniform(0.0, 0.8) * (np.array(CROSSTALK) - np.eye(3))
    return np.maximum((rgb * gains) @ matrix.T, 0.0).astype(np.float32)


def _shading(shape: tuple[int, int], rng: np.random.Generator) -> ImageArray:
    """Rims bluer or redder than the middle: the table against it was made for visible light."""
    height, width = shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot(columns - 0.5 * width, rows - 0.5 * height) / (0.5 * max(height, width))
    rim = rng.normal((-0.08, 0.0, 0.06), 0.05).astype(np.float32)
    return np.asarray(np.exp(cv2.multiply(away, away)[..., None] * rim), np.float32)


# The same of both classes, for the window does not tell them apart
PORT_HOLES = 0.5
DAY_LOOK = Look(
    quantile=0.9, level=(0.12, 0.9), noise=(0.01, 0.15), hardware=0.25, lit=0.8, cast=0.08
)
INFRARED_LOOK = Look(
    quantile=0.9, level=(0.15, 0.8), noise=(0.01, 0.15), hardware=0.0, lit=0.1, cast=0.03
)


def day(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A day frame: linear red, green and blue, and how to develop it."""
    light, view = day_light(rng, limb_share=0.2)
    # Settings of the white balance from that of lamps to that of shade
    warm, pink = rng.normal(0.0, (0.09, 0.02))
    rgb = light[..., :3] * np.exp(np.array([warm + pink, 0.0, pink - warm], np.float32))
    if rng.random() < PORT_HOLES:
        rgb = port_hole(rgb, view, rng)
    return rgb, DAY_LOOK


def infrared(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A day frame by a sensor without infrared filter, bare or behind a filter of one colour."""
    light, view = day_light(rng, limb_share=0.08)
    rgb = unfiltered(light, rng)
    if rng.random() < PORT_HOLES:
        rgb = port_hole(rgb, view, rng)
    return rgb, INFRARED_LOOK


def port_hole(rgb: ImageArray, view: View, rng: np.random.Generator) -> ImageArray:
    """The round window before the camera: black about it, its ragged rim catches some light."""
    height, width = rgb.shape[:2]
    radius = rng.uniform(0.42, 0.62) * height
    centre = np.array([0.5 * width, 0.5 * height]) + rng.normal(0.0, 0.04, 2) * width
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    away = np.hypot(columns - centre[0], rows - centre[1])
    turn = np.arctan2(rows - centre[1], columns - centre[0])
    waves = rng.normal(0.0, 0.006, 7)
    for number, size in enumerate(waves, start=2):
        away = away * (1.0 + size * np.cos(number * turn + 7.0 * size * number))
    inside = np.clip((radius - away) / rng.uniform(2.0, 12.0) + 0.5, 0.0, 1.0)
    rim = np.exp(-0.5 * ((away - 1.02 * radius) / (rng.uniform(0.01, 0.06) * radius)) ** 2)
    side = np.clip(np.cos(turn - rng.uniform(0.0, 6.3)) * 1.5 - 0.3, 0.0, 1.0)
    colour = rng.uniform((0.1, 0.3, 0.5), (0.8, 0.8, 1.0)) * rng.uniform(0.0, 0.4) * rgb.max()
    edge = (rim * side)[..., None] * colour * (1.0 - inside[..., None])
    return np.asarray(rgb * inside[..., None] + edge, np.float32)


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


INSIDE_LOOK = Look(
    quantile=0.9, level=(0.15, 0.9), noise=(0.01, 0.3), hardware=0.0, lit=0.5, cast=0.1
)
OTHER_LOOK = Look(
    quantile=0.9, level=(0.2, 0.9), noise=(0.01, 0.15), hardware=0.0, lit=0.5, cast=0.06
)
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
    """The cupola's seven windows from within, or a module: linear light, how to develop it."""
    width, height = frame_size(rng)
    if rng.random() < 0.6:
        return _cupola(rng, width, height), INSIDE_LOOK
    return _module(rng, width, height), INSIDE_LOOK


def other(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """Vehicles and structure in sunlight before the Earth, or a window that shows nothing."""
    if rng.random() < 0.3:
        return _blind_window(rng), OTHER_LOOK
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


def _cupola(rng: np.random.Generator, width: int, height: int) -> ImageArray:
    """A round window and six about it, dark frames with things on them."""
    light, _ = day_light(rng, limb_share=0.3)
    seen = cv2.resize(light[..., :3], (width, height), interpolation=cv2.INTER_LINEAR)
    earth = np.asarray(seen, np.float32) / np.float32(max(float(np.quantile(seen, 0.9)), 1e-6))
    wall = _clutter(rng, width, height, int(rng.integers(30, 200)))
    wall *= np.float32(np.exp(rng.uniform(np.log(0.01), np.log(0.6))))
    panes = np.zeros((height, width), np.uint8)
    centre = np.array([width, height]) * rng.uniform(0.35, 0.65, 2)
    radius = min(width, height) * rng.uniform(0.14, 0.32)
    cv2.circle(panes, (round(centre[0]), round(centre[1])), round(radius), 255, -1, cv2.LINE_AA)
    start = rng.uniform(0.0, 60.0)
    near, far = radius * rng.uniform(1.15, 1.4), radius * rng.uniform(1.8, 2.6)
    gap = rng.uniform(4.0, 9.0)
    for number in range(6):
        first, last = np.radians(start + 60.0 * number + np.array([gap, 60.0 - gap]))
        corners = [
            centre + reach * np.array([np.cos(turn), np.sin(turn)])
            for reach, turn in ((near, first), (far, first), (far, last), (near, last))
        ]
        cv2.fillPoly(panes, [np.round(corners).astype(np.int32)], 255, cv2.LINE_AA)
    open_share = blurred(panes.astype(np.float32) / np.float32(255.0), 0.7)[..., None]
    rim = cv2.dilate(panes, np.ones((5, 5), np.uint8)).astype(np.float32) / np.float32(255.0)
    wall += (0.25 * rng.random() * blurred(rim, 1.0))[..., None]
    return np.asarray(earth * open_share + wall * (1.0 - open_share), np.float32)


def _module(rng: np.random.Generator, width: int, height: int) -> ImageArray:
    """Four walls towards a hatch, racks, cables and lamps."""
    picture = _clutter(rng, width, height, int(rng.integers(80, 400)))
    centre = np.array([width, height]) * rng.uniform(0.3, 0.7, 2)
    for _ in range(int(rng.integers(0, 5))):  # edges that run to the far end
        edge = rng.uniform(0.0, 1.0, 2) * (width, height)
        shade = float(rng.uniform(0.0, 0.9))
        start, end = np.round(edge).astype(int).tolist(), np.round(centre).astype(int).tolist()
        cv2.line(picture, start, end, (shade, shade, shade), int(rng.integers(2, 9)), cv2.LINE_AA)
    lamps = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(0, 6))):
        spot = np.round(rng.uniform(0.0, 1.0, 2) * (width, height)).astype(int).tolist()
        axes = (int(rng.integers(4, 60)), int(rng.integers(2, 14)))
        cv2.ellipse(lamps, spot, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    shade = np.clip(1.0 + 0.4 * _field(rng, width, height, 2.0), 0.1, 2.0)
    lit = picture * shade[..., None] + (4.0 * lamps + blurred(lamps, 30.0))[..., None]
    return np.asarray(lit, np.float32)


def _clutter(rng: np.random.Generator, width: int, height: int, things: int) -> ImageArray:
    """Boxes, rings, labels and cables over each other."""
    wall = THING_RGB[int(rng.integers(len(THING_RGB)))]
    picture = np.full((height, width, 3), wall, np.float32)
    size = float(max(width, height))
    turn = rng.uniform(0.0, 0.5 * np.pi)
    for _ in range(things):
        colour = np.array(THING_RGB[int(rng.integers(len(THING_RGB)))])
        paint = tuple(float(v) for v in colour * rng.uniform(0.4, 1.3))
        spot = rng.uniform(0.0, 1.0, 2) * (width, height)
        large = size * float(np.exp(rng.uniform(np.log(0.008), np.log(0.2))))
        kind = rng.random()
        if kind < 0.65:  # boxes keep to common directions
            sides = np.array([large, large * rng.uniform(0.15, 1.0)])
            lean = turn + rng.normal(0.0, 0.06) + 0.5 * np.pi * int(rng.integers(2))
            box = (tuple(spot.tolist()), tuple(sides.tolist()), float(np.degrees(lean)))
            corners = np.round(cv2.boxPoints(box)).astype(np.int32)
            cv2.fillPoly(picture, [corners], paint, cv2.LINE_AA)
            if rng.random() < 0.5:
                edge = float(rng.uniform(0.0, 0.9))
                cv2.polylines(picture, [corners], True, (edge, edge, edge), 1, cv2.LINE_AA)
        elif kind < 0.8:
            centre = (round(float(spot[0])), round(float(spot[1])))
            thick = -1 if rng.random() < 0.5 else 2
            cv2.circle(picture, centre, max(round(0.3 * large), 1), paint, thick, cv2.LINE_AA)
        else:  # a cable
            steps = np.cumsum(rng.normal(0.0, 0.25 * large, (12, 2)), axis=0) + spot
            line = np.round(steps).astype(np.int32)
            cv2.polylines(picture, [line], False, paint, int(rng.integers(1, 5)), cv2.LINE_AA)
    return picture * _rough(rng, width, height, 0.08)[..., None]


def _blind_window(rng: np.random.Generator) -> ImageArray:
    """A round window with the Sun on its glass: grey, rings, a glaring rim."""
    width, height = frame_size(rng)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    centre = np.array([width, height]) * rng.uniform(0.42, 0.58, 2)
    away = np.hypot(columns - centre[0], rows - centre[1]) / (min(width, height) * 0.5)
    away = away / rng.uniform(0.75, 1.05) * (1.0 + 0.01 * _field(rng, width, height, 1.6))
    glass = rng.uniform(0.05, 0.5) * np.exp(rng.normal((-0.05, 0.0, 0.1), 0.08))
    waves = 1.0 + rng.uniform(0.0, 0.25) * np.sin(away**2 * rng.uniform(20.0, 90.0))
    waves *= 1.0 + 0.1 * _field(rng, width, height, 1.5)
    turn = np.arctan2(rows - centre[1], columns - centre[0])
    side = 0.55 + 0.45 * np.cos(turn - rng.uniform(0.0, 6.3))
    rim = rng.uniform(0.5, 3.0) * np.exp(-np.abs(away - 1.0) / rng.uniform(0.02, 0.15)) * side
    outside = rng.uniform(0.05, 0.9) * np.clip((away - 1.0) * 30.0, 0.0, 1.0)
    within = (np.clip((1.0 - away) * 30.0, 0.0, 1.0) * waves)[..., None] * glass
    warm = np.exp(rng.normal((0.05, 0.0, -0.1), 0.1))
    return np.asarray(
        within + (rim + outside * _rough(rng, width, height, 0.2))[..., None] * warm, np.float32
    )


def _field(rng: np.random.Generator, width: int, height: int, slope: float) -> ImageArray:
    tile = fractal_tile(rng, 256, slope)
    return np.asarray(cv2.resize(tile, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _rough(rng: np.random.Generator, width: int, height: int, strength: float) -> ImageArray:
    """Small unevenness of a surface, about 1."""
    return np.asarray(np.exp(strength * _field(rng, width, height, 1.0)), np.float32)
