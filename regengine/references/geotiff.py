"""GeoTIFF maps: radiance composites, display pictures, class maps and built maps."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import calculate_default_transform
from rasterio.warp import transform as warp_points
from rasterio.windows import Window

from regengine.errors import LightMapError
from regengine.io.gdal import open_raster, reading
from regengine.references.pieces import Block, Pieces
from regengine.references.pixel_coding import LIGHTS_TAG, PixelCoding, coding_of
from regengine.references.radiance import Mask, Values
from regengine.references.source import LightMapInfo, PixelGrid, file_version

WGS84 = "EPSG:4326"
# A grid counts as square and north-up if its far corner is off by less than this, pixels.
GRID_TOLERANCE_PX = 0.02
# The Earth's girth is 1.3e8 feet, and in no coordinate system more; GDAL warps without end beyond
FARTHEST = 1e9
EDGE_POINTS = 21  # across a map, to find its extent in longitude and latitude
SMALLEST_STEP_DEG = 1e-6  # a tenth of a metre
# Decoded pieces are kept up to this: 160 MB.
MOST_KEPT_PIXELS = 40_000_000
WARP_TOLERANCE_PX = 0.005  # GDAL's default is 0.125; 0 it does not take

PIECES = Pieces(512, MOST_KEPT_PIXELS)  # the tiles of built maps; of all maps of this process


@dataclass(frozen=True, kw_only=True)
class RasterSource:
    """A raster file that GDAL reads, seen as a lon/lat grid.

    Files in other coordinate systems, rotated, south-up or with oblong pixels are warped to a
    WGS84 grid on the fly.
    """

    path: Path
    driver: str
    info: LightMapInfo
    grid: PixelGrid
    coding: PixelCoding
    warp: bool
    crs: str
    overview_factors: tuple[int, ...] = ()

    def read(
        self, row: int, col: int, rows: int, cols: int, factor: int = 1
    ) -> tuple[Values, Mask]:
        """Values and validity of a block that lies within ``grid.reduced(factor)``."""
        # What is warped depends on what else is read with it
        if self.warp or rows * cols > MOST_KEPT_PIXELS // 4:
            return self._decoded((row, col, rows, cols), factor)
        return PIECES.block(
            (self.version, factor),
            self.grid.reduced(factor),
            (row, col, rows, cols),
            lambda block: self._decoded(block, factor),
        )

    @property
    def version(self) -> Hashable:
        """Of the file, and how it is read."""
        return file_version(self.path), self.coding

    def _decoded(self, block: Block, factor: int) -> tuple[Values, Mask]:
        """Values and validity of a block of the file or of its overview."""
        row, col, rows, cols = block
        window = Window(col, row, cols, rows)
        with (
            open_raster(self.path, driver=self.driver, overview_factor=factor) as dataset,
            self._as_lonlat(dataset) as raster,
            reading(self.path),
        ):
            samples = raster.read(list(self.coding.bands), window=window)
            mask = None
            if self.warp and self._alpha_is_added:
                mask = raster.read(raster.count, window=window) > 127  # at least half covered
            elif self.coding.has_mask:
                mask = raster.read_masks(self.coding.bands[0], window=window) > 0
        values, valid = self.coding.decode(samples)
        if mask is not None:
            valid &= mask
            values = np.where(valid, values, np.float32(0.0))
        return values, valid

    def _as_lonlat(
        self, dataset: rasterio.DatasetReader
    ) -> AbstractContextManager[rasterio.DatasetReader]:
        if not self.warp:
            return nullcontext(dataset)
        return WarpedVRT(
            dataset,
            src_crs=self.crs,
            crs=WGS84,
            transform=self.grid.transform(),
            width=self.grid.cols,
            height=self.grid.rows,
            resampling=Resampling.bilinear,
            tolerance=WARP_TOLERANCE_PX,
            src_nodata=self.coding.nodata,
            nodata=self.coding.nodata,
            add_alpha=self._alpha_is_added,
        )

    @property
    def _alpha_is_added(self) -> bool:
        """Whether warping has to tell in a band of its own where the raster ends."""
        return self.coding.nodata is None and not self.coding.has_alpha


def open_geotiff(path: Path) -> RasterSource:
    """A GeoTIFF as a source of lights."""
    with open_raster(path, driver="GTiff") as dataset:
        if dataset.crs is None or dataset.transform == Affine.identity():
            raise LightMapError(
                f"{path} has no coordinate system, so nothing tells where its lights are: get the "
                "georeferenced file, or set it with gdal_translate -a_srs and -a_ullr."
            )
        if not _blocks_within(path, dataset, every=False):
            raise LightMapError(
                f"{path} was cut short while it was copied or downloaded: get it again."
            )
        if max(map(abs, dataset.bounds)) > FARTHEST:
            raise _beyond(path, dataset.bounds.left, dataset.bounds.top)
        crs = dataset.crs.to_string()
        grid = square_grid(dataset.transform, dataset.width, dataset.height)
        warp = dataset.crs.to_epsg() != 4326 or grid is None
        if warp:
            grid = lonlat_grid(dataset)
        assert grid is not None
        if not _on_earth(grid):
            raise _beyond(path, grid.west, grid.north)
        coding = coding_of(path, dataset, grid.step_deg)
        factors: tuple[int, ...] = ()
        if coding.kind == "built":
            factors = tuple(f for f in dataset.overviews(1) if _exact(grid, f))
    return RasterSource(
        path=path,
        driver="GTiff",
        info=coding.info(path, grid, crs),
        grid=grid,
        coding=coding,
        warp=warp,
        crs=crs,
        overview_factors=factors,
    )


def lights_fingerprint(path: Path) -> str | None:
    """SHA-256 of the grid and lights of a built map, hexadecimal; None for maps that have none."""
    if not path.is_file():
        return None
    try:
        with open_raster(path, driver="GTiff") as dataset:
            return dataset.tags().get(LIGHTS_TAG)
    except LightMapError:
        return None


def _beyond(path: Path, west: float, north: float) -> LightMapError:
    return LightMapError(
        f"{path} says that it lies beyond the Earth (west {west:g}, north {north:g}): get it "
        "again, or set its place with gdal_translate -a_ullr."
    )


def square_grid(transform: Affine, cols: int, rows: int) -> PixelGrid | None:
    """The grid of a transform if it is north-up with square pixels, else None."""
    step = (transform.a - transform.e) / 2.0
    skew = abs(transform.b) * rows + abs(transform.d) * cols
    uneven = abs(transform.a + transform.e) / 2.0 * max(cols, rows)
    if step <= 0.0 or skew + uneven > GRID_TOLERANCE_PX * step:
        return None
    return PixelGrid(west=transform.c, north=transform.f, step_deg=step, cols=cols, rows=rows)


def _on_earth(grid: PixelGrid) -> bool:
    """Whether a grid lies between the poles and within a turn of the globe, about."""
    corners = (grid.west, grid.east, grid.south, grid.north)
    return bool(
        np.isfinite(corners).all()
        and grid.south >= -90.0 - 2.0 * grid.step_deg
        and grid.north <= 90.0 + 2.0 * grid.step_deg
        and grid.west >= -361.0
        and grid.east <= 541.0
        and SMALLEST_STEP_DEG <= grid.step_deg <= 10.0
    )


def lonlat_grid(dataset: rasterio.DatasetReader) -> PixelGrid:
    """A north-up WGS84 grid with square pixels as fine as the dataset's, over all of it.

    Of a map across the antimeridian the longitudes go on beyond 180 degrees.
    """
    transform, cols, rows = calculate_default_transform(
        dataset.crs, WGS84, dataset.width, dataset.height, *dataset.bounds
    )
    step = min(transform.a, -transform.e)
    west, north, width, height = transform.c, transform.f, cols * transform.a, -rows * transform.e
    if width > 180.0:
        share = np.linspace(0.0, 1.0, EDGE_POINTS)
        x, y = np.meshgrid(share * dataset.width, share * dataset.height)
        x, y = dataset.transform * (x.ravel(), y.ravel())
        lon, lat = (np.asarray(part) for part in warp_points(dataset.crs, WGS84, x, y))
        middle = lon[lon.size // 2]
        lon = middle + (lon - middle + 180.0) % 360.0 - 180.0
        if np.isfinite(lon + lat).all() and np.ptp(lon) < 180.0:
            west, north, width, height = lon.min(), lat.max(), np.ptp(lon), np.ptp(lat)
            step = np.hypot(width, height) / np.hypot(dataset.width, dataset.height)
    return PixelGrid(
        west=float(west),
        north=float(north),
        step_deg=float(step),
        cols=int(np.ceil(width / step)),
        rows=int(np.ceil(height / step)),
    )


def _exact(grid: PixelGrid, factor: int) -> bool:
    """Whether the overview's pixels are exactly ``factor`` of the full ones."""
    return grid.cols % factor == 0 and grid.rows % factor == 0 and factor & (factor - 1) == 0


def is_complete(path: Path) -> bool:
    """Whether a GeoTIFF and its overviews hold all blocks that they name."""
    with open_raster(path, driver="GTiff") as dataset:
        levels = len(dataset.overviews(1))
    for level in range(levels + 1):
        with open_raster(path, driver="GTiff", overview_factor=2**level) as dataset:
            if not _blocks_within(path, dataset, every=True):
                return False
    return True


def _blocks_within(path: Path, dataset: rasterio.DatasetReader, *, every: bool) -> bool:
    """Whether the file reaches to the end of its blocks: all of them, or the first and last."""
    size = path.stat().st_size
    rows, cols = (
        -(-extent // block)
        for extent, block in zip(dataset.shape, dataset.block_shapes[0], strict=True)
    )
    if every:
        names = [f"{col}_{row}" for row in range(rows) for col in range(cols)]
    else:
        names = ["0_0", *(f"{col}_{rows - 1}" for col in range(max(0, cols - 64), cols))]
    for name in names:
        place = [
            dataset.get_tag_item(f"BLOCK_{what}_{name}", "TIFF", 1) for what in ("OFFSET", "SIZE")
        ]
        if None not in place and sum(map(int, place)) > size:
            return False
    return True
