"""Falloff is found under skies with slopes, in 8-bit steps and among stars; apertures add up."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.falloff import SkyBoxes, fit_falloff, measure_sky_boxes

TRUE = np.array([-0.75, 0.35, -0.10])
WIDTH, HEIGHT, AXIS = 600, 400, (306.0, 196.0)


def powers(r: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([r**2, r**4, r**6], axis=-1)


def distance(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hypot(x - AXIS[0], y - AXIS[1]) / (0.5 * np.hypot(WIDTH, HEIGHT))


def sky(rng: np.random.Generator, slope: tuple[float, float]) -> NDArray[np.float32]:
    """Mean sky light of a frame."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    light = 0.01 * (1.0 + slope[0] * (x / WIDTH - 0.5) + slope[1] * (y / HEIGHT - 0.5))
    light *= 1.0 + powers(distance(x, y)) @ TRUE
    return (light + rng.normal(0.0, 0.001, light.shape)).astype(np.float32)


def off(boxes: list[SkyBoxes]) -> NDArray[np.float64]:
    """Error of the share that arrives, at a few distances."""
    fit = fit_falloff(boxes, [AXIS] * len(boxes))
    return np.asarray(powers(np.array([0.3, 0.6, 0.9])) @ (fit.coefficients - TRUE))


@pytest.mark.parametrize("frames", [1, 4])
def test_falloff_is_told_from_slopes_of_the_sky(frames: int) -> None:
    rng = np.random.default_rng(1)
    boxes = [measure_sky_boxes(sky(rng, tuple(rng.normal(0.0, 0.3, 2)))) for _ in range(frames)]
    assert np.abs(off(boxes)).max() < 0.003


def test_masked_ground_and_a_lamp_are_left_out() -> None:
    rng = np.random.default_rng(3)
    light = sky(rng, (0.2, 0.0))
    mask = np.zeros(light.shape, bool)
    light[300:, :], mask[300:, :] = 0.3, True
    light[50:110, 400:470] = 0.08  # not masked
    boxes = measure_sky_boxes(light, mask)
    assert boxes.y.max() < 300
    assert np.abs(off([boxes])).max() < 0.01


@pytest.mark.slow
def test_differences_between_frames_make_the_sigma() -> None:
    rng = np.random.default_rng(4)
    box = measure_sky_boxes(sky(rng, (0.0, 0.0)))
    r2 = distance(box.x, box.y) ** 2
    at = powers(np.array([0.9]))[0]
    chi = []
    for _ in range(20):
        boxes = []
        for _ in range(6):  # each sky is curved in its own way
            level = box.level * (1.0 + rng.normal(0.0, 0.02) * r2)
            boxes.append(SkyBoxes(x=box.x, y=box.y, level=level, width_px=WIDTH, height_px=HEIGHT))
        fit = fit_falloff(boxes, [AXIS] * 6)
        chi.append((at @ (fit.coefficients - TRUE)) ** 2 / (at @ fit.covariance @ at))
    # Median of a squared Student variate with five degrees: 0.53
    assert 0.25 < np.median(chi) / 0.53 < 4.0


def test_too_little_sky_is_refused() -> None:
    boxes = measure_sky_boxes(np.zeros((100, 150), np.float32))
    assert len(boxes.x) == 0
    with pytest.raises(ValueError, match="too few boxes"):
        fit_falloff([boxes], [(75.0, 50.0)])
