"""The simulator's camera and orbits against hand derivations and other people's code."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import ephem
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import EarthLocation
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from sgp4.api import Satrec

from benchmarks.simulate import camera as geodesy
from benchmarks.simulate import orbit
from benchmarks.simulate.camera import Pointing, SimCamera
from benchmarks.trials.attempt import camera_of
from benchmarks.trials.draw import apart_km, never_in_view
from benchmarks.trials.orbits import MadeOrbits, days_of, nadirs_of, state_at, sun_elevation_deg
from regengine.orbit import sun_moon
from tests.conftest import ROOT

HEIGHT_M = 415e3
TIME = datetime(2014, 1, 30, 10, 12, tzinfo=UTC)
MADE = MadeOrbits(west=-160.0, south=25.0, east=-140.0, north=48.0)


def camera_at(
    lon: float = 10.0,
    lat: float = 45.0,
    *,
    lean: float = 0.0,
    azimuth: float = 0.0,
    roll: float = 0.0,
    k1: float = 0.0,
    mirrored: bool = False,
) -> SimCamera:
    return SimCamera.pointed(
        position_ecef_m=geodesy.ecef_of(lon, lat, HEIGHT_M),
        pointing=Pointing(off_nadir_deg=lean, azimuth_deg=azimuth, roll_deg=roll),
        width_px=1601,
        height_px=1067,
        focal_px=2000.0,
        k1=k1,
        mirrored=mirrored,
    )


def pixel_by_hand(camera: SimCamera, lon: float, lat: float) -> tuple[float, float]:
    """Nadir-looking, north up, no distortion: from textbook ENU axes and astropy's positions."""

    def place(lon_deg: float, lat_deg: float, height_m: float) -> np.ndarray:
        spot = EarthLocation.from_geodetic(lon_deg, lat_deg, height_m * u.m, ellipsoid="WGS84")
        return np.array([spot.x.to_value(u.m), spot.y.to_value(u.m), spot.z.to_value(u.m)])

    phi, lam = np.radians(camera.lat_deg), np.radians(camera.lon_deg)
    east = np.array([-np.sin(lam), np.cos(lam), 0.0])
    north = np.array([-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)])
    up = np.array([np.cos(phi) * np.cos(lam), np.cos(phi) * np.sin(lam), np.sin(phi)])
    sight = place(lon, lat, 0.0) - place(camera.lon_deg, camera.lat_deg, camera.height_m)
    depth = -(sight @ up)
    right, above = float(sight @ east) / depth, float(sight @ north) / depth
    return 800.0 + 2000.0 * right, 533.0 - 2000.0 * above


def test_simulator_imports_nothing_of_the_engine() -> None:
    for path in (ROOT / "benchmarks" / "simulate").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in ("matchers", "detectors", "regengine", "cli"), path


@pytest.mark.parametrize(("lon", "lat"), [(10.0, 45.0), (10.6, 45.3), (9.1, 44.2)])
def test_nadir_view_by_an_independent_authority(lon: float, lat: float) -> None:
    camera = camera_at()
    x, y, _, _ = camera.project([lon], [lat])
    np.testing.assert_allclose([x[0], y[0]], pixel_by_hand(camera, lon, lat), atol=1e-3)


def test_signs() -> None:
    def seen(lon: float, lat: float, camera: SimCamera) -> tuple[float, float]:
        x, y, _, _ = camera.project([lon], [lat])
        return float(x[0]), float(y[0])

    assert seen(10.0, 45.2, camera_at())[1] < 533 - 50  # azimuth 0 at roll 0: north is up
    assert seen(10.2, 45.0, camera_at())[0] > 800 + 50  # and east to the right: not mirrored
    assert seen(10.2, 45.0, camera_at(mirrored=True))[0] < 800 - 50
    # The camera turns clockwise, so north, which was up, turns to the left
    assert seen(10.0, 45.2, camera_at(roll=90.0)) == pytest.approx((600, 533), abs=200)
    # Looking 20 degrees to the east: the nadir lies below the centre by focal x tan 20 degrees
    x, y = seen(10.0, 45.0, camera_at(lean=20.0, azimuth=90.0))
    np.testing.assert_allclose([x, y], [800.0, 533.0 + 2000.0 * np.tan(np.radians(20.0))], atol=0.1)
    # Positive k1 pushes outwards
    assert seen(10.8, 45.0, camera_at(k1=0.1))[0] > seen(10.8, 45.0, camera_at())[0]


def test_the_sky_and_what_lies_behind_the_horizon_are_not_seen() -> None:
    x, _, _, cosine = camera_at(lean=60.0).project([10.0, 10.0], [60.0, 75.0])
    assert np.isfinite(x).tolist() == [True, False]
    assert cosine[1] < 0.0 < cosine[0]
    up = camera_at(lean=80.0)
    assert np.isnan(up.ground(800.0, 533.0)[0])
    assert up.perigee_m(800.0, 533.0) > 100e3


