"""``regengine show``: a run, or one frame of it."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from regengine.commands import options as common
from regengine.io.console import output_width, print_data, say

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def main(
    store: common.StoreFile,
    frame: Annotated[
        str | None,
        typer.Argument(help="Frame id, file name, path, or beginning of the file's SHA-256."),
    ] = None,
    verdict: common.Verdicts = "all",
    reviewed: common.Reviewed = False,
    where: common.Where = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Sort by a column of docs/store.md: probability, or -probability for descending "
            "order.",
        ),
    ] = None,
    format: Annotated[
        Literal["table", "csv", "json"] | None, typer.Option(help="Output format.  [table]")
    ] = None,
    as_json: common.Json = False,
) -> None:
    """Show the frames of a run, or all details of one.

    Also works while the run is in progress.

    \b
    Examples: regengine show run.h5
              regengine show run.h5 ISS030-E-184140
              regengine show run.h5 --verdict review --sort -probability
              regengine show run.h5 --where "off_nadir_deg < 30" --format csv
              regengine show run.h5 --json | jq .verdict
    """
    from regengine.errors import ConfigError
    from regengine.frames.select import choose, sort_numbers
    from regengine.io.tables import csv_lines
    from regengine.pages.report import frame_text
    from regengine.store.read import find_frames, iter_frames
    from regengine.store.records import record_line
    from regengine.store.reviews import read_reviews

    if as_json and format not in (None, "json"):
        raise ConfigError(f"--json and --format {format} name two formats: give one.")
    told_as = "json" if as_json else format or "table"
    selects = reviewed or where is not None or sort is not None or verdict != "all"
    if frame is not None and selects:
        raise ConfigError(
            "--verdict, --reviewed, --where and --sort are for several frames, and one frame is "
            "named: leave them out."
        )
    order = None
    if frame is not None:
        frames = iter(find_frames(store, frame))
    else:
        verdicts = common.parse_verdicts(verdict, with_rejected=True)
        chosen = choose(store, verdicts=verdicts, reviewed=reviewed, where=where)
        order = None if sort is None else sort_numbers(chosen, sort)
        frames = iter_frames(store, chosen.numbers)
    reviews, width = read_reviews(store), output_width()
    wide = measure_names(store) if width is None and told_as == "table" else {}
    if frame is not None and told_as == "table":
        sheets = (
            frame_text.frame_sheet(one, reviews.get(one.frame_index), width) for one in frames
        )
        say(*"\n\n".join(sheets).split("\n"))
        return
    forms: dict[str, tuple[Callable[..., str], str, Callable[[str], None]]] = {
        "table": (
            partial(frame_text.table_line, width=width, wide=wide),
            frame_text.table_header(width, wide),
            say,
        ),
        "csv": (frame_text.csv_row, next(csv_lines([frame_text.CSV_COLUMNS])), print_data),
        "json": (record_line, "", print_data),
    }
    line_of, header, print_line = forms[told_as]
    first = next(frames, None)  # a store that cannot be read has no header
    if header:
        print_line(header)
    # In another order than the store's only once all were read
    lines = (
        (stored.frame_index, line_of(stored.result, reviews.get(stored.frame_index)))
        for stored in chain([] if first is None else [first], frames)
    )
    if order is None:
        for _, line in lines:
            print_line(line)
    else:
        # Few columns tell the order; whole frames are read fastest as they lie
        held = dict(lines)
        for number in order:
            if number in held:
                print_line(held[number])


def measure_names(store: Path) -> dict[str, int]:
    """Measure the columns of names that no line of the table is wider than."""
    from regengine.pages.report.frame_text import measure_columns
    from regengine.store.read import iter_blocks
    from regengine.store.rows import select, values_of

    names, places = set[str](), set[str]()
    for tables in iter_blocks(store, select("frames/frame", "frames/place", "frames/country")):
        frames = tables["frames"]
        names.update(values_of(frames["frame"]))
        named = zip(values_of(frames["place"]), values_of(frames["country"]), strict=True)
        places.update(", ".join(filter(None, one)) for one in set(named))
    return measure_columns(names, places)
