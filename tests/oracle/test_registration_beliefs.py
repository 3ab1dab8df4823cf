"""What is believed of a camera before its lights are asked: places, clocks, lenses, neighbours."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, great_circle_km
from matchers.geometry.light_grid import LightGrid
from regengine.orbit import (
    CameraPosition,
    ElementSet,
    load_tle_file,
    position_from_elements,
    position_from_nadir,
    sun_direction,
    sun_moon,
    track_positions,
)
from regengine.registration.generate_stages import generate_stages, list_places
from regengine.registration.parameters import LENS
from regengine.registration.priors import lens, neighbours, tracks
from regengine.registration.priors.lens import StageYields
from regengine.registration.priors.lit_ground import (
    SUN_DEG,
    SUN_NEG_LOG_PRIOR,
    Seen,
    measure_lit_ground,
    sum_within_reach,
    weigh_places,
)
from regengine.registration.priors.tracks import Track, make_tracks
from regengine.registration.register import pose_problem
from regengine.registration.types import Photo, Prior, Problem
from tests.oracle.conftest import Solved
from tests.world.elements import Elements
from tests.world.limbs import found_limb
from tests.world.results import nadir_camera, proposal, solved

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
    position = fresh(elements, 0.01)
    (track,) = make_tracks(position, 120.0)
    for seconds in (-60.0, 15.0, 110.0):
        offset = seconds * track.speed_km_s
        clock = track_positions(elements, TIME, [seconds], [0.0])[0]
        assert apart_km(track.position(offset), clock) < 0.05
    assert track.sigma_along_km == pytest.approx(21.0 * track.speed_km_s, rel=0.01)
    assert track.belief.reach_km == pytest.approx(120.0 * track.speed_km_s, rel=0.01)
    everywhere = float(track.belief.share(-track.belief.reach_km, track.belief.reach_km))
    assert everywhere == pytest.approx(1.0, abs=0.01)
    # An offset is a distance along the orbit, less what the turn of the Earth takes away
    start, unit = track.position(0.0), track.velocity(0.0) / np.linalg.norm(track.velocity(0.0))
    assert apart_km(start, position.position_ecef_m) < 0.01
    assert apart_km(track.position(-400.0), start) == pytest.approx(400.0, rel=0.065)
    assert unit @ position.velocity_ecef_m_s > 0.0
    ahead = track.position(50.0) - start
    assert unit @ ahead / np.linalg.norm(ahead) == pytest.approx(1.0, abs=1e-3)


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
    """Ten to one for minutes, twenty to one for an hour to a side, and far less beyond."""
    position = fresh(elements, 10.0)
    here, minutes, *hours = make_tracks(position, None)
    assert here.clock_s == here.neg_log_prior == minutes.clock_s == 0.0
    edge_km = 120.0 * here.speed_km_s
    assert 0.95 < float(here.belief.share(-edge_km, edge_km)) <= 1.0
    # Minutes are those that are not usual, all alike, on either side
    assert float(minutes.belief.share(-0.9 * edge_km, 0.9 * edge_km)) == 0.0
    third = [float(minutes.belief.share(k * edge_km, (k + 1) * edge_km)) for k in (-5, -3, 2, 4)]
    assert third == pytest.approx([1.0 / 8.0] * 4, abs=0.02)
    assert minutes.belief.reach_km == pytest.approx(here.belief.reach_km + 480.0 * here.speed_km_s)
    assert minutes.neg_log_prior == pytest.approx(np.log(10.0))
    assert [track.clock_s / 3600.0 for track in hours] == [
        sign * hour for hour in range(1, 13) for sign in (1, -1)
    ]
    expected = [np.log(20.0), *(6.5 + 0.1 * hour for hour in range(2, 13))]
    assert [one.neg_log_prior for one in hours] == pytest.approx(np.repeat(expected, 2))
    for track in hours:
        then = track_positions(elements, TIME, [track.clock_s], [0.0])[0]
        assert apart_km(track.position(0.0), then) < 0.01
        assert track.belief is here.belief
    assert len(make_tracks(position, 120.0)) == 1
    other = replace(position, alternative=fresh(elements, 20.0))
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
    assert [track.clock_at(km) for km in (1e4, -1e4)] == [120.0, -120.0]
    # Minutes are the clock's, however stale the element set; what is beyond ten is the orbit's
    _, minutes, later, *_ = make_tracks(fresh(elements, 3000.0), None)
    for clock_s, slide_s in ((400.0, 0.0), (-400.0, 0.0), (600.0, 100.0), (-600.0, -100.0)):
        offset_km = (clock_s + slide_s) * track.speed_km_s
        assert minutes.clock_at(offset_km) == pytest.approx(clock_s)
        there = track_positions(elements, TIME, [clock_s], [slide_s])[0]
        assert apart_km(minutes.position(offset_km), there) < 0.1
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


REACH_KM = 800.0


def world_with(*towns: tuple[float, float], step_deg: float = 0.5) -> LightGrid:
    """One lit pixel around each longitude and latitude."""
    rows, cols = round(180.0 / step_deg), round(360.0 / step_deg)
    values = np.zeros((rows, cols), np.float32)
    for lon, lat in towns:
        values[int((90.0 - lat) / step_deg), int((lon + 180.0) / step_deg)] = 1.0
    return LightGrid(
        values=values,
        lon0_deg=-180.0 + 0.5 * step_deg,
        lat0_deg=90.0 - 0.5 * step_deg,
        step_deg=step_deg,
    )


class OverviewMap:
    """A map that has an overview."""

    def __init__(self, whole: LightGrid) -> None:
        self.whole = whole

    def overview(self, resolution_deg: float) -> LightGrid:
        assert resolution_deg == self.whole.step_deg
        return self.whole


@pytest.mark.parametrize(
    "town", [(10.25, 0.25), (-179.75, 45.25), (100.25, -72.75), (30.25, 86.25)]
)
def test_light_counts_as_far_as_a_circle_reaches(town: tuple[float, float]) -> None:
    """Across the antimeridian and around the poles, too."""
    summed = 10.0 ** measure_lit_ground(OverviewMap(world_with(town))) - 1.0
    lit = summed > 1e-6
    lon, lat = np.meshgrid(np.arange(360) - 179.5, np.arange(180) - 89.5)
    middle = np.floor(town[0]) + 0.5, np.floor(town[1]) + 0.5
    away = WGS84.inv(lon, lat, *(np.full(lon.shape, at) for at in middle))[2] / 1e3
    assert lit[away < REACH_KM - 120.0].all()
    assert not lit[away > REACH_KM + 120.0].any()
    if abs(town[1]) < 60.0:  # as far to the north as to the south, and to the east as to the west
        rows = np.flatnonzero(lit.any(axis=1))
        assert (rows[0] + rows[-1]) / 2 == int(np.floor(town[1])) + 90
        own = int(np.floor(town[0])) + 180
        assert np.array_equal(
            np.roll(lit, -own, axis=1)[:, 1:], np.roll(lit, -own, axis=1)[:, :0:-1]
        )
    # Half a degree square, once
    area_km2 = 55.6**2 * np.cos(np.radians(town[1]))
    assert summed[lit] == pytest.approx(area_km2, rel=0.01)


def test_light_within_reach_is_that_of_all_cells_one_by_one() -> None:
    """On a sphere, by PROJ; also at the poles and across the antimeridian."""
    light = np.random.default_rng(1).exponential(size=(180, 360))
    found = sum_within_reach(light)
    lon, lat = np.meshgrid(np.arange(360) - 179.5, np.arange(180) - 89.5)
    sphere = Geod(a=6_371_000.0, b=6_371_000.0)
    for row, col in ((0, 7), (3, 0), (40, 359), (90, 100), (131, 180), (175, 250), (179, 1)):
        here = np.full(lon.shape, lon[row, col]), np.full(lon.shape, lat[row, col])
        within = sphere.inv(lon, lat, *here)[2] <= 800e3
        assert found[row, col] == pytest.approx(light[within].sum(), rel=1e-9)


def test_the_ocean_is_less_likely_than_a_land_of_cities() -> None:
    rng = np.random.default_rng(3)
    towns = [(float(lon), float(lat)) for lon, lat in rng.uniform([0, 40], [15, 55], (300, 2))]
    lit_dex = measure_lit_ground(OverviewMap(world_with(*towns)))
    places = geodetic_to_ecef(np.array([7.0, -40.0]), np.array([48.0, 30.0]), 410e3)
    night = -sun_direction(TIME)
    land, ocean = weigh_places(places, lit_dex, night) - weigh_places(places, None, night)
    assert ocean == pytest.approx(3.2)
    assert land < ocean - 4.0


@pytest.mark.parametrize(
    ("lon", "lat"), [(-75.0, 40.0), (160.0, -20.0), (100.0, 5.0), (20.0, 50.0)]
)
def test_twilight_is_less_likely_than_night(lon: float, lat: float) -> None:
    place = geodetic_to_ecef(lon, lat, 410e3)[None]
    elevation = sun_moon(TIME, lon, lat).sun_elevation_deg
    expected = np.interp(elevation, SUN_DEG, SUN_NEG_LOG_PRIOR)
    neg_log_prior = weigh_places(place, None, sun_direction(TIME))
    # The geodetic vertical is 0.2 degrees beside the geocentric
    assert neg_log_prior == pytest.approx([expected], abs=0.06)
    assert (np.diff(SUN_NEG_LOG_PRIOR) > 0.0).all()


RADIUS_KM = 6371.0


# ---- a place that the photo shows


@pytest.mark.parametrize("radius_km", [50.0, 400.0])
def test_places_are_weighed_by_how_far_photos_reach(radius_km: float) -> None:
    """As an exponential distribution of distances spread over rings, and 3 in 1,000 anywhere."""
    seen = Seen(lon=10.0, lat=0.0, radius_km=radius_km)
    away_km = np.array([0.0, 0.9 * radius_km, radius_km, 1.5 * radius_km, 1500.0, 12000.0])
    there = geodetic_to_ecef(10.0 + np.degrees(away_km / RADIUS_KM), 0.0, 410e3)
    expected = []
    for km in away_km.tolist():
        share = 1.0 if km <= radius_km else radius_km / km * math.exp((radius_km - km) / 454.0)
        expected.append(-math.log(0.997 * share + 0.003))
    assert seen.weigh(there) == pytest.approx(expected, abs=1e-6)


def test_a_place_is_seen_where_it_lies_within_its_radius_of_some_pixel() -> None:
    """Against all pixels of the rim, one by one: the nearest ground of a camera lies there."""
    camera = nadir_camera(0.0, 0.0)
    x, y = np.array([(x, y) for x in range(640) for y in (0, 425)]).T
    _, lat = camera.pixel_to_lonlat(x, y)
    for side in (1.0, -1.0):
        for beyond_km in (20.0, 100.0):
            rim = float((side * lat).max())
            place = side * (rim + math.degrees(beyond_km / RADIUS_KM))
            for radius_km, is_shown in ((beyond_km * 0.9, False), (beyond_km * 1.1, True)):
                seen = Seen(lon=0.0, lat=place, radius_km=radius_km)
                assert seen.is_shown_by(camera) == is_shown, (side, beyond_km, radius_km)
    # Within the picture however small the radius, to its very rim
    for px in ((0.5, 0.5), (638.5, 424.5), (319.5, 212.5), (300.1, 7.7)):
        lon_at, lat_at = (float(v) for v in camera.pixel_to_lonlat(*px))
        assert Seen(lon=lon_at, lat=lat_at, radius_km=0.01).is_shown_by(camera)
    for px in ((-3.0, 212.5), (642.0, 212.5), (319.5, -3.0), (319.5, 428.0)):
        lon_at, lat_at = (float(v) for v in camera.pixel_to_lonlat(*px))
        assert not Seen(lon=lon_at, lat=lat_at, radius_km=0.2).is_shown_by(camera)
        assert Seen(lon=lon_at, lat=lat_at, radius_km=1.5).is_shown_by(camera)
    assert not Seen(lon=0.0, lat=0.0, radius_km=1000.0).is_shown_by(nadir_camera(tilt_deg=150.0))


# ---- focal lengths

YIELDS = StageYields(
    tables={
        "lens_ladder_whole": {"1.0": 0.9, "1.5": 0.1},
        "lens_single_crop": {"1.0": 0.7, "2.0": 0.3},
        "lens_single_whole": {"1.0": 1.0},
        "lens_single_unknown": {"50": 0.3, "85": 0.5, "180": 0.2},
    }
)


@pytest.mark.parametrize(("degrees", "is_one"), [(11.9, True), (12.1, False)])
@pytest.mark.parametrize("size_px", [(640, 426), (426, 640)])
def test_a_telephoto_frame_is_narrower_than_twelve_degrees(
    degrees: float, is_one: bool, size_px: tuple[int, int]
) -> None:
    focal_px = 320.0 / math.tan(math.radians(degrees / 2.0))
    camera = replace(nadir_camera(), width_px=size_px[0], height_px=size_px[1], focal_px=focal_px)
    assert lens.is_telephoto(camera) == is_one


def test_a_lens_that_is_known_is_tried_as_it_is_and_as_crops_of_it() -> None:
    whole = lens.list_lens_beliefs(
        nadir_camera(), YIELDS, steps="ladder", focal_known=True, may_be_cropped=False
    )
    assert [(one.ratio, one.share) for one in whole] == [(1.0, 0.9), (1.5, 0.1)]
    assert [one.sigma_log_focal for one in whole] == [0.03, 0.12]
    assert [one.is_cropped for one in whole] == [False, True]
    assert [one.ladder for one in whole] == [(1.0,), (1.0, 0.8, 1.25)]
    crop = lens.list_lens_beliefs(
        nadir_camera(), YIELDS, steps="single", focal_known=True, may_be_cropped=True
    )
    assert [(one.is_cropped, one.ladder) for one in crop] == [(True, (1.0,))] * 2


def test_a_lens_that_is_not_known_is_one_of_the_usual_on_a_full_frame() -> None:
    camera = nadir_camera()
    told: dict[str, Any] = {"steps": "single", "focal_known": False}
    found = lens.list_lens_beliefs(camera, YIELDS, may_be_cropped=False, **told)
    focal_px = [one.ratio * camera.focal_px for one in found]
    assert focal_px == pytest.approx([mm / 36.0 * 640 for mm in (50, 85, 180)])
    assert [one.share for one in found] == [0.3, 0.5, 0.2]
    assert {(one.sigma_log_focal, one.is_cropped) for one in found} == {(0.12, False)}
    # What is within 12 % of a focal length that led nowhere, or of a crop of it, is left out
    doubted_px = 85.0 / 36.0 * 640
    for factor, left in ((1.0, [50]), (1.12, [50]), (1.13, [50, 85]), (0.5, [50, 180])):
        found = lens.list_lens_beliefs(
            camera, YIELDS, may_be_cropped=True, doubted_focal_px=factor * doubted_px, **told
        )
        assert [round(one.ratio * camera.focal_px * 36.0 / 640) for one in found] == left, factor
    for doubted, is_cropped in ((None, False), (1.0, True)):
        found = lens.list_lens_beliefs(
            camera, YIELDS, may_be_cropped=False, doubted_focal_px=doubted, **told
        )
        assert [one.is_cropped for one in found] == [is_cropped] * 3


# ---- what frames of one camera share

TAKEN = datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)


def frame_at(seconds: float, name: str = "mine", **other: Any) -> neighbours.FrameFacts:
    facts = neighbours.FrameFacts(
        frame=name,
        camera_body="NIKON D3S",
        time_utc=TAKEN + timedelta(seconds=seconds),
        focal_mm=85.0,
        size_px=(640, 426),
    )
    return replace(facts, **other)


def solved_at(
    seconds: float,
    offset_s: float = 10.0,
    focal_ratio: float = 1.0,
    camera: Camera | None = None,
    **other: Any,
) -> neighbours.SolvedReference:
    return neighbours.SolvedReference(
        facts=frame_at(seconds, f"F{seconds:g}", **other),
        camera=camera or nadir_camera(),
        offset_s=offset_s,
        focal_ratio=focal_ratio,
    )


def told(*references: neighbours.SolvedReference, **mine: Any) -> neighbours.NeighbourPrior | None:
    return neighbours.make_neighbour_prior(frame_at(0.0, **mine), references)


def frames_of(prior: neighbours.NeighbourPrior | None) -> tuple[str, ...]:
    return () if prior is None else prior.frames


def test_one_frame_of_the_same_ten_minutes_tells_and_two_of_the_half_day_do() -> None:
    for away in (600.0, -600.0):
        assert frames_of(told(solved_at(away))) == (f"F{away:g}",)
    assert told(solved_at(600.1)) is None
    assert frames_of(told(solved_at(601.0), solved_at(43200.0))) == ("F601", "F43200")
    assert told(solved_at(601.0), solved_at(43200.1)) is None
    assert told(solved_at(60.0, camera_body="NIKON D4")) is None
    # Who is near is asked alone
    assert frames_of(told(solved_at(700.0), solved_at(-20.0), solved_at(800.0))) == ("F-20",)
    # Of those of the day half must agree
    assert frames_of(told(*(solved_at(700.0 + k, 20.0 * (k // 2)) for k in range(4)))) == (
        "F700",
        "F701",
    )
    assert told(*(solved_at(700.0 + k, 20.0 * (k // 2)) for k in range(5))) is None


def test_clocks_agree_within_five_seconds_and_the_nearest_frames_decide() -> None:
    near = told(solved_at(1.0, 10.0), solved_at(2.0, 15.0), solved_at(3.0, 12.0))
    assert near is not None
    assert near.frames == ("F1", "F2", "F3")
    assert near.offset_s == 12.0
    assert near.spread_s == pytest.approx(np.std([10.0, 15.0, 12.0]))
    apart = told(solved_at(1.0, 10.0), solved_at(2.0, 15.1), solved_at(3.0, 12.0))
    assert apart is not None
    assert (apart.frames, apart.offset_s, apart.spread_s) == (("F1", "F3"), 11.0, 2.0)
    assert frames_of(told(solved_at(-2.0, 30.0), solved_at(1.0, 10.0))) == ("F1",)


def test_the_lens_is_the_median_of_those_that_agree_within_three_in_a_hundred() -> None:
    ratios = [1.0, 1.029, 1.01, 1.2]
    prior = told(*(solved_at(k + 1.0, focal_ratio=ratio) for k, ratio in enumerate(ratios)))
    assert prior is not None
    assert prior.focal_ratio == pytest.approx(1.01)
    assert prior.frames == ("F1", "F2", "F3", "F4")
    assert [one.frame for one in prior.neighbours] == ["F1", "F2"]
    other = told(solved_at(1.0, focal_ratio=1.2, focal_mm=50.0))
    assert other is not None
    assert (other.focal_ratio, other.neighbours, other.offset_s) == (1.0, (), 10.0)


def test_neighbours_are_two_minutes_near_and_of_the_same_size() -> None:
    prior = told(solved_at(120.0), solved_at(-120.1))
    assert prior is not None
    assert [one.frame for one in prior.neighbours] == ["F120"]
    upright = told(solved_at(5.0, focal_ratio=1.02), size_px=(426, 640))
    assert upright is not None
    assert (upright.neighbours, upright.focal_ratio) == ((), pytest.approx(1.02))


@pytest.mark.parametrize(("off_px", "is_crop"), [(6.3, False), (6.5, True)])
def test_most_frames_tell_whether_pictures_are_mirrored_or_crops(
    off_px: float, is_crop: bool
) -> None:
    """An axis off the middle by a hundredth of the long side is that of a crop."""
    odd = replace(
        nadir_camera(), mirrored=True, principal_point=(319.5 - 0.6 * off_px, 212.5 + 0.8 * off_px)
    )
    for many, is_most in ((1, False), (2, True)):
        prior = told(
            *(solved_at(k, camera=odd if k < many else None) for k in range(2 * many - 1, -1, -1)),
            solved_at(90.0, camera=odd if is_most else None),
        )
        assert prior is not None
        assert (prior.mirrored, prior.cropped) == (is_most, is_most and is_crop)


@pytest.mark.parametrize(
    ("hint", "is_worth"),
    [
        ({}, False),
        ({"offset_s": 2.99}, False),
        ({"offset_s": 3.0}, True),
        ({"offset_s": -3.0}, True),
        ({"focal_ratio": 1.03}, False),
        ({"focal_ratio": 1.031}, True),
        ({"focal_ratio": 1 / 1.031}, True),
        ({"mirrored": True}, True),
        ({"cropped": True}, False),
        ({"neighbours": (neighbours.Neighbour(frame="B", camera=nadir_camera()),)}, True),
    ],
)
def test_a_hint_is_worth_a_search_where_it_leads_elsewhere(
    hint: dict[str, Any], is_worth: bool
) -> None:
    prior = neighbours.NeighbourPrior(**{"frames": ("A",), "offset_s": 0.0, "spread_s": 2.0} | hint)
    assert prior.is_worth_trying() == is_worth
    assert replace(prior, first_probability=0.3).sha256 == prior.sha256
    assert replace(prior, offset_s=0.1).sha256 != prior.sha256


def test_a_stretched_copy_tells_its_clock_but_no_lens() -> None:
    stretched = replace(nadir_camera(), pixel_aspect=1.5)
    prior = told(solved_at(60.0, -3.0, focal_ratio=0.67, camera=stretched))
    assert prior is not None
    assert (prior.offset_s, prior.focal_ratio, prior.neighbours) == (-3.0, 1.0, ())


def test_only_accepted_frames_placed_by_an_orbit_tell_anything() -> None:
    result = replace(proposal(), solved=solved(nadir_camera(), -13.7))
    reference = neighbours.SolvedReference.from_result(result)
    assert reference is not None
    assert reference.offset_s == -13.7
    # 85 mm on pixels of 56.25 micrometres are 1511.1 px
    assert reference.focal_ratio == pytest.approx(1506.1 / 1511.111, rel=1e-6)
    assert (reference.facts.size_px, reference.facts.time_utc) == ((640, 426), TAKEN)
    assert reference.facts.seconds_after(frame_at(-7.5)) == 7.5
    unknown = neighbours.SolvedReference.from_result(replace(result, focal_mm=None))
    assert unknown is not None
    assert unknown.focal_ratio == reference.focal_ratio
    assert result.nadir is not None
    for change in (
        {"verdict": "review"},
        {"solved": None},
        {"nadir": None},
        {"nadir": replace(result.nadir, source="option")},
        {"pixel_pitch_um": None},
        {"camera_body": None},
        {"time_utc": None},
        {"width_px": None},
    ):
        assert neighbours.SolvedReference.from_result(replace(result, **change)) is None, change  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 12), max_size=8), st.integers(0, 4))
def test_the_most_values_within_a_width_agree(values: list[int], width: int) -> None:
    """Against every choice of them, the first of those that are as many."""
    groups = [
        [k for k, v in enumerate(values) if low <= v <= low + width] for low in sorted(set(values))
    ]
    most = max(map(len, groups), default=0)
    found = neighbours.find_agreeing([float(v) for v in values], float(width))
    largest = [one for one in groups if len(one) == most]
    assert found in (largest or [[]])
    assert found[:1] == min((one[:1] for one in largest), default=[])


@pytest.fixture
def problem(over_city: Solved) -> Problem:
    """A photo whose time, orbit and lens are known."""
    return over_city.problem


def with_photo(problem: Problem, **changes: object) -> Problem:
    """The same of another photo."""
    photo: Photo = replace(problem.photo, **changes)  # type: ignore[arg-type]
    return replace(problem, photo=photo)


def with_prior(problem: Problem, **changes: object) -> Problem:
    """The same of which something else is known."""
    prior: Prior = replace(problem.prior, **changes)  # type: ignore[arg-type]
    return pose_problem(problem.photo, prior, problem.references, problem.params)


def test_an_unknown_lens_is_sought_among_the_usual_ones(problem: Problem) -> None:
    def ratios(one: Problem) -> set[float]:
        return {round(stage.lens.ratio, 2) for stage in generate_stages(one)}

    known, unknown = problem, with_photo(problem, focal_known=False)
    assert generate_stages(known)[0].lens.sigma_log_focal == LENS.sigma_log_focal
    unsure = {stage.lens.sigma_log_focal for stage in generate_stages(unknown)}
    assert min(unsure) > LENS.sigma_log_focal
    assert len(ratios(unknown)) > 8
    # With a lens that is told only crops of it are tried
    assert max(abs(np.log(ratio)) for ratio in ratios(known)) < 1.0
    # and as if it was unknown what was tried with it is left out
    tried_px = known.photo.nominal.focal_px
    doubted = with_photo(problem, focal_known=False, doubted_focal_px=tried_px)
    assert 0 < len(ratios(doubted)) < len(ratios(unknown))
    assert (
        min(abs(np.log(ratio)) for ratio in ratios(doubted)) >= LENS.sigma_log_focal_unsure - 0.01
    )


def test_a_limb_tells_the_tilt(problem: Problem) -> None:
    nominal = problem.photo.nominal
    nadir = np.array([0.0, np.sin(np.radians(62.0)), np.cos(np.radians(62.0))])
    limb = found_limb(nadir, nominal.focal_px, (nominal.height_px, nominal.width_px))
    stages = generate_stages(with_photo(problem, limb=limb))
    light = next(stage for stage in stages if stage.method == "light")
    for _, nadirs in light.views:
        assert nadirs == pytest.approx(nadir[None], abs=1e-6)
    # It may be a false one
    assert any(stage.views and len(stage.views[0][1]) > 1 for stage in stages)


def test_of_what_nothing_is_known_the_whole_earth_is_asked(problem: Problem) -> None:
    blind = with_prior(problem, position=None)
    stages = generate_stages(blind)
    assert {stage.method for stage in stages} == {"light"}
    assert {stage.region.name for stage in stages if stage.region} == {"earth"}


def test_a_position_may_be_wrong_altogether_but_for_what_the_user_bounds(problem: Problem) -> None:
    def regions(one: Problem) -> set[str]:
        return {stage.region.name for stage in generate_stages(one) if stage.region}

    # The index of the samples lies in sight of the place: nothing is elsewhere
    assert regions(problem) == {"near", "wide"}
    assert regions(replace(problem, references=replace(problem.references, index=None))) == set()


def test_nothing_is_tried_where_the_index_holds_no_light_in_sight(problem: Problem) -> None:
    away = position_from_nadir(10.0, -45.0, 410.0, "option")
    there = with_prior(problem, position=away, may_be_elsewhere=False)
    assert generate_stages(there) == []


def test_where_only_a_place_is_known_cameras_stand_all_around_it(problem: Problem) -> None:
    position = problem.prior.position
    assert position is not None
    seen = Seen(lon=position.lon, lat=position.lat, radius_km=50.0)
    around = position_from_nadir(position.lon, position.lat, 415.0, "centre")
    places = list_places(with_prior(problem, position=around, seen=seen), 150.0, 5.0)
    there = np.array([place.position_ecef_m for _, place in places])
    lon, lat, _ = ecef_to_geodetic(there)
    away_km = great_circle_km(seen.lon, seen.lat, lon, lat)
    shares = np.array([place.share for _, place in places])
    assert away_km[0] < 150.0
    # As of the archive's photos: half see what is nearer than 315 km, nine in ten than 1,134 km
    assert 0.3 < shares[away_km < 315.0].sum() < 0.7
    assert shares[away_km < 1134.0].sum() > 0.8
    # To all sides, and not along a line
    bearings = there[away_km < 900.0] - around.position_ecef_m
    assert np.linalg.matrix_rank(bearings, tol=1e5) >= 2
