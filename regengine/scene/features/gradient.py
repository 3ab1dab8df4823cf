"""Bright, warm, thin bands from end to end of a frame: the Sun's light in the air.

Speaks for sunset_sunrise: across the strongest direction the light climbs steeply from black to a
band that turns from red over white to blue, and falls to black again.
"""

from __future__ import annotations

import numpy as np

from regengine.scene.picture import ScenePicture

VERSION = 1
MEANING = {
    "gradient_contrast": "log light of the brightest layer against the median one; sunset high",
    "gradient_thin": "share of the frame in which half of the layers' light lies; sunset small",
    "gradient_warm_end": "red minus blue of the warmest layer, against the brightest; sunset high",
    "gradient_cold_end": "blue minus red of the bluest layer, against the brightest; sunset, day",
    "gradient_order": "how far and how steadily colour runs from warm to cold across them; sunset",
    "gradient_smooth": "how little neighbouring layers jump against the whole range of brightness",
    "gradient_dark": "share of the layers that are nearly black; sunset and limbs high",
}
FLOOR = 1.0 / 255.0 / 12.92
BRIGHT = 0.08  # of the brightest layer's light
DARK = 0.02  # linear


def measure(picture: ScenePicture) -> dict[str, float]:
    """Features of the profile across the layers, see `MEANING`."""
    layers = picture.layers
    if len(layers.across) < 5:
        return dict.fromkeys(MEANING, 0.0)
    across, counts = layers.across, layers.counts
    light = across.mean(axis=1) + FLOOR
    sure = counts >= 0.25 * np.median(counts)
    peak = float(light[sure].max())
    bright = sure & (light > BRIGHT * peak)
    warmth = (across[:, 0] - across[:, 2]) / (3.0 * light + 6.0 * FLOOR)
    shown = np.sqrt(across[sure] / peak)
    warm, cold = (float((sign * (shown[:, 0] - shown[:, 2])).max()) for sign in (1, -1))
    order = np.argsort(-light)
    filled = np.cumsum((light * counts)[order])
    half = int(np.searchsorted(filled, filled[-1] / 2.0))
    value = np.sqrt(light)
    way = float(np.abs(np.diff(value)).sum())
    turns = float(np.abs(np.diff(warmth[bright])).sum())
    return {
        "gradient_contrast": float(np.log10(peak / np.median(light))),
        "gradient_thin": float(counts[order][: half + 1].sum() / counts.sum()),
        "gradient_warm_end": warm,
        "gradient_cold_end": cold,
        "gradient_order": float(np.ptp(warmth[bright]) ** 2 / (turns + 0.2)),
        "gradient_smooth": float((np.ptp(value) + 0.01) / (way + 0.01)),
        "gradient_dark": float(counts[light < DARK].sum() / counts.sum()),
    }
