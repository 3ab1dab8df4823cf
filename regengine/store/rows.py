"""Convert frame results to rows of the store and back; tables are columns of equal length.

`GROUPS` has the columns of each group, which follow from the fields of `regengine.store.result`.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from regengine.io.plain import make_printable
from regengine.store.reasons import Reason
from regengine.store.result import (
    Column,
    ControlPoint,
    Dtype,
    FrameResult,
    HypothesisRecord,
    PatchProof,
    list_columns,
    stored,
)

FORMAT = "regengine"
FORMAT_VERSION = 8  # no other is read

Table = dict[str, NDArray[Any]]
Tables = dict[str, Table]
Selection = Mapping[str, Sequence[Column]]


@dataclass(frozen=True, kw_only=True)
class StoredFrame:
    """One frame as in the store."""

    frame_index: int  # its number within the store
    result: FrameResult
    parameters: str = stored("settings that the result depends on, a JSON object", default="{}")
    parameters_sha256: str = stored("SHA-256 of it without paths, hexadecimal", default="")
    search_pass: int = stored(
        "1 on its own, 3 again with the rest of the batch, 0 unknown", dtype="uint8", default=0
    )
    hints_sha256: str = stored(
        "hash of the neighbours' results used in its last search; empty if none", default=""
    )
    processed_utc: str = stored("when the frame was finished, ISO 8601", volatile=True, default="")


def _column(name: str, dtype: Dtype, description: str, **more: Any) -> Column:
    kind = {"text": "text", "float64": "real"}.get(dtype, "whole")
    return Column(**{"name": name, "dtype": dtype, "kind": kind, "description": description} | more)


FRAME_INDEX = _column(
    "frame_index", "int64", "number of the frame within this store; joins all groups"
)
# Fields of a frame; the size of its camera is that of the photo
OF_FRAME = tuple(
    one
    for one in list_columns(FrameResult)
    if one.path not in ("solved.camera.width_px", "solved.camera.height_px")
)
OF_POINT, OF_HYPOTHESIS = list_columns(ControlPoint), list_columns(HypothesisRecord)
OF_STORED = list_columns(StoredFrame)
FRAMES = (FRAME_INDEX, *(one for one in OF_FRAME if one.group == "frames"))
# Measures of a detection method are NaN if the method does not compute them
DETECTIONS = (
    FRAME_INDEX,
    _column("kind", "text", "what was detected: light"),
    _column("x", "float64", "column of the centroid, image as stored", units="px", required=True),
    _column("y", "float64", "row of the centroid, image as stored", units="px", required=True),
    _column("contrast", "float64", "logarithmic contrast with the surroundings"),
    _column("flux", "float64", "light above the background, summed over pixels"),
    _column("snr", "float64", "signal-to-noise ratio of a matched filter"),
    _column("radius_px", "float64", "radius that holds half of the flux", units="px"),
    _column(
        "covariance_px", "float64", "covariance of the centroid: xx, xy, yy", units="px2", width=3
    ),
    _column("flags", "uint8", "sum of 1 saturated, 2 cut by the border, 4 blended"),
    _column(
        "matched", "uint8", "1 if the light agrees with the map under the proposal", kind="flag"
    ),
)
GROUPS: dict[str, tuple[Column, ...]] = {
    "frames": FRAMES,
    "control_points": (
        FRAME_INDEX,
        _column("point", "uint8", "number of the point within its frame, 0 to 3"),
        *OF_POINT,
    ),
    "hypotheses": (FRAME_INDEX, *OF_HYPOTHESIS),
    "detections": DETECTIONS,
    "provenance": (
        FRAME_INDEX,
        *(one for one in OF_FRAME if one.group == "provenance"),
        *OF_STORED,
    ),
}
GROUP_DESCRIPTIONS = {
    "frames": "one row per photo: input, verdict, solved camera, footprint, fit",
    "control_points": "four rows per frame with a proposal",
    "hypotheses": "candidate cameras that were fully evaluated, best first",
    "detections": "lights detected in the photo",
    "provenance": "one row per photo: its inputs and settings",
}
COLUMNS = {(group, column.name): column for group, columns in GROUPS.items() for column in columns}
TEXT_COLUMNS = tuple(key for key, column in COLUMNS.items() if column.dtype == "text")


def select(*names: str) -> dict[str, tuple[Column, ...]]:
    """Return some columns, such as ``frames/verdict``, and the ``frame_index`` of their groups."""
    chosen: dict[str, tuple[Column, ...]] = {}
    for group, _, name in (name.partition("/") for name in names):
        chosen[group] = (*chosen.get(group, (FRAME_INDEX,)), COLUMNS[group, name])
    return chosen


def table_from_rows(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Turn rows into columns.

    Infinite values become missing values, as in a store. Raises ValueError if a required value is
    missing.
    """
    return {column.name: _array(column, [row[column.name] for row in rows]) for column in columns}


