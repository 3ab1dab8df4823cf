"""Frames of the sky: full of stars, the Moon, sunset and sunrise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from benchmarks.arrays import FloatArray, ImageArray
from benchmarks.simulate.noise import blurred, fractal_tile
from benchmarks.simulate.scene_canvas import (
    Look,
    View,
    add_points,
    draw_view,
    frame_size,
    milky_way,
    star_field,
    view_at,
)
from benchmarks.simulate.scenes_ground import clouds, day_reflectance, surface, through_air
from benchmarks.simulate.scenes_night import airglow, night_ground

# The light is in shares of what fills the sensor already: the level is set to leave it so
FINDER_LOOK = Look(
    quantile=0.5, level=(1.0, 1.0), noise=(0.03, 0.8), hardware=0.0, cast=0.1, grey=0.6
)
STRETCHED_LOOK = replace(FINDER_LOOK, noise=(0.02, 0.4), grey=0.3)
# Sodium and LED lamps under haze, twilight and the Moon, dark sky
SKY_RGB = ((1.0, 0.75, 0.5), (0.8, 0.9, 1.1), (1.0, 1.0, 1.0))
# Hydrogen, oxygen, dust that scatters the light of hot stars
NEBULA_RGB = ((1.0, 0.15, 0.2), (0.25, 0.8, 0.7), (0.45, 0.5, 1.0))
# Stars over 10 square degrees down to what 0.1 s show, and down to what minutes do
FEW, MANY = 0.3, 30.0


def sky_camera(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A field of stars and nothing else: linear light and how to develop it.

    Most are as the sensor gave them, all but black with few stars or grey with the sky's light;
    others are long exposures with the sky's gradients left in, stretched until faint things show.
    """
    width, height = frame_size(rng)
    field_deg = float(np.exp(rng.uniform(np.log(5.0), np.log(60.0))))
    area = field_deg**2 * height / width / 10.0
    stretched = rng.random() < 0.25
    density = np.exp(rng.uniform(np.log(FEW), np.log(MANY))) * (10.0 if stretched else 1.0)
    number = int(np.clip(density * area, 5, 5000))
    sky = float(np.exp(rng.uniform(*np.log((0.004, 0.05) if stretched else (0.0001, 0.012)))))
    faintest = float(np.exp(rng.uniform(*np.log((0.02, 0.3) if stretched else (0.006, 0.15)))))
    light = sky * sky_light(rng, width, height)
    if stretched and rng.random() < 0.6:
        light += sky * rng.uniform(0.3, 4.0) * _nebula(rng, width, height)
    steps = trail_steps(rng, width) if rng.random() < 0.12 else None
    light += faintest * star_field(rng, width, height, number, steps)
    if rng.random() < 0.5:
        _add_hot_pixels(light, rng)
    look = STRETCHED_LOOK if stretched else FINDER_LOOK
    level = float(np.quantile(light.mean(axis=2), look.quantile))
    return light, replace(look, level=(level, level))


