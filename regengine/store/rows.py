"""Convert frame results to rows of the store and back; tables are columns of equal length."""

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

from matchers.geometry.camera import Camera
from matchers.geometry.footprint import centre_lonlat
from regengine.io.plain import make_printable
from regengine.maps.places import name_view
from regengine.store.reasons import Reason
from regengine.store.result import (
    ControlPoint,
    Fit,
    FrameResult,
    Hypothesis,
    MatchedMap,
    NadirInput,
    PatchProof,
    SolvedCamera,
)
from regengine.store.schema import CAMERA_FIELDS, DETECTIONS, FRAMES, GROUPS, Column

Table = dict[str, NDArray[Any]]
Tables = dict[str, Table]
Selection = Mapping[str, Sequence[Column]]


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

# Dotted name of a column's value in a result, if it differs from the column name. Values that do
# not exist are missing.
_OF_CAMERA = {name: f"solved.camera.{name}" for name in CAMERA_FIELDS} | {
    name: f"solved.{name}" for name in ("along_track_offset_s", "off_nadir_deg")
}
OF_HYPOTHESIS = _OF_CAMERA | {name: f"solved.camera.{name}" for name in ("width_px", "height_px")}
OF_FRAME = _OF_CAMERA | {
    "nadir_lon": "nadir.lon",
    "nadir_lat": "nadir.lat",
    "nadir_altitude_km": "nadir.altitude_km",
    "nadir_source": "nadir.source",
    "tle_age_h": "nadir.tle_age_h",
    "sigma_along_km": "nadir.sigma_along_km",
    "sigma_cross_km": "nadir.sigma_cross_km",
    **{field.name: f"fit.{field.name}" for field in fields(Fit)},
    **{f"reference_{field.name}": f"reference.{field.name}" for field in fields(MatchedMap)},
}
# Columns of a frame that combine several values, or come from another record
MADE = ("frame_index", "reasons", "reason_values", "reason_texts", "proofs", "centre_lon",
        "centre_lat", "place", "country", "footprint_lon", "footprint_lat")  # fmt: skip
