"""The arc between Earth and sky, and the layer of airglow or haze along it.

Speaks for oblique frames: cities, night_nocity and aurora with a dark sky over a thin coloured
layer, day with a blue one, sunset with a bright one; against nadir frames and inside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture

VERSION = 1
MEANING = {
    "limb_explained": "share of brightness explained by layers along one arc; limbs high",
    "limb_curvature": "curvature of the strongest edge: horizon 0.1 to 0.8, port-holes 1 and more",
    "limb_seen": "share of the frame's width along which the edge lies on the arc",
    "limb_sky_share": "share of the frame beyond the arc; 0 or 1 without a limb",
    "limb_sky_detail": "log detail of the sky against the Earth; sky is smoother",
    "limb_layer": "how far the layer at the edge outshines both sides: airglow, twilight, aurora",
    "limb_layer_warm": "red minus blue of the layer; airglow's yellow, sunset",
    "limb_blue": "most that blue exceeds red near the edge, as displayed: sunlit air",
}
FLOOR = 0.5 / 255.0 / 12.92


def measure(picture: ScenePicture) -> dict[str, float]:
    """Features of the limb, see `MEANING`."""
    layers = picture.layers
    features = dict.fromkeys(MEANING, 0.0)
    features["limb_explained"] = layers.explained
    edge = layers.edge
    if edge is None:
        return features
    features["limb_seen"] = edge.seen
    # What lies beside an edge that is on no arc says nothing: it fades to zero
    beside = _sides(picture, edge.beyond) | _across(edge.strip)
    beside["limb_curvature"] = min(edge.curvature, 2.0)
    features |= {name: edge.certain * value for name, value in beside.items()}
    return {name: float(value) for name, value in features.items()}


def _sides(picture: ScenePicture, beyond: NDArray[np.bool_]) -> dict[str, float]:
    """The sky against the Earth."""
    value = picture.half.half.half.lightness
    share = float(beyond.mean())
    if min(share, 1.0 - share) < 0.01:
        return {"limb_sky_share": share, "limb_sky_detail": 0.0}
    rough = np.abs(value - _shifted_mean(value))
    sky_detail, earth_detail = rough[beyond].mean(), rough[~beyond].mean()
    return {
        "limb_sky_share": share,
        "limb_sky_detail": float(np.log10((sky_detail + 0.004) / (earth_detail + 0.004))),
    }


def _shifted_mean(value: NDArray[np.float32]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.blur(value, (3, 3), borderType=cv2.BORDER_REPLICATE))


def _across(strip: NDArray[np.float64]) -> dict[str, float]:
    """Brightness and colours across the edge; the strip ends in the sky."""
    light = np.sqrt(strip.mean(axis=1))
    third = len(light) // 3
    earth, sky = light[:third].mean(), light[-third:].mean()
    middle = np.arange(third // 2, len(light) - third // 2)
    top = middle[int(np.argmax(light[middle]))]
    excess = float(light[top] - max(earth, sky))
    colour = strip[max(top - 1, 0) : top + 2].mean(axis=0) + FLOOR
    shown = np.sqrt(strip[middle])
    return {
        "limb_layer": float(np.log1p(max(excess, 0.0) / (max(earth, sky) + 0.05))),
        "limb_layer_warm": float((colour[0] - colour[2]) / colour.sum()),
        "limb_blue": float((shown[:, 2] - shown[:, 0]).max()),
    }
