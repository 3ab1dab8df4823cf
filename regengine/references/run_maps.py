"""Define the maps of a run, and open the one that a photo is registered on."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Protocol

from regengine.references.day import day_map_of
from regengine.references.opening import light_map_of, open_references
from regengine.references.reference import LightMap, References


class RunMaps(Protocol):
    """Files of maps by their kind, from the inputs of a run or from a store."""

    @property
    def lights(self) -> tuple[Path, ...]:
        """Night-light maps."""

    @property
    def streets(self) -> tuple[Path, ...]:
        """Street maps."""

    @property
    def day(self) -> tuple[Path, ...]:
        """Day maps."""


@lru_cache(maxsize=4)
def street_maps_of(paths: tuple[Path, ...]) -> tuple[References, ...]:
    """Open the street maps of a run, each separately, once per process."""
    return tuple(References([one]) for one in open_references("streets", paths))


def map_of_kind(kind: str, maps: RunMaps) -> LightMap | None:
    """Open the map that photos of a ``reference_kind`` are registered on; None without one."""
    if kind == "day":
        return day_map_of(maps.day) if maps.day else None
    if kind == "streets":
        if not maps.streets:
            return None
        return LightMap(one for (one,) in street_maps_of(maps.streets))
    return light_map_of(maps.lights) if maps.lights else None
