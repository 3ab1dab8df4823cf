"""Cameras of every kind, drawn by hypothesis: distorted, mirrored, of stretched pixels."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from matchers.geometry.camera import Camera
from tests.matchers.lamp_world import camera_over

BENT = (-0.08, 0.02, 0.001, -0.002, 0.003)


@st.composite
def any_cameras(draw: st.DrawFn, farthest_off_nadir_deg: float = 95.0) -> Camera:
    """A camera over the Earth that looks at it, or beside it."""
    camera = camera_over(
        draw(st.floats(-180.0, 180.0)),
        draw(st.floats(-60.0, 60.0)),
        off_nadir=draw(st.floats(0.0, farthest_off_nadir_deg)),
        azimuth=draw(st.floats(0.0, 360.0)),
        focal_px=draw(st.floats(200.0, 3000.0)),
    )
    bent = draw(st.sampled_from([(0.0,) * 5, BENT]))
    aspect = draw(st.sampled_from([None, 1.5, 2.0 / 3.0]))
    return replace(camera, distortion=bent, mirrored=draw(st.booleans()), pixel_aspect=aspect)
