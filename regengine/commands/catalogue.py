"""``regengine catalogue``: frames of many stores by place, quality and date."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from regengine.commands import options as common
from regengine.commands.lazy import STANDARD_OUTPUT
from regengine.errors import ConfigError, FrameError
from regengine.io.console import print_data, say, show_progress
from regengine.io.plain import format_count
from regengine.io.times import iso_utc, parse_iso_time

if TYPE_CHECKING:
    from regengine.studies.tasking.plan import Plan


File = Annotated[Path, typer.Argument(help="Catalogue of regengine catalogue build.")]
ENDINGS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".txt": "table"}

app = typer.Typer(
    help="Find frames of many stores by place, quality and date.\n\n"
    "Example: regengine catalogue build run1.h5 run2.h5 --out archive.gpkg",
    no_args_is_help=True,
)


@app.command(no_args_is_help=True)
def build(
    stores: Annotated[list[Path], typer.Argument(help="Stores of runs, such as run.h5.")],
    out: Annotated[Path, typer.Option(help="File to write: .gpkg.", show_default=False)],
    pictures: Annotated[
        bool,
        typer.Option(help="Measure sharpness and clouds in the photos that exist."),
    ] = True,
    lights: Annotated[
        list[Path] | None,
        typer.Option(help="Night-light maps, to estimate clouds from hidden lights."),
    ] = None,
    force: common.Force = False,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Build a catalogue: one row per photo of all stores, by place and time.

    \b
    Examples: regengine catalogue build run1.h5 run2.h5 --out archive.gpkg
              regengine catalogue build run.h5 --out archive.gpkg --lights earth.tif
              regengine catalogue build run.h5 --out archive.gpkg --no-pictures
    """
    from regengine.frames.catalogue import build as build_catalogue
    from regengine.frames.quality import look
    from regengine.frames.select import choose
    from regengine.io.atomic import check_new_file
    from regengine.maps.opening import open_light_map
    from regengine.store.result import STATES

    check_new_file(out, (".gpkg",), force=force)
    if lights and not pictures:
        raise ConfigError("--lights needs the photos: leave out --no-pictures.")
    light_map = open_light_map(lights) if lights else None
    twice = [store for store, n in Counter(map(Path.resolve, stores)).items() if n > 1]
    if twice:
        raise ConfigError(f"{twice[0]} is named twice: name each store once.")
    chosen = [choose(store, verdicts=STATES) for store in stores]
    total = sum(len(one.numbers) for one in chosen)

    with show_progress(total, quiet=quiet, doing="cataloguing") as advance:
        built = build_catalogue(
            chosen,
            out,
            look=lambda frame: look(frame, light_map) if pictures else {},
            advance=advance,
        )
    if as_json:
        print_data(json.dumps({"out": str(out), **built}))
    if not quiet:
        counts = [format_count(built["frames"], "photo")]
        if built["copies"]:
            counts.append(f"{format_count(built['copies'], 'more copy', 'more copies')} of photos")
        counts += [format_count(built["places"], "place"), format_count(built["nights"], "night")]
        say(f"{out}: {', '.join(counts)}", err=True)


# Of `query`
Asked = Annotated[
    str,
    typer.Argument(
        metavar="VIEW|SQL",
        help="places, best, coverage or changes; or one SELECT on the table frames.",
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        help="coverage: one row per country, month or lens.  [one in all]  changes: the best frame "
        "of each year or month.  [year]"
    ),
]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="table, csv or json (one object per line).  [by the ending of --out, else table]",
    ),
]


