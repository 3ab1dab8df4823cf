"""Brightness that agrees speaks for a camera; by chance it speaks for nothing."""

from __future__ import annotations

import numpy as np

from matchers.star_fit import light_ratios


def sky(rng: np.random.Generator, count: int = 75) -> np.ndarray:
    """Magnitudes of stars in a picture: three times as many for each magnitude fainter."""
    return np.sort(8.0 - rng.exponential(0.9, count))


def test_stars_of_their_brightness_gain_and_others_lose_little() -> None:
    rng = np.random.default_rng(1)
    predicted = sky(rng)
    star = predicted[:12]
    met = np.ones(12, bool)
    right = light_ratios(star - 20.0 + rng.normal(0, 0.2, 12), star, met, predicted)
    assert right[0] == 1.0
    assert np.log10(right).sum() > 4.0
    wrong = light_ratios(rng.permutation(star) - 20.0, star, met, predicted)
    assert np.log10(wrong).sum() < np.log10(right).sum() - 3.0
    assert np.log10(wrong).min() > -2.0


def test_what_was_not_met_says_nothing() -> None:
    rng = np.random.default_rng(2)
    predicted = sky(rng)
    met = rng.random(40) < 0.3
    ratios = light_ratios(rng.uniform(-15, -10, 40), rng.choice(predicted, 40), met, predicted)
    assert (ratios[~met] == 1.0).all()


def test_by_chance_the_expected_ratio_is_one() -> None:
    rng = np.random.default_rng(3)
    products = []
    for _ in range(3000):
        predicted = sky(rng, 25)
        # Detections sorted by brightness, each on a star drawn at random
        seen = np.sort(rng.normal(-12.0, 1.0, 4))
        met = np.ones(4, bool)
        products.append(light_ratios(seen, rng.choice(predicted, 4), met, predicted).prod())
    error = np.std(products) / np.sqrt(len(products))
    assert abs(np.mean(products) - 1.0) < 4.0 * error
    # So an excess by a thousand is as rare as a thousandth, at most
    assert np.mean(np.array(products) > 100.0) < 0.01
