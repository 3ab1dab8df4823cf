"""Tiles of the maps for the review page: Web Mercator, rendered on request."""

from __future__ import annotations

import io
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import from_bounds, from_origin
from rasterio.warp import Resampling, reproject

from detectors.constants import SEMI_MAJOR_M
from regengine.io.gdal import open_gdal_session
from regengine.maps.reference import RasterMap
from regengine.maps.services import row_lat_deg

TILE_PX = 256
MARGIN_PX = 2.0  # margin of the map around a tile, for interpolation at its edges
MAX_ZOOM = 22
MAX_PIXELS = 8_000_000
# Values drawn white. Lights are log10(1 + L); 3 is 999 nW cm^-2 sr^-1: city cores are a few
# hundred, so that their streets stay below white. Streets: metres per square metre times 12.5 m.
# Day: red light as displayed
WHITE_OF = {"lights": 3.0, "streets": 0.6, "day": 1.0}

Tile = NDArray[np.uint8]  # (256, 256, 2): grey, and alpha of 0 or 255
Place = tuple[int, int, int]  # zoom, column, row


class MapTiles:
    """Tiles of a map, with a cache of the most recent ones; thread-safe.

    ``kind`` determines the value drawn white. About `MAX_PIXELS` of the map are read for one tile.
    A tile of more, such as the whole world of a map without overviews (2.9 gigapixels, 20 s), is
    assembled from smaller ones.
    """

    def __init__(self, light_map: RasterMap, kind: str = "lights") -> None:
        self._map = light_map
        self._white = WHITE_OF[kind]
        # Each has a few kilobytes
        self.tile = lru_cache(maxsize=4096)(self._tile)

    def _tile(self, z: int, x: int, y: int) -> bytes:
        """Render one tile of the map."""
        if not (0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
            raise LookupError(f"The map has no tile {z}/{x}/{y}.")
        tile = self._pixels((z, x, y))
        out = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(tile[..., 0]) if tile[..., 1].all() else tile)
        image.save(out, "PNG", compress_level=3)
        return out.getvalue()

    def _pixels(self, place: Place) -> Tile:
        z, x, y = place
        edge = np.array([x, x + 1]) * 360.0 / 2**z - 180.0
        north, south = row_lat_deg([y, y + 1], z)
        west, south, east, north = float(edge[0]), float(south), float(edge[1]), float(north)
        # Height of a tile's pixels: away from the equator, they are less high than wide
        nearest = min(abs(south), abs(north)) if south * north > 0.0 else 0.0
        step = (east - west) / TILE_PX * math.cos(math.radians(nearest))
        to_read = 0.0
        for source in self._map:
            grid = source.grid
            wide = sum(
                max(0.0, min(east, grid.east + turn) - max(west, grid.west + turn))
                for turn in (-360.0, 0.0, 360.0)
            )
            high = max(0.0, min(north, grid.north) - max(south, grid.south))
            share = wide * high / ((grid.east - grid.west) * (grid.north - grid.south))
            to_read += min(share, 1.0) * source.pixels_read(step)
        if z < MAX_ZOOM and to_read > MAX_PIXELS:
            return self._from_smaller(place)
        # The whole world with a margin would overlap itself
        margin = min(MARGIN_PX * step, 0.5 * (360.0 - (east - west)))
        around = west - margin, south - MARGIN_PX * step, east + margin, north + MARGIN_PX * step
        window = self._map.find_window(*around, step)
        if window is None:
            return np.zeros((TILE_PX, TILE_PX, 2), np.uint8)
        own = (
            window.values if window.valid is None else np.where(window.valid, window.values, np.nan)
        )
        half = 0.5 * window.step_deg
        values = np.full((TILE_PX, TILE_PX), np.nan, np.float32)
        half_m = math.pi * SEMI_MAJOR_M
        left, right, bottom, top = (
            half_m * (2.0 * k / 2**z - 1.0) for k in (x, x + 1, 2**z - y - 1, 2**z - y)
        )
        with open_gdal_session():
            reproject(
                source=own.astype(np.float32),
                destination=values,
                src_transform=from_origin(
                    window.lon0_deg - half, window.lat0_deg + half, window.step_deg, window.step_deg
                ),
                dst_transform=from_bounds(left, bottom, right, top, TILE_PX, TILE_PX),
                src_crs="EPSG:4326",
                dst_crs="EPSG:3857",
                src_nodata=np.nan,
                dst_nodata=np.nan,
                resampling=Resampling.bilinear,
            )
        there = np.isfinite(values)
        grey = np.rint(np.clip(np.where(there, values, 0.0) / self._white, 0.0, 1.0) * 255.0)
        return np.stack([grey, 255.0 * there], axis=-1).astype(np.uint8)

    def _from_smaller(self, place: Place) -> Tile:
        """The mean of the four tiles of the next zoom level, where they have data."""
        z, x, y = place
        large = np.zeros((2 * TILE_PX, 2 * TILE_PX, 2), np.float32)
        for right in (0, 1):
            for down in (0, 1):
                png = self.tile(z + 1, 2 * x + right, 2 * y + down)
                rows, columns = (slice(k * TILE_PX, (k + 1) * TILE_PX) for k in (down, right))
                with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
                    large[rows, columns] = np.asarray(image.convert("LA"), np.uint8)
        blocks = large.reshape(TILE_PX, 2, TILE_PX, 2, 2)
        there = blocks[..., 1].sum(axis=(1, 3)) / 255.0
        grey = (blocks[..., 0] * (blocks[..., 1] > 0)).sum(axis=(1, 3)) / np.maximum(there, 1.0)
        return np.stack([np.rint(grey), 255.0 * (there >= 2.0)], axis=-1).astype(np.uint8)
