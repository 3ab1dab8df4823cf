"""Query a catalogue in SQL: DuckDB may read only this file, and write nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError, StoreError, shorten_to_line
from regengine.frames.catalogue.quality import AREAS
from regengine.frames.catalogue.table import FORMAT, FORMAT_VERSION, NAMES, need_packages
from regengine.frames.select import (
    FrameChoice,
    find_unknown_column,
    make_condition_error,
    wrap_condition,
)
from regengine.io.plain import plain
from regengine.io.tables import cell, csv_lines, name_cell
from regengine.io.times import iso_utc

ROWS = 4096  # that are fetched at a time
SETTINGS = (
    "TimeZone = 'UTC'",
    "enable_progress_bar = false",
    "temp_directory = ''",
    "enable_geoparquet_conversion = false",  # geometries stay bytes
    "python_enable_replacements = false",
    "enable_external_access = false",
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Unique column names, and rows of values, of which only a few are in memory."""

    names: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]

    def dicts(self) -> Iterator[dict[str, Any]]:
        """The rows as dictionaries by column name."""
        for row in self.rows:
            yield dict(zip(self.names, row, strict=True))


class Catalogue:
    """A catalogue written by ``regengine catalogue build``, opened for queries.

    A context manager. StoreError if the file is not a catalogue, ConfigError if DuckDB or PyArrow
    is missing.
    """

    def __init__(self, path: Path) -> None:
        need_packages()
        import duckdb

        file = str(path.absolute())
        if set("*?") & set(file):  # DuckDB would take them for a glob pattern
            raise StoreError(f"{path} cannot be read: rename it without * and ?.")
        self.path = path
        self.metadata = _metadata(path)
        # An in-memory database that may read only this file, permanently
        self._base = duckdb.connect(":memory:")
        self._base.execute("SET allowed_paths = $paths", {"paths": [file]})
        for setting in SETTINGS:
            self._base.execute(f"SET {setting}")
        self._base.read_parquet(file).create_view("frames")
        self._base.execute("SET lock_configuration = true")

    def __enter__(self) -> Catalogue:
        return self

    def __exit__(self, *_: object) -> None:
        self._base.close()

    def narrow(self, choice: FrameChoice) -> None:
        """Restrict the catalogue to frames that meet conditions, and rank within places again.

        ConfigError if the condition on columns is not valid.
        """
        quoted = ", ".join(f"'{verdict}'" for verdict in choice.verdicts)
        conditions = [f"verdict IN ({quoted})"]
        if choice.reviewed:
            conditions.append("decision = 'accepted'")
        if choice.where is not None:
            case, bare = wrap_condition(choice.where, NAMES)
            for expression in (bare, case):
                try:
                    self.query(f"SELECT {expression} FROM frames LIMIT 0")  # noqa: S608
                except ConfigError as error:
                    said = str(error.__cause__ or "it is more than an expression")
                    why = next(iter(said.splitlines()), said)
                    raise make_condition_error(choice.where, why, NAMES) from error
            conditions.append(f"{case} = 1")
        met = " AND ".join(conditions)
        self._base.execute("ALTER VIEW frames RENAME TO all_frames")
        self._base.execute(f"CREATE VIEW frames AS {NARROWED} WHERE {met}")

    def ask(self, sql: str, values: Sequence[Any] | dict[str, Any] = ()) -> Answer:
        """Ask a question of our own, whose answer is to be read before the next one.

        It is one statement on the view ``frames``, which has the columns of
        `regengine.frames.catalogue.table.COLUMNS`; ``values`` stand for its question marks, or
        for its names behind dollars. StoreError if the file is damaged.
        """
        return self._answer(sql, values, None)

    def query(self, sql: str) -> Answer:
        """Run a query from a user; ConfigError if it is not a single SELECT statement, or fails."""
        import duckdb

        with self._raise_in_words(sql):
            kinds = [statement.type for statement in self._base.extract_statements(sql)]
            if kinds != [duckdb.StatementType.SELECT]:  # EXPLAIN ANALYZE would execute its query
                example = "SELECT place, count(*) FROM frames GROUP BY place"
                raise ConfigError(f'{sql!r} is not one query: write one such as "{example}".')
        return self._answer(sql, (), sql)

    def _answer(
        self, sql: str, values: Sequence[Any] | dict[str, Any], asked: str | None
    ) -> Answer:
        with self._raise_in_words(asked):
            batches = self._base.sql(sql, params=values or None).to_arrow_reader(ROWS)
        names: list[str] = []
        for name in batches.schema.names:
            while name in names:
                name += "_1"
            names.append(name)

        def rows() -> Iterator[tuple[Any, ...]]:
            with self._raise_in_words(asked):
                for batch in batches:
                    yield from zip(*(column.to_pylist() for column in batch), strict=True)

        return Answer(names=tuple(names), rows=rows())

    @contextmanager
    def _raise_in_words(self, asked: str | None = None) -> Iterator[None]:
        """Convert DuckDB's errors about a user's query, or about the file, to messages."""
        import duckdb
        import pyarrow as pa

        try:
            yield
        except (duckdb.Error, pa.ArrowException) as error:
            said = next(iter(str(error).splitlines()), type(error).__name__)
            damage = duckdb.IOException | duckdb.InternalException | duckdb.SerializationException
            ours = isinstance(error, damage | pa.ArrowException) or type(error) is duckdb.Error
            if asked is None or ours:
                raise StoreError(f"{self.path} cannot be read ({said}): build it again.") from error
            why = find_unknown_column(said, NAMES) or said
            raise ConfigError(
                f"{asked!r} cannot be run ({why}): docs/catalogue.md describes the columns."
            ) from error


