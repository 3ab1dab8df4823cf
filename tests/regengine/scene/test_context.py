"""Sun and Moon against published tables, and what a picture says against them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.limb_geometry import limb_angle_deg
from regengine.orbit import position_from_nadir
from regengine.result import Reason
from regengine.scene.classify import combine_for_search, explain_by_class, find_skip_reason
from regengine.scene.context import (
    SceneEphemeris,
    camera_factors,
    disagreement,
    light_class,
    prior,
    scale_odds,
    scene_ephemeris,
)
from regengine.scene.models import SceneAnswer

WRONG_CLOCK = 0.02
CLASSES = {
    *("cities", "stars", "aurora", "inside", "day"),
    *("infrared", "night_nocity", "sunset_sunrise", "moon", "other"),
}


def at(time: datetime, lon: float, lat: float, altitude_km: float = 400.0) -> SceneEphemeris:
    found = scene_ephemeris(
        position_from_nadir(lon, lat, altitude_km, "option", time_utc=time.replace(tzinfo=UTC))
    )
    assert found is not None
    return found


def made(sun_deg: float, moon_deg: float = 30.0, illumination: float = 0.5) -> SceneEphemeris:
    dip = 90.0 - limb_angle_deg(400.0, 0.0)
    return SceneEphemeris(
        sun_elevation_deg=sun_deg,
        moon_elevation_deg=moon_deg,
        moon_illumination=illumination,
        horizon_dip_deg=dip,
        light=light_class(sun_deg, dip),
    )


# The total eclipse of 20 March 2015 on Svalbard, at 10:11 UTC with the Sun 11 degrees high (NASA
# eclipse bulletin); the Osaka frame ISS030-E-184140; solstices at Greenwich by the definition of
# obliquity and declination, 90 - 51.48 +- 23.44 degrees at noon, 51.48 - 90 + 23.44 at midnight.
KNOWN = [
    (datetime(2015, 3, 20, 10, 11), 15.6, 78.2, 11.0, "day"),
    (datetime(2012, 3, 28, 15, 46, 41), 136.3, 34.8, None, "night"),
    (datetime(2012, 6, 20, 12, 2), 0.0, 51.48, 61.96, "day"),
    (datetime(2012, 12, 21, 11, 58), 0.0, 51.48, 15.08, "day"),
    (datetime(2012, 6, 21, 0, 2), 0.0, 51.48, -15.08, "twilight"),
]


@pytest.mark.parametrize(("time", "lon", "lat", "elevation_deg", "light"), KNOWN)
def test_known_times(time, lon, lat, elevation_deg, light) -> None:
    found = at(time, lon, lat)
    assert found.light == light
    if elevation_deg is not None:
        assert found.sun_elevation_deg == pytest.approx(elevation_deg, abs=0.5)


def test_the_moon_before_the_sun_is_new() -> None:
    eclipse = at(datetime(2015, 3, 20, 10, 11), 15.6, 78.2)
    assert eclipse.moon_elevation_deg == pytest.approx(eclipse.sun_elevation_deg, abs=0.3)
    assert eclipse.moon_illumination < 0.001
    assert prior(eclipse)["moon"] == WRONG_CLOCK


def test_the_camera_is_lit_until_the_sun_sets_behind_the_limb() -> None:
    """By astropy: the angle between the Sun and the nadir against the limb's, from 400 km up."""
    import astropy.units as u
    from astropy.coordinates import ITRS, EarthLocation, get_sun
    from astropy.time import Time
    from astropy.utils import iers

    rng = np.random.default_rng(3)
    differing = 0
    with iers.conf.set_temp("auto_download", False):
        for _ in range(25):
            lon, lat = float(rng.uniform(-180, 180)), float(rng.uniform(-51, 51))
            time = datetime(2014, 1, int(rng.integers(1, 29)), int(rng.integers(24)), tzinfo=UTC)
            when = Time(time)
            camera = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, 400 * u.km)
            place = np.array([v.to_value(u.m) for v in camera.geocentric])
            sun = get_sun(when).transform_to(ITRS(obstime=when)).cartesian.xyz.to_value(u.m)
            sight = (sun - place) / np.linalg.norm(sun - place)
            # A ray meets the Earth if it passes the centre closer than the surface
            below = sight @ place < 0.0
            closest_km = np.linalg.norm(place - (place @ sight) * sight) / 1000.0
            ours = at(time, lon, lat)
            if not below or abs(closest_km - 6371.0) > 60.0:
                sunlit = ours.light != "night"
                assert sunlit == (not below or closest_km > 6371.0)
                differing += sunlit != (ours.sun_elevation_deg > 0.0)
    assert differing > 0  # the dip matters in some of them