def join(sets: Sequence[Tables], groups: Selection = GROUPS) -> Tables:
    """Join sets of tables; a later set replaces frames of an earlier one.

    The groups must include ``frames/frame_index``, by which the tables are sorted. Rows of one
    frame keep their order.
    """
    if not sets:
        return {group: table_from_rows(columns, []) for group, columns in groups.items()}
    numbers = [tables["frames"]["frame_index"] for tables in sets]
    known, last = np.unique(np.concatenate(numbers)[::-1], return_index=True)
    of = np.repeat(np.arange(len(sets)), [len(held) for held in numbers])[::-1][last]
    kept = [select_frames(tables, known[of == number]) for number, tables in enumerate(sets)]
    joined: Tables = {}
    for group, columns in groups.items():
        parts = [tables[group] for tables in kept]
        whole = {one.name: np.concatenate([part[one.name] for part in parts]) for one in columns}
        order = np.argsort(whole["frame_index"], kind="stable")
        joined[group] = {name: array[order] for name, array in whole.items()}
    return joined


def select_frames(tables: Tables, numbers: NDArray[np.int64]) -> Tables:
    """Return the rows of the frames with the given ascending numbers."""
    kept: Tables = {}
    for group, table in tables.items():
        index = table["frame_index"]
        rows = np.searchsorted(numbers, index, "right") > np.searchsorted(numbers, index)
        kept[group] = {name: array[rows] for name, array in table.items()}
    return kept


def _array(column: Column, values: list[Any]) -> NDArray[Any]:
    array: NDArray[Any]
    if column.dtype == "text":
        array = np.empty(len(values), dtype=object)
        array[:] = ["" if v is None else make_printable(v).replace("\0", "") for v in values]
        return array
    blank = {"float64": math.nan, "float32": math.nan, "uint8": 0}.get(column.dtype, -1)
    if column.width == 1:
        array = np.array([blank if v is None else v for v in values], dtype=column.dtype)
    else:
        filled = [[blank] * column.width if value is None else value for value in values]
        array = np.array(filled, dtype=column.dtype).reshape(len(values), column.width)
    if array.dtype.kind == "f":
        unknown = ~np.isfinite(array)
        if column.required and unknown.any():
            raise ValueError(f"{column.name} must be a finite number")
        array[unknown] = blank
    return array


Row = dict[str, Any]


def to_tables(frames: Sequence[StoredFrame]) -> Tables:
    """Return the rows of all groups for some frames, in order."""
    rows: dict[str, list[Row]] = {group: [] for group in GROUPS}
    for frame in frames:
        index, result = {"frame_index": frame.frame_index}, frame.result
        for group in ("frames", "provenance"):
            of_group = [one for one in OF_FRAME if one.group == group]
            rows[group].append(index | _make_row(result, of_group))
        rows["provenance"][-1] |= _make_row(frame, OF_STORED)
        for number, point in enumerate(result.control_points):
            rows["control_points"].append(index | {"point": number} | _make_row(point, OF_POINT))
        rows["hypotheses"] += [index | _make_row(one, OF_HYPOTHESIS) for one in result.hypotheses]
        if result.detections is not None:
            blank = dict.fromkeys(column.name for column in DETECTIONS) | {"kind": "light"} | index
            found = {name: array.tolist() for name, array in vars(result.detections).items()}
            rows["detections"] += [
                blank | dict(zip(found, row, strict=True))
                for row in zip(*found.values(), strict=True)
            ]
    return {group: table_from_rows(columns, rows[group]) for group, columns in GROUPS.items()}


def _make_row(record: Any, columns: Iterable[Column]) -> Row:
    return {
        one.name: read_value(record, one.path) if one.make is None else one.make(record)
        for one in columns
    }


def read_value(record: Any, path: str) -> Any:
    """Return the value of a record under a dotted name; None if a parent is None."""
    for name in path.split("."):
        record = None if record is None else getattr(record, name)
    return record


