"""``regengine doctor``: what registering needs, whether it is there, and what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.commands.options import EXIT_FRAMES_FAILED, Json
from regengine.errors import RegengineError, describe_exception
from regengine.io.console import print_data, say
from regengine.io.extras import is_import_failure, make_import_error
from regengine.io.plain import format_command, format_count

if TYPE_CHECKING:
    from regengine.maps.lights import KindName

# A pixel of the package's photo, and its place by a map that the package does not bring
PIXEL, PLACE = (234.3, 155.8), (139.6013, 35.1874)
NEAR_DEG = 0.05


def main(
    lights: Annotated[
        list[Path] | None, typer.Option(help="Check these maps instead of the available ones.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check Python, OpenCV, maps, index and element sets, and place a photo, one line each.

    Says how to get what is missing. Changes nothing and does not use the network. Exits with 1 if
    photos cannot be registered.

    \b
    Examples: regengine doctor
              regengine doctor --json
    """
    maps = lights or []
    checks: dict[str, Callable[[], tuple[str, str]]] = {
        "Python": lambda: (f"{sys.version.split()[0]}, {sys.executable}", ""),
        # Fails where the system's libraries for it are missing
        "OpenCV": lambda: (import_module("cv2").__version__, ""),
        "lights": lambda: _maps("lights", maps),
        "day": lambda: _maps("day"),
        "streets": lambda: _maps("streets"),
        "index": lambda: _index(maps),
        "element sets": _element_sets,
        "photo": _photo,
    }
    findings = []  # of each what was found, and what would be better
    for what, check in checks.items():
        try:
            findings.append((what, *check(), True))
        except Exception as error:
            if is_import_failure(error):
                error = make_import_error(what, error)
            unexpected = f"unexpected error ({describe_exception(error)}): please report it"
            why = str(error) if isinstance(error, RegengineError) else unexpected
            findings.append((what, "not usable", why, False))
    if as_json:
        names = ("what", "found", "fix", "ok")
        print_data(json.dumps([dict(zip(names, one, strict=True)) for one in findings]))
    else:
        for what, found, fix, ok in findings:
            mark = "!!" if not ok else "--" if fix else "ok"
            say(f"{mark}  {what:<13}{found}" + (f": {fix}" if fix else ""))
    if not all(ok for *_, ok in findings):
        raise typer.Exit(EXIT_FRAMES_FAILED)


def _maps(kind: KindName, given: Sequence[Path] = ()) -> tuple[str, str]:
    from regengine.maps.at_hand import DAY, check_packaged, choose_maps
    from regengine.maps.opening import open_references

    found = []
    for one in open_references(kind, choose_maps(kind, given)):
        if one.path == DAY:  # not read before a photo by day asks
            check_packaged(DAY)
        west, south, east, north = one.grid.bounds
        extent = f"{west:.0f} to {east:.0f} east, {south:.0f} to {north:.0f} north"
        found.append(f"{one.title}, {extent} ({_whence(one.path)})")
    if found:
        return "; ".join(found), ""
    return "none", "telephoto frames of cities need them: regengine maps get PLACE --kind streets"


def _whence(path: Path) -> str:
    from regengine.maps.at_hand import FOLDER

    return "packaged" if path.parent == FOLDER else str(path)


def _index(lights: list[Path]) -> tuple[str, str]:
    from regengine.maps.at_hand import choose_maps
    from regengine.maps.index.earth import BlindOptions, index_beside, index_file, read_earth_index

    maps = choose_maps("lights", lights)
    index = index_file(BlindOptions(), maps)
    if index is None:
        why = "to place photos without time or element sets"
        return "none", f"{format_command('maps', 'index', maps[0])}, {why}"
    earth = read_earth_index(index, [one for one in maps if index_beside(one) == index])
    count = max(len(earth[size_km].vectors) for size_km in earth.sizes_km)
    return f"{format_count(count, 'light')} ({_whence(index)})", ""


def _element_sets() -> tuple[str, str]:
    from regengine.maps.at_hand import choose_element_sets
    from regengine.orbit.position import element_sets
    from regengine.orbit.rotation import utc_of

    files = choose_element_sets()
    sets = element_sets(files)
    first, last = (f"{utc_of(sets.epoch_days[row]):%Y-%m-%d}" for row in (0, -1))
    where = ", ".join(map(_whence, files))
    return f"{len(sets):,} of satellite {sets.satellite}, {first} to {last} ({where})", ""


def _photo() -> tuple[str, str]:
    """Place the package's photo, with the maps and element sets at hand, and check where it is."""
    from regengine.api import register
    from regengine.maps.at_hand import PHOTO, check_packaged

    found = register(check_packaged(PHOTO))
    is_right = False
    if found.camera is not None:
        lon, lat = found.camera.pixel_to_lonlat(*PIXEL)
        is_right = bool(abs(lon - PLACE[0]) < NEAR_DEG and abs(lat - PLACE[1]) < NEAR_DEG)
    if found.verdict != "accepted" or not is_right:
        why = "; ".join([found.verdict, *(reason.text for reason in found.reasons)])
        raise RegengineError(
            f"{PHOTO.name} is not placed where it was taken ({why}): install regengine again in a "
            "fresh environment, and report it if that does not help"
        )
    return f"{PHOTO.stem} is placed, probability {found.probability:.3f} ({_whence(PHOTO)})", ""
