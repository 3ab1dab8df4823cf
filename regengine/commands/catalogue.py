"""``regengine catalogue``: frames of many stores by place, quality and date."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from regengine.batch.console import print_data, say
from regengine.commands.catalogue_package import package
from regengine.commands.catalogue_tasking import tasking
from regengine.commands.lazy import STANDARD_OUTPUT
from regengine.commands.options import (
    EXIT_FRAMES_FAILED,
    Force,
    Json,
    Quiet,
    Reviewed,
    Verdicts,
    Where,
    parse_verdicts,
)
from regengine.io.plain import format_count

if TYPE_CHECKING:
    from regengine.collection.catalogue.query import Answer, Question
    from regengine.exchange.export.selection import FrameChoice

File = Annotated[Path, typer.Argument(help="Catalogue of regengine catalogue build.")]
Form = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="table, csv or json (one object per line).  [by the ending of --out, else table]",
    ),
]
Out = Annotated[
    Path | None, typer.Option(help="File to write: .csv or .ndjson.  [standard output]")
]
ENDINGS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".txt": "table"}
PlaceName = Annotated[
    str | None,
    typer.Option("--place", help="Only photos that show this town, or this place number."),
]
Country = Annotated[str | None, typer.Option(help="Only places in this country.")]
Month = Annotated[str | None, typer.Option(help="Only this month or year: 2012-03 or 2012.")]
Limit = Annotated[int, typer.Option(help="Maximum number of rows; 0 for all.")]
LIMIT = 20


app = typer.Typer(
    help="Find frames of many stores by place, quality and date.\n\n"
    "Example: regengine catalogue build run1.h5 run2.h5 --out archive.parquet",
    no_args_is_help=True,
)


@app.command(no_args_is_help=True)
def build(
    stores: Annotated[list[Path], typer.Argument(help="Stores of runs, such as run.h5.")],
    out: Annotated[Path, typer.Option(help="File to write: .parquet.", show_default=False)],
    pictures: Annotated[
        bool,
        typer.Option(
            "--pictures/--no-pictures",
            help="Measure sharpness and clouds in the photos that exist.",
        ),
    ] = True,
    lights: Annotated[
        list[Path] | None,
        typer.Option(help="Night-light maps, to estimate clouds from hidden lights."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Build a catalogue: one row per photo of all stores, by place and time.

    \b
    Examples: regengine catalogue build run1.h5 run2.h5 --out archive.parquet
              regengine catalogue build run.h5 --out archive.parquet --lights earth.tif
              regengine catalogue build run.h5 --out archive.parquet --no-pictures
    """
    from regengine.batch.console import show_progress
    from regengine.collection.catalogue.build import build as build_catalogue
    from regengine.collection.catalogue.build import check_out, count_frames
    from regengine.collection.catalogue.quality import NOTHING_SEEN, PictureFacts, look
    from regengine.errors import ConfigError
    from regengine.exchange.export.frame import ExportFrame
    from regengine.references import open_light_map

    check_out(out, force)
    if lights and not pictures:
        raise ConfigError("--lights needs the photos: leave out --no-pictures.")
    light_map = open_light_map(lights) if lights else None
    total = count_frames(stores)

    def seen(frame: ExportFrame) -> PictureFacts:
        return look(frame, light_map) if pictures else NOTHING_SEEN

    with show_progress(total, quiet=quiet, doing="cataloguing") as advance:
        built = build_catalogue(stores, out, look=seen, advance=advance)
    if as_json:
        print_data(json.dumps({"out": str(out), **built}))
    if not quiet:
        told = [format_count(built["frames"], "photo")]
        if built["copies"]:
            told.append(f"{format_count(built['copies'], 'more copy', 'more copies')} of photos")
        told += [format_count(built["places"], "place"), format_count(built["nights"], "night")]
        say(f"{out}: {', '.join(told)}", err=True)


