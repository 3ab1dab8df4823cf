"""A camera proposed roughly is told to kilometres by the towns that it brings together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from detectors.limb_geometry import nadir_vector
from matchers.camera import Camera
from matchers.level_ground import EARTH_RADIUS_KM, ground_points, level_axes, placed_camera
from matchers.pose import PosePrior
from regengine.registration.blind.propose_asterisms import (
    LEAST_PAIRS,
    LevelView,
    TownPairs,
    fitted_to_towns,
    town_pairs,
)

ALTITUDE_KM = 390.0
PIXEL_KM = 2.6
SIGMA_KM = 1.5 * PIXEL_KM
LENS = Camera(
    width_px=1200,
    height_px=800,
    focal_px=930.0,
    principal_point=(599.5, 399.5),
    quaternion=(0.0, 0.0, 0.0, 1.0),
    position_ecef_m=(7e6, 0.0, 0.0),
)
PLACE = Rotation.from_rotvec([0.3, 0.9, -0.5]).as_matrix()


def belief_of(camera: Camera) -> PosePrior:
    return PosePrior(
        position_ecef_m=camera.position_ecef_m,
        velocity_ecef=tuple(np.cross(camera.position_ecef_m, [0.2, 0.5, 0.8]).tolist()),
        focal_px=camera.focal_px,
        sigma_along_m=60e3,
        sigma_across_m=60e3,
        sigma_up_m=25e3,
        sigma_log_focal=0.03,
        sigma_k1=0.02,
        principal_point=camera.principal_point,
    )


def towards_the_limb(count: int, rng: np.random.Generator) -> tuple[Camera, TownPairs]:
    """A camera that looks 60 degrees off nadir, and towns found to half a pixel of a level."""
    camera = placed_camera(LENS, level_axes(nadir_vector(60.0, 5.0)), ALTITUDE_KM, PLACE)
    x, y = rng.uniform(0, 1199, 6 * count), rng.uniform(250, 799, 6 * count)
    ground = camera.pixel_to_ecef(x, y)
    seen = np.flatnonzero(np.isfinite(ground[:, 0]))[:count]
    moved = ground[seen] + rng.normal(0.0, 500.0 * PIXEL_KM, (count, 3))
    pixels = np.stack([x[seen], y[seen]], axis=-1)
    return camera, TownPairs(pixels=pixels, ground_ecef_m=moved, sigma_km=SIGMA_KM)


def off_km(camera: Camera, pairs: TownPairs, truth: Camera) -> float:
    """Median distance between what two cameras see at the towns."""
    a, b = (each.pixel_to_ecef(*pairs.pixels.T) for each in (camera, truth))
    return float(np.nanmedian(np.linalg.norm(a - b, axis=1))) / 1e3


@pytest.mark.parametrize("strangers", [0, 10])
def test_a_camera_a_degree_off_is_found_again(strangers: int) -> None:
    rng = np.random.default_rng(4)
    truth, pairs = towards_the_limb(40, rng)
    wrong = pairs.ground_ecef_m.copy()
    wrong[:strangers] += rng.normal(0.0, 60e3, (strangers, 3))
    pairs = replace(pairs, ground_ecef_m=wrong)
    axes = level_axes(nadir_vector(61.3, 4.4))
    start = placed_camera(replace(LENS, focal_px=945.0), axes, ALTITUDE_KM + 20.0, PLACE)
    found = fitted_to_towns(start, pairs, belief_of(start))
    assert off_km(start, pairs, truth) > 20.0
    assert off_km(found, pairs, truth) < 2.5


def test_too_few_towns_leave_the_camera_as_it_is() -> None:
    _, pairs = towards_the_limb(LEAST_PAIRS - 1, np.random.default_rng(5))
    start = placed_camera(LENS, level_axes(nadir_vector(61.0, 5.0)), ALTITUDE_KM, PLACE)
    assert fitted_to_towns(start, pairs, belief_of(start)) is start


def test_pairs_of_the_level_frame_are_pixels_and_places() -> None:
    rng = np.random.default_rng(6)
    axes = level_axes(nadir_vector(30.0, 70.0))
    x, y = rng.uniform(0, 1199, 30), rng.uniform(0, 799, 30)
    points = ground_points(LENS, axes, ALTITUDE_KM, x, y)
    view = LevelView(axes=axes, altitude_km=ALTITUDE_KM, stored=LENS)
    pairs = town_pairs(points, points @ PLACE.T, view, SIGMA_KM / EARTH_RADIUS_KM)
    np.testing.assert_allclose(pairs.pixels, np.stack([x, y], axis=-1), atol=1e-6)
    # The camera that the level frame places sees them there, as far as a sphere is the Earth
    camera = placed_camera(LENS, axes, ALTITUDE_KM, PLACE)
    seen = np.stack(camera.ecef_to_pixel(pairs.ground_ecef_m), axis=-1)
    assert np.abs(seen - pairs.pixels).max() < 12.0
    # Farther away a pixel of the level is smaller
    sigma_px = pairs.seen_by(camera).sigma_px
    away_km = np.linalg.norm(pairs.ground_ecef_m - camera.position_ecef_m, axis=1) / 1e3
    assert sigma_px * away_km == pytest.approx(SIGMA_KM * LENS.focal_px)
