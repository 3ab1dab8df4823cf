"""The Moon and the planets in a frame, against astropy's own ephemeris."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit.rotation import icrs_to_itrf
from regengine.sky.stars.bodies import Body, bodies_in_frame, sky_bodies

ARC_SECOND = np.pi / 648000.0
PLACE = np.array([4.2e6, 3.1e6, 4.3e6])  # 420 km above the ground
MOMENTS = [datetime(2003, 1, 17, 15, 46, tzinfo=UTC), datetime(2024, 11, 17, 3, 2, tzinfo=UTC)]
# Of astropy's built-in ephemeris: ERFA's plan94 and moon98, whose own accuracy this is
BUILTIN_ARC_SECONDS = {"Moon": 10.0, "Mercury": 3.0, "Venus": 3.0, "Mars": 15.0, "Jupiter": 25.0}


@pytest.fixture(autouse=True)
def bundled_tables_only() -> Iterator[None]:
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        yield


def body(name: str, moment: datetime, place: np.ndarray | None = PLACE) -> Body:
    return next(b for b in sky_bodies(moment, place) if b.name == name)


@pytest.mark.parametrize("name", BUILTIN_ARC_SECONDS)
@pytest.mark.parametrize("moment", MOMENTS)
def test_directions_from_orbit_are_astropys(name: str, moment: datetime) -> None:
    """From the camera, with the time that light takes."""
    import astropy.units as u
    from astropy.coordinates import get_body_barycentric
    from astropy.time import Time

    time = Time(moment.replace(tzinfo=None), scale="utc")

    def barycentric_km(which: str, late_s: float) -> np.ndarray:
        place = get_body_barycentric(which, time - late_s * u.s, ephemeris="builtin")
        return np.asarray(place.xyz.to_value(u.km))

    eye = barycentric_km("earth", 0.0) + icrs_to_itrf(moment).T @ PLACE / 1e3
    late_s = 0.0
    for _ in range(4):
        sight = barycentric_km(name.lower(), late_s) - eye
        late_s = float(np.linalg.norm(sight)) / 299792.458
    sight /= np.linalg.norm(sight)
    off = np.linalg.norm(np.cross(sight, body(name, moment).direction_icrs)) / ARC_SECOND
    assert off < BUILTIN_ARC_SECONDS[name]


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_moons_phase_is_that_of_its_elongation(moment: datetime) -> None:
    """Meeus, chapter 48: from the directions of Sun and Moon and their distances."""
    import astropy.units as u
    from astropy.coordinates import GCRS, SkyCoord, get_body
    from astropy.time import Time

    time = Time(moment.replace(tzinfo=None), scale="utc")
    sun, moon = (get_body(which, time, ephemeris="builtin") for which in ("sun", "moon"))
    apart = sun.separation(moon, origin_mismatch="ignore").rad
    phase = np.arctan2(
        sun.distance.to_value(u.km) * np.sin(apart),
        moon.distance.to_value(u.km) - sun.distance.to_value(u.km) * np.cos(apart),
    )
    seen = body("Moon", moment, None)
    assert seen.illumination == pytest.approx(0.5 * (1.0 + np.cos(phase)), abs=2e-3)
    here = SkyCoord(moon.ra, moon.dec, frame=GCRS(obstime=time))
    there = SkyCoord(sun.ra, sun.dec, frame=GCRS(obstime=time))
    angle = here.position_angle(there).deg
    assert (seen.bright_limb_deg - angle + 180.0) % 360.0 - 180.0 == pytest.approx(0.0, abs=0.3)


def test_published_phases_of_the_moon() -> None:
    """New, first quarter, full, last quarter of January 2012 (US Naval Observatory)."""
    quarters = [(1, 6, 15), (9, 7, 30), (16, 9, 8), (23, 7, 39)]
    lit = [
        body("Moon", datetime(2012, 1, day, hour, minute, tzinfo=UTC), None)
        for day, hour, minute in quarters
    ]
    assert [m.illumination for m in lit] == pytest.approx([0.5, 1.0, 0.5, 0.0], abs=0.01)
    # The growing Moon is lit from the west, the shrinking one from the east
    assert 180.0 < lit[0].bright_limb_deg < 360.0
    assert 0.0 < lit[2].bright_limb_deg < 180.0


def test_the_moon_is_a_degree_elsewhere_for_the_station() -> None:
    near, far = body("Moon", MOMENTS[0]), body("Moon", MOMENTS[0], None)
    cosine = float(np.dot(near.direction_icrs, far.direction_icrs))
    apart = np.degrees(np.arccos(min(1.0, cosine)))
    assert 0.1 < apart < far.sigma_deg
    assert near.sigma_deg < 0.01


def looking_at(
    direction: np.ndarray, *, mirrored: bool = False, roll_deg: float = 30.0
) -> SkyCamera:
    side = np.cross(direction, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    axes = np.stack([side, np.cross(direction, side), direction], axis=1)
    axes = axes @ Rotation.from_euler("Z", roll_deg, degrees=True).as_matrix()
    return SkyCamera(
        width_px=1000,
        height_px=700,
        focal_px=900.0,
        principal_point=(499.5, 349.5),
        quaternion_icrs=matrix_quaternion(axes),
        mirrored=mirrored,
    )


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_moon_is_where_the_camera_looks(mirrored: bool) -> None:
    moon = np.array(body("Moon", MOMENTS[0]).direction_icrs)
    camera = looking_at(moon, mirrored=mirrored)
    found = {f.body.name: f for f in bodies_in_frame(camera, MOMENTS[0], PLACE)}["Moon"]
    assert (found.x, found.y) == pytest.approx((499.5, 349.5), abs=1e-3)
    assert found.radius_px == pytest.approx(900.0 * np.tan(np.radians(0.2613)), rel=1e-3)
    # Its lit limb points to the Sun: a degree that way is a degree nearer to it
    angle = np.radians(found.bright_limb_image_deg)
    ahead = camera.to_sky(found.x + 5.0 * np.cos(angle), found.y + 5.0 * np.sin(angle))
    sun = body("Moon", MOMENTS[0]).towards_sun_icrs
    step = ahead - moon
    assert step @ np.array(sun) / np.linalg.norm(step) > 0.999
    line = json.dumps(found.record())
    assert json.loads(line)["name"] == "Moon"


def test_bodies_outside_the_frame_and_too_faint_ones_are_left_out() -> None:
    neptune = np.array(body("Neptune", MOMENTS[0]).direction_icrs)
    camera = looking_at(neptune)
    names = {f.body.name for f in bodies_in_frame(camera, MOMENTS[0], PLACE, faintest_mag=8.5)}
    assert "Neptune" in names
    usual = bodies_in_frame(camera, MOMENTS[0], PLACE)
    assert "Neptune" not in {f.body.name for f in usual}
    pole = np.array([0.05, 0.0, np.sqrt(1.0 - 0.05**2)])
    assert bodies_in_frame(looking_at(pole), MOMENTS[0], PLACE, faintest_mag=9.0) == ()
