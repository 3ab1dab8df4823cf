"""A photo drawn on its ground lies where its rays meet it, and shows nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.limb_geometry import nadir_vector
from matchers.camera import Camera
from matchers.ground_plane import ground_plane
from matchers.level_ground import ground_points, level_axes
from matchers.photo_light import LightImage

CAMERA = Camera(
    width_px=301,
    height_px=201,
    focal_px=700.0,
    principal_point=(150.0, 100.0),
    quaternion=(0.0, 0.0, 0.0, 1.0),
    position_ecef_m=(0.0, 0.0, 0.0),
)


@pytest.mark.parametrize("off_nadir_deg", [0.0, 35.0, 55.0])
def test_a_lamp_is_drawn_where_it_stands(off_nadir_deg: float) -> None:
    values = np.zeros((201, 301), np.float32)
    values[59:62, 219:222] = 1.0
    weight = np.ones_like(values)
    weight[:, :40] = 0.0
    image = LightImage(values=values, weight=weight, factor=1.0)
    axes = level_axes(nadir_vector(off_nadir_deg, 70.0))
    plane = ground_plane(image, CAMERA, axes, 400.0, 1.3)
    assert plane is not None
    y, x = np.unravel_index(plane.values.argmax(), plane.values.shape)
    true = ground_points(CAMERA, axes, 400.0, [220.0], [60.0])[0]
    pixel_rad = 1.3 / 6371.0
    # A pixel of the photo is up to two of the plane long
    assert np.linalg.norm(plane.points([x], [y])[0] - true) < 3.0 * pixel_rad
    hidden = ground_points(CAMERA, axes, 400.0, [20.0], [100.0])[0]
    rows, columns = np.indices(plane.values.shape)
    nearest = np.linalg.norm(plane.points(columns, rows) - hidden, axis=-1).argmin()
    assert plane.weight.ravel()[nearest] == 0.0


def test_the_sky_has_no_ground() -> None:
    image = LightImage(
        values=np.ones((201, 301), np.float32),
        weight=np.ones((201, 301), np.float32),
        factor=1.0,
    )
    assert ground_plane(image, CAMERA, level_axes(nadir_vector(95.0, 0.0)), 400.0, 1.3) is None
