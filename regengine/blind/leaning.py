"""Cameras that lean a little otherwise than was assumed: how their towns lie, and where they are.

Which way is down is tried in steps, or told by the limb within a degree or two. Half a step changes
by how much ground is foreshortened, more than figures of towns agree to where it is seen flat:
the lean is fitted with the rotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.asterism_fit import fitted_rotations, fitted_scales, rescaled
from matchers.asterism_match import Attitude
from matchers.asterisms import AsterismIndex, unit
from matchers.camera import Camera
from matchers.level_ground import leaning, leant_points, placed_camera

FloatArray = NDArray[np.float64]

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
    """How points of the level frame move when the camera leans by one sigma.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 3)
    altitude_km : float
        Height of the camera.

    Returns
    -------
    ndarray of float64, shape (2, n, 3)
        About the level frame's x and y axes.
    """
    return np.stack(
        [
            leant_points(points, altitude_km, leaning(*about)) - points
            for about in ((LEAN_RAD, 0.0), (0.0, LEAN_RAD))
        ]
    )


def leant_camera(
    level: AsterismIndex, points: FloatArray, attitude: Attitude, view: LevelView
) -> Camera:
    """The camera of an attitude that was fitted with `lean_ways`.

    Parameters
    ----------
    level : AsterismIndex
        The reference.
    points : ndarray of float64, shape (n, 3)
        Of the level frame, unit vectors.
    attitude : Attitude
        Of them.
    view : LevelView
        The level frame.

    Returns
    -------
    Camera
        Of the stored image.
    """
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