def sky_light(rng: np.random.Generator, width: int, height: int) -> ImageArray:
    """Light of the sky itself, about 1: even, brighter to a side, under a town's dome of light."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32) / np.float32(max(width, height))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    slope = np.cos(turn) * (columns - 0.5) + np.sin(turn) * (rows - 0.5)
    colour = np.array(SKY_RGB[int(rng.integers(len(SKY_RGB)))], np.float32)
    even = np.clip(1.0 + rng.uniform(0.0, 1.2) * slope, 0.2, None)
    light = even[..., None] * colour
    if rng.random() < 0.3:
        dome = np.exp(slope / rng.uniform(0.1, 0.4)) * rng.uniform(0.1, 1.0)
        light = light + dome[..., None] * np.array(SKY_RGB[0], np.float32)
    return np.asarray(light, np.float32)


def trail_steps(rng: np.random.Generator, width: int) -> FloatArray:
    """Steps of all stars while the camera turned under the open shutter, shape (n, 2), pixels."""
    length = float(np.exp(rng.uniform(np.log(3.0), np.log(0.25 * width))))
    turn, bend = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.5, 0.5)
    part = np.linspace(0.0, 1.0, max(int(1.5 * length), 2))
    heading = turn + bend * part
    steps = length * np.stack([np.cos(heading), np.sin(heading)], axis=1) / len(part)
    return np.asarray(np.cumsum(steps, axis=0))


def _nebula(rng: np.random.Generator, width: int, height: int) -> ImageArray:
    """The Milky Way, or glowing gas and dust, about 0 to 1."""
    if rng.random() < 0.4:
        band = milky_way(rng, width, height)
        return band[..., None] * np.array((1.0, 0.9, 0.8), np.float32)
    tile = cv2.resize(fractal_tile(rng, 256, 1.6), (width, height), interpolation=cv2.INTER_CUBIC)
    cloud = np.clip(np.exp(0.7 * tile) - rng.uniform(0.0, 1.0), 0.0, 4.0)
    colour = np.array(NEBULA_RGB[int(rng.integers(len(NEBULA_RGB)))], np.float32)
    return np.asarray(cloud[..., None] * colour, np.float32)


def _add_hot_pixels(light: ImageArray, rng: np.random.Generator) -> None:
    """Pixels that fill without light, each of one colour, in place."""
    height, width = light.shape[:2]
    number = int(np.exp(rng.uniform(0.0, np.log(60.0))))
    x, y = rng.integers(0, width, number), rng.integers(0, height, number)
    strength = rng.uniform(0.02, 1.0) * rng.random((number, 1)) ** 2
    one_colour = np.eye(3)[rng.integers(0, 3, number)]
    add_points(light, x.astype(float), y.astype(float), strength * one_colour)


MILKY_WAY_RGB = (1.0, 0.9, 0.8)
SKY_CAMERAS = 0.3
STAR_LOOK = Look(
    quantile=0.995, level=(0.08, 1.5), noise=(0.05, 0.8), hardware=0.6, lit=0.2, cast=0.15
)


def stars(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of stars: linear light and how to develop it.

    By cameras of the station, or by small ones and telescopes that see nothing but sky.
    """
    if rng.random() < SKY_CAMERAS:
        return sky_camera(rng)
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
    band = milky_way(rng, width, height) if rng.random() < 0.5 else None
    light += clear * star_field(rng, width, height, number, trail, band)
    if band is not None:
        light += (
            clear * rng.uniform(0.05, 0.35) * band[..., None] * np.array(MILKY_WAY_RGB, np.float32)
        )
    if kind >= 0.4:
        light += airglow(view, rng) * np.float32(np.exp(rng.uniform(-1.5, 0.7)))
        light += (
            view.ground[..., None] * night_ground(view, rng) * np.float32(rng.uniform(0.1, 1.5))
        )
    return light, STAR_LOOK


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


LEAST_RADIUS_PX = 10.0
# For a Moon that is neither hidden nor beyond the border, of at least so much of the picture
TRIES, LEAST_LIT = 8, 0.0012
MOON_LOOK = Look(
    quantile=1.0, level=(0.2, 3.0), noise=(0.02, 0.4), hardware=0.08, lit=0.5, cast=0.08, crop=0.0
)


@dataclass(frozen=True, kw_only=True)
class MoonDisc:
    """Where a Moon is drawn and how it is lit."""

    x: float
    y: float
    radius_px: float
    phase_deg: float  # between Sun and camera as seen from the Moon: 0 is full, 90 half
    turn_deg: float = 0.0  # direction of its lit side, from +x towards +y
    flattened: float = 1.0  # height over width: refraction squeezes it low above the limb
    earthshine: float = 0.0  # light of the dark side, as a share of the lit one's


