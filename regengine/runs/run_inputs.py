"""What all photos of a run share, and the input files of an earlier run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regengine.errors import ConfigError, Option, StoreError
from regengine.io.checksums import fingerprint
from regengine.maps.index.earth import BlindOptions, load_earth_index
from regengine.photo.frame import FrameOptions
from regengine.registration.parameters import RegisterParams

if TYPE_CHECKING:
    from regengine.maps.reference import RasterMap
    from regengine.orbit.tle import TleSet
    from regengine.photo.records import FrameRecords


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """Input files of a run; of an earlier one those that still exist unchanged.

    lost: Option and message for each file that is missing or has changed.
    """

    lights: tuple[Path, ...] = ()
    streets: tuple[Path, ...] = ()  # street maps, for telephoto frames
    day: tuple[Path, ...] = ()  # pictures of the Earth by day, for photos by day
    tle: tuple[Path, ...] = ()  # files, or folders of files, of element sets
    metadata: Path | None = None  # table of frame records
    lost: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunInputs(RunFiles):
    """What all photos of a run share; pickles, so that workers can have it."""

    # Names that several photos have but for folder, ending and case: no row is told by them
    alike: frozenset[str] = frozenset()
    frame: FrameOptions = field(default_factory=FrameOptions)  # what options say of every photo
    register: RegisterParams = field(default_factory=RegisterParams)
    unfetched: str = ""  # why maps that photos need could not be fetched, and what to do
    overlays: Path | None = None  # folder for one picture per photo
    overlay_names_hashed: bool = False  # because photos have the same name
    neighbours: bool = True  # as asked; only photos with a nadir from their time do help
    stars: bool = True  # whether stars above a photo's limb may tell its attitude
    blind: BlindOptions = field(default_factory=BlindOptions)  # the search of the whole Earth

    def open(self) -> tuple[RasterMap, TleSet | None, FrameRecords | None]:
        """The map of lights, element sets and records, read once per process.

        MapError, EphemerisError or ConfigError if one of them cannot be used.
        """
        from regengine.maps.opening import day_map_of, light_map_of, street_maps_of
        from regengine.orbit.position import element_sets, frame_records

        needed = self.blind.index is not None or self.blind.mode == "always"
        if needed and load_earth_index(self.blind, self.lights) is None:
            raise ConfigError(
                Option("blind"),
                " needs an index of the map: make it once with regengine maps index MAP.",
            )
        light_map = light_map_of(self.lights)
        street_maps_of(self.streets)
        if self.day:
            day_map_of(self.day)
        tles = element_sets(self.tle) if self.tle else None
        records = None if self.metadata is None else frame_records(self.metadata, self.alike)
        return light_map, tles, records

    def found_anywhere(self) -> RunInputs:
        """The same with absolute paths, for processes that work in another folder."""
        index = self.blind.index
        given: dict[str, Any] = {
            name: tuple(path.absolute() for path in getattr(self, name))
            for name in ("lights", "streets", "day", "tle")
        }
        for name in ("metadata", "overlays"):
            path = getattr(self, name)
            given[name] = path and path.absolute()
        return replace(self, **given, blind=replace(self.blind, index=index and index.absolute()))


def find_run_files(store: Path) -> RunFiles:
    """Find light maps, element sets and records of a run at the paths in its store, if unchanged.

    If frames of the store have different settings, the files of the first frame are returned, with
    the street and day maps of all. The result is empty if the store cannot be read or names no
    files.
    """
    import numpy as np

    from regengine.store.read import iter_blocks, iter_frames
    from regengine.store.rows import select

    first: dict[bytes, int] = {}  # the first frame with each hash of settings
    try:
        for tables in iter_blocks(store, select("frames/frame", "provenance/parameters_sha256")):
            table = tables["provenance"]
            _, rows = np.unique(table["parameters_sha256"], return_index=True)
            for row in np.sort(rows):
                number = int(table["frame_index"][row])
                first.setdefault(bytes(table["parameters_sha256"][row]), number)
        made = [find_settings_files(one.parameters) for one in iter_frames(store, first.values())]
    except StoreError:
        return RunFiles()
    if not made:
        return RunFiles()
    of_all: dict[str, Any] = {
        name: tuple(dict.fromkeys(one for files in made for one in getattr(files, name)))
        for name in ("streets", "day", "lost")
    }
    return replace(made[0], **of_all)


@lru_cache(maxsize=64)
def find_settings_files(parameters: str) -> RunFiles:
    """Find the files that the settings of a stored result name, if they are unchanged."""
    try:
        known = json.loads(parameters)
        files: dict[str, tuple[Path, ...]] = {}
        lost = []
        for name in ("lights", "streets", "day", "tle", "metadata"):
            for entry in known.get(name) or []:
                path = Path(entry.get("path") or entry["name"])
                # Folders of element sets or map tiles may have grown since
                if path.is_dir() or (path.is_file() and fingerprint(path) == entry["fingerprint"]):
                    files[name] = (*files.get(name, ()), path)
                else:
                    text = f"{path}, which this run used, was moved or changed: give --{name}."
                    lost.append((f"--{name}", text))
    except (ValueError, KeyError, TypeError, AttributeError):
        return RunFiles()
    metadata = next(iter(files.pop("metadata", ())), None)
    return RunFiles(metadata=metadata, lost=tuple(lost), **files)
