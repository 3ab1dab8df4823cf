"""The camera among the stars: places by construction, and round trips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from matchers.geometry.camera import widest_tangent
from matchers.geometry.projection import distort
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion, sky_vectors

# Looks at RA 0, Dec 0 with north up and, as on the sky, east to the left
NORTH_UP = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def camera(matrix: np.ndarray = NORTH_UP, **changes: object) -> SkyCamera:
    values = {
        "width_px": 1500,
        "height_px": 1001,
        "focal_px": 2000.0,
        "principal_point": (749.5, 500.0),
        "quaternion_icrs": matrix_quaternion(matrix),
    } | changes
    return SkyCamera(**values)


def test_image_centre_and_north() -> None:
    sky = camera()
    assert sky.ra_dec_deg == pytest.approx((0.0, 0.0), abs=1e-9) or sky.ra_dec_deg == pytest.approx(
        (360.0, 0.0), abs=1e-9
    )
    assert sky.roll_deg % 360.0 == pytest.approx(0.0, abs=1e-6)
    x, y = sky.project(sky_vectors([0.0, 1.0], [1.0, 0.0]))
    assert x[0] == pytest.approx(749.5)
    assert y[0] == pytest.approx(500.0 - 2000.0 * np.tan(np.radians(1.0)))
    assert x[1] == pytest.approx(749.5 - 2000.0 * np.tan(np.radians(1.0)))


def test_roll_is_the_position_angle_of_image_up_east_of_north() -> None:
    # The camera turned so that image-up points to the east (to its left): up = +RA
    quarter = Rotation.from_euler("z", -90.0, degrees=True).as_matrix()
    sky = camera(NORTH_UP @ quarter)
    x, y = sky.project(sky_vectors([1.0], [0.0]))
    assert y[0] < 500.0
    assert x[0] == pytest.approx(749.5)
    assert sky.roll_deg == pytest.approx(90.0)


def test_field_of_view() -> None:
    sky = camera()
    assert sky.fov_x_deg == pytest.approx(2 * np.degrees(np.arctan(750.0 / 2000.0)))


def test_a_mirrored_camera_swaps_left_and_right() -> None:
    star = sky_vectors([3.0], [2.0])
    x, y = camera().project(star)
    mx, my = camera(mirrored=True).project(star)
    assert mx == pytest.approx(1499.0 - x)
    assert my == pytest.approx(y)


@given(
    seed=st.integers(0, 10_000),
    k1=st.floats(-0.15, 0.1),
    mirrored=st.booleans(),
)
def test_pixels_come_back_from_the_sky(seed: int, k1: float, mirrored: bool) -> None:
    rng = np.random.default_rng(seed)
    sky = camera(
        Rotation.random(random_state=seed).as_matrix(),
        distortion=(k1, 0.01, 1e-4, -2e-4, 0.0),
        mirrored=mirrored,
    )
    x, y = rng.uniform(0, 1499, 50), rng.uniform(0, 1000, 50)
    back_x, back_y = sky.project(sky.to_sky(x, y))
    assert back_x == pytest.approx(x, abs=1e-4)
    assert back_y == pytest.approx(y, abs=1e-4)


def test_what_is_behind_or_folded_back_is_not_seen() -> None:
    sky = camera(distortion=(-0.3, 0.0, 0.0, 0.0, 0.0))
    x, _ = sky.project(sky_vectors([180.0, 80.0], [0.0, 0.0]))
    assert np.isnan(x).all()


@given(
    k1=st.integers(-50, 50).map(lambda n: n / 100),
    k2=st.integers(-30, 30).map(lambda n: n / 100),
    k3=st.integers(-10, 10).map(lambda n: n / 100),
)
def test_distorted_radius_grows_up_to_the_widest_tangent(k1: float, k2: float, k3: float) -> None:
    lens = (k1, k2, 0.0, 0.0, k3)
    widest = widest_tangent(lens)
    r = np.linspace(0.0, min(widest, 3.0), 400)
    bent, _ = distort(r, np.zeros_like(r), lens)
    assert (np.diff(bent) > -1e-9).all()
    if widest < 1e3:
        past, _ = distort(widest * np.array([0.999, 1.0, 1.001]), np.zeros(3), lens)
        assert past[1] >= past[2] - 1e-9 * max(1.0, abs(past[1]))


def test_scaled_camera_sees_the_same_sky() -> None:
    sky = camera(distortion=(-0.05, 0.01, 0.0, 0.0, 0.0))
    half = sky.scaled(0.5, 750, 501)
    assert half.to_sky(100.0, 50.0) == pytest.approx(sky.to_sky(200.5, 100.5), abs=1e-9)
