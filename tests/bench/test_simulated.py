"""Simulated trials: cameras, lamps and stored pictures are what their truth says."""

from __future__ import annotations

import ast
import io
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sgp4.api import Satrec

from benchmarks import simulate as samples
from benchmarks.simulate import camera as geodesy
from benchmarks.simulate.camera import Pointing, SimCamera, ecef_of
from benchmarks.simulate.frames import GENERATORS
from benchmarks.simulate.light_map import (
    LightMapParameters,
    draw_light_map,
    lamp_planes,
    read_geotiff,
    write_geotiff,
)
from benchmarks.simulate.orbit import state_ecef
from benchmarks.simulate.render import render
from benchmarks.simulate.truth import footprint, reference_points
from benchmarks.simulate.weather import SceneParameters
from benchmarks.simulate.worlds import Clusters, Lamps, Realisation
from benchmarks.trials.attempt import camera_of
from benchmarks.trials.draw import draw_trial
from benchmarks.trials.lights import SeenWorld
from benchmarks.trials.photograph import take_photograph
from benchmarks.trials.shot import Conditions, draw_shot
from benchmarks.trials.source import Storage, TrialSource, make_source, stored_camera
from matchers.geometry.camera import Camera
from regengine.photo.frame import read_frame
from tests.conftest import ROOT

CLEAN = SceneParameters(
    ground_nw=0.0,
    halo_share=0.0,
    bloom_share=0.0,
    vignetting=0.0,
    read_noise_electrons=0.0,
    full_well_electrons=1e9,
    hot_pixels=0.0,
    stars_per_square_degree=0.0,
    airglow_nw=0.0,
    tone_contrast=0.0,
    jpeg_quality=95,
)


def looking(
    off_nadir_deg: float = 0.0, *, width: int = 300, height: int = 200, focal_px: float = 400.0
) -> SimCamera:
    """A camera 400 km over 10 E, 45 N."""
    return SimCamera.pointed(
        position_ecef_m=ecef_of(10.0, 45.0, 400e3),
        pointing=Pointing(off_nadir_deg=off_nadir_deg, azimuth_deg=70.0, roll_deg=25.0),
        width_px=width,
        height_px=height,
        focal_px=focal_px,
    )


class Beacons:
    """Single lamps at given places."""

    def __init__(self, lon: np.ndarray, lat: np.ndarray, power: float | np.ndarray) -> None:
        self.lon, self.lat = np.asarray(lon, float), np.asarray(lat, float)
        self.power = np.broadcast_to(np.asarray(power, float), self.lon.shape)

    def near(self, west: float, south: float, east: float, north: float) -> Clusters:
        row = np.flatnonzero(
            (self.lon >= west) & (self.lon <= east) & (self.lat >= south) & (self.lat <= north)
        )
        return Clusters(
            key=row.astype(np.uint64),
            lon=self.lon[row],
            lat=self.lat[row],
            power=self.power[row],
            radius_m=np.ones(len(row)),
            row=row.astype(np.int64),
        )

    def scatter(self, clusters: Clusters, counts: np.ndarray, realisation: Realisation) -> Lamps:
        return Lamps(
            lon=clusters.lon,
            lat=clusters.lat,
            power=clusters.power,
            colour=np.ones(len(clusters.lon), np.uint8),
        )


def test_simulator_imports_nothing_of_the_engine() -> None:
    for path in (ROOT / "benchmarks" / "simulate").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in ("matchers", "detectors", "regengine", "cli"), path


views = st.fixed_dictionaries(
    {
        "lon": st.floats(-180.0, 179.0),
        "lat": st.floats(-51.0, 51.0),
        "off_nadir": st.floats(0.0, 50.0),
        "azimuth": st.floats(0.0, 360.0),
        "roll": st.floats(-180.0, 180.0),
        "k1": st.floats(-0.06, 0.06),
        "mirrored": st.booleans(),
    }
)


