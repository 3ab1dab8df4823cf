"""Describe references in words and numbers, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.maps.kinds import KindName
from regengine.maps.opening import open_references
from regengine.maps.reference import References

QUANTILES = (0.5, 0.9, 0.99, 0.999, 1.0)


def list_facts(kind: KindName, paths: Sequence[Path], *, as_json: bool) -> list[str]:
    """List the facts of the files of a kind, as lines of text or as one line of JSON."""
    facts = facts_of(open_references(kind, paths))
    return [json.dumps(facts)] if as_json else table(facts)


def facts_of(references: References) -> dict[str, Any]:
    """Collect the facts of references of one kind: names with units, as in ``info``."""
    match references[0].kind:
        case "lights":
            return _facts_of_lights(references)
        case "streets":
            values, facts = _sample_facts(references)
            facts["lit_fraction"] = round(float(np.mean(values > 0.0)), 4) if values.size else 0.0
            return facts
        case _:
            facts = _sample_facts(references)[1]
            facts["bands"] = max(len(one.bands) for one in references)
            return facts


def _facts_of_lights(references: References) -> dict[str, Any]:
    """Collect the facts of night-light maps.

    Quantiles are of the pixels with data, as radiance in nW cm^-2 sr^-1. Lit pixels are above
    0.5 nW, saturated ones at the map's saturation; both are shares of the pixels with data.
    """
    about = references.info
    values, total, is_sampled = sample_values(references)
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
        **_place(references),
        "saturation_nw": None if saturation is None else round(10.0**saturation - 1.0, 2),
        "quantiles_nw": {f"{share:g}": round(float(nw), 3) for share, nw in spread},
        "valid_fraction": round(values.size / total, 4),
        "lit_fraction": round(float(np.mean(values > np.log10(1.5))), 4) if some else 0.0,
        "saturated_fraction": round(float(np.mean(values >= limit)), 6) if some else 0.0,
        "sampled": is_sampled,
        "doubts": list(references.doubts),
    }


def _sample_facts(references: References) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Sample values of street or day maps, and collect their facts."""
    about = references.info
    values, total, is_sampled = sample_values(references)
    return values, {
        "paths": [str(path) for path in about.paths],
        "product": about.product,
        "date": about.date,
        "credit": "; ".join(dict.fromkeys(one.credit for one in references if one.credit)),
        "description": about.description,
        **_place(references),
        "sigma_m": round(min(one.sigma_m for one in references), 1),
        "valid_fraction": round(values.shape[-1] / total, 4),
        "sampled": is_sampled,
    }


def _place(references: References) -> dict[str, Any]:
    """Describe extent and resolution of references."""
    about = references.info
    return {
        "resolution_deg": about.resolution_deg,
        "resolution_arcsec": round(about.resolution_deg * 3600.0, 3),
        "bounds": [round(edge, 6) for edge in about.bounds],
        "crs": about.crs,
    }


def sample_values(
    references: References, blocks: int = 20, block_px: int = 256
) -> tuple[NDArray[np.float32], int, bool]:
    """Sample the pixels with data, shape (n,) or (bands, n); also return the number of pixels.

    All pixels are read, or (third value True) a number of blocks per side, spread evenly.
    """
    (west, south, east, north), step = references.bounds, references.info.resolution_deg
    is_sampled = (east - west) * (north - south) > (blocks * block_px * step) ** 2
    wide, high = (
        min(side, block_px * step) if is_sampled else side for side in (east - west, north - south)
    )
    found, total = [], 0
    for lat in np.linspace(south, north - high, blocks if is_sampled else 1):
        for lon in np.linspace(west, east - wide, blocks if is_sampled else 1):
            grid = references.window(lon, lat, lon + wide, lat + high, step)
            if grid is None:
                total += round(wide * high / step**2)
                continue
            shape = grid.values.shape[-2:]
            valid = np.ones(shape, np.bool_) if grid.valid is None else grid.valid
            found.append(grid.values[..., valid])
            total += shape[0] * shape[1]
    if not found:
        return np.empty(0, np.float32), total, is_sampled
    bands = max(part.ndim for part in found)
    return np.concatenate([part for part in found if part.ndim == bands], -1), total, is_sampled


def table(facts: dict[str, Any]) -> list[str]:
    """Format the facts as lines of text."""
    lines = []
    for name, value in facts.items():
        if name == "doubts":
            lines += [f"{name:<18} {doubt}" for doubt in value]
            continue
        parts = [f"{k}: {v}" for k, v in value.items()] if isinstance(value, dict) else value
        text = ", ".join(map(str, parts)) if isinstance(parts, list) else str(parts)
        text = f"{value:.6g}" if isinstance(value, float) else text
        lines.append(f"{name:<18} {'none' if value is None else text or 'unknown'}")
    return lines
