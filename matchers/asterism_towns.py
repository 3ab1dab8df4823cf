"""The towns of a map as a camera at some place would tell them apart, in all directions at once.

The map is drawn as seen from the position, around the nadir, in the stereographic projection: it
keeps shapes everywhere and stretches by no more than a half out to the horizon, so that one filter
finds towns of the size that the photo resolves in every direction. What is found is kept as
places on the ground: seen from another position nearby it is projected anew, not sought anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.attitude import looking_at_nadir
from matchers.earth import incidence_deg, intersect_ellipsoid, surface_to_lonlat
from matchers.light_grid import LightGrid
from matchers.ray_view import stereographic_rays
from matchers.towns import find_towns
from matchers.view import FAR_AWAY

FloatArray = NDArray[np.float64]
Image = NDArray[np.float32]

LATTICE_PX = 8
BLOCK_PX = 128  # of one pyramid level each
# Flatter ground is lost in haze and too compressed to tell towns apart
FARTHEST_INCIDENCE_DEG = 82.0
# The view is never larger than this
MOST_PX = 1600
# The stereographic scale at the nadir, relative to the photo's at its middle: the projection
# stretches by up to 1.4 towards the horizon, and the photo by up to 1.2 towards its own corners
SCALE_AT_NADIR = 0.9


@dataclass(frozen=True, kw_only=True, eq=False)
class MapTowns:
    """Towns of a map.

    Attributes
    ----------
    ground_ecef_m : ndarray of float64, shape (n, 3)
        Their places, strongest first.
    contrast : ndarray of float64, shape (n,)
        How far each stands out, see `matchers.towns.find_towns`.
    """

    ground_ecef_m: FloatArray
    contrast: FloatArray

    def __len__(self) -> int:
        return len(self.contrast)

    def seen_from(self, position_ecef_m: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Unit vectors (ECEF), shape (k, 3), and contrast of those that a position sees."""
        incidence = incidence_deg(position_ecef_m, self.ground_ecef_m)
        seen = incidence < FARTHEST_INCIDENCE_DEG
        sight = self.ground_ecef_m[seen] - np.asarray(position_ecef_m, float)
        return sight / np.linalg.norm(sight, axis=1, keepdims=True), self.contrast[seen]


def towns_around(
    levels: Sequence[LightGrid],
    position_ecef_m: ArrayLike,
    focal_px: float,
    off_nadir_deg: float,
    *,
    scale_px: float,
    smooth_px: float,
    most: int,
) -> MapTowns:
    """Towns of a map that a camera at a position can tell apart.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid around the position.
    position_ecef_m : array_like, shape (3,)
        Where the camera is, metres.
    focal_px : float
        Focal length of the photo's light image in which towns are sought, pixels.
    off_nadir_deg : float
        Towns are sought out to this angle from the nadir.
    scale_px, smooth_px : float
        Size of towns and blur of that image, its pixels.
    most : int
        At most so many, the strongest.

    Returns
    -------
    MapTowns
    """
    position = np.asarray(position_ecef_m, float)
    focal = SCALE_AT_NADIR * focal_px
    reach = 2.0 * np.tan(np.radians(off_nadir_deg) / 2.0)
    half = int(min(np.ceil(focal * reach), MOST_PX / 2))
    focal = min(focal, half / reach)
    reached = -half + BLOCK_PX * int(np.ceil(2 * half / BLOCK_PX))
    lattice = np.arange(-half, reached + LATTICE_PX, LATTICE_PX, dtype=float)
    x, y = np.meshgrid(lattice, lattice)
    rays = stereographic_rays(x, y, focal)
    ground = intersect_ellipsoid(position, rays @ looking_at_nadir(position).T)
    col, row = levels[0].to_pixel(*surface_to_lonlat(ground))
    view = draw(levels, col, row, 2 * half)
    view = np.asarray(cv2.GaussianBlur(view, (0, 0), smooth_px), np.float32)
    towns = find_towns(view, None, most, scale_px)
    rays = stereographic_rays(towns.x - half, towns.y - half, focal)
    ground = intersect_ellipsoid(position, rays @ looking_at_nadir(position).T)
    hit = np.isfinite(ground[:, 0])
    return MapTowns(ground_ecef_m=ground[hit], contrast=towns.contrast[hit])


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
