"""Quality: sharpness, exposure and cloud of drawn photos."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.render import smear
from regengine.errors import FrameError
from regengine.scene.picture import scene_picture
from regengine.scene.quality import (
    cloud_fraction,
    measure_exposure,
    measure_sharpness,
    photo_quality,
    read_for_quality,
)

SIZE = (512, 512)
LAND, SEA, CLOUD = (95.0, 110.0, 80.0), (30.0, 55.0, 95.0), (235.0, 238.0, 240.0)


@cache
def clouds(cover: float, seed: int = 3) -> NDArray[np.bool_]:
    field = fractal_tile(np.random.default_rng(seed), SIZE[0], 1.6)
    return field > np.quantile(field, 1.0 - cover) if cover > 0.0 else np.zeros(SIZE, bool)


@cache
def earth(cover: float, *, light: float = 1.0, haze: float = 0.0) -> NDArray[np.uint8]:
    """Land and sea under so much cloud, with haze over it, as displayed."""
    land = fractal_tile(np.random.default_rng(8), SIZE[0], 1.8)[..., None] > 0.0
    ground = np.where(land, LAND, SEA) + np.random.default_rng(1).normal(0, 4, (*SIZE, 3))
    picture = np.where(clouds(cover)[..., None], CLOUD, ground)
    picture = picture * (1.0 - haze) + haze * np.array([150.0, 175.0, 205.0])
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1.0)
    return np.clip(light * smooth, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("haze", [0.0, 0.4])
@pytest.mark.parametrize("cover", [0.0, 0.1, 0.3, 0.6])
def test_clouds_by_day(cover: float, haze: float) -> None:
    found = cloud_fraction(scene_picture(earth(cover, haze=haze)), "day")
    assert found == pytest.approx(cover, abs=0.05)


@pytest.mark.parametrize("cover", [0.2, 0.4, 0.6])
@pytest.mark.parametrize("category", ["night_nocity", "cities"])
def test_clouds_by_moonlight(cover: float, category: str) -> None:
    found = cloud_fraction(scene_picture(earth(cover, light=0.3)), category)
    assert found == pytest.approx(cover, abs=0.08)


def test_dark_nights_and_other_classes_tell_nothing_of_clouds() -> None:
    for category in ("stars", "aurora", "inside", "infrared", "moon", "sunset_sunrise", "other"):
        assert cloud_fraction(scene_picture(earth(0.4)), category) is None
    assert cloud_fraction(scene_picture(earth(0.4, light=0.03)), "night_nocity") is None


def test_lamps_are_no_clouds() -> None:
    rng = np.random.default_rng(4)
    image = np.full((*SIZE, 3), 8.0, np.float32)
    for _ in range(6):
        place = rng.normal(rng.uniform(100, 400, 2), 40, (900, 2)).astype(int) % 512
        image[place[:, 0], place[:, 1]] += rng.uniform(100, 900, (900, 1)) * (1.0, 0.9, 0.75)
    image = cv2.GaussianBlur(image, (0, 0), 1.0)
    picture = scene_picture(np.clip(image, 0, 255).astype(np.uint8))
    assert cloud_fraction(picture, "cities") is None


def test_space_is_no_ground() -> None:
    """The same ground with as much black sky beside it has the same cover."""
    image = earth(0.4)
    wide = np.concatenate([image, np.zeros_like(image)], axis=0)
    alone = cloud_fraction(scene_picture(image), "day")
    beside = cloud_fraction(scene_picture(wide), "day")
    assert beside == pytest.approx(alone, abs=0.05)


@pytest.mark.parametrize(("light", "stops"), [(0.18, 0.0), (0.36, 1.0)])
def test_a_grey_card_is_exposed_as_a_meter_has_it(light: float, stops: float) -> None:
    shown = 1.055 * light ** (1 / 2.4) - 0.055  # IEC 61966-2-1
    card = np.full((300, 400, 3), round(255 * shown), np.uint8)
    exposure = measure_exposure(scene_picture(card))
    assert exposure.stops == pytest.approx(stops, abs=0.03)
    assert exposure.clipped == 0.0
    assert exposure.black == 0.0


def test_both_ends_of_the_scale() -> None:
    card = np.full((400, 400, 3), 120, np.uint8)
    card[:100], card[300:] = 0, 255
    card[300:, :300] = (255, 60, 20)  # one clipped colour is enough
    exposure = measure_exposure(scene_picture(card))
    assert exposure.black == pytest.approx(0.25, abs=0.01)
    assert exposure.clipped == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("kind", ["black", "white", "noise"])
@pytest.mark.parametrize("size", [(8, 8), (30, 600), (600, 30), (200, 300)])
@pytest.mark.parametrize("category", ["day", "cities"])
def test_an_answer_for_any_picture(kind: str, size: tuple[int, int], category: str) -> None:
    rgb = np.full((*size, 3), 255 if kind == "white" else 0, np.uint8)
    if kind == "noise":
        rgb = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    quality = photo_quality(rgb, scene_picture(rgb), category)
    assert 0.0 <= quality.sharpness <= 1.0
    assert quality.cloud_fraction is None or 0.0 <= quality.cloud_fraction <= 1.0
    assert np.isfinite(quality.exposure.stops)


def test_a_file_is_read_at_full_resolution(tmp_path: Path) -> None:
    image = cv2.resize(earth(0.3), (2600, 1800), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "earth.png"), image[..., ::-1])
    assert np.array_equal(read_for_quality(tmp_path / "earth.png"), image)


def test_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    with pytest.raises(FrameError, match=r"no\.jpg"):
        read_for_quality(tmp_path / "no.jpg")


# A scene is drawn at this multiple and brought down, so that it is as sharp as pixels can be
FINER = 4
SIDE = 512


@cache
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
    sharpness = [
        measure_sharpness(stored(defocused(scene(kind), sigma), noise))
        for sigma in (0.0, 1.0, 2.0, 4.0)
    ]
    assert all(first > second for first, second in itertools.pairwise(sharpness))
    assert sharpness[0] > 0.6
    assert sharpness[-1] < 0.3


@pytest.mark.parametrize("turn_deg", [0.0, 30.0, 100.0])
@pytest.mark.parametrize("kind", ["land", "edges"])
def test_motion_in_any_direction_is_blur(kind: str, turn_deg: float) -> None:
    assert measure_sharpness(stored(smear(scene(kind), 14.0, turn_deg), 4.0)) < 0.35


@pytest.mark.parametrize("noise", [4.0, 8.0])
def test_noise_is_not_taken_for_sharpness(noise: float) -> None:
    clean = measure_sharpness(stored(defocused(scene("land"), 3.0)))
    assert measure_sharpness(stored(defocused(scene("land"), 3.0), noise)) < clean + 0.1


def test_brightness_and_contrast_change_nothing() -> None:
    image = defocused(scene("land"), 1.5)
    dim = measure_sharpness(stored(0.4 * image + 10.0))
    assert dim == pytest.approx(measure_sharpness(stored(image)), abs=0.1)


@pytest.mark.parametrize("size", [(8, 8), (40, 2000), (3, 900), (300, 300)])
def test_where_there_is_no_detail_nothing_is_sharp(size: tuple[int, int]) -> None:
    for value in (0, 128, 255):
        assert measure_sharpness(np.full(size, value, np.uint8)) == 0.0
    black = np.zeros((SIDE, SIDE), np.float32)
    assert measure_sharpness(stored(black + 20.0, 5.0)) == 0.0
