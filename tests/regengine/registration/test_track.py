"""The places on the orbit that are searched: clock, slide, direction, reach."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from matchers.geometry.earth import ecef_to_geodetic
from regengine.orbit import (
    CameraPosition,
    ElementSet,
    load_tle_file,
    position_from_elements,
    position_from_nadir,
    sun_direction,
    track_positions,
)
from regengine.registration.priors import lens, tracks
from regengine.registration.priors.seen import Seen
from regengine.registration.priors.tracks import Track, make_tracks
from tests.world.elements import Elements
from tests.world.results import nadir_camera

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
    (track,) = make_tracks(fresh(elements, 0.01), 120.0)
    for seconds in (-60.0, 15.0, 110.0):
        offset = seconds * track.speed_km_s
        clock = track_positions(elements, TIME, [seconds], [0.0])[0]
        assert apart_km(track.position(offset), clock) < 0.05
    assert track.sigma_along_km == pytest.approx(21.0 * track.speed_km_s, rel=0.01)
    assert track.belief.reach_km == pytest.approx(120.0 * track.speed_km_s, rel=0.01)
    everywhere = float(track.belief.share(-track.belief.reach_km, track.belief.reach_km))
    assert everywhere == pytest.approx(1.0, abs=0.01)


def test_a_stale_element_set_slides_along_its_orbit(elements: ElementSet) -> None:
    (track,) = make_tracks(fresh(elements, 5000.0), 120.0)
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
    track, _ = make_tracks(position, 300.0)
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
    up, down = make_tracks(nadir, 120.0)
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
    (track,) = make_tracks(replace(nadir, velocity_ecef_m_s=there.velocity_ecef_m_s), None)
    assert apart_km(track.position(0.0), there.position_ecef_m) < 0.1
    ahead, flown = track.velocity(0.0), np.asarray(there.velocity_ecef_m_s)
    cosine = ahead @ flown / np.linalg.norm(ahead) / np.linalg.norm(flown)
    assert np.degrees(np.arccos(cosine)) < 2.0


def test_without_a_window_the_clock_may_be_ten_minutes_or_whole_hours_off(
    elements: ElementSet,
) -> None:
    position = fresh(elements, 10.0)
    here, minutes, *hours = make_tracks(position, None)
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
    assert len(make_tracks(position, 120.0)) == 1


def test_minutes_are_the_clock_s_and_the_earth_turns_below(elements: ElementSet) -> None:
    """However stale the element set; the other track has the same place as a slide."""
    here, minutes, *_ = make_tracks(fresh(elements, 3000.0), None)
    offset = -400.0 * here.speed_km_s
    clock = track_positions(elements, TIME, [-400.0], [0.0])[0]
    slide = track_positions(elements, TIME, [0.0], [-400.0])[0]
    assert apart_km(clock, slide) > 100.0
    assert apart_km(minutes.position(offset), clock) < 0.1
    assert apart_km(here.position(offset), slide) < 20.0
    # What is beyond the ten minutes is the orbit's
    farther = track_positions(elements, TIME, [-600.0], [-100.0])[0]
    assert apart_km(minutes.position(-700.0 * here.speed_km_s), farther) < 0.1


def test_each_further_hour_is_a_little_less_likely(elements: ElementSet) -> None:
    """Ten to one for minutes, twenty to one for an hour to a side, and far less beyond."""
    _, minutes, *hours = make_tracks(fresh(elements, 10.0), None)
    assert minutes.neg_log_prior == pytest.approx(np.log(10.0))
    expected = [np.log(20.0), *(6.5 + 0.1 * hour for hour in range(2, 13))]
    assert [one.neg_log_prior for one in hours] == pytest.approx(np.repeat(expected, 2))
    other = replace(fresh(elements, 10.0), alternative=fresh(elements, 20.0))
    first, second = make_tracks(other, 120.0)
    assert (first.neg_log_prior, second.neg_log_prior) == (0.0, 3.0)
    assert second.sigma_along_km == pytest.approx(np.hypot(20.0, 21.0 * second.speed_km_s))


def test_an_offset_is_shared_by_clock_and_orbit_as_their_variances_are(
    elements: ElementSet,
) -> None:
    """By Kepler's third law 7.67 km/s at 6,780 km; a clock is off by 21 s, one sigma."""
    position = fresh(elements, 200.0)
    (track,) = make_tracks(position, 120.0)
    radius_m = np.linalg.norm(position.position_ecef_m)
    assert track.speed_km_s == pytest.approx(np.sqrt(3.986004418e14 / radius_m) / 1e3, rel=1e-9)
    clock_km = 21.0 * track.speed_km_s
    share = clock_km**2 / (clock_km**2 + 200.0**2)
    for seconds in (-50.0, 0.0, 90.0):
        offset_km = seconds * track.speed_km_s
        assert track.clock_at(offset_km) == pytest.approx(share * seconds, abs=1e-9)
        there = track_positions(elements, TIME, [share * seconds], [(1.0 - share) * seconds])[0]
        assert apart_km(track.position(offset_km), there) < 1e-6
    assert track.clock_at(1e4) == 120.0
    assert track.clock_at(-1e4) == -120.0
    _, minutes, later, *_ = make_tracks(position, None)
    assert minutes.clock_at(400.0 * track.speed_km_s) == pytest.approx(400.0)
    assert minutes.clock_at(700.0 * track.speed_km_s) == 600.0
    assert later.clock_at(0.0) == 3600.0


