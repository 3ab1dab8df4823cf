"""Values that the program never wrote, as of a damaged store or a stranger's: no report dies."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from reported import accepted, collected

from regengine.io.html import script_json
from regengine.report.page import frame_row
from regengine.result import FrameResult
from tests.example_results import proposal, solved

NAN, INF = math.nan, math.inf


def told(result: FrameResult) -> dict[str, object]:
    """What becomes of a result beside a good one."""
    figures = collected([result, accepted("good", offset_s=3.0)]).figures
    script_json(figures)
    assert figures["photos"] == 2
    assert any(row["median_s"] == 3.0 for row in figures["clocks"]["rows"])
    return frame_row(result, Path(), None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time_utc", "yesterday"),
        ("time_utc", "9999-99"),
        ("seconds", NAN),
        ("probability", 7.0),
        ("pixel_pitch_um", 0.0),
        ("focal_mm", NAN),
        ("orientation", 99),
        ("footprint", ((NAN, NAN), (INF, 1.0), (1.0, 1.0), (2.0, 1e300))),
        ("control_points", (replace(proposal().control_points[0], sigma_m=NAN),)),
        ("hypotheses", (replace(proposal().hypotheses[0], centre_lon=INF),)),
    ],
)
def test_absurd_results(name: str, value: object) -> None:
    told(accepted(camera_body="other", **{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("focal_px", 0.0),
        ("focal_px", INF),
        ("quaternion", (0.0, 0.0, 0.0, 0.0)),
        ("quaternion", (NAN, NAN, NAN, NAN)),
        ("position_ecef_m", (0.0, 0.0, 0.0)),
        ("distortion", (1e9, 1e9, 1e9, 1e9, 1e9)),
        ("principal_point", (NAN, NAN)),
    ],
)
def test_absurd_cameras(name: str, value: object) -> None:
    camera = replace(solved().camera, **{name: value})  # type: ignore[arg-type]
    made = replace(solved(), camera=camera, along_track_offset_s=NAN)
    none = (None, None, None, None)
    row = told(accepted(camera_body="other", solved=made, footprint=none, hypotheses=()))
    assert row["place"] is not None  # the nadir at least
