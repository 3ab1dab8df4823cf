"""A folder of map tiles, pictures in Web Mercator, as a lon/lat grid.

The folder holds ``tiles.json``, which says how the tiles are ordered: ``{"order":
"{z}/{y}/{x}"}``. Tiles that are not there count as no data.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, UnidentifiedImageError

from regengine.errors import LightMapError
from regengine.references import radiance
from regengine.references.radiance import Mask, Values
from regengine.references.source import Bounds, LightMapInfo, PixelGrid

DESCRIPTION_FILE = "tiles.json"
ORDERS = ("{z}/{x}/{y}", "{z}/{y}/{x}", "{z}/{x}/{-y}")
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
# Pillow would run Ghostscript on a PostScript file, whatever its name says
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP")
MAX_TILE_PX = 4096
# Web Mercator (EPSG:3857): a sphere in geodetic latitudes, the world in 2 ** zoom tiles a side
MAX_LAT_DEG = 85.0511287798066  # where the square map of the world ends


@dataclass(frozen=True, kw_only=True)
class TileSource:
    """All tiles of one zoom level."""

    folder: Path
    zoom: int
    tile_px: int
    tiles: Mapping[tuple[int, int], Path] = field(repr=False)
    info: LightMapInfo
    grid: PixelGrid
    overview_factors: tuple[int, ...] = ()
    version: object = field(default_factory=object, compare=False)  # of this opening

    def read(
        self, row: int, col: int, rows: int, cols: int, factor: int = 1
    ) -> tuple[Values, Mask]:
        """Values and validity of a block of the grid, averaged over the tiles' smaller pixels."""
        assert factor == 1
        edges_lat = self.grid.north - self.grid.step_deg * np.arange(row, row + rows + 1)
        edges = mercator_row(edges_lat, self.zoom) * self.tile_px
        first_row, last_row = math.floor(edges[0]), math.ceil(edges[-1])
        first_col = round((self.grid.west + 180.0) / self.grid.step_deg) + col
        values, valid = self._mosaic(first_row, last_row - first_row, first_col, cols)
        return _mean_of_rows(values, valid, edges - first_row)

    def _mosaic(self, row: int, rows: int, col: int, cols: int) -> tuple[Values, Mask]:
        """A block of the zoom level's own pixels."""
        values = np.zeros((rows, cols), np.float32)
        valid = np.zeros((rows, cols), np.bool_)
        size = self.tile_px
        for x in range(col // size, (col + cols - 1) // size + 1):
            for y in range(row // size, (row + rows - 1) // size + 1):
                path = self.tiles.get((x, y))
                if path is None:
                    continue
                tile, tile_valid = read_tile(path, size)
                top, left = y * size - row, x * size - col
                here = (slice(max(top, 0), top + size), slice(max(left, 0), left + size))
                there = (
                    slice(max(-top, 0), min(size, rows - top)),
                    slice(max(-left, 0), min(size, cols - left)),
                )
                values[here], valid[here] = tile[there], tile_valid[there]
        return values, valid


def read_tile(path: Path, tile_px: int) -> tuple[Values, Mask]:
    """Map values and validity of one picture."""
    try:
        with Image.open(path, formats=PICTURE_FORMATS) as picture:
            if picture.size != (tile_px, tile_px):
                raise ValueError(f"{picture.size[0]} by {picture.size[1]} pixels")
            rgba = np.asarray(picture.convert("RGBA"))
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError) as error:
        raise LightMapError(
            f"{path} is no whole map tile of {tile_px} by {tile_px} pixels: delete it and run "
            "`regengine lights get` again."
        ) from error
    grey = radiance.lights_only_luma(np.moveaxis(rgba[..., :3], -1, 0))
    valid = rgba[..., 3] > 0
    return np.where(valid, radiance.display_table()[grey], np.float32(0.0)), valid


def _mean_of_rows(values: Values, valid: Mask, edges: NDArray[np.float64]) -> tuple[Values, Mask]:
    """Means over row intervals [edges[i], edges[i + 1]] of the valid pixels, at least half valid.

    Mercator rows are no higher than those of the grid: nothing is skipped, nothing counted twice.
    """

    def integral(samples: NDArray[np.floating]) -> NDArray[np.float64]:
        below = np.zeros((samples.shape[0] + 1, samples.shape[1]))
        np.cumsum(samples, axis=0, out=below[1:])
        whole = np.minimum(edges.astype(int), samples.shape[0] - 1)
        part = (edges - whole)[:, None]
        return np.diff(below[whole] + part * (below[whole + 1] - below[whole]), axis=0)

    weight = integral(valid.astype(np.float32))
    total = integral(np.where(valid, values, np.float32(0.0)))
    half_valid = weight >= 0.5 * np.diff(edges)[:, None]
    mean = np.where(half_valid, total / np.maximum(weight, 1e-9), 0.0)
    return mean.astype(np.float32), half_valid


def open_tiles(folder: Path) -> list[TileSource]:
    """The zoom levels of a folder of tiles, finest first."""
    said = read_description(folder)
    levels = list_tiles(folder, said["order"])
    if not levels:
        raise LightMapError(
            f"{folder} holds no tile in the order {said['order']} that its {DESCRIPTION_FILE} "
            "names: run `regengine lights get` or correct the order."
        )
    return [_level(folder, zoom, levels[zoom], said) for zoom in sorted(levels, reverse=True)]


def _level(
    folder: Path, zoom: int, tiles: dict[tuple[int, int], Path], said: Mapping[str, str]
) -> TileSource:
    tile_px = _tile_size(next(iter(tiles.values())))
    columns = [x for x, _ in tiles]
    tile_deg = 360.0 / 2**zoom
    north = float(row_lat_deg(min(y for _, y in tiles), zoom))
    south = float(row_lat_deg(max(y for _, y in tiles) + 1, zoom))
    step = tile_deg / tile_px
    grid = PixelGrid(
        west=-180.0 + tile_deg * min(columns),
        north=north,
        step_deg=step,
        cols=(max(columns) - min(columns) + 1) * tile_px,
        rows=int((north - south) / step + 1e-6),
    )
    product, date = said.get("product", "") or "map tiles", said.get("date", "")
    return TileSource(
        folder=folder,
        zoom=zoom,
        tile_px=tile_px,
        tiles=tiles,
        grid=grid,
        info=LightMapInfo(
            paths=(folder,),
            product=product,
            date=date,
            kind="display",
            resolution_deg=step,
            bounds=(grid.west, south, grid.east, north),
            crs="EPSG:3857",
            saturation=radiance.display_saturation(),
            description=f"{product} {date}".strip() + f": {len(tiles)} picture tiles of zoom "
            f"{zoom}, radiance estimated from their lights",
        ),
    )


def read_description(folder: Path) -> dict[str, str]:
    """Contents of ``tiles.json``; LightMapError if it is none or names no known order."""
    path = folder / DESCRIPTION_FILE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(said, dict) or said.get("order") not in ORDERS:
            raise ValueError("order")
    except (OSError, ValueError, RecursionError) as error:
        raise LightMapError(
            f"{path} does not say how the map tiles are ordered: it must be JSON with one of "
            + ", ".join(f'{{"order": "{order}"}}' for order in ORDERS)
            + "."
        ) from error
    return {key: str(value) for key, value in said.items()}


def list_tiles(folder: Path, order: str) -> dict[int, dict[tuple[int, int], Path]]:
    """Tiles by zoom level and (x, y), y counted from the north."""
    pattern = re.escape(order)
    for key, name in (("z", "z"), ("x", "x"), ("y", "y"), ("-y", "flipped")):
        pattern = pattern.replace(re.escape(f"{{{key}}}"), rf"(?P<{name}>\d+)")
    levels: dict[int, dict[tuple[int, int], Path]] = {}
    for path in sorted(folder.glob("*/*/*")):
        if path.suffix.lower() not in PICTURES:
            continue
        found = re.fullmatch(pattern, path.relative_to(folder).with_suffix("").as_posix())
        if found is None or int(found["z"]) > 30:
            continue
        place = {key: int(value) for key, value in found.groupdict().items()}
        zoom = place["z"]
        y = place["y"] if "y" in place else 2**zoom - 1 - place["flipped"]
        if 0 <= place["x"] < 2**zoom and 0 <= y < 2**zoom:
            levels.setdefault(zoom, {})[place["x"], y] = path
    return levels


def _tile_size(path: Path) -> int:
    try:
        with Image.open(path, formats=PICTURE_FORMATS) as picture:
            width, height = picture.size
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError):
        width, height = 0, 1
    if width != height or width > MAX_TILE_PX:
        raise LightMapError(
            f"{path} is no whole square map tile: delete it and run `regengine lights get` again."
        )
    return width


