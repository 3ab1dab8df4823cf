"""The Moon: alone in the sky, above a limb, in the haze, cut off, over- and underexposed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise_field import fractal_tile
from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_ground import day_reflectance
from benchmarks.simulate.scene_night import airglow
from benchmarks.simulate.scene_starlight import star_field
from benchmarks.simulate.scene_sun import twilight_arc
from benchmarks.simulate.scene_view import View, draw_view, frame_size

ImageArray = NDArray[np.float32]

LEAST_RADIUS_PX = 10.0
# For a Moon that is neither hidden nor beyond the border, of at least so much of the picture
TRIES, LEAST_LIT = 8, 0.0012
MOON_LOOK = Look(
    quantile=1.0, level=(0.2, 3.0), noise=(0.02, 0.4), hardware=0.08, lit=0.5, cast=0.08, crop=0.0
)


@dataclass(frozen=True, kw_only=True)
class MoonDisc:
    """Where a Moon is drawn and how it is lit.

    Attributes
    ----------
    x, y, radius_px : float
    phase_deg : float
        Between Sun and camera as seen from the Moon: 0 is full, 90 half.
    turn_deg : float
        Direction of its lit side, from +x towards +y.
    flattened : float
        Height over width: refraction squeezes it low above the limb.
    earthshine : float
        Light of the dark side, as a share of the lit one's.
    """

    x: float
    y: float
    radius_px: float
    phase_deg: float
    turn_deg: float = 0.0
    flattened: float = 1.0
    earthshine: float = 0.0


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
