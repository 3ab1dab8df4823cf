"""A script for a database server: it makes the tables and loads the photos into them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from regengine.export.format import FileFormat
from regengine.export.frame import ExportFrame
from regengine.export.options import ExportOptions
from regengine.export.sql.script import Script


def _write(frames: Iterator[ExportFrame], path: Path, options: ExportOptions) -> None:
    dialect = importlib.import_module(f"regengine.export.sql.{options.dialect}").DIALECT
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        Script(stream, dialect).write(frames)


FORMAT = FileFormat(
    summary="photos and control points as a script for a database server",
    endings=(".sql",),
    write=_write,
)
