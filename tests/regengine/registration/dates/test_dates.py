"""When a photo was taken: passes against brute force, nights, gaps, and real photos' times."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.registration.truth import read_reference_cameras
from regengine.commands import app
from regengine.errors import ConfigError
from regengine.orbit.propagation import CameraPosition, camera_position
from regengine.orbit.rotation import days_since_j2000, utc_of
from regengine.orbit.sun_moon import sun_height_deg, sun_moon
from regengine.orbit.tle import TleSet, load_tle_file
from regengine.registration.dates.passes import NIGHT_SUN_DEG, Dates, FoundPlace, dates_of_place
from regengine.registration.dates.report import (
    dates_lines,
    dates_record,
    parse_range,
    photo_dates,
)
from regengine.registration.dates.station_history import (
    REACH_DAYS,
    StationHistory,
    covered_days,
    near_passes,
    station_history,
)
from tests.tle_lines import Elements

FIRST = Elements(eccentricity=0.0012)
EPOCH_DAY = days_since_j2000(FIRST.epoch)
LEVEL = np.diag([9.0, 9.0, 9.0])
PLACE_LON = 137.0


@pytest.fixture(scope="module")
def tles(tmp_path_factory: pytest.TempPathFactory) -> TleSet:
    """Six days of sets, and six more after 200 days of silence."""
    path = tmp_path_factory.mktemp("tle") / "iss.txt"
    days = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 206.0, 207.0, 208.0]
    path.write_text("".join(FIRST.later(day).text() for day in days))
    return load_tle_file(path)


@pytest.fixture(scope="module")
def history(tles: TleSet) -> StationHistory:
    return station_history(tles)


@pytest.fixture(scope="module")
def brute_force(tles: TleSet) -> tuple[np.ndarray, np.ndarray]:
    """Days, and positions (km) by the set that is best there, every 20 seconds of a day."""
    days = EPOCH_DAY + 0.9 + np.arange(0.0, 1.0, 20.0 / 86400.0)
    return days, np.array([camera_position(tles, utc_of(day)).position_ecef_m for day in days])


def wide(age_h: np.ndarray) -> np.ndarray:
    return np.full(np.shape(age_h), 400.0)


@pytest.mark.parametrize("lat", [0.0, 35.4, -44.0, 50.5, 51.9])
def test_passes_are_those_of_brute_force(
    brute_force: tuple[np.ndarray, np.ndarray], history: StationHistory, lat: float
) -> None:
    days, places = brute_force
    first, last = days[0], days[-1]
    lon = np.radians(PLACE_LON)
    north = np.radians(lat)
    towards = np.array([np.cos(north) * np.cos(lon), np.cos(north) * np.sin(lon), np.sin(north)])
    found = near_passes(history, towards, first, last, wide)
    radius = np.linalg.norm(places, axis=1)
    apart_km = np.arccos(np.clip(places @ towards / radius, -1.0, 1.0)) * radius / 1e3
    inner = apart_km[1:-1]
    lowest = (inner < apart_km[:-2]) & (inner <= apart_km[2:]) & (inner < 395.0)
    expected = days[1:-1][lowest]
    sure = np.abs(found.cross_km) < 390.0
    assert len(expected) > 0
    for day in expected:
        nearest = np.abs(found.days - day).min()
        assert nearest * 86400.0 < 21.0
    for day in found.days[sure]:
        assert np.abs(expected - day).min() * 86400.0 < 21.0


def dates_at(
    tles: TleSet, history: StationHistory, when: datetime, first: float, last: float
) -> Dates:
    there = camera_position(tles, when)
    return dates_of_place(history, found_at(there), first, last)


def found_at(there: CameraPosition, factor: float = 1.0) -> FoundPlace:
    """A place of the station as of a camera that was found there, or so many times as high."""
    return FoundPlace(
        camera_ecef_km=there.position_ecef_m / 1e3 * factor,
        covariance_km2=LEVEL,
        ground_lonlat=(there.lon, there.lat),
    )


def a_moment(tles: TleSet, night: bool) -> datetime:
    for minute in range(0, 200, 5):
        when = utc_of(EPOCH_DAY + 2.5 + minute / 1440.0)
        there = camera_position(tles, when)
        sun = sun_moon(when, there.lon, there.lat).sun_elevation_deg
        if (sun < -15.0) if night else (sun > 5.0):
            return when
    raise AssertionError


def test_the_true_time_is_the_likeliest_of_a_week(tles: TleSet, history: StationHistory) -> None:
    when = a_moment(tles, night=True)
    found = dates_at(tles, history, when, EPOCH_DAY, EPOCH_DAY + 6.0)
    best = found.passes[0]
    assert abs((best.time_utc - when).total_seconds()) < 3.0
    assert abs(best.cross_track_km) < 1.0
    assert best.probability > 0.5
    assert found.covered_days == pytest.approx(6.0)
    assert found.probability == pytest.approx(1.0)
    assert best.altitude_km == pytest.approx(camera_position(tles, when).altitude_km, abs=0.5)


def test_passes_by_day_are_left_out(tles: TleSet, history: StationHistory) -> None:
    when = a_moment(tles, night=False)
    found = dates_at(tles, history, when, EPOCH_DAY, EPOCH_DAY + 6.0)
    assert all(abs((one.time_utc - when).total_seconds()) > 600.0 for one in found.passes)
    assert all(one.sun_elevation_deg < NIGHT_SUN_DEG for one in found.passes)


def test_time_that_no_set_vouches_for_is_told(tles: TleSet, history: StationHistory) -> None:
    when = a_moment(tles, night=True)
    first, last = EPOCH_DAY, EPOCH_DAY + 206.0
    told = covered_days(history, first, last)
    assert told == pytest.approx(6.0 + min(50.0, REACH_DAYS) + REACH_DAYS)
    found = dates_at(tles, history, when, first, last)
    assert found.covered_days == pytest.approx(told)
    total = sum(one.probability for one in found.passes)
    assert total <= found.probability + 1e-9
    assert found.probability < 0.95
    nothing = dates_at(tles, history, when, EPOCH_DAY + 80.0, EPOCH_DAY + 120.0)
    assert (nothing.covered_days, nothing.probability, nothing.passes) == (0.0, 0.0, ())
    assert "cover 0 of 40 days (0%)" in dates_lines(nothing)[0]


def test_a_wrong_height_is_less_likely(tles: TleSet, history: StationHistory) -> None:
    """40 km higher than the station ever was, the place must be one of the untold time."""
    there = camera_position(tles, a_moment(tles, night=True))
    shares = [
        dates_of_place(history, found_at(there, factor), EPOCH_DAY, EPOCH_DAY + 206.0).probability
        for factor in (1.0, 1.006)
    ]
    assert shares[1] < shares[0]


def test_a_set_that_contradicts_its_neighbours_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "iss.txt"
    sets = [FIRST.later(day) for day in range(8)]
    wrong = Elements(epoch=FIRST.later(3.5).epoch, node_deg=10.0)
    path.write_text("".join(one.text() for one in [*sets, wrong]))
    kept = station_history(load_tle_file(path))
    np.testing.assert_allclose(kept.epoch_days, EPOCH_DAY + np.arange(8.0), atol=1e-6)


@pytest.mark.parametrize(("lon", "lat"), [(0.0, 0.0), (137.0, 36.0), (-70.0, -51.0)])
def test_the_sun_is_where_ephem_has_it(lon: float, lat: float) -> None:
    days = np.linspace(-400.0, 9700.0, 40)
    expected = [sun_moon(utc_of(day), lon, lat).sun_elevation_deg for day in days]
    np.testing.assert_allclose(sun_height_deg(days, lon, lat), expected, atol=0.03)


@pytest.mark.real
def test_a_real_photo_gets_its_date_back(real_data: Path) -> None:
    """ISS065-E-394522, by the camera that was found by hand, in all the years of the file."""
    history = station_history(load_tle_file(real_data / "orbit/iss_tles.txt"))
    camera = read_reference_cameras()["cities_oblique/iss065e394522.jpg"].camera
    assert camera is not None
    truth = datetime(2021, 9, 9, 22, 42, 31, tzinfo=UTC)
    day = days_since_j2000(truth)
    place = FoundPlace(
        camera_ecef_km=np.array(camera.position_ecef_m) / 1e3,
        covariance_km2=LEVEL,
        ground_lonlat=(12.5, 41.9),
    )
    found = dates_of_place(history, place, day - 180.0, day + 180.0)
    off_s = [abs((one.time_utc - truth).total_seconds()) for one in found.passes[:3]]
    assert min(off_s) < 30.0


def test_ranges_and_options() -> None:
    first, last = parse_range("2011-01-01,2012-06-30")
    assert (first, last) == (datetime(2011, 1, 1, tzinfo=UTC), datetime(2012, 7, 1, tzinfo=UTC))
    assert parse_range("2011-01-01T10:00Z, 2011-01-01T12:00Z")[1].hour == 12
    assert photo_dates(False, None, None, None) is None
    for text in ("2011", "2012-01-01,2011-01-01", "a,b", "", "2011-01-01,2011-02-30"):
        with pytest.raises(ConfigError, match="--date-range"):
            parse_range(text)
    with pytest.raises(ConfigError, match="--tle"):
        photo_dates(True, None, None, None)
    with pytest.raises(ConfigError, match="--date-from-place"):
        photo_dates(False, "2011-01-01,2012-01-01", None, None)


def test_records_are_plain_json(tles: TleSet, history: StationHistory) -> None:
    found = dates_at(tles, history, a_moment(tles, night=True), EPOCH_DAY, EPOCH_DAY + 6.0)
    told = json.loads(json.dumps(dates_record(found), allow_nan=False))
    assert set(told["passes"][0]) == {
        "time_utc", "sigma_s", "probability", "cross_track_km", "altitude_km",
        "sun_elevation_deg", "tle_age_h",
    }  # fmt: skip
    assert told["passes_span"]["covered_days"] == 6.0
    assert dates_record(None) == {"passes": None, "passes_span": None}


@pytest.mark.slow
def test_a_photo_with_a_nadir_and_no_time_is_dated(tmp_path: Path) -> None:
    """The samples' own: with a nadir told, its time is one of the passes of its element sets."""
    samples = Path(__file__).parents[4] / "data_samples"
    truth = json.loads((samples / "truth/ISS990-E-000101.json").read_text())
    camera = truth["camera"]
    words = [
        "register", samples / "ISS990-E-000101.jpg", "--lights", samples / "lights.tif",
        "--tle", samples / "tle.txt", "--nadir", f"{camera['lon']},{camera['lat']}",
        "--altitude-km", camera["altitude_km"], "--store", tmp_path / "run.h5", "--quiet",
        "--workers", 0, "--json", "--date-from-place", "--date-range", "2014-01-10,2014-01-24",
    ]  # fmt: skip
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    when = datetime.fromisoformat(truth["time_utc"])
    off_s = [
        abs((datetime.fromisoformat(one["time_utc"]) - when).total_seconds())
        for one in told["passes"]
    ]
    assert min(off_s[:3]) < 15.0
    assert told["passes_span"]["asked_days"] == 15.0
    # Printed again from the store, with a table, by copies of one set: 60 days either side
    alone = tmp_path / "one.txt"
    alone.write_text("".join((samples / "tle.txt").read_text().splitlines(True)[:3]) * 2)
    words = [alone if word == samples / "tle.txt" else word for word in words if word != "--json"]
    words = words[:-2]
    beyond = CliRunner().invoke(app, [str(word) for word in [*words, "--mission", "ISS080"]])
    assert "no dates: the element sets of" in beyond.stdout
    again = CliRunner().invoke(app, [str(word) for word in words])
    assert "passes by night; element sets cover 120 of 120 days" in again.stdout
