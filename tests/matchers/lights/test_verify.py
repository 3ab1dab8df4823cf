"""Light peaks are found where they were planted; matches speak for a camera, chance does not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from detectors.types import FloatArray, FloatImage
from matchers.lights.verify import (
    LIGHTS,
    LightPeaks,
    correlate_displaced,
    find_light_peaks,
    image_log10_odds,
    score_lights,
)


def picture(places: FloatArray, strength: FloatArray) -> FloatImage:
    """Gaussian towns of 1.5 px at sub-pixel places."""
    y, x = np.mgrid[:200, :300]
    image = np.zeros((200, 300))
    for (px, py), s in zip(places, strength, strict=True):
        image += s * np.exp(-0.5 * ((x - px) ** 2 + (y - py) ** 2) / 1.5**2)
    return image.astype(np.float32)


def planted(seed: int, count: int) -> FloatArray:
    """Places at least 20 px from each other and 12 px inside the frame."""
    rng = np.random.default_rng(seed)
    found: list[tuple[float, float]] = []
    while len(found) < count:
        p = (rng.uniform(12, 287), rng.uniform(12, 187))
        if all(np.hypot(p[0] - q[0], p[1] - q[1]) > 20.0 for q in found):
            found.append(p)
    return np.array(found)


def test_planted_towns_are_found_to_a_fraction_of_a_pixel() -> None:
    places = planted(0, 25)
    strength = np.linspace(1.0, 0.3, 25)
    found = find_light_peaks(picture(places, strength), None, 100)
    strong = found.positions[found.contrast > 0.05]
    assert len(strong) == 25
    nearest = np.linalg.norm(strong[:, None] - places[None], axis=2)
    assert nearest.min(axis=1).max() < 0.3
    assert nearest.min(axis=0).max() < 0.3
    assert (np.diff(found.contrast) <= 0.0).all()
    brightest = find_light_peaks(picture(places, strength), None, 5).positions
    assert np.linalg.norm(brightest[:, None] - places[:8][None], axis=2).min(axis=1).max() < 0.3


def beside_a_mask(level: float) -> tuple[FloatImage, FloatImage]:
    """Even light up to a mask whose pixels are dark, and a town 12 px from it."""
    weight = np.ones((200, 300), np.float32)
    weight[:, :150] = 0.0
    image = picture(np.array([[162.0, 100.0]]), np.array([0.5]))
    return np.where(weight > 0.0, image + np.float32(level), np.float32(0.0)), weight


@pytest.mark.parametrize("level", [0.1, 0.5, 2.0])
def test_even_light_beside_a_mask_is_no_town(level: float) -> None:
    """The surroundings are what counts of them; against the dark mask the edge would stand out."""
    image, weight = beside_a_mask(level)
    found = find_light_peaks(image, weight, 100)
    assert found.positions == pytest.approx(np.array([[162.0, 100.0]]), abs=0.3)
    unmasked = find_light_peaks(image, None, 100)
    outer_px = 2.5 * LIGHTS.scale_px
    assert (np.abs(unmasked.x - 150.0) < 2.0 * outer_px).sum() > 1


WIDTH, HEIGHT = 900, 600
FIELDS = 200  # of them none above a bound: it holds for all but 1.5 % of such fields (95 %)


def towns_at(places: FloatArray) -> LightPeaks:
    """LightPeaks, the first the strongest."""
    return LightPeaks(x=places[:, 0], y=places[:, 1], contrast=np.linspace(1.0, 0.1, len(places)))


def world(seed: int, count: int) -> FloatArray:
    """Towns in clumps, as they are strung along coasts and valleys."""
    rng = np.random.default_rng([seed, 7])
    centres = rng.uniform([0, 0], [WIDTH, HEIGHT], (max(count // 6, 3), 2))
    clumped = centres[rng.integers(len(centres), size=count)] + rng.normal(0, 60.0, (count, 2))
    loose = rng.uniform([0, 0], [WIDTH, HEIGHT], (count, 2))
    chosen = np.where(rng.random((count, 1)) < 0.6, clumped, loose)
    size = np.array([WIDTH, HEIGHT])
    return np.asarray(np.abs((chosen + size) % (2 * size) - size))  # reflected at the border


def seen(seed: int, places: FloatArray, share: float) -> FloatArray:
    """A photo's towns: a share of the map's, a little off, and as many others at random places."""
    rng = np.random.default_rng([seed, 8])
    true = rng.random(len(places)) < share
    others = world(seed + 100_000, len(places))
    jitter = rng.normal(0.0, 0.3 * LIGHTS.match_px, places.shape)
    return np.where(true[:, None], places + jitter, others)


@pytest.mark.parametrize("seed", range(10))
def test_half_of_the_towns_prove_a_camera(seed: int) -> None:
    places = world(seed, 150)
    photo = seen(seed, places, 0.5)
    log10_odds, matched = score_lights(towns_at(photo), towns_at(places))
    assert log10_odds > 15.0
    assert 0.4 * 150 < len(matched) < 0.75 * 150
    nearest = np.linalg.norm(photo[matched][:, None] - places[None], axis=2).min(axis=1)
    assert nearest.max() < LIGHTS.match_px


@pytest.mark.parametrize("seed", range(10))
def test_a_shifted_camera_is_disproved(seed: int) -> None:
    places = world(seed, 150)
    photo = seen(seed, places, 0.5) + np.array([23.0, -17.0])
    assert score_lights(towns_at(photo), towns_at(places))[0] < 0.0


def test_shuffled_towns_seldom_look_like_proof() -> None:
    """The photo's own columns and rows, each put together anew: as crowded, but elsewhere.

    Odds of ten to one come up in less than one field of ten, as odds should.
    """
    odds = []
    for seed in range(FIELDS):
        rng = np.random.default_rng(seed)
        places = world(seed, int(rng.integers(20, 150)))
        shuffled = np.stack([rng.permutation(places[:, 0]), rng.permutation(places[:, 1])], axis=1)
        odds.append(score_lights(towns_at(shuffled), towns_at(places))[0])
    assert max(odds) < 3.0
    assert np.mean(np.array(odds) > 1.0) <= 0.1
    assert np.median(odds) < -1.0


@pytest.mark.slow
def test_chance_overlays_seldom_look_like_proof() -> None:
    """Two unrelated lands laid over each other, with few towns and with many."""
    odds = []
    for seed in range(FIELDS):
        rng = np.random.default_rng(seed)
        photo = world(seed, int(rng.integers(12, 150)))
        view = world(seed + 5000, int(rng.integers(20, 300)))
        odds.append(score_lights(towns_at(photo), towns_at(view))[0])
    assert max(odds) < 1.0
    assert np.median(odds) < -3.0


@pytest.mark.slow
def test_towns_of_the_same_valleys_seldom_look_like_proof() -> None:
    """Wrong by a little: towns gather in the same places, but they are other towns."""

    def gathered(seed: int, draw: int, count: int) -> FloatArray:
        centres = np.random.default_rng([seed, 1]).uniform([60, 60], [840, 540], (6, 2))
        rng = np.random.default_rng([seed, draw])
        return np.asarray(centres[rng.integers(6, size=count)] + rng.normal(0, 25.0, (count, 2)))

    odds = [
        score_lights(towns_at(gathered(seed, 2, 60)), towns_at(gathered(seed, 3, 300)))[0]
        for seed in range(FIELDS)
    ]
    assert max(odds) < 3.0
    assert np.mean(np.array(odds) > 0.0) <= 0.1
    assert np.median(odds) < 0.0


def test_dense_maps_prove_less() -> None:
    """Where a town is to be met everywhere, meeting one says nothing."""
    rng = np.random.default_rng(9)
    places = world(4, 80)
    crowd = np.concatenate([places, rng.uniform([0, 0], [WIDTH, HEIGHT], (40_000, 2))])
    sparse, matched = score_lights(towns_at(places), towns_at(places))
    dense, matched_of_dense = score_lights(towns_at(places), towns_at(crowd))
    assert len(matched) == len(matched_of_dense) == 80
    assert dense < 0.1 * sparse


def test_no_towns_prove_nothing() -> None:
    places = world(1, 20)
    none = towns_at(np.zeros((0, 2)))
    for photo, view in ((none, towns_at(places)), (towns_at(places), none), (none, none)):
        log10_odds, matched = score_lights(photo, view)
        assert log10_odds == 0.0
        assert len(matched) == 0
    assert not len(score_lights(towns_at(places), towns_at(places + 1e5))[1])


SHAPE = (90, 128)
ALL = np.ones(SHAPE, np.float32)


def grain(seed: int, blur_px: float = 1.5) -> FloatImage:
    """Noise of a grain, mean 0 and variance 1."""
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    image = ndimage.gaussian_filter(noise, blur_px, mode="wrap")
    return np.asarray((image - image.mean()) / image.std(), np.float32)


def mixed(share: float, seed: int) -> tuple[FloatImage, FloatImage]:
    """A photo and a view that correlate by about a share."""
    view = grain(seed)
    photo = share * view + np.sqrt(1.0 - share**2) * grain(seed + 1000)
    return np.asarray(photo, np.float32), view


def test_the_correlation_at_every_shift_is_that_of_the_shifted_pictures() -> None:
    rng = np.random.default_rng(1)
    photo, view = mixed(0.4, 1)
    weight = np.asarray(rng.uniform(size=SHAPE) > 0.3, np.float32)
    found = correlate_displaced(photo, view, weight)
    counted = weight > 0.0
    turned = (view, np.flipud(view), np.fliplr(view), np.rot90(view, 2))
    for k, down, across in [(0, 0, 0), (0, 7, 100), (1, 3, 4), (2, 80, 1), (3, 45, 64)]:
        moved = np.roll(turned[k], (-down, -across), (0, 1))
        expected = np.corrcoef(photo[counted], moved[counted])[0, 1]
        assert found[k, down, across] == pytest.approx(expected, abs=1e-4)


def test_pictures_that_have_nothing_in_common_prove_nothing() -> None:
    """One place taken at random is as good as one in ten or so, seldom as good as one in 10^4."""
    odds = np.array([image_log10_odds(grain(k), grain(k + 500), ALL, 4.0) for k in range(60)])
    assert np.median(odds) < 1.0
    assert odds.max() < 4.0


@pytest.mark.parametrize("seed", range(5))
def test_pictures_that_agree_everywhere_are_no_chance(seed: int) -> None:
    assert image_log10_odds(*mixed(0.5, seed), ALL, 4.0) > 10.0
    assert image_log10_odds(*mixed(0.9, seed), ALL, 4.0) > 14.0


@pytest.mark.parametrize("empty", ["photo", "view", "weight"])
def test_an_empty_picture_proves_nothing(empty: str) -> None:
    pictures = dict(zip(("photo", "view"), mixed(0.6, 8), strict=True)) | {"weight": ALL}
    pictures[empty] = np.zeros(SHAPE, np.float32)
    odds = image_log10_odds(**pictures, nearest_px=4.0)
    assert odds == 0.0
