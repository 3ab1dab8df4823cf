"""The places on the orbit that are searched: clock, slide, direction, reach."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from matchers.earth import ecef_to_geodetic
from regengine.orbit import (
    CameraPosition,
    ElementSet,
    load_tle_file,
    position_from_elements,
    position_from_nadir,
    track_positions,
)
from regengine.registration.priors.tracks import Track, tracks_for
from tests.tle_lines import Elements

TIME = datetime(2016, 5, 1, 13, tzinfo=UTC)
WGS84 = Geod(ellps="WGS84")


@pytest.fixture(scope="module")
def elements(tmp_path_factory: pytest.TempPathFactory) -> ElementSet:
    path: Path = tmp_path_factory.mktemp("tle") / "iss.txt"
    path.write_text(Elements().text(), encoding="utf-8")
    return load_tle_file(path).best_for(TIME)


def fresh(elements: ElementSet, sigma_along_km: float) -> CameraPosition:
    return replace(position_from_elements(elements, TIME), sigma_along_km=sigma_along_km)


def apart_km(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(np.subtract(a, b))) / 1e3


def test_a_fresh_element_set_leaves_only_the_clock(elements: ElementSet) -> None:
    (track,) = tracks_for(fresh(elements, 0.01), 120.0)
    for seconds in (-60.0, 15.0, 110.0):
        offset = seconds * track.speed_km_s
        clock = track_positions(elements, TIME, [seconds], [0.0])[0]
        assert apart_km(track.position(offset), clock) < 0.05
    assert track.sigma_along_km == pytest.approx(21.0 * track.speed_km_s, rel=0.01)
    assert track.belief.reach_km == pytest.approx(120.0 * track.speed_km_s, rel=0.01)
    everywhere = float(track.belief.share(-track.belief.reach_km, track.belief.reach_km))
    assert everywhere == pytest.approx(1.0, abs=0.01)


def test_a_stale_element_set_slides_along_its_orbit(elements: ElementSet) -> None:
    (track,) = tracks_for(fresh(elements, 5000.0), 120.0)
    seconds = 100.0
    here = track.position(seconds * track.speed_km_s)
    slide = track_positions(elements, TIME, [0.0], [seconds])[0]
    clock = track_positions(elements, TIME, [seconds], [0.0])[0]
    # The Earth turns by 40 km below the station meanwhile; nearly none of that is the clock's
    assert apart_km(slide, clock) > 30.0
    assert apart_km(here, slide) < 1.0
    assert track.belief.reach_km > 15_000.0


@pytest.mark.parametrize("sigma", [0.5, 50.0, 2000.0])
def test_an_offset_is_a_distance_along_the_orbit(elements: ElementSet, sigma: float) -> None:
    position = fresh(elements, sigma)
    track, _ = tracks_for(position, 300.0)
    start = track.position(0.0)
    assert apart_km(start, position.position_ecef_m) < 0.01
    for offset in (-400.0, 150.0, 400.0):
        # What the turn of the Earth takes away from it is less than 6.5 %
        assert apart_km(track.position(offset), start) == pytest.approx(abs(offset), rel=0.065)
    assert track.velocity(0.0) @ position.velocity_ecef_m_s > 0.0
    ahead = track.position(50.0) - start
    unit = track.velocity(0.0) / np.linalg.norm(track.velocity(0.0))
    assert unit @ ahead / np.linalg.norm(ahead) == pytest.approx(1.0, abs=1e-3)


def ground_of(track: Track, offset_km: float) -> tuple[float, float]:
    lon, lat, _ = ecef_to_geodetic(track.position(offset_km))
    return float(lon), float(lat)


@given(lat=st.floats(-50.0, 50.0), lon=st.floats(-180.0, 179.9), offset=st.floats(20.0, 400.0))
def test_a_bare_nadir_has_two_tracks(lat: float, lon: float, offset: float) -> None:
    nadir = position_from_nadir(lon, lat, 410.0, "option")
    up, down = tracks_for(nadir, 120.0)
    for track in (up, down):
        assert apart_km(track.position(0.0), nadir.position_ecef_m) < 0.01
        moved = apart_km(track.position(offset), nadir.position_ecef_m)
        assert moved == pytest.approx(offset, rel=0.01)
        assert track.sigma_across_km(0.0) >= 25.0
        assert track.sigma_along_km == nadir.sigma_along_km
        assert track.belief.reach_km >= 2.0 * nadir.sigma_along_km
    if abs(lat) < 45.0:
        assert ground_of(up, offset)[1] > lat > ground_of(up, -offset)[1]
        assert ground_of(down, offset)[1] < lat < ground_of(down, -offset)[1]
    for track in (up, down):
        azimuth = WGS84.inv(lon, lat, *ground_of(track, offset))[0]
        assert 0.0 < azimuth < 180.0  # always eastward


@pytest.mark.parametrize("later_s", [0.0, 900.0, 1800.0, 2700.0, 3600.0, 4500.0])
def test_a_velocity_tells_which_orbit_through_a_nadir_was_flown(
    elements: ElementSet, later_s: float
) -> None:
    there = position_from_elements(elements, TIME + timedelta(seconds=later_s))
    nadir = position_from_nadir(there.lon, there.lat, there.altitude_km, "option")
    (track,) = tracks_for(replace(nadir, velocity_ecef_m_s=there.velocity_ecef_m_s), None)
    assert apart_km(track.position(0.0), there.position_ecef_m) < 0.1
    ahead, flown = track.velocity(0.0), np.asarray(there.velocity_ecef_m_s)
    cosine = ahead @ flown / np.linalg.norm(ahead) / np.linalg.norm(flown)
    assert np.degrees(np.arccos(cosine)) < 2.0


def test_without_a_window_the_clock_may_be_ten_minutes_or_whole_hours_off(
    elements: ElementSet,
) -> None:
    position = fresh(elements, 10.0)
    here, minutes, *hours = tracks_for(position, None)
    assert here.clock_s == here.neg_log_prior == minutes.clock_s == 0.0
    assert here.neg_log_prior < minutes.neg_log_prior
    edge_km = 120.0 * here.speed_km_s
    assert 0.95 < float(here.belief.share(-edge_km, edge_km)) <= 1.0
    # Minutes are those that are not usual, all alike, on either side
    assert float(minutes.belief.share(-0.9 * edge_km, 0.9 * edge_km)) == 0.0
    third = [float(minutes.belief.share(k * edge_km, (k + 1) * edge_km)) for k in (-5, -3, 2, 4)]
    assert third == pytest.approx([1.0 / 8.0] * 4, abs=0.02)
    assert minutes.belief.reach_km == pytest.approx(here.belief.reach_km + 480.0 * here.speed_km_s)
    assert [track.clock_s / 3600.0 for track in hours] == [
        sign * hour for hour in range(1, 13) for sign in (1, -1)
    ]
    neg_log_priors = [track.neg_log_prior for track in hours]
    assert neg_log_priors == sorted(neg_log_priors)
    assert neg_log_priors[0] == neg_log_priors[1] > minutes.neg_log_prior
    # One hour is summer time; further ones are rarer than all others together
    assert neg_log_priors[2] > neg_log_priors[1] + 3.0
    for track in hours:
        then = track_positions(elements, TIME, [track.clock_s], [0.0])[0]
        assert apart_km(track.position(0.0), then) < 0.01
        assert track.belief is here.belief
    assert len(tracks_for(position, 120.0)) == 1


def test_minutes_are_the_clock_s_and_the_earth_turns_below(elements: ElementSet) -> None:
    """However stale the element set; the other track has the same place as a slide."""
    here, minutes, *_ = tracks_for(fresh(elements, 3000.0), None)
    offset = -400.0 * here.speed_km_s
    clock = track_positions(elements, TIME, [-400.0], [0.0])[0]
    slide = track_positions(elements, TIME, [0.0], [-400.0])[0]
    assert apart_km(clock, slide) > 100.0
    assert apart_km(minutes.position(offset), clock) < 0.1
    assert apart_km(here.position(offset), slide) < 20.0
    # What is beyond the ten minutes is the orbit's
    farther = track_positions(elements, TIME, [-600.0], [-100.0])[0]
    assert apart_km(minutes.position(-700.0 * here.speed_km_s), farther) < 0.1
