"""Frame results from rows of the store: the inverse of rows.py."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from regengine.result import (
    ControlPoint,
    Fit,
    FrameResult,
    Hypothesis,
    NadirInput,
    Reason,
    SolvedCamera,
)
from regengine.store.rows import (
    CAMERA_FIELDS,
    FIT_FIELDS,
    NADIR_FIELDS,
    OPTIONAL_FIELDS,
    POINT_FIELDS,
    REQUIRED_FIELDS,
    Row,
    StoredFrame,
)
from regengine.store.tables import Table, Tables


def from_tables(tables: Tables) -> list[StoredFrame]:
    """Frames from the rows of all groups, without their detections.

    Parameters
    ----------
    tables : dict
        One table per group of the schema; the detections' may be left out.

    Returns
    -------
    list of StoredFrame
        In the order of the ``frames`` group.
    """
    points = _by_frame(tables["control_points"])
    hypotheses = _by_frame(tables["hypotheses"])
    provenance = _by_frame(tables["provenance"])
    stored = []
    for row in _rows(tables["frames"]):
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


def _result(row: Row, origin: Row, points: list[Row], hypotheses: list[Row]) -> FrameResult:
    codes = row["reasons"].split(",") if row["reasons"] else []
    reasons = zip(codes, row["reason_texts"].split("\n"), strict=False)
    fields: Row = {name: row[name] for name in REQUIRED_FIELDS}
    fields |= {name: _optional(row[name]) for name in OPTIONAL_FIELDS}
    solved = None if math.isnan(row["focal_px"]) else _solved(row)
    return FrameResult(
        **fields,
        reasons=tuple(Reason(code=code, text=text) for code, text in reasons),
        sources=tuple(json.loads(origin["sources"]).items()),
        nadir=_nadir(row) if row["nadir_source"] else None,
        solved=solved,
        control_points=tuple(_point(point) for point in points),
        footprint=_footprint(row) if solved is not None else None,
        fit=Fit(**{name: row[name] for name in FIT_FIELDS}) if row["matched_lights"] >= 0 else None,
        hypotheses=tuple(_hypothesis(hypothesis) for hypothesis in hypotheses),
        lights=origin["lights"],
        engine_version=origin["engine_version"],
        seconds=origin["seconds"],
    )


def _nadir(row: Row) -> NadirInput:
    values = {field: row[name] for name, field in NADIR_FIELDS.items()}
    return NadirInput(**values | {"tle_age_h": _optional(row["tle_age_h"])})


def _solved(row: Row) -> SolvedCamera:
    values: Row = {name: _plain(row[name]) for name in CAMERA_FIELDS}
    size = {"width_px": row["width_px"], "height_px": row["height_px"]}
    return SolvedCamera(
        camera=Camera(**size | values | {"mirrored": bool(row["mirrored"])}),
        along_track_offset_s=row["along_track_offset_s"],
        off_nadir_deg=row["off_nadir_deg"],
    )


def _footprint(row: Row) -> tuple[tuple[float, float] | None, ...]:
    corners = zip(row["footprint_lon"].tolist(), row["footprint_lat"].tolist(), strict=True)
    return tuple(None if math.isnan(lon) else (lon, lat) for lon, lat in corners)


def _point(row: Row) -> ControlPoint:
    return ControlPoint(**{name: _plain(row[name]) for name in POINT_FIELDS})


def _hypothesis(row: Row) -> Hypothesis:
    return Hypothesis(
        rank=row["rank"],
        solved=_solved(row),
        ncc=row["ncc"],
        log10_odds=row["log10_odds"],
        centre_lon=_optional(row["centre_lon"]),
        centre_lat=_optional(row["centre_lat"]),
    )


def _rows(table: Table) -> list[Row]:
    columns = [_values(array) for array in table.values()]
    return [dict(zip(table, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(array: NDArray[Any]) -> list[Any]:
    # One-dimensional columns become plain Python values; rows of wider ones stay arrays.
    if array.ndim > 1:
        return list(array)
    if array.dtype.kind == "S":
        return [text.decode("utf-8") for text in array.tolist()]
    return array.tolist()


def _by_frame(table: Table) -> defaultdict[int, list[Row]]:
    grouped: defaultdict[int, list[Row]] = defaultdict(list)
    for row in _rows(table):
        grouped[row["frame_index"]].append(row)
    return grouped


def _plain(value: Any) -> Any:
    return tuple(value.tolist()) if isinstance(value, np.ndarray) else value


def _optional(value: Any) -> Any:
    """None for what stands for a missing value: NaN, the whole number -1, an empty text."""
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return None if value in ("", -1) else value