def _metadata(path: Path) -> dict[str, str]:
    """Metadata of a catalogue's file."""
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file():
        raise StoreError(
            f"{path} does not exist: name a catalogue made with regengine catalogue build."
        )
    try:
        metadata = parquet.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise StoreError(
            f"{path} is not a catalogue, or is damaged: make one with regengine catalogue build."
        ) from error
    told = {key.decode(): value.decode() for key, value in metadata.items()}
    version = told.get(FORMAT)
    if version is None:
        raise StoreError(
            f"{path} is a Parquet file, but not a catalogue: make one with regengine catalogue "
            "build."
        )
    if version != str(FORMAT_VERSION):
        raise StoreError(f"{path} is a catalogue of version {version}: build it again.")
    return told


# Some of the frames, with the best of these; see `regengine.frames.catalogue.build`
NARROWED = """
SELECT * REPLACE (
    place_id IS NOT NULL AND month IS NOT NULL AND quality IS NOT NULL AND row_number() OVER
        (PARTITION BY place_id, month
        ORDER BY quality DESC NULLS LAST, time_utc, store, frame_index) = 1 AS best_of_month,
    place_id IS NOT NULL AND month IS NOT NULL AND quality IS NOT NULL AND row_number() OVER
        (PARTITION BY place_id, left(month, 4)
        ORDER BY quality DESC NULLS LAST, time_utc, store, frame_index) = 1 AS best_of_year
) FROM all_frames
"""

# Predefined queries, as SQL on ``frames``.

