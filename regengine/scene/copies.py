"""Changed copies of photos: the same scene, as another camera, editor or archive would give it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import linear_light

# Share of copies that are cropped, and the least part of a side that is kept
CROPPED, LEAST_KEPT = 0.6, 0.7
SCALES = (0.6, 1.2)
LONGEST_PX = 900
# One sigma of logarithms: exposure, gains of red and blue, contrast, saturation
EXPOSURE, WHITE_BALANCE, GAMMA, SATURATION = 0.3, 0.06, 0.08, 0.12
MOST_NOISE = 2.5  # eight-bit steps
QUALITY = (55, 96)  # of the JPEG


def changed_copy(rgb: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A photo, shape (h, w, 3), cropped, scaled, developed otherwise and through a JPEG.

    It is not turned or mirrored: no feature knows of that.
    """
    height, width = rgb.shape[:2]
    if rng.random() < CROPPED:
        keep_y, keep_x = rng.uniform(LEAST_KEPT, 1.0, 2)
        top = int(rng.uniform(0.0, 1.0 - keep_y) * height)
        left = int(rng.uniform(0.0, 1.0 - keep_x) * width)
        rgb = rgb[top : top + int(keep_y * height), left : left + int(keep_x * width)]
    scale = float(np.exp(rng.uniform(*np.log(SCALES)))) * min(1.0, LONGEST_PX / max(rgb.shape))
    size = max(32, round(rgb.shape[1] * scale)), max(32, round(rgb.shape[0] * scale))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    small = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=method)
    light = linear_light(small.astype(np.float32) / np.float32(255.0))
    gains = np.exp(rng.normal(0.0, WHITE_BALANCE, 3))
    gains *= np.exp(rng.normal(0.0, EXPOSURE)) / gains[1]
    light = np.clip(light * gains.astype(np.float32), 0.0, 1.0)
    shown = np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1.0 / 2.4) - 0.055
    )
    shown **= np.float32(np.exp(rng.normal(0.0, GAMMA)))
    grey = shown.mean(axis=2, keepdims=True)
    shown = grey + (shown - grey) * np.float32(np.exp(rng.normal(0.0, SATURATION)))
    noise = rng.normal(0.0, rng.uniform(0.0, MOST_NOISE), shown.shape)
    stored = np.clip(255.0 * shown + noise, 0.0, 255.0).astype(np.uint8)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*QUALITY))]
    encoded = cv2.imencode(".jpg", stored[..., ::-1], quality)[1]
    again = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert again is not None
    return np.asarray(again[..., ::-1], np.uint8)