@app.command(no_args_is_help=True)
def query(
    catalogue: File,
    query: Asked,
    place: Annotated[
        str | None,
        typer.Option(help="Only photos that show this town, or this place number."),
    ] = None,
    country: Annotated[str | None, typer.Option(help="Only places in this country.")] = None,
    month: Annotated[
        str | None, typer.Option(help="places, best: only this month or year: 2012-03 or 2012.")
    ] = None,
    by: By = None,
    least_days: Annotated[
        int, typer.Option(help="changes: minimum number of days between the two frames.")
    ] = 180,
    verdict: Annotated[
        str | None,
        typer.Option(help="Verdicts to include, comma-separated, or all.  [accepted; places: all]"),
    ] = None,
    reviewed: common.Reviewed = False,
    where: common.Where = None,
    limit: Annotated[int, typer.Option(help="Maximum number of rows of a view; 0 for all.")] = 20,
    form: Form = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .csv or .ndjson.  [standard output]")
    ] = None,
    force: common.Force = False,
) -> None:
    """List places, the best frame of each and month, what is covered, or pairs of dates; or run a
    query in SQLite's SQL. Other files are not accessible, and nothing is written.

    \b
    Examples:
      regengine catalogue query archive.gpkg places --country Japan --limit 0 --out japan.csv
      regengine catalogue query archive.gpkg best --place Tokyo
      regengine catalogue query archive.gpkg coverage --by country --format csv
      regengine catalogue query archive.gpkg changes --place Madrid --by month
      regengine catalogue query archive.gpkg "SELECT lens, count(*) FROM frames GROUP BY lens"
    """
    typed = dict(locals())
    from itertools import chain

    from regengine.frames import catalogue as frames
    from regengine.frames.catalogue import FORMS, VIEWS, Catalogue
    from regengine.io.atomic import check_new_file

    if query not in VIEWS and query.isidentifier():
        raise ConfigError(f"{query} is not a view: choose from {', '.join(VIEWS)}, or write SQL.")
    usual = "all" if query == "places" else "accepted"
    narrowed = (verdict or usual) != usual or reviewed or where is not None
    given = {**typed, "least-days": least_days != 180}
    for name in ("place", "country", "month", "by", "least-days", "verdict", "reviewed", "where"):
        if given[name] and name not in VIEWS.get(query, ()):
            raise ConfigError(f"--{name} is not an option of {query!r}.")
    out = None if out == STANDARD_OUTPUT else out
    form = form or ("table" if out is None else ENDINGS.get(out.suffix.lower()))
    if form is None:
        raise ConfigError(
            f"--out {out}: the ending names no format; choose --format from {', '.join(FORMS)}."
        )
    if out is not None:
        check_new_file(out, (), force=force)
    verdicts = common.parse_verdicts(verdict or usual, with_rejected=True)
    if query in VIEWS:
        sql, values = frames.write_view(
            query, by, least_days=least_days, place=place, country=country, month=month, limit=limit
        )
    with Catalogue(catalogue) as opened:
        if narrowed:
            opened.narrow(verdicts, reviewed=reviewed, where=where)
        names, rows = opened.ask(sql, values) if query in VIEWS else opened.ask(query, of_user=True)
        first = next(rows, None)
        answer = names, rows if first is None else chain([first], rows)
        _write_lines(frames.format_lines(answer, form), out)
    if first is None and query in VIEWS:
        say(f"{catalogue}: no matching frames{f' for {place}' if place else ''}", err=True)


