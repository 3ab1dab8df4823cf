"""How surely two pictures agree, held against their own wrong shifts."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from matchers.verify import displaced_correlations, picture_log10_odds

Image = NDArray[np.float32]
SHAPE = (90, 128)
ALL = np.ones(SHAPE, np.float32)


def grain(seed: int, blur_px: float = 1.5) -> Image:
    """Noise of a grain, mean 0 and variance 1."""
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    image = ndimage.gaussian_filter(noise, blur_px, mode="wrap")
    return np.asarray((image - image.mean()) / image.std(), np.float32)


def lone_lights(places: list[tuple[int, int]]) -> Image:
    image = np.zeros(SHAPE, np.float32)
    for row, column in places:
        image[row, column] = 1.0
    return np.asarray(40.0 * cv2.GaussianBlur(image, (0, 0), 2.0), np.float32)


def mixed(share: float, seed: int) -> tuple[Image, Image]:
    """A photo and a view that correlate by about a share."""
    view = grain(seed)
    photo = share * view + np.sqrt(1.0 - share**2) * grain(seed + 1000)
    return np.asarray(photo, np.float32), view


def test_the_correlation_at_every_shift_is_that_of_the_shifted_pictures() -> None:
    rng = np.random.default_rng(1)
    photo, view = mixed(0.4, 1)
    weight = np.asarray(rng.uniform(size=SHAPE) > 0.3, np.float32)
    found = displaced_correlations(photo, view, weight)
    counted = weight > 0.0
    turned = (view, np.flipud(view), np.fliplr(view), np.rot90(view, 2))
    for k, down, across in [(0, 0, 0), (0, 7, 100), (1, 3, 4), (2, 80, 1), (3, 45, 64)]:
        moved = np.roll(turned[k], (-down, -across), (0, 1))
        expected = np.corrcoef(photo[counted], moved[counted])[0, 1]
        assert found[k, down, across] == pytest.approx(expected, abs=1e-4)


def test_pictures_that_have_nothing_in_common_prove_nothing() -> None:
    """One place taken at random is as good as one in ten or so, seldom as good as one in 10^4."""
    odds = np.array([picture_log10_odds(grain(k), grain(k + 500), ALL, 4.0) for k in range(60)])
    assert np.median(odds) < 1.0
    assert odds.max() < 4.0


@pytest.mark.parametrize("seed", range(5))
def test_pictures_that_agree_everywhere_are_no_chance(seed: int) -> None:
    assert picture_log10_odds(*mixed(0.5, seed), ALL, 4.0) > 10.0
    assert picture_log10_odds(*mixed(0.9, seed), ALL, 4.0) > 14.0


def test_coarser_grain_proves_less_at_the_same_correlation() -> None:
    """Fewer independent places agree."""
    odds = []
    for blur_px in (1.5, 6.0):
        view = grain(3, blur_px)
        photo = np.asarray(0.5 * view + np.sqrt(0.75) * grain(4, blur_px), np.float32)
        odds.append(picture_log10_odds(photo, view, ALL, 4.0 * blur_px))
    assert odds[0] > odds[1] + 5.0


def test_a_light_on_a_light_is_had_by_chance() -> None:
    """Three lone lights, one laid on another: correlates by a third, and so do other shifts."""
    photo = lone_lights([(20, 30), (60, 90), (75, 20)])
    view = lone_lights([(20, 30), (35, 100), (50, 60)])
    correlation = displaced_correlations(photo, view, ALL)[0, 0, 0]
    assert correlation > 0.25
    assert picture_log10_odds(photo, view, ALL, 9.0) < 6.0
    assert picture_log10_odds(*mixed(float(correlation), 5), ALL, 9.0) > 8.0


def test_what_does_not_count_says_nothing() -> None:
    photo, view = mixed(0.6, 7)
    weight = ALL.copy()
    weight[:, 64:] = 0.0
    other = photo.copy()
    other[:, 64:] = 50.0
    same = picture_log10_odds(photo, view, weight, 4.0)
    assert picture_log10_odds(other, view, weight, 4.0) == pytest.approx(same, abs=1e-3)
    assert 5.0 < same < picture_log10_odds(photo, view, ALL, 4.0)


@pytest.mark.parametrize("empty", ["photo", "view", "weight"])
def test_an_empty_picture_proves_nothing(empty: str) -> None:
    pictures = dict(zip(("photo", "view"), mixed(0.6, 8), strict=True)) | {"weight": ALL}
    pictures[empty] = np.zeros(SHAPE, np.float32)
    odds = picture_log10_odds(**pictures, nearest_px=4.0)
    assert odds == 0.0
