"""Frames of the sky: full of stars, the Moon, sunset and sunrise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.arrays import FloatArray, ImageArray
from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.scene_canvas import (
    Look,
    View,
    draw_view,
    frame_size,
    star_field,
    view_at,
)
from benchmarks.simulate.scenes_ground import day_reflectance
from benchmarks.simulate.scenes_night import airglow, night_ground


def trail_steps(rng: np.random.Generator, width: int) -> FloatArray:
    """Steps of all stars while the camera turned under the open shutter, shape (n, 2), pixels."""
    length = float(np.exp(rng.uniform(np.log(3.0), np.log(0.25 * width))))
    turn, bend = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.5, 0.5)
    part = np.linspace(0.0, 1.0, max(int(1.5 * length), 2))
    heading = turn + bend * part
    steps = length * np.stack([np.cos(heading), np.sin(heading)], axis=1) / len(part)
    return np.asarray(np.cumsum(steps, axis=0))


STAR_LOOK = Look(quantile=0.995, level=(0.08, 1.5), noise=(0.05, 0.8), cast=0.15)


def stars(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of stars by a camera of the station: linear light and how to develop it."""
    kind = rng.random()
    if kind < 0.4:  # sky all over
        base = draw_view(rng, field_deg=(10.0, 100.0))
        view = view_at(base.width_px, base.height_px, base.focal_px, 400.0, 160.0, 0.0)
    else:
        view = draw_view(rng, limb=(-1.3, -0.5), field_deg=(30.0, 110.0))
    height, width = view.perigee_km.shape
    tint = (rng.uniform(0.0, 0.03) * rng.uniform(0.5, 1.0, 3)).astype(np.float32)
    light = np.full((height, width, 3), tint, np.float32)
    clear = np.clip(view.perigee_km / 80.0, 0.0, 1.0).astype(np.float32)[..., None]
    number = int(np.exp(rng.uniform(np.log(300), np.log(6000))))
    trail = trail_steps(rng, width) if rng.random() < 0.25 else np.zeros((1, 2))
    light += clear * star_field(rng, width, height, number, trail)
    if kind >= 0.4:
        light += airglow(view, rng) * np.float32(np.exp(rng.uniform(-1.5, 0.7)))
        light += (
            view.ground[..., None] * night_ground(view, rng) * np.float32(rng.uniform(0.1, 1.5))
        )
    return light, STAR_LOOK


# The arc is set against what the sensor holds, wherever the ground is dark
SUN_LOOK = Look(quantile=0.98, level=(0.2, 2.0), noise=(0.01, 0.3), cast=0.1)
# Of a sight that grazes the ground: Rayleigh's zenith depths at 0.61, 0.54, 0.46 um, 70 air masses
GRAZING_DEPTH = (3.9, 6.4, 12.5)
# Ozone's Chappuis band takes orange and green out of the light at 15 to 35 km: twilight's blue
OZONE_DEPTH = (1.6, 1.3, 0.25)


def sunset_sunrise(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of the Sun at the limb: linear light and how to develop it."""
    if rng.random() < 0.3:
        return _sun_over_day(rng), SUN_LOOK
    view = draw_view(rng, limb=(-0.8, 0.8), field_deg=(6.0, 90.0))
    sun = _sun_place(view, rng)
    light = twilight_arc(view, sun[0], rng)
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


def _sun_over_day(rng: np.random.Generator) -> ImageArray:
    """The Sun just above a limb that is still lit, with its star in the black sky."""
    view = draw_view(rng, limb=(-0.8, 0.2), field_deg=(25.0, 100.0))
    light = day_reflectance(view, rng)[..., :3] * np.float32(np.exp(rng.uniform(-2.5, 0.0)))
    return np.asarray(light + sun_disc(view, _sun_place(view, rng), rng), np.float32)


LEAST_RADIUS_PX = 10.0
# For a Moon that is neither hidden nor beyond the border, of at least so much of the picture
TRIES, LEAST_LIT = 8, 0.0012
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
    """A frame of the Moon in black sky, at times with stars: linear light, how to develop it."""
    width, height = frame_size(rng)
    behind = np.zeros((height, width, 3), np.float32)
    if rng.random() < 0.2:
        behind += 0.002 * star_field(rng, width, height, int(rng.integers(5, 80)))
    shown = behind
    while _lit_share(shown) < LEAST_LIT:  # thin ones beyond the border
        shown = moon_light(_draw_disc(rng, width, height), width, height, rng)
    return behind + shown, MOON_LOOK


def _lit_share(shown: ImageArray) -> float:
    return float(np.mean(shown.max(axis=2) > 0.2))


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
    radius = float(np.exp(rng.uniform(np.log(LEAST_RADIUS_PX), np.log(0.6 * max(width, height)))))
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