def _write_lines(lines: Iterable[str], out: Path | None) -> None:
    from regengine.io.atomic import replace_files

    if out is None:
        for line in lines:
            print_data(line)
        return
    with (
        replace_files((out,)) as (temporary,),
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.writelines(f"{line}\n" for line in lines)


@app.command(no_args_is_help=True)
def package(
    catalogue: File,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to create.")],
    place: Annotated[
        str | None,
        typer.Option(help='Photos that show it: a town or city, "Paris, US", or LON,LAT.'),
    ] = None,
    radius_km: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=5000.0, help="Instead: photos centred within this distance of it."
        ),
    ] = None,
    verdict: common.Verdicts = "accepted",
    where: common.Where = None,
    best: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of photos, best quality first.")
    ] = None,
    calibration: Annotated[
        list[Path] | None,
        typer.Option(
            help="Lens profile, flat field, dark frame or other calibration file to include."
        ),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Link to the photos instead of copying them.")
    ] = False,
    force: common.Force = False,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Pack the best photos of a place: originals, control points, cameras, calibration, checksums.

    \b
    Examples:
      regengine catalogue package archive.gpkg --place Madrid --best 5 --out madrid
      regengine catalogue package archive.gpkg --place=-3.7,40.4 --radius-km 50 --out madrid
      regengine catalogue package archive.gpkg --where "place_id = 12 AND quality > 0.5" --out site
    """
    from regengine.export import package as packing
    from regengine.frames.catalogue import Catalogue
    from regengine.maps.places import locate_place

    packing.check_package(out, force=force)
    verdicts = common.parse_verdicts(verdict)
    if place is None and (radius_km is not None or where is None):
        missing = "--radius-km needs a place" if radius_km is not None else "no photos are selected"
        raise ConfigError(f"{missing}: name one with --place, or give a condition with --where.")
    title, *shown = ("",) if place is None else locate_place(place, "--place", 90.0)
    if place is not None:
        title = title or "{1:.4f}, {0:.4f}".format(*shown)
    given = {"place": place, "radius-km": radius_km, "verdict": verdict, "where": where}
    words = [f"--{name} {value}" for name, value in {**given, "best": best}.items() if value]
    files = packing.list_calibration_files(calibration or [])
    with Catalogue(catalogue) as archive:
        archive.narrow(verdicts, reviewed=False, where=where)
        rows = packing.choose_rows(archive, shown, radius_km=radius_km, best=best)
    if not rows:
        raise FrameError(f"{catalogue}: no matching frames, so nothing was written.")
    of = {(row["place"], row["place_country"]) for row in rows}
    title = title or (", ".join(filter(None, of.pop())) if len(of) == 1 else "")
    frames, failed = packing.pack_frames(rows)
    with show_progress(len(frames), quiet=quiet, doing="packing") as advance:
        packed, failed = packing.write_package(
            out,
            frames,
            failed,
            title=title or "selected frames",
            chosen=f"Selected with {' '.join(words)}.",
            calibration=files,
            link=link,
            force=force,
            advance=advance,
        )
    if as_json:
        facts = {"out": str(out), "frames": packed, "calibration": list(files), "failed": failed}
        print_data(json.dumps(facts))
    if not quiet:
        for name, why in failed.items():
            say(f"{name}: {why}", err=True)
        say(f"{out}: {len(packed):,} packed", err=True)
    if failed:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)


@app.command(no_args_is_help=True)
def tasking(
    out: Annotated[
        Path, typer.Option(help="Plan to write: .csv, .geojson or .json; - prints CSV.")
    ],
    catalogue: Annotated[
        Path | None,
        typer.Argument(help="Catalogue of what exists; without it all places count as missing."),
    ] = None,
    tle: common.ElementSets = None,
    places: Annotated[
        Path | None,
        typer.Option(help="List of places (CSV: name, lon, lat, priority) instead of cities."),
    ] = None,
    min_population: Annotated[
        int, typer.Option(min=5000, help="Minimum population of cities (GeoNames).")
    ] = 500_000,
    good_quality: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Minimum quality of a good frame.")
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
    force: common.Force = False,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """List places without a good frame, with their next night passes.

    \b
    Examples:
      regengine catalogue tasking archive.gpkg --out plan.csv
      regengine catalogue tasking --places sites.csv --tle iss.txt --days 3 --out plan.geojson
    """
    from regengine.io.atomic import check_new_file, replace_files
    from regengine.io.extras import need
    from regengine.maps.at_hand import choose_element_sets
    from regengine.orbit.position import element_sets
    from regengine.studies.tasking import plan as planning

    need("A plan", "pandas")
    if out != STANDARD_OUTPUT:
        check_new_file(out, planning.ENDINGS, force=force)
    elif as_json:
        raise ConfigError("--out - and --json both write to standard output: give one.")
    begin = datetime.now(UTC) if time is None else parse_iso_time(time, day_is_midnight=True)
    if begin is None:
        raise ConfigError(f"--time {time} is not a valid time, such as 2026-05-01T12:00:00Z.")
    tles = element_sets(choose_element_sets(tle))
    targets = (
        planning.read_listed_targets(places)
        if places is not None
        else planning.list_city_targets(min_population)
    )
    best = None
    if catalogue is not None:
        from regengine.frames.catalogue import Catalogue

        with Catalogue(catalogue) as archive:
            best = planning.find_best_frames(
                archive,
                targets,
                begin,
                min_quality=good_quality,
                max_off_nadir_deg=good_off_nadir_deg,
                max_age=None if good_age_days is None else timedelta(days=good_age_days),
            )
    plan = planning.plan_passes(
        targets,
        best,
        tles,
        begin,
        days,
        max_off_nadir_deg=max_off_nadir_deg,
        max_sun_deg=max_sun_deg,
        max_moon_deg=max_moon_deg,
        max_sigma_s=max_sigma_s,
        most=passes,
    )
    with common.text_out(out, ".csv") as file, replace_files((file,)) as (temporary,):
        planning.write_plan(plan, temporary)
    _tell(plan, len(targets), out, as_json=as_json, quiet=quiet)


def _tell(plan: Plan, places: int, out: Path, *, as_json: bool, quiet: bool) -> None:
    element_set, passes = plan.element_set, plan.passes
    worst = float(passes["sigma_time_s"].max()) if len(passes) else None
    reached = passes["place"].nunique()
    if as_json:
        facts = {
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
        print_data(json.dumps(facts))
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


@app.command(no_args_is_help=True)
def stars(
    solved: Annotated[
        list[Path],
        typer.Argument(help="Output of regengine solve --json --matches, or of its --out."),
    ],
    out: Annotated[Path | None, typer.Option(help="Table to write: .csv or .ndjson.")] = None,
    table: Annotated[
        Literal["frames", "magnitudes"],
        typer.Option(help="One row per frame, or per frame and magnitude."),
    ] = "frames",
    force: common.Force = False,
    as_json: common.Json = False,
    quiet: common.Quiet = False,
) -> None:
    """Count the stars of solved frames against the catalogue, and rank the frames.

    \b
    Examples:
      regengine catalogue stars solved.ndjson
      regengine catalogue stars solved.ndjson --table magnitudes --out counts.csv
    """
    from regengine.frames.catalogue import format_lines
    from regengine.io.atomic import check_new_file
    from regengine.io.html import escape_invisible
    from regengine.sky.stars.catalogue import load_catalogue
    from regengine.sky.stars.photo import FAINTEST_G, read_solved
    from regengine.sky.stars.star_counts import count_stars, rank_frames

    if out is not None:
        check_new_file(out, (".csv", ".ndjson"), force=force)
    records = [record for path in solved for record in read_solved(path).values()]
    catalogue = load_catalogue(faintest_g=FAINTEST_G)
    counts, failed = [], 0
    for record in records:
        try:
            counts.append(count_stars(record, catalogue))
        except ConfigError as error:
            failed += 1
            say(f"Error: {error}", err=True)
    counts = rank_frames(counts)
    rows = [row for row, _ in counts]
    if table == "magnitudes":
        rows = [part for _, bins in counts for part in bins]

    def lines(form: str) -> list[str]:
        shown = rows
        if form != "json":
            shown = [
                {k: escape_invisible(v) if isinstance(v, str) else v for k, v in row.items()}
                for row in rows
            ]
        if form == "table":  # names tell frames apart, and paths are long
            shown = [{k: v for k, v in row.items() if k != "path"} for row in shown]
        names = tuple(shown[0]) if shown else ()
        return list(format_lines((names, (tuple(row.values()) for row in shown)), form))

    if out is not None and counts:
        _write_lines(lines("csv" if out.suffix.lower() == ".csv" else "json"), out)
    if as_json and rows:
        print_data("\n".join(lines("json")))
    elif out is None and rows:
        say(*lines("table"))
    if not quiet:
        where = "" if out is None or not counts else f"{out}: "
        say(f"{where}{len(counts):,} of {format_count(len(records), 'solved frame')}", err=True)
    if failed or not records:
        raise typer.Exit(common.EXIT_FRAMES_FAILED)
