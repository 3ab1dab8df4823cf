"""Build a reference: one cloud-optimised GeoTIFF with overviews that is read in windows."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window

from matchers.geometry.footprint import Bounds
from regengine.errors import ConfigError, MapError
from regengine.io.atomic import provide_replacements, raise_as_store_error
from regengine.io.gdal import open_raster, raise_write_failures
from regengine.maps.formats import has_all_blocks
from regengine.maps.lights import FORMAT_TAG, KINDS, KindName
from regengine.maps.reference import FACTORS, Mask, PixelGrid, RasterMap, Values, mosaic

Progress = Callable[[int, int], None]
ReadBlock = Callable[[PixelGrid], NDArray[Any] | None]


# How a reference is written.
BLOCK_PX = 512  # side of the file's tiles; windows of a search have 300 to 2,000 pixels
MAX_PIXELS = 4e9  # the world at 15 arcsec has 3.7e9; a country at 12 m about as many


def plan_grid(bounds: Bounds, step_deg: float) -> PixelGrid:
    """Plan the grid over west, south, east, north, padded to whole pixels of every overview.

    Raises ConfigError if it would have too many pixels.
    """
    corner = PixelGrid(west=bounds[0], north=bounds[3], step_deg=step_deg, cols=1, rows=1)
    grid = corner.covering(bounds)
    multiple = _level_factors(grid.cols, grid.rows)[-1]
    cols, rows = (-(-side // multiple) * multiple for side in (grid.cols, grid.rows))
    if cols * rows > MAX_PIXELS:
        raise ConfigError(
            f"The map would have {cols * rows / 1e9:,.1f} gigapixels, and the limit is "
            f"{MAX_PIXELS / 1e9:g}: choose a smaller region or larger pixels."
        )
    return replace(grid, cols=cols, rows=rows)


def estimate_bytes(kind: KindName, grid: PixelGrid) -> float:
    """Estimate the disk space to write a reference, in bytes; half of it is for the file."""
    raw = np.dtype(KINDS[kind].dtype).itemsize * KINDS[kind].bands * grid.cols * grid.rows
    return KINDS[kind].disk_share * raw


def check_free_space(folder: Path, needed: float, what: str) -> None:
    """Raise MapError if a folder's disk has less free space than needed, in bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise MapError(
            f"{folder} has {free / 1e6:,.0f} MB free, and {what} temporarily needs about "
            f"{needed / 1e6:,.0f} MB: free some space, or set REGENGINE_CACHE and REGENGINE_DATA "
            "to folders on another disk."
        )


def write_reference(
    kind: KindName,
    out: Path,
    bounds: Bounds,
    step_deg: float,
    read_block: ReadBlock,
    tags: Mapping[str, str],
    progress: Progress = lambda done, total: None,
) -> None:
    """Write a reference block by block; the file appears at ``out`` only when it is complete.

    ``bounds`` are west, south, east, north, degrees; east and south move out to whole pixels of all
    overviews. ``read_block`` returns the codes of a grid's pixels, (rows, cols) or (bands, rows,
    cols), or None without data; it is called row by row from the north. ``tags`` are PRODUCT, DATE,
    CREDIT, SOURCES and others; ``progress`` is called with pixels done and in total.

    Raises ConfigError if the reference would have too many pixels, MapError if the disk has
    too little space, StoreError if ``out`` cannot be written; no partial file remains.
    """
    grid, spec = plan_grid(bounds, step_deg), KINDS[kind]
    about = {FORMAT_TAG: spec.format, "UNITS": spec.units, "KIND": kind, "CREDIT": spec.credit}
    all_tags = {**about, **tags, "AREA_OR_POINT": "Area"}
    draft = out.with_name(f".{out.name}.{os.getpid()}.plain.tif")
    leftovers = [draft]
    with (
        raise_as_store_error(out),
        raise_write_failures(out, leftovers),
        provide_replacements((out,)) as (final,),
    ):
        leftovers.append(Path(f"{final}.ovr.tmp"))
        check_free_space(out.parent, estimate_bytes(kind, grid), out.name)
        with rasterio.open(
            draft,
            "w",
            driver="GTiff",
            dtype=spec.dtype,
            count=spec.bands,
            width=grid.cols,
            height=grid.rows,
            crs="EPSG:4326",
            transform=grid.transform,
            nodata=spec.nodata,
            tiled=True,
            blockxsize=BLOCK_PX,
            blockysize=BLOCK_PX,
            compress="zstd",  # of a draft: fast
            zstd_level=1,
            predictor=2,
            sparse_ok=True,
            bigtiff="if_safer",
        ) as dataset:
            dataset.update_tags(**{name: text for name, text in all_tags.items() if text})
            if spec.bands == 1:
                dataset.scales, dataset.units = (spec.scale,), (spec.units,)
                dataset.offsets = (0.0,)
            else:
                names = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
                dataset.colorinterp = names
            place = f"{grid.west:.9f} {grid.north:.9f} {grid.step_deg:.13f} {grid.cols} {grid.rows}"
            digest, done = hashlib.sha256(place.encode()), 0
            # Parts that consist of whole tiles of the file
            # Blocks written at once: 4 million pixels, 50 MB with all their copies
            high, wide = BLOCK_PX, BLOCK_PX * 16
            for row, col in product(range(0, grid.rows, high), range(0, grid.cols, wide)):
                shape = min(high, grid.rows - row), min(wide, grid.cols - col)
                codes = read_block(grid.part(row, col, *shape))
                if codes is None:
                    codes = np.full((spec.bands, *shape), spec.nodata or 0, spec.dtype)
                else:
                    codes = np.reshape(codes, (spec.bands, *shape))
                    dataset.write(codes, window=Window(col, row, shape[1], shape[0]))
                digest.update(np.ascontiguousarray(codes, spec.dtype).data)
                done += shape[0] * shape[1]
                progress(done, grid.cols * grid.rows)
            dataset.update_tags(**{f"{kind.upper()}_SHA256": digest.hexdigest()})
        _copy_with_overviews(draft, final, len(_level_factors(grid.cols, grid.rows)) - 1)
        with open_raster(final, driver="GTiff") as dataset:
            if not has_all_blocks(final, dataset):
                raise OSError("the disk did not take all of it")
        draft.unlink()


