"""Sun and Moon against published tables, and what a picture says against them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulate.scenes_sky import MoonDisc as DrawnDisc
from benchmarks.simulate.scenes_sky import moon_light
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.orbit.rotation import icrs_to_itrf
from regengine.scene.ephemeris import (
    SUN_FACTORS,
    WRONG_CLOCK,
    SceneEphemeris,
    disagreement,
    horizon_dip_deg,
    light_class,
    prior,
    scene_ephemeris,
)
from regengine.scene.moon import MoonDisc, measure_moon_disc, moon_check
from regengine.scene.picture import ScenePicture
from regengine.sky.stars.bodies import sky_bodies


def at(time: datetime, lon: float, lat: float, altitude_km: float = 400.0) -> SceneEphemeris:
    found = scene_ephemeris(
        position_from_nadir(lon, lat, altitude_km, "option", time_utc=time.replace(tzinfo=UTC))
    )
    assert found is not None
    return found


def made(sun_deg: float, moon_deg: float = 30.0, illumination: float = 0.5) -> SceneEphemeris:
    dip = horizon_dip_deg(400.0)
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


def test_the_dip_of_the_horizon() -> None:
    # Bowditch (2019), table 12: the dip is 0.97 minutes of arc for every root of a foot, which
    # includes refraction (13 / 12 to 7 / 6 of the geometric one near the ground).
    feet = 100.0
    bowditch_deg = 0.97 * np.sqrt(feet) / 60.0
    assert horizon_dip_deg(feet * 0.3048e-3) == pytest.approx(bowditch_deg, rel=0.15)
    assert horizon_dip_deg(400.0) == pytest.approx(19.8, abs=0.1)


@given(st.floats(-90.0, 90.0), st.floats(-90.0, 90.0), st.floats(0.0, 1.0))
def test_no_class_is_ever_impossible(sun_deg, moon_deg, illumination) -> None:
    factors = prior(made(sun_deg, moon_deg, illumination))
    assert set(factors) == set(SUN_FACTORS)
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
    assert moon_check(timeless, disc_lit(0.8)) is None


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


def picture_of(light: np.ndarray) -> ScenePicture:
    shown = np.clip(light, 0.0, 1.0)
    rgb = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055)
    return ScenePicture(rgb=rgb.astype(np.float32), shown=np.ones(light.shape[:2], bool))


@pytest.mark.parametrize("phase_deg", [0.0, 40.0, 80.0, 110.0, 130.0])
@pytest.mark.parametrize("exposure", [0.3, 2.0])
def test_disc_and_phase_are_measured(phase_deg: float, exposure: float) -> None:
    drawn = DrawnDisc(x=240.0, y=180.0, radius_px=50.0, phase_deg=phase_deg, turn_deg=200.0)
    light = exposure * moon_light(drawn, 512, 340, np.random.default_rng(3))
    disc = measure_moon_disc(picture_of(light))
    assert disc.radius_share * 512 == pytest.approx(50.0, abs=2.0)
    lit = 0.5 * (1.0 + np.cos(np.radians(phase_deg)))
    assert disc.illumination == pytest.approx(lit, abs=0.1)
    if phase_deg >= 40.0:
        assert disc.bright_limb_image_deg == pytest.approx(200.0, abs=10.0)


def test_what_is_no_disc_is_not_measured() -> None:
    black = np.zeros((340, 512, 3))
    assert measure_moon_disc(picture_of(black)) is None
    block = black.copy()
    block[80:240, 150:420] = 0.6
    assert measure_moon_disc(picture_of(block)) is None
    cut = moon_light(
        DrawnDisc(x=10.0, y=170.0, radius_px=60.0, phase_deg=20.0),
        512,
        340,
        np.random.default_rng(1),
    )
    assert measure_moon_disc(picture_of(cut)) is None


def over(lon: float, lat: float) -> CameraPosition:
    return position_from_nadir(lon, lat, 400.0, "option", time_utc=TIME)


def below_the_moon() -> tuple[float, float]:
    """Where the Moon stood overhead."""
    moon = icrs_to_itrf(TIME) @ np.array(sky_bodies(TIME)[0].direction_icrs)
    return float(np.degrees(np.arctan2(moon[1], moon[0]))), float(np.degrees(np.arcsin(moon[2])))


def disc_lit(share: float) -> MoonDisc:
    return MoonDisc(radius_share=0.1, illumination=share, bright_limb_image_deg=0.0)


def test_the_moon_that_stood_there_agrees() -> None:
    check = moon_check(over(*below_the_moon()), disc_lit(0.8))
    assert check.agrees is True
    # The limb dips by 19.8 degrees below the horizontal of a camera at 400 km
    assert check.above_limb_deg == pytest.approx(109.8, abs=1.0)
    assert check.waxing
    # 384,000 km less the Earth's radius and the orbit's height
    assert check.angular_radius_deg == pytest.approx(0.259, abs=0.016)
    assert check.record()["agrees"] is True


def test_another_phase_or_a_moon_below_the_limb_does_not() -> None:
    lon, lat = below_the_moon()
    other = moon_check(over(lon, lat), disc_lit(0.2))
    assert other.agrees is False
    hidden = moon_check(over(lon - 180.0, -lat), disc_lit(0.8))
    assert hidden.agrees is False
    assert hidden.above_limb_deg < -60.0


def test_without_a_disc_only_the_limb_is_asked() -> None:
    check = moon_check(over(*below_the_moon()), None)
    assert check.agrees is None
    assert check.record()["disc_illumination"] is None
