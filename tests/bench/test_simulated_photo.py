"""From lamps to a stored picture: places, weather, sensor, file; samples and whole trials."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from sgp4.api import Satrec

from benchmarks import simulate as samples
from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.hardware import draw_foreground
from benchmarks.simulate.light_map import lamp_planes
from benchmarks.simulate.moon import MoonDisc, moon_light
from benchmarks.simulate.orbit import state_ecef
from benchmarks.simulate.render import expose, render, to_jpeg, tone
from benchmarks.simulate.truth import CameraSettings, exif_bytes, footprint, reference_points
from benchmarks.simulate.weather import (
    CloudLayer,
    SceneParameters,
    cloud_depth,
    view_grid,
)
from benchmarks.simulate.worlds import Realisation
from benchmarks.trials.draw import FIRST_CUPOLA, draw_trial, stream_of, told_shot
from benchmarks.trials.lights import SeenWorld
from benchmarks.trials.photograph import take_photograph
from benchmarks.trials.shot import Conditions, draw_conditions, draw_shot, view_shares
from benchmarks.trials.source import (
    HALVES,
    Storage,
    TrialSource,
    continent_of,
    make_source,
    real_source,
    stored_camera,
)
from matchers.geometry.camera import Camera
from regengine.photo.frame import read_frame
from tests.conftest import ROOT
from tests.world.lamps import CLEAN, Beacons, looking

FOLDER = ROOT / "data_samples"
FRAMES = Realisation(number=2)
CAMERA = replace(looking(20.0, width=480, height=320, focal_px=672.0), k1=-0.03)
SPOTS = [(120.3, 80.7), (333.6, 200.2), (400.0, 40.5)]


def centroid(light: np.ndarray, x: float, y: float, reach: int = 8) -> tuple[float, float]:
    row, col = round(y), round(x)
    part = light[row - reach : row + reach + 1, col - reach : col + reach + 1].astype(float)
    rows, cols = np.mgrid[-reach : reach + 1, -reach : reach + 1] / part.sum()
    return col + float((part * cols).sum()), row + float((part * rows).sum())


def test_a_lamp_appears_where_the_camera_says_and_is_told() -> None:
    lon, lat, _ = CAMERA.ground(*np.array(SPOTS).T)
    lamps = Beacons(lon, lat, 3.0)
    planes = lamp_planes(CAMERA, lamps, FRAMES, extinction=0.0, side_light=0.0)
    linear = (render(CAMERA, lamps, FRAMES, CLEAN)[:, :, 1] / 255.0) ** 2.2
    for x, y in SPOTS:
        np.testing.assert_allclose(centroid(planes[1], x, y, 3), (x, y), atol=0.01)
        np.testing.assert_allclose(centroid(linear, x, y), (x, y), atol=0.1)
    told = sorted((p["x"], p["y"]) for p in reference_points(CAMERA, lamps, FRAMES))
    np.testing.assert_allclose(told, SPOTS, atol=1e-3)
    corner_lon, corner_lat, _ = CAMERA.ground(479.0, 0.0)
    assert footprint(CAMERA)[1] == pytest.approx([float(corner_lon), float(corner_lat)])


def test_radiance_is_intensity_over_ground_area() -> None:
    camera = looking()
    lamp = Beacons(np.array([10.0]), np.array([45.0]), 10.0)
    planes = lamp_planes(camera, lamp, FRAMES, extinction=0.0, side_light=0.0)
    assert planes.sum() == pytest.approx(10.0 / (400.0 / camera.focal_px) ** 2, rel=1e-3)
    assert planes[[0, 2]].sum() == 0.0


def test_same_parameters_same_bytes_and_other_seed_other_noise() -> None:
    lamp = Beacons(np.array([10.0]), np.array([45.0]), 10.0)
    scene = SceneParameters(seed=4, clouds=(CloudLayer(),), reflection_nw=3.0, motion_px=2.0)
    one, two, other = (
        to_jpeg(render(CAMERA, lamp, FRAMES, replace(scene, seed=seed)), 90) for seed in (4, 4, 5)
    )
    assert one == two != other


@pytest.mark.parametrize("coverage", [0.0, 0.2, 0.6])
def test_clouds_cover_the_share_asked_for(coverage: float) -> None:
    view = view_grid(CAMERA)
    depth = cloud_depth(CloudLayer(coverage=coverage), view, np.random.default_rng(3))
    assert (depth > 0).mean() == pytest.approx(coverage, abs=0.02)


def test_noise_has_the_electrons_spread() -> None:
    scene = SceneParameters(
        psf_sigma_px=0.0, halo_share=0.0, vignetting=0.0, tone_contrast=0.0, hot_pixels=0.0,
        saturation_nw=100.0, full_well_electrons=2000.0, read_noise_electrons=20.0,
    )  # fmt: skip
    light = np.full((3, 200, 300), 25.0, np.float32)
    picture = expose(light, scene, np.random.default_rng(0)).astype(float) / 255.0
    linear = ((picture + 0.055) / 1.055) ** 2.4
    expected = np.sqrt(0.25 / 2000.0 + (20.0 / 2000.0) ** 2)
    assert linear.std() == pytest.approx(expected, rel=0.05)
    assert linear.mean() == pytest.approx(0.25, rel=0.02)


def test_tone_is_srgb_and_clips() -> None:
    linear = np.array([[-1.0, 0.0, 0.0031308, 0.2140411, 1.0, 9.0]], np.float32)
    np.testing.assert_array_equal(tone(linear, 0.0)[0], [0, 0, 10, 128, 255, 255])
    assert tone(linear, 0.3)[0, 2] < 10


def test_exif_says_what_the_camera_knows() -> None:
    clock = datetime(2014, 2, 1, 8, 38, 12, 340000, tzinfo=UTC)
    settings = CameraSettings(clock_utc=clock, focal_mm=85.0, orientation=8)
    data = to_jpeg(np.zeros((20, 30, 3), np.uint8), 90, exif_bytes(settings))
    exif, base = Image.open(io.BytesIO(data)).getexif(), ExifTags.Base
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    assert (exif[base.Model], exif[base.Orientation]) == ("NIKON D3S", 8)
    assert detail[base.DateTimeOriginal] == "2014:02:01 08:38:12"
    assert detail[base.SubsecTimeOriginal] == "34"
    assert float(detail[base.FocalLength]) == 85.0
    assert settings.pixel_pitch_um(1065, 1600) == pytest.approx(22.5)


@pytest.mark.parametrize("phase_deg", [0.0, 60.0, 130.0])
def test_the_moon_is_where_it_is_drawn_and_lit_by_its_phase(phase_deg: float) -> None:
    disc = MoonDisc(x=200.0, y=120.0, radius_px=80.0, phase_deg=phase_deg)
    lit = moon_light(disc, 400, 300, np.random.default_rng(3)).mean(axis=2) > 0.02
    rows, columns = np.nonzero(lit)
    assert np.hypot(columns - 200.0, rows - 120.0).max() <= 81.0
    # The lit share of a ball's disc is (1 + cos phase) / 2
    share = lit.sum() / (np.pi * 80.0**2)
    assert share == pytest.approx(0.5 * (1.0 + np.cos(np.radians(phase_deg))), abs=0.05)


# The samples


def truth_of(frame_id: str) -> dict:
    return json.loads((FOLDER / "truth" / f"{frame_id}.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_committed_frame_is_what_the_command_makes() -> None:
    frame = samples.FRAMES[4]
    camera = samples.sample_camera(frame, samples.true_orbit())
    jpeg = samples.render_sample(frame, camera, samples.sample_world())
    made = np.asarray(Image.open(io.BytesIO(jpeg)))
    stored = np.asarray(Image.open(FOLDER / f"{frame.frame_id}.jpg"))
    assert stored.shape == made.shape
    # Other versions of the JPEG library may round otherwise, by a grey level here and there
    assert np.abs(stored.astype(int) - made).mean() < 0.1


@pytest.mark.parametrize("frame", samples.FRAMES, ids=lambda frame: frame.frame_id)
def test_truth_agrees_with_the_engines_camera_and_the_elements(frame: samples.SampleFrame) -> None:
    truth = truth_of(frame.frame_id)
    other = ("model", "lon", "lat", "altitude_km")
    known = {name: value for name, value in truth["camera"].items() if name not in other}
    camera = Camera(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})
    points = truth["reference_points"]
    x, y = camera.lonlat_to_pixel([p["lon"] for p in points], [p["lat"] for p in points])
    np.testing.assert_allclose([x, y], [[p[k] for p in points] for k in "xy"], atol=0.05)
    assert camera.off_nadir_deg == pytest.approx(truth["off_nadir_deg"], abs=1e-3)
    lines = (FOLDER / "tle.txt").read_text(encoding="ascii").splitlines()
    ages_h = [(frame.time_utc - at).total_seconds() / 3600.0 for at, _ in samples.ELEMENT_SETS]
    nearest = int(np.argmin(np.abs(ages_h)))
    assert truth["tle_age_h"] == pytest.approx(ages_h[nearest])
    satellite = Satrec.twoline2rv(*lines[3 * nearest + 1 : 3 * nearest + 3])
    position, _ = state_ecef(satellite, frame.time_utc)
    miss_km = np.linalg.norm(position - truth["camera"]["position_ecef_m"]) / 1000.0
    drift_km = abs(samples.ELEMENT_SETS[nearest][1] * ages_h[nearest]) / 24.0
    assert miss_km == pytest.approx(drift_km, abs=1.0)


# Trials


@pytest.fixture(scope="module")
def source() -> TrialSource:
    return make_source("test")


@pytest.mark.slow
def test_a_city_is_what_its_factors_say_and_the_same_again(
    source: TrialSource, tmp_path: Path
) -> None:
    trial, again = (draw_trial(40, source, "city") for _ in range(2))
    assert (again.photo, again.tle_text) == (trial.photo, trial.tle_text)
    factors, camera = trial.factors, trial.camera
    assert trial.registrable == (trial.places >= 8)
    assert 0.0 <= factors["off_nadir_deg"] <= 65.0
    (tmp_path / "photo.jpg").write_bytes(trial.photo)
    frame = read_frame(tmp_path / "photo.jpg")
    assert (frame.width_px, frame.height_px) == (camera.width_px, camera.height_px)
    assert frame.camera_body == factors["body"]
    late_s = (frame.time_utc - datetime.fromisoformat(factors["time_utc"])).total_seconds()
    assert late_s == pytest.approx(factors["clock_error_s"], abs=0.002)
    if factors["focal_told"] != "unknown":
        error = frame.focal_mm / factors["focal_mm"] - 1.0
        assert error == pytest.approx(factors["focal_error"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dark", "stars", "noise", "elsewhere", "other_time"])
def test_controls_are_never_registrable(kind: str, source: TrialSource) -> None:
    trial = draw_trial(5, source, kind)
    assert not trial.registrable
    assert bool(trial.truth["reference_points"]) == (kind in ("elsewhere", "other_time"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "storage",
    [
        Storage(long_px=180, crop=(0.3, 0.2, 0.5, 0.6)),
        Storage(long_px=360, quarter_turns=1),
        Storage(long_px=216, crop=(0.1, 0.3, 0.6, 0.5), quarter_turns=3, mirrored=True),
    ],
)
def test_a_lamp_shines_where_the_stored_camera_puts_it(
    storage: Storage, source: TrialSource
) -> None:
    whole = replace(looking(25.0, width=360, height=240, focal_px=500.0), k1=-0.03)
    camera: SimCamera = stored_camera(whole, storage)
    drawn = draw_shot(np.random.default_rng(1), source, "city")
    shot = replace(drawn, whole=whole, storage=storage, camera=camera)
    x, y = 0.3 * camera.width_px, 0.6 * camera.height_px
    lon, lat, _ = camera.ground(x, y)
    conditions = Conditions(
        scene=replace(CLEAN, saturation_nw=20.0, psf_sigma_px=1.2), lights=FRAMES,
        changed_share=0.0, flares=0, aurora=None, hardware=None, moon=0.0,
    )  # fmt: skip
    lamp = Beacons(np.array([lon]), np.array([lat]), 5.0)
    photo = take_photograph(shot, SeenWorld(lamp, camera, 0.0, 1), conditions)
    assert photo.picture.shape == (camera.height_px, camera.width_px, 3)
    assert centroid(photo.picture.sum(axis=2), x, y) == pytest.approx((x, y), abs=0.1)
    assert centroid(photo.lamps, x, y) == pytest.approx((x, y), abs=0.05)


@pytest.mark.slow
def test_frames_through_the_cupola_are_wide_and_show_window_and_limb(source: TrialSource) -> None:
    for seed in range(FIRST_CUPOLA + 1, FIRST_CUPOLA + 4):
        kind, shot, claim = told_shot(seed, source)
        camera = shot.camera
        assert kind == "cupola"
        assert (claim.focal_mm is None) == (claim.focal_told == "unknown")
        diagonal = np.hypot(camera.width_px, camera.height_px)
        assert 2.0 * np.degrees(np.arctan(0.5 * diagonal / camera.focal_px)) > 69.0
        ground, sky = view_shares(camera)
        assert ground >= 0.25
        assert 0.1 <= sky <= 0.55
        hardware = draw_conditions(stream_of(seed, "test", 3), kind, shot, seed).hardware
        assert hardware is not None
        cover = draw_foreground(hardware, camera.width_px, camera.height_px).cover
        assert 0.08 < cover.mean() < 0.42


def test_real_trials_are_of_their_half(real_data: Path) -> None:
    trial = draw_trial(11, real_source(real_data, "test"), "city")
    assert str(continent_of(trial.factors["lon"], trial.factors["lat"])) in HALVES["test"]
    assert len(trial.truth["reference_points"]) > 0
