"""The formulas give the same for numbers, for arrays, and compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matchers.geometry import compiled_view, projection
from matchers.geometry.camera import Camera
from matchers.geometry.pose import PARAMETERS, pixel_derivatives, track_axes, turn_camera
from matchers.geometry.projection import POSITION, to_ground, to_pixel
from tests.matchers.geometry.any_cameras import any_cameras
from tests.matchers.lamp_world import VELOCITY, camera_over


@given(camera=any_cameras(80.0), x=st.floats(0.0, 299.0), y=st.floats(0.0, 199.0))
def test_numbers_are_arrays_of_one(camera: Camera, x: float, y: float) -> None:
    numbers = camera.numbers.tolist()
    ground = np.array(to_ground(numbers, x, y, 500.0))
    assert ground == pytest.approx(camera.pixel_to_ecef([x], [y], 500.0)[0], abs=1e-6, nan_ok=True)
    if np.isfinite(ground).all():
        assert to_pixel(numbers, *ground) == pytest.approx((x, y), abs=1e-6)


@given(camera=any_cameras(80.0), seed=st.integers(0, 1000))
def test_compiled_views_of_points_are_numpys(camera: Camera, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ground = camera.pixel_to_ecef(*rng.uniform(-50.0, 300.0, (2, 30)))
    ground[0] = camera.numbers[POSITION : POSITION + 3] - 1e5 * camera.boresight_ecef  # behind
    pixels, motion = np.empty((30, 2)), np.zeros((30, 2, PARAMETERS))
    axes = track_axes(camera.position_ecef_m, VELOCITY) @ camera.matrix
    compiled_view.fill_views(camera.numbers, axes, ground, pixels, motion)
    expected = np.stack(camera.ecef_to_pixel(ground), axis=-1)
    np.testing.assert_allclose(pixels, expected, rtol=0.0, atol=1e-7)
    derivatives = pixel_derivatives(camera, VELOCITY, ground)
    assert not motion[0].any()
    np.testing.assert_allclose(motion, derivatives, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("turn_px", "less"), [(2.0, True), (20.0, False)])
def test_a_camera_that_is_hardly_turned_sees_the_same(turn_px: float, less: bool) -> None:
    camera = camera_over(10.0, 45.0, off_nadir=30.0, focal_px=500.0)
    other = turn_camera(camera, (turn_px / 500.0, 0.0, 0.0))
    shares = np.random.default_rng(0).uniform(size=(40, 2))
    for moves_less in (projection.moves_less, compiled_view.moves_less):
        assert moves_less(camera.numbers, other.numbers, 200, shares, 8.0) is less
