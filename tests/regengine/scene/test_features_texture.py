"""Texture: bands know the size of detail, blocks how evenly it is spread."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from regengine.scene.features import texture
from tests.regengine.scene import drawn


def measured(image: drawn.Image) -> dict[str, float]:
    return texture.measure(drawn.picture_of(image))


def blotches(sigma_px: float) -> drawn.Image:
    """Noise of one size and a contrast of 30 eight-bit steps."""
    noise = np.random.default_rng(1).normal(size=drawn.SIZE).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma_px)
    return drawn.plain((110, 110, 110)) + 30.0 * (noise / noise.std())[..., None]


def test_slope_grows_with_the_size_of_detail() -> None:
    slopes = [measured(blotches(sigma))["texture_slope"] for sigma in (0.8, 3.0, 10.0)]
    assert slopes == sorted(slopes)
    assert slopes[0] < 0.0 < slopes[2]


@pytest.mark.parametrize("gain", [0.5, 0.25])
def test_bands_are_logarithms_of_contrast(gain: float) -> None:
    full, part = blotches(2.0), 110.0 + gain * (blotches(2.0) - 110.0)
    change = measured(part)["texture_band_8px"] - measured(full)["texture_band_8px"]
    assert change == pytest.approx(np.log10(gain), abs=0.05)


def test_lamps_are_peaks_and_gaps_are_dark() -> None:
    ground = drawn.grain(drawn.plain((60, 60, 60)))
    lamps = drawn.spots(ground, drawn.evenly(150), (150, 150, 150), 2.0)
    gaps = 2.0 * ground - lamps
    assert measured(lamps)["texture_peaks"] > measured(ground)["texture_peaks"] + 0.5
    assert measured(lamps)["texture_upward"] > 0.3 > -0.3 > measured(gaps)["texture_upward"]


def test_flat_busy_and_uneven() -> None:
    half = drawn.plain((110, 110, 110))
    half[:, 320:] = blotches(2.0)[:, 320:]
    features = measured(half)
    assert features["texture_flat"] == pytest.approx(0.5, abs=0.1)
    assert features["texture_uneven"] > measured(blotches(2.0))["texture_uneven"] + 0.5


def test_grain_is_read_where_nothing_else_is() -> None:
    quiet, loud = (
        measured(drawn.spots(drawn.grain(drawn.plain((40, 40, 40)), sigma), drawn.evenly(30)))
        for sigma in (1.0, 8.0)
    )
    assert loud["texture_grain"] > quiet["texture_grain"] + 0.3
