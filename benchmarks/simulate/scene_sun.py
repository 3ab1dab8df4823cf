"""Sunrise and sunset: the layered limb, the Sun's disc with its star and flares, low light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import blurred
from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_ground import clouds, day_reflectance, surface, through_air
from benchmarks.simulate.scene_night import airglow
from benchmarks.simulate.scene_starlight import star_field
from benchmarks.simulate.scene_view import View, draw_view

ImageArray = NDArray[np.float32]
FloatArray = NDArray[np.float64]

# The arc is set against what the sensor holds, wherever the ground is dark
SUN_LOOK = Look(quantile=0.98, level=(0.2, 2.0), noise=(0.01, 0.3), hardware=0.3, lit=0.7, cast=0.1)
LOW_LOOK = Look(
    quantile=0.95, level=(0.15, 1.0), noise=(0.01, 0.2), hardware=0.2, lit=0.6, cast=0.1
)
# Of a sight that grazes the ground: Rayleigh's zenith depths at 0.61, 0.54, 0.46 um, 70 air masses
GRAZING_DEPTH = (3.9, 6.4, 12.5)
# Ozone's Chappuis band takes orange and green out of the light at 15 to 35 km: twilight's blue
OZONE_DEPTH = (1.6, 1.3, 0.25)


def sunset_sunrise(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of the Sun at the limb: linear light and how to develop it."""
    kind = rng.random()
    if kind < 0.35:
        return (_low_sun(rng) if kind < 0.2 else _sun_over_day(rng)), LOW_LOOK
    view = draw_view(rng, limb=(-0.8, 0.8), field_deg=(6.0, 90.0))
    sun = _sun_place(view, rng)
    light = twilight_arc(view, sun[0], rng)
    if rng.random() < 0.25:  # moonlit or dusky ground below
        light += view.ground[..., None] * _dusk(view, rng)
    if rng.random() < 0.3:
        light += 0.003 * airglow(view, rng)
    if rng.random() < 0.2:
        sky = np.clip(view.perigee_km / 80.0, 0.0, 1.0).astype(np.float32)[..., None]
        light += 0.03 * sky * star_field(rng, view.width_px, view.height_px, 60)
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
    layers = 1.0 + 0.25 * _layers(height_km, rng)[..., None]
    edge = (1.0 - view.ground)[..., None]
    # Rows run along the limb where the camera is level; the glow is widest for a deep Sun
    columns = np.arange(view.width_px)[None, :] - sun_x
    wide = view.focal_px * np.exp(rng.uniform(np.log(0.08), np.log(1.5)))
    glow = np.exp(-(np.abs(columns / wide) ** 1.2)) + rng.uniform(0.0, 0.3)
    # The cloud tops below the arc catch some of it
    below = view.ground[..., None] * np.exp(np.minimum(height_km, 0.0) / 6.0)[..., None]
    reddish = np.array([1.0, 0.45, 0.15]) * rng.uniform(0.0, 0.25)
    return np.asarray((edge * scattered * layers + below * reddish) * glow[..., None], np.float32)


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
    if rng.random() < 0.6:
        picture = picture + power * _ghosts(view, place, rng)
    return np.asarray(picture, np.float32)


