"""A map of night lights in words and numbers, for people and for programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from regengine.references.reference import LightMap

QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


def facts_of(light_map: LightMap, blocks: int = 20, block_px: int = 256) -> dict[str, Any]:
    """What there is to say of a map: names with units, as ``lights info`` has them.

    Quantiles are shares of the pixels that have data, and the radiance, nW cm^-2 sr^-1, that they
    stay at or below; lit and saturated pixels, those above 0.5 nW and those at the map's
    saturation, are shares of them, too: of all, or of so many blocks a side, spread evenly.
    """
    about = light_map.info
    (west, south, east, north), step = about.bounds, about.resolution_deg
    is_sampled = (east - west) * (north - south) > (blocks * block_px * step) ** 2
    wide, high = (
        min(side, block_px * step) if is_sampled else side for side in (east - west, north - south)
    )
    found, total = [np.empty(0, np.float32)], 0
    for lat in np.linspace(south, north - high, blocks if is_sampled else 1):
        for lon in np.linspace(west, east - wide, blocks if is_sampled else 1):
            grid = light_map.references.window((lon, lat, lon + wide, lat + high), step)
            if grid is not None:
                found.append(grid.values[... if grid.valid is None else grid.valid].ravel())
            total += round(wide * high / step**2) if grid is None else grid.values.size
    values = np.concatenate(found)
    some, saturation = values.size > 0, about.saturation
    limit = np.inf if saturation is None else saturation - 1e-3
    radiance_nw = 10.0 ** np.quantile(values, QUANTILES).astype(float) - 1.0 if some else ()
    spread = zip(QUANTILES, radiance_nw, strict=some)
    return {
        "paths": [str(path) for path in about.paths],
        "product": about.product,
        "date": about.date,
        "kind": about.kind,
        "description": about.description,
        "resolution_deg": step,
        "resolution_arcsec": round(step * 3600.0, 3),
        "bounds": [round(edge, 6) for edge in about.bounds],
        "crs": about.crs,
        "saturation_nw": None if saturation is None else round(10.0**saturation - 1.0, 2),
        "quantiles_nw": {f"{share:g}": round(float(nw), 3) for share, nw in spread},
        "valid_fraction": round(values.size / total, 4),
        "lit_fraction": round(float(np.mean(values > np.log10(1.5))), 4) if some else 0.0,
        "saturated_fraction": round(float(np.mean(values >= limit)), 6) if some else 0.0,
        "sampled": is_sampled,
    }


def table(facts: dict[str, Any]) -> list[str]:
    """The facts as lines for people."""
    lines = []
    for name, value in facts.items():
        parts = [f"{k}: {v}" for k, v in value.items()] if isinstance(value, dict) else value
        text = ", ".join(map(str, parts)) if isinstance(parts, list) else str(parts)
        lines.append(f"{name:<18} {'none' if value is None else text or 'unknown'}")
    return lines
