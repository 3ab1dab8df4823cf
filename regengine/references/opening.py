"""Open references from given files or from the data folder, best first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from regengine.errors import LightMapError
from regengine.io.folders import data_folder
from regengine.references.kinds import KindName
from regengine.references.reference import LightMap, References


def open_references(kind: KindName, paths: Sequence[Path | str] | None = None) -> References:
    """Open references of one kind: files, or folders of them; best first.

    Measured radiance comes before images, and finer before clearly coarser maps; otherwise the
    given order is kept. So a clip of a city with radiance replaces its part of a world image.

    Parameters
    ----------
    kind : str
        "lights", "streets" or "day".
    paths : sequence of Path or str, optional
        Without them those of the data folder: ``<data>/<kind>/*.tif``.

    Raises
    ------
    LightMapError
        A file is missing, not of this kind, damaged or without coordinate system.
    """
    from regengine.references.formats import open_files

    if paths is None:
        paths = sorted((data_folder() / kind).glob("*.tif"))
    found = [one for path in paths for one in open_files(kind, Path(path))]
    # Pixel sizes are compared in octaves: 15 arcsec, 16.2 (exports) and 20 (tiles) are equal
    found.sort(key=lambda one: (not one.measured, round(math.log2(one.grid.step_deg))))
    return References(found)


def open_light_map(paths: Sequence[Path | str]) -> LightMap:
    """Open night-light maps: GeoTIFF, built maps, VNP46, netCDF, or folders of those.

    For their order see `open_references`. Raises LightMapError if a file is missing, unknown,
    damaged or without coordinate system.
    """
    if not paths:
        raise LightMapError("No night-light map was given: name at least one.")
    return LightMap(open_references("lights", paths))


light_map_of = lru_cache(maxsize=4)(open_light_map)  # opened once per process
