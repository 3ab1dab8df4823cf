"""Night, positions and element sets of simulated trials, against ephem and by construction."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from benchmarks.simulate.orbit import pass_over
from benchmarks.trials.draw import apart_km, never_in_view
from benchmarks.trials.orbits import (
    MadeOrbits,
    RealOrbits,
    days_of,
    nadirs_of,
    state_at,
    sun_elevation_deg,
)
from regengine.orbit import load_tle_file, sun_moon

MADE = MadeOrbits(west=-160.0, south=25.0, east=-140.0, north=48.0)


@pytest.mark.parametrize(
    ("time_utc", "lon", "lat"),
    [
        (datetime(2001, 3, 20, 13, 30, tzinfo=UTC), 12.0, 41.0),
        (datetime(2016, 6, 21, 1, 0, tzinfo=UTC), -60.0, -30.0),
        (datetime(2026, 12, 1, 18, 45, tzinfo=UTC), 151.0, -34.0),
    ],
)
def test_sun_elevation_agrees_with_ephem(time_utc: datetime, lon: float, lat: float) -> None:
    expected = sun_moon(time_utc, lon, lat).sun_elevation_deg
    assert float(sun_elevation_deg(days_of(time_utc), lon, lat)) == pytest.approx(
        expected, abs=0.05
    )


def test_a_made_set_is_of_its_age_and_slides_along_the_track() -> None:
    rng = np.random.default_rng(3)
    night = MADE.night(rng)
    days = float(night.days[0])
    for _ in range(4):
        told = MADE.told(rng, night, days)
        epoch = told.satellite.jdsatepoch + told.satellite.jdsatepochF - 2451545.0
        assert days - epoch == pytest.approx(told.age_days, abs=1e-6)
        given = state_at(told.satellite, days).position_ecef_m
        along_km, cross_km = apart_km(given, state_at(night.satellite, days))
        assert abs(cross_km) < 1.0 + 0.01 * abs(along_km)
        lines = told.tle_text.splitlines()
        assert [line[:2] for line in lines[1:]] == ["1 ", "2 "]


@pytest.mark.parametrize("slide_s", [-40.0, 0.5, 25.0])
def test_errors_along_and_across_the_track(slide_s: float) -> None:
    """A station so much later on the same orbit, over an Earth turned back by as much."""
    start = datetime(2020, 1, 1, tzinfo=UTC)
    orbit = pass_over(20.0, 30.0, start, northbound=True).satrec()
    state, later = (state_at(orbit, days_of(start) + s / 86400.0) for s in (0.0, slide_s))
    turn = Rotation.from_rotvec([0.0, 0.0, 7.292115e-5 * slide_s])
    along_km, cross_km = apart_km(turn.apply(later.position_ecef_m), state)
    assert along_km == pytest.approx(7.667 * slide_s, rel=3e-3)
    assert abs(cross_km) < 0.02


def test_a_place_under_the_pass_is_in_view_and_its_antipode_is_not() -> None:
    rng = np.random.default_rng(4)
    night = MADE.night(rng)
    days = float(night.days[0])
    told = MADE.told(rng, night, days)
    lon, lat = nadirs_of(told.satellite, np.array([days + 1800.0 / 86400.0]))
    assert not never_in_view(told, days, (float(lon[0]), float(lat[0])))
    assert never_in_view(told, days, (0.0, 89.0))


def test_real_sets_are_of_the_age_drawn(real_data) -> None:
    orbits = RealOrbits.of(load_tle_file(real_data / "orbit" / "iss_tles.txt"))
    rng = np.random.default_rng(5)
    ages = []
    for _ in range(40):
        night = orbits.night(rng)
        if not len(night.days):
            continue
        days = float(night.days[0])
        assert abs(days - orbits.sets.epoch_days[night.origin]) <= 0.31
        told = orbits.told(rng, night, days)
        assert told.tle_text.splitlines()[0] != orbits.sets.pairs[night.origin].line1[:69]
        ages.append(told.age_days)
    assert np.quantile(np.abs(ages), 0.9) <= 11.0