@given(st.floats(-90.0, 90.0), st.floats(-90.0, 90.0), st.floats(0.0, 1.0))
def test_no_class_is_ever_impossible(sun_deg, moon_deg, illumination) -> None:
    factors = prior(made(sun_deg, moon_deg, illumination))
    assert set(factors) == CLASSES
    assert all(WRONG_CLOCK * (1 - 1e-9) <= factor <= 1.0 + 1e-9 for factor in factors.values())
    assert factors["inside"] == factors["other"] == pytest.approx(1.0)


@given(st.floats(-90.0, 90.0), st.floats(0.0, 40.0))
def test_a_higher_sun_never_favours_the_night(sun_deg, higher_deg) -> None:
    low, high = made(sun_deg), made(min(sun_deg + higher_deg, 90.0))
    order = ("night", "twilight", "day")
    assert order.index(high.light) >= order.index(low.light)
    for name in ("cities", "stars", "aurora", "night_nocity"):
        assert prior(high)[name] <= prior(low)[name] + 1e-9
    for name in ("day", "infrared"):
        assert prior(high)[name] >= prior(low)[name] - 1e-9


@pytest.mark.parametrize(
    ("sun_deg", "probabilities", "suspect"),
    [
        (40.0, {"cities": 0.97, "night_nocity": 0.2}, True),
        (-40.0, {"day": 0.9, "infrared": 0.1}, True),
        (-40.0, {"cities": 0.97}, False),
        (40.0, {"day": 0.97}, False),
        (-40.0, {"inside": 0.97}, False),
        (-40.0, {"day": 0.5, "inside": 0.5}, False),  # may be the lit cabin
        (-12.0, {"cities": 0.99}, False),  # seldom, but done
        (-15.0, {"day": 0.99}, False),
        (40.0, {"sunset_sunrise": 0.99}, True),
        (40.0, {}, False),
        (40.0, {"cities": 0.0}, False),
    ],
)
def test_picture_against_clock(sun_deg, probabilities, suspect) -> None:
    said = disagreement(made(sun_deg), probabilities)
    assert (said is not None) == suspect
    if said is not None:
        code, sentence = said.split(": ", 1)
        assert code == "clock_suspect"
        assert f"{abs(sun_deg):.0f} degrees" in sentence


def test_a_moon_that_had_set() -> None:
    said = disagreement(made(-40.0, -50.0), {"moon": 0.95})
    assert said is not None
    assert "30 degrees below the limb" in said
    thin = disagreement(made(-40.0, 20.0, 0.01), {"moon": 0.95})
    assert thin is not None
    assert "1 % of the Moon" in thin
    assert disagreement(made(-40.0, -10.0), {"moon": 0.95}) is None  # above the limb, seen so high


def test_no_time_no_ephemeris() -> None:
    timeless = position_from_nadir(10.0, 20.0, 400.0, "option")
    assert scene_ephemeris(timeless) is None


@pytest.mark.real
def test_night_frames_of_the_archive_are_called_night(real_data) -> None:
    table = real_data / "orbit" / "iss_night_photos_jsc.csv"
    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))[::25]
    lights, agreeing = [], 0
    for row in rows:
        time = datetime.strptime(row["gmt_date"] + row["gmt_time"], "%Y%m%d%H%M%S")
        found = at(time, float(row["nadir_lon"]), float(row["nadir_lat"]))
        lights.append(found.light)
        agreeing += abs(found.sun_elevation_deg - float(row["sun_el"])) < 2.0
    assert agreeing / len(rows) > 0.95
    assert lights.count("night") / len(rows) > 0.95
    assert lights.count("day") / len(rows) < 0.01


TIME = datetime(2012, 1, 5, 4, 0, tzinfo=UTC)  # 0.82 of the Moon lit, growing


@given(
    st.dictionaries(
        st.sampled_from(["cities", "day", "stars", "moon"]), st.floats(0.001, 0.999), min_size=1
    ),
    st.floats(0.02, 1.0),
)
def test_equal_factors_move_nothing_and_all_stays_a_probability(probabilities, factor) -> None:
    same = scale_odds(probabilities, dict.fromkeys(probabilities, factor))
    assert same == pytest.approx(probabilities, rel=1e-9)
    moved = scale_odds(probabilities, {"cities": factor, "moon": 0.02})
    assert all(0.0 < p < 1.0 for p in moved.values())


