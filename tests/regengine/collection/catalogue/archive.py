"""Frames of known places, and the commands that catalogue them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner, Result

from regengine.collection.catalogue.table import NAMES, arrow_schema
from regengine.commands import app
from regengine.result import FrameResult, SolvedCamera
from tests.example_results import nadir_camera, proposal


def taken(
    name: str,
    lon: float,
    lat: float,
    *,
    time_utc: str | None = "2012-03-28T15:46:41Z",
    tilt_deg: float = 0.0,
    focal_px: float = 1506.1,
    verdict: str = "accepted",
) -> FrameResult:
    """A photo from above a place; tilted, it looks north of it."""
    camera = replace(nadir_camera(lon, lat, tilt_deg=tilt_deg), focal_px=focal_px)
    solved = SolvedCamera(camera=camera, along_track_offset_s=0.0, off_nadir_deg=tilt_deg)
    return replace(proposal(name, verdict), solved=solved, time_utc=time_utc)


def ask(*words: object) -> Result:
    """`regengine catalogue`, which is to succeed."""
    result = try_ask(*words)
    assert result.exit_code == 0, result.output
    return result


def try_ask(*words: object) -> Result:
    """`regengine catalogue`, whatever becomes of it."""
    return CliRunner().invoke(app, ["catalogue", *(str(word) for word in words)])


def rows_of(path: Path) -> dict[str, dict[str, Any]]:
    """Rows of a catalogue by frame, in its order."""
    return {row["frame"]: row for row in pq.read_table(path).to_pylist()}


def write_rows(
    path: Path, rows: list[dict[str, Any]], metadata: dict[str, str] | None = None
) -> int:
    """A catalogue of made-up rows: how many it has."""
    columns = {name: [row.get(name) for row in rows] for name in NAMES}
    pq.write_table(pa.Table.from_pydict(columns, schema=arrow_schema(metadata)), path)
    return len(rows)
