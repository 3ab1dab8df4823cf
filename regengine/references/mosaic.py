"""Several maps on one grid: where the first has no data, the next one counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from rasterio.warp import Resampling, reproject

from regengine.io.gdal import gdal_session
from regengine.references.pieces import Block, Pieces
from regengine.references.radiance import Mask, Values
from regengine.references.source import Bounds, LightSource, PixelGrid

# 64 x 15 arcsec = 16 arcmin: one pixel is then as large as a metropolis and nothing is left to
# match.
FACTORS = (1, 2, 4, 8, 16, 32, 64)
ALIGNED_PX = 0.01  # grids that agree this well over a window are copied, not resampled
ROUNDING = 1e-6  # 15 arcsec is no binary number
TURNS_DEG = (0.0, 360.0, -360.0)

# Of maps without such overviews, of all maps of this process: 60 MB. A pixel that is warped, or
# summed along columns, depends on what is read with it
REDUCED = Pieces(128, 15_000_000, singly=True)

Placed = tuple[LightSource, float]  # a map and the turns of the globe it is moved by, degrees


@dataclass(frozen=True, kw_only=True)
class Filled:
    """Pixels of a grid, and the saturation of the pictures whose pixels reach it."""

    values: Values
    valid: Mask
    saturation: float | None


def placed_in(sources: Sequence[LightSource], region: Bounds) -> list[Placed]:
    """The maps that reach into a region, each with the turn in which it does."""
    west, south, east, north = region
    return [
        (source, turn)
        for source in sources
        for turn in TURNS_DEG
        if source.grid.west + turn < east
        and source.grid.east + turn > west
        and source.grid.south < north
        and source.grid.north > south
    ]


def factor_for(source: LightSource, resolution_deg: float) -> int:
    """Largest factor whose pixels are not coarser than wanted."""
    limit = resolution_deg * (1.0 + ROUNDING) / source.grid.step_deg
    return max((factor for factor in FACTORS if factor <= limit), default=1)


def output_grid(placed: Sequence[Placed], region: Bounds, resolution_deg: float) -> PixelGrid:
    """Whole pixels over a region, on the grid of the map that fits the resolution best."""
    levels = [(s.grid.reduced(factor_for(s, resolution_deg)), turn) for s, turn in placed]
    limit = resolution_deg * (1.0 + ROUNDING)
    fitting = [pair for pair in levels if pair[0].step_deg <= limit]
    if fitting:
        level, turn = max(fitting, key=lambda pair: pair[0].step_deg)
    else:
        level, turn = min(levels, key=lambda pair: pair[0].step_deg)
    return snapped(level, turn, region)


def snapped(level: PixelGrid, turn: float, region: Bounds) -> PixelGrid:
    """The part of a grid, moved by a turn and continued beyond its edges, that covers a region."""
    west, south, east, north = region
    step = level.step_deg
    first_col = math.floor((west - level.west - turn) / step + ROUNDING)
    last_col = math.ceil((east - level.west - turn) / step - ROUNDING)
    first_row = math.floor((level.north - north) / step + ROUNDING)
    last_row = math.ceil((level.north - south) / step - ROUNDING)
    return PixelGrid(
        west=level.west + turn + first_col * step,
        north=level.north - first_row * step,
        step_deg=step,
        cols=max(last_col - first_col, 1),
        rows=max(last_row - first_row, 1),
    )


def fill(placed: Sequence[Placed], out: PixelGrid) -> Filled:
    """The maps' pixels on a grid, the first map first."""
    values: Values | None = None
    valid = np.zeros((0, 0), np.bool_)
    saturation: float | None = None
    for source, turn in placed:
        if values is not None and valid.all():
            break
        found = _part_of(source, turn, out)
        if found is None:
            continue
        part, part_valid, target = found
        if values is None and part.shape == (out.rows, out.cols):
            values, valid = part, part_valid  # most windows lie within one map
            highest = float(part.max(initial=0.0))
        else:
            if values is None:
                values = np.zeros((out.rows, out.cols), np.float32)
                valid = np.zeros(values.shape, np.bool_)
            new = part_valid & ~valid[target]
            np.copyto(values[target], part, where=new)
            valid[target] |= new
            highest = float(part.max(where=new, initial=0.0))
        limit = source.info.saturation
        # 1e-3: a built map rounds its values to 1e-4
        if limit is not None and highest >= limit - 1e-3:
            saturation = limit if saturation is None else min(limit, saturation)
    if values is None:
        values = np.zeros((out.rows, out.cols), np.float32)
        valid = np.zeros(values.shape, np.bool_)
    return Filled(values=values, valid=valid, saturation=saturation)