def moon(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of the Moon: linear light and how to develop it."""
    kind = rng.random()
    if kind < 0.5:
        return _alone(rng), MOON_LOOK
    view = draw_view(rng, limb=(-0.9, 0.3), field_deg=(3.0, 60.0))
    if kind < 0.8:
        behind = day_reflectance(view, rng)[..., :3] * np.float32(rng.uniform(0.5, 2.5))
    elif kind < 0.9:
        middle = 0.5 * view.width_px
        behind = np.float32(np.exp(rng.uniform(-3.0, 1.0))) * twilight_arc(view, middle, rng)
    else:
        behind = 0.02 * airglow(view, rng)
    shown = _above_limb(view, rng)
    if _lit_share(shown) < LEAST_LIT:  # no room above this limb
        return _alone(rng), MOON_LOOK
    return np.asarray(behind + shown, np.float32), MOON_LOOK


def _alone(rng: np.random.Generator) -> ImageArray:
    """A Moon in black sky, at times with stars, shape (height, width, 3)."""
    width, height = frame_size(rng)
    behind = np.zeros((height, width, 3), np.float32)
    if rng.random() < 0.2:
        behind += 0.002 * star_field(rng, width, height, int(rng.integers(5, 80)))
    shown = behind
    while _lit_share(shown) < LEAST_LIT:  # thin ones beyond the border
        disc = _draw_disc(rng, width, height, low=False)
        shown = moon_light(disc, width, height, rng)
    return behind + shown


def _lit_share(shown: ImageArray) -> float:
    return float(np.mean(shown.max(axis=2) > 0.2))


def _above_limb(view: View, rng: np.random.Generator) -> ImageArray:
    """A Moon in the sky part of a view, whole or setting, shape (height, width, 3)."""
    width, height = view.width_px, view.height_px
    low = rng.random() < 0.4
    clear = (1.0 - view.ground)[..., None]
    if low:  # its light passes the air that is in front of it
        tangent = np.maximum(view.perigee_km, 0.0)[..., None]
        depth = np.array([1.5, 2.6, 4.8]) * rng.uniform(0.2, 1.2) * np.exp(-tangent / 8.0)
        clear = clear * np.exp(-depth)
    edge_y, edge_x = height // 12, width // 12
    inner = view.perigee_km[edge_y:-edge_y, edge_x:-edge_x]
    sky = np.argwhere(inner > (3.0 if low else min(30.0, 0.8 * float(inner.max()))))
    shown = np.zeros((height, width, 3), np.float32)
    for _ in range(TRIES if len(sky) else 0):
        row, column = sky[int(rng.integers(len(sky)))]
        disc = replace(
            _draw_disc(rng, width, height, low=low),
            x=float(column + edge_x),
            y=float(row + edge_y),
        )
        whole = moon_light(disc, width, height, rng)
        shown = np.asarray(whole * clear, np.float32)
        if shown.sum() > 0.4 * whole.sum() and _lit_share(shown) > LEAST_LIT:
            break
    return shown


def moon_light(disc: MoonDisc, width: int, height: int, rng: np.random.Generator) -> ImageArray:
    """A lit disc with seas and craters over black, about 0 to 1, shape (height, width, 3).

    Its surface scatters as Lommel and Seeliger have it, mu0 / (mu0 + mu): a full Moon is as
    bright at its rim as in its middle.
    """
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    turn = np.radians(disc.turn_deg)
    x, y = (columns - disc.x) / disc.radius_px, (rows - disc.y) / disc.radius_px / disc.flattened
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
    """Dark seas, bright highlands, rayed craters on a ball seen from afar."""
    smooth, fine = fractal_tile(rng, 256, 1.9), fractal_tile(rng, 256, 1.1)
    bulge = 1.0 / (0.4 + 0.6 * mu)  # the rim is seen at a slant
    column, row = (128.0 + 40.0 * part * bulge for part in (x, y))
    seas, rough = (
        cv2.remap(
            tile,
            (scale * column).astype(np.float32) % 256,
            (scale * row).astype(np.float32) % 256,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )
        for tile, scale in ((smooth, 1.0), (fine, 1.0))
    )
    dark = 1.0 / (1.0 + np.exp(-(seas - rng.uniform(-0.3, 0.6)) / 0.12))
    albedo = 1.0 - rng.uniform(0.3, 0.5) * dark + 0.06 * rough
    for _ in range(int(rng.integers(4, 25))):
        centre = rng.uniform(-0.9, 0.9, 2)
        size = np.exp(rng.uniform(np.log(0.008), np.log(0.06)))
        away = np.hypot(x - centre[0], (y - centre[1])) / size
        albedo = albedo + rng.uniform(-0.05, 0.3) * np.exp(-0.5 * away**2)
        albedo = albedo + rng.uniform(0.0, 0.08) / (1.0 + (away / 4.0) ** 2)
    return np.asarray(np.clip(0.8 * albedo, 0.05, 1.2), np.float32)


def _draw_disc(rng: np.random.Generator, width: int, height: int, *, low: bool) -> MoonDisc:
    radius = float(np.exp(rng.uniform(np.log(LEAST_RADIUS_PX), np.log(0.6 * max(width, height)))))
    reach = 0.5 if rng.random() < 0.25 else 0.35  # some are cut by the border
    thin = rng.random() < 0.15
    return MoonDisc(
        x=(0.5 + float(rng.uniform(-reach, reach))) * width,
        y=(0.5 + float(rng.uniform(-reach, reach))) * height,
        radius_px=radius,
        phase_deg=float(rng.uniform(100.0, 155.0) if thin else np.abs(rng.normal(0.0, 55.0)) % 130),
        turn_deg=float(rng.uniform(0.0, 360.0)),
        flattened=float(rng.uniform(0.6, 1.0)) if low else 1.0,
        earthshine=float(np.exp(rng.uniform(-9.0, -3.5))),
    )
