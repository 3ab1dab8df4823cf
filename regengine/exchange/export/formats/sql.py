"""A script for a database server, a batch of frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.sql.columns import SqlTable
from regengine.exchange.export.sql.dialects import DIALECTS, NULL, Dialect

# MySQL's servers refuse statements longer than max_allowed_packet, 1 MiB in the oldest
BATCH_BYTES = 256 * 1024
BATCH_FRAMES = 200


class Script:
    """Writes statements that make a server's tables and load frames into them."""

    def __init__(self, stream: TextIO, dialect: Dialect) -> None:
        self._stream = stream
        self._dialect = dialect
        self._keys: set[str] = set()
        self._rows: dict[str, list[str]] = {}
        self._bytes: dict[str, int] = {}
        self._start_batch()

    def write(self, frames: Iterator[ExportFrame]) -> None:
        """Write the whole script."""
        self._stream.write(self._dialect.head)
        for frame in frames:
            self.add(frame)
        self.finish_batch()
        self._stream.write(self._dialect.tail)

    def add(self, frame: ExportFrame) -> None:
        """Add a frame; what is full is written first."""
        tables = (self._dialect.photos, *self._dialect.parts)
        rows = {table.name: self._rows_of(table, frame) for table in tables}
        key = self._dialect.photos.columns[0].value(frame, 0)
        sizes = {name: sum(len(row.encode()) + 2 for row in of) for name, of in rows.items()}
        full = any(self._bytes[name] + size > BATCH_BYTES for name, size in sizes.items())
        # No statement may meet the same photo twice
        if full or len(self._keys) >= BATCH_FRAMES or key in self._keys:
            self.finish_batch()
        self._keys.add(key)
        for name, found in rows.items():
            self._rows[name] += found
            self._bytes[name] += sizes[name]

    def finish_batch(self) -> None:
        """Write the statements of the frames that were added since the last batch."""
        if not self._keys:
            return
        photos = self._dialect.photos
        self._insert(photos, self._dialect.on_known_photo())
        key_column = photos.columns[0]
        keys = ", ".join(self._dialect.literal(key_column.kind, key) for key in sorted(self._keys))
        for table in self._dialect.parts:
            where = f"WHERE {key_column.name} IN ({keys})"
            # Names of our own tables alone, and keys of hexadecimal digits
            self._stream.write(f"DELETE FROM {table.name} {where};\n")  # noqa: S608
            self._insert(table, "")
        self._start_batch()

    def _insert(self, table: SqlTable, end: str) -> None:
        rows = self._rows[table.name]
        if rows:
            names = ", ".join(column.name for column in table.written)
            # Names of our own; the rows are literals of the dialect
            self._stream.write(f"INSERT INTO {table.name} ({names}) VALUES\n")
            self._stream.write(",\n".join(rows))
            self._stream.write(f"{end};\n")

    def _rows_of(self, table: SqlTable, frame: ExportFrame) -> list[str]:
        return [
            "(" + ", ".join(self._cells(table, frame, number)) + ")"
            for number in range(table.rows(frame))
        ]

    def _cells(self, table: SqlTable, frame: ExportFrame, number: int) -> Iterator[str]:
        for column in table.written:
            value = column.value(frame, number)
            missing = value is None or value == ""
            yield NULL if missing else self._dialect.literal(column.kind, value)

    def _start_batch(self) -> None:
        names = [table.name for table in (self._dialect.photos, *self._dialect.parts)]
        self._keys = set()
        self._rows = {name: [] for name in names}
        self._bytes = dict.fromkeys(names, 0)


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    assert options.dialect is not None  # checked before the store is read
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        Script(stream, DIALECTS[options.dialect]).write(frames)


FORMATS = {
    "sql": FileFormat(
        endings=(".sql",),
        write=_write,
    )
}
