"""Alignment by correlation: it converges, never spoils, and heeds what is believed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detectors.types import BoolArray, FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.light_grid import make_pyramid
from matchers.geometry.pose import (
    ALONG,
    FOCAL,
    PARAMETERS,
    ROTATION,
    PosePrior,
    move_on_orbit,
    step_camera,
)
from matchers.lights.gauss_newton import (
    Alignment,
    align,
    correlation,
    gauss_newton_step,
)
from matchers.lights.photo_light import normalize_contrast
from tests.world.towns import (
    VELOCITY,
    LampWorld,
    Levels,
    angle_between_deg,
    camera_over,
    light_grid,
    log_picture,
    miss_px,
    prior_of,
    town_lamps,
)


@pytest.fixture(scope="module")
def lamps() -> LampWorld:
    return town_lamps(2, 2.0, 36.0, 20.0, 50.0, towns=900, lamps_per_town=60, radius_km=4.0)


@pytest.fixture(scope="module")
def levels(lamps: LampWorld) -> Levels:
    return make_pyramid(light_grid(lamps, 2.0, 36.0, 20.0, 50.0, 0.01), 5)


def truth(**changes: Any) -> Camera:
    given = {"off_nadir": 20.0, "azimuth": 40.0, "roll": 65.0, **changes}
    return camera_over(10.5, 42.5, width=128, height=96, focal_px=220.0, **given)


def free(*which: int | slice) -> BoolArray:
    chosen = np.zeros(10, bool)
    for k in which:
        chosen[k] = True
    return chosen


def aligned(
    levels: Levels,
    photo: FloatImage,
    start: Camera,
    believed: PosePrior,
    *freed: int | slice,
    weight: FloatImage | None = None,
    **given: int,
) -> Alignment:
    """The start aligned with a photo, all of which counts unless told otherwise."""
    weight = np.ones_like(photo) if weight is None else weight
    return align(levels, photo, weight, start, believed, free=free(*freed), **given)


def apart_px(found: Camera, true: Camera) -> float:
    """Root mean square distance between the pixels of the same ground."""
    away = miss_px(found, true, *np.meshgrid(np.linspace(5, 122, 9), np.linspace(5, 90, 7)))
    return float(np.sqrt(np.mean(away**2)))


def perturbed(camera: Camera, seed: int, pixels: float) -> Camera:
    """The camera turned at random so that the picture moves by so many pixels."""
    rng = np.random.default_rng(seed)
    turn = rng.normal(size=3)
    step = np.zeros(10)
    step[ROTATION] = turn / np.linalg.norm(turn) * pixels / camera.focal_px
    step[2] *= 2.0  # a roll moves the middle of the picture less
    step[FOCAL] = 0.01 * rng.normal()
    return step_camera(camera, VELOCITY, step)


@pytest.mark.parametrize("seed", range(6))
def test_it_converges_from_a_few_pixels_away(lamps: LampWorld, levels: Levels, seed: int) -> None:
    true = truth(off_nadir=8.0 * seed, roll=60.0 * seed)
    photo = log_picture(true, lamps)
    start = perturbed(true, seed, 4.0)
    assert apart_px(start, true) > 1.0
    given = {"iterations": 15, "supersample": 2}
    found = aligned(levels, photo, start, prior_of(true), ROTATION, FOCAL, **given)
    assert apart_px(found.camera, true) < 0.3
    assert found.ncc > 0.9


def test_what_is_not_free_stays(lamps: LampWorld, levels: Levels) -> None:
    true = truth()
    photo = log_picture(true, lamps)
    step = np.zeros(PARAMETERS)
    step[[0, 1, FOCAL, ALONG]] = [0.01, -0.008, 0.02, 4e3]
    start = step_camera(true, VELOCITY, step)
    found = aligned(levels, photo, start, prior_of(true), ROTATION).camera
    assert found.focal_px == pytest.approx(start.focal_px)
    assert found.position_ecef_m == pytest.approx(start.position_ecef_m)
    assert found.distortion == start.distortion
    assert angle_between_deg(found, start) > 0.1
    found = aligned(levels, photo, start, prior_of(true), FOCAL, ALONG).camera
    assert angle_between_deg(found, start) < 1e-6
    assert found.focal_px != pytest.approx(start.focal_px)


def test_a_slide_along_the_track_is_found(lamps: LampWorld, levels: Levels) -> None:
    """Wide and oblique: the place along the track shows in the perspective."""
    wide = {"off_nadir": 35.0, "azimuth": 10.0}
    true = camera_over(10.5, 40.5, width=128, height=96, focal_px=100.0, **wide)
    photo = log_picture(true, lamps)
    x, y, z = move_on_orbit(true.position_ecef_m, VELOCITY, -40e3, 0.0, 0.0).tolist()
    start = replace(true, position_ecef_m=(x, y, z))
    given = {"iterations": 25, "supersample": 2}
    found = aligned(levels, photo, start, prior_of(start), ROTATION, FOCAL, ALONG, **given).camera
    before = np.linalg.norm(np.subtract(start.position_ecef_m, true.position_ecef_m))
    after = np.linalg.norm(np.subtract(found.position_ecef_m, true.position_ecef_m))
    assert before == pytest.approx(40e3, rel=0.01)
    assert after < 0.4 * before
    assert apart_px(found, true) < 0.5


def test_masked_pixels_do_not_count(lamps: LampWorld, levels: Levels) -> None:
    true = truth()
    photo = log_picture(true, lamps)
    spoilt, weight = photo.copy(), np.ones_like(photo)
    spoilt[:30] = 3.0 * np.random.default_rng(0).random((30, 128), np.float32)
    weight[:30] = 0.0
    start = perturbed(true, 1, 2.0)
    found, same = (
        aligned(levels, it, start, prior_of(true), ROTATION, FOCAL, weight=weight, iterations=12)
        for it in (spoilt, photo)
    )
    assert apart_px(found.camera, true) < 0.3
    assert found.ncc == pytest.approx(same.ncc)


def test_flat_images_say_nothing(levels: Levels) -> None:
    camera = truth()
    flat = np.full((96, 128), 0.5, np.float32)
    prior = prior_of(camera)
    found = aligned(levels, flat, camera, prior, ROTATION)
    assert found.ncc == 0.0
    assert found.camera == camera
    dark, ones = np.zeros_like(flat), np.ones_like(flat)
    assert gauss_newton_step(flat, dark, ones, camera, prior, free(ROTATION)) is None


def test_evened_correlation_tells_the_right_towns_from_a_great_city_laid_on_another() -> None:
    """The right view lacks the city's own light (it lay under cloud); the wrong one has a city."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[:96, :128]

    def lights(places: FloatArray, brightness: float, sigma: float) -> FloatImage:
        apart = (x[..., None] - places[:, 0]) ** 2 + (y[..., None] - places[:, 1]) ** 2
        return (brightness * np.exp(-0.5 * apart / sigma**2).sum(axis=-1)).astype(np.float32)

    towns, others = (rng.uniform(8.0, 88.0, (40, 2)) for _ in range(2))
    city = lights(np.array([[100.0, 50.0]]), 6.0, 4.0)
    photo = lights(towns, 0.6, 1.2) + city
    right = lights(towns, 0.6, 1.2) + 0.3 * city
    wrong = lights(others, 0.6, 1.2) + city
    ones = np.ones_like(photo)
    assert correlation(photo, wrong, ones) > correlation(photo, right, ones)
    photo, right, wrong = (normalize_contrast(image, 8.0, ones) for image in (photo, right, wrong))
    assert correlation(photo, right, ones) > 0.6
    assert correlation(photo, wrong, ones) < 0.4
