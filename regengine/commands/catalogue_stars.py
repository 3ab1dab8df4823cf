"""``regengine catalogue stars``: solved star frames by how deep they are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXIT_FRAMES_FAILED = 1


def stars(
    solved: Annotated[
        list[Path], typer.Argument(help="Output of regengine solve --json --matches, or --out.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="The table: a file that ends in .csv or .ndjson.")
    ] = None,
    table: Annotated[
        str, typer.Option(help="A row for each of the frames, or of their magnitudes.")
    ] = "frames",
    best: Annotated[
        int | None, typer.Option(min=1, help="Only so many frames, the deepest.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that exists.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the rows as NDJSON instead of text.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No messages.")] = False,
) -> None:
    """Count the stars of solved frames against the catalogue, and rank the frames.

    \b
    Examples:
      regengine catalogue stars solved.ndjson
      regengine catalogue stars solved.ndjson --table magnitudes --out counts.csv
    """
    from regengine.errors import ConfigError
    from regengine.export.run import in_place_of
    from regengine.outputs import check_new_file
    from regengine.stars.catalogue import load_catalogue
    from regengine.stars.photo import FAINTEST_G
    from regengine.stars.solved_records import read_solved
    from regengine.stars.star_counts import StarCounts, count_stars, ranked
    from regengine.stars.star_table import ENDINGS, TABLES, json_line, text_lines, write_rows

    if table not in TABLES:
        raise ConfigError(f"--table {table}: it is none of {', '.join(TABLES)}.")
    if out is not None:
        check_new_file(out, ENDINGS, force=force)
    records = [record for path in solved for record in read_solved(path).values()]
    catalogue = load_catalogue(faintest_g=FAINTEST_G)
    counts: list[StarCounts] = []
    failed = 0
    for record in records:
        try:
            counts.append(count_stars(record, catalogue))
        except ConfigError as error:
            failed += 1
            typer.echo(f"Error: {error}", err=True)
    counts = ranked(counts)[:best]
    if out is not None and counts:
        with in_place_of((out,)) as (temporary,):
            write_rows(TABLES[table](counts), temporary)
    if as_json:
        for row in TABLES[table](counts):
            typer.echo(json_line(row))
    elif out is None:
        for line in text_lines(TABLES[table](counts)):
            typer.echo(line)
    if not quiet:
        where = "" if out is None or not counts else f"{out}: "
        typer.echo(f"{where}{len(counts):,} of {len(records):,} solved frames", err=True)
    if failed or not records:
        raise typer.Exit(EXIT_FRAMES_FAILED)
