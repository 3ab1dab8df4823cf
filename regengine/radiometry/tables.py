"""What is said of each photo, and of each change, as rows of tables and as JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from regengine.csv_cells import name_cell, path_cell
from regengine.export.frame import ExportFrame
from regengine.lights.source import LightMapInfo
from regengine.plain_json import plain
from regengine.radiometry.measure import Radiometry
from regengine.records import printable

PHOTO_COLUMNS = (
    "frame_index",
    "frame",
    "path",
    "sha256",
    "verdict",
    "time_utc",
    "off_nadir_deg",
    "lights",
    "lights_date",
    "lights_kind",
    "raster",
    "linear_by",
    "cell_arcsec",
    "cells",
    "lit_cells",
    "gain",
    "gain_sigma",
    "offset",
    "offset_sigma",
    "background",
    "background_nw",
    "falloff_from",
    "falloff",
    "falloff_sigma",
    "slant",
    "slant_sigma",
    "air_mass",
    "scatter",
    "exponent",
    "exponent_sigma",
    "r_squared",
    "r_squared_log",
    "sigma_m",
    "map_sigma_m",
    "photo_sigma_m",
    "saturated_share",
    "map_saturated_share",
    "limit_sigma",
    "brighter",
    "fainter",
)
CHANGE_COLUMNS = (
    "frame_index",
    "frame",
    "change",
    "kind",
    "lon",
    "lat",
    "cells",
    "sigma",
    "photo_nw",
    "map_nw",
    "at_least",
)
DIGITS = 8  # of a number: more than anything here is worth


def photo_row(
    found: Radiometry, frame: ExportFrame, lights: LightMapInfo, raster: str
) -> dict[str, Any]:
    """What is said of a photo: a value for each of `PHOTO_COLUMNS`.

    Parameters
    ----------
    found : Radiometry
        The comparison.
    frame : ExportFrame
        Its photo.
    lights : LightMapInfo
        The map.
    raster : str
        Name of the raster's file.

    Returns
    -------
    dict
    """
    gain, compared, result = found.gain, found.comparison, frame.result
    usable, judged = compared.usable, max(int(np.count_nonzero(compared.judged)), 1)
    background = float(np.median(compared.background[usable]))
    camera = frame.camera
    said = {
        "frame_index": frame.stored.frame_index,
        "frame": result.frame,
        "path": result.path,
        "sha256": result.sha256,
        "verdict": frame.verdict,
        "time_utc": result.time_utc,
        "off_nadir_deg": None if camera is None else camera.off_nadir_deg,
        "lights": lights.product or lights.description,
        "lights_date": lights.date,
        "lights_kind": lights.kind,
        "raster": raster,
        "linear_by": found.linear_by,
        "cell_arcsec": found.cells.grid.resolution * 3600.0,
        "background": background,
        "background_nw": background / gain.gain,
        "falloff_from": "lens" if found.falloff_known else "fit",
        "sigma_m": float(np.median(found.photo.sigma_m[usable])),
        "map_sigma_m": compared.map_sigma_m,
        "photo_sigma_m": compared.photo_sigma_m,
        "saturated_share": int(np.count_nonzero(compared.photo_full)) / judged,
        "map_saturated_share": int(np.count_nonzero(compared.map_full)) / judged,
        "limit_sigma": found.significance.limit,
        "brighter": sum(change.sigma > 0.0 for change in found.changes),
        "fainter": sum(change.sigma < 0.0 for change in found.changes),
    }
    return {name: said[name] if name in said else getattr(gain, name) for name in PHOTO_COLUMNS}


def change_rows(found: Radiometry, frame: ExportFrame) -> list[dict[str, Any]]:
    """What is said of a photo's changes: values for `CHANGE_COLUMNS`."""
    about = {"frame_index": frame.stored.frame_index, "frame": frame.result.frame}
    return [
        {**about, "change": number, **asdict(change)} for number, change in enumerate(found.changes)
    ]


def json_line(photo: Mapping[str, Any], changes: Iterable[Mapping[str, Any]]) -> str:
    """A photo and its changes as one line of NDJSON."""
    own = [{name: change[name] for name in CHANGE_COLUMNS[3:]} for change in changes]
    return json.dumps(plain({**photo, "changes": own}, printable), allow_nan=False)


def write_table(path: Path, columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV: UTF-8, a header, empty cells for what is missing."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            values = plain(dict(row), printable)
            writer.writerow([_cell(name, values[name]) for name in columns])


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.{DIGITS}g}"
    if isinstance(value, str):
        return path_cell(value) if name == "path" else name_cell(value)
    return str(value)
