"""Night without towns: moonlit clouds, lightning, airglow, and frames that are all but black."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from benchmarks.arrays import FloatArray, ImageArray
from benchmarks.simulate.noise import blurred, fractal_tile
from benchmarks.simulate.scene_canvas import (
    EARTH_RADIUS_KM,
    Look,
    View,
    add_points,
    draw_view,
    ground_texture,
    star_field,
)
from benchmarks.simulate.scenes_ground import clouds, surface

MOONLIT_LOOK = Look(quantile=0.9, level=(0.02, 0.28), noise=(0.05, 0.6), cast=0.15)
DARK_LOOK = Look(quantile=0.95, level=(0.02, 0.12), noise=(0.05, 1.0), cast=0.2)
# All but black: nothing to be seen but what is brightest
DIM_LOOK = replace(DARK_LOOK, level=(0.004, 0.025))
MOST_LAMPS, MOST_LAMPS_DIM = 80, 6
MOONLIGHT_RGB = (0.93, 0.98, 1.05)
AIR_RGB = (0.02, 0.035, 0.06)  # its own veil: moonlight is the Sun's


def night_nocity(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A night frame without towns: linear light and how to develop it."""
    kind = rng.random()
    if kind < 0.25:
        view = draw_view(rng, off_nadir_deg=(0.0, 55.0), field_deg=(15.0, 90.0))
    else:
        view = draw_view(rng, limb=(-0.6, 1.1), field_deg=(25.0, 100.0))
    moonlit = rng.random() < 0.6
    # A dim frame with a field of points would be one of stars or of lamps
    dim = not moonlit and rng.random() < 0.5
    light = night_ground(view, rng) * np.float32(rng.uniform(0.3, 2.0) if moonlit else 0.05)
    light = light * view.ground[..., None]
    light = light + airglow(view, rng) * np.float32(np.exp(rng.uniform(-3.5, -0.4)))
    if rng.random() < (0.4 if moonlit else 0.8):
        light = light + lightning(view, rng, int(rng.integers(1, 6)))
    if rng.random() < 0.85:  # fires, flares, boats
        light = light + _few_lights(view, rng, MOST_LAMPS_DIM if dim else MOST_LAMPS)
    if not dim and rng.random() < 0.75:
        sky = np.clip(view.perigee_km / 80.0, 0.0, 1.0).astype(np.float32)[..., None]
        number = int(np.exp(rng.uniform(np.log(10), np.log(600))))
        light = light + 0.05 * sky * star_field(rng, view.width_px, view.height_px, number)
    if moonlit:
        return light, MOONLIT_LOOK
    return light, DIM_LOOK if dim else DARK_LOOK


def night_ground(view: View, rng: np.random.Generator) -> ImageArray:
    """Moonlit sea, land and clouds, about 0 to 1, shape (height, width, 3)."""
    extent_km = max(60.0, float(np.median(view.footprint_km)) * view.width_px)
    ground = surface(view, rng, extent_km)[..., :3] * np.float32(rng.uniform(0.3, 1.0))
    depth, shading = clouds(view, rng, extent_km, float(rng.uniform(0.0, 0.95)))
    opaque = (1.0 - np.exp(-depth))[..., None]
    white = (0.8 * depth / (depth + 2.0) * shading)[..., None] * np.array(MOONLIGHT_RGB, np.float32)
    air = np.array(AIR_RGB, np.float32) / np.sqrt(view.cosine**2 + 0.02)[..., None]
    return np.asarray(ground * (1.0 - opaque) + white + 0.4 * air, np.float32)


def airglow(view: View, rng: np.random.Generator) -> ImageArray:
    """Shells of airglow at the limb, green, orange and a wide red one, shape (height, width, 3).

    Oxygen's green line at 95 km, sodium's yellow at 90 km, hydroxyl's red at 87 km, oxygen's red
    line about 250 km; which one shows depends on the camera's filter and the night.
    """
    green, yellow, red, high = np.exp(rng.normal((0.0, -0.7, -1.2, -2.4), 0.8))
    height_km = view.perigee_km
    edge = np.clip(height_km / 15.0 + 1.0, 0.0, 1.0)
    light = np.zeros((*height_km.shape, 3), np.float32)
    for at_km, thick_km, share, colour in (
        (95.0, 5.0, green, (0.35, 1.0, 0.25)),
        (90.0, 5.0, yellow, (1.0, 0.65, 0.1)),
        (87.0, 4.0, red, (1.0, 0.25, 0.1)),
        (250.0, 70.0, high, (1.0, 0.2, 0.15)),
    ):
        shell = np.exp(-0.5 * ((height_km - at_km) / thick_km) ** 2)
        # Below its height a shell is crossed twice, the less obliquely the lower
        below = 0.4 / np.sqrt(1.0 + np.maximum(at_km - height_km, 0.0) / thick_km)
        glow = shell + below * (height_km < at_km) * (0.5 + 0.5 * edge)
        light += (share * glow)[..., None] * np.array(colour, np.float32)
    haze = rng.uniform(0.0, 1.0) * np.exp(-np.abs(height_km) / 12.0)
    light += haze[..., None].astype(np.float32) * rng.uniform(0.3, 1.0, 3).astype(np.float32)
    return light