@given(
    view=views, x=st.floats(0.0, 1600.0), y=st.floats(0.0, 1066.0), shift=st.floats(-300.0, 300.0)
)
def test_agrees_with_the_engines_camera(view: dict, x: float, y: float, shift: float) -> None:
    pose = {f"{name}_deg": view[name] for name in ("off_nadir", "azimuth", "roll")}
    camera = SimCamera.pointed(
        position_ecef_m=geodesy.ecef_of(view["lon"], view["lat"], 415e3),
        pointing=Pointing(**pose),
        width_px=1601,
        height_px=1067,
        focal_px=2000.0,
        k1=view["k1"],
        mirrored=view["mirrored"],
    )
    camera = replace(camera, principal_x=camera.principal_x + shift, principal_y=200.0)
    engine = camera_of(camera)
    lon, lat, _ = camera.ground(x, y)
    if np.isnan(lon):  # a corner above the limb
        assert camera.perigee_m(x, y) > -100.0
        assert np.isnan(engine.pixel_to_lonlat(x, y)[0])
        return
    back_x, back_y, _, cosine = camera.project(lon[None], lat[None])
    np.testing.assert_allclose([back_x[0], back_y[0]], [x, y], atol=0.01)
    if cosine[0] > 0.1:
        np.testing.assert_allclose(
            engine.lonlat_to_pixel(lon, lat), [back_x[0], back_y[0]], atol=1e-6
        )
    engine_lon, engine_lat = engine.pixel_to_lonlat(x, y)
    assert geodesy.wgs84().inv(engine_lon, engine_lat, lon, lat)[2] < 5.0


FRAMES, MAP = Realisation(number=2), Realisation(number=1)
STEP_DEG = 1.0 / 240.0


def test_a_lamp_falls_into_its_pixel_of_the_map_on_disk(tmp_path: Path) -> None:
    lon, lat = -158.4321, 36.7654
    parameters = LightMapParameters(glow_share=0.0, floor_nw=0.0)
    lamp = Beacons(np.array([lon]), np.array([lat]), 10.0)
    drawn = draw_light_map(lamp, (-159.0, 36.0, -158.0, 37.0), MAP, parameters)
    write_geotiff(tmp_path / "map.tif", drawn)
    with rasterio.open(tmp_path / "map.tif") as source:
        grid, values = source.transform, source.read(1)
        assert source.crs.to_epsg() == 4326
    at = int((lat - grid.f) / grid.e), int((lon - grid.c) / grid.a)
    assert np.unravel_index(values.argmax(), values.shape) == at
    pixel_km2 = (111.2 * STEP_DEG) ** 2 * np.cos(np.radians(lat))
    assert values.sum() * pixel_km2 == pytest.approx(10.0, rel=0.02)
    again = read_geotiff(tmp_path / "map.tif")
    assert (again.west, again.north, again.step_deg) == pytest.approx((-159.0, 37.0, STEP_DEG))
    np.testing.assert_allclose(again.radiance, drawn.radiance, rtol=0.009)


FOLDER = ROOT / "data_samples"
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
    text = (FOLDER / "truth" / f"{frame.frame_id}.json").read_text(encoding="utf-8")
    truth = json.loads(text)
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


@pytest.mark.parametrize(
    "generator", ["open", "crowded", pytest.param("camera", marks=pytest.mark.slow)]
)
def test_equal_seeds_equal_frames_that_hold_their_truth(generator: str) -> None:
    frame, same, other = (GENERATORS[generator](seed, side_px=384) for seed in (8, 8, 6))
    assert np.array_equal(frame.light, same.light)
    assert not np.array_equal(frame.light, other.light)
    # Brighter than the frame where bright stars are said to be
    bright = frame.stars.resolved & (frame.stars.peak_snr > 20.0)
    at = np.rint(frame.stars.y[bright]).astype(int), np.rint(frame.stars.x[bright]).astype(int)
    assert (frame.light[at] > np.quantile(frame.light, 0.9)).mean() > 0.9
