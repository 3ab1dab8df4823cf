"""A part of the night-light map on the pixels of a Web Mercator tile."""

from __future__ import annotations

import math

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio.warp import Resampling, reproject

from regengine.gdal_session import gdal_session
from regengine.lights.map import LightMap, pixels_read
from regengine.lights.mosaic import Region

TILE_PX = 256
MARGIN_PX = 2.0  # of the map around a tile, for the interpolation at its edges
RADIUS_M = 6_378_137.0  # of Web Mercator's sphere


def pixels_to_read(light_map: LightMap, region: Region) -> float:
    """About how many of a map's pixels, or of its overviews', a tile takes.

    Parameters
    ----------
    light_map : LightMap
        The map.
    region : tuple of float
        West, south, east and north edge of the tile, degrees.
    """
    west, south, east, north = region
    step = _step_deg(region)
    total = 0.0
    for source in light_map.sources:
        grid = source.grid
        wide = sum(
            max(0.0, min(east, grid.east + turn) - max(west, grid.west + turn))
            for turn in (-360.0, 0.0, 360.0)
        )
        high = max(0.0, min(north, grid.north) - max(south, grid.south))
        share = wide * high / ((grid.east - grid.west) * (grid.north - grid.south))
        total += min(share, 1.0) * pixels_read(source, step)
    return total


def warped(light_map: LightMap, region: Region) -> NDArray[np.float32]:
    """Map values on the pixels of a tile.

    Parameters
    ----------
    light_map : LightMap
        The map.
    region : tuple of float
        As in `pixels_to_read`.

    Returns
    -------
    ndarray of float32, shape (TILE_PX, TILE_PX)
        ``log10(1 + L)``, interpolated (where the map is finer: averaged); NaN without data.

    Raises
    ------
    LightMapError
        With code ``outside_map``: the map has no data there. Else its file is damaged.
    """
    west, south, east, north = region
    step = _step_deg(region)
    # A world that is widened would overlap itself
    margin = min(MARGIN_PX * step, 0.5 * (360.0 - (east - west)))
    around = west - margin, south - MARGIN_PX * step, east + margin, north + MARGIN_PX * step
    grid = light_map.window(*around, step)
    values = grid.values if grid.valid is None else np.where(grid.valid, grid.values, np.nan)
    half = 0.5 * grid.step_deg
    result = np.full((TILE_PX, TILE_PX), np.nan, np.float32)
    left, top = _mercator_m(west, north)
    right, bottom = _mercator_m(east, south)
    with gdal_session():
        reproject(
            source=values.astype(np.float32),
            destination=result,
            src_transform=_transform(grid.lon0_deg - half, grid.lat0_deg + half, grid.step_deg),
            dst_transform=Affine(
                (right - left) / TILE_PX, 0.0, left, 0.0, (bottom - top) / TILE_PX, top
            ),
            src_crs="EPSG:4326",
            dst_crs="EPSG:3857",
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
    return result


def _step_deg(region: Region) -> float:
    """Height of a tile's pixels, degrees: they are lower than wide away from the equator."""
    west, south, east, north = region
    nearest = min(abs(south), abs(north)) if south * north > 0.0 else 0.0
    return (east - west) / TILE_PX * math.cos(math.radians(nearest))


def _mercator_m(lon_deg: float, lat_deg: float) -> tuple[float, float]:
    height = math.asinh(math.tan(math.radians(lat_deg)))
    return RADIUS_M * math.radians(lon_deg), RADIUS_M * height


def _transform(west: float, north: float, step_deg: float) -> Affine:
    return Affine(step_deg, 0.0, west, 0.0, -step_deg, north)