def _copy_with_overviews(draft: Path, final: Path, count: int) -> None:
    rasterio.shutil.copy(
        draft,
        final,
        driver="COG",
        compress="deflate",
        level=6,
        # Differences of neighbours compress city radiances by 7 % more, pictures by 13 % less, and
        # windows of them read three times slower.
        predictor="no",
        blocksize=BLOCK_PX,
        overview_resampling="average",
        overview_count=count,
        sparse_ok=True,
        bigtiff="if_safer",
    )


def _level_factors(cols: int, rows: int) -> tuple[int, ...]:
    # Smaller maps need no coarser overview
    return tuple(f for f in FACTORS if f == 1 or max(cols, rows) // f >= 256)


def build(
    kind: KindName,
    sources: RasterMap,
    out: Path,
    *,
    region: Bounds | None = None,
    progress: Progress = lambda done, total: None,
    **tags: str,
) -> None:
    """Write references as one file that opens fast and is read in windows.

    The grid is that of the first reference, so that a single reference in longitude and latitude is
    not resampled. Overviews are means of its pixels. Only the part of ``region`` (west, south,
    east, north, degrees) is written. ``tags`` replace what the sources say, unless they are "".

    Raises MapError if a source is damaged or the region lies outside, and as
    `write_reference` does.
    """
    west, south, east, north = region or sources.info.bounds
    reaching = sources.reaching((west, south, east, north))
    if not reaching:
        raise MapError(
            f"The maps have no data between longitudes {west} and {east}, latitudes {south} and "
            f"{north}: choose a region that they cover.",
            code="outside_map",
        )
    first, turn = reaching[0]
    grid = replace(first.grid, west=first.grid.west + turn).covering((west, south, east, north))
    info = sources.info
    limit = "" if info.saturation is None else str(round(info.saturation / KINDS[kind].scale))
    about = {
        "PRODUCT": info.product,
        "DATE": info.date,
        "CREDIT": "; ".join(dict.fromkeys(one.credit for one in sources if one.credit)),
        "SATURATION_CODE": limit,
        "SOURCES": ", ".join(path.name for path in info.paths),
        "KIND": info.kind if kind == "lights" else kind,
    }

    def read_block(block: PixelGrid) -> NDArray[Any] | None:
        here = sources.reaching(block.bounds)
        return encode(kind, *mosaic(here, block)[:2]) if here else None

    write_reference(
        kind,
        out,
        grid.bounds,
        grid.step_deg,
        read_block,
        about | {name: text for name, text in tags.items() if text},
        progress,
    )


def encode(kind: KindName, values: Values, valid: Mask) -> NDArray[Any]:
    """Encode values for a built reference; a day map has red, green, blue and opacity."""
    spec = KINDS[kind]
    if spec.nodata is None:
        shown = np.broadcast_to(values, (3, *valid.shape)) if values.ndim == 2 else values
        return np.concatenate([np.rint(shown), 255.0 * valid[None]]).astype(spec.dtype)
    codes = np.rint(np.minimum(values / spec.scale, spec.nodata - 1))
    return np.where(valid, codes, spec.nodata).astype(spec.dtype)
