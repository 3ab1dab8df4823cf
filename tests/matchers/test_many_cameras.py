"""Many cameras at once see what each of them sees alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matchers.camera import Camera, ManyCameras, is_turned
from matchers.earth import incidence_deg
from matchers.footprint import MAX_INCIDENCE_DEG, visible_outline, visible_outlines
from tests.matchers.lamp_world import camera_over

BENT = (-0.08, 0.02, 0.001, -0.002, 0.003)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    camera = camera_over(
        draw(st.floats(-180.0, 180.0)),
        draw(st.floats(-60.0, 60.0)),
        off_nadir=draw(st.floats(0.0, 95.0)),
        azimuth=draw(st.floats(0.0, 360.0)),
        focal_px=draw(st.floats(200.0, 3000.0)),
    )
    bent = draw(st.sampled_from([(0.0,) * 5, BENT]))
    return replace(camera, distortion=bent, mirrored=draw(st.booleans()))


@settings(max_examples=25)
@given(st.lists(cameras(), min_size=1, max_size=5))
def test_pixels_see_the_same_ground(some: list[Camera]) -> None:
    many = ManyCameras.of(some)
    x, y = np.meshgrid(np.linspace(0.0, 1.0, 7), np.linspace(0.0, 1.0, 5))
    xs, ys = x.ravel() * (many.width_px - 1.0), y.ravel() * (many.height_px - 1.0)
    ground = many.pixel_to_ecef(xs, ys)
    for row, camera in enumerate(some):
        alone = camera.pixel_to_ecef(xs[row], ys[row])
        np.testing.assert_allclose(ground[row], alone, rtol=0.0, atol=1e-3)
    again = many[np.array([len(some) - 1, 0])].pixel_to_ecef(xs[[-1, 0]], ys[[-1, 0]])
    np.testing.assert_allclose(again, ground[[-1, 0]], rtol=0.0, atol=1e-6)


@settings(max_examples=15)
@given(st.lists(cameras(), min_size=2, max_size=5))
def test_outlines_are_those_of_each_and_end_at_the_limit(some: list[Camera]) -> None:
    x, y, seen = visible_outlines(ManyCameras.of(some), 9)
    for row, camera in enumerate(some):
        alone_x, alone_y = visible_outline(camera, 9)
        assert bool(seen[row]) == bool(len(alone_x))
        if not seen[row]:
            continue
        np.testing.assert_allclose(x[row], alone_x, rtol=0.0, atol=1e-6)
        np.testing.assert_allclose(y[row], alone_y, rtol=0.0, atol=1e-6)
        angle = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x[row], y[row]))
        assert (angle <= MAX_INCIDENCE_DEG + 1e-6).all()


def test_a_quaternion_of_zero_is_no_rotation() -> None:
    camera = camera_over(10.0, 40.0)
    assert is_turned(camera)
    broken = replace(camera, quaternion=(0.0, 1e-200, 0.0, 0.0))
    assert not is_turned(broken)
    with pytest.raises(ZeroDivisionError):
        ManyCameras.of([camera, broken])
