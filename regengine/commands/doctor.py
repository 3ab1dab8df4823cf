"""``regengine doctor``: what registering needs, whether it is there, and what to do about it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.batch.console import print_data, say
from regengine.commands.options import EXIT_FRAMES_FAILED, Json
from regengine.errors import RegengineError
from regengine.io.plain import format_count

if TYPE_CHECKING:
    from regengine.references.kinds import KindName

MIN_FREE_MB = 2_000


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one thing, and what would be better; ``ok`` unless it stops work."""

    what: str
    found: str
    fix: str = ""
    ok: bool = True


def main(
    lights: Annotated[
        list[Path] | None,
        typer.Option(help="Check these maps instead of the available ones."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check Python, OpenCV, maps, index, element sets, disk and cores, one line each.

    Says how to get what is missing. Changes nothing and does not use the network. Exits with 1 if
    photos cannot be registered.

    \b
    Examples: regengine doctor
              regengine doctor --json
    """
    findings = list(examine(lights or []))
    if as_json:
        print_data(json.dumps([asdict(one) for one in findings]))
    else:
        for one in findings:
            mark = "ok" if one.ok and not one.fix else "--" if one.ok else "!!"
            tail = f": {one.fix}" if one.fix else ""
            say(f"{mark}  {one.what:<13}{one.found}{tail}")
    if not all(one.ok for one in findings):
        raise typer.Exit(EXIT_FRAMES_FAILED)


def examine(lights: list[Path]) -> Iterator[Finding]:
    """All that is looked at, in order; what cannot be examined says why in its sentence."""
    checks: dict[str, Callable[[], tuple[str, str]]] = {
        "Python": lambda: (f"{sys.version.split()[0]}, {sys.executable}", ""),
        "OpenCV": _opencv,
        "lights": lambda: _maps("lights", lights),
        "day": lambda: _maps("day"),
        "streets": lambda: _maps("streets"),
        "index": lambda: _index(lights),
        "element sets": _element_sets,
        "free disk": _disk,
        "cores": _cores,
    }
    for what, check in checks.items():
        try:
            found, fix = check()
            yield Finding(what=what, found=found, fix=fix)
        except (RegengineError, ImportError) as error:
            yield Finding(what=what, found="not usable", fix=str(error), ok=False)


def _opencv() -> tuple[str, str]:
    import cv2  # fails where the system's libraries for it are missing

    return cv2.__version__, ""


def _maps(kind: KindName, given: Sequence[Path] = ()) -> tuple[str, str]:
    from regengine.batch.at_hand import choose_maps
    from regengine.references.opening import open_references

    found = [
        f"{one.title}, {west:.0f} to {east:.0f} east, {south:.0f} to {north:.0f} north "
        f"({_whence(one.path)})"
        for one in open_references(kind, choose_maps(kind, given))
        for west, south, east, north in [one.grid.bounds]
    ]
    fix = "" if found else "telephoto frames of cities need them: regengine streets get PLACE"
    return "; ".join(found) or "none", fix


def _whence(path: Path) -> str:
    """Say where a file is, or that the package brings it."""
    from regengine.data import FOLDER

    return "packaged" if path.parent == FOLDER else str(path)


def _index(lights: list[Path]) -> tuple[str, str]:
    from regengine.batch.at_hand import choose_maps
    from regengine.registration.index.earth import read_earth_index
    from regengine.registration.index.options import BlindOptions, index_beside, index_file

    maps = choose_maps("lights", lights)
    index = index_file(BlindOptions(), maps)
    if index is None:
        why = "to place photos without time or element sets"
        return "none", f"regengine lights index {maps[0]}, {why}"
    earth = read_earth_index(index, [one for one in maps if index_beside(one) == index])
    count = max(len(earth[size_km].vectors) for size_km in earth.sizes_km)
    return f"{format_count(count, 'light')} ({_whence(index)})", ""


def _element_sets() -> tuple[str, str]:
    from regengine.batch.at_hand import choose_element_sets
    from regengine.orbit.position import element_sets
    from regengine.orbit.rotation import utc_of

    files = choose_element_sets()
    sets = element_sets(files)
    first, last = (f"{utc_of(sets.epoch_days[row]):%Y-%m-%d}" for row in (0, -1))
    where = ", ".join(map(_whence, files))
    return f"{len(sets):,} of satellite {sets.satellite}, {first} to {last} ({where})", ""


def _disk() -> tuple[str, str]:
    from regengine.io.folders import data_folder

    folder = data_folder().absolute()
    while not folder.is_dir():
        folder = folder.parent
    free_mb = shutil.disk_usage(folder).free / 1e6
    fix = "" if free_mb >= MIN_FREE_MB else "free some space before regengine lights get"
    return f"{free_mb:,.0f} MB ({folder})", fix


def _cores() -> tuple[str, str]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores}: regengine register --workers {cores} uses them", ""
