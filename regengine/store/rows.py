"""Frame results as rows of the store, and back; tables are groups of columns of equal length."""

from __future__ import annotations

import gc
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from regengine.io.plain import printable
from regengine.records import centre_lonlat
from regengine.result import (
    ControlPoint,
    Fit,
    FrameResult,
    Hypothesis,
    NadirInput,
    Reason,
    SolvedCamera,
)
from regengine.store.schema import CAMERA_FIELDS, CONTROL_POINTS, DETECTIONS, FRAMES, GROUPS, Column

Table = dict[str, NDArray[Any]]
Tables = dict[str, Table]
Selection = Mapping[str, Sequence[Column]]


def table_from_rows(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Turn rows into columns.

    What is infinite is missing, as a store has it; ValueError where a value is that is required.
    """
    return {column.name: _array(column, [row[column.name] for row in rows]) for column in columns}


def missing(column: Column) -> Any:
    """What stands for None in a column: NaN, -1, 0 (uint8) or an empty string."""
    if column.dtype == "text":
        return ""
    if column.dtype == "uint8":
        return 0
    return float("nan") if column.dtype.startswith("float") else -1


def join(sets: Sequence[Tables], groups: Selection = GROUPS) -> Tables:
    """Join sets of tables; a later set takes the place of a frame that an earlier one holds.

    The groups must include ``frames/frame_index``, by which the tables come ordered; rows of one
    frame stay in the given order.
    """
    held = [tables["frames"]["frame_index"] for tables in sets]
    known = np.unique(np.concatenate(held)) if held else np.empty(0, dtype=np.int64)
    owner = np.zeros(len(known), dtype=np.intp)
    for number, index in enumerate(held):
        owner[np.searchsorted(known, index)] = number
    joined: Tables = {}
    for group, columns in groups.items():
        kept = [_owned(tables[group], number, known, owner) for number, tables in enumerate(sets)]
        if not kept:
            joined[group] = table_from_rows(columns, [])
            continue
        whole = {
            column.name: np.concatenate([table[column.name] for table in kept])
            for column in columns
        }
        order = np.argsort(whole["frame_index"], kind="stable")
        joined[group] = {name: array[order] for name, array in whole.items()}
    return joined


def with_texts(tables: Tables) -> Tables:
    """The same tables with texts as `str` where they are bytes of a fixed length."""
    return {
        group: {name: _texts(array) for name, array in table.items()}
        for group, table in tables.items()
    }


def _owned(table: Table, number: int, known: NDArray[np.int64], owner: NDArray[np.intp]) -> Table:
    """Rows of those frames that a set owns."""
    index = table["frame_index"]
    place = np.minimum(np.searchsorted(known, index), max(len(known) - 1, 0))
    keep = (known[place] == index) & (owner[place] == number) if len(known) else index < index
    return {name: array[keep] for name, array in table.items()}


def _texts(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind != "S":
        return array
    texts = np.empty(len(array), dtype=object)
    texts[:] = [value.decode("utf-8") for value in array.tolist()]
    return texts


def _array(column: Column, values: list[Any]) -> NDArray[Any]:
    blank = missing(column)
    array: NDArray[Any]
    if column.dtype == "text":
        array = np.empty(len(values), dtype=object)
        array[:] = ["" if v is None else printable(v).replace("\0", "") for v in values]
        return array
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

# Names that the columns share with the fields of the records.
REQUIRED_FIELDS = ("frame", "path", "sha256", "verdict", "orientation")
OPTIONAL_FIELDS = (
    "probability", "probability_low", "probability_high", "category", "category_probability",
    "time_utc", "width_px", "height_px", "camera_body", "focal_mm", "pixel_pitch_um",
    "footprint_diagonal_km",
)  # fmt: skip
NADIR_FIELDS = {
    "nadir_lon": "lon",
    "nadir_lat": "lat",
    "nadir_altitude_km": "altitude_km",
    "nadir_source": "source",
    "tle_age_h": "tle_age_h",
    "sigma_along_km": "sigma_along_km",
    "sigma_cross_km": "sigma_cross_km",
}
FIT_FIELDS = tuple(field.name for field in fields(Fit))
POINT_FIELDS = tuple(column.name for column in CONTROL_POINTS[2:])
SOLVED_FIELDS = ("along_track_offset_s", "off_nadir_deg")
SOLVED_COLUMNS = ("width_px", "height_px", *CAMERA_FIELDS, *SOLVED_FIELDS)
CORNERS = ("footprint_lon", "footprint_lat")


# Of provenance, in `StoredFrame` under the same names
ORIGIN_FIELDS = (
    "parameters", "parameters_sha256", "processed_utc", "search_pass", "hints_sha256",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StoredFrame:
    """One frame as the store holds it."""

    frame_index: int  # its number within the store
    result: FrameResult
    parameters: str = "{}"  # JSON text of the settings that the result depends on
    parameters_sha256: str = ""
    processed_utc: str = ""  # when it was finished, ISO 8601
    # 1 by itself, 2 with hints of its stretch, 3 searched again in its stretch, 4 searched again
    # with what the whole batch taught, 0 unknown
    search_pass: int = 0
    # Of what other photos had told at its last search; empty if nothing
    hints_sha256: str = ""


def to_tables(frames: Sequence[StoredFrame]) -> Tables:
    """Rows of all groups for some frames, in their order."""
    rows: dict[str, list[Row]] = {group: [] for group in GROUPS}
    for stored in frames:
        index, result = {"frame_index": stored.frame_index}, stored.result
        rows["frames"].append(index | _frame_row(result))
        rows["provenance"].append(index | _provenance_row(stored))
        for number, point in enumerate(result.control_points):
            rows["control_points"].append(index | _point_row(number, point))
        for hypothesis in result.hypotheses:
            rows["hypotheses"].append(index | _hypothesis_row(hypothesis))
        rows["detections"] += [index | row for row in _detection_rows(result)]
    return {group: table_from_rows(columns, rows[group]) for group, columns in GROUPS.items()}


def _frame_row(result: FrameResult) -> Row:
    row: Row = {column.name: None for column in FRAMES[1:]}
    row |= {name: getattr(result, name) for name in REQUIRED_FIELDS + OPTIONAL_FIELDS}
    row["reasons"] = ",".join(reason.code for reason in result.reasons)
    row["reason_texts"] = "\n".join(reason.text for reason in result.reasons)
    if result.nadir is not None:
        row |= {name: getattr(result.nadir, field) for name, field in NADIR_FIELDS.items()}
    if result.solved is not None:
        lon, lat = centre_lonlat(result.solved.camera)
        row |= _camera_row(result.solved) | {"centre_lon": lon, "centre_lat": lat}
    if result.footprint is not None:
        corners = [corner or (float("nan"), float("nan")) for corner in result.footprint]
        row["footprint_lon"] = [lon for lon, _ in corners]
        row["footprint_lat"] = [lat for _, lat in corners]
    if result.fit is not None:
        row |= {name: getattr(result.fit, name) for name in FIT_FIELDS}
    return row


def _provenance_row(stored: StoredFrame) -> Row:
    result = stored.result
    return {
        "engine_version": result.engine_version,
        "lights": result.lights,
        "sources": json.dumps(dict(result.sources), ensure_ascii=False),
        "parameters": stored.parameters,
        "parameters_sha256": stored.parameters_sha256,
        "search_pass": stored.search_pass,
        "hints_sha256": stored.hints_sha256,
        "processed_utc": stored.processed_utc,
        "seconds": result.seconds,
    }


def _point_row(number: int, point: ControlPoint) -> Row:
    return {name: getattr(point, name) for name in POINT_FIELDS} | {"point": number}


def _hypothesis_row(hypothesis: Hypothesis) -> Row:
    camera = hypothesis.solved.camera
    own = ("rank", "ncc", "log10_odds", "centre_lon", "centre_lat")
    return (
        {name: getattr(hypothesis, name) for name in own}
        | _camera_row(hypothesis.solved)
        | {"width_px": camera.width_px, "height_px": camera.height_px}
    )


def _detection_rows(result: FrameResult) -> list[Row]:
    """Rows of what a result tells of its lights: arrays of equal length by column name."""
    found = result.detections
    if found is None:
        return []
    columns: dict[str, list[Any]] = {"kind": ["light"] * len(found.x)}
    for column in DETECTIONS[2:]:
        measured = getattr(found, column.name, None)
        columns[column.name] = [None] * len(found.x) if measured is None else measured.tolist()
    covariance = getattr(found, "covariance_px2", None)
    if covariance is not None:
        columns["covariance_px"] = covariance.reshape(-1, 4)[:, [0, 1, 3]].tolist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _camera_row(solved: SolvedCamera) -> Row:
    return {name: getattr(solved.camera, name) for name in CAMERA_FIELDS} | {
        name: getattr(solved, name) for name in SOLVED_FIELDS
    }


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep Python from looking for garbage where many objects are made, of which none is.

    Looking takes as long as making them.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def of_frames(tables: Tables, numbers: NDArray[np.int64]) -> Tables:
    """The rows of those frames that have some numbers, which ascend."""
    kept: Tables = {}
    for group, table in tables.items():
        index = table["frame_index"]
        rows = np.searchsorted(numbers, index, "right") > np.searchsorted(numbers, index)
        kept[group] = {name: array[rows] for name, array in table.items()}
    return kept


def from_tables(tables: Tables) -> list[StoredFrame]:
    """Frames from the rows of all groups, without their detections."""
    with without_collection():
        return _frames(tables)


Made = TypeVar("Made")


def _frames(tables: Tables) -> list[StoredFrame]:
    # By columns, for all rows at once: row by row it takes twice as long
    frames, table = tables["frames"], tables["hypotheses"]
    origins = first_of(tables["provenance"], frames["frame_index"])
    numbers = frames["frame_index"].tolist()
    points = _made(ControlPoint, _columns(tables["control_points"], POINT_FIELDS))
    hypotheses = _made(
        Hypothesis,
        _columns(table, ("rank", "ncc", "log10_odds"))
        | {name: _optional(table[name]) for name in ("centre_lon", "centre_lat")}
        | {"solved": _solved(table)},
    )
    solved = np.flatnonzero(~np.isnan(frames["focal_px"]))
    placed = np.flatnonzero([bool(source) for source in values_of(frames["nadir_source"])])
    fitted = np.flatnonzero(frames["matched_lights"] >= 0)
    results = _made(
        FrameResult,
        _columns(frames, REQUIRED_FIELDS)
        | {name: _optional(frames[name]) for name in OPTIONAL_FIELDS}
        | {
            "reasons": list(
                map(reasons_of, values_of(frames["reasons"]), values_of(frames["reason_texts"]))
            ),
            "sources": [_sources(text) for text in values_of(origins["sources"])],
            "nadir": _at(placed, numbers, _nadirs(_rows(frames, placed, NADIR_FIELDS))),
            "solved": _at(solved, numbers, _solved(_rows(frames, solved, SOLVED_COLUMNS))),
            "control_points": _by_frame(tables["control_points"], points, numbers),
            "footprint": _at(solved, numbers, _footprints(_rows(frames, solved, CORNERS))),
            "fit": _at(fitted, numbers, _fits(_rows(frames, fitted, FIT_FIELDS))),
            "hypotheses": _by_frame(table, hypotheses, numbers),
        }
        | _columns(origins, ("lights", "engine_version", "seconds")),
    )
    stored = {"frame_index": numbers, "result": results} | _columns(origins, ORIGIN_FIELDS)
    return _made(StoredFrame, stored)


def _made(kind: type[Made], columns: Mapping[str, list[Any]]) -> list[Made]:
    """Objects of the rows of columns, made as unpickling does: `__init__` takes twice as long."""
    made = []
    for values in zip(*columns.values(), strict=True):
        one = object.__new__(kind)
        object.__setattr__(one, "__dict__", dict(zip(columns, values, strict=True)))
        made.append(one)
    return made


def _columns(table: Table, names: Iterable[str]) -> dict[str, list[Any]]:
    return {name: values_of(table[name]) for name in names}


def _rows(table: Table, rows: NDArray[np.intp], names: Iterable[str]) -> Table:
    return {name: table[name][rows] for name in names}


def _at(rows: NDArray[np.intp], numbers: list[int], made: Sequence[Made]) -> list[Made | None]:
    """What belongs to some rows, as a column of all of them."""
    column: list[Made | None] = [None] * len(numbers)
    for row, one in zip(rows.tolist(), made, strict=True):
        column[row] = one
    return column


def _by_frame(table: Table, made: list[Made], numbers: list[int]) -> list[tuple[Made, ...]]:
    """What belongs to each frame of those numbers, of what was made of the rows of a table."""
    grouped: defaultdict[int, list[Made]] = defaultdict(list)
    for number, one in zip(table["frame_index"].tolist(), made, strict=True):
        grouped[number].append(one)
    return [tuple(grouped[number]) if number in grouped else () for number in numbers]


def first_of(table: Table, numbers: NDArray[np.int64]) -> Table:
    """A row of each of these frames; LookupError where there is none."""
    if np.array_equal(table["frame_index"], numbers):
        return table
    found: dict[int, int] = {}
    for row, number in enumerate(table["frame_index"].tolist()):
        found.setdefault(number, row)
    rows = np.array([found[number] for number in numbers.tolist()], dtype=np.intp)
    return _rows(table, rows, table)


@lru_cache(maxsize=1024)  # few differ
def reasons_of(codes: str, texts: str) -> tuple[Reason, ...]:
    """Reasons out of the two columns that hold them."""
    told = zip(codes.split(",") if codes else (), texts.split("\n"), strict=False)
    return tuple(Reason(code=code, text=text) for code, text in told)


@lru_cache(maxsize=1024)
def _sources(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(json.loads(text).items())


def _fits(table: Table) -> list[Fit]:
    held_out = {"held_out_residual_px": _optional(table["held_out_residual_px"])}
    return _made(Fit, _columns(table, table) | held_out)


def _nadirs(table: Table) -> list[NadirInput]:
    columns = {field: values_of(table[name]) for name, field in NADIR_FIELDS.items()}
    return _made(NadirInput, columns | {"tle_age_h": _optional(table["tle_age_h"])})


def _solved(table: Table) -> list[SolvedCamera]:
    columns = _columns(table, ("width_px", "height_px", *CAMERA_FIELDS))
    columns["mirrored"] = list(map(bool, columns["mirrored"]))
    cameras = {"camera": _made(Camera, columns)}
    return _made(SolvedCamera, cameras | _columns(table, SOLVED_FIELDS))


def _footprints(table: Table) -> list[tuple[tuple[float, float] | None, ...]]:
    return [
        tuple(None if math.isnan(lon) else (lon, lat) for lon, lat in zip(*corners, strict=True))
        for corners in zip(*_columns(table, CORNERS).values(), strict=True)
    ]


def dict_rows(table: Table) -> list[Row]:
    """Rows of a table as plain Python values; those of columns with a width are tuples."""
    columns = [values_of(array) for array in table.values()]
    return [dict(zip(table, values, strict=True)) for values in zip(*columns, strict=True)]


def values_of(array: NDArray[Any]) -> list[Any]:
    """Plain values, texts decoded, tuples of columns with a width."""
    if array.ndim > 1:
        return [tuple(row) for row in array.tolist()]
    if array.dtype.kind == "S":
        texts = array.tolist()
        told = {text: text.decode("utf-8") for text in set(texts)}  # of few, one object for all
        return [told[text] for text in texts]
    return array.tolist()


def _optional(array: NDArray[Any]) -> list[Any]:
    """Values, None for what stands for a missing one: NaN, the whole number -1, an empty text."""
    values = values_of(array)
    if array.dtype.kind not in "fi":
        return [value or None for value in values]
    for row in np.flatnonzero(np.isnan(array) if array.dtype.kind == "f" else array == -1).tolist():
        values[row] = None
    return values
