"""What a camera would see of a night-light map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.light_grid import LightGrid

Image = NDArray[np.float32]

FAR_AWAY = -1e6  # map position of pixels that see no ground: outside every grid


def pyramid(grid: LightGrid, levels: int) -> tuple[LightGrid, ...]:
    """Halve a grid again and again by averaging 2 x 2 pixels.

    Parameters
    ----------
    grid : LightGrid
        Finest level.
    levels : int
        How many levels to return at most, the given one included; stops at 8 pixels.

    Returns
    -------
    tuple of LightGrid
        Finest first.
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
            LightGrid(
                values=half,
                valid=valid,
                lon0_deg=last.lon0_deg + 0.5 * last.step_deg,
                lat0_deg=last.lat0_deg - 0.5 * last.step_deg,
                step_deg=2.0 * last.step_deg,
                saturation=last.saturation,
            )
        )
    return tuple(result)


def ground_grid(
    camera: Camera, step_px: int, margin_px: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Places that a lattice of pixels sees.

    Parameters
    ----------
    camera : Camera
        Camera of the image.
    step_px, margin_px : int
        Lattice spacing, and how far it starts outside the image.

    Returns
    -------
    x, y : ndarray, shape (n_x,), (n_y,)
        Lattice pixels; the last ones reach or pass the far edges by the margin.
    lon_deg, lat_deg : ndarray, shape (n_y, n_x)
        NaN where the sky is seen.
    """
    x = np.arange(-margin_px, camera.width_px + margin_px + step_px, step_px, dtype=float)
    y = np.arange(-margin_px, camera.height_px + margin_px + step_px, step_px, dtype=float)
    lon, lat = camera.pixel_to_lonlat(*np.meshgrid(x, y))
    return x, y, lon, lat


def map_positions(camera: Camera, grid: LightGrid, lattice_px: int = 4) -> tuple[Image, Image]:
    """Column and row of a map under every pixel of a camera's image.

    Parameters
    ----------
    camera : Camera
        Camera of the image.
    grid : LightGrid
        The map.
    lattice_px : int
        Rays are traced on a lattice of this spacing and interpolated between.

    Returns
    -------
    col, row : ndarray of float32, shape (height_px, width_px)
        `FAR_AWAY` where the sky is seen.
    """
    x, y, lon, lat = ground_grid(camera, lattice_px)
    col, row = grid.to_pixel(lon, lat)
    sky = ~np.isfinite(col)
    if lattice_px == 1:
        inside = np.s_[: camera.height_px, : camera.width_px]
        return (
            np.where(sky, FAR_AWAY, col)[inside].astype(np.float32),
            np.where(sky, FAR_AWAY, row)[inside].astype(np.float32),
        )
    to_x = (np.arange(camera.width_px, dtype=np.float32) - np.float32(x[0])) / lattice_px
    to_y = (np.arange(camera.height_px, dtype=np.float32) - np.float32(y[0])) / lattice_px
    at_x, at_y = np.meshgrid(to_x, to_y)
    values = np.dstack([np.where(sky, 0.0, col), np.where(sky, 0.0, row), sky]).astype(np.float32)
    dense = cv2.remap(values, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    unseen = dense[..., 2] > 1e-3
    return (
        np.where(unseen, np.float32(FAR_AWAY), dense[..., 0]),
        np.where(unseen, np.float32(FAR_AWAY), dense[..., 1]),
    )


def render(levels: Sequence[LightGrid], camera: Camera, supersample: int = 2) -> Image:
    """Image of the map's lights through a camera.

    Every pixel takes the pyramid level whose pixels are about as wide as its own footprint is
    narrow; the long way of a slanted footprint is covered by supersampling.

    Parameters
    ----------
    levels : sequence of LightGrid
        A map pyramid, finest first.
    camera : Camera
        Camera of the image.
    supersample : int
        Samples a pixel along each axis.

    Returns
    -------
    ndarray of float32, shape (height_px, width_px)
        Mean log radiance; 0 for the sky and outside the map.
    """
    s = supersample
    fine = camera.scaled(s, camera.width_px * s, camera.height_px * s) if s > 1 else camera
    pixels = fine.width_px * fine.height_px
    col, row = map_positions(fine, levels[0], 1 if pixels < 30_000 else 4)
    level = footprint_level(col, row, len(levels))
    image = np.zeros(col.shape, np.float32)
    for index in range(int(level.min()), int(level.max()) + 1):
        scale = np.float32(0.5**index)
        sampled = cv2.remap(
            levels[index].values,
            (col + 0.5) * scale - 0.5,
            (row + 0.5) * scale - 0.5,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=0.0,
        )
        np.copyto(image, np.asarray(sampled, np.float32), where=level == index)
    if s > 1:
        size = (camera.width_px, camera.height_px)
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
    return image


def covered(levels: Sequence[LightGrid], camera: Camera) -> Image | None:
    """Which pixels of a camera's image show ground that the map holds data for, or the sky.

    Parameters
    ----------
    levels : sequence of LightGrid
        A map pyramid, finest first.
    camera : Camera
        Camera of the image.

    Returns
    -------
    ndarray of float32, shape (height_px, width_px), or None
        1 or 0; None where the map holds data everywhere.
    """
    grid = levels[0]
    if grid.valid is None or grid.valid.all():
        return None
    pixels = camera.width_px * camera.height_px
    col, row = map_positions(camera, grid, 1 if pixels < 30_000 else 4)
    sampled = cv2.remap(
        grid.valid.astype(np.float32),
        col,
        row,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0.0,
    )
    return np.where(col == FAR_AWAY, np.float32(1.0), np.asarray(sampled, np.float32))


def filled(grid: LightGrid) -> LightGrid:
    """A grid whose pixels without data hold the mean of the others, so that no edge shows.

    Parameters
    ----------
    grid : LightGrid
        A window of a map.

    Returns
    -------
    LightGrid
        The same object where nothing is to be filled.
    """
    if grid.valid is None or grid.valid.all() or not grid.valid.any():
        return grid
    mean = np.float32(grid.values[grid.valid].mean())
    return replace(grid, values=np.where(grid.valid, grid.values, mean))


def footprint_level(col: Image, row: Image, count: int) -> NDArray[np.int8]:
    """Pyramid level that suits the narrow side of every sample's footprint on the map.

    Parameters
    ----------
    col, row : ndarray of float32, shape (h, w)
        Map positions of the samples.
    count : int
        Levels of the pyramid.

    Returns
    -------
    ndarray of int8, shape (h, w)
        Measured on every fourth sample; neighbours share its level.
    """
    step = 4
    c, r = col[::step, ::step], row[::step, ::step]
    if min(c.shape) < 2:
        return np.zeros(col.shape, np.int8)
    dcol_dy, dcol_dx = np.gradient(c)
    drow_dy, drow_dx = np.gradient(r)
    area = np.abs(dcol_dx * drow_dy - dcol_dy * drow_dx)
    longest_sq = np.maximum(dcol_dx**2 + drow_dx**2, dcol_dy**2 + drow_dy**2)
    narrow = area / np.sqrt(np.maximum(longest_sq, 1e-12)) / step
    level = np.floor(np.log2(np.maximum(narrow, 1.0)) + 0.25)
    coarse = np.clip(level, 0, count - 1).astype(np.int8)
    return coarse.repeat(step, axis=0).repeat(step, axis=1)[: col.shape[0], : col.shape[1]]
