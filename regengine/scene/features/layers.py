"""Features of layers along arcs: limb and airglow, sunrise and sunset."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture

GRADIENT = {
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
LIMB = {
    "limb_explained": "share of brightness explained by layers along one arc; limbs high",
    "limb_curvature": "curvature of the strongest edge: horizon 0.1 to 0.8, port-holes 1 and more",
    "limb_seen": "share of the frame's width along which the edge lies on the arc",
    "limb_sky_share": "share of the frame beyond the arc; 0 or 1 without a limb",
    "limb_sky_detail": "log detail of the sky against the Earth; sky is smoother",
    "limb_layer": "how far the layer at the edge outshines both sides: airglow, twilight, aurora",
    "limb_layer_warm": "red minus blue of the layer; airglow's yellow, sunset",
    "limb_blue": "most that blue exceeds red near the edge, as displayed: sunlit air",
}
LIMB_FLOOR = 0.5 / 255.0 / 12.92


def measure_gradient(picture: ScenePicture) -> dict[str, float]:
    """Gradient features: bright, warm, thin bands across a frame, as of the Sun's light in air.

    Supports sunset_sunrise: across the strongest direction, brightness rises steeply from black to
    a band that changes from red over white to blue, and falls to black again.
    """
    layers = picture.layers
    if len(layers.across) < 5:
        return dict.fromkeys(GRADIENT, 0.0)
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


def measure_limb(picture: ScenePicture) -> dict[str, float]:
    """Limb features: the arc between Earth and sky, and the layer of airglow or haze along it.

    Supports oblique frames: cities, night_nocity and aurora with a dark sky over a thin coloured
    layer, day with a blue one, sunset with a bright one; evidence against nadir frames and inside.
    """
    layers = picture.layers
    features = dict.fromkeys(LIMB, 0.0)
    features["limb_explained"] = layers.explained
    edge = layers.edge
    if edge is None:
        return features
    features["limb_seen"] = edge.seen
    # The surroundings of an edge that is not on an arc are irrelevant: they fade to zero
    beside = _sides(picture, edge.beyond) | _measure_across(edge.strip)
    beside["limb_curvature"] = min(edge.curvature, 2.0)
    features |= {name: edge.certain * value for name, value in beside.items()}
    return {name: float(value) for name, value in features.items()}


def _sides(picture: ScenePicture, beyond: NDArray[np.bool_]) -> dict[str, float]:
    """Difference of sky and Earth."""
    value = picture.half.half.half.lightness
    share = float(beyond.mean())
    if min(share, 1.0 - share) < 0.01:
        return {"limb_sky_share": share, "limb_sky_detail": 0.0}
    rough = np.abs(value - cv2.blur(value, (3, 3), borderType=cv2.BORDER_REPLICATE))
    sky_detail, earth_detail = rough[beyond].mean(), rough[~beyond].mean()
    return {
        "limb_sky_share": share,
        "limb_sky_detail": float(np.log10((sky_detail + 0.004) / (earth_detail + 0.004))),
    }


def _measure_across(strip: NDArray[np.float64]) -> dict[str, float]:
    """Brightness and colours across the edge; the strip ends in the sky."""
    light = np.sqrt(strip.mean(axis=1))
    third = len(light) // 3
    earth, sky = light[:third].mean(), light[-third:].mean()
    middle = np.arange(third // 2, len(light) - third // 2)
    top = middle[int(np.argmax(light[middle]))]
    excess = float(light[top] - max(earth, sky))
    colour = strip[max(top - 1, 0) : top + 2].mean(axis=0) + LIMB_FLOOR
    shown = np.sqrt(strip[middle])
    return {
        "limb_layer": float(np.log1p(max(excess, 0.0) / (max(earth, sky) + 0.05))),
        "limb_layer_warm": float((colour[0] - colour[2]) / colour.sum()),
        "limb_blue": float((shown[:, 2] - shown[:, 0]).max()),
    }
