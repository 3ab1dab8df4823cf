"""The NDJSON record of a frame."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np

from regengine.records import record, record_line
from tests.conftest import ROOT
from tests.example_results import nothing_found, proposal

# The documented example, key by key; what came later stands after it.
TOP = ["frame", "path", "sha256", "verdict", "probability", "reasons", "reason_texts"]
TOP += ["category", "category_probability", "time_utc", "nadir", "camera", "control_points"]
TOP += ["footprint", "fit", "engine"]
NESTED = {
    "nadir": "lon lat altitude_km source tle_age_h sigma_along_km",
    "camera": "model focal_px principal_point distortion quaternion position_ecef_m "
    "along_track_offset_s off_nadir_deg mirrored",
    "fit": "residual_px residual_m matched_lights held_out_residual_px log10_odds "
    "runner_up_log10_odds",
    "engine": "version lights seconds",
}
POINT = ["x", "y", "lon", "lat", "sigma_px", "sigma_m", "lights"]


def test_keys_come_in_the_documented_order() -> None:
    made = json.loads(record_line(proposal(verdict="review")))
    assert list(made)[: len(TOP)] == TOP
    for name, keys in NESTED.items():
        assert " ".join(made[name]).startswith(keys)
    assert len(made["control_points"]) == 4
    assert all(list(point) == POINT for point in made["control_points"])


def test_values_are_those_of_the_result() -> None:
    result = proposal(verdict="review")
    made = json.loads(record_line(result))
    assert made["reasons"] == ["low_margin", "x"]
    assert made["reason_texts"] == ["Two cameras fit alike.", "Y, z."]
    assert made["nadir"]["tle_age_h"] == 157.0
    assert made["camera"]["model"] == "pinhole"
    assert made["camera"]["quaternion"] == list(result.solved.camera.quaternion)
    assert made["camera"]["position_ecef_m"] == list(result.solved.camera.position_ecef_m)
    assert made["camera"]["mirrored"] is False
    assert made["footprint"] == [[136.0, 36.2], [137.8, 36.2], None, [136.0, 35.2]]
    assert made["control_points"][1]["lon"] == result.control_points[1].lon
    assert [h["rank"] for h in made["hypotheses"]] == [0, 1]
    assert made["hypotheses"][1]["centre"] == [136.9, 35.7]
    assert made["sources"]["focal_mm"] == "record"
    assert made["image"]["orientation"] == 6


def test_what_is_missing_is_null() -> None:
    made = json.loads(record_line(nothing_found()))
    empty = ("probability", "category", "time_utc", "nadir", "camera", "footprint", "fit")
    assert [made[name] for name in empty] == [None] * len(empty)
    assert made["control_points"] == made["hypotheses"] == []


def test_only_finite_numbers_and_plain_types_are_printed() -> None:
    result = proposal()
    odd = replace(
        result,
        probability=np.float64(0.5),
        width_px=np.int32(640),
        footprint_diagonal_km=float("inf"),
        fit=replace(result.fit, held_out_residual_px=float("nan")),
        hypotheses=(replace(result.hypotheses[0], centre_lon=None, centre_lat=None),),
    )
    line = record_line(odd)
    assert "NaN" not in line
    assert "Infinity" not in line
    made = json.loads(line)
    assert made["probability"] == 0.5
    assert made["image"]["width_px"] == 640
    assert made["footprint_diagonal_km"] is None
    assert made["fit"]["held_out_residual_px"] is None
    assert made["hypotheses"][0]["centre"] is None
    assert type(record(odd)["probability"]) is float


def test_a_record_is_one_line_of_ascii_whatever_the_names() -> None:
    line = record_line(replace(proposal(), path="a\nb\udceff é.jpg"))
    assert "\n" not in line
    assert line.isascii()
    assert json.loads(line)["path"] == "a\nb\\udceff é.jpg"


def keys_of(value: object, prefix: str = "") -> set[str]:
    found: set[str] = set()
    if isinstance(value, dict):
        for key, item in value.items():
            found |= {prefix + key} | keys_of(item, f"{prefix}{key}.")
    elif isinstance(value, list) and value:
        found |= keys_of(value[0], prefix)
    return found


def test_docs_explain_every_key() -> None:
    text = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")
    keys = text.split("## Keys")[1].split("\n## ")[0]
    named = [row.split(" | ")[0] for row in keys.splitlines()]
    explained = set(re.findall(r"`([\w.]+)`", " ".join(named)))
    made = {key for key in keys_of(record(proposal())) if not key.startswith("sources.")}
    assert explained == made
