from __future__ import annotations

import numpy as np
import pytest
from light_scene import Light, draw

from detectors.scale_space import (
    INNER_SIGMAS,
    compute_noise_gain,
    make_first_base,
    make_octave,
)


def response_of_gaussian(flux, sigma, inner):
    """Peak of a unit difference of Gaussians (s, 2 s) on a Gaussian blob."""
    return flux / (2 * np.pi) * (1 / (sigma**2 + inner**2) - 1 / (sigma**2 + 4 * inner**2))


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_responses_of_a_gaussian_are_the_analytic_ones(sigma):
    image = draw([Light(100.0, 60.0, 1.0, sigma)], (120, 200), level=0.0, noise=0.0)
    made = make_octave(make_first_base(image))
    for response, inner in zip(made.responses, INNER_SIGMAS, strict=True):
        expected = response_of_gaussian(1.0, sigma, inner)
        assert response[60, 100] == pytest.approx(expected, rel=0.02)
    assert made.above[60, 100] == pytest.approx(response_of_gaussian(1.0, sigma, 2.0), rel=0.02)
    assert made.outer[60, 100] == pytest.approx(1 / (2 * np.pi * (sigma**2 + 4)), rel=0.02)


def test_white_noise_comes_through_as_foretold():
    noise = np.random.default_rng(0).normal(0.0, 1.0, (500, 500)).astype(np.float32)
    base, step = make_first_base(noise), 1
    for _ in range(3):
        made = make_octave(base)
        for response, inner in zip(made.responses, INNER_SIGMAS, strict=True):
            assert response.std() == pytest.approx(compute_noise_gain(inner * step), rel=0.06)
        base, step = made.halved, 2 * step
