"""The programs of developers, what they tell apart, and how registrations are judged."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from pyproj import Geod

from benchmarks import __main__ as launcher
from benchmarks.registration.settings import Settings
from benchmarks.rows import Row, read_rows
from benchmarks.simulate import SAMPLE_MAP
from benchmarks.trials.attempt import outcome_columns
from benchmarks.trials.run import Workshop, run_trials
from benchmarks.trials.score import MAP_PIXEL_M, score_columns
from tests.world.results import control_point, nadir_camera


@pytest.mark.slow
def test_a_trial_is_registered_and_scored(tmp_path: Path) -> None:
    shop = Workshop(Settings(lights=SAMPLE_MAP))
    trial = shop.draw(0)
    found = shop.register(trial, tmp_path)
    row = outcome_columns(trial, found)
    assert row["verdict"] == "accepted"
    assert row["right"]
    assert row["grid_median_units"] < 1.0
    # The same answer is wrong for another camera, whatever the verdict
    elsewhere = replace(trial.camera, lon_deg=trial.camera.lon_deg + 5.0)
    assert not outcome_columns(replace(trial, camera=elsewhere), found)["right"]
    broken = shop.register(replace(trial, photo=b"no picture"), tmp_path)
    assert outcome_columns(trial, broken)["verdict"] == "failed"
    assert str(tmp_path) not in broken.problem


def test_two_runs_are_joined_by_frame_and_a_difference_is_told_where_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run, order, seconds in (("first", (0, 1, 2), 1.0), ("second", (2, 0, 1), 7.5)):
        folder = tmp_path / run
        folder.mkdir()
        with h5py.File(folder / "run.h5", "w") as file:
            frames = file.create_group("frames")
            frames["frame_index"] = np.arange(3)
            frames["frame"] = np.array([f"ISS001-E-{k}" for k in order], dtype="S")
            frames["path"] = np.array([f"photos/{k}.jpg" for k in order], dtype="S")
            frames["probability"] = np.array([np.nan if k == 1 else 0.5 for k in order])
            frames["seconds"] = np.full(3, seconds)
            frames["seconds"].attrs["volatile"] = np.uint8(1)
        records = [{"frame": f"ISS001-E-{k}", "lon": k / 3} for k in order]
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "run.ndjson").write_text(text, "utf-8")
        (folder / "points.csv").write_text("frame,x\nISS001-E-1,1\nISS001-E-2,2\n", "utf-8")
    runs = str(tmp_path / "first"), str(tmp_path / "second")
    assert launcher.main(["same", *runs]) == 0
    assert capsys.readouterr().out == "the same\n"
    (folder / "points.csv").write_text("frame,x\nISS001-E-1,1\nISS001-E-2,3\n", "utf-8")
    assert launcher.main(["same", *runs]) == 1
    assert "points.csv: ISS001-E-2: x: '2' | '3'" in capsys.readouterr().out
    assert launcher.main(["same", str(tmp_path / "none.h5"), runs[1]]) == 2
    assert capsys.readouterr().err.startswith("Error: ")


TRUTH = nadir_camera()
WGS84 = Geod(ellps="WGS84")


def moved(east_m: float, north_m: float) -> list:
    """Four control points that are off by so much."""
    points = []
    azimuth, length_m = np.degrees(np.arctan2(east_m, north_m)), np.hypot(east_m, north_m)
    for x, y in ((50, 40), (600, 30), (590, 400), (30, 390)):
        point = control_point(float(x), float(y))
        lon, lat, _ = WGS84.fwd(point.lon, point.lat, azimuth, length_m)
        variance = (200.0**2, 0.0, 100.0**2)
        points.append(replace(point, lon=lon, lat=lat, covariance_m=variance))
    return points


def test_errors_in_metres_units_and_sigmas() -> None:
    columns = score_columns(TRUTH, moved(300.0, -250.0), TRUTH)
    off_m = np.hypot(300.0, 250.0)
    assert columns["right"]
    assert columns["point_error_m"] == pytest.approx(4 * [off_m], abs=0.5)
    # The photo's pixels are finer than the map's
    assert columns["point_error_units"] == pytest.approx(4 * [off_m / MAP_PIXEL_M], rel=1e-3)
    assert columns["z_east"] == pytest.approx(4 * [1.5], rel=1e-2)
    assert columns["z_north"] == pytest.approx(4 * [-2.5], rel=1e-2)
    assert columns["grid_max_m"] == 0.0
    assert not score_columns(TRUTH, moved(4000.0, 0.0), TRUTH)["right"]


@dataclass(frozen=True)
class MadeUpSettings:
    """In the place of `Settings`: a worker need not load the engine to be told of them."""

    half: str = "test"
    lights: None = None
    told: str = "all"
    index_words: str = "none"
    limit_s: float = 2.0

    def parameters(self) -> SimpleNamespace:
        return SimpleNamespace(work_budget=15.0, search=SimpleNamespace(methods=("dense",)))


def ready(_: object) -> None:
    """Nothing to prepare."""


def drawn(seed: int) -> Row:
    """What was drawn of a trial; seed 1 cannot be."""
    if seed == 1:
        raise ValueError("a bad day")
    return {"seed": seed, "half": "test", "kind": "stars", "verdict": "review"}


def mishap(seed: int) -> Row:
    """Rows, but for three seeds: an error, a death, and work without end."""
    if seed == 2:
        os._exit(3)
    if seed == 3:
        time.sleep(600.0)
    return drawn(seed)


@pytest.mark.slow
def test_a_mishap_is_a_row_and_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    told: list[Row] = []

    def run(last: int) -> None:
        run_trials(
            range(last), path, MadeUpSettings(), workers=2, tell=told.append, work=mishap,
            describe=drawn, prepare=ready,
        )  # fmt: skip

    run(1)
    with path.open("a") as file:
        file.write('{"seed": 1, "half": "te')  # killed while it wrote
    run(5)
    run(5)
    rows = sorted(read_rows(path), key=lambda row: int(row["seed"]))
    assert len(told) == len(rows) == 5
    assert [row["verdict"] for row in rows] == ["review", "failed", "failed", "failed", "review"]
    assert rows[1]["problem"] == "ValueError: a bad day"
    assert "died (exit code 3)" in rows[2]["problem"]
    assert rows[3]["problem"] == "killed after 2 s"
    assert rows[3]["kind"] == "stars"