views = st.fixed_dictionaries(
    {
        "lon": st.floats(-180.0, 179.0),
        "lat": st.floats(-51.0, 51.0),
        "lean": st.floats(0.0, 50.0),
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
    camera = camera_at(**view)
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


def test_nadir_for_puts_the_place_on_the_axis() -> None:
    lon, lat, azimuth = orbit.nadir_for(20.0, 40.0, HEIGHT_M, 50.0, 200.0)
    camera = camera_at(lon, lat, lean=50.0, azimuth=azimuth)
    seen_lon, seen_lat, _ = camera.ground(800.0, 533.0)
    assert geodesy.wgs84().inv(seen_lon, seen_lat, 20.0, 40.0)[2] < 20e3


# Orbits


def along_track_km(found: Satrec, true: Satrec, time: datetime) -> tuple[float, float]:
    position, velocity = orbit.state_ecef(true, time)
    miss = orbit.state_ecef(found, time)[0] - position
    along = float(miss @ velocity / np.linalg.norm(velocity)) / 1000.0
    return along, float(np.linalg.norm(miss)) / 1000.0


@pytest.fixture(scope="module")
def elements() -> orbit.Elements:
    return orbit.pass_over(-152.0, 34.0, TIME, northbound=True)


@pytest.mark.parametrize("northbound", [True, False])
def test_passes_over_the_place_in_the_direction_asked(northbound: bool) -> None:
    satellite = orbit.pass_over(-152.0, 34.0, TIME, northbound=northbound).satrec()
    lon, lat, height = geodesy.geodetic_of(orbit.state_ecef(satellite, TIME)[0])
    np.testing.assert_allclose([lon, lat], [-152.0, 34.0], atol=1e-4)
    assert 400e3 < height < 430e3
    later = orbit.state_ecef(satellite, TIME + timedelta(seconds=30))[0]
    assert (geodesy.geodetic_of(later)[1] > 34.0) == northbound


@pytest.mark.parametrize("days", [0.0, 111.7, -250.1])
def test_positions_at_one_time_are_those_of_astropy_to_the_bit(
    days: float, elements: orbit.Elements
) -> None:
    satellite, time = elements.satrec(), TIME + timedelta(days=days)
    assert np.array_equal(orbit.positions_at(time)(satellite), orbit.state_ecef(satellite, time)[0])


def test_what_cannot_fly_is_refused() -> None:
    with pytest.raises(ValueError, match="does not reach"):
        orbit.pass_over(0.0, 60.0, TIME, northbound=True)
    fallen = orbit.Elements(
        epoch_utc=TIME, node_deg=0, perigee_deg=0, anomaly_deg=0, revolutions_per_day=17.5
    )
    with pytest.raises(ValueError, match="SGP4"):
        orbit.state_ecef(fallen.satrec(), TIME)


def test_lines_say_the_same_orbit_to_sgp4_and_to_ephem(elements: orbit.Elements) -> None:
    name, first, second = orbit.tle_lines(elements, "ISS (SIMULATED)").splitlines()
    found = Satrec.twoline2rv(first, second)
    assert along_track_km(found, elements.satrec(), TIME + timedelta(hours=5))[1] < 0.1
    body = ephem.readtle(name, first, second)  # raises on a bad checksum
    body.compute(TIME.replace(tzinfo=None))
    lon, _, height = geodesy.geodetic_of(orbit.state_ecef(elements.satrec(), TIME)[0])
    assert np.degrees(body.sublong) == pytest.approx(float(lon), abs=0.01)
    assert body.elevation == pytest.approx(float(height), abs=500.0)


def test_elements_of_another_epoch_describe_the_same_orbit_and_slip_as_asked(
    elements: orbit.Elements,
) -> None:
    for days in (-9.0, 4.5, 12.0):
        epoch = TIME + timedelta(days=days)
        other = orbit.elements_at(elements, epoch).satrec()
        assert along_track_km(other, elements.satrec(), epoch)[1] < 0.5
    ahead = orbit.slip_elements(elements, 10.0).satrec()
    assert along_track_km(ahead, elements.satrec(), TIME)[1] < 0.1
    two_days = along_track_km(ahead, elements.satrec(), TIME + timedelta(days=2))
    assert two_days == pytest.approx((20.0, 20.0), abs=0.5)


@pytest.mark.parametrize(
    ("time_utc", "lon", "lat"),
    [
        (datetime(2001, 3, 20, 13, 30, tzinfo=UTC), 12.0, 41.0),
        (datetime(2026, 12, 1, 18, 45, tzinfo=UTC), 151.0, -34.0),
    ],
)
def test_sun_elevation_agrees_with_the_engines(time_utc: datetime, lon: float, lat: float) -> None:
    expected = sun_moon(time_utc, lon, lat).sun_elevation_deg
    found = float(sun_elevation_deg(days_of(time_utc), lon, lat))
    assert found == pytest.approx(expected, abs=0.05)


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
    lon, lat = nadirs_of(told.satellite, np.array([days + 1800.0 / 86400.0]))
    assert not never_in_view(told, days, (float(lon[0]), float(lat[0])))
    assert never_in_view(told, days, (0.0, 89.0))


@pytest.mark.parametrize("slide_s", [-40.0, 0.5, 25.0])
def test_errors_along_and_across_the_track(slide_s: float) -> None:
    """A station so much later on the same orbit, over an Earth turned back by as much."""
    satellite = orbit.pass_over(20.0, 30.0, TIME, northbound=True).satrec()
    state, later = (state_at(satellite, days_of(TIME) + s / 86400.0) for s in (0.0, slide_s))
    turn = Rotation.from_rotvec([0.0, 0.0, 7.292115e-5 * slide_s])
    along_km, cross_km = apart_km(turn.apply(later.position_ecef_m), state)
    assert along_km == pytest.approx(7.667 * slide_s, rel=3e-3)
    assert abs(cross_km) < 0.02
