"""What a map holds: the spread of its radiances, from all of it or from a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from regengine.lights.map import LightMap
from regengine.lights.mosaic import fill, placed_in, snapped
from regengine.lights.source import PixelGrid

WHOLE_PIXELS = 16_000_000  # maps up to this size are looked at whole
SAMPLE_BLOCKS = 20  # a side: blocks spread evenly over larger ones
BLOCK_PX = 256
QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Spread of a map's radiances.

    Attributes
    ----------
    quantiles_nw : tuple of (float, float)
        Share of pixels and the radiance, nW cm^-2 sr^-1, that it stays at or below.
    valid_fraction, lit_fraction, saturated_fraction : float
        Shares of all pixels that have data, of those that have light above 0.5 nW, and of those
        that are saturated.
    sampled : bool
        Whether only a sample was looked at.
    """

    quantiles_nw: tuple[tuple[float, float], ...]
    valid_fraction: float
    lit_fraction: float
    saturated_fraction: float
    sampled: bool


def survey(light_map: LightMap) -> Survey:
    """Look at a map, or at 400 blocks of 256 by 256 pixels of a large one.

    Parameters
    ----------
    light_map : LightMap
        The map.

    Raises
    ------
    LightMapError
        A file is damaged.
    """
    source = light_map.sources[0]
    grid = snapped(source.grid, 0.0, light_map.info.bounds)
    sampled = grid.cols * grid.rows > WHOLE_PIXELS
    found, total = [], 0
    for block in _spread_blocks(grid) if sampled else [grid]:
        region = (block.west, block.south, block.east, block.north)
        filled = fill(placed_in(light_map.sources, region), block)
        found.append(filled.values[filled.valid])
        total += filled.values.size
    values = np.concatenate(found)
    if values.size == 0:
        return Survey(
            quantiles_nw=(),
            valid_fraction=0.0,
            lit_fraction=0.0,
            saturated_fraction=0.0,
            sampled=sampled,
        )
    radiance_nw = 10.0 ** np.quantile(values, QUANTILES).astype(float) - 1.0
    limit = light_map.info.saturation
    return Survey(
        quantiles_nw=tuple(zip(QUANTILES, radiance_nw.tolist(), strict=True)),
        valid_fraction=values.size / total,
        lit_fraction=float(np.mean(values > np.log10(1.5))),
        saturated_fraction=0.0 if limit is None else float(np.mean(values >= limit - 1e-3)),
        sampled=sampled,
    )


def _spread_blocks(grid: PixelGrid) -> Iterator[PixelGrid]:
    for row in np.linspace(0, max(grid.rows - BLOCK_PX, 0), SAMPLE_BLOCKS).astype(int):
        for col in np.linspace(0, max(grid.cols - BLOCK_PX, 0), SAMPLE_BLOCKS).astype(int):
            yield replace(
                grid,
                west=grid.west + float(col) * grid.step_deg,
                north=grid.north - float(row) * grid.step_deg,
                cols=min(BLOCK_PX, grid.cols),
                rows=min(BLOCK_PX, grid.rows),
            )
