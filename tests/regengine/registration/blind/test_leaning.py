"""A camera that leans otherwise than was assumed: the lean is fitted with its place."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from detectors.limb_geometry import nadir_vector
from matchers.asterism_fit import bent_by, beyond_turns, fitted_sigmas, rescaled
from matchers.asterism_match import match
from matchers.asterisms import build_index, unit
from matchers.camera import Camera
from matchers.level_ground import EARTH_RADIUS_KM, ground_points, leaning, leant_points, level_axes
from regengine.registration.blind.index import figure_parameters
from regengine.registration.blind.propose_asterisms import (
    ALTITUDE_KM,
    LEAN_RAD,
    LevelView,
    lean_ways,
    match_parameters,
    matched,
)

PIXEL_KM = 1.3
CAMERA = Camera(
    width_px=1200,
    height_px=800,
    focal_px=1200 / 36.0 * 85.0,
    principal_point=(599.5, 399.5),
    quaternion=(0.0, 0.0, 0.0, 1.0),
    position_ecef_m=(7e6, 0.0, 0.0),
)


def test_points_move_as_the_ground_under_a_leant_camera() -> None:
    axes = level_axes(nadir_vector(48.0, 20.0))
    x, y = np.array([100.0, 600.0, 1100.0]), np.array([50.0, 400.0, 700.0])
    points = ground_points(CAMERA, axes, ALTITUDE_KM, x, y)
    lean = leaning(0.02, -0.03)
    there = ground_points(CAMERA, lean @ axes, ALTITUDE_KM, x, y)
    np.testing.assert_allclose(leant_points(points, ALTITUDE_KM, lean), there, atol=1e-9)
    # What leans towards the sky ends there
    assert np.isnan(leant_points(points, ALTITUDE_KM, leaning(0.0, np.pi))).all()


def test_bends_are_told_apart_from_turns_and_found_again() -> None:
    axes = level_axes(nadir_vector(48.0, 20.0))
    rng = np.random.default_rng(3)
    points = ground_points(
        CAMERA, axes, ALTITUDE_KM, rng.uniform(0, 1199, 30), rng.uniform(0, 799, 30)
    )
    bends = beyond_turns(points, lean_ways(points, ALTITUDE_KM))
    stretch = (rescaled(points, 1.001) - points) / 0.001
    for known in [*(np.cross(axis, points) for axis in np.eye(3)), stretch]:
        share = np.abs((bends * known).sum(axis=(1, 2))) / np.linalg.norm(known)
        assert (share < 1e-3 * np.linalg.norm(bends, axis=(1, 2))).all()
    true = np.array([[1.2, -0.7]])
    missing = bent_by(points, bends, true) - points
    share = np.ones((1, 30))
    found = fitted_sigmas(bends, missing, share, np.zeros((1, 2)), 1e-5)
    np.testing.assert_allclose(found, true, atol=0.05)
    # Points that say nothing leave what was assumed
    nothing = fitted_sigmas(bends, missing, 0.0 * share, true, 1e-5)
    np.testing.assert_allclose(nothing, 0.0, atol=1e-9)


@pytest.mark.parametrize("leant", [(1.0, -1.0), (-1.2, 0.4)])
def test_a_lean_between_the_tilts_that_are_tried_is_found(leant: tuple[float, float]) -> None:
    rng = np.random.default_rng(8)
    axes = level_axes(nadir_vector(52.0, 10.0))
    true_axes = leaning(*(LEAN_RAD * np.array(leant)).tolist()) @ axes
    x, y = rng.uniform(0, 1199, 45), rng.uniform(0, 799, 45)
    ground = ground_points(CAMERA, true_axes, ALTITUDE_KM, x, y)
    rotation = Rotation.from_rotvec([0.3, 0.9, -0.5]).as_matrix()
    around = unit(ground.mean(axis=0) + rng.normal(0.0, 0.06, (200, 3)))
    towns = np.concatenate([ground, around]) @ rotation.T
    brightness = rng.uniform(0.6, 1.0, len(towns))
    brightness[45:] *= 0.3
    index = build_index(towns, brightness, figure_parameters(PIXEL_KM))
    points = ground_points(CAMERA, axes, ALTITUDE_KM, x, y)
    points = unit(points + rng.normal(0.0, 5e-5, points.shape))
    view = LevelView(axes=axes, altitude_km=ALTITUDE_KM, stored=CAMERA)
    parameters = match_parameters(PIXEL_KM)
    found = matched(index, points, brightness[:45], view, parameters)[0]
    stiff = match(index, points, brightness[:45], parameters)[0]
    assert found.log10_odds > max(5.0, stiff.log10_odds + 1.0)
    off = np.linalg.norm(unit(found.camera.pixel_to_ecef(x, y)) - towns[:45], axis=1)
    # Of a picture 350 km wide: the sphere is not the ellipsoid
    assert np.median(off) * EARTH_RADIUS_KM < 12.0
    away = unit(np.array(found.camera.position_ecef_m)) - rotation[:, 2]
    assert np.linalg.norm(away) * EARTH_RADIUS_KM < 15.0
