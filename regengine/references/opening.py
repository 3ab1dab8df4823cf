"""Open references: the files that a user names, or those of the data folder, best first."""

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

    What is measured comes before pictures, finer before clearly coarser, else the order given
    counts; so a clip of a city with true radiance replaces its part of a world picture.

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
    # Steps are compared in octaves: 15 arcsec, the 16.2 of exports and the 20 of tiles are equal.
    found.sort(key=lambda one: (not one.measured, round(math.log2(one.grid.step_deg))))
    return References(found)


def open_light_map(paths: Sequence[Path | str]) -> LightMap:
    """Open night-light maps: GeoTIFF, built maps, VNP46, netCDF, or folders of those.

    For their order see `open_references`. LightMapError if a file is missing, unknown, damaged or
    without coordinate system.
    """
    if not paths:
        raise LightMapError("No night-light map was given: name at least one.")
    return LightMap(open_references("lights", paths))


light_map_of = lru_cache(maxsize=4)(open_light_map)  # of a run, opened once per process
