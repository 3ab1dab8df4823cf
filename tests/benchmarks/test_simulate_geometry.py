"""The simulator's camera and geodesy against hand derivations and other people's code."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import EarthLocation
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulate import camera as geodesy
from benchmarks.simulate.camera import Pointing, SimCamera
from benchmarks.simulate.orbit import nadir_for
from matchers.geometry.camera import Camera

SIMULATOR = Path(__file__).resolve().parents[2] / "benchmarks" / "simulate"
HEIGHT_M = 415e3


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


def engine_camera(camera: SimCamera) -> Camera:
    x, y, z = (float(v) for v in camera.position_ecef_m)
    return Camera(
        width_px=camera.width_px,
        height_px=camera.height_px,
        focal_px=camera.focal_px,
        principal_point=(camera.principal_x, camera.principal_y),
        quaternion=camera.quaternion(),
        position_ecef_m=(x, y, z),
        distortion=(camera.k1, 0.0, 0.0, 0.0, 0.0),
        mirrored=camera.mirrored,
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
    return (
        800.0 + 2000.0 * float(sight @ east) / depth,
        533.0 - 2000.0 * float(sight @ north) / depth,
    )


def test_simulator_imports_nothing_of_the_engine() -> None:
    for path in SIMULATOR.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.split(".")[0] not in ("matchers", "detectors", "regengine", "cli"), path


def test_local_axes_are_the_textbook_ones() -> None:
    lon, lat = np.radians([33.0, -41.0])
    expected = [
        [-np.sin(lon), np.cos(lon), 0.0],
        [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)],
        [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)],
    ]
    np.testing.assert_allclose(geodesy.east_north_up(33.0, -41.0), expected, atol=1e-8)


def test_rays_above_the_horizon_see_no_ground() -> None:
    camera = camera_at(lean=80.0)
    lon, _, _ = camera.ground(800.0, 533.0)
    assert np.isnan(lon)
    assert camera.perigee_m(800.0, 533.0) > 100e3
    assert camera_at().perigee_m(800.0, 533.0) < -1_000e3


@pytest.mark.parametrize(("lon", "lat"), [(10.0, 45.0), (10.6, 45.3), (9.1, 44.2)])
def test_nadir_view_by_an_independent_authority(lon: float, lat: float) -> None:
    camera = camera_at()
    x, y, _, _ = camera.project([lon], [lat])
    np.testing.assert_allclose([x[0], y[0]], pixel_by_hand(camera, lon, lat), atol=1e-3)


def test_signs() -> None:
    def seen(lon: float, lat: float, camera: SimCamera) -> tuple[float, float]:
        x, y, _, _ = camera.project([lon], [lat])
        return float(x[0]), float(y[0])

    x, y = seen(10.0, 45.2, camera_at())
    assert y < 533 - 50  # azimuth 0 at roll 0: north is up
    assert abs(x - 800) < 1
    x, y = seen(10.2, 45.0, camera_at())
    assert x > 800 + 50  # and east to the right: not mirrored
    x, _ = seen(10.2, 45.0, camera_at(mirrored=True))
    assert x < 800 - 50
    # The camera turns clockwise, so north, which was up, turns to the left.
    x, y = seen(10.0, 45.2, camera_at(roll=90.0))
    assert x < 800 - 50
    assert abs(y - 533) < 1
    # Looking 20 degrees to the east: the nadir lies below the centre by focal x tan 20 degrees.
    x, y = seen(10.0, 45.0, camera_at(lean=20.0, azimuth=90.0))
    np.testing.assert_allclose([x, y], [800.0, 533.0 + 2000.0 * np.tan(np.radians(20.0))], atol=0.1)
    # Positive k1 pushes outwards.
    assert seen(10.8, 45.0, camera_at(k1=0.1))[0] > seen(10.8, 45.0, camera_at())[0]


def test_places_behind_the_horizon_are_not_seen() -> None:
    x, y, _, cosine = camera_at(lean=60.0).project([10.0, 10.0], [60.0, 75.0])
    assert np.isfinite(x[0])
    assert np.isnan(x[1])
    assert np.isnan(y[1])
    assert cosine[1] < 0.0 < cosine[0]


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


@given(view=views, x=st.floats(0.0, 1600.0), y=st.floats(0.0, 1066.0))
def test_agrees_with_the_engines_camera(view: dict, x: float, y: float) -> None:
    camera = camera_at(**view)
    lon, lat, _ = camera.ground(x, y)
    if np.isnan(lon):  # a corner above the limb
        assert camera.perigee_m(x, y) > -100.0
        assert np.isnan(engine_camera(camera).pixel_to_lonlat(x, y)[0])
        return
    back_x, back_y, _, _ = camera.project(lon[None], lat[None])
    np.testing.assert_allclose([back_x[0], back_y[0]], [x, y], atol=0.01)
    engine = engine_camera(camera)
    engine_x, engine_y = engine.lonlat_to_pixel(lon, lat)
    np.testing.assert_allclose([engine_x, engine_y], [x, y], atol=0.05)
    engine_lon, engine_lat = engine.pixel_to_lonlat(x, y)
    assert geodesy.wgs84().inv(engine_lon, engine_lat, lon, lat)[2] < 5.0
    assert abs(engine.off_nadir_deg - view["lean"]) < 5e-3  # it takes an arc cosine


def test_nadir_for_puts_the_place_on_the_axis() -> None:
    lon, lat, azimuth = nadir_for(20.0, 40.0, HEIGHT_M, 50.0, 200.0)
    camera = camera_at(lon, lat, lean=50.0, azimuth=azimuth)
    seen_lon, seen_lat, _ = camera.ground(800.0, 533.0)
    assert geodesy.wgs84().inv(seen_lon, seen_lat, 20.0, 40.0)[2] < 20e3
