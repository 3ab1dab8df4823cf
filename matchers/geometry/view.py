"""What is seen of a night-light map: through a camera, along rays, or all around a position.

References
----------
Snyder, J. P. (1987). Map Projections: A Working Manual. USGS Professional Paper 1395, p. 154-163
(stereographic projection).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import surface_to_lonlat
from matchers.geometry.light_grid import LightGrid

# Rays are traced on a lattice of this spacing, and interpolated between
LATTICE_PX = 4
EVERYWHERE = np.zeros((0, 0), bool)


def render_known(
    levels: Sequence[LightGrid], camera: Camera, supersample: int = 2
) -> tuple[FloatImage, FloatImage]:
    """The map's lights through a camera, and which pixels show ground that the map holds.

    Every pixel takes the pyramid level whose pixels are about as wide as its own footprint is
    narrow; the long way of a slanted footprint is covered by supersampling.

    Parameters
    ----------
    levels : sequence of LightGrid
        A map pyramid, finest first.
    supersample : int
        Samples a pixel along each axis.

    Returns
    -------
    light : ndarray of float32, shape (h, w)
        Mean log radiance, 0 for the sky and outside the map.
    known : ndarray of float32, shape (h, w)
        0 where the map has no data and beyond the window's edge, else 1, the sky included.
    """
    s = supersample
    fine = camera.scaled(s, camera.width_px * s, camera.height_px * s) if s > 1 else camera
    step = LATTICE_PX * (2 if fine.width_px * fine.height_px > 150_000 else 1)
    x, y = np.meshgrid(lattice(fine.width_px, step), lattice(fine.height_px, step))
    ground = fine.pixel_to_ecef(x, y)
    return draw(levels, ground, (camera.height_px, camera.width_px), step, samples=s)


def draw(
    levels: Sequence[LightGrid],
    ground_ecef_m: FloatArray,
    shape: tuple[int, int],
    step: int,
    *,
    samples: int = 1,
    mean_side: bool = False,
) -> tuple[FloatImage, FloatImage]:
    """Light of a map pyramid in an image (h, w), and how much of each pixel the map knows.

    Parameters
    ----------
    ground_ecef_m : ndarray of float64, shape (n_y, n_x, 3)
        What every ``step``-th sample of a `lattice` sees, NaN for the sky.
    samples : int
        Along each side of a pixel.
    mean_side : bool
        Take the pyramid level that suits the mean side of a slanted footprint, not its narrow one:
        its long side would blur towns into each other, its narrow one miss towns between samples.
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
