"""Conformal tiles of the view sphere: what a camera position sees around a boresight.

A tile is a stereographic image, radius ``2 f tan(theta / 2)``. Unlike a pinhole's it keeps shapes
everywhere, so the photo, brought to the same projection about its own axis, is found far from the
tile's centre by a shift and a turn alone: few large tiles cover the view sphere.

References
----------
Snyder, J. P. (1987). Map Projections: A Working Manual. USGS Professional Paper 1395, p. 154-163.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.attitude import quaternion_product, rotation_quaternion, with_attitude
from matchers.camera import Camera
from matchers.light_grid import LightGrid
from matchers.ray_view import lattice, stereographic_rays, view_along

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class TileGrid:
    """What all square tiles of one search share.

    Attributes
    ----------
    side_px : int
        Their centre, the boresight, is the pixel ``(side_px - 1) / 2`` of both axes.
    focal_px : float
        Pixels a radian at the centre.
    rays : ndarray of float64, shape (n, n, 3)
        Unit vectors of the pixels of `matchers.ray_view.lattice`: x right, y down, z along the
        boresight.
    """

    side_px: int
    focal_px: float
    rays: FloatArray


def tile_grid(side_px: int, focal_px: float) -> TileGrid:
    """Rays of tiles of some size and scale."""
    axis = lattice(side_px) - (side_px - 1) / 2.0
    rays = stereographic_rays(*np.meshgrid(axis, axis), focal_px)
    return TileGrid(side_px=side_px, focal_px=focal_px, rays=rays)


def tile_view(
    levels: Sequence[LightGrid],
    grid: TileGrid,
    attitude: FloatArray,
    position_ecef_m: tuple[float, float, float],
) -> tuple[Image, Image | None]:
    """The map's lights on a tile, and where on it the map holds data.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid, finest first.
    grid : TileGrid
        Size and scale.
    attitude : ndarray of float64, shape (3, 3)
        Tile axes to ECEF.
    position_ecef_m : tuple of float
        Where it is seen from, metres.

    Returns
    -------
    light : ndarray of float32, shape (side_px, side_px)
        Log radiance; 0 for the sky.
    known : ndarray of float32, shape (side_px, side_px), or None
        As of `matchers.view.known_at`; None where it holds data everywhere.
    """
    side = grid.side_px
    return view_along(levels, position_ecef_m, grid.rays @ attitude.T, side, side)


def camera_at(
    photo: Camera, grid: TileGrid, attitude: FloatArray, x: float, y: float, roll_deg: float
) -> Camera:
    """The photo's camera when its centre lies at (x, y) of a tile, turned by a roll."""
    u = (x - (grid.side_px - 1) / 2.0) / (2.0 * grid.focal_px)
    v = (y - (grid.side_px - 1) / 2.0) / (2.0 * grid.focal_px)
    # Shortest turn that carries the tile's axis (0, 0, 1) to the peak's direction, then the roll
    angle = 2.0 * math.atan(math.hypot(u, v))
    share = angle / max(math.hypot(u, v), 1e-12)
    to_peak = rotation_quaternion([-v * share, u * share, 0.0])
    roll = rotation_quaternion([0.0, 0.0, math.radians(roll_deg)])
    turn = quaternion_product(to_peak, roll)
    tile = with_attitude(photo, attitude).quaternion
    return replace(photo, quaternion=quaternion_product(tile, turn))


def stereographic(image: Image, focal_px: float) -> Image:
    """A pinhole image, brought to the stereographic projection about its centre.

    Parameters
    ----------
    image : ndarray of float32, shape (h, w)
        Its optical axis goes through the middle.
    focal_px : float
        Focal length; the scale at the centre stays.

    Returns
    -------
    ndarray of float32, shape (h, w)
        0 outside the pinhole image.
    """
    height, width = image.shape
    x = np.arange(width, dtype=np.float32) - (width - 1) / 2.0
    y = np.arange(height, dtype=np.float32) - (height - 1) / 2.0
    u, v = np.meshgrid(x / (2.0 * focal_px), y / (2.0 * focal_px))
    # tan(theta) = 2 tan(theta / 2) / (1 - tan(theta / 2)^2)
    stretch = 1.0 / np.maximum(1.0 - u * u - v * v, 0.05)
    at_x = (x[None, :] * stretch + (width - 1) / 2.0).astype(np.float32)
    at_y = (y[:, None] * stretch + (height - 1) / 2.0).astype(np.float32)
    return np.asarray(cv2.remap(image, at_x, at_y, cv2.INTER_LINEAR), np.float32)
