"""``regengine doctor``: what registering needs, whether it is there, and the mend."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from regengine.batch.console import say
from regengine.commands.options import EXIT_FRAMES_FAILED, JsonLine
from regengine.errors import RegengineError

OLDEST_PYTHON = (3, 11)
LEAST_FREE_MB = 2_000
FOR_DEVELOPERS = {"dev", "docs"}  # extras that no user misses


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one thing, and the mend where there is one; ``ok`` unless it stops work."""

    what: str
    found: str
    mend: str = ""
    ok: bool = True


def main(
    lights: Annotated[
        list[Path] | None,
        typer.Option(help="Look at these maps instead of those of the data folder."),
    ] = None,
    as_json: JsonLine = False,
) -> None:
    """Check Python, libraries, map, index, element sets, disk and cores: a line each.

    Says what to do about what is missing. Nothing is changed, nothing is asked of the network.
    Exits with 1 where photos cannot be registered as it is.

    \b
    Examples: regengine doctor
              regengine doctor --json
    """
    findings = list(examined(lights or []))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in findings]))
    else:
        for one in findings:
            mark = "ok" if one.ok and not one.mend else "--" if one.ok else "!!"
            tail = f": {one.mend}" if one.mend else ""
            say(f"{mark}  {one.what:<13}{one.found}{tail}")
    if not all(one.ok for one in findings):
        raise typer.Exit(EXIT_FRAMES_FAILED)


def examined(lights: list[Path]) -> Iterator[Finding]:
    """All that is looked at, in order; what cannot be examined says why in its sentence."""
    checks: list[tuple[str, Callable[[], Finding]]] = [
        ("Python", _python),
        ("libraries", _libraries),
        ("extras", _extras),
        ("map", lambda: _map(lights)),
        ("index", lambda: _index(lights)),
        ("element sets", _element_sets),
        ("free disk", _disk),
        ("cores", _cores),
    ]
    has_map = True
    for what, check in checks:
        if what == "index" and not has_map:
            continue
        try:
            yield check()
        except (RegengineError, ImportError) as error:
            yield Finding(what=what, found="not usable", mend=str(error), ok=False)
            has_map &= what != "map"


def _python() -> Finding:
    found = f"{sys.version.split()[0]}, {sys.executable}"
    fine = sys.version_info[:2] >= OLDEST_PYTHON
    return Finding(
        what="Python", found=found, mend="" if fine else "install Python 3.11 or newer", ok=fine
    )


def _requirements(extra: str | None) -> list[str]:
    """Names of the packages of the core, or of an extra."""
    names = []
    for line in metadata.requires("regengine") or []:
        requirement, _, marker = line.partition(";")
        of = re.search(r"extra == ['\"]([^'\"]+)", marker)
        if (of[1] if of else None) == extra:
            names.append(re.split(r"[^A-Za-z0-9._-]", requirement.strip())[0])
    return names


def _missing(names: list[str]) -> list[str]:
    """The packages that are not installed."""
    missing = []
    for name in names:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            # OpenCV has the same modules under several names
            if not (name.startswith("opencv") and _has_opencv()):
                missing.append(name)
    return missing


def _has_opencv() -> bool:
    """Whether OpenCV can be imported, by whichever of its packages it came."""
    import importlib.util

    return importlib.util.find_spec("cv2") is not None


def _libraries() -> Finding:
    import cv2  # noqa: F401 - fails where the system's libraries for it are missing

    wanted = _requirements(None)
    missing = _missing(wanted)
    return Finding(
        what="libraries",
        found=f"{len(wanted) - len(missing)} of {len(wanted)}",
        mend=f"pip install {' '.join(missing)}" if missing else "",
        ok=not missing,
    )


def _extras() -> Finding:
    extras = metadata.metadata("regengine").get_all("Provides-Extra") or []
    extras = sorted(set(extras) - FOR_DEVELOPERS)
    lacking = [name for name in extras if _missing(_requirements(name))]
    there = sorted(set(extras) - set(lacking))
    return Finding(
        what="extras",
        found=", ".join(there) or "none",
        mend=f'pip install "regengine[{",".join(lacking)}]" for the others' if lacking else "",
    )


def _map(lights: list[Path]) -> Finding:
    from regengine.batch.at_hand import chosen_maps
    from regengine.lights.map import open_light_map

    info = open_light_map(chosen_maps(lights)).info
    west, south, east, north = info.bounds
    return Finding(
        what="map",
        found=f"{info.description}, {west:.0f} to {east:.0f} east, {south:.0f} to {north:.0f} "
        f"north ({', '.join(str(path) for path in info.paths[:3])})",
    )


def _index(lights: list[Path]) -> Finding:
    from regengine.batch.at_hand import chosen_maps
    from regengine.registration.index.earth import read_earth_index
    from regengine.registration.index.options import BlindOptions, index_beside, index_file

    maps = chosen_maps(lights)
    index = index_file(BlindOptions(), maps)
    if index is None:
        return Finding(
            what="index",
            found="none",
            mend=f"regengine lights index {maps[0]}, to find photos without time or element sets",
        )
    levels = read_earth_index(index, [one for one in maps if index_beside(one) == index]).levels
    towns = max(len(level.vectors) for level in levels.values())
    return Finding(what="index", found=f"{towns:,} towns ({index})")


def _element_sets() -> Finding:
    from regengine.batch.at_hand import element_sets_at_hand
    from regengine.orbit.rotation import utc_of
    from regengine.orbit.tle import load_tle_file

    folder = element_sets_at_hand()
    if folder is None:
        return Finding(
            what="element sets",
            found="none, photos are found by their lights alone",
            mend="regengine tle add FILE makes that quicker and surer",
        )
    sets = load_tle_file(folder)
    first, last = (f"{utc_of(sets.epoch_days[row]):%Y-%m-%d}" for row in (0, -1))
    return Finding(
        what="element sets",
        found=f"{len(sets):,} of satellite {sets.satellite}, {first} to {last} ({folder})",
    )


def _disk() -> Finding:
    from regengine.io.folders import data_folder

    folder = data_folder().absolute()
    while not folder.is_dir():
        folder = folder.parent
    free_mb = shutil.disk_usage(folder).free / 1e6
    return Finding(
        what="free disk",
        found=f"{free_mb:,.0f} MB ({folder})",
        mend="" if free_mb >= LEAST_FREE_MB else "make room before regengine lights get",
    )


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(what="cores", found=f"{cores}: regengine register --workers {cores} uses them")
