"""Open references from given files or from the data folder, best first: the maps of a run.

Day maps are read as red light, which daytime photos are compared with. `list_facts` describes
references in words and numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchers.geometry.map_grid import MapGrid
from regengine.errors import MapError
from regengine.maps.lights import KindName
from regengine.maps.reference import RasterMap


def open_references(kind: KindName, paths: Sequence[Path | str]) -> RasterMap:
    """Open references of one kind: files, or folders of them; best first.

    Measured radiance comes before images, and finer before clearly coarser maps; otherwise the
    given order is kept. So a clip of a city with radiance replaces its part of a world image.
    Raises MapError if a file is missing, not of this kind, damaged or without coordinate
    system.
    """
    from regengine.maps.formats import open_files

    references = [one for path in paths for one in open_files(kind, Path(path))]
    # Pixel sizes are compared in octaves: 15 arcsec, 16.2 (exports) and 20 (tiles) are equal
    references.sort(key=lambda one: (not one.measured, round(math.log2(one.grid.step_deg))))
    return RasterMap(references)


def open_light_map(paths: Sequence[Path | str]) -> RasterMap:
    """Open night-light maps: GeoTIFF, built maps, VNP46, netCDF, or folders of those.

    For their order see `open_references`. Raises MapError if a file is missing, unknown,
    damaged or without coordinate system.
    """
    if not paths:
        raise MapError("No night-light map was given: name at least one.")
    return open_references("lights", paths)


light_map_of = lru_cache(maxsize=4)(open_light_map)  # opened once per process


@lru_cache(maxsize=4)
def street_maps_of(paths: tuple[Path, ...]) -> tuple[RasterMap, ...]:
    return tuple(RasterMap([one]) for one in open_references("streets", paths))


def map_of_kind(
    kind: str, lights: tuple[Path, ...], streets: tuple[Path, ...], day: tuple[Path, ...]
) -> RasterMap | None:
    """Open the map of a run that photos of a ``reference_kind`` are registered on; None without."""
    if kind == "day":
        return day_map_of(day) if day else None
    if kind == "streets":
        return RasterMap(one for (one,) in street_maps_of(streets)) if streets else None
    return light_map_of(lights) if lights else None


# How the sea is classified by its colour, and drawn. Blue Marble has a painted sea floor, which
# would be matched with photos like a coast. Its codes range from (3, 7, 20) in deep water to (26,
# 71, 130) over shelves. Land never has such an excess of blue over red.
SEA = (
    12.0,  # minimum excess of blue over red of the sea, codes
    60.0,  # maximum red of the sea
    (16.0, 35.0, 77.0),  # colour with which the sea is drawn, red to blue
    1e-3,  # maps of pixels as fine as this, degrees, show true water, not a painted floor
)


class DayMap(RasterMap):
    """Red light of day maps, 0 to 1 as displayed, with a constant value over the sea."""

    def bands(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> MapGrid:
        """Read all bands of a region as codes, see `RasterMap.window`."""
        grid = super().window(west, south, east, north, resolution_deg)
        bands = grid.values.reshape(-1, *grid.values.shape[-2:])
        blue_over_red, max_red, sea_colour, painted_deg = SEA
        if grid.step_deg > painted_deg:
            red, blue = bands[0], bands[-1]
            sea = (blue > red + blue_over_red) & (red < max_red)
            shades = np.asarray(sea_colour[: len(bands)], np.float32)[:, None, None]
            bands = np.where(sea, shades, bands)
        return replace(grid, values=bands)

    def find_bands(self, *region: float) -> MapGrid | None:
        """Read all bands of a region as `bands` does; None where no reference has data."""
        try:
            return self.bands(*region)
        except MapError as error:
            if error.code != "outside_map":
                raise
            return None

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> MapGrid:
        """Read red light of a region, see `RasterMap.window`."""
        grid = self.bands(west, south, east, north, resolution_deg)
        return replace(grid, values=grid.values[0] / np.float32(255.0))


def open_day_map(paths: Sequence[Path | str]) -> DayMap:
    return DayMap(open_references("day", paths))


day_map_of = lru_cache(maxsize=4)(open_day_map)  # opened once per process


def list_facts(kind: KindName, paths: Sequence[Path], *, as_json: bool) -> list[str]:
    """List the facts of maps of a kind, names with units: lines of text, or one line of JSON.

    Of lights, quantiles are of the pixels with data, as radiance in nW cm^-2 sr^-1. Lit pixels are
    above 0.5 nW, saturated ones at the map's saturation; both are shares of the pixels with data.
    """
    references = open_references(kind, paths)
    about, (values, total, is_sampled) = references.info, sample_values(references)
    some = values.size > 0
    credit = "; ".join(dict.fromkeys(one.credit for one in references if one.credit))
    facts: dict[str, Any] = {
        "paths": [str(path) for path in about.paths],
        "product": about.product,
        "date": about.date,
        **({"kind": about.kind} if kind == "lights" else {"credit": credit}),
        "description": about.description,
        "resolution_deg": about.resolution_deg,
        "resolution_arcsec": round(about.resolution_deg * 3600.0, 3),
        "bounds": [round(edge, 6) for edge in about.bounds],
        "crs": about.crs,
    }
    valid_fraction = round(values.shape[-1] / total, 4)
    if kind == "lights":
        saturation, levels = about.saturation, (0.5, 0.9, 0.99, 0.999, 1.0)
        limit = np.inf if saturation is None else saturation - 1e-3
        radiance_nw = 10.0 ** np.quantile(values, levels).astype(float) - 1.0 if some else ()
        spread = zip(levels, radiance_nw, strict=some)
        facts |= {
            "saturation_nw": None if saturation is None else round(10.0**saturation - 1.0, 2),
            "quantiles_nw": {f"{share:g}": round(float(nw), 3) for share, nw in spread},
            "valid_fraction": valid_fraction,
            "lit_fraction": round(float(np.mean(values > np.log10(1.5))), 4) if some else 0.0,
            "saturated_fraction": round(float(np.mean(values >= limit)), 6) if some else 0.0,
            "sampled": is_sampled,
            "doubts": list(references.doubts),
        }
    else:
        facts["sigma_m"] = round(min(one.sigma_m for one in references), 1)
        facts |= {"valid_fraction": valid_fraction, "sampled": is_sampled}
        if kind == "streets":
            facts["lit_fraction"] = round(float(np.mean(values > 0.0)), 4) if some else 0.0
        else:
            facts["bands"] = max(len(one.bands) for one in references)
    if as_json:
        return [json.dumps(facts)]
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


def sample_values(references: RasterMap) -> tuple[NDArray[np.float32], int, bool]:
    """Sample the pixels with data, shape (n,) or (bands, n); also return the number of pixels.

    All pixels are read, or (third value True) a number of blocks per side, spread evenly.
    """
    (west, south, east, north), step = references.bounds, references.info.resolution_deg
    blocks, block_px = 20, 256
    is_sampled = (east - west) * (north - south) > (blocks * block_px * step) ** 2
    wide, high = (
        min(side, block_px * step) if is_sampled else side for side in (east - west, north - south)
    )
    parts, total = [], 0
    for lat in np.linspace(south, north - high, blocks if is_sampled else 1):
        for lon in np.linspace(west, east - wide, blocks if is_sampled else 1):
            grid = references.find_window(lon, lat, lon + wide, lat + high, step)
            if grid is None:
                total += round(wide * high / step**2)
                continue
            valid = np.ones(grid.values.shape[-2:], bool) if grid.valid is None else grid.valid
            parts.append(grid.values[..., valid])
            total += valid.size
    if not parts:
        return np.empty(0, np.float32), total, is_sampled
    bands = max(part.ndim for part in parts)
    return np.concatenate([part for part in parts if part.ndim == bands], -1), total, is_sampled
