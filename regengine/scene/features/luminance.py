"""How light is spread over brightness: night frames are dark with few bright pixels.

Speaks for day and inside (bright middle), for night_nocity and stars (all dark), for cities (dark
with a bright tail), and for frames of the Sun (both ends clipped).
"""

from __future__ import annotations

import numpy as np

from regengine.scene.picture import ScenePicture

VERSION = 2
MEANING = {
    "luminance_mode": "brightness that most of the picture has; day and inside are high",
    "luminance_p01": "brightness of the darkest percent; veiled frames and twilight are high",
    "luminance_p10": "brightness that a tenth stays below",
    "luminance_p50": "median brightness; night is low, day high",
    "luminance_p90": "brightness that a tenth exceeds",
    "luminance_p99": "brightness of the brightest percent; cities high, empty nights low",
    "luminance_p999": "brightness of the brightest thousandth; lamps, lightning, the Sun",
    "luminance_entropy": "bits of the brightness histogram; day high, night low",
    "luminance_black": "share of nearly black pixels; sky, space and night",
    "luminance_clipped": "share of clipped pixels; Sun, windows, lightning",
    "luminance_spread": "standard deviation of brightness",
    "luminance_tail": "share of all light that comes from the brightest percent of pixels: lamps",
}
BLACK = 12.0 / 255.0
CLIPPED = 252.0 / 255.0
BINS = 64


def measure(picture: ScenePicture) -> dict[str, float]:
    """Features of the brightness histogram, see `MEANING`."""
    value = picture.lightness[picture.shown]
    light = picture.luminance[picture.shown]
    counts = np.histogram(value, BINS, (0.0, 1.0))[0]
    share = counts[counts > 0] / counts.sum()
    # Sorted whole, which is faster than six partitions
    ranks = np.array((0.01, 0.1, 0.5, 0.9, 0.99, 0.999)) * (len(value) - 1)
    p01, p10, p50, p90, p99, p999 = np.sort(value)[np.round(ranks).astype(int)]
    brightest = light[value >= p99]
    return {
        "luminance_mode": (float(np.argmax(counts)) + 0.5) / BINS,
        "luminance_p01": float(p01),
        "luminance_p10": float(p10),
        "luminance_p50": float(p50),
        "luminance_p90": float(p90),
        "luminance_p99": float(p99),
        "luminance_p999": float(p999),
        "luminance_entropy": float(-np.sum(share * np.log2(share))),
        "luminance_black": float(np.mean(value < BLACK)),
        "luminance_clipped": float(np.mean(value >= CLIPPED)),
        "luminance_spread": float(np.std(value)),
        "luminance_tail": float(brightest.sum() / max(float(light.sum()), 1e-9)),
    }
