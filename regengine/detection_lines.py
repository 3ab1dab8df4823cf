"""What detection prints: a line of NDJSON a photo, or CSV with a row a detection."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from detectors.types import FloatArray
from regengine.csv_cells import name_cell, path_cell
from regengine.photo_detections import PhotoDetections

Record = dict[str, Any]
HEAD_COLUMNS = ("frame", "path", "method")


def significant(value: float, digits: int) -> float | None:
    """A number to some digits; None where it is none or endless, which JSON has no word for."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def place_record(x: float, y: float, flux: float, snr: float) -> Record:
    """Plain values that every detection has, rounded to what they are worth."""
    return {
        "x": round(float(x), 3),
        "y": round(float(y), 3),
        "flux": significant(flux, 5),
        "snr": significant(snr, 4),
    }


def sigma_record(covariance_px2: FloatArray) -> Record:
    """One sigma of a centroid along each axis."""
    return {
        "sigma_x_px": round(float(covariance_px2[0, 0]) ** 0.5, 4),
        "sigma_y_px": round(float(covariance_px2[1, 1]) ** 0.5, 4),
    }


def json_line(found: PhotoDetections[Any], **values: Any) -> str:
    """One photo's detections as a line of NDJSON."""
    head = {"frame": found.frame, "path": str(found.path), "method": found.method}
    return json.dumps({**head, **values})


def csv_rows(
    found: PhotoDetections[Any], records: list[Record], columns: tuple[str, ...]
) -> list[list[object]]:
    """One photo's detections as rows of `HEAD_COLUMNS` and columns; flags are joined by ``|``.

    A photo without detections is a row without a position, so that it does not vanish.
    """
    head: list[object] = [name_cell(found.frame), path_cell(found.path), found.method]
    rows = [
        [*head, *("|".join(one[name]) if name == "flags" else one[name] for name in columns)]
        for one in records
    ]
    return rows or [[*head, *[""] * len(columns)]]


def csv_text(rows: Sequence[Sequence[object]]) -> str:
    """Rows as CSV, without the end of the last line."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().removesuffix("\n")
