"""A map in words and numbers, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
    """Spread of a map's radiances."""

    # Share of pixels and the radiance, nW cm^-2 sr^-1, that it stays at or below.
    quantiles_nw: tuple[tuple[float, float], ...]
    # valid_fraction, lit_fraction, saturated_fraction: shares of all pixels that have data, of
    # those that have light above 0.5 nW, and of those that are saturated.
    valid_fraction: float
    lit_fraction: float
    saturated_fraction: float
    sampled: bool  # whether only a sample was looked at


def survey(light_map: LightMap) -> Survey:
    """Look at a map, or at 400 blocks of 256 by 256 pixels of a large one."""
    source = light_map.sources[0]
    grid = snapped(source.grid, 0.0, light_map.info.bounds)
    sampled = grid.cols * grid.rows > WHOLE_PIXELS
    found, total = [], 0
    for block in _spread_blocks(grid) if sampled else [grid]:
        filled = fill(placed_in(light_map.sources, block.bounds), block)
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
            size = min(BLOCK_PX, grid.rows), min(BLOCK_PX, grid.cols)
            yield grid.part(int(row), int(col), *size)


def facts_of(light_map: LightMap) -> dict[str, Any]:
    """What there is to say of a map: names with units, as ``lights info --json`` has them."""
    about, seen = light_map.info, survey(light_map)
    saturation = None if about.saturation is None else round(10.0**about.saturation - 1.0, 2)
    return {
        "paths": [str(path) for path in about.paths],
        "product": about.product,
        "date": about.date,
        "kind": about.kind,
        "description": about.description,
        "resolution_deg": about.resolution_deg,
        "resolution_arcsec": round(about.resolution_deg * 3600.0, 3),
        "bounds": [round(edge, 6) for edge in about.bounds],
        "crs": about.crs,
        "saturation_nw": saturation,
        "quantiles_nw": {f"{share:g}": round(nw, 3) for share, nw in seen.quantiles_nw},
        "valid_fraction": round(seen.valid_fraction, 4),
        "lit_fraction": round(seen.lit_fraction, 4),
        "saturated_fraction": round(seen.saturated_fraction, 6),
        "sampled": seen.sampled,
    }


def table(facts: dict[str, Any]) -> list[str]:
    """The facts as lines for people."""
    west, south, east, north = facts["bounds"]
    saturation = facts["saturation_nw"]
    spread = ", ".join(f"{float(k):.1%} ≤ {v:g}" for k, v in facts["quantiles_nw"].items())
    lines = {
        "map": ", ".join(facts["paths"]),
        "product": facts["product"] or "unknown",
        "date": facts["date"] or "unknown",
        "kind": facts["kind"],
        "description": facts["description"],
        "resolution": f"{facts['resolution_arcsec']:g} arcsec ({facts['resolution_deg']:.6f}°)",
        "extent": f"{west:g} to {east:g} east, {south:g} to {north:g} north",
        "CRS": facts["crs"],
        "saturation": "none" if saturation is None else f"from {saturation:g} nW/cm²/sr",
        "radiance": f"{spread or 'no data'} nW/cm²/sr" + " (sample)" * facts["sampled"],
        "with data": f"{facts['valid_fraction']:.1%}",
        "lit": f"{facts['lit_fraction']:.2%} of that",
        "saturated": f"{facts['saturated_fraction']:.3%} of that",
    }
    return [f"{name:<12} {value}" for name, value in lines.items()]
