"""Apertures give the light of simulated stars, without the sky and without its steps."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.simulate.sky import add_stars
from detectors.star_frame import aperture_light

SHAPE = (300, 400)


def field(rng: np.random.Generator, stars: int, flux: float) -> tuple[np.ndarray, ...]:
    """Stars on a grid, so that none lies in another's ring."""
    x = 20.0 + 40.0 * (np.arange(stars) % 9) + rng.uniform(-0.5, 0.5, stars)
    y = 20.0 + 40.0 * (np.arange(stars) // 9) + rng.uniform(-0.5, 0.5, stars)
    image = np.zeros((*SHAPE, 1), np.float32)
    add_stars(image, x, y, np.full((stars, 1), flux), np.full(stars, 2.0), 1.0)
    return image[..., 0], x, y


def test_light_of_stars_is_whole_but_for_the_profiles_wings() -> None:
    image, x, y = field(np.random.default_rng(1), 60, 5000.0)
    found = aperture_light(image + np.float32(37.0), x, y, 5.0)
    # A Moffat star of beta 3 has 1 - (1 + (r / a)^2)^-2 within r; a = 0.981 FWHM
    inside = 1.0 - (1.0 + (5.0 / (0.981 * 2.0)) ** 2) ** -2
    assert found.flux / 5000.0 == pytest.approx(inside, abs=0.005)
    assert found.whole.all()


def test_sigma_is_the_scatter() -> None:
    rng = np.random.default_rng(2)
    image, x, y = field(rng, 60, 5000.0)
    noisy = (image + rng.normal(100.0, 5.0, image.shape)).astype(np.float32)
    found = aperture_light(noisy, x, y, 5.0)
    assert float(np.std(found.flux)) == pytest.approx(float(np.mean(found.sigma)), rel=0.3)


def test_the_sky_of_a_coarse_picture_is_its_mean_not_one_of_its_steps() -> None:
    rng = np.random.default_rng(3)
    image, x, y = field(rng, 60, 500.0)
    coarse = (10.0 * np.round((image + rng.normal(103.0, 6.0, image.shape)) / 10.0)).astype(
        np.float32
    )
    found = aperture_light(coarse, x, y, 5.0)
    # A step of the sky would be 800
    assert float(np.mean(found.flux)) == pytest.approx(490.0, abs=30.0)


def test_clipped_and_cut_stars_are_told() -> None:
    image, x, y = field(np.random.default_rng(4), 3, 5000.0)
    ignored = np.zeros(SHAPE, bool)
    ignored[round(y[1]), round(x[1])] = True
    found = aperture_light(image, np.append(x, 2.0), np.append(y, 50.0), 5.0, ignored)
    assert found.whole.tolist() == [True, False, True, False]


def test_no_star_is_no_light() -> None:
    none = np.zeros(0)
    assert aperture_light(np.zeros(SHAPE, np.float32), none, none, 5.0).flux.size == 0
