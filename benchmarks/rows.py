"""Tables: rows as JSON lines, that grow row by row and survive an interruption; real photos."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from regengine.errors import ConfigError

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


def list_photos(real: Path, *folders: str) -> list[dict[str, str]]:
    """Rows of the indices of the real photographs, each with its `path`, of files that are there.

    Of the folder ``photos`` where none is named; ConfigError without its index.
    """
    if not (real / "photos" / "index.csv").is_file():
        raise ConfigError(f"{real} holds no photos/index.csv: give the folder of the real data.")
    rows = []
    for folder in folders or ("photos",):
        index = real / folder / "index.csv"
        for row in read_csv(index) if index.is_file() else []:
            if (real / folder / row["file"]).is_file():
                rows.append(row | {"path": str(real / folder / row["file"])})
    return rows