# Nested records: their class, and the value that is missing if there is no record
WITHIN = {
    "nadir": (NadirInput, "source"),
    "solved": (SolvedCamera, "camera.focal_px"),
    "camera": (Camera, "focal_px"),
    "fit": (Fit, "matched_lights"),
    "reference": (MatchedMap, "kind"),
}
# Columns of provenance with the same names in `StoredFrame`
ORIGIN_FIELDS = (
    "parameters", "parameters_sha256", "processed_utc", "search_pass", "hints_sha256",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StoredFrame:
    """One frame as in the store."""

    frame_index: int  # its number within the store
    result: FrameResult
    parameters: str = "{}"  # JSON text of the settings that the result depends on
    parameters_sha256: str = ""
    processed_utc: str = ""  # time of completion, ISO 8601
    search_pass: int = 0  # search that produced the result; see the column of that name
    # Hash of the prior from other photos in its last search; empty if there was none
    hints_sha256: str = ""


def to_tables(frames: Sequence[StoredFrame]) -> Tables:
    """Return the rows of all groups for some frames, in order."""
    rows: dict[str, list[Row]] = {group: [] for group in GROUPS}
    for stored in frames:
        index, result = {"frame_index": stored.frame_index}, stored.result
        rows["frames"].append(index | _frame_row(result))
        origin = {name: getattr(stored, name) for name in ORIGIN_FIELDS} | {
            name: getattr(result, name) for name in ("engine_version", "lights", "seconds")
        }
        origin["sources"] = json.dumps(dict(result.sources), ensure_ascii=False)
        rows["provenance"].append(index | origin)
        for number, point in enumerate(result.control_points):
            rows["control_points"].append(index | {"point": number} | vars(point))
        for hypothesis in result.hypotheses:
            rows["hypotheses"].append(
                index
                | {
                    column.name: _value(hypothesis, OF_HYPOTHESIS.get(column.name, column.name))
                    for column in GROUPS["hypotheses"][1:]
                }
            )
        if result.detections is not None:
            blank = dict.fromkeys(column.name for column in DETECTIONS) | {"kind": "light"} | index
            found = {name: array.tolist() for name, array in vars(result.detections).items()}
            rows["detections"] += [
                blank | dict(zip(found, row, strict=True))
                for row in zip(*found.values(), strict=True)
            ]
    return {group: table_from_rows(columns, rows[group]) for group, columns in GROUPS.items()}


def _value(record: Any, path: str) -> Any:
    """Return the value of a record under a dotted name; None if a parent is None."""
    for name in path.split("."):
        record = None if record is None else getattr(record, name)
    return record


def name_result(result: FrameResult) -> tuple[str, str]:
    """Name what the proposal shows, and its country: as stored, or by its camera; "" if unknown."""
    if result.shows is not None:
        return result.shows
    place = None if result.solved is None else name_view(result.solved.camera)
    return ("", "") if place is None else (place.local_name, place.country)


def _frame_row(result: FrameResult) -> Row:
    row = {
        column.name: _value(result, OF_FRAME.get(column.name, column.name))
        for column in FRAMES
        if column.name not in MADE
    }
    row["reasons"] = ",".join(reason.code for reason in result.reasons)
    row["reason_values"] = json.dumps([reason.values for reason in result.reasons])
    row["proofs"] = json.dumps([vars(proof) for proof in result.proofs])
    row["reason_texts"] = "\n".join(reason.text for reason in result.reasons)
    centre = (None, None) if result.solved is None else centre_lonlat(result.solved.camera)
    row["centre_lon"], row["centre_lat"] = centre
    row["place"], row["country"] = name_result(result)
    row["footprint_lon"] = row["footprint_lat"] = None
    if result.footprint is not None:
        corners = [corner or (float("nan"), float("nan")) for corner in result.footprint]
        row["footprint_lon"] = [lon for lon, _ in corners]
        row["footprint_lat"] = [lat for _, lat in corners]
    return row


def from_tables(tables: Tables) -> list[StoredFrame]:
    """Build frames from the rows of all groups, without their detections."""
    frames, points, hypotheses = (
        tables[group] for group in ("frames", "control_points", "hypotheses")
    )
    numbers = frames["frame_index"].tolist()
    origins = first_of(tables["provenance"], frames["frame_index"])
    of_points = {field.name: points[field.name] for field in fields(ControlPoint)}
    of_hypotheses = {OF_HYPOTHESIS.get(name, name): array for name, array in hypotheses.items()}
    del of_hypotheses["frame_index"]
    of_frames = {OF_FRAME.get(name, name): array for name, array in frames.items()}
    of_frames |= {f"solved.camera.{name}": frames[name] for name in ("width_px", "height_px")}
    of_frames |= {name: origins[name] for name in ("lights", "engine_version", "seconds")}
    named = frames["place"], frames["country"]
    corners = np.stack([frames["footprint_lon"], frames["footprint_lat"]], axis=2).tolist()
    results = _records(
        FrameResult,
        {path: array for path, array in of_frames.items() if path not in MADE},
        reasons=map(reasons_of, *map(values_of, (frames["reasons"], frames["reason_values"]))),
        proofs=map(_proofs, values_of(frames["proofs"])),
        sources=map(_sources, values_of(origins["sources"])),
        footprint=[
            tuple(None if math.isnan(lon) else (lon, lat) for lon, lat in four) if there else None
            for there, four in zip(~np.isnan(frames["focal_px"]), corners, strict=True)
        ],
        shows=zip(*map(values_of, named), strict=True),
        control_points=_split_by_frame(points, _records(ControlPoint, of_points), numbers),
        hypotheses=_split_by_frame(hypotheses, _records(Hypothesis, of_hypotheses), numbers),
    )
    of_stored = {name: origins[name] for name in ORIGIN_FIELDS}
    return _records(StoredFrame, of_stored, frame_index=numbers, result=results)


Made = TypeVar("Made")


def _records(kind: type[Made], columns: Table, **more: Iterable[Any]) -> list[Made]:
    """Build one record of a class per row, from columns under the dotted names of their values."""
    types = {field.name: str(field.type) for field in fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Iterable[Any]] = dict(more)
    within: defaultdict[str, Table] = defaultdict(dict)
    for path, array in columns.items():
        name, _, rest = path.partition(".")
        if rest:
            within[name][rest] = array
        elif "None" in types[name]:
            with_none = values_of(array)
            for number in np.flatnonzero(_is_missing(array)).tolist():
                with_none[number] = None
            values[name] = with_none
        else:
            values[name] = map(bool, array.tolist()) if types[name] == "bool" else values_of(array)
    for name, parts in within.items():
        part, sign = WITHIN[name]
        there = np.flatnonzero(~_is_missing(parts[sign]))
        made: list[Any] = _records(part, {path: array[there] for path, array in parts.items()})
        found = dict(zip(there.tolist(), made, strict=True))
        values[name] = map(found.get, range(len(parts[sign])))
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
    told = zip(codes.split(",") if codes else (), json.loads(values), strict=False)
    return tuple(Reason(code=code, values=each) for code, each in told)


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
        told = {text: text.decode("utf-8") for text in set(texts)}
        return [told[text] for text in texts]
    return array.tolist()


def _is_missing(array: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the missing values: NaN, the whole number -1, an empty text."""
    if array.dtype.kind == "f":
        return np.isnan(array)
    return np.asarray(array == {"i": -1, "S": b""}.get(array.dtype.kind, ""))