@app.command(no_args_is_help=True)
def places(
    catalogue: File,
    place: PlaceName = None,
    country: Country = None,
    month: Month = None,
    verdict: Verdicts = "all",
    reviewed: Reviewed = False,
    where: Where = None,
    limit: Limit = LIMIT,
    form: Form = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """List places: how many frames and nights each has, and its best frame.

    \b
    Examples: regengine catalogue places archive.parquet
              regengine catalogue places archive.parquet --country Japan --limit 0 --out japan.csv
    """
    from regengine.collection.catalogue import query as asked

    to, chosen = _output(form, out, force), _make_choice(verdict, "all", reviewed, where)
    _ask(catalogue, (asked.PLACES, asked.about_places(place, country, month, limit)), chosen, to)


@app.command(no_args_is_help=True)
def best(
    catalogue: File,
    place: PlaceName = None,
    country: Country = None,
    month: Month = None,
    verdict: Verdicts = "accepted",
    reviewed: Reviewed = False,
    where: Where = None,
    limit: Limit = LIMIT,
    form: Form = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """List the best frame of each place and month.

    \b
    Examples: regengine catalogue best archive.parquet --place Tokyo
              regengine catalogue best archive.parquet --month 2012 --limit 0 --format json
    """
    from regengine.collection.catalogue import query as asked

    to, chosen = _output(form, out, force), _make_choice(verdict, "accepted", reviewed, where)
    _ask(catalogue, (asked.BEST, asked.about_places(place, country, month, limit)), chosen, to)


@app.command(no_args_is_help=True)
def coverage(
    catalogue: File,
    by: Annotated[
        str, typer.Option(help="One row in all, or one per country, month or lens.")
    ] = "all",
    form: Form = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """Count frames, nights, places and the ground area covered.

    \b
    Examples: regengine catalogue coverage archive.parquet
              regengine catalogue coverage archive.parquet --by country --format csv
    """
    from regengine.collection.catalogue import query as asked

    to = _output(form, out, force)
    with asked.Catalogue(catalogue) as opened:
        _print(asked.coverage(opened, by), to)


@app.command(no_args_is_help=True)
def changes(
    catalogue: File,
    place: PlaceName = None,
    country: Country = None,
    each: Annotated[
        str, typer.Option(help="Pairs of the best frames of each year, or of each month.")
    ] = "year",
    least_days: Annotated[
        int, typer.Option(help="Minimum number of days between the two frames.")
    ] = 180,
    verdict: Verdicts = "accepted",
    reviewed: Reviewed = False,
    where: Where = None,
    limit: Limit = LIMIT,
    form: Form = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """List pairs of frames of one place at different dates, the best pairs first.

    \b
    Examples: regengine catalogue changes archive.parquet
              regengine catalogue changes archive.parquet --place Madrid --each month
    """
    from regengine.collection.catalogue import query as asked

    to, chosen = _output(form, out, force), _make_choice(verdict, "accepted", reviewed, where)
    _ask(catalogue, asked.changes(place, country, limit, each, least_days), chosen, to)


@app.command(no_args_is_help=True)
def query(
    catalogue: File,
    sql: Annotated[str, typer.Argument(help="One SELECT on the table frames.")],
    form: Form = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """Run a DuckDB SQL query on the catalogue. Other files are not accessible, and nothing is
    written.

    \b
    Examples:
      regengine catalogue query archive.parquet "DESCRIBE frames"
      regengine catalogue query archive.parquet "SELECT lens, count(*) FROM frames GROUP BY lens"
    """
    from regengine.collection.catalogue.query import Catalogue

    to = _output(form, out, force)
    with Catalogue(catalogue) as opened:
        _print(opened.query(sql), to)


app.command(no_args_is_help=True)(package)
app.command(no_args_is_help=True)(tasking)


@app.command(no_args_is_help=True)
def stars(
    solved: Annotated[
        list[Path],
        typer.Argument(help="Output of regengine solve --json --matches, or of its --out."),
    ],
    out: Annotated[Path | None, typer.Option(help="Table to write: .csv or .ndjson.")] = None,
    table: Annotated[
        str, typer.Option(help="One row per frame, or per frame and magnitude.")
    ] = "frames",
    best: Annotated[
        int | None, typer.Option(min=1, help="Only this many frames, the deepest.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Count the stars of solved frames against the catalogue, and rank the frames.

    \b
    Examples:
      regengine catalogue stars solved.ndjson
      regengine catalogue stars solved.ndjson --table magnitudes --out counts.csv
    """
    from regengine.collection.catalogue.query import Answer, format_lines
    from regengine.errors import ConfigError
    from regengine.io.atomic import check_new_file, raise_as_store_error, write_whole
    from regengine.io.html import escape_invisible
    from regengine.sky.stars.catalogue import load_catalogue
    from regengine.sky.stars.photo import FAINTEST_G, read_solved
    from regengine.sky.stars.star_counts import TABLES, StarCounts, count_stars, rank_frames

    if table not in TABLES:
        raise ConfigError(f"--table {table} is unknown: choose from {', '.join(TABLES)}.")
    if out is not None:
        check_new_file(out, (".csv", ".ndjson"), force=force)
    records = [record for path in solved for record in read_solved(path).values()]
    catalogue = load_catalogue(faintest_g=FAINTEST_G)
    counts: list[StarCounts] = []
    failed = 0
    for record in records:
        try:
            counts.append(count_stars(record, catalogue))
        except ConfigError as error:
            failed += 1
            say(f"Error: {error}", err=True)
    counts = rank_frames(counts)[:best]
    rows = TABLES[table](counts)

    def lines(form: str) -> list[str]:
        told = rows
        if form != "json":
            told = [
                {k: escape_invisible(v) if isinstance(v, str) else v for k, v in row.items()}
                for row in rows
            ]
        if form == "table":  # names tell frames apart, and paths are long
            told = [{k: v for k, v in row.items() if k != "path"} for row in told]
        names = tuple(told[0]) if told else ()
        return list(format_lines(Answer(names=names, rows=(tuple(r.values()) for r in told)), form))

    if out is not None and counts:
        form = "csv" if out.suffix.lower() == ".csv" else "json"
        with raise_as_store_error(out):
            write_whole(out, "".join(f"{line}\n" for line in lines(form)).encode())
    if as_json and rows:
        print_data("\n".join(lines("json")))
    elif out is None and rows:
        say(*lines("table"))
    if not quiet:
        where = "" if out is None or not counts else f"{out}: "
        say(f"{where}{len(counts):,} of {format_count(len(records), 'solved frame')}", err=True)
    if failed or not records:
        raise typer.Exit(EXIT_FRAMES_FAILED)


class Output(NamedTuple):
    """In which form rows are told, and the file that they are written to, if any."""

    form: str
    out: Path | None


def _output(form: str | None, out: Path | None, force: bool) -> Output:
    """Where rows go, checked before they are asked for."""
    from regengine.collection.catalogue.query import FORMS
    from regengine.errors import ConfigError
    from regengine.io.atomic import check_new_file

    out = None if out == STANDARD_OUTPUT else out
    told = form or ("table" if out is None else ENDINGS.get(out.suffix.lower()))
    if told is None:
        raise ConfigError(
            f"--out {out}: the ending names no format; choose --format from {', '.join(FORMS)}."
        )
    if out is not None:
        check_new_file(out, (), force=force)
    return Output(told, out)


def _make_choice(verdict: str, usual: str, reviewed: bool, where: str | None) -> FrameChoice | None:
    """Conditions on the frames; None where they are those that answer anyway."""
    from regengine.exchange.export.selection import FrameChoice

    verdicts = parse_verdicts(verdict, with_rejected=True)
    if verdict == usual and not reviewed and where is None:
        return None
    return FrameChoice(verdicts=verdicts, reviewed=reviewed, where=where)


def _ask(catalogue: Path, question: Question, chosen: FrameChoice | None, to: Output) -> None:
    from regengine.collection.catalogue.query import Catalogue, rows_showing

    sql, values = question
    with Catalogue(catalogue) as opened:
        if chosen is not None:
            opened.narrow(chosen)
        place = values["place"]
        if place is not None and not place.isdecimal():
            values = values | {"showing": rows_showing(opened, place)}
        found = _print(opened.ask(sql, values), to)
    if not found:
        say(f"{catalogue}: no matching frames{f' for {place}' if place else ''}", err=True)


def _print(answer: Answer, to: Output) -> bool:
    """Whether there was a row to print, or to write."""
    from dataclasses import replace
    from itertools import chain

    from regengine.collection.catalogue.query import format_lines
    from regengine.io.atomic import replace_files

    first = next(answer.rows, None)
    rows = iter(()) if first is None else chain([first], answer.rows)
    lines = format_lines(replace(answer, rows=rows), to.form)
    if to.out is None:
        for line in lines:
            print_data(line)
        return first is not None
    with (
        replace_files((to.out,)) as (temporary,),
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.writelines(f"{line}\n" for line in lines)
    return first is not None
