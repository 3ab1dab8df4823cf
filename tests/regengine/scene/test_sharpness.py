"""Blur of pictures that were blurred by known amounts."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.render import smear
from regengine.scene.quality import measure_blur

# A scene is drawn at this multiple and brought down, so that it is as sharp as pixels can be
FINER = 4
SIDE = 512


def scene(kind: str, seed: int = 1) -> NDArray[np.float32]:
    """A sharp picture, 0 to 255: land (a fractal), edges (discs), lamps (points)."""
    rng = np.random.default_rng(seed)
    side = FINER * SIDE
    if kind == "land":
        fine = 110.0 + 45.0 * fractal_tile(rng, side, 1.0)
    elif kind == "edges":
        fine = np.full((side, side), 60.0, np.float32)
        for _ in range(300):
            centre = tuple(int(v) for v in rng.integers(0, side, 2))
            cv2.circle(fine, centre, int(rng.integers(20, 160)), float(rng.uniform(20, 230)), -1)
    else:
        fine = np.full((side, side), 15.0, np.float32)
        rows, columns = rng.integers(8, side - 8, (2, 2500))
        fine[rows, columns] += (rng.exponential(20000.0, 2500)).astype(np.float32)
        fine = cv2.GaussianBlur(fine, (0, 0), 0.7 * FINER)
    small = cv2.resize(fine.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(small, 0.0, 255.0), np.float32)


def stored(image: NDArray[np.float32], noise: float = 0.0) -> NDArray[np.uint8]:
    noisy = image + noise * np.random.default_rng(5).standard_normal(image.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def defocused(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    return image if sigma == 0.0 else np.asarray(cv2.GaussianBlur(image, (0, 0), sigma))


@pytest.mark.parametrize("noise", [0.0, 4.0])
@pytest.mark.parametrize("kind", ["land", "edges", "lamps"])
def test_more_defocus_is_less_sharp(kind: str, noise: float) -> None:
    found = [
        measure_blur(stored(defocused(scene(kind), sigma), noise)) for sigma in (0.0, 1.0, 2.0, 4.0)
    ]
    sharpness = [blur.sharpness for blur in found]
    assert all(first > second for first, second in itertools.pairwise(sharpness))
    assert sharpness[0] > 0.6
    assert sharpness[-1] < 0.3
    assert found[0].kind == "sharp"
    assert found[-1].kind == "defocus"


@pytest.mark.parametrize("sigma", [2.0, 4.0])
@pytest.mark.parametrize("kind", ["land", "edges", "lamps"])
def test_the_sigma_of_a_known_defocus(kind: str, sigma: float) -> None:
    found = measure_blur(stored(defocused(scene(kind), sigma)))
    assert found.sigma_px == pytest.approx(sigma, rel=0.4)


@pytest.mark.parametrize("noise", [0.0, 4.0])
@pytest.mark.parametrize("turn_deg", [0.0, 30.0, 100.0])
@pytest.mark.parametrize("kind", ["land", "edges"])
def test_motion_is_told_from_defocus(kind: str, turn_deg: float, noise: float) -> None:
    found = measure_blur(stored(smear(scene(kind), 14.0, turn_deg), noise))
    assert found.kind == "motion"
    assert abs((found.direction_deg - turn_deg + 90.0) % 180.0 - 90.0) < 15.0


def test_longer_motion_is_less_sharp() -> None:
    sharpness = [
        measure_blur(stored(smear(scene("land"), length, 40.0))).sharpness
        for length in (0.0, 5.0, 10.0, 20.0)
    ]
    assert all(first > second for first, second in itertools.pairwise(sharpness))


def test_a_scene_with_a_direction_of_its_own_is_not_taken_for_motion() -> None:
    waves = np.indices((SIDE, SIDE))[1] + 8.0 * scene("land") / 45.0
    stripes = 120.0 + 60.0 * np.sign(np.sin(waves * 2.0 * np.pi / 37.0))
    image = defocused((stripes + 0.3 * scene("land")).astype(np.float32), 0.5)
    assert measure_blur(stored(image)).kind == "sharp"


@pytest.mark.parametrize("noise", [4.0, 8.0])
def test_noise_is_not_taken_for_sharpness(noise: float) -> None:
    clean = measure_blur(stored(defocused(scene("land"), 3.0)))
    noisy = measure_blur(stored(defocused(scene("land"), 3.0), noise))
    assert noisy.sharpness < clean.sharpness + 0.1


def test_brightness_and_contrast_change_nothing() -> None:
    image = defocused(scene("land"), 1.5)
    bright = measure_blur(stored(image))
    dim = measure_blur(stored(0.4 * image + 10.0))
    assert dim.sharpness == pytest.approx(bright.sharpness, abs=0.1)


@pytest.mark.parametrize("size", [(8, 8), (64, 64), (40, 2000), (3, 900), (300, 300)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_nothing_to_measure(size: tuple[int, int], value: int) -> None:
    found = measure_blur(np.full(size, value, np.uint8))
    assert found.kind == "unknown"
    assert found.sigma_px is None
    assert found.sharpness == 0.0


def test_noise_alone_is_no_detail() -> None:
    black = np.zeros((SIDE, SIDE), np.float32)
    assert measure_blur(stored(black + 20.0, 5.0)).kind == "unknown"