def test_the_hour_decides_what_the_picture_leaves_open() -> None:
    by_night = scale_odds({"cities": 0.5, "day": 0.5}, {"cities": 1.0, "day": 0.02})
    assert by_night["cities"] > 0.6 > 0.05 > by_night["day"]
    assert scale_odds({"cities": 0.99, "day": 0.01}, {"cities": 0.02, "day": 1.0})["cities"] > 0.97


@pytest.mark.parametrize("camera", ["NIKON D3S", "Kodak DCS460"])
def test_a_crews_camera_has_an_infrared_filter(camera: str) -> None:
    moved = scale_odds({"infrared": 0.5, "day": 0.5}, camera_factors(camera))
    assert moved["infrared"] < 0.15 < 0.6 < moved["day"]
    assert camera_factors("unknown") == camera_factors(None) == {}


def test_a_schools_camera_takes_no_lamps_and_leaves_day_and_infrared_to_the_picture() -> None:
    factors = camera_factors("RP_imx477")
    moved = scale_odds({"infrared": 0.3, "day": 0.5, "cities": 0.2}, factors)
    assert moved["cities"] < 0.1
    open_question = {"infrared": 0.4, "day": 0.6}
    assert scale_odds(open_question, factors) == pytest.approx(open_question)


def answer(*, explained: bool = True, **probabilities: float) -> SceneAnswer:
    return SceneAnswer(
        category=max(probabilities, key=lambda name: probabilities[name]),
        probabilities=probabilities,
        also=(),
        explained=explained,
    )


@pytest.mark.parametrize(
    ("seen", "night", "says"),
    [
        (answer(day=0.9, cities=0.01), False, "classified as day (probability 0.90)"),
        (answer(day=0.36, infrared=0.36), False, "classified as day"),  # they count together
        (answer(day=0.36, infrared=0.32), False, None),
        (answer(other=0.6, day=0.2, cities=0.01), False, "classified as something else"),
        (answer(explained=False, other=0.9, cities=0.01), False, None),  # unknown
        (answer(night_nocity=0.95, cities=0.01), False, None),
        (answer(moon=0.95, cities=0.01), False, None),
        (answer(sunset_sunrise=0.9, cities=0.1), False, None),  # cities beside it
        (answer(other=0.9, cities=0.01), True, None),  # towns behind hardware
        (answer(inside=0.9, cities=0.01), True, "classified as inside"),
        (answer(aurora=0.96, cities=0.01), True, None),
        (answer(aurora=0.97, cities=0.01), True, "classified as aurora (probability 0.97)"),
        (answer(stars=0.98, cities=0.01), True, "classified as stars"),
        (answer(moon=0.98, cities=0.01), False, "classified as moon"),
    ],
)
def test_what_shows_no_night_ground_is_not_searched(
    seen: SceneAnswer, night: bool, says: str | None
) -> None:
    reason = find_skip_reason(seen, night=night)
    assert (reason is None) == (says is None)
    if reason is not None and says is not None:
        assert reason.code == "not_a_night_city_frame"
        assert says in reason.text
        assert "--any-category" in reason.text


def test_what_picture_or_place_leaves_open_is_searched() -> None:
    day, city = answer(day=0.9, cities=0.01), answer(day=0.3, cities=0.5)
    for picture, in_place in ((day, city), (city, day)):
        scene = combine_for_search(picture, in_place, night=False)
        assert (scene.skip_reason, scene.cities_probability) == (None, 0.5)
    scene = combine_for_search(day, day, night=False)
    assert scene.skip_reason == find_skip_reason(day)
    assert scene.cities_probability == 0.01


@pytest.mark.parametrize(
    ("seen", "code", "says"),
    [
        (answer(stars=0.9, cities=0.1), "no_agreement", "classified as stars (probability 0.90)"),
        (answer(stars=0.9, cities=0.1), "no_agreement", "try regengine solve"),
        (answer(aurora=0.8, cities=0.2), "no_agreement", "try regengine solve"),
        (answer(moon=0.8, cities=0.2), "few_lights", "too few: try regengine solve"),
        (answer(day=0.6, cities=0.4), "no_agreement", "regengine day get"),
        (answer(night_nocity=0.9, cities=0.1), "no_agreement", "as night without cities"),
        (answer(other=0.9, cities=0.1), "no_agreement", "as something else"),
        (answer(cities=0.9, stars=0.1), "no_agreement", None),
        (answer(stars=0.9, cities=0.1), "outside_map", None),
    ],
)
def test_without_a_match_the_class_says_what_to_try(
    seen: SceneAnswer, code: str, says: str | None
) -> None:
    reason = Reason(code=code, text="too few")
    told = explain_by_class(reason, seen)
    assert told.code == code
    assert told == reason if says is None else says in told.text
