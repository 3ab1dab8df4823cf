"""Find the input files of an earlier run."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from regengine.errors import StoreError
from regengine.io.checksums import fingerprint


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """Input files of an earlier run that still exist unchanged.

    lost: Option and message for each file that is missing or has changed.
    """

    lights: tuple[Path, ...] = ()
    streets: tuple[Path, ...] = ()
    day: tuple[Path, ...] = ()
    tle: tuple[Path, ...] = ()
    metadata: Path | None = None
    lost: tuple[tuple[str, str], ...] = ()


def find_run_files(store: Path) -> RunFiles:
    """Find light maps, element sets and records of a run at the paths in its store, if unchanged.

    If frames of the store have different settings, the files of the first frame are returned, with
    the street and day maps of all. The result is empty if the store cannot be read or names no
    files.
    """
    import numpy as np

    from regengine.store.read import iter_blocks, read_frames_numbered
    from regengine.store.schema import select

    first: dict[bytes, int] = {}  # the first frame with each hash of settings
    try:
        for tables in iter_blocks(store, select("frames/frame", "provenance/parameters_sha256")):
            table = tables["provenance"]
            _, rows = np.unique(table["parameters_sha256"], return_index=True)
            for row in np.sort(rows):
                number = int(table["frame_index"][row])
                first.setdefault(bytes(table["parameters_sha256"][row]), number)
        made = [
            find_settings_files(one.parameters)
            for one in read_frames_numbered(store, first.values())
        ]
    except StoreError:
        return RunFiles()
    if not made:
        return RunFiles()
    return replace(
        made[0],
        streets=tuple(dict.fromkeys(path for files in made for path in files.streets)),
        day=tuple(dict.fromkeys(path for files in made for path in files.day)),
        lost=tuple(dict.fromkeys(lost for files in made for lost in files.lost)),
    )


@lru_cache(maxsize=64)
def find_settings_files(parameters: str) -> RunFiles:
    """Find the files that the settings of a stored result name, if they are unchanged."""
    try:
        known = json.loads(parameters)
        names = ("lights", "streets", "day", "tle", "metadata")
        entries = [(f"--{name}", entry) for name in names for entry in known.get(name) or []]
        found: dict[str, list[Path]] = {f"--{name}": [] for name in names}
        lost = []
        for option, entry in entries:
            path = Path(entry.get("path") or entry["name"])
            # Folders of element sets or map tiles may have grown since
            if path.is_dir() or (path.is_file() and fingerprint(path) == entry["fingerprint"]):
                found[option].append(path)
            else:
                lost.append(
                    (option, f"{path}, which this run used, was moved or changed: give {option}.")
                )
    except (ValueError, KeyError, TypeError, AttributeError):
        return RunFiles()
    return RunFiles(
        lights=tuple(found["--lights"]),
        streets=tuple(found["--streets"]),
        day=tuple(found["--day"]),
        tle=tuple(found["--tle"]),
        metadata=next(iter(found["--metadata"]), None),
        lost=tuple(lost),
    )
