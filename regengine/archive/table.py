"""Any file that tells of photos, whoever has written it, as one row a photo."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regengine.archive.interpret import (
    clean_text,
    interpret,
    known_columns,
    mission_in,
)
from regengine.archive.row import FrameRow, merged
from regengine.errors import ConfigError, EphemerisError
from regengine.io.tables import read_csv, utf16_codec
from regengine.orbit.position import contradicts, element_sets
from regengine.orbit.propagation import camera_position, position_from_nadir

if TYPE_CHECKING:
    from regengine.orbit.tle import TleSet

LARGEST_BYTES = 1 << 28  # the whole archive, 5 million photos, is asked for in parts
LONGEST_LINE = 1 << 20  # of a record that is a line
NAMING = {"frame_id", "frame", "bare_id"}
WEB_PAGE = ("<!doctype", "<html", "<?xml")
# Nine in ten element sets of this age are right to 180 km (docs/orbit.md); of older ones only the
# orbit's plane is sure, and honest rows would be accused.
OLDEST_SET_H = 72.0
_ANY_ALTITUDE_KM = 400.0  # what lies below does not depend on it by more than the tolerance


def read_cells(path: Path) -> Iterator[dict[str, str]]:
    """Rows, as texts by heading, of a file of any kind that archives and volunteers keep."""
    text = read_any_text(path)
    start = text.lstrip()[:512]
    if start.lower().startswith(WEB_PAGE):
        raise refused(path, "it is a web page, not a table: the page may say why")
    if start[:1] == "[":
        yield from _of_json(path, text)
    elif start[:1] == "{":
        first = text.lstrip().partition("\n")[0].rstrip()
        lines = first.endswith("}") and len(first) > 2 and "\n" in text.strip()
        yield from (_of_lines(path, text) if lines or first[1:2] == "'" else _of_json(path, text))
    elif not start:
        raise refused(path, "it is empty")
    else:
        yield from _of_table(path, text)


def read_any_text(path: Path) -> str:
    """Text of a file: UTF-8 or UTF-16, else each line that is not UTF-8 as Windows-1252."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise refused(path, f"it has more than {LARGEST_BYTES >> 20} MB: split it")
        data = path.read_bytes()
    except OSError as error:
        raise refused(path, error.strerror or str(error)) from error
    if (codec := utf16_codec(data)) is not None:
        return data.decode(codec, errors="replace")
    if b"\0" in data[:4096]:
        raise refused(path, "it is no text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "".join(_decoded(line) for line in data.splitlines(keepends=True))


def _decoded(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")


def refused(path: Path, why: str) -> ConfigError:
    """One sentence for a file that is not read."""
    return ConfigError(
        f"{path} cannot be read as a table of photos ({why}); give the archive's text tables or "
        "JSON, or CSV with a line of headings."
    )


def _of_table(path: Path, text: str) -> Iterator[dict[str, str]]:
    rows = read_csv(text)
    try:
        _, headings = next(rows, (0, []))
        names = [heading.strip() or f"#{index}" for index, heading in enumerate(headings)]
        for _, cells in rows:
            if any(cells):
                yield dict(zip(names, cells, strict=False))
    except csv.Error as error:
        raise refused(path, str(error)) from error


def _of_json(path: Path, text: str) -> Iterator[dict[str, str]]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused(path, f"its JSON is damaged or cut short: {error}") from error
    if isinstance(said, dict) and known_columns(map(str, said)).keys() & NAMING:
        said = [said]  # one record
    elif isinstance(said, dict) and not all(isinstance(value, dict) for value in said.values()):
        told = next((str(v) for k, v in said.items() if k in ("error", "result")), "")
        raise refused(path, f"it holds no rows{': ' + told[:100] if told else ''}")
    if isinstance(said, dict):
        said = [{"path": key, **value} for key, value in said.items()]
    for number, record in enumerate(said, start=1):
        if not isinstance(record, dict):
            raise refused(path, f"its item {number} is no object")
        yield _texts(record)


def _of_lines(path: Path, text: str) -> Iterator[dict[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            if len(line) > LONGEST_LINE:
                raise ValueError("it is too long")
            record = _record(line)
        except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
            raise refused(path, f"line {number} is no record ({error})") from error
        if not isinstance(record, dict):
            raise refused(path, f"line {number} is no record")
        yield _texts(record)


def _record(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return ast.literal_eval(line.strip())  # constants alone, nothing is run


def _texts(record: dict[Any, Any]) -> dict[str, str]:
    return {
        str(key): ""
        if value is None
        else "; ".join(map(str, value))
        if isinstance(value, list)
        else str(value)
        for key, value in record.items()
    }


@dataclass(frozen=True, kw_only=True)
class FrameTable:
    """One row a photo, in the order in which the photos came first.

    ``read`` rows were read; of these, ``nameless`` ones name no photo.
    """

    rows: tuple[FrameRow, ...]
    read: int
    nameless: int

    @property
    def doubtful(self) -> int:
        """How many photos have a value that was left out or that tables disagree on."""
        return sum(bool(row.problems) for row in self.rows)


def gathered(rows: Iterable[FrameRow | None]) -> FrameTable:
    """Rows of the same photo put together, see `regengine.archive.row.merged`."""
    by_id: dict[str, FrameRow] = {}
    read = nameless = 0
    for row in rows:
        read += 1
        if row is None:
            nameless += 1
            continue
        known = by_id.get(row.frame_id)
        by_id[row.frame_id] = row if known is None else merged(known, row)
    return FrameTable(rows=tuple(by_id.values()), read=read, nameless=nameless)


def read_tables(paths: Iterable[Path]) -> FrameTable:
    """Read files that tell of photos, whoever has written them, into one table.

    Files are as `read_cells` takes them. What an earlier one tells of a photo comes before what a
    later one tells. ConfigError if a file cannot be read, or names no photo at all.
    """
    return gathered(row for path in paths for row in _rows(path))


def _rows(path: Path) -> list[FrameRow | None]:
    name, mission = clean_text(path.name), mission_in(path.stem)
    rows = [interpret(row, source=name, mission=mission) for row in read_cells(path)]
    if not any(row is not None for row in rows):
        raise refused(path, "none of its rows names a photo, such as ISS030-E-184140")
    return rows


def checked(table: FrameTable, tle: Path) -> FrameTable:
    """A table with a problem noted at each row that the orbit of element sets contradicts.

    Rows without time or nadir stay as they are, as do those three days and more from any set.
    EphemerisError if the file holds no element sets.
    """
    tles = element_sets(tle)
    return replace(table, rows=tuple(_checked(row, tles) for row in table.rows))


def _checked(row: FrameRow, tles: TleSet) -> FrameRow:
    if row.time_utc is None or row.nadir_lat is None or row.nadir_lon is None:
        return row
    try:
        orbit = camera_position(tles, row.time_utc)
    except EphemerisError:
        return row
    if orbit.tle_age_h is None or abs(orbit.tle_age_h) > OLDEST_SET_H:
        return row
    altitude_km = row.altitude_km or _ANY_ALTITUDE_KM
    given = position_from_nadir(
        row.nadir_lon, row.nadir_lat, altitude_km, "record", time_utc=row.time_utc
    )
    if not contradicts(given, orbit):
        return row
    told = (
        f"time and nadir cannot both be right: the station was above {orbit.lat:.1f}, "
        f"{orbit.lon:.1f}"
    )
    return replace(row, problems=(*row.problems, told))
