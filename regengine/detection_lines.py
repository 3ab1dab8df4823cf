"""What detection prints: a line of NDJSON a photo, or CSV with a row a detection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from detectors.types import FloatArray

Record = dict[str, Any]
HEAD_COLUMNS = ("frame", "path", "method")


class Detected(Protocol):
    """What is known of one photo in which something was sought."""

    @property
    def path(self) -> Path:
        """The photo."""
        ...

    @property
    def frame(self) -> str:
        """Its frame id."""
        ...

    @property
    def method(self) -> str:
        """Name of the detector."""
        ...


def place_record(x: float, y: float, flux: float, snr: float) -> Record:
    """Plain values that every detection has, rounded to what they are worth."""
    return {
        "x": round(float(x), 3),
        "y": round(float(y), 3),
        "flux": float(f"{flux:.5g}"),
        "snr": float(f"{snr:.4g}"),
    }


def sigma_record(covariance_px2: FloatArray) -> Record:
    """One sigma of a centroid along each axis."""
    return {
        "sigma_x_px": round(float(covariance_px2[0, 0]) ** 0.5, 4),
        "sigma_y_px": round(float(covariance_px2[1, 1]) ** 0.5, 4),
    }


def json_line(found: Detected, **values: Any) -> str:
    """One photo's detections as a line of NDJSON."""
    head = {"frame": found.frame, "path": str(found.path), "method": found.method}
    return json.dumps({**head, **values})


def csv_rows(
    found: Detected, records: list[Record], columns: tuple[str, ...]
) -> list[list[object]]:
    """One photo's detections as rows of `HEAD_COLUMNS` and columns; flags are joined by ``|``.

    A photo without detections is a row without a position, so that it does not vanish.
    """
    head: list[object] = [found.frame, str(found.path), found.method]
    rows = [
        [*head, *("|".join(one[name]) if name == "flags" else one[name] for name in columns)]
        for one in records
    ]
    return rows or [[*head, *[""] * len(columns)]]