def _part_of(
    source: LightSource, turn: float, out: PixelGrid
) -> tuple[Values, Mask, tuple[slice, slice]] | None:
    """A map's pixels, 0 where it has none, and where on a grid they lie; None if nowhere."""
    factor = factor_for(source, out.step_deg)
    level = source.grid.reduced(factor)
    ratio = out.step_deg / level.step_deg
    col = (out.west - level.west - turn) / level.step_deg
    row = (level.north - out.north) / level.step_deg
    drift = abs(ratio - 1.0) * max(out.cols, out.rows)
    copied = drift + abs(col - round(col)) + abs(row - round(row)) < ALIGNED_PX
    margin = 0 if copied else 2  # bilinear, with pixels up to twice smaller
    top, bottom = _overlap(row, out.rows * ratio, level.rows, margin)
    left, right = _overlap(col, out.cols * ratio, level.cols, margin)
    if bottom <= top or right <= left:
        return None
    part, part_valid = _read_reduced(source, (top, left, bottom - top, right - left), factor)
    if copied:
        first_row, first_col = top - round(row), left - round(col)
        return (
            part,
            part_valid,
            (
                slice(first_row, first_row + part.shape[0]),
                slice(first_col, first_col + part.shape[1]),
            ),
        )
    target = (
        _touched(top - row, part.shape[0], ratio, out.rows),
        _touched(left - col, part.shape[1], ratio, out.cols),
    )
    corner = replace(level, west=level.west + turn).part(top, left, *part.shape)
    return (*_resample(part, part_valid, corner, out, target), target)


def _overlap(start: float, length: float, limit: int, margin: int) -> tuple[int, int]:
    first = math.floor(start + ALIGNED_PX) - margin
    return max(first, 0), min(math.ceil(start + length - ALIGNED_PX) + margin, limit)


def _touched(start: float, length: int, ratio: float, limit: int) -> slice:
    """Output pixels that a block of a map's pixels lies under, along one axis."""
    first = max(math.floor(start / ratio), 0)
    return slice(first, max(min(math.ceil((start + length) / ratio), limit), first))


def _resample(
    part: Values, part_valid: Mask, corner: PixelGrid, out: PixelGrid, target: tuple[slice, slice]
) -> tuple[Values, Mask]:
    """The block on the output's pixels, bilinear; only where the block has data."""
    rows, cols = target
    result = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
    if result.size == 0:
        return result, np.zeros(result.shape, np.bool_)
    with gdal_session():
        reproject(
            source=np.where(part_valid, part, np.float32(np.nan)),
            destination=result,
            src_transform=corner.transform(),
            dst_transform=out.transform(rows.start, cols.start),
            src_crs="EPSG:4326",
            dst_crs="EPSG:4326",
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling.bilinear,
        )
    found = np.isfinite(result)
    return np.where(found, result, np.float32(0.0)), found


def _read_reduced(source: LightSource, block: Block, factor: int) -> tuple[Values, Mask]:
    """A block of a map's grid reduced by a factor: of means of means, as overviews are."""
    if factor in (1, *source.overview_factors):
        return source.read(*block, factor)

    def read(block: Block) -> tuple[Values, Mask]:
        row, col, rows, cols = (2 * each for each in block)
        finer = source.grid.reduced(factor // 2)
        there = row, col, min(rows, finer.rows - row), min(cols, finer.cols - col)
        values, valid = _read_reduced(source, there, factor // 2)
        if there[2:] != (rows, cols):  # what is cut short at an edge
            padding = ((0, rows - there[2]), (0, cols - there[3]))
            values, valid = np.pad(values, padding), np.pad(valid, padding)
        return _block_mean(values, valid)

    level = source.grid.reduced(factor)
    return REDUCED.block((source.version, factor), level, block, read)


def _block_mean(values: Values, valid: Mask) -> tuple[Values, Mask]:
    """Mean of the valid pixels of each two by two; of value if two of them are."""
    corners = [np.s_[i::2, j::2] for i in (0, 1) for j in (0, 1)]
    if valid.all():
        total = sum((values[corner] for corner in corners[1:]), values[corners[0]])
        return np.float32(0.25) * total, valid[corners[0]]
    count = np.stack([valid[corner] for corner in corners]).sum(axis=0, dtype=np.float32)
    total = np.stack([values[corner] * valid[corner] for corner in corners]).sum(axis=0)
    half_valid = count >= 2.0
    return np.where(half_valid, total / np.maximum(count, 1.0), np.float32(0.0)), half_valid
