"""Any system's control points against true cameras, from the command line."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from benchmarks.registration.truth import CAMERAS, read_reference_cameras
from tests.world.program import invoke
from tests.world.results import control_point, nothing_found, proposal
from tests.world.stores import write_store

bench = partial(invoke, "bench", "registration")
Rows = list[tuple[str, float, float, float, float, float]]
OSAKA, TOKYO = "Osaka_ISS030-E-184140.jpg", "Tokyo_ISS038-E-36641.jpg"
INSIDE = "cupola_gate.jpeg"


def points(file: str, probability: float, *, off_deg: float = 0.0, number: int = 4) -> Rows:
    """Control points by the true camera, moved northwards."""
    camera = read_reference_cameras()[f"cities/{file}"].camera
    assert camera is not None
    rows: Rows = []
    for x, y in [(100.0, 100.0), (500.0, 100.0), (500.0, 320.0), (100.0, 320.0)][:number]:
        lon, lat = (float(v) for v in camera.pixel_to_lonlat(x, y))
        rows.append((file, x, y, lon, lat + off_deg, probability))
    return rows


def write(path: Path, rows: Rows, columns: int = 6) -> Path:
    names = ("photo", "x", "y", "lon", "lat", "probability")[:columns]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([names, *(row[:columns] for row in rows)])
    return path


def facts_of(path: Path) -> dict[str, dict]:
    result = bench(CAMERAS, path, "--json")
    assert result.exit_code == 0, result.output
    return {fact["split"]: fact for fact in map(json.loads, result.stdout.splitlines())}


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """One right, one 30 km off and less sure, and a claim of the station's inside, less still."""
    rows = [*points(OSAKA, 0.99), *points(TOKYO, 0.7, off_deg=0.3)]
    rows += [(INSIDE, x, y, 0.0, 0.0, 0.2) for _, x, y, *_ in points(OSAKA, 0.2)]
    return write(tmp_path / "answers.csv", rows)


def test_right_wrong_and_claims_of_what_shows_nothing(three: Path) -> None:
    whole = facts_of(three)["all"]
    assert (whole["right"], whole["wrong"]) == (1, 2)
    assert whole["placeable"] == 34
    assert whole["error_m"] < 1.0
    without, *_, last = whole["at"]
    assert (without["threshold"], without["right"], without["wrong"]) == (0.99, 1, 0)
    # 5 % of 63 judged photos are three: both wrong ones may be accepted
    assert (last["threshold"], last["right"], last["wrong"]) == (0.2, 1, 2)
    # one right and none wrong says little of the next: exact bound
    assert without["most_wrong_of_accepted"] == pytest.approx(0.95, abs=0.03)


def test_splits_by_mission_add_up(three: Path) -> None:
    facts = facts_of(three)
    assert facts.keys() == {"all", "development", "test"}
    for name in ("photos", "judged", "placeable", "right", "wrong"):
        assert facts["all"][name] == facts["development"][name] + facts["test"][name]


def test_three_points_or_points_in_a_corner_place_nothing(tmp_path: Path) -> None:
    few = points(OSAKA, 1.0, number=3)
    assert facts_of(write(tmp_path / "few.csv", few))["all"]["wrong"] == 1
    camera = read_reference_cameras()[f"cities/{OSAKA}"].camera
    assert camera is not None
    corner: Rows = []
    for x, y in [(10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0)]:
        lon, lat = (float(v) for v in camera.pixel_to_lonlat(x, y))
        corner.append((OSAKA, x, y, lon, lat, 1.0))
    assert facts_of(write(tmp_path / "corner.csv", corner))["all"]["wrong"] == 1


def test_hdf5_says_the_same_and_without_probability_all_is_claimed(
    tmp_path: Path, three: Path
) -> None:
    with three.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    path = tmp_path / "answers.h5"
    with h5py.File(path, "w") as file:
        file["photo"] = [row["photo"] for row in rows]
        for name in ("x", "y", "lon", "lat", "probability"):
            file[name] = np.array([float(row[name]) for row in rows])
    assert facts_of(path) == facts_of(three)
    bare = write(tmp_path / "bare.csv", [*points(OSAKA, 0.0), *points(TOKYO, 0.0, off_deg=0.3)], 5)
    assert facts_of(bare)["all"]["at"][0]["threshold"] is None


def test_a_store_is_scored_by_what_it_accepted(tmp_path: Path) -> None:
    camera = read_reference_cameras()[f"cities/{OSAKA}"].camera
    assert camera is not None
    right = [control_point(p.x, p.y, camera) for p in proposal().control_points]
    results = [
        replace(proposal(), path=f"photos/{OSAKA}", control_points=tuple(right)),
        replace(proposal("B"), path=f"photos/{TOKYO}"),
        replace(proposal("C"), path="photos/Nagoya_ISS038-E-11205.jpg", verdict="review"),
        nothing_found(),
        proposal("ISS999-E-1"),  # of no photo of the benchmark
    ]
    whole = facts_of(write_store(tmp_path / "run.h5", results))["all"]
    assert (whole["right"], whole["wrong"]) == (1, 1)


def test_the_table_for_people(three: Path) -> None:
    lines = bench(CAMERAS, three).stdout.splitlines()
    assert lines[0].split("|")[1].strip() == "split"
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert ["all", "0.0 %", "0.99", "1", "3 %", "0", "95.0 %"] in cells


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("photo,x,y,lon\n", "lacks the column lat"),
        ("photo,x,y,lon,lat\nnobody.jpg,1,1,1,1\n", "not a photo of the benchmark"),
        (f"photo,x,y,lon,lat\n{OSAKA},1,1,1,one\n", "write a number"),
        (f"photo,x,y,lon,lat\n{OSAKA},1,1,1,91\n", "within 90 degrees"),
        (
            f"photo,x,y,lon,lat,probability\n{OSAKA},1,1,1,1,0.5\n{OSAKA},1,1,1,1,0.6\n",
            "probability different from",
        ),
    ],
)
def test_what_is_wrong_with_answers_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(text)
    result = bench(CAMERAS, path)
    assert result.exit_code != 0
    assert words in str(result.exception) + result.output


def test_missing_files_are_named(tmp_path: Path, three: Path) -> None:
    for words in ((tmp_path / "no.csv", three), (CAMERAS, tmp_path / "no.csv")):
        result = bench(*words)
        assert result.exit_code != 0
        assert "no.csv" in str(result.exception) + result.output
