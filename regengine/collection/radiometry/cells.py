"""The photo's luminance in each cell of a map: the mean over the cell's ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import BoolArray, FloatArray, FloatImage
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, incidence_deg
from regengine.collection.radiometry.photo_light import PhotoLight, radius_sq
from regengine.exchange.export.format import LeftOutError
from regengine.exchange.export.formats.geotiff import ground_sigma
from regengine.exchange.export.frame import ExportPoint
from regengine.exchange.export.warp import MapBlock, MapGrid, map_blocks, map_grid, spread
from regengine.lights.map import LightMap

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

    luminance: FloatImage
    seen: FloatImage
    saturated: FloatImage
    pixel_cells: FloatImage
    radius_sq: FloatImage
    air_mass: FloatImage
    sigma_m: FloatImage


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


def _sampled(image: FloatImage, block: MapBlock) -> FloatImage:
    return np.asarray(
        cv2.remap(image, block.x, block.y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )


def _means(values: FloatImage, samples: int) -> FloatImage:
    height, width = (side // samples for side in values.shape)
    size = (width, height)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _geometry(
    camera: Camera, points: tuple[ExportPoint, ...], grid: MapGrid
) -> dict[str, FloatImage]:
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


def air_mass(cosine: NDArray[np.floating]) -> FloatImage:
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


def _pixel_cells(x: FloatImage, y: FloatImage) -> FloatImage:
    """Side of a square of the area that a pixel covers, in cells."""
    if min(x.shape) < 2:
        return np.full(x.shape, np.nan, np.float32)
    (xr, xc), (yr, yc) = np.gradient(x), np.gradient(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1.0 / np.sqrt(np.abs(xc * yr - xr * yc)), np.float32)


# The cells of a night-light map that a photo shows, with their radiance.

MOST_CELLS = 4_000_000
FEWEST_CELLS = 100
# A cell is no smaller than this share of a pixel of the photo at its finer parts
LEAST_PIXEL_SHARE = 0.8
SATURATED_AT = 0.999  # of the value from which a map is saturated: codes are rounded


@dataclass(frozen=True, kw_only=True, eq=False)
class MapCells:
    """Cells of a map on longitude and latitude.

    Attributes
    ----------
    grid : MapGrid
        Their grid, in EPSG:4326. Cells are the map's own pixels or squares of several.
    radiance_nw : ndarray of float32, shape (h, w)
        Mean radiance, nW cm^-2 sr^-1; 0 where unknown.
    known : ndarray of bool, shape (h, w)
        Where the map has data all over the cell.
    saturated : ndarray of bool, shape (h, w)
        Where a part of the cell is saturated in the map: there is at least so much light.
    map_step_deg : float
        Side of the map's own pixels, degrees.
    photo_pixel_deg : float
        Side of a pixel of the stored photo at its finer parts, degrees.
    """

    grid: MapGrid
    radiance_nw: FloatImage
    known: BoolArray
    saturated: BoolArray
    map_step_deg: float
    photo_pixel_deg: float


def cells_in_view(camera: Camera, light_map: LightMap) -> MapCells:
    """The map's cells where a photo shows ground.

    Radiance is averaged, not its logarithm, so that a cell of several pixels keeps its light.
    """
    pixel_deg = map_grid(camera, "EPSG:4326", None).resolution
    finest = light_map.info.resolution_deg
    extent = map_grid(camera, "EPSG:4326", finest)
    east = extent.west + extent.width * extent.resolution
    south = extent.north - extent.height * extent.resolution
    lights = light_map.window(extent.west, south, east, extent.north, finest)
    rows, cols = lights.values.shape
    factor = max(
        math.ceil(LEAST_PIXEL_SHARE * pixel_deg / lights.step_deg),
        math.ceil(math.sqrt(rows * cols / MOST_CELLS)),
        1,
    )
    height, width = rows // factor, cols // factor
    if height * width < FEWEST_CELLS:
        raise LeftOutError("it shows too few cells of the map")
    values = lights.values[: height * factor, : width * factor]
    known = np.ones_like(values, bool)
    if lights.valid is not None:
        known = lights.valid[: height * factor, : width * factor]
    full = np.zeros_like(known)
    if lights.saturation is not None:
        full = values >= np.float32(SATURATED_AT * lights.saturation)
    blocks = (height, factor, width, factor)
    radiance = np.expm1(values * np.float32(math.log(10.0)))
    return MapCells(
        grid=MapGrid(
            "EPSG:4326",
            lights.lon0_deg - 0.5 * lights.step_deg,
            lights.lat0_deg + 0.5 * lights.step_deg,
            factor * lights.step_deg,
            width,
            height,
        ),
        radiance_nw=np.maximum(radiance, 0.0).reshape(blocks).mean(axis=(1, 3)),
        known=np.asarray(known.reshape(blocks).all(axis=(1, 3))),
        saturated=np.asarray(full.reshape(blocks).any(axis=(1, 3))),
        map_step_deg=lights.step_deg,
        photo_pixel_deg=pixel_deg,
    )