def test_what_is_the_clock_s_turns_the_earth_below(elements: ElementSet) -> None:
    """Two fifths of an offset, or half the clock's sigma, at 0.0729 rad a thousand seconds."""
    position = replace(fresh(elements, 200.0), sigma_cross_km=3.0)
    around, minutes, *_ = make_tracks(position, None)
    radius_km = np.linalg.norm(position.position_ecef_m) / 1e3
    earth_km_s = 7.2921e-5 * radius_km * np.cos(np.radians(position.lat))
    for seconds, unknown_s in ((0.0, 10.5), (20.0, 10.5), (-100.0, 40.0), (400.0, 120.0)):
        there_km = seconds * around.speed_km_s
        expected = np.hypot(3.0, earth_km_s * unknown_s)
        assert around.sigma_across_km(there_km) == pytest.approx(expected, rel=1e-4)
    # In minutes the clock is known as well as the orbit is
    known_s = 200.0 / around.speed_km_s
    expected = np.hypot(3.0, earth_km_s * known_s)
    assert minutes.sigma_across_km(400.0 * around.speed_km_s) == pytest.approx(expected, rel=1e-4)


def test_the_sun_stands_no_higher_than_ten_degrees_where_lights_are_sought(
    elements: ElementSet,
) -> None:
    track = make_tracks(fresh(elements, 20.0), 120.0)[0]
    offsets = np.arange(-20000.0, 20000.0, 100.0)
    may_be = track.may_be_night(offsets)
    sun = sun_direction(TIME)
    for km, night in zip(offsets.tolist(), may_be.tolist(), strict=True):
        place = track.position(km)
        elevation = 90.0 - np.degrees(np.arccos(place @ sun / np.linalg.norm(place)))
        assert night == (elevation < 10.0)
    assert 0.4 < may_be.mean() < 0.7


def flat(**other: Any) -> Track:
    """A track along the equator, on which the camera is as likely anywhere within 1,000 km."""
    position = position_from_nadir(0.0, 0.0, 410.0, "centre", sigma_km=(1000.0, 10.0, 5.0))
    track = next(
        one
        for one in make_tracks(position, None)
        if apart_km(one.position(0.0), position.position_ecef_m) < 0.01
    )
    return replace(track, neg_log_prior=0.0, **other)


