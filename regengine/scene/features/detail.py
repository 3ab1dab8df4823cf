"""Detail features: small bright sources, and the amount of detail at each size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture, linear_light

POINTS = {
    "points_count": "log number of bright peaks; cities and stars high, empty nights low",
    "points_bright_only": "high peaks against as deep holes; lamps and stars near 1, land near 0",
    "points_strong": "log number of peaks a fifth of the brightness range high; lamps of cities",
    "points_contrast": "log number of peaks that far outshine their surroundings; cities, stars",
    "points_wide": "root of the share of cells that have such a peak; lightning low, cities high",
    "points_slope": "mean log of peak heights over the threshold; lamps reach far above",
    "points_extended": "median width of peaks; lightning and soft cloud wide, stars narrow",
    "points_common_direction": "how far peaks are drawn out along one direction: trails",
    "points_light": "share of all light above its surroundings in the peaks",
    "points_excess": "share of all light that stands above the darkest nearby; cities, day low",
    "points_web": "share of bright detail's light in thin parts: roads high, lightning's blobs low",
    "points_patches": "log number of patches of bright detail; cities high",
    "points_warm_area": "log share of the frame with warm bright detail: cities, even under cloud",
    "points_clipped": "root of the share of bright detail that is clipped: lightning",
}
FINE_CELLS = 16
CLIPPED = 0.97
WARM_DETAIL = 0.15  # brightness above the surroundings, as displayed
MAX_LIGHT = 0.5  # linear
CORE_PX, AROUND_PX = 0.8, 3.0
MIN_HEIGHT = 10.0 / 255.0  # as displayed: lower peaks may be compression artefacts
MIN_ABOVE = 1e-4  # over its neighbours, beyond rounding
MAX_PEAKS = 500  # that are measured individually, the strongest

FloatImage = NDArray[np.float32]
TEXTURE = {
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
# One eight-bit step: lower contrasts are rounding
FLOOR = 1.0 / 255.0
# Blocks count in full below the first and above twice the second, and in part up to twice the first
# and from the second
FLAT = 1.5 / 255.0
BUSY = 13.0 / 255.0


def measure_points(picture: ScenePicture) -> dict[str, float]:
    """Point features: number, size and shape of small bright sources.

    Supports cities (many, merged into webs) and stars (many, small); evidence against lightning and
    moonlit cloud (few large blobs). Fast detection: peaks of a difference of Gaussians above the
    noise, on the brightest channel as displayed.
    """
    value = picture.scene.brightest
    if min(value.shape) < 16:
        return dict.fromkeys(POINTS, 0.0)
    core, around = (
        np.asarray(
            cv2.GaussianBlur(value, (0, 0), sigma_px, borderType=cv2.BORDER_REPLICATE), np.float32
        )
        for sigma_px in (CORE_PX, AROUND_PX)
    )
    detail = core - around
    # The noise is estimated from the quietest fifth, because roads may cover the rest. Its limit is
    # 0.2533 sigma
    quiet = np.sort(np.abs(detail[1::3, 1::3]), axis=None)
    noise = float(quiet[len(quiet) // 5]) / 0.2533
    threshold = float(np.clip(6.0 * noise, MIN_HEIGHT, 0.1))
    # Higher than all eight neighbours: on a straight edge, pixels are equal
    ring = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    peak = (detail > cv2.dilate(detail, ring) + MIN_ABOVE) & (detail > threshold)
    hole = (detail < cv2.erode(detail, ring) - MIN_ABOVE) & (detail < -threshold)
    rows, columns = np.nonzero(peak)
    count, heights, depths = len(rows), detail[rows, columns], -detail[hole]
    # Gaps between lamps are also holes, but shallow ones
    high_from = 0.5 * float(np.quantile(np.append(heights, depths), 0.9)) if count else threshold
    high, deep = int(np.sum(heights > high_from)), int(np.sum(depths > high_from))
    strongest = np.argsort(-heights, kind="stable")[:MAX_PEAKS]
    rows, columns, heights = rows[strongest], columns[strongest], heights[strongest]
    contrast = heights / (around[rows, columns] + 0.05) > 0.6
    height, width = detail.shape
    cells = np.unique(
        (2 * rows[contrast] + 1) * FINE_CELLS // (2 * height) * FINE_CELLS
        + (2 * columns[contrast] + 1) * FINE_CELLS // (2 * width)
    )
    features: dict[str, float] = {
        "points_count": np.log10(1.0 + count),
        "points_strong": np.log10(1.0 + np.sum(heights > 0.2)),
        "points_contrast": np.log10(1.0 + np.sum(contrast)),
        "points_wide": np.sqrt(len(cells)) / FINE_CELLS,
        # Three of each sign are added as a neutral prior
        "points_bright_only": (high - deep) / (high + deep + 6.0),
        "points_slope": np.log(heights / threshold).sum() / (len(heights) + 3.0),
        **_shapes(rows, columns, heights, core, detail),
        **_patches(picture.half.brightest, threshold),
    }
    peaked = value[detail > threshold]
    features["points_light"] = float(peaked @ peaked) / (float(value.ravel() @ value.ravel()) + 1.0)
    # Light above the dark ground, and the coincidence of local brightness and warmth; clipped: a
    # single flash must not dominate the frame
    clipped = np.minimum(linear_light(picture.half.brightest), np.float32(MAX_LIGHT))
    smooth = cv2.GaussianBlur(clipped, (0, 0), 0.7, borderType=cv2.BORDER_REPLICATE)
    ground = cv2.blur(cv2.erode(smooth, np.ones((7, 7), np.uint8)), (7, 7))
    mean_and_warmth = np.array([[1 / 3, 1 / 3, 1 / 3], [1, 0, -1]], np.float32)
    both = cv2.transform(picture.half.rgb, mean_and_warmth)
    light, warmth = cv2.split(both - cv2.blur(both, (11, 11), borderType=cv2.BORDER_REPLICATE))
    excess = float((clipped - ground).sum()) / (float(clipped.sum()) + clipped.size * 1e-3)
    warm = np.count_nonzero((light > WARM_DETAIL) & (warmth > 0.6 * WARM_DETAIL)) / light.size
    features |= {"points_excess": excess, "points_warm_area": np.log10(warm + 1e-4)}
    return {name: float(features[name]) for name in POINTS}


def _shapes(
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    heights: FloatImage,
    core: FloatImage,
    detail: FloatImage,
) -> dict[str, float]:
    """Widths from the ratio of height and curvature; directions from structure tensors."""
    if len(rows) < 3:
        return {"points_extended": 0.0, "points_common_direction": 0.0}
    curvature = -cv2.Laplacian(core, cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REPLICATE)
    width = np.sqrt(heights / np.maximum(curvature[rows, columns], heights / 30.0))
    # Windows around the peaks; border pixels are replicated
    reach = np.arange(-4, 5)
    down = np.clip(rows[:, None] + reach, 0, detail.shape[0] - 1)
    across = np.clip(columns[:, None] + reach, 0, detail.shape[1] - 1)
    window = detail[down[:, :, None], across[:, None, :]]
    gx = (window[:, 1:-1, 2:] - window[:, 1:-1, :-2]).reshape(len(window), -1)
    gy = (window[:, 2:, 1:-1] - window[:, :-2, 1:-1]).reshape(len(window), -1)
    turned = gx + 1j * gy
    twice = (turned**2).sum(axis=1) / (np.square(np.abs(turned)).sum(axis=1) + 1e-9)
    return {"points_extended": np.median(width), "points_common_direction": np.abs(twice.mean())}


def _patches(value: FloatImage, threshold: float) -> dict[str, float]:
    """Areas brighter than their wide surroundings, at half size: thin or thick, one or many."""
    small = cv2.resize(value, None, fx=0.125, fy=0.125, interpolation=cv2.INTER_AREA)
    ground = cv2.blur(small, (9, 9), borderType=cv2.BORDER_REPLICATE)
    ground = cv2.resize(ground, value.shape[::-1], interpolation=cv2.INTER_LINEAR)
    above = value - ground
    bright = (above > np.float32(max(2.0 * threshold, 0.08))).astype(np.uint8)
    area = int(bright.sum())
    _, _, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    thick = cv2.erode(bright, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    thick = cv2.dilate(thick, np.ones((5, 5), np.uint8))
    light = float(above[bright > 0].sum())
    thick_light = float(above[(thick > 0) & (bright > 0)].sum())
    clipped = int(np.count_nonzero((value > CLIPPED) & (bright > 0)))
    return {
        # Some light and area are added as a neutral prior
        "points_web": 1.0 - (thick_light + 0.5) / (light + 1.0),
        "points_patches": np.log10(1.0 + np.sum(stats[1:, cv2.CC_STAT_AREA] >= 2)),
        "points_clipped": np.sqrt(clipped / (area + 5.0)),
    }


def measure_texture(picture: ScenePicture) -> dict[str, float]:
    """Texture features: amount of detail at each size, and its distribution.

    Supports day (much, everywhere, at all sizes), cities (few sharp peaks above a smooth ground),
    moonlit cloud (soft: little at small sizes) and empty nights (only grain). Measured from half
    size downwards: smaller detail depends on the camera and on how often the photo was saved.
    """
    value = picture.half.lightness
    if min(value.shape) < 2 * BLOCK_PX:
        return dict.fromkeys(TEXTURE, 0.0)

    def smooth(image: FloatImage, sigma_px: float) -> FloatImage:
        blurred = cv2.GaussianBlur(image, (0, 0), sigma_px, borderType=cv2.BORDER_REFLECT)
        return np.asarray(blurred, np.float32)

    # Differences of Gaussians, one per octave; the coarser ones at a quarter of the size
    first = smooth(value, 1.0)
    second = smooth(first, 1.7)
    size = (value.shape[1] + 1) // 2, (value.shape[0] + 1) // 2
    small = np.asarray(cv2.resize(second, size, interpolation=cv2.INTER_AREA), np.float32)
    third = smooth(small, 1.7)
    fourth = smooth(third, 3.4)
    bands = [value - first, first - second, small - third, third - fourth]
    spread = np.array([_log(float(np.std(band))) for band in bands])
    steps = np.arange(len(bands)) - (len(bands) - 1) / 2.0
    # Root mean square of fine detail in blocks; the remainder is cut evenly at the borders
    detail = bands[0] + bands[1]
    height, width = (side // BLOCK_PX * BLOCK_PX for side in detail.shape)
    top, left = (detail.shape[0] - height) // 2, (detail.shape[1] - width) // 2
    squares = np.square(detail[top : top + height, left : left + width], dtype=np.float64)
    mean = squares.reshape(height // BLOCK_PX, BLOCK_PX, width // BLOCK_PX, BLOCK_PX)
    blocks = np.sort(np.asarray(np.sqrt(mean.mean(axis=(1, 3)))).ravel())
    quiet, busy = blocks[len(blocks) // 10], blocks[len(blocks) * 9 // 10]
    fine = np.sort(bands[1], axis=None)
    # Distance from zero of the lowest and the highest thousandth; their log ratio to the spread of
    # the quartiles is 0.6 for Gaussian noise
    reach, quarter = max(1, len(fine) // 500), len(fine) // 4
    low, high = -float(fine[:reach].mean()), float(fine[-reach:].mean())
    middle = float(fine[-quarter] - fine[quarter])
    return {
        "texture_band_2px": spread[0],
        "texture_band_8px": spread[2],
        "texture_slope": float(steps @ spread / (steps @ steps)),
        "texture_bend": float(spread[1:3].mean() - spread[[0, 3]].mean()),
        "texture_peaks": _log((low + high) / 2.0) - _log(middle),
        "texture_upward": (high - low) / (high + low + FLOOR),
        "texture_flat": float(np.mean(np.clip(2.0 - blocks / FLAT, 0.0, 1.0))),
        "texture_busy": float(np.sqrt(np.mean(np.clip(blocks / BUSY - 1.0, 0.0, 1.0)))),
        "texture_uneven": _log(float(busy)) - _log(float(quiet)),
        "texture_grain": _log(float(quiet)),
    }


def _log(value: float) -> float:
    return float(np.log10(value + FLOOR / 4.0))