def mercator_row(lat_deg: ArrayLike, zoom: int) -> NDArray[np.float64]:
    """Latitudes counted in tiles from the northern edge of the map."""
    lat = np.radians(np.asarray(lat_deg, float))
    return np.asarray((0.5 - np.arctanh(np.sin(lat)) / (2.0 * np.pi)) * 2.0**zoom)


def row_lat_deg(row: ArrayLike, zoom: int) -> NDArray[np.float64]:
    """Latitudes, degrees, of places counted in tiles from the northern edge."""
    height = np.pi * (1.0 - 2.0 * np.asarray(row, float) / 2.0**zoom)
    return np.asarray(np.degrees(np.arctan(np.sinh(height))))


def map_tiles_in_region(bounds: Bounds, zoom: int) -> list[tuple[int, int]]:
    """Web-Mercator tiles (x, y) of west, south, east, north, row by row from the north."""
    west, south, east, north = bounds
    count = 2**zoom
    south, north = (min(max(lat, -MAX_LAT_DEG), MAX_LAT_DEG) for lat in (south, north))
    top, bottom = (float(mercator_row(lat, zoom)) for lat in (north, south))
    left, right = ((lon + 180.0) / 360.0 * count for lon in (west, east))
    columns = range(math.floor(left), min(math.ceil(right), math.floor(left) + count))
    rows = range(max(math.floor(top), 0), min(math.ceil(bottom), count))
    return [(x % count, y) for y in rows for x in columns]


def ten_degree_tiles_in_region(bounds: Bounds) -> set[tuple[int, int]]:
    """Black Marble tiles (horizontal, vertical) of west, south, east, north."""
    west, south, east, north = bounds
    columns = range(math.floor((west + 180.0) / 10.0), math.ceil((east + 180.0) / 10.0))
    rows = range(math.floor((90.0 - north) / 10.0), math.ceil((90.0 - south) / 10.0))
    return {(h % 36, v) for v in rows for h in columns}
