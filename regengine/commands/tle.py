"""`regengine tle`: what a TLE file covers, where the ISS was at a time, files that are kept."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regengine.batch.console import say
from regengine.commands.options import Json, parse_time
from regengine.io.plain import counted

if TYPE_CHECKING:
    from regengine.orbit.tle import TleSet

app = typer.Typer(
    help="Keep and inspect TLE files: their coverage, and the nadir at a time.\n\n"
    "Example: regengine tle info iss.txt --time 2012-03-28T15:46:41Z",
    no_args_is_help=True,
)
GAP_DAYS = 10.0  # further than that from an epoch, only the orbit's plane is known
LISTED = 5
SIGMAS = ("sigma_along_km", "sigma_cross_km", "sigma_radial_km")
ANGLES = ("sun_elevation_deg", "sun_azimuth_deg", "moon_elevation_deg", "moon_azimuth_deg")


@app.command(no_args_is_help=True)
def add(
    files: Annotated[list[Path], typer.Argument(help="TLE files with any number of element sets.")],
) -> None:
    """Keep TLE files in the data folder, where every photo finds the sets around its date.

    \b
    Examples:
      regengine tle add iss.txt
    """
    from regengine.batch.at_hand import keep_element_sets
    from regengine.orbit.tle import load_tle_file

    sets = [load_tle_file(file) for file in files]  # all of them can be used, or none is kept
    for one in sets:
        kept = keep_element_sets(one.path.read_bytes(), one.path.name)
        facts = coverage(one)
        say(
            f"{kept}: {counted(facts['element_sets'], 'element set')}, "
            f"{facts['first_epoch_utc']} to {facts['last_epoch_utc']}"
        )


@app.command()
def get(
    around: Annotated[
        str | None, typer.Option(help="Sets around this time (ISO 8601, UTC); now without it.")
    ] = None,
) -> None:
    """Get the ISS's latest element sets into the data folder; of the past, say where they are.

    CelesTrak gives the latest sets without an account, and asks not to be asked more often than
    every two hours.

    \b
    Examples:
      regengine tle get
      regengine tle get --around 2012-03-28T15:46:41Z
    """
    from datetime import UTC

    from regengine.batch.at_hand import keep_element_sets
    from regengine.orbit.fetch import check_reach, fetch_latest
    from regengine.orbit.tle import load_tle_file

    if around is not None:
        check_reach(parse_time(around))
    kept = keep_element_sets(fetch_latest(), f"latest-{datetime.now(UTC):%Y-%m-%d}.txt")
    facts = coverage(load_tle_file(kept))
    sets = counted(facts["element_sets"], "element set")
    say(f"{kept}: {sets} until {facts['last_epoch_utc']}")


@app.command(no_args_is_help=True)
def info(
    file: Annotated[Path, typer.Argument(help="TLE file with any number of element sets.")],
    time: Annotated[
        str | None,
        typer.Option(help="Also show the nadir at this time (ISO 8601; UTC unless it says else)."),
    ] = None,
    satellite: Annotated[
        str | None,
        typer.Option(help="Catalogue number; without it the ISS (25544), or the only one."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a TLE file covers and, with --time, where the satellite was and how surely.

    \b
    Examples:
      regengine tle info iss.txt
      regengine tle info iss.txt --time 2012-03-28T15:46:41Z
      regengine tle info iss.txt --time 2012-03-28T15:46:41Z --json
    """
    when = None if time is None else parse_time(time)
    from regengine.orbit.tle import load_tle_file

    tles = load_tle_file(file, satellite=satellite)
    facts = coverage(tles)
    if when is not None:
        facts["at"] = situation(tles, when)
    say(*([json.dumps(facts)] if as_json else table(facts)))


def coverage(tles: TleSet) -> dict[str, Any]:
    """What a file holds, ready for JSON."""
    import numpy as np

    from regengine.orbit.rotation import utc_of

    days = tles.epoch_days
    gaps = [
        {
            "from_utc": stamp(utc_of(days[row])),
            "to_utc": stamp(utc_of(days[row + 1])),
            "days": round(float(days[row + 1] - days[row]), 1),
        }
        for row in np.flatnonzero(np.diff(days) > GAP_DAYS)
    ]
    return {
        "file": str(tles.path),
        "satellite": tles.satellite,
        "name": tles[len(tles) - 1].name,
        "element_sets": len(tles),
        "first_epoch_utc": stamp(utc_of(days[0])),
        "last_epoch_utc": stamp(utc_of(days[-1])),
        "gaps": gaps,
        "skipped": [{"line": one.line_number, "reason": one.reason} for one in tles.skipped],
        "other_satellites": list(tles.other_satellites),
    }


def situation(tles: TleSet, time: datetime) -> dict[str, Any]:
    """Where the satellite was at a time, how well that is known, and what light there was."""
    from regengine.orbit.propagation import position_from_elements
    from regengine.orbit.sun_moon import sun_moon

    chosen, passed_over = tles.choose(time)
    position = position_from_elements(chosen, time)
    light = sun_moon(time, position.lon, position.lat)
    assert position.velocity_ecef_m_s is not None
    return {
        "time_utc": stamp(time),
        "epoch_utc": stamp(chosen.epoch_utc),
        "line": chosen.line_number,
        "tle_age_h": round(chosen.age_h(time), 2),
        "nadir": {
            "lon": round(position.lon, 4),
            "lat": round(position.lat, 4),
            "altitude_km": round(position.altitude_km, 2),
        },
        "direction": "ascending" if position.velocity_ecef_m_s[2] > 0.0 else "descending",
        **{name: round(getattr(position, name), 2) for name in SIGMAS},
        **{name: round(getattr(light, name), 2) for name in ANGLES},
        "moon_illumination": round(light.moon_illumination, 3),
        "passed_over": [{"line": one.line_number, "reason": one.reason} for one in passed_over],
    }


def stamp(time: datetime) -> str:
    """A time as the records write it."""
    precision = "milliseconds" if time.microsecond else "seconds"
    return time.isoformat(timespec=precision).replace("+00:00", "Z")


def table(facts: dict[str, Any]) -> list[str]:
    """The same facts as lines for a person, by the same names; of lists the first few."""
    lines = []
    for name, value in facts.items():
        if name == "at":
            lines += table(value)
            continue
        many = value if isinstance(value, list) else []
        lines.append(f"{name:<20}{len(many) if isinstance(value, list) else words(value)}")
        lines += [f"{'':<20}{words(one)}" for one in many[:LISTED]]
    return lines


def words(fact: Any) -> str:
    """A fact in one line."""
    if not isinstance(fact, dict):
        return str(fact)
    if "reason" in fact:
        return str(fact["reason"])
    return ", ".join(f"{name} {value}" for name, value in fact.items())
