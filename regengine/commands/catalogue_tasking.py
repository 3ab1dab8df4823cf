"""``regengine catalogue tasking``: what to photograph in the days to come."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regengine.batch.console import print_data, say
from regengine.commands.lazy import STANDARD_OUTPUT
from regengine.commands.options import ElementSets, Force, Json, Quiet, text_out
from regengine.io.plain import format_count
from regengine.io.times import iso_utc

if TYPE_CHECKING:
    from regengine.collection.tasking.plan import Plan


def tasking(
    out: Annotated[
        Path,
        typer.Option(help="Plan to write: .csv, .geojson or .json; - prints CSV."),
    ],
    catalogue: Annotated[
        Path | None,
        typer.Argument(help="Catalogue of what exists; without it all places count as missing."),
    ] = None,
    tle: ElementSets = None,
    places: Annotated[
        Path | None,
        typer.Option(help="List of places (CSV: name, lon, lat, priority) instead of cities."),
    ] = None,
    min_population: Annotated[
        int, typer.Option(min=5000, help="Minimum population of cities (GeoNames).")
    ] = 500_000,
    good_quality: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Minimum quality of a good frame."),
    ] = 0.5,
    good_off_nadir_deg: Annotated[
        float,
        typer.Option(
            min=1.0,
            max=90.0,
            help="Maximum off-nadir angle at which a frame counts as showing the place.",
        ),
    ] = 45.0,
    good_age_days: Annotated[
        float | None, typer.Option(min=1.0, help="Oldest frame that counts.  [no limit]")
    ] = None,
    time: Annotated[
        str | None, typer.Option(help="Start of the plan, ISO 8601, UTC.  [now]")
    ] = None,
    days: Annotated[float, typer.Option(min=0.01, max=60.0, help="Length of the plan.")] = 7.0,
    max_off_nadir_deg: Annotated[
        float, typer.Option(min=1.0, max=90.0, help="Maximum off-nadir angle of a pass.")
    ] = 45.0,
    max_sun_deg: Annotated[
        float, typer.Option(min=-90.0, max=90.0, help="Highest elevation of the Sun at the place.")
    ] = -12.0,
    max_moon_deg: Annotated[
        float | None,
        typer.Option(
            min=-90.0, max=90.0, help="Highest elevation of the Moon at the place.  [no limit]"
        ),
    ] = None,
    max_sigma_s: Annotated[
        float,
        typer.Option(
            min=0.1,
            help="Largest uncertainty of a pass time, 1 sigma; it grows with the age of the TLE.",
        ),
    ] = 180.0,
    passes: Annotated[
        int, typer.Option(min=1, help="Passes per place, smallest off-nadir angle first.")
    ] = 3,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List places without a good frame, with their next night passes.

    \b
    Examples:
      regengine catalogue tasking archive.parquet --out plan.csv
      regengine catalogue tasking --places sites.csv --tle iss.txt --days 3 --out plan.geojson
    """
    from datetime import timedelta

    from regengine.batch.at_hand import choose_element_sets
    from regengine.collection.tasking.plan import (
        ENDINGS,
        Good,
        PassLimits,
        find_best_frames,
        plan_passes,
        select_wanted_places,
        write_plan,
    )
    from regengine.collection.tasking.targets import list_city_targets, read_listed_targets
    from regengine.errors import ConfigError
    from regengine.io.atomic import check_new_file, replace_files
    from regengine.io.extras import need
    from regengine.io.times import parse_iso_time
    from regengine.orbit.position import element_sets

    need("A plan", "pandas")
    if out != STANDARD_OUTPUT:
        check_new_file(out, ENDINGS, force=force)
    elif as_json:
        raise ConfigError("--out - and --json both write to standard output: give one.")
    begin = datetime.now(UTC) if time is None else parse_iso_time(time, day_is_midnight=True)
    if begin is None:
        raise ConfigError(f"--time {time} is not a valid time, such as 2026-05-01T12:00:00Z.")
    tles = element_sets(choose_element_sets(tle))
    targets = (
        read_listed_targets(places) if places is not None else list_city_targets(min_population)
    )
    good = Good(
        least_quality=good_quality,
        max_off_nadir_deg=good_off_nadir_deg,
        max_age=None if good_age_days is None else timedelta(days=good_age_days),
    )
    best = None
    if catalogue is not None:
        from regengine.collection.catalogue.query import Catalogue

        with Catalogue(catalogue) as archive:
            best = find_best_frames(archive, targets, good, begin)
    limits = PassLimits(
        max_off_nadir_deg=max_off_nadir_deg,
        max_sun_deg=max_sun_deg,
        max_moon_deg=max_moon_deg,
        max_sigma_s=max_sigma_s,
        most=passes,
    )
    plan = plan_passes(select_wanted_places(targets, best), tles, begin, days, limits)
    with text_out(out, ".csv") as file, replace_files((file,)) as (temporary,):
        write_plan(plan, temporary)
    _tell(plan, len(targets), out, as_json=as_json, quiet=quiet)


def _tell(plan: Plan, places: int, out: Path, *, as_json: bool, quiet: bool) -> None:
    element_set, passes = plan.element_set, plan.passes
    worst = float(passes["sigma_time_s"].max()) if len(passes) else None
    reached = passes["place"].nunique()
    if as_json:
        said = {
            "out": str(out),
            "places": places,
            "wanted": len(plan.wanted),
            "without_any_frame": int(plan.wanted["frame"].isna().sum()),
            "with_passes": reached,
            "passes": len(passes),
            "too_uncertain": plan.uncertain,
            "tle_epoch_utc": iso_utc(element_set.epoch_utc, "seconds"),
            "worst_sigma_time_s": None if worst is None else round(worst, 1),
        }
        print_data(json.dumps(said))
    if quiet:
        return
    if plan.uncertain:
        say(
            f"Warning: {format_count(plan.uncertain, 'pass is', 'passes are')} left out: the "
            f"element set of {element_set.epoch_utc:%Y-%m-%d} is too old to predict the times; "
            "use a newer one.",
            err=True,
        )
    known = "" if worst is None else f", times uncertain by {worst:.0f} s at most"
    say(
        f"{out}: {format_count(len(passes), 'pass', 'passes')} of "
        f"{format_count(reached, 'place')}{known}; {len(plan.wanted):,} of "
        f"{format_count(places, 'place')} without a good frame",
        err=True,
    )
