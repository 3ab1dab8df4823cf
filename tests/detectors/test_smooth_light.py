"""Broad light without grain is masked; lamps, noise and small lights are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from detectors.masks import (
    RIM_SHARE,
    STRONG_SIGMAS,
    WINDOW_PX,
    extract_grainy_light,
    smooth_light,
)

Light = NDArray[np.float64]
Mask = NDArray[np.bool_]

HEIGHT, WIDTH = 200, 300
LEVEL, NOISE = 0.02, 0.002
MIN_PX = 11
ROW, COLUMN = np.mgrid[:HEIGHT, :WIDTH].astype(float)
# The rim of what is masked: half a window beyond the light, and as much again
RIM_PX = 2 * WINDOW_PX


def around(radius: float, x: float = 150.0, y: float = 100.0) -> Mask:
    return np.asarray(np.hypot(COLUMN - x, ROW - y) < radius)


def night(seed: int = 0) -> Light:
    """Even diffuse light with white noise."""
    return LEVEL + np.random.default_rng(seed).normal(0.0, NOISE, (HEIGHT, WIDTH))


def blob(area: Mask, brightness: float) -> Light:
    """Light without grain: a soft-edged area of a mean brightness."""
    soft = cv2.GaussianBlur(area.astype(float), (0, 0), 4.0)
    return np.asarray(soft * brightness / soft[area].mean())


def lamps(area: Mask, brightness: float, seed: int = 1) -> Light:
    """As much light over the same area, from a lamp on every eighth pixel."""
    rng = np.random.default_rng(seed)
    lit = area & (rng.random(area.shape) < 0.12)
    image = cv2.GaussianBlur(np.where(lit, rng.exponential(size=area.shape), 0.0), (0, 0), 0.8)
    return np.asarray(image * brightness / image[area].mean())


def masked(
    light: Light, clipped: Mask | None = None, least_px: int = MIN_PX, unit: float = 1.0
) -> Mask:
    flat = np.ones(light.shape, np.float32) * np.float32(unit)
    saturated = np.zeros(light.shape, bool) if clipped is None else clipped
    return smooth_light(
        (unit * light).astype(np.float32),
        np.float32(LEVEL) * flat,
        np.float32(NOISE) * flat,
        saturated.astype(np.float32),
        least_px,
    )


@pytest.mark.parametrize("brightness", [0.03, 0.1, 0.3])
def test_a_smooth_blob_is_masked_and_lamps_as_bright_are_not(brightness: float) -> None:
    area = around(25.0)
    mask = masked(night() + blob(area, brightness))
    assert mask[area].all()
    assert not mask[~around(25.0 + RIM_PX + RIM_SHARE * 25.0)].any()
    for seed in range(3):
        city = lamps(area, brightness, seed)
        assert city[area].mean() == pytest.approx(brightness)
        assert not masked(night() + city).any()


@pytest.mark.parametrize("unit", [0.01, 0.3, 10.0])
def test_the_unit_of_light_does_not_matter(unit: float) -> None:
    light = night() + blob(around(22.0, 80.0), 0.2) + lamps(around(22.0, 220.0), 0.2)
    assert (masked(light, unit=unit) == masked(light)).mean() > 0.999


@pytest.mark.parametrize("seed", range(10))
def test_noise_alone_is_not_masked(seed: int) -> None:
    assert not masked(night(seed)).any()
    # Nor where the level is taken a little too low, as long as the light is not strong
    assert not masked(night(seed) + 0.7 * STRONG_SIGMAS * NOISE).any()


def glowing(peak: float) -> tuple[Light, Mask]:
    """A smooth glow whose middle is clipped at 1."""
    light = night() + peak * np.exp(-0.5 * ((COLUMN - 150.0) ** 2 + (ROW - 100.0) ** 2) / 15.0**2)
    return np.minimum(light, 1.0), np.asarray(light >= 1.0)


def test_a_clipped_core_inside_smooth_light_is_masked() -> None:
    light, clipped = glowing(2.0)
    assert clipped.sum() > 500
    mask = masked(light, clipped)
    assert mask[clipped].all()
    assert mask[around(25.0)].all()
    assert not mask[~around(80.0)].any()


@pytest.mark.parametrize(("radius", "expected"), [(3.0, False), (4.5, False), (8.0, True)])
def test_small_lights_are_left_alone(radius: float, expected: bool) -> None:
    """A lamp out of focus is smooth, but small."""
    spot = cv2.GaussianBlur(around(radius).astype(float), (0, 0), 1.5) * 0.3
    assert bool(masked(night() + spot).any()) is expected


def test_lamps_stay_and_smooth_light_goes() -> None:
    y, x = np.mgrid[:120, :180].astype(np.float32)
    glow = 5.0 * np.exp(-0.5 * ((x - 90.0) ** 2 + (y - 60.0) ** 2) / 30.0**2)
    lamps = np.zeros_like(glow)
    lamps[10:110:11, 10:170:11] = 1.0
    found = extract_grainy_light((glow + lamps).astype(np.float32))
    lit = lamps > 0.0
    assert found.dtype == np.float32
    assert found.min() >= 0.0
    assert found[lit] == pytest.approx(1.0, abs=0.25)
    assert found[~lit].max() < 0.25  # of a glow five times as bright
