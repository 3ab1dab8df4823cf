"""Tables of the archive's photos: check them against the orbit, and write them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regengine.errors import ConfigError
from regengine.io.atomic import replace_files
from regengine.io.extras import make_missing_error
from regengine.io.tables import cell, csv_lines
from regengine.io.times import iso_utc
from regengine.photo.records import COLUMNS, LISTS, FrameRecord

if TYPE_CHECKING:
    pass

ENDINGS = (".csv", ".ndjson", ".jsonl", ".parquet")
_TEXTS = ("frame_id", "camera", "place", "features", "caption", "record_type")


def check_table(out: Path, force: bool) -> None:
    """Raise ConfigError, before any request, if a table cannot be written."""
    if out.suffix.lower() not in ENDINGS:
        raise ConfigError(f"--out {out}: the table's file name must end in {', '.join(ENDINGS)}.")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out} cannot be written: the folder does not exist.")
    if (out.exists() or out.is_symlink()) and not force:
        raise ConfigError(f"--out {out} exists: name another file, or replace it with --force.")
    if out.suffix.lower() == ".parquet":
        _arrow()


def write_table(rows: Sequence[FrameRecord], out: Path) -> None:
    """Write a table atomically, in the format of its file name, see `check_table`.

    Raises ConfigError if pyarrow is missing for Parquet, and StoreError if the file cannot be
    written.
    """
    ending = out.suffix.lower()
    with replace_files((out,)) as (temporary,):
        if ending == ".parquet":
            _write_parquet(rows, temporary)
        else:
            text = format_csv(rows) if ending == ".csv" else format_ndjson(rows)
            temporary.write_text(text, encoding="utf-8", newline="")


def format_csv(rows: Sequence[FrameRecord]) -> str:
    """Yield rows as CSV with a header, which ``register --metadata`` reads."""
    cells = ([_cell(*one) for one in record(row).items()] for row in rows)
    return "".join(f"{line}\n" for line in (*csv_lines([COLUMNS]), *csv_lines(cells)))


def format_ndjson(rows: Sequence[FrameRecord]) -> str:
    """Yield rows as JSON objects, one per line; unknown values are null."""
    return "".join(json.dumps(record(row)) + "\n" for row in rows)


def record(row: FrameRecord) -> dict[str, Any]:
    """Convert a row to JSON values; empty texts are None."""
    return {name: _plain(getattr(row, name)) for name in COLUMNS}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_utc(value)
    if isinstance(value, tuple):
        return list(value)
    return None if value == "" else value


def _cell(name: str, value: Any) -> object:
    return cell(name, "; ".join(value) if name in LISTS else value)


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise make_missing_error("Parquet", error, instead="use .csv or .ndjson") from error
    return pyarrow


def _write_parquet(rows: Sequence[FrameRecord], path: Path) -> None:
    pa = _arrow()
    from pyarrow import parquet

    def kind(name: str) -> Any:
        if name == "time_utc":
            return pa.timestamp("us", tz="UTC")
        if name in LISTS:
            return pa.list_(pa.string())
        return pa.string() if name in _TEXTS else pa.float64()

    schema = pa.schema([pa.field(name, kind(name)) for name in COLUMNS])
    columns = {
        name: [
            value if name == "time_utc" else _plain(value)
            for value in (getattr(row, name) for row in rows)
        ]
        for name in COLUMNS
    }
    parquet.write_table(pa.Table.from_pydict(columns, schema=schema), path, compression="zstd")