def _star(x: ImageArray, y: ImageArray, away: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Rays by diffraction at the blades of the aperture."""
    turn = np.arctan2(y, x)
    count = int(rng.choice([6, 8, 14, 16, 18]))
    sharp = float(rng.uniform(20.0, 200.0))
    rays = np.abs(np.cos(0.5 * count * (turn - rng.uniform(0.0, 3.2)))) ** sharp
    uneven = 1.0 + 0.4 * np.cos(3.0 * turn + rng.uniform(0.0, 6.3))
    return np.asarray(0.3 * rays * uneven * np.exp(-away / rng.uniform(0.03, 0.2)), np.float32)


def _ghosts(view: View, place: tuple[float, float], rng: np.random.Generator) -> FloatArray:
    """Mirror images between the lens's surfaces: pale discs in line with the middle."""
    rows, columns = np.mgrid[: view.height_px, : view.width_px].astype(np.float32)
    middle = np.array([0.5 * view.width_px, 0.5 * view.height_px])
    picture = np.zeros((view.height_px, view.width_px, 3))
    for _ in range(int(rng.integers(1, 8))):
        x, y = middle + (np.array(place) - middle) * rng.uniform(-1.3, 0.8)
        radius = max(view.width_px, view.height_px) * np.exp(rng.uniform(np.log(0.01), np.log(0.2)))
        away = np.hypot(columns - x, rows - y) / radius
        disc = np.clip((1.0 - away) * radius / 3.0, 0.0, 1.0) * (0.5 + 0.5 * away**2)
        colour = rng.uniform(0.1, 1.0, 3)
        picture += rng.uniform(0.0005, 0.01) * disc[..., None] * colour
    return picture


def _sun_place(view: View, rng: np.random.Generator) -> tuple[float, float]:
    """A pixel near the limb, or above it."""
    x = float(rng.uniform(0.05, 0.95) * view.width_px)
    column = np.abs(view.perigee_km[:, int(x)] - rng.uniform(0.0, 15.0))
    y = float(np.argmin(column))
    if rng.random() < 0.35:  # well up in the black sky, towards where the heights grow
        up = np.sign(view.perigee_km[0, int(x)] - view.perigee_km[-1, int(x)])
        y -= up * float(rng.uniform(0.05, 0.5)) * view.height_px
    return x, float(np.clip(y, 0.0, view.height_px - 1.0))


def _layers(height_km: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Unevenness of the air with height, about -1 to 1."""
    knots = np.arange(0.0, 121.0, 1.5)
    rough = np.cumsum(rng.standard_normal(len(knots))) * 0.3 + rng.standard_normal(len(knots))
    rough = (rough - rough.mean()) / max(float(rough.std()), 1e-6)
    return np.interp(height_km, knots, np.tanh(rough) * np.exp(-knots / 40.0))


def _dusk(view: View, rng: np.random.Generator) -> ImageArray:
    """Ground and clouds in the last blue light."""
    extent_km = max(60.0, float(np.median(view.footprint_km)) * view.width_px)
    depth, shading = clouds(view, rng, extent_km, float(rng.uniform(0.2, 0.9)))
    bright = (0.05 + depth / (depth + 2.0)) * shading
    blue = np.exp(rng.normal((-0.4, -0.1, 0.3), 0.15))
    power = np.exp(rng.uniform(np.log(0.003), np.log(0.08)))
    return np.asarray(power * bright[..., None] * blue, np.float32)


def _low_sun(rng: np.random.Generator) -> ImageArray:
    """Clouds lit from the side by a Sun that is about to set, its glint on the sea."""
    view = draw_view(rng, limb=(-0.2, 1.0), field_deg=(20.0, 80.0))
    extent_km = max(60.0, float(np.median(view.footprint_km)) * view.width_px)
    ground = surface(view, rng, extent_km) * np.float32(0.12)
    depth, shading = clouds(view, rng, extent_km, float(rng.uniform(0.3, 0.95)))
    warm = np.exp(rng.normal((0.25, 0.0, -0.35), 0.1))
    # The Sun's side is bright and warm, the other falls into blue night
    sun_x = rng.uniform(0.0, view.width_px)
    columns = np.abs(np.arange(view.width_px) - sun_x)[None, :] / view.width_px
    side = np.exp(-columns * rng.uniform(0.5, 4.0)) * np.ones((view.height_px, 1))
    opaque = (1.0 - np.exp(-depth))[..., None]
    strong = np.clip(1.0 + 5.0 * (shading - 1.0), 0.05, 4.0)
    white = (0.25 * depth / (depth + 2.0) * strong * side)[..., None] * np.append(warm, 1.0)
    ground = ground * (1.0 - opaque) + white
    glint = blurred(np.asarray(side**6 * (1.0 - opaque[..., 0]), np.float32), 8.0)
    ground = ground + 0.2 * rng.random() * glint[..., None] * np.append(warm, 1.0)
    light = through_air(view, ground.astype(np.float32), 0.12, float(rng.uniform(0.6, 2.0)))[
        ..., :3
    ]
    if rng.random() < 0.4:
        light = light + 0.1 * sun_disc(view, _sun_place(view, rng), rng)
    return np.asarray(light, np.float32)


def _sun_over_day(rng: np.random.Generator) -> ImageArray:
    """The Sun just above a limb that is still lit, with its star in the black sky."""
    view = draw_view(rng, limb=(-0.8, 0.2), field_deg=(25.0, 100.0))
    light = day_reflectance(view, rng)[..., :3] * np.float32(np.exp(rng.uniform(-2.5, 0.0)))
    return np.asarray(light + sun_disc(view, _sun_place(view, rng), rng), np.float32)
