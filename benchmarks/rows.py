"""A table on disk of rows as JSON lines, that grows row by row and survives being interrupted."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Write one row to the disk; a line that an interrupted run left torn is taken away before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(row, ensure_ascii=False, default=lambda value: value.tolist())
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.truncate(path.read_bytes().rfind(b"\n") + 1)
        file.write(line.encode("utf-8") + b"\n")


def read_rows(*paths: Path) -> list[Row]:
    """Rows of some tables, one after the other; none of a table that does not exist, or is torn."""
    rows: list[Row] = []
    for path in paths:
        if path.exists():
            with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
                rows += [json.loads(line) for line in file if line.endswith(b"\n")]
    return rows


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
