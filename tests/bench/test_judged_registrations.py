"""How registrations are judged: reference cameras, scores by construction, rows of trials."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pyproj import Geod

from benchmarks.registration.cases import CATEGORIES, ELEMENT_SETS, list_photos
from benchmarks.registration.truth import (
    MAP_PIXEL_M,
    ground_grid,
    misses_px,
    quantile,
    read_named_places,
    read_reference_cameras,
    score_columns,
)
from benchmarks.registration.variants import VARIANTS
from benchmarks.rows import Row, read_rows
from benchmarks.trials.run import run_trials
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.footprint import diagonal_km
from regengine.orbit import camera_position, load_tle_file, track_positions
from regengine.photo.frame import read_frame
from tests.world.results import control_point, nadir_camera

CITIES = read_reference_cameras()
PLACES = read_named_places()
PLACED = [file for file, reference in CITIES.items() if reference.camera is not None]
# Of the long side. Towns are named at their centres, while light is centred on what shines: a
# kilometre or two apart, 40 pixels of the sharpest frames
MEDIAN_SHARE, LARGEST_SHARE = 0.015, 0.025
TRUTH = nadir_camera()
WGS84 = Geod(ellps="WGS84")


def placed(file: str) -> Camera:
    camera = CITIES[file].camera
    assert camera is not None
    return camera


@pytest.mark.parametrize("file", PLACED)
def test_a_reference_camera_is_in_orbit_and_has_named_places_where_they_shine(file: str) -> None:
    camera = placed(file)
    long_side_px = max(camera.width_px, camera.height_px)
    assert PLACES[file]["name"].nunique() >= 3
    misses = misses_px(camera, PLACES[file]) / long_side_px
    assert np.median(misses) < MEDIAN_SHARE
    assert misses.max() < LARGEST_SHARE
    _, lat, height_m = ecef_to_geodetic(camera.position_ecef_m)
    assert 320e3 < height_m < 440e3
    assert abs(lat) < 51.9  # the inclination, as geodetic latitude
    assert diagonal_km(camera) > 20.0
    assert float(CITIES[file].row["residual_px"]) < 0.004 * long_side_px
    for twin in PLACED:  # two copies of a frame were taken from one place
        if CITIES[twin].frame == CITIES[file].frame:
            apart = np.subtract(placed(twin).position_ecef_m, camera.position_ecef_m)
            assert np.linalg.norm(apart) < 15e3


def test_every_city_photo_has_a_row(real_data: Path) -> None:
    known = {row["file"]: row for row in list_photos(real_data) if row["category"] in CATEGORIES}
    assert CITIES.keys() == known.keys()
    assert all(CITIES[file].row["frame_id"] == row["frame_id"] for file, row in known.items())


def test_cameras_lie_on_the_orbit_at_their_time_offset(real_data: Path) -> None:
    sets = load_tle_file(real_data / ELEMENT_SETS)
    checked = 0
    for file in PLACED:
        frame = read_frame(real_data / "photos" / file)
        age, offset = (CITIES[file].row[name] for name in ("tle_age_days", "true_time_offset_s"))
        if not age or not offset or frame.time_utc is None:
            continue
        there = camera_position(sets, frame.time_utc)
        assert float(age) == pytest.approx(there.tle_age_h / 24.0, abs=0.01)
        # With a fresh set it is the clock that was off, else the station was elsewhere on its orbit
        fresh = abs(float(age)) < 1.0
        clock, slide = (float(offset), 0.0) if fresh else (0.0, float(offset))
        place = track_positions(there.element_set, frame.time_utc, [clock], [slide])[0]
        apart_m = np.linalg.norm(place - placed(file).position_ecef_m)
        # The plane itself is known to a few kilometres, to some tens after two months
        assert apart_m < (12e3 if abs(float(age)) < 30.0 else 45e3), file
        checked += 1
    assert checked > 20


@pytest.mark.parametrize("name", VARIANTS)
def test_the_camera_of_a_changed_picture_sees_what_the_picture_shows(name: str) -> None:
    camera = replace(TRUTH, distortion=(-0.05, 0.0, 0.0, 0.0, 0.0), principal_point=(300.0, 220.0))
    rows, cols = np.mgrid[: camera.height_px, : camera.width_px]
    shown = VARIANTS[name].change(np.stack([cols, rows], axis=2).astype(np.uint16))
    changed = VARIANTS[name].camera(camera)
    assert (changed.height_px, changed.width_px) == shown.shape[:2]
    for x, y in ((10, 20), (changed.width_px - 30, changed.height_px - 7)):
        true = camera.pixel_to_lonlat(*shown[y, x].astype(float))
        np.testing.assert_allclose(changed.pixel_to_lonlat(x, y), true, atol=1e-9)


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


def test_what_a_camera_has_in_the_sky_has_no_true_place() -> None:
    columns = score_columns(TRUTH, [control_point(320.0, 2.0)], nadir_camera(tilt_deg=70.0))
    assert not columns["right"]
    assert np.isinf([columns["point_error_m"], columns["z_east"], columns["z_north"]]).all()
    assert ground_grid(TRUTH).shape == (4, 17 * 17)
    assert 0 < ground_grid(nadir_camera(tilt_deg=62.0)).shape[1] < 17 * 17


def test_quantiles_bear_infinite_errors() -> None:
    errors = np.array([*range(1, 20), np.inf, np.nan])
    assert [quantile(errors, share) for share in (0.5, 0.95, 1.0)] == [10.0, 19.0, np.inf]
    assert quantile([], 0.5) is None


# Trials


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
