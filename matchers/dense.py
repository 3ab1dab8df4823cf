"""Dense search of the view sphere for the attitudes at which the photo fits the map.

From a camera position the map is seen on gnomonic (tangent-plane) tiles around a grid of
boresights; the photo's small light image, turned to many rolls, is compared with every tile at
every shift by masked normalised cross-correlation, computed by FFT.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.attitude import (
    off_nadir_attitude,
    quaternion_product,
    rotation_quaternion,
    with_attitude,
)
from matchers.camera import Camera
from matchers.correlate import correlate, correlate_covered, peaks_of
from matchers.light_grid import LightGrid
from matchers.photo_light import detail
from matchers.templates import DenseParameters, TurnedTemplates
from matchers.view import covered, render

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Peak:
    """One candidate attitude of the coarse search."""

    score: float
    camera: Camera


# Tiles whose brightest pixel is darker than this (log10(1 + L)) hold no lights
LEAST_LIGHT = 0.02
# The map under a template must vary by this share of the whole tile's spread
LEAST_SPREAD_SHARE = 0.1
LEAST_SPREAD = 0.01
# A tile without even this much ground in the map is not looked at
LEAST_GROUND = 0.02


def boresights(
    step_deg: float, max_off_nadir_deg: float, min_off_nadir_deg: float = 0.0
) -> FloatArray:
    """Directions spread evenly over the view sphere, nadir first.

    Parameters
    ----------
    step_deg : float
        Spacing of the rings and along them.
    max_off_nadir_deg, min_off_nadir_deg : float
        Rings outside this range are left out.

    Returns
    -------
    ndarray of float64, shape (n, 2)
        Off-nadir angle and azimuth, degrees.
    """
    found = []
    for ring in range(int(np.floor(max_off_nadir_deg / step_deg)) + 1):
        off_nadir = ring * step_deg
        count = max(1, int(np.ceil(360.0 * np.sin(np.radians(off_nadir)) / step_deg)))
        found += [(off_nadir, (k + 0.5 * (ring % 2)) * 360.0 / count) for k in range(count)]
    return np.array([f for f in found if f[0] >= min_off_nadir_deg])


def search(
    levels: Sequence[LightGrid],
    photo: Camera,
    templates: TurnedTemplates,
    directions: FloatArray,
    parameters: DenseParameters,
) -> Iterator[Peak]:
    """Candidate attitudes of a camera at a known position.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid that covers what the directions can see.
    photo : Camera
        Camera of the *template* (its size and focal length); its attitude is not used.
    templates : TurnedTemplates
        Of `templates_for`, for the photo's focal length.
    directions : ndarray of float64, shape (n, 2)
        Off-nadir angles and azimuths of the tiles.
    parameters : DenseParameters
        How finely to look.

    Yields
    ------
    Peak
        Best first.
    """
    fft_px = templates.fft_px
    shift = (templates.side_px - 1) / 2.0
    found: list[tuple[float, int, int, int, int]] = []
    views: list[Camera] = []
    for index, (off_nadir, azimuth) in enumerate(directions):
        view = tile_camera(photo, fft_px, off_nadir, azimuth)
        views.append(view)
        seen = render(levels, view, 1)
        tile = np.asarray(cv2.GaussianBlur(seen, (0, 0), parameters.smooth_px), np.float32)
        if float(tile.max()) <= LEAST_LIGHT:
            continue
        tile = detail(tile, parameters.detail_px)
        least = max(LEAST_SPREAD, LEAST_SPREAD_SHARE * float(tile.std()))
        ground = covered(levels, view)
        if ground is None:
            scores = correlate(tile, templates, least)
        elif float(ground.mean()) > LEAST_GROUND:
            scores = correlate_covered(tile, ground, templates, least)
        else:
            continue
        for k, score in enumerate(scores):
            for i, j, value in peaks_of(score, parameters.peaks_per_view):
                found.append((value, index, k, i, j))
    found.sort(reverse=True)
    for value, index, k, i, j in found:
        roll = float(templates.rolls_deg[k])
        camera = camera_at(photo, views[index], j + shift, i + shift, roll)
        yield Peak(score=value, camera=camera)


def tile_camera(photo: Camera, side_px: int, off_nadir_deg: float, azimuth_deg: float) -> Camera:
    """Square view from the photo's position around a boresight, at the photo's scale."""
    blank = Camera(
        width_px=side_px,
        height_px=side_px,
        focal_px=photo.focal_px,
        principal_point=((side_px - 1) / 2.0, (side_px - 1) / 2.0),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=photo.position_ecef_m,
    )
    attitude = off_nadir_attitude(photo.position_ecef_m, off_nadir_deg, azimuth_deg, 0.0)
    return with_attitude(blank, attitude)


def camera_at(photo: Camera, view: Camera, x: float, y: float, roll_deg: float) -> Camera:
    """The photo's camera when its centre lies at (x, y) of a tile, turned by a roll."""
    u = (x - view.principal_point[0]) / view.focal_px
    v = (y - view.principal_point[1]) / view.focal_px
    # Shortest turn that carries the tile's axis (0, 0, 1) to the peak's direction, then the roll
    angle = math.atan(math.hypot(u, v))
    share = angle / max(math.hypot(u, v), 1e-12)
    to_peak = rotation_quaternion([-v * share, u * share, 0.0])
    roll = rotation_quaternion([0.0, 0.0, math.radians(roll_deg)])
    turn = quaternion_product(to_peak, roll)
    return replace(photo, quaternion=quaternion_product(view.quaternion, turn))
