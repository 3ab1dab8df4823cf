"""``regengine catalogue places``, ``best``, ``coverage``, ``changes``, ``query``: questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from regengine.catalogue.questions import Question
    from regengine.catalogue.reader import Answer

File = Annotated[Path, typer.Argument(metavar="CATALOGUE", help="Of regengine catalogue build.")]
Form = Annotated[str, typer.Option("--as", help="How to print it: table, csv or json.")]
PlaceName = Annotated[
    str | None, typer.Option("--place", help="Only this place: its name or number.")
]
Country = Annotated[str | None, typer.Option(help="Only places of this country.")]
Month = Annotated[str | None, typer.Option(help="Only this month or year: 2012-03 or 2012.")]
Limit = Annotated[int, typer.Option(help="Most rows; 0 for all.")]
LIMIT = 20


def places(
    catalogue: File,
    place: PlaceName = None,
    country: Country = None,
    month: Month = None,
    limit: Limit = LIMIT,
    form: Form = "table",
) -> None:
    """List places: how many frames and nights each has, and its best frame.

    \b
    Examples: regengine catalogue places archive.parquet
              regengine catalogue places archive.parquet --country Japan --limit 0 --as csv
    """
    from regengine.catalogue.questions import Wanted
    from regengine.catalogue.questions import places as asked

    wanted = Wanted(place=place, country=country, month=month, limit=limit)
    _ask(catalogue, asked(wanted), form)


def best(
    catalogue: File,
    place: PlaceName = None,
    country: Country = None,
    month: Month = None,
    limit: Limit = LIMIT,
    form: Form = "table",
) -> None:
    """List the best frame of each place and month.

    \b
    Examples: regengine catalogue best archive.parquet --place Tokyo
              regengine catalogue best archive.parquet --month 2012 --limit 0 --as json
    """
    from regengine.catalogue.questions import Wanted
    from regengine.catalogue.questions import best as asked

    wanted = Wanted(place=place, country=country, month=month, limit=limit)
    _ask(catalogue, asked(wanted), form)


def coverage(
    catalogue: File,
    by: Annotated[
        str, typer.Option(help="A row for all, or for each country, month or lens.")
    ] = "all",
    form: Form = "table",
) -> None:
    """Count frames, nights, places and the ground that was seen.

    \b
    Examples: regengine catalogue coverage archive.parquet
              regengine catalogue coverage archive.parquet --by country --as csv
    """
    from regengine.catalogue.coverage import coverage as asked
    from regengine.catalogue.reader import Catalogue

    with Catalogue(catalogue) as opened:
        _print(asked(opened, by), form)


def changes(
    catalogue: File,
    place: PlaceName = None,
    country: Country = None,
    each: Annotated[
        str, typer.Option(help="Pairs of the best frames of each year, or of each month.")
    ] = "year",
    least_days: Annotated[int, typer.Option(help="Days between the two, at least.")] = 180,
    limit: Limit = LIMIT,
    form: Form = "table",
) -> None:
    """List pairs of frames of one place at different dates, the best pairs first.

    \b
    Examples: regengine catalogue changes archive.parquet
              regengine catalogue changes archive.parquet --place Madrid --each month
    """
    from regengine.catalogue.questions import Wanted
    from regengine.catalogue.questions import changes as asked

    wanted = Wanted(place=place, country=country, limit=limit)
    _ask(catalogue, asked(wanted, each, least_days), form)


def query(
    catalogue: File,
    sql: Annotated[str, typer.Argument(help="One SELECT on the table frames.")],
    form: Form = "table",
) -> None:
    """Answer a question in DuckDB's SQL; nothing else is read, and nothing is written.

    \b
    Examples:
      regengine catalogue query archive.parquet "DESCRIBE frames"
      regengine catalogue query archive.parquet "SELECT lens, count(*) FROM frames GROUP BY lens"
    """
    from regengine.catalogue.reader import Catalogue

    with Catalogue(catalogue) as opened:
        _print(opened.query(sql), form)


def _ask(catalogue: Path, question: Question, form: str) -> None:
    from regengine.catalogue.reader import Catalogue

    with Catalogue(catalogue) as opened:
        _print(opened.ask(*question), form)


def _print(answer: Answer, form: str) -> None:
    from regengine.catalogue.answers import lines_of

    exact = not sys.stdout.isatty()  # what a terminal would take for a command is for files alone
    for line in lines_of(answer, form):
        typer.echo(line.encode("utf-8", "backslashreplace").decode(), color=exact)
