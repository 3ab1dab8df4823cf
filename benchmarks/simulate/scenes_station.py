"""Inside of the station, its windows, and its parts before the Earth: `inside` and `other`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.hardware import PARTS, Hardware, draw_foreground
from benchmarks.simulate.noise import blurred, fractal_tile
from benchmarks.simulate.scene_develop import Look
from benchmarks.simulate.scene_view import frame_size
from benchmarks.simulate.scenes_day import day_light

ImageArray = NDArray[np.float32]

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
