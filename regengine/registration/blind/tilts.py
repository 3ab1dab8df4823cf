"""Which ways down are tried where nothing tells which it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from detectors.limb_geometry import EARTH_RADIUS_KM, nadir_vector
from detectors.types import FloatArray
from matchers.asterism_fit import fitted_rotations, fitted_scales, rescaled
from matchers.asterism_match import Attitude
from matchers.asterisms import AsterismIndex, unit
from matchers.camera import Camera
from matchers.level_ground import leaning, leant_points, placed_camera

Rings = tuple[tuple[float, int], ...]
Way = Literal["figures", "light"]
Held = Literal["level", "turned"]

# Rings of off-nadir angles, and how many directions of the nadir are tried in each: between
# neighbours of all of them ground is foreshortened by 5 % more or less, a shape that figures bear.
# Most photos are found from the first rings already, whose neighbours lie twice as far apart
FIRST_RINGS: Rings = ((0.0, 1), (17.0, 6), (28.0, 8))
OTHER_RINGS: Rings = ((10.0, 6), (23.0, 10), (33.0, 14))
# Farther off, the picture is drawn as a map for each direction, and the towns are sought there.
# Steps of 4 degrees of tilt and of direction: where ground is foreshortened by half, that changes
# shapes by 12 %, and the fit makes up for half a step
FAR_RINGS: Rings = (
    (37.0, 20),
    (41.0, 24),
    (45.0, 28),
    (49.0, 32),
    (53.0, 36),
    (57.0, 40),
    (61.0, 40),
)
# Light around towns bears more: of twelve photos of the training half the right place came first in
# 47 of 66 tries 1 degree off, in 43 at 2.5, in 33 at 4
FAR_LIGHT_RINGS: Rings = (
    (37.0, 18),
    (42.0, 20),
    (47.0, 22),
    (52.0, 24),
    (57.0, 26),
    (61.0, 26),
)
# Where the horizon is near, cameras are mostly held level: these turns are tried first
UPRIGHT_DEG = 20.0


def directions(rings: Rings, held: Held | None = None) -> list[FloatArray]:
    """Nadir directions of some rings in the camera's frame, the steepest views first.

    All of them, or those of cameras that are held level, or the others.
    """
    return [
        nadir_vector(off_nadir_deg, turn)
        for off_nadir_deg, count in rings
        for turn in (360.0 * k / count for k in range(count))
        if held is None or (min(turn, 360.0 - turn) <= UPRIGHT_DEG) == (held == "level")
    ]


def ground_stretch(off_nadir_deg: float, altitude_km: float) -> float:
    """How much longer a pixel is on the ground than straight down: the mean of its two sides."""
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    angle = math.radians(off_nadir_deg)
    incidence = math.asin(min(high * math.sin(angle), 1.0))
    slant_km = high * math.cos(angle) - math.cos(incidence)
    return slant_km * EARTH_RADIUS_KM / altitude_km / math.sqrt(max(math.cos(incidence), 0.1))


# Cameras that lean a little otherwise than was assumed: how their towns lie, and where they are.

# One sigma, of either direction: half a step of the tilts that are tried
LEAN_RAD = np.radians(1.5)
MOST_LOG_SCALE = 0.3


@dataclass(frozen=True, kw_only=True, eq=False)
class LevelView:
    """What turns a level frame into a camera: its axes, the height tried, the stored lens."""

    axes: FloatArray
    altitude_km: float
    stored: Camera


def lean_ways(points: FloatArray, altitude_km: float) -> FloatArray:
    """How points of the level frame move when the camera leans by one sigma."""
    return np.stack(
        [
            leant_points(points, altitude_km, leaning(*about)) - points
            for about in ((LEAN_RAD, 0.0), (0.0, LEAN_RAD))
        ]
    )


def leant_camera(
    level: AsterismIndex, points: FloatArray, attitude: Attitude, view: LevelView
) -> Camera:
    """The camera of an attitude that was fitted with `lean_ways`."""
    lean = leaning(*(LEAN_RAD * attitude.bends).tolist())
    seen, towns = attitude.inliers.T
    moved = leant_points(points[seen], view.altitude_km, lean)
    whole = np.isfinite(moved).all(axis=1)
    scale, rotation = attitude.scale, attitude.rotation
    if whole.any():
        # To first order the lean leaves turn and scale as they are: they are fitted to all of it
        moved, targets = unit(moved[whole]), level.vectors[towns[whole]][None]
        share = np.ones((1, len(moved)))
        now = np.array([scale])
        now = fitted_scales(moved, targets, share, now, MOST_LOG_SCALE)
        sized = rescaled(moved[None], now[:, None, None])
        rotation = fitted_rotations(sized, targets, share, rotation[None])[0]
        scale = float(now[0])
    # A scale of the level frame is a height
    return placed_camera(view.stored, lean @ view.axes, view.altitude_km * scale, rotation)
