"""What every star detector must do, whichever method it is."""

from __future__ import annotations

import numpy as np
import pytest
from light_scene import NOISE, Light, centroid_pulls, detected_turned, nearest
from star_scene import SHAPE, star_frame, star_list

from detectors.registry import STARS
from detectors.types import StarFlag

DETECTORS = STARS.detectors()
HEIGHT, WIDTH = SHAPE

pytestmark = pytest.mark.parametrize("detector", DETECTORS.values(), ids=DETECTORS.keys())


@pytest.fixture(scope="module")
def scene():
    return star_list()


def assert_same(one, other, tolerance_px=0.2):
    """Every star of SNR 20 and more of each has its twin in the other."""
    for left, right in ((one, other), (other, one)):
        for i in np.flatnonzero(left.snr >= 20.0):
            index, gap = nearest(right, left.x[i], left.y[i])
            assert gap < tolerance_px
            assert right.flux[index] == pytest.approx(left.flux[i], rel=0.2)


def test_it_finds_isolated_stars_where_they_are_and_hardly_anything_else(detector, scene):
    found = detector.detect(star_frame(scene))
    assert len(scene) <= len(found) <= len(scene) + 2
    gaps = [nearest(found, one.x, one.y)[1] for one in scene]
    assert max(gaps) < 0.4
    assert np.median(gaps) < 0.1


def test_flux_and_width_are_those_of_the_star(detector, scene):
    found = detector.detect(star_frame(scene))
    index = [nearest(found, one.x, one.y)[0] for one in scene]
    ratio = found.flux[index] / np.array([one.flux for one in scene])
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)
    assert np.median(found.fwhm_px[index]) == pytest.approx(2.355 * scene[0].sigma, rel=0.12)
    assert np.median(found.ellipticity[index]) < 0.15
    assert found.trail_px is None


def test_inside_the_frame_also_where_the_border_cuts_stars(detector):
    border = [Light(x, y, 0.3, 1.3) for x in (0.0, 100.0, 319.0) for y in (0.0, 120.0, 239.0)]
    found = detector.detect(star_frame(border))
    assert len(found) >= 1
    assert ((found.x >= 0) & (found.x <= WIDTH - 1)).all()
    assert ((found.y >= 0) & (found.y <= HEIGHT - 1)).all()
    near = np.minimum.reduce([found.x, found.y, WIDTH - 1 - found.x, HEIGHT - 1 - found.y]) < 0.6
    assert (found.flags[near] & StarFlag.EDGE > 0).all()


def test_a_clipped_star_is_found_and_flagged(detector):
    stars = [Light(80.3, 120.6, 60.0, 1.3), *star_list(8, seed=4, gap=50.0)]
    found = detector.detect(np.minimum(star_frame(stars), 1.0))
    index, gap = nearest(found, 80.3, 120.6)
    assert gap < 0.5
    assert found.flags[index] & StarFlag.SATURATED


def test_nearly_nothing_in_an_empty_sky(detector):
    assert len(detector.detect(star_frame([], (500, 500), seed=3))) <= 6


def test_nearly_nothing_in_smooth_cloud(detector):
    rng = np.random.default_rng(5)
    rows, cols = np.mgrid[0:400, 0:400]
    cloud = 0.1 + 0.05 * np.sin(rows / 40.0) * np.cos(cols / 55.0)
    image = (cloud + rng.normal(0.0, NOISE, cloud.shape)).astype(np.float32)
    assert len(detector.detect(image)) <= 6


def test_masked_stars_are_not_found(detector, scene):
    mask = np.zeros(SHAPE, bool)
    mask[:, :160] = True
    found = detector.detect(star_frame(scene), mask)
    assert (found.x > 157.0).all()
    assert all(nearest(found, s.x, s.y)[1] < 0.5 for s in scene if s.x > 175.0)


def test_what_a_mask_hides_does_not_matter(detector, scene):
    image = star_frame(scene)
    mask = np.zeros(SHAPE, bool)
    mask[:40] = True
    bright = image.copy()
    bright[:40] = 0.9
    assert_same(detector.detect(image, mask), detector.detect(bright, mask), 1e-3)
    assert len(detector.detect(image, np.ones(SHAPE, bool))) == 0


def test_pixels_that_are_no_numbers_are_ignored(detector, scene):
    damaged = star_frame(scene)
    damaged[:30, :30] = np.nan
    damaged[200:, 300:] = np.inf
    found = detector.detect(damaged)
    kept = [s for s in scene if not (s.x < 40 and s.y < 40) and s.y < 190]
    assert all(nearest(found, s.x, s.y)[1] < 0.5 for s in kept)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turns_with_the_image(detector, scene, turns):
    image = star_frame(scene)
    assert_same(detector.detect(image), detected_turned(detector, image, turns))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_count_as_fractions_of_full_scale(detector, dtype):
    scale = np.iinfo(dtype).max
    stars = star_list(12, snr=(60.0, 100.0), gap=30.0)
    noisy = 4.0 * star_frame(stars, level=0.05)
    image = np.clip(np.rint(scale * noisy), 0, scale).astype(dtype)
    assert len(detector.detect(image)) >= 11
    assert_same(detector.detect(image), detector.detect((image / scale).astype(np.float32)), 1e-3)


def test_covariance_is_of_the_size_of_the_centroid_errors(detector):
    shape = (350, 420)
    stars = star_list(95, shape, snr=(20.0, 60.0), gap=22.0)
    found = detector.detect(star_frame(stars, shape))
    pulls = centroid_pulls(found, stars, 1.5)
    assert len(pulls) > 0.8 * len(stars)
    # Chi squared of two degrees has a median of 1.39; photon noise, which these frames lack, and
    # differences of profile are allowed for
    assert 0.25 < np.median(pulls) < 4.0


def test_a_hundred_thousand_hot_pixels_end_in_an_answer(detector):
    rng = np.random.default_rng(2)
    image = star_frame([], (512, 512))
    hot = rng.integers(0, 512, (2, 100_000))
    image[hot[0], hot[1]] += rng.uniform(0.01, 0.5, 100_000).astype(np.float32)
    found = detector.detect(image)
    assert len(found) <= 20_000


def test_a_frame_that_is_clipped_all_over_shows_no_star(detector):
    image = np.ones(SHAPE, np.float32)
    image[100:110, 50:60] = 0.2
    assert len(detector.detect(image)) <= 2
