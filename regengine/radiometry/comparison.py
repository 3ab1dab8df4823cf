"""Photo and map side by side: blurred alike, the photo's diffuse background taken away."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.background import diffuse_background
from regengine.export.format import LeftOutError
from regengine.radiometry.map_cells import FEWEST_CELLS, MapCells
from regengine.radiometry.photo_cells import PhotoCells
from regengine.radiometry.sharpness import Pair, matched_blurs
from regengine.radiometry.smoothing import blurred, blurred_by

Image = NDArray[np.float32]
Mask = NDArray[np.bool_]

KM_PER_DEGREE = 111.2
FULLY = 0.99  # share of a cell that is seen
CLIPPED = 0.002  # share of a cell that is clipped: less is a single lamp's core
MOST_PIXEL_CELLS = 3.0  # cells that share a pixel of the photo with more others tell nothing
# Blur of a pixel of a stored photo (lens, hand, interpolation of colours, its own area), one sigma
PHOTO_SIGMA_PX = 0.7
DIFFUSE_KM = 30.0  # what is broader is background
LEAST_DIFFUSE_CELLS = 16.0
DARK_NW = 0.5  # composites set less to zero, or have as much noise


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Arrays of shape (h, w), of the map's cells.

    Attributes
    ----------
    light : ndarray of float32
        Photo's luminance above the background.
    background, noise : ndarray of float32
        Diffuse luminance, and one sigma about it.
    radiance_nw : ndarray of float32
        The map's.
    usable : ndarray of bool
        Cells that the fit may use: seen, known, nowhere saturated.
    judged : ndarray of bool
        Those, and saturated ones.
    photo_full, map_full : ndarray of bool
        Where there is more light than the photo or the map tells.
    sigma_cells : ndarray of float32
        One sigma of each cell's place, in cells.
    blur_cells : float
        Sigma of the blur of both, down, cells.
    map_sigma_m : float
        Blur of the map that the photo was given, one sigma, metres.
    photo_sigma_m : float
        Blur that the map was given beyond that of the photo's pixels, one sigma, metres.
    """

    light: Image
    background: Image
    noise: Image
    radiance_nw: Image
    usable: Mask
    judged: Mask
    photo_full: Mask
    map_full: Mask
    sigma_cells: Image
    blur_cells: float
    map_sigma_m: float
    photo_sigma_m: float


def compare(cells: MapCells, photo: PhotoCells, map_sigma_m: float | None = None) -> Comparison:
    """Blur photo and map alike and take the photo's background away.

    The map gets the blur of the photo's pixels, the photo that of the map, both that of the
    registration. Light that is saturated in one of them is left out of both.

    Parameters
    ----------
    cells : MapCells
        The map.
    photo : PhotoCells
        The photo.
    map_sigma_m : float, optional
        Blur of the map, one sigma, metres; measured without it.

    Returns
    -------
    Comparison

    Raises
    ------
    LeftOutError
        If too few cells can be compared.
    """
    grid = cells.grid
    cell_km = grid.resolution * KM_PER_DEGREE
    middle = np.radians(grid.north - 0.5 * grid.height * grid.resolution)
    stretch = 1.0 / max(float(np.cos(middle)), 0.05)
    judged = (photo.seen >= FULLY) & cells.known & (photo.pixel_cells <= MOST_PIXEL_CELLS)
    photo_full = judged & (photo.saturated > CLIPPED)
    map_full = judged & cells.saturated
    usable = judged & ~photo_full & ~map_full
    if np.count_nonzero(usable) < FEWEST_CELLS:
        raise LeftOutError("too few cells of the map can be compared")
    sigma_cells = np.nan_to_num(photo.sigma_m / np.float32(1e3 * cell_km), nan=0.0)
    place = float(np.median(sigma_cells[usable]))
    weight = usable.astype(np.float32)
    pixels = np.float32(PHOTO_SIGMA_PX) * photo.pixel_cells
    given = None if map_sigma_m is None else map_sigma_m / 1e3 / cell_km
    of_map, of_photo = matched_blurs(
        Pair(photo.luminance, cells.radiance_nw, weight, stretch), pixels, place, given
    )
    fuzzy = np.hypot(pixels, np.float32(np.hypot(place, of_photo)))
    own = float(np.hypot(place, of_map))
    radiance = blurred_by(cells.radiance_nw, weight, fuzzy, stretch)
    light = blurred(photo.luminance, weight, (own, own * stretch))
    # Saturated cells have no say in the others, but are judged themselves
    every = judged.astype(np.float32)
    full = photo_full | map_full
    if full.any():
        radiance = np.where(full, blurred_by(cells.radiance_nw, every, fuzzy, stretch), radiance)
        light = np.where(full, blurred(photo.luminance, every, (own, own * stretch)), light)
    level, noise = _background(light, radiance, judged, own, cell_km)
    return Comparison(
        light=np.where(judged, light - level, np.float32(0.0)),
        background=level,
        noise=noise,
        radiance_nw=np.where(judged, radiance, np.float32(0.0)),
        usable=usable,
        judged=judged,
        photo_full=photo_full,
        map_full=map_full,
        sigma_cells=sigma_cells,
        blur_cells=own,
        map_sigma_m=1e3 * cell_km * of_map,
        photo_sigma_m=1e3 * cell_km * of_photo,
    )


def _background(
    light: Image, radiance: Image, judged: Mask, blur_cells: float, cell_km: float
) -> tuple[Image, Image]:
    """Diffuse light and the noise about it, from the cells where the map has no lights."""
    side = 2 * int(np.ceil(2.0 * blur_cells)) + 1
    near = cv2.dilate((radiance > DARK_NW).astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    dark = judged & ~near
    scale = max(LEAST_DIFFUSE_CELLS, DIFFUSE_KM / cell_km)
    if np.count_nonzero(dark) < max(FEWEST_CELLS, 0.01 * np.count_nonzero(judged)):
        # Lights all over: what the darkest cells have is all that is known to be no light
        dark = judged & (radiance <= np.quantile(radiance[judged], 0.02))
        level = np.full_like(light, np.median(light[dark]))
        spread = 1.4826 * np.median(np.abs(light[dark] - level[dark]))
        return level, np.full_like(light, max(float(spread), 1e-5))
    found = diffuse_background(light, scale_px=scale, mask=~dark)
    return found.level, found.noise


def without(comparison: Comparison, cells: Mask) -> Comparison:
    """The same without some cells in the fit."""
    return replace(comparison, usable=comparison.usable & ~cells)
