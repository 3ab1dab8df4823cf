"""How much detail a picture has at which size, and how it is spread.

Speaks for day (much, everywhere, at all sizes), for cities (few sharp peaks above a smooth ground),
for moonlit cloud (soft: little at small sizes) and for empty nights (grain alone). Measured from
half size downwards: what is smaller depends on the camera and on how often the photo was saved.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture

VERSION = 1
MEANING = {
    "texture_band_2px": "log contrast of details of about 2 px at half size; grain, lamps, land",
    "texture_band_8px": "log contrast of details of about 8 px; cloud, windows, hardware",
    "texture_slope": "growth of contrast with size; soft frames high, webs and grain low",
    "texture_bend": "whether middle sizes stand out of that growth: cloud fields, crops",
    "texture_peaks": "how far fine contrast exceeds the usual one in few places: lamps, stars",
    "texture_upward": "whether the strongest fine details are bright (lamps) or dark (gaps)",
    "texture_flat": "share of blocks without contrast: sky, space, dark nights",
    "texture_busy": "root of the share of blocks of strong contrast; inside, hardware, cloud",
    "texture_uneven": "log ratio of busy to quiet blocks' contrast; night with cities high",
    "texture_grain": "log contrast within the quiet blocks: a sensor's noise at night",
}
BLOCK_PX = 8
# One eight-bit step: contrasts below are rounding
FLOOR = 1.0 / 255.0
# Blocks count in full below the first and above twice the second, in part up to twice and from once
FLAT = 1.5 / 255.0
BUSY = 13.0 / 255.0


def measure(picture: ScenePicture) -> dict[str, float]:
    """Features of texture, see `MEANING`."""
    value = picture.half.lightness
    if min(value.shape) < 2 * BLOCK_PX:
        return dict.fromkeys(MEANING, 0.0)
    bands = _bands(value)
    spread = np.array([_log(float(np.std(band))) for band in bands])
    steps = np.arange(len(bands)) - (len(bands) - 1) / 2.0
    blocks = np.sort(_block_contrast(bands[0] + bands[1]))
    quiet, busy = blocks[len(blocks) // 10], blocks[len(blocks) * 9 // 10]
    fine = np.sort(bands[1], axis=None)
    low, high = _ends(fine)
    return {
        "texture_band_2px": spread[0],
        "texture_band_8px": spread[2],
        "texture_slope": float(steps @ spread / (steps @ steps)),
        "texture_bend": float(spread[1:3].mean() - spread[[0, 3]].mean()),
        "texture_peaks": _peakedness(fine),
        "texture_upward": (high - low) / (high + low + FLOOR),
        "texture_flat": float(np.mean(np.clip(2.0 - blocks / FLAT, 0.0, 1.0))),
        "texture_busy": float(np.sqrt(np.mean(np.clip(blocks / BUSY - 1.0, 0.0, 1.0)))),
        "texture_uneven": _log(float(busy)) - _log(float(quiet)),
        "texture_grain": _log(float(quiet)),
    }


def _bands(value: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Differences of Gaussians, an octave each; the coarser ones at a quarter of the size."""
    import cv2

    def smooth(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
        blurred = cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred, np.float32)

    first = smooth(value, 1.0)
    second = smooth(first, 1.7)
    height, width = ((side + 1) // 2 for side in value.shape)
    small = np.asarray(
        cv2.resize(second, (width, height), interpolation=cv2.INTER_AREA), np.float32
    )
    third = smooth(small, 1.7)
    fourth = smooth(third, 3.4)
    return [value - first, first - second, small - third, third - fourth]


def _block_contrast(detail: NDArray[np.float32]) -> NDArray[np.float64]:
    """Root mean square of fine detail in blocks; what is left over at the borders, evenly cut."""
    height, width = (side // BLOCK_PX * BLOCK_PX for side in detail.shape)
    top, left = (detail.shape[0] - height) // 2, (detail.shape[1] - width) // 2
    squares = np.square(detail[top : top + height, left : left + width], dtype=np.float64)
    mean = squares.reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    return np.asarray(np.sqrt(mean.mean(axis=(1, 3)))).ravel()


def _ends(ordered: NDArray[np.float32]) -> tuple[float, float]:
    """How far the lowest and the highest of a thousand reach from zero."""
    reach = max(1, len(ordered) // 500)
    return -float(ordered[:reach].mean()), float(ordered[-reach:].mean())


def _peakedness(ordered: NDArray[np.float32]) -> float:
    """Log ratio of the extremes to the middle half's spread: 0.6 for Gaussian noise."""
    low, high = _ends(ordered)
    quarter = len(ordered) // 4
    middle = float(ordered[-quarter] - ordered[quarter])
    return _log((low + high) / 2.0) - _log(middle)


def _log(value: float) -> float:
    return float(np.log10(value + FLOOR / 4.0))
