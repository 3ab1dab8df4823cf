"""Zero points, colour terms and limits are recovered from simulated magnitudes."""

from __future__ import annotations

import numpy as np
import pytest

from regengine.photo.lens_profile import SUN_COLOUR
from regengine.sky.stars.lens_calibration import fit_channel, limiting_magnitude


def stars(rng: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
    magnitude = 8.0 - rng.exponential(1.0, count)
    colour = rng.normal(0.9, 0.5, count)
    flux = 10.0 ** (0.4 * (12.0 - magnitude + 0.45 * (colour - SUN_COLOUR)))
    flux *= 10.0 ** (0.4 * rng.normal(0.0, 0.05, count))
    sigma = np.full(count, 0.3)
    return magnitude, colour, flux + rng.normal(0.0, sigma), sigma


def test_zero_point_and_colour_term_lie_within_their_sigmas() -> None:
    rng = np.random.default_rng(1)
    off = []
    for _ in range(40):
        magnitude, colour, flux, sigma = stars(rng, 150)
        flux[:8] *= 3.0  # variable, or two stars in one
        found = fit_channel("red", magnitude, colour, flux, sigma)
        assert found is not None
        off.append(
            (
                (found.zero_point_mag - 12.0) / found.zero_point_sigma,
                (found.colour_term + 0.45) / found.colour_term_sigma,
            )
        )
    assert np.std(off, axis=0) == pytest.approx([1.0, 1.0], rel=0.4)
    assert np.abs(np.mean(off, axis=0)).max() < 0.6


def test_without_colours_there_is_a_zero_point_and_its_scatter_tells() -> None:
    magnitude, colour, flux, sigma = stars(np.random.default_rng(2), 200)
    plain = fit_channel("red", magnitude, np.full(200, np.nan), flux, sigma)
    known = fit_channel("red", magnitude, colour, flux, sigma)
    assert plain is not None
    assert known is not None
    assert plain.colour_term == plain.colour_term_sigma == 0.0
    assert plain.scatter_mag > 3.0 * known.scatter_mag
    assert known.scatter_mag == pytest.approx(0.05, rel=0.3)


def test_faint_stars_do_not_pull_the_zero_point_by_their_noise() -> None:
    rng = np.random.default_rng(3)
    magnitude, colour, flux, sigma = stars(rng, 2000)
    noisy = fit_channel("red", magnitude, colour, flux + rng.normal(0.0, 10.0, 2000), sigma + 10.0)
    assert noisy is not None
    assert noisy.zero_point_mag == pytest.approx(12.0, abs=4 * noisy.zero_point_sigma)


def test_too_few_stars_give_nothing() -> None:
    magnitude, colour, flux, sigma = stars(np.random.default_rng(4), 9)
    assert fit_channel("red", magnitude, colour, flux, sigma) is None
    assert limiting_magnitude(magnitude, np.full(9, 20.0)) is None


def test_limiting_magnitude_is_where_the_signal_is_five_times_the_noise() -> None:
    magnitude = np.linspace(3.0, 9.0, 300)
    snr = 5.0 * 10.0 ** (-0.4 * (magnitude - 8.5))
    limit = limiting_magnitude(magnitude, snr)
    assert limit is not None
    assert limit[0] == pytest.approx(8.5)
    assert limit[1] == pytest.approx(0.0, abs=1e-9)
