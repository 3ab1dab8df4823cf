"""One trial from its bytes to its row, on a hand-made trial of the samples' land."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.processes import Columns
from benchmarks.row_tables import cell
from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.worlds import Realisation
from benchmarks.trials.attempt import (
    Registration,
    camera_of,
    outcome_columns,
    register_trial,
    with_true_camera,
)
from benchmarks.trials.source import Trial
from matchers.camera import quaternion_matrix
from matchers.earth import ecef_to_geodetic
from regengine.lights.map import LightMap, open_light_map
from regengine.registration.evidence import Evidence
from regengine.registration.index.earth import index_in_memory
from regengine.registration.search import RegisterParams, SearchAids
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

SAMPLES = ROOT / "data_samples"
FRAME = "ISS990-E-000103"


@pytest.fixture(scope="module")
def trial() -> Trial:
    """A sample photograph as a trial."""
    truth = json.loads((SAMPLES / "truth" / f"{FRAME}.json").read_text())
    known = truth["camera"]
    lon, lat, height = (float(v) for v in ecef_to_geodetic(np.array(known["position_ecef_m"])))
    camera = SimCamera(
        width_px=known["width_px"],
        height_px=known["height_px"],
        focal_px=known["focal_px"],
        principal_x=known["principal_point"][0],
        principal_y=known["principal_point"][1],
        k1=known["distortion"][0],
        lon_deg=lon,
        lat_deg=lat,
        height_m=height,
        axes=quaternion_matrix(tuple(known["quaternion"])),
        mirrored=known["mirrored"],
    )
    return Trial(
        seed=103,
        half="test",
        kind="city",
        photo=(SAMPLES / f"{FRAME}.jpg").read_bytes(),
        tle_text=(SAMPLES / "tle.txt").read_text(),
        camera=camera,
        factors={"focal_mm": 50.0, "places": 25, "limb_visible": False},
        registrable=True,
        places=25,
        world=None,
        lights=Realisation(number=0),
    )


@pytest.fixture(scope="module")
def light_map() -> LightMap:
    return open_light_map([SAMPLES / "lights.tif"])


@pytest.fixture(scope="module")
def found(
    trial: Trial, light_map: LightMap, tmp_path_factory: pytest.TempPathFactory
) -> Registration:
    return register_trial(trial, light_map, RegisterParams(), tmp_path_factory.mktemp("trial"))


def test_a_trial_is_registered_and_scored(trial: Trial, found: Registration) -> None:
    row = outcome_columns(trial, found)
    assert row["verdict"] == "accepted"
    assert row["right"]
    assert row["truth_in_finalists"] == 0
    assert row["truth_in_candidates"] is not None
    assert len(row["point_error_m"]) == len(row["z_east"]) == 4
    assert row["grid_median_units"] < 1.0
    assert {f"ev_{name}" for name in Evidence.__dataclass_fields__} <= set(row)
    assert row["ev_met_towns"] >= 8
    assert row["seconds_cpu"] > 0.0
    assert row["work"] > 0.0
    assert row["braked"] is False
    assert row["kinds"]
    assert {type(cell(value)) for value in row.values()} == {str}
    # The same answer is wrong for another camera, whatever the verdict
    elsewhere = replace(trial, camera=replace(trial.camera, lon_deg=trial.camera.lon_deg + 5.0))
    other = outcome_columns(elsewhere, found)
    assert not other["right"]
    assert other["truth_in_finalists"] is None
    assert found.result is not None
    true = with_true_camera(found.result, trial)
    assert true.solved is not None
    assert true.solved.camera == camera_of(trial.camera)
    assert true.control_points == ()


def test_what_no_search_finds_is_judged_where_it_was_taken(
    trial: Trial, light_map: LightMap, tmp_path: Path
) -> None:
    """So that what the search misses is told from what no camera would prove."""
    nothing_proposed = RegisterParams(methods=())

    def row_of(one: Trial, parameters: RegisterParams, *, placed: bool) -> Columns:
        registered = register_trial(one, light_map, parameters, tmp_path, placed=placed)
        return outcome_columns(one, registered)

    row = row_of(trial, nothing_proposed, placed=True)
    assert row["verdict"] == "no_match"
    assert (row["placed_verdict"], row["placed_right"]) == ("accepted", True)
    moved = replace(trial, camera=replace(trial.camera, lon_deg=trial.camera.lon_deg + 5.0))
    row = row_of(moved, nothing_proposed, placed=True)
    assert (row["placed_verdict"], row.get("placed_right")) == ("no_match", None)
    assert row_of(trial, nothing_proposed, placed=False)["placed_verdict"] is None
    assert row_of(trial, RegisterParams(), placed=True)["placed_verdict"] is None  # not missed


def test_told_nothing_a_trial_is_found_by_the_index(
    trial: Trial, light_map: LightMap, tmp_path: Path
) -> None:
    """The element set is not even read."""
    untold = replace(trial, tle_text="no element set")
    aids = SearchAids(index=index_in_memory(light_map))
    found = register_trial(untold, light_map, RegisterParams(), tmp_path, aids, told="nothing")
    row = outcome_columns(trial, found)
    assert row["verdict"] in ("accepted", "review")
    assert row["right"]
    assert any(kind.startswith("index") for kind in row["kinds"])


def test_what_cannot_be_read_has_failed(trial: Trial, light_map: LightMap, tmp_path: Path) -> None:
    broken = replace(trial, photo=b"no picture")
    row = outcome_columns(broken, register_trial(broken, light_map, RegisterParams(), tmp_path))
    assert row["verdict"] == "failed"
    assert row["problem"]
    assert str(tmp_path) not in row["problem"]
    assert row["looks"] is None


def test_elements_that_do_not_reach_the_photo_are_no_match(
    trial: Trial, light_map: LightMap, tmp_path: Path
) -> None:
    def aged(line: str) -> str:
        if not line.startswith("1 "):
            return line
        body = f"{line[:18]}01{line[20:68]}"
        digits = sum(int(c) if c.isdigit() else c == "-" for c in body)
        return f"{body}{digits % 10}"

    old = "\n".join(aged(line) for line in trial.tle_text.splitlines())
    stale = replace(trial, tle_text=old + "\n")
    row = outcome_columns(stale, register_trial(stale, light_map, RegisterParams(), tmp_path))
    assert row["verdict"] == "no_match"
    assert row["problem"] == ""
    assert row["reasons"]
