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
from numpy.typing import ArrayLike

from detectors.types import FloatArray, FloatImage
from matchers.camera import Camera
from matchers.earth import intersect_ellipsoid, surface_to_lonlat
from matchers.light_grid import LightGrid
from matchers.pose import looking_at_nadir, quaternion_product, rotation_quaternion, with_attitude
from matchers.view import FAR_AWAY, lattice, stereographic_rays, view_along


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
        Unit vectors of the pixels of `matchers.view.lattice`: x right, y down, z along the
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
) -> tuple[FloatImage, FloatImage | None]:
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


def stereographic(image: FloatImage, focal_px: float) -> FloatImage:
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


# The map as seen from a position in all directions at once, around the nadir.

LATTICE_PX = 8
BLOCK_PX = 128  # of one pyramid level each
# The view is never larger than this
MOST_PX = 1600
# The stereographic scale at the nadir, relative to the photo's at its middle: the projection
# stretches by up to 1.4 towards the horizon, and the photo by up to 1.2 towards its own corners
SCALE_AT_NADIR = 0.9


@dataclass(frozen=True, kw_only=True, eq=False)
class NadirView:
    """The map's light around the nadir of a position.

    Attributes
    ----------
    light : ndarray of float32, shape (2 * half_px, 2 * half_px)
        Log radiance; 0 for the sky and outside the map.
    focal_px : float
        Pixels a radian at the nadir.
    half_px : int
        Column and row of the nadir.
    position_ecef_m : ndarray of float64, shape (3,)
        Where it is seen from.
    axes : ndarray of float64, shape (3, 3)
        Of `matchers.pose.looking_at_nadir`: from the view's frame to ECEF.
    """

    light: FloatImage
    focal_px: float
    half_px: int
    position_ecef_m: FloatArray
    axes: FloatArray

    def rays_ecef(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors (ECEF), shape (..., 3), of the view's pixels."""
        at_x, at_y = np.asarray(x, float) - self.half_px, np.asarray(y, float) - self.half_px
        return np.asarray(stereographic_rays(at_x, at_y, self.focal_px) @ self.axes.T)


def nadir_view(
    levels: Sequence[LightGrid], position_ecef_m: ArrayLike, focal_px: float, off_nadir_deg: float
) -> NadirView:
    """Draw the map as seen from a position.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid around the position.
    position_ecef_m : array_like, shape (3,)
        Where the camera is, metres.
    focal_px : float
        Focal length of the light image that the view is meant for, pixels.
    off_nadir_deg : float
        The view reaches to this angle from the nadir, in its corners farther.

    Returns
    -------
    NadirView
    """
    position = np.asarray(position_ecef_m, float)
    focal = SCALE_AT_NADIR * focal_px
    reach = 2.0 * np.tan(np.radians(off_nadir_deg) / 2.0)
    half = int(min(np.ceil(focal * reach), MOST_PX / 2))
    focal = min(focal, half / reach)
    axes = looking_at_nadir(position)
    reached = -half + BLOCK_PX * int(np.ceil(2 * half / BLOCK_PX))
    lattice = np.arange(-half, reached + LATTICE_PX, LATTICE_PX, dtype=float)
    x, y = np.meshgrid(lattice, lattice)
    rays = stereographic_rays(x, y, focal)
    ground = intersect_ellipsoid(position, rays @ axes.T)
    col, row = levels[0].to_pixel(*surface_to_lonlat(ground))
    light = draw(levels, col, row, 2 * half)
    return NadirView(light=light, focal_px=focal, half_px=half, position_ecef_m=position, axes=axes)


def draw(levels: Sequence[LightGrid], col: FloatArray, row: FloatArray, side_px: int) -> FloatImage:
    """The map under a lattice of map positions, every part at the pyramid level that suits it."""
    image = np.zeros((side_px, side_px), np.float32)
    ramp = np.arange(BLOCK_PX, dtype=np.float32) / np.float32(LATTICE_PX)
    at_x, at_y = np.meshgrid(ramp, ramp)
    cells = BLOCK_PX // LATTICE_PX
    seen = np.isfinite(col)
    known_col = np.where(seen, col, FAR_AWAY).astype(np.float32)
    known_row = np.where(seen, row, FAR_AWAY).astype(np.float32)
    for i in range(0, side_px, BLOCK_PX):
        for j in range(0, side_px, BLOCK_PX):
            part = np.s_[
                i // LATTICE_PX : i // LATTICE_PX + cells + 1,
                j // LATTICE_PX : j // LATTICE_PX + cells + 1,
            ]
            if not seen[part].any():
                continue
            level = suitable_level(col[part], row[part], len(levels))
            scale = 0.5**level
            map_x = cv2.remap(known_col[part], at_x, at_y, cv2.INTER_LINEAR)
            map_y = cv2.remap(known_row[part], at_x, at_y, cv2.INTER_LINEAR)
            sampled = cv2.remap(
                levels[level].values,
                np.asarray((map_x + 0.5) * scale - 0.5, np.float32),
                np.asarray((map_y + 0.5) * scale - 0.5, np.float32),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=0.0,
            )
            image[i : i + BLOCK_PX, j : j + BLOCK_PX] = sampled[: side_px - i, : side_px - j]
    return image


def suitable_level(col: FloatArray, row: FloatArray, count: int) -> int:
    """Pyramid level for a piece of the lattice: that of the mean side of its pixels' footprint.

    A pixel sees a slanted footprint. The level of its long side would blur towns into each other,
    that of its narrow side would miss towns between two samples.
    """
    dcol_dy, dcol_dx = np.gradient(col)
    drow_dy, drow_dx = np.gradient(row)
    side = np.sqrt(np.abs(dcol_dx * drow_dy - dcol_dy * drow_dx)) / LATTICE_PX
    known = side[np.isfinite(side)]
    if len(known) == 0:
        return 0
    # Rounded as in matchers.view.footprint_level
    level = np.floor(np.log2(max(float(np.median(known)), 1.0)) + 0.25)
    return int(np.clip(level, 0, count - 1))
