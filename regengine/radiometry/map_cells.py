"""The cells of a night-light map that a photo shows, with their radiance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from regengine.export.format import LeftOutError
from regengine.export.map_grid import MapGrid, map_grid
from regengine.lights.map import LightMap

Image = NDArray[np.float32]

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
    radiance_nw: Image
    known: NDArray[np.bool_]
    saturated: NDArray[np.bool_]
    map_step_deg: float
    photo_pixel_deg: float


def cells_in_view(camera: Camera, light_map: LightMap) -> MapCells:
    """The map's cells where a photo shows ground.

    Radiance is averaged, not its logarithm, so that a cell of several pixels keeps its light.

    Parameters
    ----------
    camera : Camera
        Of the photo.
    light_map : LightMap
        The map.

    Returns
    -------
    MapCells
        Along the map's own pixels. Where the photo's pixels are larger than the map's, cells are
        squares of so many of the map's that they are not.

    Raises
    ------
    LeftOutError
        If the photo shows no ground or too few cells.
    LightMapError
        If the map has no data there.
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
