"""`regengine archive`: what the archive of astronaut photos knows, and its pictures."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from regengine.commands.lazy import STANDARD_OUTPUT
from regengine.commands.options import EXIT_FRAMES_FAILED, Force, Json, Quiet, parse_range
from regengine.io.console import print_data, say, show_progress, show_steps
from regengine.io.plain import format_count

if TYPE_CHECKING:
    from regengine.photo.records import FrameRecords


def put_out(
    table: FrameRecords, out: Path | None, tle: Path | None, *, as_json: bool, quiet: bool
) -> None:
    """Check the rows, write the table, print the records, and say in a line what there is."""
    from regengine.maps.at_hand import choose_element_sets
    from regengine.orbit.position import check_orbit
    from regengine.photo.records import format_csv, format_ndjson, write_table

    table = check_orbit(table, choose_element_sets(tle))
    if out is not None:
        write_table(table.rows, out)
    if as_json and len(table):
        print_data(format_ndjson(table.rows).removesuffix("\n"))
    elif out is None and not as_json:
        print_data(format_csv(table.rows).removesuffix("\n"))
    if not quiet:
        notes = [
            f"of {format_count(table.n_rows, 'row')}" if table.n_rows != len(table) else "",
            f"{format_count(table.n_unnamed, 'row names', 'rows name')} no photo"
            if table.n_unnamed
            else "",
            f"{format_count(table.n_doubtful, 'photo')} with problems, see that column"
            if table.n_doubtful
            else "",
        ]
        tail = "".join(f", {note}" for note in notes if note)
        where = "" if out is None else f"{out}: "
        say(f"{where}{format_count(len(table), 'photo')}{tail}", err=True)


app = typer.Typer(
    help="Query the archive of astronaut photos, read its tables, fetch pictures.\n\nExample: "
    "regengine archive read ISS30-E.tsv --out frames.csv",
    no_args_is_help=True,
)

Out = Annotated[
    Path | None, typer.Option(help="Table to write: .csv or .ndjson.  [standard output]")
]
DAY = "%Y-%m-%d"
Tle = Annotated[
    Path | None,
    typer.Option(
        help="TLE file, to find contradictions between time and nadir.  [the data folder's]"
    ),
]


@app.command(no_args_is_help=True)
def read(
    files: Annotated[
        list[Path], typer.Argument(help="Tables of photos, in any of the formats known.")
    ],
    out: Out = None,
    tle: Tle = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Combine tables of photos into one.

    The result can be given to register --metadata.

    \b
    Examples: regengine archive read ISS30-E.tsv --out frames.csv
              regengine register photos --metadata frames.csv --lights earth.tif --store run.h5
              regengine archive read exif.json ISS30-E.tsv volunteers.csv --json
    """
    from regengine.io.atomic import check_new_file
    from regengine.photo.records import ENDINGS, read_tables

    out = None if out == STANDARD_OUTPUT else out
    if out is not None:
        check_new_file(out, ENDINGS, force=force)
    table = read_tables(files)
    put_out(table, out, tle, as_json=as_json, quiet=quiet)