def lightning(view: View, rng: np.random.Generator, flashes: int) -> ImageArray:
    """Clouds lit from within, blinding white to violet, shape (height, width, 3)."""
    rows, columns = np.mgrid[: view.height_px, : view.width_px].astype(np.float32)
    places = np.argwhere(view.ground > 0.5)
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    for _ in range(flashes if len(places) else 0):
        row, column = places[int(rng.integers(len(places)))]
        km_per_px = float(view.distance_km[row, column]) / view.focal_px
        tall = max(np.exp(rng.normal(np.log(20.0), 0.5)) / km_per_px, 1.0)
        flat = max(float(view.cosine[row, column]), 0.3)
        away = np.hypot(columns - column, (rows - row) / flat) / tall
        rough = np.exp(0.5 * _texture(rng, view)) if tall > 8.0 else 1.0
        power = np.exp(rng.uniform(np.log(1.0), np.log(100.0)))
        colour = np.exp(rng.normal((-0.1, 0.0, 0.25), 0.1))
        spot = power * np.exp(-(away**1.5)) * rough
        light += np.float32(colour) * spot[..., None].astype(np.float32)
    return light


def _few_lights(view: View, rng: np.random.Generator, most: int) -> ImageArray:
    number = int(np.exp(rng.uniform(0.0, np.log(most))))
    x, y = rng.uniform(0.0, view.width_px, number), rng.uniform(0.0, view.height_px, number)
    power = np.exp(rng.normal(2.0, 1.3, (number, 1)))
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    add_points(light, x, y, power * np.exp(rng.normal((0.6, 0.0, -0.8), 0.3)))
    return blurred(light, float(rng.uniform(0.6, 2.0))) * view.ground[..., None]


def _texture(rng: np.random.Generator, view: View) -> ImageArray:
    tile = fractal_tile(rng, 256, 1.3)
    size = (view.width_px, view.height_px)
    return np.asarray(cv2.resize(tile, size, interpolation=cv2.INTER_LINEAR), np.float32)


TOWN_LOOK = Look(quantile=0.995, level=(0.2, 3.0), noise=(0.03, 0.5), cast=0.12)
# Sodium lamps, and white ones, as a camera balanced for daylight sees them
SODIUM_RGB, WHITE_RGB = (1.9, 0.9, 0.25), (1.0, 0.95, 0.85)
TOWNS = (300, 6000)  # in the whole sight, most of them beyond the middle distance


