"""The largest bright patch: how large, how round, how sharp its rim, what glows around it.

Speaks for moon (round or a crescent, sharp rim, on black), for the Sun (clipped, halo, rays), for
lightning (rough, bluish, soft rim) and for windows and port-holes (large, with structure inside).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regengine.scene.picture import ScenePicture

VERSION = 1
MEANING = {
    "disc_area": "log area of the largest bright patch; day and inside large, Moon and Sun small",
    "disc_share": "its share of all bright pixels: Moon, Sun and one storm high, cities low",
    "disc_round": "its area over that of the circle around it; Moon and port-holes near 1",
    "disc_solid": "its area over that of its convex hull; crescents and storms below 1",
    "disc_arc": "share of its outline on the circle around it; Moon high even as a crescent",
    "disc_rim": "how sharply its light ends; Moon sharp, lightning and Sun soft",
    "disc_halo": "light around it against its own; Sun and lightning high, Moon none",
    "disc_dark_around": "share of the frame beyond its surroundings that is dark; Moon near 1",
    "disc_clipped": "share of it that is clipped; Sun high",
}
BRIGHT = 0.5  # of the brightest thousandth, as displayed
LEAST_BRIGHT = 0.1
DARK = 0.1
CLIPPED = 0.97


def measure(picture: ScenePicture) -> dict[str, float]:
    """Features of the largest bright patch, see `MEANING`."""
    import cv2

    value = picture.half.brightest
    if min(value.shape) < 8:
        return dict.fromkeys(MEANING, 0.0)
    smooth = np.asarray(
        cv2.GaussianBlur(value, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE), np.float32
    )
    rank = len(value.ravel()) * 999 // 1000
    top = float(np.partition(smooth, rank, axis=None)[rank])
    if top < LEAST_BRIGHT:
        return dict.fromkeys(MEANING, 0.0)
    bright = (smooth > BRIGHT * top).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=8)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    patch = labels == largest
    area = float(stats[largest, cv2.CC_STAT_AREA])
    features = _shape(patch, area)
    features |= _light(smooth, patch, top)
    features["disc_area"] = float(np.log10(area / value.size))
    features["disc_share"] = area / float(bright.sum())
    return {name: float(features[name]) for name in MEANING}


def _shape(patch: NDArray[np.bool_], area: float) -> dict[str, float]:
    import cv2

    contours, _ = cv2.findContours(patch.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(contours, key=len)
    hull = cv2.convexHull(outline)
    centre, radius = cv2.minEnclosingCircle(hull)
    away = np.hypot(*(outline[:, 0].astype(float) - centre).T)
    # One pixel of rounding, and what a blurred rim wobbles
    on_circle = float(np.mean(away > radius * 0.96 - 1.0))
    # Contours run through pixel centres: half a pixel more on every side
    hull_area = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1.0
    return {
        "disc_round": min(1.0, area / (np.pi * (radius + 0.5) ** 2)),
        "disc_solid": min(1.0, area / hull_area),
        # In patches of a few pixels everything lies on the circle
        "disc_arc": on_circle * min(1.0, radius / 6.0),
    }


def _light(smooth: NDArray[np.float32], patch: NDArray[np.bool_], top: float) -> dict[str, float]:
    import cv2

    size = float(np.sqrt(patch.sum() / np.pi))
    reach = int(np.clip(size, 2, 24))
    mask = patch.astype(np.uint8)
    square = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near = cv2.dilate(mask, square).astype(bool)
    close = cv2.dilate(mask, np.ones((5, 5), np.uint8)).astype(bool)
    rim = close & ~patch
    within = smooth[patch]
    around, far = smooth[near & ~close], smooth[~near]
    return {
        "disc_rim": 1.0 - float(smooth[rim].mean()) / (BRIGHT * top) if rim.any() else 0.0,
        "disc_halo": float(around.mean()) / top if around.size else 1.0,
        "disc_dark_around": float(np.sum(far < DARK)) / smooth.size,
        "disc_clipped": float(np.mean(within > CLIPPED)),
    }
