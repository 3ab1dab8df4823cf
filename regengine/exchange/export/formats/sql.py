"""Write a script for a database server, a batch of frames at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from regengine.exchange.export.format import ExportOptions, FileFormat
from regengine.exchange.export.frame import ExportFrame
from regengine.exchange.export.sql.columns import SqlTable
from regengine.exchange.export.sql.dialects import DIALECTS, NULL, Dialect

# MySQL servers reject statements longer than max_allowed_packet, 1 MiB in the oldest
BATCH_BYTES = 256 * 1024
BATCH_FRAMES = 200


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    assert options.dialect is not None  # checked before the store is read
    dialect = DIALECTS[options.dialect]
    tables = (dialect.photos, *dialect.parts)
    key_of = dialect.photos.columns[0].value
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(dialect.head)
        keys: set[str] = set()
        batch: dict[str, list[str]] = {table.name: [] for table in tables}
        held = dict.fromkeys(batch, 0)
        for frame in frames:
            rows = {table.name: _rows_of(table, frame, dialect) for table in tables}
            sizes = {name: sum(len(row.encode()) + 2 for row in of) for name, of in rows.items()}
            full = any(held[name] + size > BATCH_BYTES for name, size in sizes.items())
            # No statement may contain the same photo twice
            if keys and (full or len(keys) >= BATCH_FRAMES or key_of(frame, 0) in keys):
                _write_batch(stream, dialect, keys, batch)
                keys, batch, held = set(), {name: [] for name in batch}, dict.fromkeys(batch, 0)
            keys.add(key_of(frame, 0))
            for name, found in rows.items():
                batch[name] += found
                held[name] += sizes[name]
        if keys:
            _write_batch(stream, dialect, keys, batch)
        stream.write(dialect.tail)


def _rows_of(table: SqlTable, frame: ExportFrame, dialect: Dialect) -> list[str]:
    rows = []
    for number in range(table.rows(frame)):
        values = [(column.kind, column.value(frame, number)) for column in table.written]
        cells = (NULL if v is None or v == "" else dialect.literal(kind, v) for kind, v in values)
        rows.append(f"({', '.join(cells)})")
    return rows


def _write_batch(
    stream: TextIO, dialect: Dialect, keys: set[str], batch: dict[str, list[str]]
) -> None:
    """Replace existing photos and the rows that refer to them."""
    key_column = dialect.photos.columns[0]
    literals = ", ".join(dialect.literal(key_column.kind, key) for key in sorted(keys))
    for table in (dialect.photos, *dialect.parts):
        if table is not dialect.photos:
            # Contains only names of our own tables, and keys of hexadecimal digits
            where = f"WHERE {key_column.name} IN ({literals})"
            stream.write(f"DELETE FROM {table.name} {where};\n")  # noqa: S608
        if rows := batch[table.name]:
            names = ", ".join(column.name for column in table.written)
            end = dialect.on_known_photo if table is dialect.photos else ""
            # The rows are literals of the dialect
            stream.write(f"INSERT INTO {table.name} ({names}) VALUES\n")
            stream.write(",\n".join(rows) + f"{end};\n")


FORMATS = {
    "sql": FileFormat(
        endings=(".sql",),
        write=_write,
    )
}
