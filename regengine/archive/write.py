"""The table of photos as CSV, NDJSON or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from regengine.archive.row import COLUMNS, LISTS, FrameRow
from regengine.csv_cells import name_cell
from regengine.errors import ConfigError
from regengine.export.run import in_place_of

ENDINGS = (".csv", ".ndjson", ".jsonl", ".parquet")
_TEXTS = ("frame_id", "camera", "place", "features", "caption", "record_type")


def check_table(out: Path, force: bool) -> None:
    """See to it, before anything is read or asked for, that a table can be written.

    Raises
    ------
    ConfigError
        If not.
    """
    if out.suffix.lower() not in ENDINGS:
        raise ConfigError(f"--out {out}: the name of a table ends in {', '.join(ENDINGS)}.")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out} cannot be written: name a file in a folder that exists.")
    if (out.exists() or out.is_symlink()) and not force:
        raise ConfigError(f"--out {out} exists: name another file, or replace it with --force.")
    if out.suffix.lower() == ".parquet":
        _arrow()


def write_table(rows: Sequence[FrameRow], out: Path) -> None:
    """Write a table whole or not at all, in the format that its name ends in.

    Parameters
    ----------
    rows : sequence of FrameRow
        The photos.
    out : Path
        Replaced if it exists, see `check_table`.

    Raises
    ------
    ConfigError
        If pyarrow is missing for Parquet.
    StoreError
        If the file cannot be written.
    """
    ending = out.suffix.lower()
    with in_place_of((out,)) as (temporary,):
        if ending == ".parquet":
            _write_parquet(rows, temporary)
        else:
            text = csv_text(rows) if ending == ".csv" else ndjson_text(rows)
            temporary.write_text(text, encoding="utf-8", newline="")


def csv_text(rows: Sequence[FrameRow]) -> str:
    """Rows as CSV with a header; ``register --metadata`` reads it."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(name, value) for name, value in record(row).items()])
    return stream.getvalue()


def ndjson_text(rows: Sequence[FrameRow]) -> str:
    """Rows as a JSON object a line; what nobody tells is null."""
    return "".join(json.dumps(record(row), ensure_ascii=False) + "\n" for row in rows)


def record(row: FrameRow) -> dict[str, Any]:
    """A row as values that JSON has; empty texts are None."""
    return {name: _plain(getattr(row, name)) for name in COLUMNS}


def time_text(time: datetime) -> str:
    """``2012-03-28T15:46:41Z``, with its fraction of a second where it has one."""
    return time.isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, tuple):
        return list(value)
    return None if value == "" else value


def _cell(name: str, value: Any) -> Any:
    if name in LISTS:
        return name_cell("; ".join(value))
    if name in _TEXTS and value is not None:
        return name_cell(value)
    return "" if value is None else value


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise ConfigError(
            "Parquet needs pyarrow: install regengine[parquet], or take .csv or .ndjson."
        ) from error
    return pyarrow


def _write_parquet(rows: Sequence[FrameRow], path: Path) -> None:
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
