"""Where a camera looks among the stars, by the sidereal time alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from matchers.geometry.earth import local_axes
from regengine.exchange.export.viewing import sky_position
from tests.example_results import nadir_camera

TIME = datetime(2012, 3, 28, 15, 46, 41, tzinfo=UTC)
LON, LAT = 136.9, 35.0


@pytest.mark.parametrize("bearing", [0.0, 50.0, 290.0])
def test_the_nadir_lies_opposite_of_the_zenith(bearing: float) -> None:
    """East and west change sides in a sky that is seen from above; north stays."""
    camera = nadir_camera(LON, LAT)
    turn = Rotation.from_rotvec(-local_axes(LON, LAT)[2] * bearing, degrees=True)
    turned = (turn * Rotation.from_quat(camera.quaternion)).as_quat()
    found = sky_position(replace(camera, quaternion=tuple(turned.tolist())), TIME)
    days = (TIME - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86400.0
    sidereal_deg = 280.46061837 + 360.98564736629 * days + LON
    # Twelve years of precession; the Earth's middle is not below the camera but 0.2 degrees beside
    apart = {"abs": 0.25}
    assert (found.ra_deg - sidereal_deg) % 360.0 == pytest.approx(180.0, **apart)
    assert found.dec_deg == pytest.approx(-LAT, **apart)
    assert (found.earth_ra_deg, found.earth_dec_deg) == pytest.approx(
        (found.ra_deg, found.dec_deg), **apart
    )
    assert (found.position_angle_deg + bearing + 180.0) % 360.0 == pytest.approx(180.0, **apart)
    corner_px = np.hypot(319.5, 212.5)
    assert found.radius_deg == pytest.approx(np.degrees(np.arctan(corner_px / 1506.1)), abs=0.05)
    earth_deg = np.degrees(np.arcsin(6371.0 / (6371.0 + 391.2)))
    assert found.earth_radius_deg == pytest.approx(earth_deg, abs=0.2)


@pytest.mark.parametrize(("tilt_deg", "sky"), [(0.0, False), (55.0, False), (65.0, True)])
def test_a_camera_that_leans_north_looks_farther_north_and_at_last_into_the_sky(
    tilt_deg: float, sky: bool
) -> None:
    found = sky_position(nadir_camera(LON, LAT, tilt_deg=tilt_deg), TIME)
    assert found.dec_deg - found.earth_dec_deg == pytest.approx(tilt_deg, abs=0.25)
    assert found.sees_sky == sky
