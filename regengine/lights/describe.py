"""A map in words and numbers, for people and for programs."""

from __future__ import annotations

from typing import Any

from regengine.lights.map import LightMap
from regengine.lights.survey import survey


def facts_of(light_map: LightMap) -> dict[str, Any]:
    """What there is to say of a map, ready for JSON.

    Parameters
    ----------
    light_map : LightMap
        The map.

    Returns
    -------
    dict
        Names with units, as documented for ``lights info --json``.
    """
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
