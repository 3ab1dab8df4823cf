"""The map as seen from a position in all directions at once, around the nadir.

It is drawn in the stereographic projection, which keeps shapes everywhere and stretches by no more
than a half out to the horizon: one filter serves for all directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.attitude import looking_at_nadir
from matchers.earth import intersect_ellipsoid, surface_to_lonlat
from matchers.light_grid import LightGrid
from matchers.ray_view import stereographic_rays
from matchers.view import FAR_AWAY

FloatArray = NDArray[np.float64]
Image = NDArray[np.float32]

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
        Of `matchers.attitude.looking_at_nadir`: from the view's frame to ECEF.
    """

    light: Image
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


def draw(levels: Sequence[LightGrid], col: FloatArray, row: FloatArray, side_px: int) -> Image:
    """The map under a lattice of map positions, every part at the pyramid level that suits it.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid, finest first.
    col, row : ndarray of float64, shape (n, n)
        Positions on the finest level at every `LATTICE_PX`-th pixel; NaN for the sky.
    side_px : int
        Size of the image.

    Returns
    -------
    ndarray of float32, shape (side_px, side_px)
        0 for the sky and outside the map.
    """
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

    Parameters
    ----------
    col, row : ndarray of float64, shape (h, w)
        Map positions at every `LATTICE_PX`-th pixel; NaN for the sky.
    count : int
        Levels of the pyramid.

    Returns
    -------
    int
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
