"""A map in words and numbers, for people and for programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from regengine.references.reference import LightMap, mosaic

QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


def _spread(light_map: LightMap, blocks: int = 20, block_px: int = 256) -> dict[str, Any]:
    """Radiances of a map, or of so many blocks a side, spread evenly, of a larger one.

    Quantiles are shares of the pixels that have data, and the radiance, nW cm^-2 sr^-1, that they
    stay at or below; lit and saturated pixels, those above 0.5 nW and those at the map's
    saturation, are shares of them, too.
    """
    grid = light_map.references[0].grid.covering(light_map.info.bounds)
    sampled = grid.cols * grid.rows > (blocks * block_px) ** 2
    high, wide = (min(block_px, side) if sampled else side for side in (grid.rows, grid.cols))
    found, total = [], 0
    for row in np.linspace(0, grid.rows - high, blocks if sampled else 1).astype(int):
        for col in np.linspace(0, grid.cols - wide, blocks if sampled else 1).astype(int):
            block = grid.part(int(row), int(col), high, wide)
            values, valid, _ = mosaic(light_map.references.reaching(block.bounds), block)
            found.append(values[valid])
            total += values.size
    values = np.concatenate(found)
    limit = np.inf if light_map.info.saturation is None else light_map.info.saturation
    some = values.size > 0
    radiance_nw = 10.0 ** np.quantile(values, QUANTILES).astype(float) - 1.0 if some else ()
    return {
        "quantiles_nw": {
            f"{share:g}": round(float(nw), 3)
            for share, nw in zip(QUANTILES, radiance_nw, strict=some)
        },
        "valid_fraction": round(values.size / total, 4),
        "lit_fraction": round(float(np.mean(values > np.log10(1.5))), 4) if some else 0.0,
        "saturated_fraction": round(float(np.mean(values >= limit - 1e-3)), 6) if some else 0.0,
        "sampled": sampled,
    }


def facts_of(light_map: LightMap) -> dict[str, Any]:
    """What there is to say of a map: names with units, as ``lights info --json`` has them."""
    about = light_map.info
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
        **_spread(light_map),
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
