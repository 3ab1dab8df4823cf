"""A photo drawn on its ground lies where its rays meet it, and shows nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.limb_geometry import nadir_vector
from matchers.camera import Camera
from matchers.level_ground import ground_plane, ground_points, level_axes
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


def test_below_the_limb_the_ground_is_drawn_where_it_is() -> None:
    """The middle of the picture shows the sky."""
    axes = level_axes(nadir_vector(71.0, 0.0))
    x, y = (side.ravel() for side in np.meshgrid(np.arange(20, 280, 20), np.arange(20, 180, 20)))
    there = ground_points(CAMERA, axes, 400.0, x, y)
    assert np.isnan(ground_points(CAMERA, axes, 400.0, [150.0], [100.0])).all()
    # The lamp stands on the ground that is seen the least flat
    nearest = int(np.nanargmax(there[:, 2]))
    values = np.zeros((201, 301), np.float32)
    values[y[nearest] - 1 : y[nearest] + 2, x[nearest] - 1 : x[nearest] + 2] = 1.0
    image = LightImage(values=values, weight=np.ones_like(values), factor=1.0)
    plane = ground_plane(image, CAMERA, axes, 400.0, 2.6)
    assert plane is not None
    row, column = np.unravel_index(plane.values.argmax(), plane.values.shape)
    away = np.linalg.norm(plane.points([column], [row])[0] - there[nearest])
    assert away < 5.0 * 2.6 / 6371.0


def test_the_sky_has_no_ground() -> None:
    image = LightImage(
        values=np.ones((201, 301), np.float32),
        weight=np.ones((201, 301), np.float32),
        factor=1.0,
    )
    assert ground_plane(image, CAMERA, level_axes(nadir_vector(95.0, 0.0)), 400.0, 1.3) is None
