"""One result in four forms that say the same: Python object, NDJSON record, store row, CSV row."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
import pytest

import regengine
from docs.field_tables import FIRST, LAST, TYPES_TS, fill_in, write_types
from tests.conftest import ROOT
from tests.world.program import run
from tests.world.samples import camera_of
from tests.world.shared import records_of
from tests.world.towns import ecef, project

Record = dict[str, Any]
RUNS = ("simulated", pytest.param("demo_run", marks=pytest.mark.slow))


@pytest.fixture(params=RUNS)
def a_run(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


def by_frame(folder: Path) -> dict[str, Record]:
    """Records of a run; they were printed in the order in which the photos were done."""
    return {record["frame"]: record for record in records_of(folder)}


def placed(folder: Path) -> list[Record]:
    """Records of a run that have a proposal."""
    return [record for record in records_of(folder) if record["camera"] is not None]


# The four forms


def test_the_python_object_and_show_are_the_record(a_run: Path) -> None:
    said = by_frame(a_run)
    store = regengine.open_store(a_run / "run.h5")
    assert {one.frame: one.to_dict() for one in store} == said
    assert len(store) == len(records_of(a_run))
    shown = run("show", a_run / "run.h5", "--json")
    assert {record["frame"]: record for record in shown.records} == said


def at(record: Record, path: str) -> Any:
    """A value of a record by its path; None below what is null."""
    value: Any = record
    for key in path.split("."):
        value = value[int(key) if key.isdigit() else key] if value is not None else None
    return value


IN_FRAMES = {
    **{name: name for name in ("frame", "path", "sha256", "verdict", "probability", "category")},
    **{name: name for name in ("probability_low", "time_utc", "footprint_diagonal_km")},
    **{name: f"image.{name}" for name in ("width_px", "orientation", "camera_body", "focal_mm")},
    **{f"nadir_{name}": f"nadir.{name}" for name in ("lon", "lat", "altitude_km", "source")},
    **{name: f"camera.{name}" for name in ("focal_px", "along_track_offset_s", "off_nadir_deg")},
    "along_track_sigma_s": "camera.along_track_sigma_s",
    **{name: f"camera.{name}" for name in ("principal_point", "distortion", "quaternion")},
    **{name: f"camera.{name}" for name in ("position_ecef_m", "mirrored", "pixel_aspect")},
    **{name: f"fit.{name}" for name in ("residual_px", "residual_m", "matched_lights", "ncc")},
    **{name: f"fit.{name}" for name in ("held_out_residual_px", "log10_odds", "runner_up_ncc")},
}


def plain(value: Any) -> Any:
    """A value of a column as the record has it: what is missing is None."""
    if isinstance(value, np.ndarray):
        values = [plain(one) for one in value]
        return None if all(one is None for one in values) else values
    value = value.decode() if isinstance(value, bytes) else value
    value = value.item() if isinstance(value, np.generic) else value
    if value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    return value


def test_the_row_of_the_store_is_the_record(a_run: Path) -> None:
    said_of = by_frame(a_run)
    with h5py.File(a_run / "run.h5") as store:
        frames = {name: column[()] for name, column in store["frames"].items()}
        provenance = {name: column[()] for name, column in store["provenance"].items()}
    assert len(frames["frame"]) == len(said_of)
    for row, name in enumerate(frames["frame"]):
        record = said_of[name.decode()]
        for column, path in IN_FRAMES.items():
            said, kept = at(record, path), plain(frames[column][row])
            if said is None and column in ("mirrored", "matched_lights"):
                assert kept in (0, -1), column
            else:
                assert kept == said, (record["frame"], column)
        assert (plain(frames["reasons"][row]) or "") == ",".join(record["reasons"])
        corners = np.stack([frames["footprint_lon"][row], frames["footprint_lat"][row]], axis=1)
        assert [plain(corner) for corner in corners] == (record["footprint"] or [None] * 4)
    assert list(provenance["frame_index"]) == list(range(len(said_of)))


# The form of a record


def keys_of(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield prefix + key
            yield from keys_of(item, f"{prefix}{key}.")
    elif isinstance(value, list):
        for item in value:
            yield from keys_of(item, prefix)


def test_every_key_is_documented_and_every_documented_key_comes(a_run: Path) -> None:
    text = fill_in((ROOT / "docs" / "records.md").read_text(encoding="utf-8"))
    rows = text.split("## Keys")[1].split("\n## ")[0]
    documented = set(re.findall(r"^\| `([\w.]+)` \|", rows, re.M))
    made = {key for record in records_of(a_run) for key in keys_of(record)}
    made = {key for key in made if not key.startswith(("sources.", "reason_values."))}
    assert made - documented == set()
    # No record of a run has a decision, and none here was placed on streets or by day
    undone = documented - made
    assert {key for key in undone if key.split(".")[0] not in ("decision", "proofs")} == set()


def test_a_record_is_a_line_of_ascii_with_finite_numbers(a_run: Path) -> None:
    data = (a_run / "records.ndjson").read_bytes()
    assert data.isascii()
    assert data.endswith(b"\n")
    for line in data.splitlines():
        json.dumps(json.loads(line), allow_nan=False)


def test_a_verdict_says_what_may_be_relied_on(a_run: Path) -> None:
    page = (ROOT / "docs" / "concepts.md").read_text(encoding="utf-8")
    reasons = fill_in(page).split("## Verdicts")[1]
    documented = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", reasons, re.M))))
    for record in records_of(a_run):
        assert {*record["reasons"], *keys_of(record["reason_values"])} <= documented
        assert len(record["reasons"]) == len(record["reason_texts"])
        assert all(text and "\n" not in text for text in record["reason_texts"])
        if record["verdict"] in ("accepted", "review"):
            assert len(record["control_points"]) == 4
            low, high = record["probability_low"], record["probability_high"]
            assert 0.0 <= low <= record["probability"] <= high <= 1.0
            assert 0.0 < record["probability"] < 1.0
            if record["verdict"] == "accepted":
                assert (record["category"], record["category_from"]) == ("cities", "lights")
                assert re.fullmatch(
                    r"lights \(features: \w+ [01].\d\d\)", record["sources"]["category"]
                )
        else:
            assert record["category_from"] in ("features", "nadir", "limb", "stars")
            assert record["control_points"] == []
            assert record["camera"] is record["fit"] is record["footprint"] is None
        assert (record["verdict"] != "accepted") <= bool(record["reasons"])


def test_four_points_are_spread_over_the_matched_lights(a_run: Path) -> None:
    """As the contract has it; where they are not, the reason says so."""
    store = regengine.open_store(a_run / "run.h5")
    index = {one.frame: number for number, one in enumerate(store)}
    lights = store.detections
    for record in placed(a_run):
        points = np.array([(p["x"], p["y"]) for p in record["control_points"]], np.float32)
        image = record["image"]
        assert (points >= -0.5).all()
        assert (points <= (image["width_px"] - 0.5, image["height_px"] - 0.5)).all()
        mine = (lights.frame_index == index[record["frame"]]) & (lights.matched == 1)
        assert mine.sum() == record["fit"]["matched_lights"]
        hull = cv2.convexHull(np.stack([lights.x[mine], lights.y[mine]], 1).astype(np.float32))
        span = cv2.contourArea(cv2.convexHull(points)) / cv2.contourArea(hull)
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)[np.triu_indices(4, 1)]
        spread = span >= 0.25 and apart.min() >= 0.1 * apart.max()
        assert spread is not ("narrow" in record["reasons"])


def test_covariances_are_those_of_the_sigmas_and_positive_definite(a_run: Path) -> None:
    points = regengine.open_store(a_run / "run.h5").control_points
    for name in ("px", "m"):
        first, cross, second = np.asarray(points[f"covariance_{name}"]).T
        assert (first > 0.0).all()
        assert (first * second > cross**2).all()
        sigma = np.asarray(points[f"sigma_{name}"])
        assert sigma == pytest.approx(np.sqrt((first + second) / 2.0), rel=1e-6)
    assert (np.asarray(points.sigma_m) >= 50.0).all()  # what the map's own places are good to


# The places of a record


def test_places_follow_from_the_record_alone(a_run: Path) -> None:
    """Projected by OpenCV and PROJ: places of pixels as Python has them, points and footprint."""
    store = regengine.open_store(a_run / "run.h5")
    for record in placed(a_run):
        size = {name: record["image"][name] for name in ("width_px", "height_px")}
        told, mine = camera_of(record["camera"] | size), store[record["frame"]].camera
        right, bottom = told.width_px - 1, told.height_px - 1
        x, y = np.meshgrid(np.linspace(0, right, 5), np.linspace(0, bottom, 4))
        pixels = np.stack([x.ravel(), y.ravel()], axis=1)
        lon, lat = mine.pixel_to_lonlat(*pixels.T)
        seen = np.isfinite(lon)
        assert project(told, ecef(lon[seen], lat[seen])) == pytest.approx(pixels[seen], abs=1e-3)
        back = np.stack(mine.lonlat_to_pixel(lon[seen], lat[seen]), axis=1)
        assert back == pytest.approx(pixels[seen], abs=1e-3)
        for point in record["control_points"]:
            (there,) = project(told, ecef([point["lon"]], [point["lat"]]))
            off_px = np.hypot(*(there - [point["x"], point["y"]]))
            assert off_px < 5.0 * point["sigma_px"]
        corners = ((0, 0), (right, 0), (right, bottom), (0, bottom))
        for corner, place in zip(corners, record["footprint"], strict=True):
            assert (place is None) == np.isnan(mine.pixel_to_lonlat(*corner)[0])
            if place is not None:
                assert project(told, ecef(*place)[None])[0] == pytest.approx(corner, abs=0.05)


# One table of fields -----------------------------------------------------------------------------

# A field is added where the others of a result are, and nowhere else
ADDED = """    moonlit: float | None = stored(
        "share of the Moon that is lit", where=EVERYWHERE, default=None
    )
