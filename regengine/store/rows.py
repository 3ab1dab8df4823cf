"""Frame results as rows of the store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from regengine.records import centre_lonlat
from regengine.result import ControlPoint, FrameResult, Hypothesis, SolvedCamera
from regengine.store.schema import CONTROL_POINTS, DETECTIONS, FRAMES, GROUPS
from regengine.store.tables import Tables, table_from_rows

Row = dict[str, Any]

# Names that the columns share with the fields of the records.
REQUIRED_FIELDS = ("frame", "path", "sha256", "verdict", "orientation")
OPTIONAL_FIELDS = (
    "probability",
    "category",
    "category_probability",
    "time_utc",
    "width_px",
    "height_px",
    "camera_body",
    "focal_mm",
    "pixel_pitch_um",
    "footprint_diagonal_km",
)
NADIR_FIELDS = {
    "nadir_lon": "lon",
    "nadir_lat": "lat",
    "nadir_altitude_km": "altitude_km",
    "nadir_source": "source",
    "tle_age_h": "tle_age_h",
    "sigma_along_km": "sigma_along_km",
    "sigma_cross_km": "sigma_cross_km",
}
FIT_FIELDS = (
    "residual_px",
    "residual_m",
    "matched_lights",
    "held_out_residual_px",
    "log10_odds",
    "runner_up_log10_odds",
    "ncc",
    "runner_up_ncc",
)
CAMERA_FIELDS = (
    "focal_px",
    "principal_point",
    "distortion",
    "quaternion",
    "position_ecef_m",
    "mirrored",
)
POINT_FIELDS = tuple(column.name for column in CONTROL_POINTS[2:])


@dataclass(frozen=True, kw_only=True)
class StoredFrame:
    """One frame as the store holds it.

    Attributes
    ----------
    frame_index : int
        Its number within the store.
    result : FrameResult
        What is said of it.
    parameters : str
        JSON text of the settings that the result depends on, and its SHA-256.
    processed_utc : str
        When it was finished, ISO 8601.
    search_pass : int
        1 by itself, 2 with hints of its stretch, 3 searched again in its stretch, 4 searched
        again with what the whole batch taught, 0 unknown.
    hints_sha256 : str
        Hash of what other photos had told at its last search; empty if nothing.
    """

    frame_index: int
    result: FrameResult
    parameters: str = "{}"
    parameters_sha256: str = ""
    processed_utc: str = ""
    search_pass: int = 0
    hints_sha256: str = ""


def to_tables(frames: Sequence[StoredFrame]) -> Tables:
    """Rows of all groups for some frames.

    Parameters
    ----------
    frames : sequence of StoredFrame
        In the order in which they should appear.

    Returns
    -------
    dict
        One table per group of the schema.
    """
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