@pytest.mark.parametrize("between", [False, True])
def test_offsets_are_a_step_apart_as_far_as_a_belief_reaches(between: bool) -> None:
    offsets, neg_log_priors = tracks.list_offsets(flat(), 150.0, between=between)
    half = 75.0 if between else 0.0
    expected = [150.0 * k + half for k in range(-7, 8) if abs(150.0 * k + half) < 1075.0]
    assert sorted(offsets.tolist()) == expected
    assert (np.diff(neg_log_priors) >= 0.0).all()
    within = np.abs(offsets) <= 900.0
    assert neg_log_priors[within] == pytest.approx(-np.log(150.0 / 2000.0), abs=0.03)
    assert tracks.weigh_offsets(3000.0, flat(), 150.0) == pytest.approx(-np.log(1e-9))
    odd = flat(
        may_be_night=lambda km: km > -200.0,
        shares_start=True,
        place_neg_log_prior=lambda km: km / 100.0,
    )
    offsets, with_places = tracks.list_offsets(odd, 150.0, between=between)
    assert offsets.tolist() == [one for one in expected if one > -200.0 and one != 0.0]
    plain = tracks.weigh_offsets(offsets, odd, 150.0)
    assert with_places == pytest.approx(plain + offsets / 100.0)
    none, of_none = tracks.list_offsets(
        replace(odd, may_be_night=lambda km: km > 1e5), 150.0, between=between
    )
    assert len(none) == len(of_none) == 0


def test_tracks_about_a_place_are_300_km_apart_and_as_likely_as_a_known_one() -> None:
    place = position_from_nadir(20.0, 46.5, 410.0, "centre", sigma_km=(1000.0, 10.0, 5.0))
    around = make_tracks(place, None)
    starts = [ground_of(track, 0.0) for track in around]
    assert max(abs(lat) for _, lat in starts) <= 51.9
    assert len(around) == 6  # of seven, three to each side, one begins beyond the orbits
    radius = np.linalg.norm(place.position_ecef_m) / 1e6
    for k, (lon, lat) in enumerate(starts):
        away = WGS84.inv(20.0, 46.5, lon, lat)[2] / 1e3
        least = min(abs(away * radius / 6.371 - 300.0 * n) for n in range(4))
        assert least < 3.0, (k, away)
    for track in around:
        # Each place is as likely as that of a known nadir: what is seen weighs them
        for step_km in (60.0, 300.0):
            weight = tracks.weigh_offsets(0.0, track, step_km)
            assert weight == pytest.approx(-np.log(step_km / 300.0), abs=0.03)
        assert track.sigma_across_km(0.0) == 150.0
        assert track.sigma_up_km == 5.0
        assert float(track.belief.share(-500.0, 500.0)) == pytest.approx(0.5, abs=0.02)
        assert float(track.belief.share(-1001.0, 1001.0)) == pytest.approx(1.0, abs=0.02)


def test_places_from_which_something_is_seen_are_likelier() -> None:
    seen = Seen(lon=3.0, lat=4.0, radius_km=100.0)
    track = flat(place_neg_log_prior=lambda km: km / 100.0)
    offsets = [-300.0, 0.0, 700.0]
    weighed = tracks.expect_seen(track, seen).place_neg_log_prior(offsets)
    there = np.array([track.position(km) for km in offsets])
    assert weighed == pytest.approx(np.array(offsets) / 100.0 + seen.weigh(there))
    assert len(tracks.expect_seen(track, seen).place_neg_log_prior(np.array([]))) == 0


def test_what_is_believed_of_a_camera_is_in_metres_and_in_its_own_pixels() -> None:
    camera = nadir_camera()
    track = flat(sigma_along_km=40.0)
    crop = lens.LensBelief(ratio=1.5, sigma_log_focal=0.12, is_cropped=True)
    for spread_km, sigma_m in ((30.0, 30e3), (50.0, 40e3)):
        prior = tracks.believe_camera(track, 100.0, spread_km, camera, crop)
        assert prior.sigma_along_m == sigma_m
        assert prior.position_ecef_m == pytest.approx(track.position(100.0))
        assert prior.velocity_ecef == pytest.approx(track.velocity(100.0))
        assert (prior.sigma_across_m, prior.sigma_up_m) == (150e3, 5e3)
        assert prior.focal_px == pytest.approx(1.5 * 1506.1)
        assert (prior.sigma_log_focal, prior.sigma_k1, prior.k1) == (0.12, 0.05, 0.01)
        assert (prior.principal_point, prior.sigma_principal_px) == ((319.5, 212.5), 128.0)
    whole = tracks.believe_camera(track, 0.0, 1.0, camera, lens.LensBelief(ratio=1.0))
    assert whole.sigma_principal_px == 0.0