"""
WHERE_IT_IS = """
import sqlite3
from dataclasses import replace
from pathlib import Path

import h5py

import regengine
from docs.field_tables import fill_in, write_types
from tests.world.pages import serve
from tests.world.program import run
from tests.world.results import proposal
from tests.world.stores import write_store

store = write_store(Path("run.h5"), [replace(proposal(), moonlit=0.75), proposal("ISS030-E-1")])
with h5py.File(store) as file:
    assert file["frames/moonlit"][0] == 0.75
    assert file["frames/moonlit"].attrs["description"] == "share of the Moon that is lit"
found = regengine.open_store(store)
assert [one.result.moonlit for one in found] == [0.75, None]
assert [one.to_dict()["moonlit"] for one in found] == [0.75, None]
assert run("show", store, "--json", "--where", "moonlit > 0.5").out.count("\\n") == 1
for name, *words in (("frames.csv", "--table", "frames"), ("run.sql", "--dialect", "mysql")):
    assert run("export", store, "--out", name, *words).code == 0
    text = Path(name).read_text()
    assert "moonlit" in text
    assert "0.75" in text
assert run("catalogue", "build", store, "--out", "all.gpkg", "--no-pictures").code == 0
rows = sqlite3.connect("all.gpkg").execute("SELECT moonlit FROM frames ORDER BY 1 DESC")
assert rows.fetchall() == [(0.75,), (None,)]
with serve(store) as client:
    assert client.told("frames/0")["moonlit"] == 0.75
