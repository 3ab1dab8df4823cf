"""What all photos of a run share; made before anything is loaded that only their work needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.errors import ConfigError
from regengine.maps.index.earth import BlindOptions, load_earth_index
from regengine.photo.frame import FrameOptions
from regengine.registration.parameters import RegisterParams

if TYPE_CHECKING:
    from regengine.maps.reference import LightMap
    from regengine.orbit.tle import TleSet
    from regengine.photo.records import FrameRecords


@dataclass(frozen=True, kw_only=True)
class RunInputs:
    """What all photos of a run share; pickles, so that workers can have it."""

    lights: tuple[Path, ...]
    streets: tuple[Path, ...] = ()  # street maps, for telephoto frames
    day: tuple[Path, ...] = ()  # pictures of the Earth by day, for photos by day
    tle: tuple[Path, ...] = ()  # files, or folders of files, of element sets
    metadata: Path | None = None  # table of frame records
    frame: FrameOptions = field(default_factory=FrameOptions)  # what options say of every photo
    register: RegisterParams = field(default_factory=RegisterParams)
    overlays: Path | None = None  # folder for one picture per photo
    overlay_names_hashed: bool = False  # because photos have the same name
    neighbours: bool = True  # whether photos of a batch may help each other
    stars: bool = True  # whether stars above a photo's limb may tell its attitude
    blind: BlindOptions = field(default_factory=BlindOptions)  # the search of the whole Earth

    def open(self) -> tuple[LightMap, TleSet | None, FrameRecords | None]:
        """The map of lights, element sets and records, read once per process.

        LightMapError, EphemerisError or ConfigError if one of them cannot be used.
        """
        from regengine.maps.opening import day_map_of, light_map_of, street_maps_of
        from regengine.orbit.position import element_sets, frame_records

        needed = self.blind.index is not None or self.blind.mode == "always"
        if needed and load_earth_index(self.blind, self.lights) is None:
            raise ConfigError(
                "--blind needs an index of the map: make it once with regengine maps index MAP."
            )
        light_map = light_map_of(self.lights)
        street_maps_of(self.streets)
        if self.day:
            day_map_of(self.day)
        tles = element_sets(self.tle) if self.tle else None
        records = None if self.metadata is None else frame_records(self.metadata)
        return light_map, tles, records

    def found_anywhere(self) -> RunInputs:
        """The same with absolute paths, for processes that work in another folder."""
        index = self.blind.index
        return replace(
            self,
            lights=tuple(path.absolute() for path in self.lights),
            streets=tuple(path.absolute() for path in self.streets),
            day=tuple(path.absolute() for path in self.day),
            tle=tuple(path.absolute() for path in self.tle),
            metadata=None if self.metadata is None else self.metadata.absolute(),
            overlays=None if self.overlays is None else self.overlays.absolute(),
            blind=replace(self.blind, index=index and index.absolute()),
        )
