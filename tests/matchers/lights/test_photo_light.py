"""The photo's light image: compression that keeps order, resizing that keeps places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.types import FloatImage
from matchers.lights.photo_light import LightImage, detail, light_image, normalize_contrast
from tests.world.towns import camera_over


def blob(width: int, height: int, x: float, y: float, sigma: float) -> FloatImage:
    j, i = np.arange(width), np.arange(height)
    across = np.exp(-0.5 * ((j - x) / sigma) ** 2)
    down = np.exp(-0.5 * ((i - y) / sigma) ** 2)
    return np.outer(down, across).astype(np.float32)


def centroid(image: FloatImage) -> tuple[float, float]:
    i, j = np.mgrid[: image.shape[0], : image.shape[1]]
    total = float(image.sum())
    return float((image * j).sum()) / total, float((image * i).sum()) / total


def lit(values: FloatImage) -> LightImage:
    return LightImage(values=values, weight=np.ones_like(values), factor=0.5)


@pytest.mark.parametrize("size", [(1200, 800), (600, 900), (640, 425), (799, 1200)])
@pytest.mark.parametrize("side", [300, 150, 60])
def test_resizing_keeps_places(size: tuple[int, int], side: int) -> None:
    """A light at (x, y) comes to lie at (x + 1/2) factor - 1/2: pixels are areas.

    Also where the size does not divide: 425 rows at a tenth are 42, not 42.5.
    """
    width, height = size
    for x, y in ((120.0, 150.0), (width - 140.3, height - 121.7)):
        image = lit(blob(width, height, x, y, 12.0))
        small = image.resized(side)
        scale = small.factor / image.factor
        assert max(small.values.shape) == side
        expected = ((x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5)
        assert centroid(small.values) == pytest.approx(expected, abs=0.05)


def test_the_camera_goes_with_the_image() -> None:
    stored = camera_over(10.0, 45.0, width=2400, height=1600, focal_px=3000.0, roll=20.0)
    image = lit(blob(1200, 800, 900.0, 200.0, 10.0))
    ground = stored.pixel_to_ecef((900.0 + 0.5) / 0.5 - 0.5, (200.0 + 0.5) / 0.5 - 0.5)
    for light in (image, image.resized(240)):
        camera = light.camera(stored)
        assert (camera.width_px, camera.height_px) == light.values.shape[::-1]
        at = [float(v) for v in camera.ecef_to_pixel(ground)]
        assert at == pytest.approx(centroid(light.values), abs=0.05)


def test_masked_parts_do_not_darken_their_neighbours() -> None:
    values = np.ones((400, 600), np.float32)
    weight = np.ones_like(values)
    weight[:, 300:] = 0.0
    values[:, 300:] = 50.0
    small = LightImage(values=values, weight=weight, factor=1.0).resized(120)
    assert small.values[:, :59] == pytest.approx(1.0, abs=1e-3)
    assert small.weight[:, :60].min() == 1.0
    assert small.weight[:, 60:].max() == 0.0


def flat(value: float) -> FloatImage:
    return np.full((40, 60), value, np.float32)


@given(a=st.floats(0.0, 1.0), b=st.floats(0.0, 1.0))
def test_more_light_never_gives_less(a: float, b: float) -> None:
    light = flat(0.01)
    light[10, 20], light[30, 40] = a, b
    values = light_image(light, flat(0.01), flat(0.002), flat(1.0), 1.0).values
    if a > b + 1e-5:
        assert values[10, 20] > values[30, 40] or b <= 0.01 >= a
    assert values.min() >= 0.0


def test_diffuse_light_is_dark_and_noise_is_small() -> None:
    light = flat(0.2)
    light[5, 5], light[6, 30] = 0.2 + 3.0 * 0.01, 0.9
    image = light_image(light, flat(0.2), flat(0.01), flat(1.0), 0.7)
    assert image.factor == 0.7
    assert image.values[20, 20] == 0.0
    assert image.values[5, 5] == pytest.approx(np.log10(2.0), abs=1e-3)  # the knee: 3 sigma
    assert image.values[6, 30] == pytest.approx(np.log10(1.0 + 0.7 / 0.03), abs=1e-3)
    darker = light_image(0.5 * light, flat(0.2), flat(0.01), flat(1.0), 1.0)
    assert darker.values[20, 20] == 0.0


def test_broad_structure_goes_and_fine_structure_stays() -> None:
    y, x = np.mgrid[:80, :120].astype(np.float32)
    broad, fine = 0.01 * x + 0.02 * y, blob(120, 80, 60.0, 40.0, 1.0)
    left = detail((broad + fine).astype(np.float32), 4.0)
    middle = np.s_[20:-20, 20:-20]
    assert left[40, 60] > 0.85
    far = np.hypot(x - 60.0, y - 40.0) > 18.0
    assert np.abs(left[middle][far[middle]]).max() < 1e-3


def test_a_great_city_counts_no_more_than_a_village_where_contrast_is_evened() -> None:
    """Two alike groups of lamps, one a hundred times as bright."""
    image = np.zeros((80, 160), np.float32)
    group = np.zeros((9, 9), np.float32)
    group[::4, ::4] = 1.0
    image[36:45, 36:45] = 100.0 * group
    image[36:45, 116:125] = group
    everywhere = np.ones_like(image)
    alike = normalize_contrast(image, 6.0, everywhere)
    strong, weak = (float((alike[:, part] ** 2).sum()) for part in (np.s_[:80], np.s_[80:]))
    assert pytest.approx(float((image[:, :80] ** 2).sum() / (image[:, 80:] ** 2).sum())) == 100.0**2
    assert weak > strong / 1e3
    # Brighter all over is the same picture
    assert np.allclose(normalize_contrast(7.0 * image, 6.0, everywhere), alike, rtol=1e-4)
    # and what does not count has no say
    masked = everywhere.copy()
    masked[:, :80] = 0.0
    glaring = image.copy()
    glaring[:, :60] += 1e3
    assert np.allclose(
        normalize_contrast(glaring, 6.0, masked)[:, 80:],
        normalize_contrast(image, 6.0, masked)[:, 80:],
    )
    assert not normalize_contrast(np.zeros_like(image), 6.0, everywhere).any()
