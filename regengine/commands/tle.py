"""`regengine tle`: what a TLE file covers, where the ISS was at a time, files that are kept."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from regengine.commands.options import Json, parse_time
from regengine.io.console import say
from regengine.io.plain import format_count

app = typer.Typer(
    help="Download, keep and inspect TLE files; show the nadir at a time.\n\nExample: regengine "
    "tle info iss.txt --time 2012-03-28T15:46:41Z",
    no_args_is_help=True,
)
LISTED = 5


@app.command(no_args_is_help=True)
def add(
    files: Annotated[list[Path], typer.Argument(help="TLE files with any number of element sets.")],
) -> None:
    """Add TLE files to the data folder, where photos of their dates use them.

    \b
    Examples:
      regengine tle add iss.txt
    """
    from regengine.maps.at_hand import keep_element_sets
    from regengine.orbit.position import describe_element_sets
    from regengine.orbit.tle import load_tle_file
    from regengine.orbit.tle_format import describe_skipped

    sets = [load_tle_file(file) for file in files]  # all of them can be used, or none is kept
    for one in sets:
        kept = keep_element_sets(one.path.read_bytes(), one.path.name)
        facts = describe_element_sets(one)
        say(
            f"{kept}: {format_count(facts['element_sets'], 'element set')}, "
            f"{facts['first_epoch_utc']} to {facts['last_epoch_utc']}"
        )
        if one.skipped:
            say(f"Warning: {describe_skipped(one.path, one.skipped)}", err=True)


@app.command()
def get(
    time: Annotated[
        str | None, typer.Option(help="Element sets around this time (ISO 8601, UTC).  [now]")
    ] = None,
) -> None:
    """Download the ISS's latest element sets to the data folder; for past dates, say where to get
    them.

    CelesTrak provides the latest sets without an account, and allows one request every two hours.

    \b
    Examples:
      regengine tle get
      regengine tle get --time 2012-03-28T15:46:41Z
    """
    from regengine.maps.at_hand import keep_element_sets
    from regengine.orbit.position import describe_element_sets
    from regengine.orbit.tle import fetch_latest, load_tle_file

    latest = fetch_latest(None if time is None else parse_time(time))
    kept = keep_element_sets(latest, f"latest-{datetime.now(UTC):%Y-%m-%d}.txt")
    facts = describe_element_sets(load_tle_file(kept))
    sets = format_count(facts["element_sets"], "element set")
    say(f"{kept}: {sets} until {facts['last_epoch_utc']}")


@app.command(no_args_is_help=True)
def info(
    file: Annotated[Path, typer.Argument(help="TLE file with any number of element sets.")],
    time: Annotated[
        str | None,
        typer.Option(help="Also show the nadir at this time (ISO 8601; UTC if no zone is given)."),
    ] = None,
    satellite: Annotated[
        str | None, typer.Option(help="Catalogue number.  [the ISS (25544), or the only one]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the coverage of a TLE file and, with --time, the satellite's position and its
    uncertainty.

    \b
    Examples:
      regengine tle info iss.txt
      regengine tle info iss.txt --time 2012-03-28T15:46:41Z
      regengine tle info iss.txt --time 2012-03-28T15:46:41Z --json
    """
    from regengine.orbit.position import describe_element_sets, describe_position
    from regengine.orbit.tle import load_tle_file

    when = None if time is None else parse_time(time)
    tles = load_tle_file(file, satellite=satellite)
    facts = describe_element_sets(tles)
    if when is not None:
        facts["at"] = describe_position(tles, when)
    say(*([json.dumps(facts)] if as_json else table(facts)))


def table(facts: dict[str, Any]) -> list[str]:
    """The same facts as lines for a person, by the same names; of lists the first few."""
    lines = []
    for name, value in facts.items():
        if name == "at":
            lines += table(value)
            continue
        values = [len(value), *value[:LISTED]] if isinstance(value, list) else [value]
        for k, fact in enumerate(values):
            if isinstance(fact, dict) and "reason" in fact:
                fact = fact["reason"]
            elif isinstance(fact, dict):
                fact = ", ".join(f"{key} {one}" for key, one in fact.items())
            lines.append(f"{'' if k else name:<20}{fact}")
    return lines
