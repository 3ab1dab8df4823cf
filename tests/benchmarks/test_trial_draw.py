"""Whole trials over the self-made land: reproducible, true, and told as their factors say."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from trial_parts import CLEAN, Beacons, looking

from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.hardware import draw_foreground
from benchmarks.simulate.worlds import Realisation
from benchmarks.trials.draw import FIRST_CUPOLA, draw_trial, stream_of, told_shot
from benchmarks.trials.exposures import read_exposures
from benchmarks.trials.lights import SeenWorld
from benchmarks.trials.lit import HALVES, continent_of, distance_km
from benchmarks.trials.photograph import take_photograph
from benchmarks.trials.shot import Conditions, Shot, draw_conditions, draw_shot, view_shares
from benchmarks.trials.source import (
    Kind,
    Storage,
    Trial,
    TrialSource,
    make_source,
    real_source,
    stored_camera,
)
from regengine.photo.frame import read_frame

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def source() -> TrialSource:
    return make_source("test")


@pytest.fixture(scope="module")
def cities(source: TrialSource) -> list[Trial]:
    return [draw_trial(seed, source, "city") for seed in range(40, 43)]


def test_same_seed_same_bytes(source: TrialSource, cities: list[Trial]) -> None:
    again = draw_trial(cities[0].seed, source, "city")
    assert again.photo == cities[0].photo
    assert again.tle_text == cities[0].tle_text
    assert again.factors == cities[0].factors
    assert cities[1].photo != cities[0].photo


def test_cities_are_what_their_factors_say(cities: list[Trial], tmp_path: Path) -> None:
    for trial in cities:
        factors, camera = trial.factors, trial.camera
        assert trial.registrable == (trial.places >= 8)
        assert 0.0 <= factors["off_nadir_deg"] <= 65.0
        assert factors["ground_share"] >= 0.25
        json.dumps([trial.truth, factors])
        path = tmp_path / f"{trial.seed}.jpg"
        path.write_bytes(trial.photo)
        frame = read_frame(path)
        assert (frame.width_px, frame.height_px) == (camera.width_px, camera.height_px)
        assert frame.camera_body == factors["body"]
        true_utc = datetime.fromisoformat(factors["time_utc"])
        assert (frame.time_utc - true_utc).total_seconds() == pytest.approx(
            factors["clock_error_s"], abs=0.002
        )
        assert frame.time_utc.microsecond == 0
        if factors["focal_told"] == "unknown":
            assert frame.focal_mm is None
        else:
            error = frame.focal_mm / factors["focal_mm"] - 1.0
            assert error == pytest.approx(factors["focal_error"], abs=1e-6)
        if factors["crop_share"] == 1.0 and factors["crop_keeps_shape"]:
            told_px = 1000.0 * factors["focal_mm"] / frame.pixel_pitch_um
            assert told_px == pytest.approx(camera.focal_px, rel=0.003)


@pytest.mark.parametrize("kind", ["dark", "stars", "noise"])
def test_negatives_hold_no_lights(kind: Kind, source: TrialSource) -> None:
    trial = draw_trial(3, source, kind)
    assert trial.kind == kind
    assert not trial.registrable
    assert trial.places == 0
    assert trial.truth["reference_points"] == []
    if kind == "stars":
        assert trial.factors["ground_share"] == 0.0


@pytest.mark.parametrize("kind", ["elsewhere", "other_time"])
def test_cities_under_another_pass_are_never_registrable(kind: Kind, source: TrialSource) -> None:
    trial = draw_trial(5, source, kind)
    assert not trial.registrable
    assert len(trial.truth["reference_points"]) > 0


def plain_shot(storage: Storage, source: TrialSource) -> Shot:
    whole = replace(looking(25.0, width=360, height=240, focal_px=500.0), k1=-0.03)
    drawn = draw_shot(np.random.default_rng(1), source, "city")
    return replace(drawn, whole=whole, storage=storage, camera=stored_camera(whole, storage))


@pytest.mark.parametrize(
    "storage",
    [
        Storage(long_px=360),
        Storage(long_px=180, crop=(0.3, 0.2, 0.5, 0.6)),
        Storage(long_px=360, quarter_turns=1),
        Storage(long_px=216, crop=(0.1, 0.3, 0.6, 0.5), quarter_turns=3, mirrored=True),
    ],
)
def test_a_lamp_shines_where_the_stored_camera_puts_it(
    storage: Storage, source: TrialSource
) -> None:
    shot = plain_shot(storage, source)
    camera = shot.camera
    lon, lat, _ = camera.ground(0.3 * camera.width_px, 0.6 * camera.height_px)
    beacons = Beacons(np.array([lon]), np.array([lat]), 5.0)
    conditions = Conditions(
        scene=replace(CLEAN, saturation_nw=20.0, psf_sigma_px=1.2),
        lights=Realisation(number=2),
        changed_share=0.0,
        flares=0,
        aurora=None,
        hardware=None,
        moon=0.0,
    )
    photo = take_photograph(shot, SeenWorld(beacons, camera, 0.0, 1), conditions)
    assert photo.picture.shape == (camera.height_px, camera.width_px, 3)
    assert centroid(photo.picture) == pytest.approx(pixel_of(camera, lon, lat), abs=0.1)
    assert centroid(photo.lamps) == pytest.approx(pixel_of(camera, lon, lat), abs=0.05)


def pixel_of(camera: SimCamera, lon: float, lat: float) -> tuple[float, float]:
    x, y, _, _ = camera.project(lon, lat)
    return float(x), float(y)


def centroid(picture: np.ndarray) -> tuple[float, float]:
    light = picture.reshape(*picture.shape[:2], -1).sum(axis=2).astype(float)
    y, x = np.indices(light.shape)
    return float((x * light).sum() / light.sum()), float((y * light).sum() / light.sum())


def test_real_trials_are_of_their_half(real_data: Path) -> None:
    source = real_source(real_data, "test")
    assert len(read_exposures(real_data / "orbit" / "iss_night_photos_jsc.csv")) > 8000
    for kind in ("city", "elsewhere"):
        trial = draw_trial(11, source, kind)
        lon, lat = trial.factors["lon"], trial.factors["lat"]
        assert str(continent_of(lon, lat)) in HALVES["test"]
        away_km = distance_km(
            lon, lat, np.array([trial.camera.lon_deg]), np.array([trial.camera.lat_deg])
        )
        assert float(away_km[0]) < 2400.0
        assert len(trial.truth["reference_points"]) > 0
        assert trial.registrable <= (kind == "city")


def test_frames_through_the_cupola_are_wide_and_show_window_and_limb(source: TrialSource) -> None:
    for seed in range(FIRST_CUPOLA + 1, FIRST_CUPOLA + 4):
        kind, shot, claim = told_shot(seed, source)
        camera = shot.camera
        assert kind == "cupola"
        assert 15.8 < shot.focal_mm < 28.3
        assert (claim.focal_mm is None) == (claim.focal_told == "unknown")
        diagonal = np.hypot(camera.width_px, camera.height_px)
        assert 2.0 * np.degrees(np.arctan(0.5 * diagonal / camera.focal_px)) > 69.0
        ground, sky = view_shares(camera)
        assert ground >= 0.25
        assert 0.1 <= sky <= 0.55
        hardware = draw_conditions(stream_of(seed, "test", 3), kind, shot, seed).hardware
        assert hardware is not None
        assert hardware.parts[-1] == "window"
        cover = draw_foreground(hardware, camera.width_px, camera.height_px).cover
        assert 0.08 < cover.mean() < 0.42
