"""What `regengine frames` puts out: tables, and what became of photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from regengine.archive.read import FrameTable


def put_out(
    table: FrameTable, out: Path | None, tle: Path | None, *, as_json: bool, quiet: bool
) -> None:
    """Check the rows, write the table, print the records, and say in a line what there is."""
    from regengine.archive.orbit_check import checked
    from regengine.archive.write import csv_text, ndjson_text, write_table
    from regengine.records import printable

    if tle is not None:
        table = checked(table, tle)
    if out is not None:
        write_table(table.rows, out)
    if as_json:
        typer.echo(printable(ndjson_text(table.rows)), nl=False)
    elif out is None:
        typer.echo(printable(csv_text(table.rows)), nl=False)
    if not quiet:
        notes = [
            f"of {table.read:,} rows" if table.read != len(table.rows) else "",
            f"{table.nameless:,} name no photo" if table.nameless else "",
            f"{table.doubtful:,} photos have problems, see that column" if table.doubtful else "",
        ]
        tail = "".join(f", {note}" for note in notes if note)
        where = "" if out is None else f"{out}: "
        typer.echo(printable(f"{where}{len(table.rows):,} photos{tail}"), err=True)


def finish(
    out: Path, counts: dict[str, int], wanted: int, *, quiet: bool, bad: tuple[str, ...]
) -> None:
    """Say what became of the photos; exit with 1 unless all that is wanted is there."""
    from regengine.records import printable

    left = wanted - sum(counts.values())
    if not quiet:
        told = [f"{count:,} {status}" for status, count in counts.items()]
        told += [f"{left:,} not asked for"] if left else []
        typer.echo(printable(f"{out}: {', '.join(told)}"), err=True)
    if left or any(counts.get(status) for status in bad):
        raise typer.Exit(1)
