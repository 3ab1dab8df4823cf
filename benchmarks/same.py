"""Whether two runs came to the same: stores, records and exports, value by value.

Two files are compared, or two folders file by file. Whatever the format, a file is read as *rows*
of named values: the frames of a store with their rows of all groups, the records of an NDJSON file,
the features of a layer, the lines of a text. Rows are joined by what names them, not by where they
stand, and what two equal runs may differ in is left out: columns that a store marks volatile, times
of running, seconds, versions, and the names of the runs' own folders where a text tells them.
"""

from __future__ import annotations

import filecmp
import fnmatch
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from typer import Argument, Option

from benchmarks.rows import read_csv
from regengine.errors import ConfigError

Rows = dict[str, dict[str, Any]]  # row, column, value: what each format is read as

# Names of values that say when, how fast and by what command a run was made.
VOLATILE = (
    *("seconds", "version", "engine_version", "package_versions", "command_line", "times"),
    *("created", "updated", "processed_utc", "reported_utc", "made_at", "last_change"),
    *("TIFFTAG_DATETIME", "TIFFTAG_SOFTWARE"),
)
LOGS = {".err", ".log", ".lock", ".tmp"}  # what was said on the way is no result


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One value that is not the same in both runs; None where a run does not have it."""

    file: str
    row: str
    column: str
    first: Any
    second: Any

    def __str__(self) -> str:
        """``file: row: column: first | second``, each value cut to a readable length."""
        parts = [self.file, self.row, self.column, f"{_short(self.first)} | {_short(self.second)}"]
        return ": ".join(part for part in parts if part)


def compare(first: Path, second: Path, ignored: Sequence[str] = ()) -> Iterator[Difference]:
    """Everything in which two files of a format, or two folders, differ.

    `ignored`: names or patterns of further columns that may. ConfigError if a run is missing or
    unreadable, or one is a file and the other a folder.
    """
    for path in (first, second):
        if not path.exists():
            raise ConfigError(f"{path}: no such file or folder")
    if first.is_dir() != second.is_dir():
        raise ConfigError(f"{first} and {second}: one is a file and one a folder")
    if first.is_file() and first.suffix != second.suffix:
        raise ConfigError(f"{first} and {second}: these are two formats")
    volatile = (*VOLATILE, *ignored)
    whole = first.is_dir()
    folders = (first, second) if whole else (first.parent, second.parent)
    files = [_files(first), _files(second)] if whole else [{"": first}, {"": second}]
    for name in sorted(set(files[0]) | set(files[1])):
        if name not in files[0] or name not in files[1]:
            yield _missing(name, "", *(name in held for held in files))
            continue
        for one in _compare_files(name, files[0][name], files[1][name], volatile):
            texts = one.first, one.second
            if all(isinstance(text, str) for text in texts):
                # A run may name the folder that it was written to
                one_run = zip(texts, folders, strict=True)
                if len({text.replace(str(folder), "RUN") for text, folder in one_run}) == 1:
                    continue
            yield one


def _missing(name: str, row: str, *held: bool) -> Difference:
    first, second = ("there" if one else None for one in held)
    return Difference(file=name, row=row, column="", first=first, second=second)


def _files(folder: Path) -> dict[str, Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found if path.suffix not in LOGS}


def _compare_files(
    name: str, first: Path, second: Path, volatile: Sequence[str]
) -> Iterator[Difference]:
    if filecmp.cmp(first, second, shallow=False):
        return
    read = READERS.get(first.suffix.lower(), _text_rows)
    tables = []
    for path in (first, second):
        try:
            tables.append(read(path))
        except (OSError, ValueError, KeyError, sqlite3.Error) as problem:
            raise ConfigError(f"{path}: {problem}") from problem
    yield from _compare_rows(name, tables[0], tables[1], volatile)


def _compare_rows(
    name: str, first: Rows, second: Rows, volatile: Sequence[str]
) -> Iterator[Difference]:
    for row in dict.fromkeys((*first, *second)):
        if row not in first or row not in second:
            yield _missing(name, row, row in first, row in second)
            continue
        a, b = first[row], second[row]
        for column in dict.fromkeys((*a, *b)):
            if any(
                fnmatch.fnmatchcase(part, pattern)
                for part in (column, *column.replace("/", ".").split("."))
                for pattern in volatile
            ):
                continue
            for where, here, there in _unequal(a.get(column), b.get(column)):
                yield Difference(
                    file=name, row=row, column=column + where, first=here, second=there
                )


def _unequal(first: Any, second: Any) -> list[tuple[str, Any, Any]]:
    """Where in a value, and both values there; an array counts once, with its first difference."""
    if not isinstance(first, np.ndarray) or not isinstance(second, np.ndarray):
        alike = type(first) is type(second) and (
            first == second or (first != first and second != second)
        )
        return [] if alike else [("", first, second)]
    texts = first.dtype.kind in "SUO" and first.dtype.kind == second.dtype.kind
    if first.dtype != second.dtype and not texts:  # a text's width is that of the longest
        return [(" type", str(first.dtype), str(second.dtype))]
    if first.shape != second.shape:
        return [(" shape", first.shape, second.shape)]
    differ = np.asarray(first != second)
    if first.dtype.kind in "fc":
        differ &= ~(np.isnan(first) & np.isnan(second))
    if not differ.any():
        return []
    place = tuple(int(index) for index in np.argwhere(differ)[0])
    where = f"[{', '.join(map(str, place))}]" if place else ""
    return [(where, first[place].item(), second[place].item())]


def _short(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _store_rows(path: Path) -> Rows:
    """Frames of a store, with their rows of all groups; without what it marks volatile."""
    import h5py

    with h5py.File(path, "r") as file:
        if "frames" not in file:
            return _text_rows(path)
        frames = file["frames"]
        numbers = frames["frame_index"][:].tolist()
        names = _unique(
            f"{_decode_text(frame)} {Path(_decode_text(photo)).name}"
            for frame, photo in zip(frames["frame"][:], frames["path"][:], strict=True)
        )
        rows: Rows = {name: {} for name in names}
        rows["the store"] = {key: _plain(value) for key, value in file.attrs.items()}
        for group, table in file.items():
            rows["the store"] |= {
                f"{group}/{column} {key}": _plain(value)
                for column, dataset in table.items()
                for key, value in dataset.attrs.items()
            }
            index = table["frame_index"][:]
            order = np.argsort(index, kind="stable")
            begin, end = (np.searchsorted(index[order], numbers, side=s) for s in ("left", "right"))
            for column, dataset in table.items():
                if column == "frame_index" or dataset.attrs.get("volatile", 0):
                    continue
                values = dataset[:][order]
                for name, low, high in zip(names, begin, end, strict=True):
                    rows[name][f"{group}/{column}"] = values[low:high]
        return rows


def _ndjson_rows(path: Path) -> Rows:
    """Records by frame and name of the photo, in whichever order they were finished."""
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    if not all(isinstance(record, dict) for record in records):
        raise ValueError("a line is no JSON object")
    names = _unique(
        f"{record.get('frame', '')} {Path(str(record.get('path', ''))).name}".strip() or "record"
        for record in records
    )
    return {name: dict(_leaves(record)) for name, record in zip(names, records, strict=True)}


def _json_rows(path: Path) -> Rows:
    try:
        return {"": dict(_leaves(json.loads(path.read_text("utf-8"))))}
    except json.JSONDecodeError:
        return _ndjson_rows(path)


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Values of nested objects and lists under names like ``camera.distortion.0``."""
    if isinstance(value, Mapping) and value:
        for key, held in value.items():
            yield from _leaves(held, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and value:
        for number, held in enumerate(value):
            yield from _leaves(held, f"{name}.{number}")
    else:
        yield name, value


def _parquet_rows(path: Path) -> Rows:
    from pyarrow.parquet import read_table

    table = read_table(path)
    metadata = {key.decode(): value for key, value in (table.schema.metadata or {}).items()}
    types = {f"type of {field.name}": str(field.type) for field in table.schema}
    return _table_rows(table.to_pylist()) | {"the table": types | metadata}


def _csv_rows(path: Path) -> Rows:
    rows = read_csv(path)
    return _table_rows(rows) | {"the table": {"header": list(rows[0]) if rows else []}}


def _table_rows(records: Sequence[Mapping[str, Any]]) -> Rows:
    names = _unique(str(record.get("frame", "row")) for record in records)
    return dict(zip(names, map(dict, records), strict=True))


def _geopackage_rows(path: Path) -> Rows:
    """Rows of all tables; those of a spatial index follow from the rest."""
    rows: Rows = {}
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        tables = database.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        for table, definition in tables.fetchall():
            rows[table] = {"definition": definition}
            if table.startswith("rtree_"):
                continue
            held = database.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608
            for name, row in _table_rows([dict(row) for row in held]).items():
                rows[f"{table} {name}"] = row
    return rows


def _geotiff_rows(path: Path) -> Rows:
    import rasterio

    with rasterio.open(path) as image:
        profile = {f"profile {key}": str(value) for key, value in image.profile.items()}
        rows: Rows = {"": profile | image.tags() | {"points": str(image.gcps)}}
        for band in image.indexes:
            rows[f"band {band}"] = image.tags(band) | {"pixels": image.read(band)}
    return rows


def _picture_rows(path: Path) -> Rows:
    from PIL import Image

    with Image.open(path) as image:
        return {"": {"pixels": np.asarray(image), "mode": image.mode}}


def _text_rows(path: Path) -> Rows:
    """Lines of a text; of what is none, the bytes."""
    try:
        lines = path.read_text("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return {"": {"bytes": np.fromfile(path, np.uint8)}}
    return {f"line {number}": {"": line} for number, line in enumerate(lines, 1)}


READERS: dict[str, Callable[[Path], Rows]] = {
    **dict.fromkeys((".h5", ".hdf5"), _store_rows),
    **dict.fromkeys((".ndjson", ".jsonl"), _ndjson_rows),
    **dict.fromkeys((".json", ".geojson"), _json_rows),
    ".csv": _csv_rows,
    **dict.fromkeys((".parquet", ".geoparquet"), _parquet_rows),
    ".gpkg": _geopackage_rows,
    **dict.fromkeys((".tif", ".tiff"), _geotiff_rows),
    **dict.fromkeys((".png", ".jpg"), _picture_rows),
}


def _unique(names: Iterator[str] | Sequence[str]) -> list[str]:
    """Names with a number where one comes again."""
    seen: Counter[str] = Counter()
    numbered = []
    for name in names:
        seen[name] += 1
        numbered.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return numbered


def _decode_text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def main(
    first: Annotated[Path, Argument(metavar="RUN_A", help="a file or a folder")],
    second: Annotated[Path, Argument(metavar="RUN_B", help="the same of another run")],
    *,
    ignore: Annotated[
        list[str] | None,
        Option(metavar="COLUMN", help="a further column that may differ, also as a pattern"),
    ] = None,
    most: Annotated[int, Option(help="differences to print")] = 40,
) -> None:
    """0 if both are the same, 1 if not, 2 if they cannot be compared."""
    found = list(compare(first, second, ignore or ()))
    print(*found[:most], f"{len(found)} differences" if found else "the same", sep="\n")
    if found:
        raise typer.Exit(1)
