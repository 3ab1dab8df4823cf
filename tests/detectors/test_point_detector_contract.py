"""What every detector of lights or stars must do, whichever method it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from light_scene import (
    NOISE,
    Light,
    centroid_pulls,
    detected_turned,
    draw,
    nearest,
    spread_lights,
)
from star_scene import star_frame, star_list

from detectors.registry import LIGHTS, STARS
from detectors.types import PointFlag

SHAPE = HEIGHT, WIDTH = (240, 320)


@dataclass(frozen=True)
class Kind:
    """Scenes of one kind, and how near a detection must come."""

    points: object
    frame: object
    near_px: float
    too_many: int  # more than there are, in a frame of many and in one of none
    none: int
    strong_snr: float
    same_px: float
    pulls: tuple[float, float]  # median of squared errors by the covariance; 1.39 is honest
    shapes: tuple[tuple[int, int], ...] = (SHAPE,)


LAMPS = Kind(
    points=spread_lights,
    frame=draw,
    near_px=0.6,
    too_many=0,
    none=1,
    strong_snr=12.0,
    same_px=0.15,
    pulls=(0.9, 2.8),  # estimators may lose some of the bound's efficiency
    shapes=(SHAPE, (241, 317)),
)
SKY = Kind(
    points=star_list,
    frame=star_frame,
    near_px=0.4,
    too_many=2,
    none=6,
    strong_snr=20.0,
    same_px=0.2,
    pulls=(0.25, 4.0),  # photon noise is missing here, profiles may differ
)
LIGHT_DETECTORS, STAR_DETECTORS = LIGHTS.detectors(), STARS.detectors()
ALL = {f"lights-{name}": (LAMPS, one) for name, one in LIGHT_DETECTORS.items()} | {
    f"stars-{name}": (SKY, one) for name, one in STAR_DETECTORS.items()
}
every = pytest.mark.parametrize(("kind", "detector"), ALL.values(), ids=ALL)
every_light = pytest.mark.parametrize("detector", LIGHT_DETECTORS.values(), ids=LIGHT_DETECTORS)
every_star = pytest.mark.parametrize("detector", STAR_DETECTORS.values(), ids=STAR_DETECTORS)


def scene(kind, count=25, shape=SHAPE, **how):
    points = kind.points(count, shape, **how)
    return points, kind.frame(points, shape)


def places(found):
    return np.column_stack([found.x, found.y])


def assert_same(kind, one, other, tolerance_px=None):
    """Every strong point of each has its twin in the other."""
    for left, right in ((one, other), (other, one)):
        strong = left.select(left.snr >= kind.strong_snr)
        gaps = np.hypot(*(places(strong)[:, None] - places(right)[None]).transpose(2, 0, 1))
        assert gaps.min(axis=1).max() < (tolerance_px or kind.same_px)
        twin = gaps.argmin(axis=1)
        for column in ("flux", "radius_px") if kind is LAMPS else ("flux",):
            ratio = getattr(strong, column) / getattr(right, column)[twin]
            assert np.abs(np.log(ratio)).max() < 0.18


def assert_there(kind, found, points):
    assert all(nearest(found, one.x, one.y)[1] < kind.near_px for one in points)


@every
def test_it_finds_isolated_points_and_hardly_anything_else(kind, detector):
    points, image = scene(kind)
    found = detector.detect(image)
    assert len(points) <= len(found) <= len(points) + kind.too_many
    assert_there(kind, found, points)
    index = [nearest(found, one.x, one.y)[0] for one in points]
    ratio = found.flux[index] / np.array([one.flux for one in points])
    assert np.abs(np.log(ratio)).max() < 0.35
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)


@every
def test_inside_the_frame_also_where_the_border_cuts_points(kind, detector):
    border = [Light(x, y, 0.4, 1.6) for x in (0.0, 100.0, 319.0) for y in (0.0, 120.0, 239.0)]
    found = detector.detect(kind.frame(border, SHAPE))
    assert len(found) >= 1
    assert ((found.x >= 0) & (found.x <= WIDTH - 1)).all()
    assert ((found.y >= 0) & (found.y <= HEIGHT - 1)).all()
    near = np.minimum.reduce([found.x, found.y, WIDTH - 1 - found.x, HEIGHT - 1 - found.y]) < 0.6
    assert (found.flags[near] & PointFlag.EDGE > 0).all()


@every
def test_nearly_nothing_in_noise(kind, detector):
    assert len(detector.detect(kind.frame([], (500, 500), seed=3))) <= kind.none


@every
def test_masked_points_are_not_found_and_what_is_hidden_does_not_matter(kind, detector):
    points, image = scene(kind)
    mask = np.zeros(SHAPE, bool)
    mask[:, :160] = True
    bright = image.copy()
    bright[:, :160] = 0.9
    found = detector.detect(image, mask)
    assert (found.x > 157.0).all()
    assert_there(kind, found, [one for one in points if one.x > 175.0])
    assert_same(kind, found, detector.detect(bright, mask), 1e-3)


@every
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turns_with_the_image(kind, detector, turns):
    for shape in kind.shapes:
        _, image = scene(kind, shape=shape)
        assert_same(kind, detector.detect(image), detected_turned(detector, image, turns))


@every
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_count_as_fractions_of_full_scale(kind, detector, dtype):
    scale = np.iinfo(dtype).max
    points = star_list(12, snr=(60.0, 100.0), gap=30.0)
    image = np.clip(np.rint(scale * 4.0 * star_frame(points, level=0.05)), 0, scale).astype(dtype)
    whole = detector.detect(image)
    assert len(whole) >= 11
    assert_same(kind, whole, detector.detect((image / scale).astype(np.float32)), 1e-3)


@every
def test_covariance_tells_the_centroid_errors(kind, detector):
    points, image = scene(kind, 95, (350, 420), snr=(20.0, 60.0), gap=22.0)
    pulls = centroid_pulls(detector.detect(image), points, 1.5)
    assert len(pulls) > (0.97 if kind is LAMPS else 0.8) * len(points)
    assert kind.pulls[0] < np.median(pulls) < kind.pulls[1]


@every_light
def test_snr_is_that_of_the_matched_filter(detector):
    lights, image = scene(LAMPS, 60, (400, 500), snr=(40.0, 40.0), sigma=(1.5, 1.5), gap=25.0)
    found = detector.detect(image)
    strengths = [found.snr[nearest(found, one.x, one.y)[0]] for one in lights]
    assert np.median(strengths) == pytest.approx(40.0, rel=0.1)


@every_star
def test_width_is_that_of_the_star(detector):
    stars, image = scene(SKY)
    found = detector.detect(image)
    gaps = [nearest(found, one.x, one.y) for one in stars]
    index = [which for which, _ in gaps]
    assert np.median([gap for _, gap in gaps]) < 0.1
    assert np.median(found.fwhm_px[index]) == pytest.approx(2.355 * stars[0].sigma, rel=0.12)
    assert np.median(found.ellipticity[index]) < 0.15
    assert found.trail_px is None


@every_star
def test_a_clipped_star_is_found_and_flagged(detector):
    stars = [Light(80.3, 120.6, 60.0, 1.3), *star_list(8, seed=4, gap=50.0)]
    found = detector.detect(np.minimum(star_frame(stars), 1.0))
    index, gap = nearest(found, 80.3, 120.6)
    assert gap < 0.5
    assert found.flags[index] & PointFlag.SATURATED


@every_star
def test_nearly_no_star_in_smooth_cloud(detector):
    rng = np.random.default_rng(5)
    rows, cols = np.mgrid[0:400, 0:400]
    cloud = 0.1 + 0.05 * np.sin(rows / 40.0) * np.cos(cols / 55.0)
    image = (cloud + rng.normal(0.0, NOISE, cloud.shape)).astype(np.float32)
    assert len(detector.detect(image)) <= 6


@every_star
def test_a_hundred_thousand_hot_pixels_end_in_an_answer(detector):
    rng = np.random.default_rng(2)
    image = star_frame([], (512, 512))
    hot = rng.integers(0, 512, (2, 100_000))
    image[hot[0], hot[1]] += rng.uniform(0.01, 0.5, 100_000).astype(np.float32)
    assert len(detector.detect(image)) <= 20_000
