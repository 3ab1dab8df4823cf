"""What every light detector must do, whichever method it is."""

from __future__ import annotations

import numpy as np
import pytest
from light_scene import (
    Light,
    centroid_pulls,
    detected_turned,
    draw,
    flux_of_snr,
    nearest,
    spread_lights,
)

from detectors.registry import LIGHTS
from detectors.types import LightFlag

DETECTORS = LIGHTS.detectors()
SHAPE = (240, 320)

pytestmark = pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS.keys())


@pytest.fixture(scope="module")
def scene():
    return spread_lights(40, SHAPE)


def places(found):
    return np.column_stack([found.x, found.y])


def assert_same(one, other, tolerance_px=0.15):
    """Every light of SNR 12 and more of each has its twin in the other."""
    for left, right in ((one, other), (other, one)):
        strong = left.select(left.snr >= 12.0)
        gaps = np.hypot(*(places(strong)[:, None] - places(right)[None]).transpose(2, 0, 1))
        assert gaps.min(axis=1).max() < tolerance_px
        twin = gaps.argmin(axis=1)
        assert np.abs(np.log(strong.flux / right.flux[twin])).max() < 0.15
        assert np.abs(np.log(strong.radius_px / right.radius_px[twin])).max() < 0.15


def test_it_finds_isolated_lights_and_nothing_else(detector, scene):
    found = detector.detect(draw(scene, SHAPE))
    assert len(found) == len(scene)
    for one in scene:
        index, gap = nearest(found, one.x, one.y)
        assert gap < 0.6
        assert found.flux[index] == pytest.approx(one.flux, rel=0.3)


def test_inside_the_frame_also_where_the_border_cuts_lights(detector):
    border = [Light(x, y, 0.5, 2.0) for x in (0.0, 100.0, 319.0) for y in (0.0, 120.0, 239.0)]
    found = detector.detect(draw(border, SHAPE))
    assert len(found) >= 1
    assert (found.x >= 0).all()
    assert (found.x <= SHAPE[1] - 1).all()
    assert (found.y >= 0).all()
    assert (found.y <= SHAPE[0] - 1).all()
    at_border = np.minimum.reduce([found.x, found.y, 319 - found.x, 239 - found.y]) < 1.0
    assert (found.flags[at_border] & LightFlag.EDGE > 0).all()


def test_nearly_nothing_in_noise(detector):
    assert len(detector.detect(draw([], (600, 600), seed=3))) <= 1


def test_masked_lights_are_not_found(detector, scene):
    mask = np.zeros(SHAPE, bool)
    mask[:, :160] = True
    found = detector.detect(draw(scene, SHAPE), mask)
    inner = [one for one in scene if one.x > 175.0]
    assert (found.x > 157.0).all()
    assert all(nearest(found, one.x, one.y)[1] < 0.6 for one in inner)


def test_a_bright_masked_area_changes_nothing_elsewhere(detector, scene):
    image = draw(scene, SHAPE)
    mask = np.zeros(SHAPE, bool)
    mask[:40] = True
    bright = image.copy()
    bright[:40] = 0.9
    assert_same(detector.detect(image, mask), detector.detect(bright, mask), 1e-3)


def test_pixels_that_are_no_numbers_are_ignored(detector, scene):
    image = draw(scene, SHAPE)
    damaged = image.copy()
    damaged[:30, :30] = np.nan
    damaged[200:, 300:] = np.inf
    kept = [one for one in scene if not (one.x < 40 and one.y < 40) and one.y < 190]
    found = detector.detect(damaged)
    assert all(nearest(found, one.x, one.y)[1] < 0.6 for one in kept)


@pytest.mark.parametrize("shift", [(1, 0), (0, 1), (3, 5), (8, 16), (17, 2)])
def test_moves_with_the_image(detector, shift):
    dy, dx = shift
    large = (280, 360)
    lights = spread_lights(45, large, gap=24.0)
    image = draw(lights, large)
    one = detector.detect(image[:250, :330])
    other = detector.detect(image[dy : 250 + dy, dx : 330 + dx])
    moved = type(other)(**{**other.__dict__, "x": other.x + dx, "y": other.y + dy})
    inside = [
        kept.select((kept.x > 25) & (kept.y > 25) & (kept.x < 320) & (kept.y < 240))
        for kept in (one, moved)
    ]
    assert_same(*inside)


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("shape", [(240, 320), (241, 317)])
def test_turns_with_the_image(detector, turns, shape):
    image = draw(spread_lights(40, shape), shape)
    found = detector.detect(image)
    assert_same(found, detected_turned(detector, image, turns))


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.float32])
def test_any_float_type_will_do(detector, dtype):
    lights = spread_lights(20, SHAPE, snr=(100.0, 300.0), gap=30.0)
    image = draw(lights, SHAPE, level=0.1, noise=0.0005)
    assert_same(detector.detect(image), detector.detect(image.astype(dtype)), 0.3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_count_as_fractions_of_full_scale(detector, dtype):
    scale = np.iinfo(dtype).max
    lights = spread_lights(20, SHAPE, snr=(60.0, 100.0), sigma=(1.5, 2.5), gap=30.0)
    image = np.clip(np.rint(scale * draw(lights, level=0.1, noise=0.002)), 0, scale)
    whole = detector.detect(image.astype(dtype))
    fractions = detector.detect((image / scale).astype(np.float32))
    assert len(whole) >= 15
    assert_same(whole, fractions, 1e-3)


def test_snr_is_that_of_the_matched_filter(detector):
    lights = spread_lights(60, (400, 500), snr=(40.0, 40.0), sigma=(1.5, 1.5), gap=25.0)
    found = detector.detect(draw(lights, (400, 500)))
    strengths = [found.snr[nearest(found, one.x, one.y)[0]] for one in lights]
    assert np.median(strengths) == pytest.approx(40.0, rel=0.1)


def test_covariance_tells_the_centroid_errors(detector):
    shape = (400, 600)
    lights = spread_lights(140, shape, snr=(12.0, 60.0), sigma=(0.9, 3.0), gap=24.0)
    found = detector.detect(draw(lights, shape))
    pulls = centroid_pulls(found, lights, 2.0)
    assert len(pulls) > 0.97 * len(lights)
    # Estimators may lose some of the bound's efficiency
    assert 0.9 < np.median(pulls) < 2.8


def test_weak_lights_are_not_made_up(detector):
    lights = spread_lights(30, SHAPE, snr=(1.0, 1.5), sigma=(1.2, 1.2))
    assert len(detector.detect(draw(lights, SHAPE))) <= 1


def test_flux_does_not_depend_on_the_level(detector):
    lights = [Light(100.0, 90.0, flux_of_snr(100.0))]
    dark, bright = (detector.detect(draw(lights, level=level)) for level in (0.002, 0.2))
    assert bright.flux[0] == pytest.approx(dark.flux[0], rel=0.15)
