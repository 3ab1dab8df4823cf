"""The level frame: what a photo sees from a height where only the way down is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.constants import EARTH_RADIUS_KM
from detectors.limb_geometry import nadir_vector
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.lights.level_ground import (
    ground_plane,
    ground_points,
    level_axes,
    place_camera,
)
from matchers.lights.photo_light import LightImage

LENS = Camera(
    width_px=600,
    height_px=400,
    focal_px=800.0,
    principal_point=(299.5, 199.5),
    quaternion=(0.0, 0.0, 0.0, 1.0),
    position_ecef_m=(0.0, 0.0, 0.0),
)
X, Y = (axis.ravel() for axis in np.meshgrid([0.0, 150.0, 299.5, 599.0], [0.0, 199.5, 399.0]))


def rotation_from(seed: int) -> np.ndarray:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


@given(
    off_nadir_deg=st.floats(0.0, 60.0),
    roll_deg=st.floats(0.0, 360.0),
    altitude_km=st.floats(330.0, 430.0),
    seed=st.integers(0, 10_000),
)
def test_a_place_camera_sees_what_the_level_frame_says(
    off_nadir_deg: float, roll_deg: float, altitude_km: float, seed: int
) -> None:
    axes, rotation = level_axes(nadir_vector(off_nadir_deg, roll_deg)), rotation_from(seed)
    camera = place_camera(LENS, axes, altitude_km, rotation)
    assert ecef_to_geodetic(camera.position_ecef_m)[2] == pytest.approx(1e3 * altitude_km, abs=1.0)
    # The Earth is a sphere here, an ellipsoid there: a third of a per cent, and 0.2 degrees of down
    assert camera.off_nadir_deg == pytest.approx(off_nadir_deg, abs=0.2)
    points = ground_points(LENS, axes, altitude_km, X, Y)
    ground = camera.pixel_to_ecef(X, Y) / 1e3
    both = np.isfinite(points[:, 0]) & np.isfinite(ground[:, 0])
    assert both.sum() >= 6
    at = points @ rotation.T
    apart = np.linalg.norm(ground / np.linalg.norm(ground, axis=1, keepdims=True) - at, axis=1)
    away = np.linalg.norm(at - rotation[:, 2], axis=1)
    incidence = np.clip(away / 0.3, 0.0, 1.0)  # errors grow towards the limb
    flat = np.radians(80.0)  # flatter ground is not looked at
    both &= away <= flat - np.arcsin(np.sin(flat) / (1.0 + altitude_km / EARTH_RADIUS_KM))
    assert (apart[both] <= 4e-4 + (0.004 + 0.05 * incidence[both]) * away[both]).all()


def test_sights_above_the_limb_are_no_ground() -> None:
    points = ground_points(LENS, level_axes(nadir_vector(75.0, 0.0)), 400.0, X, Y)
    assert np.isnan(points[Y == 0.0]).all()
    assert np.isfinite(points[Y == 399.0]).all()


SMALL = replace(LENS, width_px=301, height_px=201, focal_px=700.0, principal_point=(150.0, 100.0))


@pytest.mark.parametrize("off_nadir_deg", [0.0, 35.0, 55.0])
def test_a_lamp_is_drawn_where_it_stands(off_nadir_deg: float) -> None:
    values = np.zeros((201, 301), np.float32)
    values[59:62, 219:222] = 1.0
    weight = np.ones_like(values)
    weight[:, :40] = 0.0
    image = LightImage(values=values, weight=weight, factor=1.0)
    axes = level_axes(nadir_vector(off_nadir_deg, 70.0))
    plane = ground_plane(image, SMALL, axes, 400.0, 1.3)
    y, x = np.unravel_index(plane.values.argmax(), plane.values.shape)
    true = ground_points(SMALL, axes, 400.0, [220.0], [60.0])[0]
    pixel_rad = 1.3 / 6371.0
    # A pixel of the photo is up to two of the plane long
    assert np.linalg.norm(plane.points([x], [y])[0] - true) < 3.0 * pixel_rad
    hidden = ground_points(SMALL, axes, 400.0, [20.0], [100.0])[0]
    rows, columns = np.indices(plane.values.shape)
    nearest = np.linalg.norm(plane.points(columns, rows) - hidden, axis=-1).argmin()
    assert plane.weight.ravel()[nearest] == 0.0


def test_below_the_limb_the_ground_is_drawn_where_it_is() -> None:
    """The middle of the picture shows the sky."""
    axes = level_axes(nadir_vector(71.0, 0.0))
    x, y = (side.ravel() for side in np.meshgrid(np.arange(20, 280, 20), np.arange(20, 180, 20)))
    there = ground_points(SMALL, axes, 400.0, x, y)
    assert np.isnan(ground_points(SMALL, axes, 400.0, [150.0], [100.0])).all()
    # The lamp stands on the ground that is seen the least flat
    nearest = int(np.nanargmax(there[:, 2]))
    values = np.zeros((201, 301), np.float32)
    values[y[nearest] - 1 : y[nearest] + 2, x[nearest] - 1 : x[nearest] + 2] = 1.0
    image = LightImage(values=values, weight=np.ones_like(values), factor=1.0)
    plane = ground_plane(image, SMALL, axes, 400.0, 2.6)
    row, column = np.unravel_index(plane.values.argmax(), plane.values.shape)
    away = np.linalg.norm(plane.points([column], [row])[0] - there[nearest])
    assert away < 5.0 * 2.6 / 6371.0
