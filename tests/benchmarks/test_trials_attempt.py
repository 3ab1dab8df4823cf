"""One trial from its bytes to its row, on a hand-made trial of the samples' land."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.worlds import Realisation
from benchmarks.trials.attempt import (
    Registration,
    outcome_columns,
    register_trial,
)
from benchmarks.trials.source import Trial
from matchers.geometry.camera import quaternion_matrix
from matchers.geometry.earth import ecef_to_geodetic
from regengine import open_light_map
from regengine.registration.index.earth import index_in_memory
from regengine.registration.parameters import RegisterParams
from regengine.registration.types import Evidence, SearchReferences
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
def references() -> SearchReferences:
    light_map = open_light_map([SAMPLES / "lights.tif"])
    return SearchReferences(light_map=light_map, index=index_in_memory(light_map))


@pytest.fixture(scope="module")
def found(
    trial: Trial, references: SearchReferences, tmp_path_factory: pytest.TempPathFactory
) -> Registration:
    return register_trial(trial, references, RegisterParams(), tmp_path_factory.mktemp("trial"))


def test_a_trial_is_registered_and_scored(trial: Trial, found: Registration) -> None:
    row = outcome_columns(trial, found)
    assert row["verdict"] == "accepted"
    assert row["right"]
    assert len(row["point_error_m"]) == len(row["z_east"]) == 4
    assert row["grid_median_units"] < 1.0
    assert {f"ev_{name}" for name in Evidence.__dataclass_fields__} <= set(row)
    assert row["ev_n_matched_lights"] >= 8
    assert row["seconds_cpu"] > 0.0
    assert row["work"] > 0.0
    assert row["stopped"] == "PROVEN"
    # The same answer is wrong for another camera, whatever the verdict
    elsewhere = replace(trial, camera=replace(trial.camera, lon_deg=trial.camera.lon_deg + 5.0))
    other = outcome_columns(elsewhere, found)
    assert not other["right"]


def test_told_nothing_a_trial_is_found_by_the_index(
    trial: Trial, references: SearchReferences, tmp_path: Path
) -> None:
    """The element set is not even read."""
    untold = replace(trial, tle_text="no element set")
    found = register_trial(untold, references, RegisterParams(), tmp_path, told="nothing")
    row = outcome_columns(trial, found)
    assert row["verdict"] in ("accepted", "review")
    assert row["right"]


def test_what_cannot_be_read_has_failed(
    trial: Trial, references: SearchReferences, tmp_path: Path
) -> None:
    broken = replace(trial, photo=b"no picture")
    row = outcome_columns(broken, register_trial(broken, references, RegisterParams(), tmp_path))
    assert row["verdict"] == "failed"
    assert row["problem"]
    assert str(tmp_path) not in row["problem"]
    assert row["views"] is None
