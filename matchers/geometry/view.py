"""Rendering of a night-light map through a camera or along given rays.

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

# Spacing of the lattice on which rays are traced; positions between nodes are interpolated
LATTICE_PX = 4
EVERYWHERE = np.zeros((0, 0), bool)


def render_known(
    levels: Sequence[LightGrid], camera: Camera, supersample: int = 2
) -> tuple[FloatImage, FloatImage]:
    """Render the map through a camera, with a mask of the pixels that the map covers.

    For each pixel, the pyramid level is chosen by the short side of the pixel's footprint.
    Supersampling covers the long side of a slanted footprint.

    Parameters
    ----------
    levels : sequence of LightGrid
        A map pyramid, finest first.
    supersample : int
        Samples per pixel along each axis.

    Returns
    -------
    light : ndarray of float32, shape (h, w)
        Mean log radiance, 0 for the sky and outside the map.
    known : ndarray of float32, shape (h, w)
        0 where the map has no data and outside the window, else 1, including the sky.
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