Question = tuple[str, dict[str, Any]]
# Rows that show a place, or are of one of that name or number, of a country, of a month or year;
# NULL asks for all
OF_PLACES = """
place_id IS NOT NULL
    AND ($place::VARCHAR IS NULL OR lower(place) = lower($place) OR place_id::VARCHAR = $place
        OR list_contains($showing, concat(store, ' ', frame_index)))
    AND ($country::VARCHAR IS NULL OR lower(place_country) = lower($country))
    AND ($month::VARCHAR IS NULL OR starts_with(month, $month))
"""
PLACES = f"""
SELECT place_id, any_value(place) AS place, any_value(place_country) AS country,
    round(any_value(place_lon), 3) AS lon, round(any_value(place_lat), 3) AS lat,
    count(*) AS frames, count(DISTINCT night) AS nights,
    min(night) AS first_night, max(night) AS last_night,
    round(max(quality) FILTER (verdict = 'accepted'), 3) AS best_quality,
    arg_max(frame, quality) FILTER (verdict = 'accepted') AS best_frame
FROM frames WHERE {OF_PLACES}
GROUP BY place_id ORDER BY frames DESC, place_id LIMIT $limit
"""  # noqa: S608
BEST = f"""
SELECT place_id, place, place_country AS country, month, frame,
    round(quality, 3) AS quality, round(sharpness, 3) AS sharpness,
    round(cloud, 3) AS cloud, round(off_nadir_deg, 1) AS off_nadir_deg,
    round(resolution_m, 1) AS resolution_m, time_utc, path
FROM frames WHERE best_of_month AND {OF_PLACES}
ORDER BY place_id, month LIMIT $limit
"""  # noqa: S608
IN_BOX = """
SELECT concat(store, ' ', frame_index) AS key, geometry FROM frames
WHERE place_id IS NOT NULL AND geometry IS NOT NULL AND $lat BETWEEN south AND north
    AND CASE WHEN west <= east THEN $lon BETWEEN west AND east ELSE $lon >= west OR $lon <= east END
"""
MIN_DAYS = 180  # between two frames to compare for changes
CHANGES = """
WITH best AS MATERIALIZED (
    SELECT place_id, place, place_country AS country, frame, night,
        night + $least_days::INTEGER AS next_night, quality,
        off_nadir_deg AS off_nadir, resolution_m AS resolution, west,
        (east - west + 360.0) % 360.0 AS width, south, north
    FROM frames WHERE {best} AND west IS NOT NULL AND {places}
), pairs AS (
    SELECT a.place_id, a.night AS night_before, b.night AS night_after,
        least(a.quality, b.quality)
            * least(a.resolution / b.resolution, b.resolution / a.resolution)
            * cos(radians(a.off_nadir - b.off_nadir)) AS alike,
        (b.west - a.west + 540.0) % 360.0 - 180.0 AS shift,
        greatest(least(a.width, shift + b.width) - greatest(0.0, shift), 0.0)
            * greatest(least(a.north, b.north) - greatest(a.south, b.south), 0.0) AS common,
        a.width * (a.north - a.south) + b.width * (b.north - b.south) - common AS either
    FROM best a JOIN best b ON a.place_id = b.place_id AND b.night >= a.next_night
), top AS (
    SELECT place_id, night_before, night_after, common / either AS overlap,
        alike * overlap AS score
    FROM pairs WHERE common > 0.0
    ORDER BY score DESC, place_id, night_before, night_after LIMIT $limit
)
SELECT place_id, a.place, a.country, a.frame AS before, b.frame AS after, night_before,
    night_after, night_after - night_before AS days, round(overlap, 3) AS overlap,
    round(a.quality, 3) AS quality_before, round(b.quality, 3) AS quality_after,
    round(score, 4) AS score
FROM top JOIN best a USING (place_id) JOIN best b USING (place_id)
WHERE a.night = night_before AND b.night = night_after
ORDER BY top.score DESC, place_id, night_before, night_after
"""
BEST_OF = {"year": "best_of_year", "month": "best_of_month"}


def about_places(
    place: str | None, country: str | None, month: str | None, limit: int
) -> dict[str, Any]:
    """Values for `PLACES` and `BEST`; ConfigError if the limit is not valid."""
    if limit < 0:
        raise ConfigError(f"--limit {limit}: give the maximum number of rows, or 0 for all.")
    values = {"place": place, "country": country, "month": month, "limit": limit or None}
    return values | {"showing": []}


def rows_showing(catalogue: Catalogue, name: str) -> list[str]:
    """Store and number of the frames whose footprint contains a town; empty for an unknown town."""
    import shapely

    from regengine.maps.places import place_index

    found = place_index().search(name, 1)
    if not found:
        return []
    lon, lat = found[0].lon, found[0].lat
    rows = catalogue.ask(IN_BOX, {"lon": lon, "lat": lat}).rows
    return [key for key, shape in rows if shapely.intersects_xy(shapely.from_wkb(shape), lon, lat)]