def from_tables(tables: Tables) -> list[StoredFrame]:
    """Build frames from the rows of all groups, without their detections."""
    frames, points, hypotheses = (
        tables[group] for group in ("frames", "control_points", "hypotheses")
    )
    numbers = frames["frame_index"].tolist()
    origins = first_of(tables["provenance"], frames["frame_index"])
    named = frames["place"], frames["country"]
    corners = np.stack([frames["footprint_lon"], frames["footprint_lat"]], axis=2).tolist()
    of_camera = {f"solved.camera.{name}": frames[name] for name in ("width_px", "height_px")}
    results = _records(
        FrameResult,
        _columns_by_path(OF_FRAME, frames | origins) | of_camera,
        reasons=map(reasons_of, *map(values_of, (frames["reasons"], frames["reason_values"]))),
        proofs=map(_proofs, values_of(frames["proofs"])),
        sources=map(_sources, values_of(origins["sources"])),
        footprint=[
            tuple(None if math.isnan(lon) else (lon, lat) for lon, lat in four) if there else None
            for there, four in zip(~np.isnan(frames["focal_px"]), corners, strict=True)
        ],
        shows=zip(*map(values_of, named), strict=True),
        control_points=_split_by_frame(
            points, _records(ControlPoint, _columns_by_path(OF_POINT, points)), numbers
        ),
        hypotheses=_split_by_frame(
            hypotheses,
            _records(HypothesisRecord, _columns_by_path(OF_HYPOTHESIS, hypotheses)),
            numbers,
        ),
    )
    of_stored = _columns_by_path(OF_STORED, origins)
    return _records(StoredFrame, of_stored, frame_index=numbers, result=results)


def _columns_by_path(columns: Iterable[Column], table: Table) -> Table:
    """Name columns by the dotted names of their values in records."""
    return {one.path: table[one.name] for one in columns if one.path}


Made = TypeVar("Made")


def _records(kind: type[Made], columns: Table, **more: Iterable[Any]) -> list[Made]:
    """Build one record of a class per row, from columns under the dotted names of their values."""
    known = {one.path: one for one in list_columns(kind)}  # type: ignore[arg-type]
    values: dict[str, Iterable[Any]] = dict(more)
    parts: defaultdict[str, Table] = defaultdict(dict)
    for path, array in columns.items():
        name, _, rest = path.partition(".")
        if rest:
            parts[name][rest] = array
        elif known[path].may_lack:
            with_none = values_of(array)
            for number in np.flatnonzero(_is_missing(array)).tolist():
                with_none[number] = None
            values[name] = with_none
        else:
            is_flag = known[path].kind == "flag"
            values[name] = map(bool, array.tolist()) if is_flag else values_of(array)
    about = {one.name: one.metadata for one in fields(kind)}  # type: ignore[arg-type]
    for name, part in parts.items():
        sign = part[about[name]["sign"]]
        there = np.flatnonzero(~_is_missing(sign))
        made = {rest: array[there] for rest, array in part.items()}
        found = dict(zip(there.tolist(), _records(about[name]["within"], made), strict=True))
        values[name] = map(found.get, range(len(sign)))
    rows = zip(*values.values(), strict=True)
    return [kind(**dict(zip(values, row, strict=True))) for row in rows]


def _split_by_frame(table: Table, made: list[Made], numbers: list[int]) -> list[tuple[Made, ...]]:
    """Split objects made from the rows of a table by frame number."""
    grouped: defaultdict[int, list[Made]] = defaultdict(list)
    for number, one in zip(table["frame_index"].tolist(), made, strict=True):
        grouped[number].append(one)
    return [tuple(grouped[number]) if number in grouped else () for number in numbers]


def first_of(table: Table, numbers: NDArray[np.int64]) -> Table:
    """Return a table with one row of each of these frames; LookupError if it has others."""
    if not np.array_equal(table["frame_index"], numbers):
        raise LookupError("frames do not have one row of provenance each")
    return table


@lru_cache(maxsize=1024)  # few are distinct
def reasons_of(codes: str, values: str) -> tuple[Reason, ...]:
    """Build the reasons of a frame from their columns ``reasons`` and ``reason_values``."""
    pairs = zip(codes.split(",") if codes else (), json.loads(values), strict=False)
    return tuple(Reason(code=code, values=each) for code, each in pairs)


@lru_cache(maxsize=1024)
def _proofs(text: str) -> tuple[PatchProof, ...]:
    return tuple(PatchProof(**one) for one in json.loads(text))


@lru_cache(maxsize=1024)
def _sources(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(json.loads(text).items())


def dict_rows(table: Table) -> list[Row]:
    """Return rows of a table as plain Python values; columns with a width become tuples."""
    columns = [values_of(array) for array in table.values()]
    return [dict(zip(table, values, strict=True)) for values in zip(*columns, strict=True)]


def values_of(array: NDArray[Any]) -> list[Any]:
    """Return plain values with texts decoded; columns with a width become tuples."""
    if array.ndim > 1:
        return [tuple(row) for row in array.tolist()]
    if array.dtype.kind == "S":
        texts = array.tolist()
        # Few are distinct: one object for each
        decoded = {text: text.decode("utf-8") for text in set(texts)}
        return [decoded[text] for text in texts]
    return array.tolist()


def _is_missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the missing values: NaN, the whole number -1, an empty text."""
    if array.dtype.kind == "f":
        return np.isnan(array)
    return np.asarray(array == {"i": -1, "S": b""}.get(array.dtype.kind, ""))
