"""What the user decides of blind searches, and the index that they need, read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.errors import ConfigError
from regengine.registration.blind.station_history import ANY_KM, mission_heights_km, mission_number

if TYPE_CHECKING:
    from regengine.registration.blind.index import EarthIndex

# As long as a search may take along a track: the whole Earth takes longer. All tilts of a known
# lens need 30 s on a usual processor, twice that on a slow one. There, of five photos of the
# training half at 48 to 60 degrees, two were found within 45 s, four within 75
TIMES_AS_LONG = 5.0


@dataclass(frozen=True, kw_only=True)
class BlindLimits:
    """What narrows a blind search.

    bounds: West, south, east, north of the towns that may be seen, degrees; None for all.
    altitude_km: Between which the camera flew.
    """

    bounds: tuple[float, float, float, float] | None = None
    altitude_km: tuple[float, float] = ANY_KM


@dataclass(frozen=True, kw_only=True)
class BlindOptions:
    """When photos are searched for all over the Earth, and with what.

    always: All photos; else those of which neither time with an element set nor nadir is known.
    """

    always: bool
    index: Path
    limits: BlindLimits = field(default_factory=BlindLimits)

    def found_anywhere(self) -> BlindOptions:
        """The same with an absolute path, for processes that work in another folder."""
        return replace(self, index=self.index.absolute())


def blind_options(
    mode: str, index: Path | None, bbox: str | None, mission: str | None, dated: bool = False
) -> BlindOptions | None:
    """The options out of the command line's texts; None for the mode ``never``.

    The other modes are ``always`` and ``auto``. For `bbox` and `mission` see `parse_bounds` and
    `regengine.registration.blind.station_history.mission_number`; `dated`: the mission is wanted
    for dates alone. Raises ConfigError if an option makes no sense, or the index is missing.
    """
    if mode not in ("always", "auto", "never"):
        raise ConfigError(f"--blind {mode!r} makes no sense: write --blind always or --blind auto.")
    if mode == "never":
        if index is not None or bbox is not None:
            raise ConfigError("--index and --bbox go with --blind: give that, too.")
        if mission is not None and not dated:
            raise ConfigError("--mission goes with --blind or --date-from-place: give one of them.")
        return None
    if index is None:
        raise ConfigError(
            "--blind needs the map's index: make it once with regengine lights index MAP --out "
            "earth.idx, and name it with --index."
        )
    limits = BlindLimits(
        bounds=None if bbox is None else parse_bounds(bbox),
        altitude_km=ANY_KM if mission is None else mission_heights_km(mission_number(mission)),
    )
    return BlindOptions(always=mode == "always", index=index, limits=limits)


def parse_bounds(text: str) -> tuple[float, float, float, float]:
    """West, south, east, north out of an option's text; east runs beyond 180 if need be."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west = south = east = north = float("nan")
    east += 360.0 if east < west else 0.0  # 170,-20,-170,10 crosses the antimeridian
    if not (west < east <= west + 360.0 and -90.0 <= south < north <= 90.0):
        raise ConfigError(f"--bbox {text} is no region: write WEST,SOUTH,EAST,NORTH in degrees.")
    return west, south, east, north


def earth_index(options: BlindOptions, maps: Sequence[Path]) -> EarthIndex:
    """The index, read once per process.

    Raises ConfigError if it cannot be used.
    """
    return _read(options.index, tuple(maps), options.limits.bounds)


@lru_cache(maxsize=2)
def _read(
    path: Path, maps: tuple[Path, ...], bounds: tuple[float, float, float, float] | None
) -> EarthIndex:
    from regengine.registration.blind.index import read_earth_index

    whole = read_earth_index(path, maps)
    return whole if bounds is None else whole.within(bounds)