def changes(
    place: str | None, country: str | None, limit: int, each: str = "year",
    least_days: int = MIN_DAYS,
) -> Question:  # fmt: skip
    """Pairs of frames of one place at different dates, the best pairs first.

    The score of a pair is the lower of the two qualities, times the share of ground that both cover
    (of the boxes around their footprints), times the similarity of their resolutions, times the
    cosine of the difference of their off-nadir angles. The difference should be due to the town,
    not the view (Li et al. 2019, Remote Sensing of Environment 233, 111357, on the apparent change
    of lights with the view angle). Pairs are of the best frames of each ``year``, or, for one
    place, of each ``month``, at least so many days apart.
    """
    if each not in BEST_OF:
        raise ConfigError(f"--each {each} is unknown: choose from {', '.join(BEST_OF)}.")
    if each == "month" and place is None:
        raise ConfigError("--each month needs --place; without a place, compare years.")
    if least_days < 1:
        raise ConfigError(f"--least-days {least_days}: give at least one day.")
    values = about_places(place, country, None, limit) | {"least_days": least_days}
    return CHANGES.format(best=BEST_OF[each], places=OF_PLACES), values


BY = ("all", "country", "month", "lens")
COVERAGE = """
SELECT {named} count(*) AS frames, count(*) FILTER (verdict = 'accepted') AS accepted,
    count(DISTINCT night) FILTER (verdict = 'accepted') AS nights,
    count(DISTINCT place_id) FILTER (verdict = 'accepted') AS places,
    MAP($values::VARCHAR[], $areas::DOUBLE[])[{key}] AS area_seen_km2,
    min(night) FILTER (verdict = 'accepted') AS first_night,
    max(night) FILTER (verdict = 'accepted') AS last_night,
    round(median(quality) FILTER (verdict = 'accepted'), 3) AS median_quality
FROM frames {grouped}
"""


def coverage(catalogue: Catalogue, by: str = "all") -> Answer:
    """How much was photographed, in all or a row for each country, month or lens.

    ``frames`` are of any verdict; all else is of the accepted ones, ``area_seen_km2`` being ground
    that at least one of them shows. ConfigError if there is no such division.
    """
    if by not in BY:
        raise ConfigError(f"--by {by} is unknown: choose from {', '.join(BY)}.")
    areas = json.loads(catalogue.metadata.get(AREAS, "{}")).get(by, {})
    values = {"values": list(areas), "areas": list(areas.values())}
    if by == "all":
        return catalogue.ask(COVERAGE.format(named="", key="''", grouped=""), values)
    order = by if by == "month" else f"accepted DESC, {by}"
    grouped = f"GROUP BY {by} ORDER BY {order}"
    return catalogue.ask(COVERAGE.format(named=f"{by},", key=by, grouped=grouped), values)


FORMS = ("table", "csv", "json")
LOOKED_AT = 1000  # rows that determine the column widths of a table
WIDEST = 60  # maximum characters of a table's column


def format_lines(answer: Answer, form: str) -> Iterator[str]:
    """Format a result as lines of a ``table``, of ``csv`` or of ``json``.

    Lines contain no line breaks except within a cell of CSV. ConfigError for other forms.
    """
    if form not in FORMS:
        raise ConfigError(f"--format {form} is unknown: choose from {', '.join(FORMS)}.")
    lines = (json.dumps(plain(row, str), default=_to_json) for row in answer.dicts())
    if form == "json":
        yield from lines
        return
    rows = (
        {
            name: json.dumps(value) if isinstance(value, list | dict) else value
            for name, value in json.loads(line).items()
        }
        for line in lines
    )
    if form == "csv":
        yield from csv_lines([[name_cell(name) for name in answer.names]])
        yield from csv_lines([cell(*item) for item in row.items()] for row in rows)
    else:
        yield from _table(answer.names, rows)


def _to_json(value: Any) -> object:
    """Convert a value for JSON: times to ISO 8601 in UTC, bytes to hexadecimal digits."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return iso_utc(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def _table(names: tuple[str, ...], rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    first = list(islice(rows, LOOKED_AT))
    forms = []
    for name in names:
        column = [row[name] for row in first]
        width = min(max([len(name), *(len(_format_cell(value)) for value in column)]), WIDEST)
        # Numbers are right-aligned
        numbers = column and all(value is None or type(value) in (int, float) for value in column)
        forms.append(f"{'>' if numbers else '<'}{width}")
    for texts in chain([names], (map(_format_cell, row.values()) for row in chain(first, rows))):
        yield "  ".join(map(format, texts, forms)).rstrip()


def _format_cell(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "" if value is None else str(value).lower()
    text = shorten_to_line(str(value))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
