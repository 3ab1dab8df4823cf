"""Define the user's options for blind searches, and load the index that they need."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from regengine.errors import ConfigError
from regengine.orbit.missions import ANY_KM, mission_heights_km

if TYPE_CHECKING:
    from matchers.geometry.footprint import Bounds
    from regengine.maps.index.earth import EarthIndex


Mode = Literal["auto", "always", "never"]


@dataclass(frozen=True, kw_only=True)
class BlindOptions:
    """When photos are searched on the whole Earth, and with which index.

    mode: "always" for all photos; "auto" for those without a nadir and without a time with an
        element set; "never".
    index: File of the index; None for the one next to the map, or one computed in memory.
    bounds: West, south, east, north of the lights that are searched, degrees; None for all.
    altitude_km: Range of the camera's altitude.
    """

    mode: Mode = "auto"
    index: Path | None = None
    bounds: Bounds | None = None
    altitude_km: tuple[float, float] = ANY_KM


def parse_blind_options(
    mode: str, index: Path | None, bbox: str | None, mission: str | None
) -> BlindOptions:
    """Parse the options from the texts of the command line.

    Raises ConfigError if an option makes no sense.
    """
    from regengine.maps.places import parse_bounds

    if mode not in get_args(Mode):
        raise ConfigError(f"--blind {mode!r} is unknown: write always, auto or never.")
    for option, value in (("--bbox", bbox), ("--mission", mission)):
        if mode == "never" and value is not None:
            raise ConfigError(f"{option} needs --blind always or auto.")
    return BlindOptions(
        mode=cast(Mode, mode),
        index=index,
        bounds=None if bbox is None else parse_bounds(bbox),
        altitude_km=ANY_KM if mission is None else mission_heights_km(mission),
    )


def index_beside(path: Path) -> Path:
    """Path of the index next to a map: ``earth.tif.idx`` for ``earth.tif``."""
    return path.with_name(f"{path.name}.idx")


def index_file(options: BlindOptions, maps: Sequence[Path]) -> Path | None:
    """File of the index that is used: the given one, or that of the widest map; None without."""
    from regengine.maps.opening import light_map_of

    if options.index is not None:
        return options.index
    indexed = [path for path in maps if index_beside(path).is_file()]
    if len(indexed) > 1:

        def measure_deg2(path: Path) -> float:
            west, south, east, north = light_map_of((path,)).info.bounds
            return (east - west) * (north - south)

        indexed.sort(key=measure_deg2, reverse=True)
    return index_beside(indexed[0]) if indexed else None


@lru_cache(maxsize=2)
def load_earth_index(options: BlindOptions, maps: tuple[Path, ...]) -> EarthIndex | None:
    """Load the index of a map once per process: the given one, the one next to it, or in memory.

    Returns None if there is no file and the map is so large that building an index takes minutes.
    Raises ConfigError if the given file cannot be used.
    """
    from regengine.maps.index.earth import index_in_memory, read_earth_index
    from regengine.maps.opening import light_map_of

    file, whole = index_file(options, maps), None
    if file is not None:
        its_maps = maps if options.index else [one for one in maps if index_beside(one) == file]
        try:
            whole = read_earth_index(file, its_maps)
        except ConfigError as error:
            if options.index is not None:
                raise
            logging.getLogger("regengine").warning("%s It is ignored.", error)
    if whole is None:
        whole = index_in_memory(light_map_of(maps))
    return whole if whole is None or options.bounds is None else whole.within(options.bounds)