@app.command(no_args_is_help=True)
def query(
    mission: Annotated[
        list[str] | None, typer.Option(help="Mission, such as ISS030; may be given several times.")
    ] = None,
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=[DAY], metavar="DATE", help="First day: 2012-03-01."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=[DAY], metavar="DATE", help="Last day: 2012-03-31."),
    ] = None,
    bbox: Annotated[
        str | None,
        typer.Option(
            metavar="W,S,E,N",
            help="Region of the nadirs; 170,-20,-170,10 crosses the antimeridian.",
        ),
    ] = None,
    focal_mm: Annotated[
        str | None, typer.Option(metavar="RANGE", help="Focal length, mm: 50, or 28,85.")
    ] = None,
    sun_elevation: Annotated[
        str | None,
        typer.Option(
            metavar="RANGE",
            help="Elevation of the Sun at the nadir, degrees: LOW,HIGH; or night: -6 and lower.",
        ),
    ] = None,
    table: Annotated[
        str, typer.Option(help="Tables of the database: frames (catalogued), nadir, or both.")
    ] = "frames,nadir",
    out: Out = None,
    tle: Tle = None,
    force: Force = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the queries, without the key, and stop.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Query the archive's photo database.

    Needs your own key, in the environment variable JSC_PHOTOS_KEY. Answers are cached: run an
    interrupted query again to resume it.

    \b
    Examples: regengine archive query --mission ISS030 --sun-elevation night --out iss030.csv
              regengine archive query --from 2012-03-01 --to 2012-03-31 --bbox 120,20,150,50
              regengine archive query --mission ISS030 --focal-mm 28,85 --dry-run
    """
    import os

    from regengine.io.atomic import cache_folder, check_new_file
    from regengine.maps.places import parse_bounds
    from regengine.photo.archive import query as archive
    from regengine.photo.archive.web import ArchiveClient, archive_address
    from regengine.photo.records import ENDINGS

    wanted = archive.FrameQuery(
        missions=tuple(name.strip().upper() for name in mission or ()),
        first=None if first is None else first.date(),
        last=None if last is None else last.date(),
        bbox=None if bbox is None else parse_bounds(bbox),
        focal_mm=parse_range("--focal-mm", focal_mm),
        sun_elevation_deg=archive.NIGHT_DEG
        if sun_elevation == "night"
        else parse_range("--sun-elevation", sun_elevation),
        tables=tuple(name.strip() for name in table.split(",")),
    )
    address = archive_address(archive.DATABASE)
    if dry_run:
        for question in archive.make_questions(wanted):
            print_data(archive.make_address(question, address))
        return
    out = None if out == STANDARD_OUTPUT else out
    if out is not None:
        check_new_file(out, ENDINGS, force=force)
    with show_steps(quiet=quiet) as progress:
        records, counts = archive.ask(
            wanted,
            web=ArchiveClient(),
            key=os.environ.get(archive.KEY_VARIABLE, "").strip(),
            cache=cache_folder() / "frames",
            url=address,
            progress=partial(progress, "Asking"),
        )
    put_out(records, out, tle, as_json=as_json, quiet=quiet)
    if not quiet:
        strays = format_count(counts["off_query"], "row was", "rows were")
        typer.echo(
            f"{format_count(counts['asked'], 'question')}, {counts['kept']:,} from the cache"
            + (f", {strays} outside the query" if counts["off_query"] else ""),
            err=True,
        )


@app.command(no_args_is_help=True)
def fetch(
    frames: Annotated[
        list[str], typer.Argument(help="Archive ids, or tables with a column of ids.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the pictures.", show_default=False)
    ],
    size: Annotated[Literal["large", "small"], typer.Option(help="Small: 640 pixels.")] = "large",
    max_megabytes: Annotated[int, typer.Option(min=1, help="Size limit per picture.")] = 100,
    max_gigabytes: Annotated[float, typer.Option(help="Size limit in all.")] = 20.0,
    force: Force = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Download pictures with their checksums.

    Incomplete files are never left behind; existing ones are not downloaded again.

    \b
    Examples: regengine archive fetch ISS030-E-184140 --out photos
              regengine archive fetch iss030.csv --out photos --size small
    """
    from regengine.photo.archive import web as archive

    wanted = archive.list_given_frames(frames)
    counts: Counter[str] = Counter()
    with show_progress(len(wanted), quiet=quiet, doing="fetching") as advance:

        def tell(outcome: dict[str, Any]) -> None:
            counts[outcome["status"]] += 1
            if as_json:
                print_data(json.dumps(outcome))
            elif outcome["why"] and not quiet:
                say(f"{outcome['frame']}: {outcome['why']}", err=True)
            advance()

        stopped = archive.download(
            wanted,
            out,
            archive.ArchiveClient(),
            tell,
            size=size,
            pictures=archive.archive_address(archive.PICTURES),
            max_megabytes=max_megabytes,
            max_gigabytes=max_gigabytes,
            force=force,
        )
        if stopped:
            say(f"Stopped: {stopped}.", err=True)
    left = len(wanted) - counts.total()
    if not quiet:
        notes = [f"{count:,} {status}" for status, count in counts.items()]
        notes += [f"{left:,} not requested"] if left else []
        say(f"{out}: {', '.join(notes)}", err=True)
    if left or counts["failed"] or counts["absent"]:
        raise typer.Exit(EXIT_FRAMES_FAILED)