def towns(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame of towns up to the limb: linear light and how to develop it."""
    view = draw_view(rng, limb=(-0.7, 1.2), field_deg=(25.0, 100.0))
    light = town_light(view, rng)
    full = max(float(np.quantile(light.max(axis=2), 0.997)), 1e-6)
    light = light * np.float32(1.0 / full)
    depth = np.exp(-np.maximum(ground_texture(rng, view, scale_km=600.0, slope=1.5) - 0.8, 0.0))
    light = light * depth[..., None]  # clouds here and there
    moonlit = np.exp(rng.uniform(np.log(0.002), np.log(0.35)))
    light += np.float32(moonlit) * view.ground[..., None] * night_ground(view, rng)
    light += np.float32(np.exp(rng.uniform(-4.5, -1.2))) * airglow(view, rng)
    if rng.random() < 0.7:
        sky = np.clip(view.perigee_km / 80.0, 0.0, 1.0).astype(np.float32)[..., None]
        number = int(np.exp(rng.uniform(np.log(30), np.log(1200))))
        light += 0.08 * sky * star_field(rng, view.width_px, view.height_px, number)
    if rng.random() < 0.35:
        light += lightning(view, rng, int(rng.integers(1, 3)))
    return light.astype(np.float32), TOWN_LOOK


def town_light(view: View, rng: np.random.Generator) -> ImageArray:
    """Lamps of towns along coasts and rivers, shape (height, width, 3)."""
    place, power = _towns(view, rng)
    lamps = np.clip(rng.poisson(2.0 + 12.0 * power), 1, 300)
    which = np.repeat(np.arange(len(place)), lamps)
    reach_km = 2.0 + 2.5 * np.sqrt(power[which])
    spot = place[which] + reach_km[:, None] * rng.normal(0.0, 1.0, (len(which), 2))
    # A little above the ground, so that rounding does not hide them
    points = _raised(spot, np.full(len(spot), 0.1))
    x, y, seen = view.pixels_of(points)
    origin = np.array([0.0, 0.0, EARTH_RADIUS_KM + view.altitude_km])
    distance = np.linalg.norm(points - origin, axis=1)
    strength = seen * (view.altitude_km / distance) ** 2 * rng.exponential(1.0, len(which))
    sodium = rng.beta(2.5, 1.0) * rng.uniform(0.5, 1.2, len(place))
    share = np.clip(sodium, 0.0, 1.0)[which][:, None]
    colour = share * np.array(SODIUM_RGB) + (1.0 - share) * np.array(WHITE_RGB)
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    add_points(light, x, y, strength[:, None] * colour)
    glow = cv2.GaussianBlur(light, (0, 0), float(rng.uniform(4.0, 15.0)))
    return np.asarray(light + np.float32(rng.uniform(0.1, 1.0)) * glow, np.float32)


def _towns(view: View, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Places ahead and aside, km, shape (n, 2), and their power; they keep to lines and plains."""
    number = int(np.exp(rng.uniform(*np.log(TOWNS))))
    ridge = ground_texture(rng, view, scale_km=float(rng.uniform(300.0, 1500.0)), slope=1.7)
    liked = np.exp(-((ridge / rng.uniform(0.1, 0.6)) ** 2)) * (view.perigee_km < -2.0)
    # Pixels near the limb see more ground, and so more towns
    weight = (liked * view.footprint_km**1.4).ravel()
    if weight.sum() <= 0.0:
        return np.zeros((1, 2)), np.ones(1)
    chosen = rng.choice(weight.size, number, p=weight / weight.sum())
    place = np.stack([view.ahead_km.ravel()[chosen], view.aside_km.ravel()[chosen]], axis=1)
    spread = view.footprint_km.ravel()[chosen][:, None] * rng.uniform(-0.5, 0.5, (number, 2))
    return place + spread, np.minimum(rng.pareto(1.1, number), 60.0)


AURORA_LOOK = Look(quantile=0.97, level=(0.25, 1.6), noise=(0.05, 0.6), cast=0.12)
# Oxygen's green line of 557.7 nm is brightest near 110 km, its red one of 630.0 nm above 200 km;
# nitrogen adds violet tops in sunlight and a pink lower border.
LINES_RGB = ((0.12, 1.0, 0.25), (1.0, 0.16, 0.22), (0.6, 0.25, 1.0), (1.0, 0.35, 0.75))
HEIGHTS_KM = np.concatenate([np.arange(95.0, 160.0, 4.0), np.arange(160.0, 440.0, 10.0)])
STEPS = 2500  # points along a curtain
TRIES, LEAST_SEEN = 6, 0.01  # share of the picture


def aurora(rng: np.random.Generator) -> tuple[ImageArray, Look]:
    """A frame with aurora: linear light and how to develop it."""
    below = rng.random() < 0.2
    if below:
        view = draw_view(rng, off_nadir_deg=(20.0, 55.0), field_deg=(40.0, 100.0))
    else:
        view = draw_view(rng, limb=(-0.7, 0.9), field_deg=(30.0, 110.0))
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    for _ in range(TRIES):  # a curtain may stand outside of the picture
        light += sum(curtain(view, rng) for _ in range(int(rng.integers(1, 4))))
        if float(np.mean(light[..., 1] > 0.2 * light[..., 1].max())) > LEAST_SEEN:
            break
    light /= max(float(np.quantile(light.max(axis=2), 0.97)), 1e-6)
    moonlit = rng.uniform(0.02, 0.9) if rng.random() < 0.7 else 0.0
    ground = night_ground(view, rng)
    # What lies below shines green in its light
    own = cv2.GaussianBlur(light, (0, 0), 60.0) * np.float32(rng.uniform(0.0, 0.5))
    light += view.ground[..., None] * ground * (np.float32(moonlit) + own)
    light += airglow(view, rng) * np.float32(np.exp(rng.uniform(-4.0, -1.2)))
    if rng.random() < 0.7:
        sky = np.clip(view.perigee_km / 80.0, 0.0, 1.0).astype(np.float32)[..., None]
        number = int(np.exp(rng.uniform(np.log(50), np.log(1500))))
        light += 0.1 * sky * star_field(rng, view.width_px, view.height_px, number)
    return light, AURORA_LOOK


def curtain(view: View, rng: np.random.Generator) -> ImageArray:
    """Light of one folded curtain, shape (height, width, 3).

    It hangs over a winding line on the ground and is drawn as points between 95 and 330 km; what
    lies one behind the other adds up, as in thin air it does.
    """
    place, strength = _line(view, rng)
    red, violet = rng.exponential((0.08, 0.03))
    pink = rng.uniform(0.0, 0.6)
    reach = np.exp(rng.normal(0.0, 0.3))
    # Every point of the line at every height, shaken so that no row of them shows
    thick_km = np.repeat(np.gradient(HEIGHTS_KM), STEPS)
    height_km = np.repeat(HEIGHTS_KM, STEPS) + thick_km * rng.uniform(-0.5, 0.5, len(thick_km))
    width_km = np.where(height_km < 110.0, 8.0, 28.0 * reach)
    green = np.exp(-0.5 * ((height_km - 110.0) / width_km) ** 2)
    top = np.exp(-0.5 * ((height_km - 220.0) / (70.0 * reach)) ** 2)
    border = np.exp(-0.5 * ((height_km - 97.0) / 3.0) ** 2)
    lines = zip((green, red * top, violet * top, pink * border), LINES_RGB, strict=True)
    colour = sum(share[:, None] * np.array(rgb) for share, rgb in lines)
    ground = np.tile(place, (len(HEIGHTS_KM), 1))
    ground = ground + rng.normal(0.0, 2.0, ground.shape)
    x, y, seen = view.pixels_of(_raised(ground, height_km))
    light = np.zeros((view.height_px, view.width_px, 3), np.float32)
    add_points(
        light, x, y, (np.tile(strength, len(HEIGHTS_KM)) * seen * thick_km)[:, None] * colour
    )
    sigma = float(rng.uniform(1.5, 3.5))
    return np.asarray(cv2.GaussianBlur(light, (0, 0), sigma), np.float32)


def _line(view: View, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Points of a winding line on the ground, ahead and aside in km, (n, 2); their brightness."""
    rows = rng.integers(0, view.height_px, 60)
    columns = rng.integers(0, view.width_px, 60)
    shown = np.argsort(-view.distance_km[rows, columns])
    # Mostly in the farther part of what is seen, where an oval stands before the limb
    chosen = shown[int(rng.integers(0, 25))]
    middle = np.array(
        [
            view.ahead_km[rows[chosen], columns[chosen]],
            view.aside_km[rows[chosen], columns[chosen]],
        ]
    )
    length_km = float(rng.uniform(1200.0, 5000.0))
    along = np.linspace(-0.5, 0.5, STEPS) * length_km
    turn = rng.normal(0.5 * np.pi, 0.5) if rng.random() < 0.7 else rng.uniform(0.0, np.pi)
    bend = rng.normal(0.0, 6e-5) * along**2
    for wave_km, size_km in ((1500.0, 120.0), (500.0, 50.0), (170.0, 18.0), (60.0, 6.0)):
        wave = 2.0 * np.pi * along / (wave_km * np.exp(rng.normal(0.0, 0.3)))
        bend = bend + rng.exponential(size_km) * np.sin(wave + rng.uniform(0.0, 6.3))
    heading, side = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    place = middle + along[:, None] * heading + bend[:, None] * side
    rough = sum(
        np.interp(
            along,
            np.arange(-0.5, 0.501, 1.0 / knots) * length_km,
            rng.normal(0.0, 1.0, knots + 1),
        )
        for knots in (8, 30, 90, 250)
    )
    rays = np.exp(rng.uniform(0.3, 0.8) * rough)
    return place, rays * np.cos(np.pi * along / length_km) ** 2


def _raised(ground_km: FloatArray, height_km: FloatArray) -> FloatArray:
    """Points above places on the ground, about the Earth's centre, shape (n, 3), km."""
    arc = np.hypot(ground_km[:, 0], ground_km[:, 1])
    angle = arc / EARTH_RADIUS_KM
    flat = np.sin(angle) / np.maximum(arc, 1e-9)
    unit = np.stack([ground_km[:, 0] * flat, ground_km[:, 1] * flat, np.cos(angle)], axis=1)
    return np.asarray((EARTH_RADIUS_KM + height_km)[:, None] * unit)
