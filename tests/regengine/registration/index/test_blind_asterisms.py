"""A camera proposed by figures of towns is told to kilometres, though it leans otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from detectors.constants import EARTH_RADIUS_KM
from detectors.limb_geometry import nadir_vector
from matchers.asterism_match import match
from matchers.asterisms import build_index, unit
from matchers.camera import Camera
from matchers.level_ground import ground_points, leaning, level_axes, placed_camera
from matchers.pose import PosePrior
from regengine.registration.index.earth import figure_parameters
from regengine.registration.index.figures import (
    ALTITUDE_KM,
    LEAN_RAD,
    LevelView,
    TownPairs,
    fitted_to_towns,
    match_parameters,
    matched,
    town_pairs,
)

HEIGHT_KM = 390.0
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
    camera = placed_camera(LENS, level_axes(nadir_vector(60.0, 5.0)), HEIGHT_KM, PLACE)
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
    start = placed_camera(replace(LENS, focal_px=945.0), axes, HEIGHT_KM + 20.0, PLACE)
    found = fitted_to_towns(start, pairs, belief_of(start))
    assert off_km(start, pairs, truth) > 20.0
    assert off_km(found, pairs, truth) < 2.5


def test_pairs_of_the_level_frame_are_pixels_and_places() -> None:
    rng = np.random.default_rng(6)
    axes = level_axes(nadir_vector(30.0, 70.0))
    x, y = rng.uniform(0, 1199, 30), rng.uniform(0, 799, 30)
    points = ground_points(LENS, axes, HEIGHT_KM, x, y)
    view = LevelView(axes=axes, altitude_km=HEIGHT_KM, stored=LENS)
    pairs = town_pairs(points, points @ PLACE.T, view, SIGMA_KM / EARTH_RADIUS_KM)
    np.testing.assert_allclose(pairs.pixels, np.stack([x, y], axis=-1), atol=1e-6)
    # The camera that the level frame places sees them there, as far as a sphere is the Earth
    camera = placed_camera(LENS, axes, HEIGHT_KM, PLACE)
    seen = np.stack(camera.ecef_to_pixel(pairs.ground_ecef_m), axis=-1)
    assert np.abs(seen - pairs.pixels).max() < 12.0
    # Farther away a pixel of the level is smaller
    sigma_px = pairs.seen_by(camera).sigma_px
    away_km = np.linalg.norm(pairs.ground_ecef_m - camera.position_ecef_m, axis=1) / 1e3
    assert sigma_px * away_km == pytest.approx(SIGMA_KM * LENS.focal_px)


TELE_PIXEL_KM = 1.3
TELE = replace(LENS, focal_px=1200 / 36.0 * 85.0)


@pytest.mark.parametrize("leant", [(1.0, -1.0), (-1.2, 0.4)])
def test_a_lean_between_the_tilts_that_are_tried_is_found(leant: tuple[float, float]) -> None:
    rng = np.random.default_rng(8)
    axes = level_axes(nadir_vector(52.0, 10.0))
    true_axes = leaning(*(LEAN_RAD * np.array(leant)).tolist()) @ axes
    x, y = rng.uniform(0, 1199, 45), rng.uniform(0, 799, 45)
    ground = ground_points(TELE, true_axes, ALTITUDE_KM, x, y)
    around = unit(ground.mean(axis=0) + rng.normal(0.0, 0.06, (200, 3)))
    towns = np.concatenate([ground, around]) @ PLACE.T
    brightness = rng.uniform(0.6, 1.0, len(towns))
    brightness[45:] *= 0.3
    index = build_index(towns, brightness, figure_parameters(TELE_PIXEL_KM))
    points = ground_points(TELE, axes, ALTITUDE_KM, x, y)
    points = unit(points + rng.normal(0.0, 5e-5, points.shape))
    view = LevelView(axes=axes, altitude_km=ALTITUDE_KM, stored=TELE)
    parameters = match_parameters(TELE_PIXEL_KM)
    found = matched(index, points, brightness[:45], view, parameters)[0]
    stiff = match(index, points, brightness[:45], parameters)[0]
    assert found.log10_odds > max(5.0, stiff.log10_odds + 1.0)
    off = np.linalg.norm(unit(found.camera.pixel_to_ecef(x, y)) - towns[:45], axis=1)
    # Of a picture 350 km wide: the sphere is not the ellipsoid
    assert np.median(off) * EARTH_RADIUS_KM < 12.0
    away = unit(np.array(found.camera.position_ecef_m)) - PLACE[:, 2]
    assert np.linalg.norm(away) * EARTH_RADIUS_KM < 15.0
