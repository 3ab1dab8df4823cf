"""What a position sees of a map along given rays: the tiles and panoramas of the searches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from matchers.earth import intersect_ellipsoid, surface_to_lonlat
from matchers.light_grid import LightGrid
from matchers.view import dense_positions, known_at, sampled

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]

# Rays are traced on a lattice of this spacing, and interpolated between
LATTICE_PX = 4


def lattice(size_px: int) -> FloatArray:
    """Pixels of the lattice along one side of an image; the last reaches past the far edge."""
    return np.arange(0.0, size_px + LATTICE_PX, LATTICE_PX)


def stereographic_rays(x: ArrayLike, y: ArrayLike, focal_px: float) -> FloatArray:
    """Unit vectors (z forward) of positions in a stereographic image, in pixels from its middle.

    Parameters
    ----------
    x, y : array_like
        Right and down, pixels.
    focal_px : float
        Pixels a radian at the middle.

    Returns
    -------
    ndarray of float64, shape (..., 3)

    References
    ----------
    Snyder, J. P. (1987). Map Projections: A Working Manual. USGS Professional Paper 1395,
    p. 154-163.
    """
    # (u, v) is tan(theta / 2) times the direction
    u, v = np.asarray(x, float) / (2.0 * focal_px), np.asarray(y, float) / (2.0 * focal_px)
    square = u * u + v * v
    return np.stack([2.0 * u, 2.0 * v, 1.0 - square], axis=-1) / (1.0 + square)[..., None]


def view_along(
    levels: Sequence[LightGrid],
    position_ecef_m: tuple[float, float, float],
    rays_ecef: FloatArray,
    width_px: int,
    height_px: int,
) -> tuple[Image, Image | None]:
    """The map's lights in an image, and where in it the map holds data.

    Parameters
    ----------
    levels : sequence of LightGrid
        Map pyramid, finest first.
    position_ecef_m : tuple of float
        Where it is seen from, metres.
    rays_ecef : ndarray of float64, shape (n_y, n_x, 3)
        Directions of the pixels of `lattice` along both sides.
    width_px, height_px : int
        Size of the image.

    Returns
    -------
    light : ndarray of float32, shape (height_px, width_px)
        Log radiance; 0 for the sky.
    known : ndarray of float32, shape (height_px, width_px), or None
        As of `matchers.view.known_at`; None where it holds data everywhere.
    """
    ground = intersect_ellipsoid(position_ecef_m, rays_ecef)
    places = levels[0].to_pixel(*surface_to_lonlat(ground))
    x, y = lattice(width_px), lattice(height_px)
    col, row = dense_positions(*places, x, y, LATTICE_PX, width_px, height_px)
    whole = levels[0].valid is None or levels[0].valid.all()
    return sampled(levels, col, row), None if whole else known_at(levels[0], col, row)
