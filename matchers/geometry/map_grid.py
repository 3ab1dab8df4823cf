"""Windows of a night-light map on a longitude-latitude grid, their pyramids, and their rendering.

They are rendered through a camera or along given rays.

References
----------
Snyder, J. P. (1987). Map Projections: A Working Manual. USGS Professional Paper 1395, p. 154-163
(stereographic projection).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from detectors.types import BoolArray, FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import surface_to_lonlat


@dataclass(frozen=True, kw_only=True)
class MapGrid:
    """Night lights on a regular geographic grid.

    values: ``log10(1 + L / L0)`` with radiance L and ``L0 = 1 nW cm^-2 sr^-1``; 0 where dark, shape
        (rows, cols). For display products, L is an approximate radiance.
    valid: False for pixels without data, shape (rows, cols); None if all pixels are valid.
    lon0_deg, lat0_deg: Position of the *centre* of the pixel in row 0, column 0. Longitudes are
        continuous within a grid, so columns may extend beyond 180 degrees.
    step_deg: Pixel size in both directions: column j is at ``lon0_deg + j * step_deg``, row i at
        ``lat0_deg - i * step_deg``.
    saturation: Value at and above which the map is saturated; None for radiance products.
    """

    values: FloatImage
    valid: BoolArray | None = None
    lon0_deg: float
    lat0_deg: float
    step_deg: float
    saturation: float | None = None

    def to_pixel(self, lon_deg: FloatArray, lat_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Convert geographic positions to column and row, with pixel centres at integers.

        Longitudes may differ by multiples of 360 degrees. Results may be outside the grid.
        """
        middle = self.lon0_deg + 0.5 * (self.values.shape[1] - 1) * self.step_deg
        wrapped = middle + (np.asarray(lon_deg) - middle + 180.0) % 360.0 - 180.0
        return (wrapped - self.lon0_deg) / self.step_deg, (
            self.lat0_deg - np.asarray(lat_deg)
        ) / self.step_deg


def make_pyramid(grid: MapGrid, levels: int) -> tuple[MapGrid, ...]:
    """Make an image pyramid by averaging 2 x 2 pixels, finest level first.

    It has at most ``levels`` levels, including the given grid, with sides of at least 8 pixels.
    """
    result = [grid]
    while len(result) < levels and min(result[-1].values.shape) >= 16:
        last = result[-1]
        rows, cols = (side // 2 * 2 for side in last.values.shape)
        size = (cols // 2, rows // 2)
        half = np.asarray(
            cv2.resize(last.values[:rows, :cols], size, interpolation=cv2.INTER_AREA), np.float32
        )
        valid = None
        if last.valid is not None:
            parts = last.valid[:rows, :cols].reshape(rows // 2, 2, cols // 2, 2)
            valid = np.asarray(parts.all(axis=(1, 3)))
        result.append(
            MapGrid(
                values=half,
                valid=valid,
                lon0_deg=last.lon0_deg + 0.5 * last.step_deg,
                lat0_deg=last.lat0_deg - 0.5 * last.step_deg,
                step_deg=2.0 * last.step_deg,
                saturation=last.saturation,
            )
        )
    return tuple(result)


def fill_missing(grid: MapGrid) -> MapGrid:
    """Fill pixels without data with the mean of the others, to avoid artificial edges.

    Returns the same object if there is nothing to fill.
    """
    if grid.valid is None or grid.valid.all() or not grid.valid.any():
        return grid
    mean = np.float32(grid.values[grid.valid].mean())
    return replace(grid, values=np.where(grid.valid, grid.values, mean))


# Spacing of the lattice on which rays are traced; positions between nodes are interpolated
LATTICE_PX = 4
EVERYWHERE = np.zeros((0, 0), bool)


def render_known(
    levels: Sequence[MapGrid], camera: Camera, supersample: int = 2
) -> tuple[FloatImage, FloatImage]:
    """Render a map pyramid through a camera, with a mask of the pixels that the map covers.

    For each pixel, the pyramid level is chosen by the short side of the pixel's footprint.
    Supersampling (samples per pixel along each axis) covers the long side of a slanted footprint.
    Returns the mean log radiance, shape (h, w), 0 for the sky and outside the map; and 0 where the
    map has no data and outside the window, else 1, including the sky.
    """
    s = supersample
    fine = camera.scaled(s, camera.width_px * s, camera.height_px * s) if s > 1 else camera
    # Larger images have coarser lattices: a ray costs more than a sample (by eye)
    step = LATTICE_PX * (2 if fine.width_px * fine.height_px > 150_000 else 1)
    x, y = np.meshgrid(lattice(fine.width_px, step), lattice(fine.height_px, step))
    ground = fine.pixel_to_ecef(x, y)
    return draw(levels, ground, (camera.height_px, camera.width_px), step, samples=s)


def draw(
    levels: Sequence[MapGrid],
    ground_ecef_m: FloatArray,
    shape: tuple[int, int],
    step: int,
    *,
    samples: int = 1,
    mean_side: bool = False,
) -> tuple[FloatImage, FloatImage]:
    """Render a map pyramid into an image (h, w), with the covered share of each pixel.

    Parameters
    ----------
    ground_ecef_m : ndarray of float64, shape (n_y, n_x, 3)
        Ground points of every ``step``-th sample, on a `lattice`; NaN for the sky.
    samples : int
        Samples per pixel along each axis.
    mean_side : bool
        Choose the pyramid level by the mean side of a slanted footprint instead of the short one.
        The long side would blur towns into each other; the short side would miss towns between
        samples.
    """
    from matchers.geometry import compiled_view

    cols, rows = levels[0].to_pixel(*surface_to_lonlat(ground_ecef_m))
    pictures = [np.ascontiguousarray(level.values) for level in levels[: compiled_view.LEVELS]]
    missing = [pictures[-1]] * (compiled_view.LEVELS - len(pictures))
    valid = levels[0].valid
    known_all = valid is None or valid.all()
    valid = EVERYWHERE if known_all else np.ascontiguousarray(valid)
    light, known = np.zeros((2, *shape), np.float32)
    pyramid = (*pictures, *missing), len(pictures)
    compiled_view.draw(*pyramid, valid, cols, rows, step, samples, mean_side, light, known)
    return light, known


def lattice(size_px: int, step_px: int = LATTICE_PX) -> FloatArray:
    """Make lattice positions along one side of an image; the last is beyond the far edge."""
    return np.arange(0.0, size_px + step_px, step_px)


def stereographic_rays(x: ArrayLike, y: ArrayLike, focal_px: float) -> FloatArray:
    """Compute unit rays (z forward), (..., 3), of a stereographic image (Snyder 1987).

    Positions are pixels from the image centre, right and down. The focal length is in pixels per
    radian at the centre.
    """
    # (u, v) is tan(theta / 2) times the direction
    u, v = np.asarray(x, float) / (2.0 * focal_px), np.asarray(y, float) / (2.0 * focal_px)
    square = u * u + v * v
    return np.stack([2.0 * u, 2.0 * v, 1.0 - square], axis=-1) / (1.0 + square)[..., None]
