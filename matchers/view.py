"""What is seen of a night-light map: through a camera, along rays, or all around a position.

References
----------
Snyder, J. P. (1987). Map Projections: A Working Manual. USGS Professional Paper 1395, p. 154-163
(stereographic projection).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray, FloatImage
from matchers.camera import Camera
from matchers.earth import intersect_ellipsoid, surface_to_lonlat
from matchers.light_grid import LightGrid
from matchers.pose import looking_at_nadir

FAR_AWAY = -1e6  # map position of pixels that see no ground: outside every grid
# Rays are traced on a lattice of this spacing, and interpolated between
LATTICE_PX = 4
FEW_PX = 30_000  # of smaller images every ray is traced
MANY_PX = 150_000  # of larger ones every eighth
EVERYWHERE = np.zeros((0, 0), bool)
NADIR_LATTICE_PX = 8
BLOCK_PX = 128  # of one pyramid level each
# The view is never larger than this
MOST_PX = 1600
# The stereographic scale at the nadir, relative to the photo's at its middle: the projection
# stretches by up to 1.4 towards the horizon, and the photo by up to 1.2 towards its own corners
SCALE_AT_NADIR = 0.9


def render(levels: Sequence[LightGrid], camera: Camera, supersample: int = 2) -> FloatImage:
    """The map's lights through a camera: mean log radiance, 0 for the sky and outside the map.

    Every pixel takes the pyramid level whose pixels are about as wide as its own footprint is
    narrow; the long way of a slanted footprint is covered by supersampling.

    Parameters
    ----------
    levels : sequence of LightGrid
        A map pyramid, finest first.
    supersample : int
        Samples a pixel along each axis.
    """
    return render_known(levels, camera, supersample)[0]


def render_known(
    levels: Sequence[LightGrid], camera: Camera, supersample: int = 2
) -> tuple[FloatImage, FloatImage]:
    """As `render`, and which pixels show ground that the window holds data for, or the sky.

    The second is 0 where the map has no data and beyond the window's edge, else 1.
    """
    from matchers.compiled_view import fill_places

    s = supersample
    fine = camera.scaled(s, camera.width_px * s, camera.height_px * s) if s > 1 else camera
    samples = fine.width_px * fine.height_px
    step = 1 if samples < FEW_PX else LATTICE_PX if samples < MANY_PX else 2 * LATTICE_PX
    if step == 1:
        shape = fine.height_px, fine.width_px
    else:
        shape = len(lattice(fine.height_px, step)), len(lattice(fine.width_px, step))
    cols, rows = np.empty(shape), np.empty(shape)
    grid = levels[0]
    where = np.array([grid.lon0_deg, grid.lat0_deg, grid.step_deg, grid.values.shape[1]], float)
    fill_places(fine.numbers, where, step, cols, rows)
    return shown(levels, cols, rows, step, (camera.height_px, camera.width_px), s)


def shown(
    levels: Sequence[LightGrid],
    cols: FloatArray,
    rows: FloatArray,
    step: int,
    shape: tuple[int, int],
    samples: int = 1,
) -> tuple[FloatImage, FloatImage]:
    """Light of a map pyramid in an image (h, w), and how much of each pixel the map knows.

    Parameters
    ----------
    cols, rows : ndarray of float64, shape (n_y, n_x)
        Map positions of the image's samples, NaN for the sky: of each, where ``step`` is 1, or of
        a `lattice` of every ``step``-th one.
    samples : int
        Along each side of a pixel.
    """
    from matchers import compiled_view

    pictures = [np.ascontiguousarray(level.values) for level in levels[: compiled_view.LEVELS]]
    missing = [pictures[-1]] * (compiled_view.LEVELS - len(pictures))
    valid = levels[0].valid
    known_all = valid is None or valid.all()
    valid = EVERYWHERE if known_all else np.ascontiguousarray(valid)
    light, known = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    compiled_view.shown(
        (*pictures, *missing), len(pictures), valid, cols, rows, step, samples, light, known
    )
    return light, known


def light_at(
    levels: Sequence[LightGrid], level: int, col: FloatImage, row: FloatImage
) -> FloatImage:
    """Light of one level of a pyramid at positions of the finest; 0 outside."""
    scale = np.float32(0.5**level)
    light = cv2.remap(
        levels[level].values,
        (col + 0.5) * scale - 0.5,
        (row + 0.5) * scale - 0.5,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0.0,
    )
    return np.asarray(light, np.float32)


def view_along(
    levels: Sequence[LightGrid],
    position_ecef_m: tuple[float, float, float],
    rays_ecef: FloatArray,
    width_px: int,
    height_px: int,
) -> tuple[FloatImage, FloatImage | None]:
    """The map's lights in an image, and where in it the map holds data.

    Parameters
    ----------
    rays_ecef : ndarray of float64, shape (n_y, n_x, 3)
        Directions of the pixels of `lattice` along both sides.

    Returns
    -------
    light : ndarray of float32, shape (height_px, width_px)
        Log radiance; 0 for the sky.
    known : ndarray of float32, shape (height_px, width_px), or None
        As of `render_known`; None where it holds data everywhere.
    """
    ground = intersect_ellipsoid(position_ecef_m, rays_ecef)
    cols, rows = levels[0].to_pixel(*surface_to_lonlat(ground))
    light, known = shown(levels, cols, rows, LATTICE_PX, (height_px, width_px))
    whole = levels[0].valid is None or levels[0].valid.all()
    return light, None if whole else known


def lattice(size_px: int, step_px: int = LATTICE_PX) -> FloatArray:
    """Pixels of the lattice along one side of an image; the last reaches past the far edge."""
    return np.arange(0.0, size_px + step_px, step_px)


def stereographic_rays(x: ArrayLike, y: ArrayLike, focal_px: float) -> FloatArray:
    """Unit vectors (z forward), (..., 3), of positions in a stereographic image (Snyder 1987).

    Positions are pixels from its middle, right and down; the focal length is pixels a radian there.
    """
    # (u, v) is tan(theta / 2) times the direction
    u, v = np.asarray(x, float) / (2.0 * focal_px), np.asarray(y, float) / (2.0 * focal_px)
    square = u * u + v * v
    return np.stack([2.0 * u, 2.0 * v, 1.0 - square], axis=-1) / (1.0 + square)[..., None]


@dataclass(frozen=True, kw_only=True, eq=False)
class NadirView:
    """The map's light around the nadir of a position."""

    light: FloatImage  # (2 * half_px, 2 * half_px): log radiance; 0 for the sky and outside the map
    focal_px: float  # pixels a radian at the nadir
    half_px: int  # column and row of the nadir
    position_ecef_m: FloatArray  # (3,): where it is seen from
    axes: FloatArray  # (3, 3): of `matchers.pose.looking_at_nadir`: from the view's frame to ECEF

    def rays_ecef(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors (ECEF), shape (..., 3), of the view's pixels."""
        at_x, at_y = np.asarray(x, float) - self.half_px, np.asarray(y, float) - self.half_px
        return np.asarray(stereographic_rays(at_x, at_y, self.focal_px) @ self.axes.T)


def nadir_view(
    levels: Sequence[LightGrid], position_ecef_m: ArrayLike, focal_px: float, off_nadir_deg: float
) -> NadirView:
    """Draw the map as seen from a position, to an angle from the nadir; in the corners farther.

    The focal length is that of the light image that the view is meant for.
    """
    position = np.asarray(position_ecef_m, float)
    focal = SCALE_AT_NADIR * focal_px
    reach = 2.0 * np.tan(np.radians(off_nadir_deg) / 2.0)
    half = int(min(np.ceil(focal * reach), MOST_PX / 2))
    focal = min(focal, half / reach)
    axes = looking_at_nadir(position)
    reached = -half + BLOCK_PX * int(np.ceil(2 * half / BLOCK_PX))
    nodes = np.arange(-half, reached + NADIR_LATTICE_PX, NADIR_LATTICE_PX, dtype=float)
    x, y = np.meshgrid(nodes, nodes)
    rays = stereographic_rays(x, y, focal)
    ground = intersect_ellipsoid(position, rays @ axes.T)
    col, row = levels[0].to_pixel(*surface_to_lonlat(ground))
    light = draw(levels, col, row, 2 * half)
    return NadirView(light=light, focal_px=focal, half_px=half, position_ecef_m=position, axes=axes)


def draw(levels: Sequence[LightGrid], col: FloatArray, row: FloatArray, side_px: int) -> FloatImage:
    """The map under a lattice of map positions, every part at the pyramid level that suits it."""
    image = np.zeros((side_px, side_px), np.float32)
    ramp = np.arange(BLOCK_PX, dtype=np.float32) / np.float32(NADIR_LATTICE_PX)
    at_x, at_y = np.meshgrid(ramp, ramp)
    cells = BLOCK_PX // NADIR_LATTICE_PX
    seen = np.isfinite(col)
    known_col = np.where(seen, col, FAR_AWAY).astype(np.float32)
    known_row = np.where(seen, row, FAR_AWAY).astype(np.float32)
    for i in range(0, side_px, BLOCK_PX):
        for j in range(0, side_px, BLOCK_PX):
            part = np.s_[
                i // NADIR_LATTICE_PX : i // NADIR_LATTICE_PX + cells + 1,
                j // NADIR_LATTICE_PX : j // NADIR_LATTICE_PX + cells + 1,
            ]
            if not seen[part].any():
                continue
            level = suitable_level(col[part], row[part], len(levels))
            map_x, map_y = (
                np.asarray(cv2.remap(known[part], at_x, at_y, cv2.INTER_LINEAR), np.float32)
                for known in (known_col, known_row)
            )
            light = light_at(levels, level, map_x, map_y)
            image[i : i + BLOCK_PX, j : j + BLOCK_PX] = light[: side_px - i, : side_px - j]
    return image


def suitable_level(col: FloatArray, row: FloatArray, count: int) -> int:
    """Pyramid level for a piece of the lattice: that of the mean side of its pixels' footprint.

    A pixel sees a slanted footprint. The level of its long side would blur towns into each other,
    that of its narrow side would miss towns between two samples.
    """
    dcol_dy, dcol_dx = np.gradient(col)
    drow_dy, drow_dx = np.gradient(row)
    side = np.sqrt(np.abs(dcol_dx * drow_dy - dcol_dy * drow_dx)) / NADIR_LATTICE_PX
    known = side[np.isfinite(side)]
    if len(known) == 0:
        return 0
    # Rounded as in compiled_view.level_at
    level = np.floor(np.log2(max(float(np.median(known)), 1.0)) + 0.25)
    return int(np.clip(level, 0, count - 1))
