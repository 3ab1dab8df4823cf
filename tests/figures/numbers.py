"""Arithmetic that no command of the other sections reaches."""

from __future__ import annotations

from typing import Any

import numpy as np


def pose_arithmetic() -> Any:
    from matchers.geometry.camera import Camera
    from matchers.geometry.earth import geodetic_to_ecef
    from matchers.geometry.footprint import diagonal_km, trace_visible_outline
    from matchers.geometry.pose import off_nadir_attitude, with_attitude

    x, y, z = geodetic_to_ecef(5.9, 44.9, 4e5).tolist()
    camera = Camera(
        width_px=900,
        height_px=620,
        focal_px=1600.0,
        principal_point=(449.5, 309.5),
        distortion=(0.02, -0.003, 1e-4, -2e-4, 0.001),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(x, y, z),
    )
    camera = with_attitude(camera, off_nadir_attitude((x, y, z), 61.0, -63.0, 140.0))
    px, py = np.meshgrid(np.linspace(0, 899, 7), np.linspace(0, 619, 5))
    return {
        "quaternion": camera.quaternion,
        "outline": np.array(trace_visible_outline(camera, 33)),
        "diagonal_km": diagonal_km(camera),
        "lonlat": np.array(camera.pixel_to_lonlat(px, py)),
    }
