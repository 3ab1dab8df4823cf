"""What is believed of a camera before its lights are asked: places, clocks, lenses, neighbours."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, great_circle_km
from matchers.geometry.map_grid import MapGrid
from regengine.maps.places import sum_within_reach
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
from regengine.registration import priors
from regengine.registration.generate_stages import list_lens_beliefs, list_places
from regengine.registration.priors import (
    SUN_DEG,
    SUN_NEG_LOG_PRIOR,
    Seen,
    StageYields,
    Track,
    make_tracks,
    measure_lit_ground,
    weigh_places,
)
from regengine.registration.register import state_problem
from regengine.registration.types import Prior, Problem
from tests.oracle.conftest import Solved
from tests.world.elements import Elements
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
    offsets, neg_log_priors = priors.list_offsets(flat(), 150.0, between=between)
    half = 75.0 if between else 0.0
    expected = [150.0 * k + half for k in range(-7, 8) if abs(150.0 * k + half) < 1075.0]
    assert sorted(offsets.tolist()) == expected
    assert (np.diff(neg_log_priors) >= 0.0).all()
    within = np.abs(offsets) <= 900.0
    assert neg_log_priors[within] == pytest.approx(-np.log(150.0 / 2000.0), abs=0.03)
    assert priors.weigh_offsets(3000.0, flat(), 150.0) == pytest.approx(-np.log(1e-9))
    odd = flat(
        may_be_night=lambda km: km > -200.0,
        shares_start=True,
        place_neg_log_prior=lambda km: km / 100.0,
    )
    offsets, with_places = priors.list_offsets(odd, 150.0, between=between)
    assert offsets.tolist() == [one for one in expected if one > -200.0 and one != 0.0]
    plain = priors.weigh_offsets(offsets, odd, 150.0)
    assert with_places == pytest.approx(plain + offsets / 100.0)


def test_what_is_believed_of_a_camera_is_in_metres_and_in_its_own_pixels() -> None:
    track = flat(sigma_along_km=40.0)
    crop = priors.LensBelief(ratio=1.5, sigma_log_focal=0.12, is_cropped=True)
    prior = priors.believe_camera(track, 100.0, 50.0, nadir_camera(), crop)
    assert prior.position_ecef_m == pytest.approx(track.position(100.0))
    assert prior.velocity_ecef == pytest.approx(track.velocity(100.0))
    assert (prior.sigma_along_m, prior.sigma_across_m, prior.sigma_up_m) == (40e3, 150e3, 5e3)
    assert prior.focal_px == pytest.approx(1.5 * 1506.1)
    assert (prior.sigma_log_focal, prior.sigma_k1, prior.k1) == (0.12, 0.05, 0.01)
    assert (prior.principal_point, prior.sigma_principal_px) == ((319.5, 212.5), 128.0)


class OverviewMap:
    """One lit pixel around each longitude and latitude, in an overview."""

    def __init__(self, towns: np.ndarray) -> None:
        self.values = np.zeros((360, 720), np.float32)
        self.values[
            ((90.0 - towns[:, 1]) * 2).astype(int), ((towns[:, 0] + 180) * 2).astype(int)
        ] = 1

    def overview(self, resolution_deg: float) -> MapGrid:
        return MapGrid(
            values=self.values, lon0_deg=-179.75, lat0_deg=89.75, step_deg=resolution_deg
        )


def test_the_ocean_is_less_likely_than_a_land_of_cities_and_twilight_than_night() -> None:
    towns = np.random.default_rng(3).uniform([0, 40], [15, 55], (300, 2))
    lit_dex = measure_lit_ground(OverviewMap(towns))
    places = geodetic_to_ecef(np.array([7.0, -40.0]), np.array([48.0, 30.0]), 410e3)
    night = -sun_direction(TIME)
    land, ocean = weigh_places(places, lit_dex, night) - weigh_places(places, None, night)
    assert ocean == pytest.approx(3.2)
    assert land < ocean - 4.0
    for lon, lat in ((-75.0, 40.0), (160.0, -20.0), (100.0, 5.0), (20.0, 50.0)):
        elevation = sun_moon(TIME, lon, lat).sun_elevation_deg
        expected = np.interp(elevation, SUN_DEG, SUN_NEG_LOG_PRIOR)
        place = geodetic_to_ecef(lon, lat, 410e3)[None]
        # The geodetic vertical is 0.2 degrees beside the geocentric
        weighed = weigh_places(place, None, sun_direction(TIME))
        assert weighed == pytest.approx([expected], abs=0.06)


def test_light_within_reach_is_that_of_all_cells_one_by_one() -> None:
    """On a sphere, by PROJ; also at the poles and across the antimeridian."""
    light = np.random.default_rng(1).exponential(size=(180, 360))
    found = sum_within_reach(light, 800.0)
    lon, lat = np.meshgrid(np.arange(360) - 179.5, np.arange(180) - 89.5)
    sphere = Geod(a=6_371_000.0, b=6_371_000.0)
    for row, col in ((0, 7), (3, 0), (40, 359), (90, 100), (131, 180), (175, 250), (179, 1)):
        here = np.full(lon.shape, lon[row, col]), np.full(lon.shape, lat[row, col])
        within = sphere.inv(lon, lat, *here)[2] <= 800e3
        assert found[row, col] == pytest.approx(light[within].sum(), rel=1e-9)


RADIUS_KM = 6371.0


# ---- a place that the photo shows


def test_places_are_weighed_by_how_far_photos_reach() -> None:
    """As an exponential distribution of distances spread over rings, and 3 in 1,000 anywhere."""
    seen = Seen(lon=10.0, lat=0.0, radius_km=400.0)
    away_km = np.array([0.0, 360.0, 400.0, 600.0, 1500.0, 12000.0])
    there = geodetic_to_ecef(10.0 + np.degrees(away_km / RADIUS_KM), 0.0, 410e3)
    share = np.where(away_km <= 400.0, 1.0, 400.0 / (away_km + 1e-9))
    share *= np.exp(-np.maximum(away_km - 400.0, 0.0) / 454.0)
    assert seen.weigh(there) == pytest.approx(-np.log(0.997 * share + 0.003), abs=1e-6)


def test_a_place_is_seen_where_it_lies_within_its_radius_of_some_pixel() -> None:
    """Against all pixels of the rim, one by one: the nearest ground of a camera lies there."""
    camera = nadir_camera(0.0, 0.0)
    x, y = np.array([(x, y) for x in range(640) for y in (0, 425)]).T
    _, lat = camera.pixel_to_lonlat(x, y)
    for side, beyond_km in ((1.0, 20.0), (-1.0, 100.0)):
        place = side * (float((side * lat).max()) + math.degrees(beyond_km / RADIUS_KM))
        for share, is_shown in ((0.9, False), (1.1, True)):
            seen = Seen(lon=0.0, lat=place, radius_km=share * beyond_km)
            assert seen.is_shown_by(camera) == is_shown
    # Within the picture however small the radius, to its very rim
    for px, least_km in (((0.5, 0.5), 0.01), ((638.5, 424.5), 0.01), ((642.0, 212.5), 1.5)):
        lon_at, lat_at = (float(v) for v in camera.pixel_to_lonlat(*px))
        assert Seen(lon=lon_at, lat=lat_at, radius_km=least_km).is_shown_by(camera)
        beyond = Seen(lon=lon_at, lat=lat_at, radius_km=0.1 * least_km)
        assert beyond.is_shown_by(camera) == (least_km < 1.0)


# ---- focal lengths

YIELDS: StageYields = {
    "lens_ladder_whole": {"1.0": 0.9, "1.5": 0.1},
    "lens_single_crop": {"1.0": 0.7, "2.0": 0.3},
    "lens_single_whole": {"1.0": 1.0},
    "lens_single_unknown": {"50": 0.3, "85": 0.5, "180": 0.2},
}


def photo_with(may_be_cropped: bool, **known: Any) -> Any:
    known = {"nominal": nadir_camera(), "doubted_focal_px": None} | known
    return SimpleNamespace(frame=SimpleNamespace(may_be_cropped=may_be_cropped), **known)


def test_a_lens_that_is_known_is_tried_as_it_is_and_as_crops_of_it() -> None:
    whole = list_lens_beliefs(photo_with(False, focal_known=True), YIELDS, "ladder")
    assert [(one.ratio, one.share) for one in whole] == [(1.0, 0.9), (1.5, 0.1)]
    assert [one.sigma_log_focal for one in whole] == [0.03, 0.12]
    assert [one.is_cropped for one in whole] == [False, True]
    assert [one.ladder for one in whole] == [(1.0,), (1.0, 0.8, 1.25)]
    crop = list_lens_beliefs(photo_with(True, focal_known=True), YIELDS, "single")
    assert [(one.is_cropped, one.ladder) for one in crop] == [(True, (1.0,))] * 2


def test_a_lens_that_is_not_known_is_one_of_the_usual_on_a_full_frame() -> None:
    camera = nadir_camera()
    found = list_lens_beliefs(photo_with(False, focal_known=False), YIELDS, "single")
    focal_px = [one.ratio * camera.focal_px for one in found]
    assert focal_px == pytest.approx([mm / 36.0 * 640 for mm in (50, 85, 180)])
    assert [one.share for one in found] == [0.3, 0.5, 0.2]
    assert {(one.sigma_log_focal, one.is_cropped) for one in found} == {(0.12, False)}
    # What is within 12 % of a focal length that led nowhere, or of a crop of it, is left out
    doubted_px = 85.0 / 36.0 * 640
    for factor, left in ((1.0, [50]), (1.12, [50]), (1.13, [50, 85]), (0.5, [50, 180])):
        photo = photo_with(True, focal_known=False, doubted_focal_px=factor * doubted_px)
        found = list_lens_beliefs(photo, YIELDS, "single")
        assert [round(one.ratio * camera.focal_px * 36.0 / 640) for one in found] == left, factor


# ---- what frames of one camera share

TAKEN = datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)


def frame_at(seconds: float, name: str = "mine", **other: Any) -> priors.FrameFacts:
    facts = priors.FrameFacts(
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
) -> priors.FrameFacts:
    known = {"camera": camera or nadir_camera(), "offset_s": offset_s, "focal_ratio": focal_ratio}
    return frame_at(seconds, f"F{seconds:g}", **known, **other)


def told(*references: priors.FrameFacts, **mine: Any) -> priors.NeighbourPrior | None:
    return priors.make_neighbour_prior(frame_at(0.0, **mine), references)


def frames_of(prior: priors.NeighbourPrior | None) -> tuple[str, ...]:
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
    four = [solved_at(700.0 + k, 20.0 * (k // 2)) for k in range(5)]
    assert frames_of(told(*four[:4])) == ("F700", "F701")
    assert told(*four) is None


def test_the_clock_is_the_mean_by_weight_and_what_no_photo_determines_counts_little() -> None:
    sure, vague = solved_at(1.0, 10.0, sigma_s=0.0), solved_at(2.0, 13.0, sigma_s=3.0**0.5)
    prior = told(sure, vague)
    assert prior is not None
    # Weights of 1 and 1/4, with a sigma of 1 s of the orbit
    assert prior.offset_s == pytest.approx(10.6)
    # Two that are vague, though nearer in time, do not outweigh one
    nearer = [solved_at(0.1, 30.0), solved_at(0.2, 31.0)]
    assert frames_of(told(*nearer, sure)) == ("F1",)
    # A clock that no photo determines is where it was found, as far as clocks are off
    prior = told(nearer[0])
    assert prior is not None
    assert (prior.offset_s, prior.spread_s > 15.0) == (30.0, True)


def test_the_lens_is_the_median_of_those_that_agree_within_three_in_a_hundred() -> None:
    ratios = [1.0, 1.029, 1.01, 1.2]
    prior = told(*(solved_at(k + 1.0, focal_ratio=ratio) for k, ratio in enumerate(ratios)))
    assert prior is not None
    assert prior.focal_ratio == pytest.approx(1.01)
    assert prior.frames == ("F1", "F2", "F3", "F4")
    assert [one.frame for one in prior.neighbours] == ["F1", "F2"]
    # Cameras are those of two minutes about
    near = told(solved_at(120.0), solved_at(-120.1))
    assert near is not None
    assert [one.frame for one in near.neighbours] == ["F120"]
    # A stretched copy tells its clock alone
    stretched = told(solved_at(60.0, -3.0, 0.67, replace(nadir_camera(), pixel_aspect=1.5)))
    assert stretched is not None
    assert (stretched.offset_s, stretched.focal_ratio, stretched.neighbours) == (-3.0, 1.0, ())


def test_only_accepted_frames_placed_by_an_orbit_tell_anything() -> None:
    result = replace(proposal(), solved=solved(nadir_camera(), -13.7))
    reference = priors.FrameFacts.from_result(result)
    assert reference is not None
    assert reference.camera == nadir_camera()
    assert (reference.offset_s, reference.sigma_s) == (-13.7, 0.31)
    # 85 mm on pixels of 56.25 micrometres are 1511.1 px
    assert reference.focal_ratio == pytest.approx(1506.1 / 1511.111, rel=1e-6)
    assert (reference.size_px, reference.time_utc) == ((640, 426), TAKEN)
    assert result.nadir is not None
    by_option = replace(result.nadir, source="option")
    for change in ({"verdict": "review"}, {"solved": None}, {"nadir": by_option}):
        other = priors.FrameFacts.from_result(replace(result, **change))  # type: ignore[arg-type]
        assert other is not None
        assert other.camera is None, change


@pytest.fixture
def problem(over_city: Solved) -> Problem:
    """A photo whose time, orbit and lens are known."""
    return over_city.problem


def with_prior(problem: Problem, **changes: object) -> Problem:
    """The same of which something else is known."""
    prior: Prior = replace(problem.prior, **changes)  # type: ignore[arg-type]
    return state_problem(problem.photo, prior, problem.references, problem.params)


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
