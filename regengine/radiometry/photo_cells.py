"""The photo's luminance in each cell of a map: the mean over the cell's ground."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, incidence_deg
from regengine.export.frame import ExportPoint
from regengine.export.ground_sigma import ground_sigma
from regengine.export.map_grid import MapGrid
from regengine.export.warp import MapBlock, map_blocks, spread
from regengine.radiometry.photo_light import PhotoLight, radius_sq

Image = NDArray[np.float32]
FloatArray = NDArray[np.float64]

# Samples across a cell: bilinear means of pixels no larger than these are area means
MOST_SAMPLES = 4
FEWEST_SAMPLES = 2
# Height above the ellipsoid that registration takes for none: it moves places away from the nadir
# by its tangent. Half of all people live below 194 m (Cohen & Small 1998, PNAS 95, 14009)
TERRAIN_SIGMA_M = 200.0
LEAST_AIR_MASS_COSINE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class PhotoCells:
    """What a photo shows of each cell; arrays of shape (h, w), float32.

    Attributes
    ----------
    luminance : ndarray
        Mean luminance over the cell's ground; 0 where nothing is seen.
    seen : ndarray
        Share of the cell that the photo shows and that counts.
    saturated : ndarray
        Share of it that is clipped.
    pixel_cells : ndarray
        Side of a pixel of the stored photo, in cells; NaN where nothing is seen.
    radius_sq : ndarray
        Square of the distance from the picture's principal point, in half diagonals.
    air_mass : ndarray
        Of the line of sight, 1 towards the zenith.
    sigma_m : ndarray
        One sigma per axis of the cell's place: the registration's, and the terrain's.
    """

    luminance: Image
    seen: Image
    saturated: Image
    pixel_cells: Image
    radius_sq: Image
    air_mass: Image
    sigma_m: Image


def samples_across(photo_pixels_per_cell: float) -> int:
    """How many samples across a cell are taken of a photo with so many pixels across it."""
    return FEWEST_SAMPLES if photo_pixels_per_cell < 1.5 else MOST_SAMPLES


def photo_cells(
    photo: PhotoLight,
    stored: Camera,
    points: tuple[ExportPoint, ...],
    grid: MapGrid,
    samples: int,
) -> PhotoCells:
    """Area-weighted means of a photo's pixels over cells.

    The cell is cut into squares, each taken from where the solved camera sees its middle. A pixel
    so weighs with the ground of the cell that it covers.

    Parameters
    ----------
    photo : PhotoLight
        The photo.
    stored : Camera
        Camera of the stored photo.
    points : tuple of ExportPoint
        Its control points, which tell how well places are known.
    grid : MapGrid
        The cells.
    samples : int
        Squares across a cell, 2 or 4.

    Returns
    -------
    PhotoCells
    """
    shape = (grid.height, grid.width)
    luminance, seen, saturated = (np.zeros(shape, np.float32) for _ in range(3))
    fine = MapGrid(
        grid.crs,
        grid.west,
        grid.north,
        grid.resolution / samples,
        grid.width * samples,
        grid.height * samples,
    )
    counts = photo.counts.astype(np.float32)
    for block in map_blocks(photo.camera, fine):
        if not block.seen.any():
            continue
        height, width = (side // samples for side in block.seen.shape)
        row, column = block.row // samples, block.column // samples
        here = np.s_[row : row + height, column : column + width]
        light, clipped, kept = (
            _sampled(one, block) for one in (photo.light, photo.saturated, counts)
        )
        kept = np.where(block.seen & (kept > 0.999), np.float32(1.0), np.float32(0.0))
        seen[here] = _means(kept, samples)
        share = np.maximum(seen[here], np.float32(1e-6))
        luminance[here] = _means(light * kept, samples) / share
        saturated[here] = _means(clipped * kept, samples) / share
    return PhotoCells(
        luminance=luminance,
        seen=seen,
        saturated=saturated,
        **_geometry(stored, points, grid),
    )


def _sampled(image: Image, block: MapBlock) -> Image:
    return np.asarray(
        cv2.remap(image, block.x, block.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )


def _means(values: Image, samples: int) -> Image:
    height, width = (side // samples for side in values.shape)
    size = (width, height)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _geometry(camera: Camera, points: tuple[ExportPoint, ...], grid: MapGrid) -> dict[str, Image]:
    """What depends on the line of sight to the middle of each cell."""
    shape = (grid.height, grid.width)
    x, y, sigma, cosine = (np.full(shape, np.nan, np.float32) for _ in range(4))
    known = ground_sigma(camera, points)

    def cosines(lon: FloatArray, lat: FloatArray) -> FloatArray:
        ground = geodetic_to_ecef(lon, lat)
        slant = np.radians(incidence_deg(camera.position_ecef_m, ground))
        return np.maximum(np.cos(slant), LEAST_AIR_MASS_COSINE)

    for block in map_blocks(camera, grid):
        height, width = block.seen.shape
        here = np.s_[block.row : block.row + height, block.column : block.column + width]
        x[here] = np.where(block.seen, block.x, np.nan)
        y[here] = np.where(block.seen, block.y, np.nan)
        sigma[here] = spread(grid, block, known.at)
        cosine[here] = spread(grid, block, cosines)
    lean = np.sqrt(np.maximum(1.0 - cosine**2, 0.0)) / cosine
    return {
        "pixel_cells": _pixel_cells(x, y),
        "radius_sq": radius_sq(camera, x, y),
        "air_mass": air_mass(cosine),
        "sigma_m": np.hypot(sigma, TERRAIN_SIGMA_M * lean).astype(np.float32),
    }


def air_mass(cosine: NDArray[np.floating]) -> Image:
    """Air along a line of sight, 1 towards the zenith.

    Parameters
    ----------
    cosine : ndarray
        Of its angle to the vertical at the ground.

    References
    ----------
    Kasten, F., Young, A. T. (1989). Revised optical air mass tables and approximation formula.
    Applied Optics 28, 4735-4738.
    """
    zenith_deg = np.degrees(np.arccos(np.clip(cosine, 0.0, 1.0)))
    return np.asarray(1.0 / (cosine + 0.50572 * (96.07995 - zenith_deg) ** -1.6364), np.float32)


def _pixel_cells(x: Image, y: Image) -> Image:
    """Side of a square of the area that a pixel covers, in cells."""
    if min(x.shape) < 2:
        return np.full(x.shape, np.nan, np.float32)
    (xr, xc), (yr, yc) = np.gradient(x), np.gradient(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1.0 / np.sqrt(np.abs(xc * yr - xr * yc)), np.float32)
