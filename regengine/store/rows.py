"""Frame results as rows of the store, and back; tables are groups of columns of equal length."""

from __future__ import annotations

import gc
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from regengine.io.plain import printable
from regengine.records import centre_lonlat
from regengine.result import (
    ControlPoint,
    Decoy,
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
    "probability", "category", "category_probability", "time_utc", "width_px", "height_px",
    "camera_body", "focal_mm", "pixel_pitch_um", "footprint_diagonal_km",
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
    row["reason_texts"] = "\n".join(" ".join(reason.text.split()) for reason in result.reasons)
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
    if result.decoy is not None:
        row["decoy_verdict"] = result.decoy.verdict
        row["decoy_probability"] = result.decoy.probability
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
        "along_track_offset_s": solved.along_track_offset_s,
        "off_nadir_deg": solved.off_nadir_deg,
    }


def from_tables(tables: Tables) -> list[StoredFrame]:
    """Frames from the rows of all groups, without their detections."""
    # Of so many new objects none is garbage: looking for it takes as long as making them
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _frames(tables)
    finally:
        if collecting:
            gc.enable()


def _frames(tables: Tables) -> list[StoredFrame]:
    points = _points(tables["control_points"])
    hypotheses = _by_frame(tables["hypotheses"])
    provenance = _by_frame(tables["provenance"])
    stored = []
    for row in dict_rows(tables["frames"]):
        index = row["frame_index"]
        origin = provenance[index][0]
        stored.append(
            StoredFrame(
                frame_index=index,
                result=_result(row, origin, points[index], hypotheses[index]),
                parameters=origin["parameters"],
                parameters_sha256=origin["parameters_sha256"],
                processed_utc=origin["processed_utc"],
                search_pass=origin["search_pass"],
                hints_sha256=origin["hints_sha256"],
            )
        )
    return stored


def _result(
    row: Row, origin: Row, points: list[ControlPoint], hypotheses: list[Row]
) -> FrameResult:
    codes = row["reasons"].split(",") if row["reasons"] else []
    reasons = zip(codes, row["reason_texts"].split("\n"), strict=False)
    told: Row = {name: row[name] for name in REQUIRED_FIELDS}
    told |= {name: _optional(row[name]) for name in OPTIONAL_FIELDS}
    solved = None if math.isnan(row["focal_px"]) else _solved(row)
    return FrameResult(
        **told,
        reasons=tuple(Reason(code=code, text=text) for code, text in reasons),
        sources=_sources(origin["sources"]),
        nadir=_nadir(row) if row["nadir_source"] else None,
        solved=solved,
        control_points=tuple(points),
        footprint=_footprint(row) if solved is not None else None,
        fit=_fit(row) if row["matched_lights"] >= 0 else None,
        decoy=_decoy(row) if row["decoy_verdict"] else None,
        hypotheses=tuple(_hypothesis(hypothesis) for hypothesis in hypotheses),
        lights=origin["lights"],
        engine_version=origin["engine_version"],
        seconds=origin["seconds"],
    )


@lru_cache(maxsize=1024)  # few differ
def _sources(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(json.loads(text).items())


def _fit(row: Row) -> Fit:
    values = {name: row[name] for name in FIT_FIELDS}
    return Fit(**values | {"held_out_residual_px": _optional(row["held_out_residual_px"])})


def _decoy(row: Row) -> Decoy:
    return Decoy(verdict=row["decoy_verdict"], probability=_optional(row["decoy_probability"]))


def _nadir(row: Row) -> NadirInput:
    values = {field: row[name] for name, field in NADIR_FIELDS.items()}
    return NadirInput(**values | {"tle_age_h": _optional(row["tle_age_h"])})


def _solved(row: Row) -> SolvedCamera:
    values: Row = {name: row[name] for name in CAMERA_FIELDS}
    size = {"width_px": row["width_px"], "height_px": row["height_px"]}
    return SolvedCamera(
        camera=Camera(**size | values | {"mirrored": bool(row["mirrored"])}),
        along_track_offset_s=row["along_track_offset_s"],
        off_nadir_deg=row["off_nadir_deg"],
    )


def _footprint(row: Row) -> tuple[tuple[float, float] | None, ...]:
    corners = zip(row["footprint_lon"], row["footprint_lat"], strict=True)
    return tuple(None if math.isnan(lon) else (lon, lat) for lon, lat in corners)


def _points(table: Table) -> defaultdict[int, list[ControlPoint]]:
    """Control points by frame."""
    grouped: defaultdict[int, list[ControlPoint]] = defaultdict(list)
    columns = [_values(table[name]) for name in POINT_FIELDS]
    for index, *values in zip(table["frame_index"].tolist(), *columns, strict=True):
        grouped[index].append(ControlPoint(**dict(zip(POINT_FIELDS, values, strict=True))))
    return grouped


def _hypothesis(row: Row) -> Hypothesis:
    return Hypothesis(
        rank=row["rank"],
        solved=_solved(row),
        ncc=row["ncc"],
        log10_odds=row["log10_odds"],
        centre_lon=_optional(row["centre_lon"]),
        centre_lat=_optional(row["centre_lat"]),
    )


def dict_rows(table: Table) -> list[Row]:
    """Rows of a table as plain Python values; those of columns with a width are tuples."""
    columns = [_values(array) for array in table.values()]
    return [dict(zip(table, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(array: NDArray[Any]) -> list[Any]:
    if array.ndim > 1:
        return [tuple(row) for row in array.tolist()]
    if array.dtype.kind == "S":
        texts = array.tolist()
        told = {text: text.decode("utf-8") for text in set(texts)}  # of few, one object for all
        return [told[text] for text in texts]
    return array.tolist()


def _by_frame(table: Table) -> defaultdict[int, list[Row]]:
    grouped: defaultdict[int, list[Row]] = defaultdict(list)
    for row in dict_rows(table):
        grouped[row["frame_index"]].append(row)
    return grouped


def _optional(value: Any) -> Any:
    """None for what stands for a missing value: NaN, the whole number -1, an empty text."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return None if value in ("", -1) else value
