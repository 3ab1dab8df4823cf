from __future__ import annotations

import numpy as np
import pytest
from light_scene import Light, draw

from detectors.scale_space import (
    INNER_SIGMAS,
    first_base,
    local_maxima,
    next_base,
    noise_gain,
    octave,
    quadratic_peak,
)


def response_of_gaussian(flux, sigma, inner):
    """Peak of a unit difference of Gaussians (s, 2 s) on a Gaussian blob."""
    return flux / (2 * np.pi) * (1 / (sigma**2 + inner**2) - 1 / (sigma**2 + 4 * inner**2))


@pytest.mark.parametrize("sigma", [1.5, 2.5, 4.0])
def test_responses_of_a_gaussian_are_the_analytic_ones(sigma):
    image = draw([Light(100.0, 60.0, 1.0, sigma)], (120, 200), level=0.0, noise=0.0)
    made = octave(first_base(image))
    for response, inner in zip(made.responses, INNER_SIGMAS, strict=True):
        expected = response_of_gaussian(1.0, sigma, inner)
        assert response[60, 100] == pytest.approx(expected, rel=0.02)
    assert made.above[60, 100] == pytest.approx(response_of_gaussian(1.0, sigma, 2.0), rel=0.02)
    assert made.outer[60, 100] == pytest.approx(1 / (2 * np.pi * (sigma**2 + 4)), rel=0.02)


def test_pixel_i_of_the_halved_image_is_pixel_2i():
    image = draw([Light(100.0, 60.0, 1.0, 4.0)], (121, 201), level=0.0, noise=0.0)
    half = octave(first_base(image)).halved
    assert half.shape == (61, 101)
    assert np.unravel_index(half.argmax(), half.shape) == (30, 50)
    assert np.allclose(next_base(first_base(image)), half, atol=1e-4)


def test_white_noise_comes_through_as_foretold():
    noise = np.random.default_rng(0).normal(0.0, 1.0, (500, 500)).astype(np.float32)
    base, step = first_base(noise), 1
    for _ in range(3):
        made = octave(base)
        for response, inner in zip(made.responses, INNER_SIGMAS, strict=True):
            assert response.std() == pytest.approx(noise_gain(inner * step), rel=0.06)
        base, step = made.halved, 2 * step


def test_local_maxima_leave_out_the_border_and_the_low():
    image = np.zeros((9, 9), np.float32)
    image[0, 4] = image[4, 8] = 5.0
    image[4, 4] = 2.0
    image[6, 2] = 0.5
    row, col = local_maxima(image, 1.0)
    assert (row.tolist(), col.tolist()) == ([4], [4])


def test_the_vertex_of_a_paraboloid():
    rows, cols = np.mgrid[0:9, 0:9]
    image = 5.0 - (cols - 4.3) ** 2 - 0.5 * (rows - 3.8) ** 2 - 0.2 * (cols - 4.3) * (rows - 3.8)
    dx, dy = quadratic_peak(image.astype(np.float32), np.array([4]), np.array([4]))
    assert dx[0] == pytest.approx(0.3, abs=1e-3)
    assert dy[0] == pytest.approx(-0.2, abs=1e-3)


def test_the_vertex_of_what_is_no_peak_stays_in_the_middle():
    rows, cols = np.mgrid[0:9, 0:9]
    saddle = ((cols - 4.0) ** 2 - (rows - 4.0) ** 2 + 0.1 * cols).astype(np.float32)
    dx, dy = quadratic_peak(saddle, np.array([4]), np.array([4]))
    assert (dx[0], dy[0]) == (0.0, 0.0)
