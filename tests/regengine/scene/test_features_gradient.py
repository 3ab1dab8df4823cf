"""Gradient: a thin band from orange to blue between black and black."""

from __future__ import annotations

import numpy as np
import pytest

from regengine.scene.features import gradient
from tests.regengine.scene import drawn


def measured(image: drawn.Image) -> dict[str, float]:
    return gradient.measure(drawn.picture_of(image))


@pytest.mark.parametrize("turned", [False, True])
def test_sunset(turned: bool) -> None:
    image = drawn.sunset()
    features = measured(np.ascontiguousarray(np.rot90(image)) if turned else image)
    assert features["gradient_contrast"] > 1.5
    assert features["gradient_thin"] < 0.12
    assert features["gradient_warm_end"] > 0.4
    assert features["gradient_cold_end"] > 0.4
    assert features["gradient_dark"] > 0.6


@pytest.mark.parametrize("other", ["land", "night city", "rack", "moon"])
def test_nothing_else_runs_from_warm_to_cold(other: str) -> None:
    features = measured(drawn.drawing(other).astype(np.float32))
    assert features["gradient_order"] < 0.5 * measured(drawn.sunset())["gradient_order"]


def test_blue_band_has_a_cold_end_alone() -> None:
    image = drawn.plain((2, 2, 3))
    image[150:170] = (60, 120, 255)
    features = measured(drawn.grain(image, 1.0))
    assert features["gradient_cold_end"] > 0.4
    assert features["gradient_warm_end"] < 0.1


def test_grey_band_has_no_warm_end() -> None:
    grey = np.repeat(drawn.sunset().mean(axis=2, keepdims=True), 3, axis=2)
    features = measured(grey)
    assert abs(features["gradient_warm_end"]) < 0.02
    assert features["gradient_contrast"] > 1.0