assert "  moonlit: number | null;" in write_types()
for name in ("store", "record", "catalogue"):
    page = fill_in(f"<!-- fields: {name} -->")
    assert "`moonlit`" in page, name
    assert "share of the Moon that is lit" in page, name
"""


def test_a_field_that_is_added_in_one_place_is_everywhere(tmp_path: Path) -> None:
    for name in ("detectors", "docs", "matchers", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    here, room = tmp_path / "regengine", tmp_path / "regengine" / "store"
    room.mkdir(parents=True)
    for path in (*(ROOT / "regengine").iterdir(), *(ROOT / "regengine" / "store").iterdir()):
        copy = (here if path.parent.name == "regengine" else room) / path.name
        if path.name not in ("store", "result.py", "__pycache__"):
            copy.symlink_to(path)
    text = (ROOT / "regengine" / "store" / "result.py").read_text(encoding="utf-8")
    before, first, after = text.partition("    detections: DetectedLights | None = field(")
    (room / "result.py").write_text(f"{before}{ADDED}{first}{after}", encoding="utf-8")
    said = subprocess.run(
        [sys.executable, "-c", WHERE_IT_IS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr


def test_the_types_of_the_page_are_those_of_the_fields() -> None:
    made = TYPES_TS.read_text(encoding="utf-8").partition(FIRST)[2].partition(LAST)[0]
    assert made.strip() == write_types().strip()
