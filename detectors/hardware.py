"""Station hardware in front of the ground, by its long straight edges.

Lamps, streets, coasts and clouds make no straight edge over a tenth of a picture; solar panels,
trusses, arms and window frames do. Their edges are masked, and what lies between edges that run
side by side.

References
----------
Grompone von Gioi, R., Jakubowicz, J., Morel, J.-M., Randall, G. (2012). LSD: a line segment
detector. Image Processing On Line 2, 35-55.
"""

from __future__ import annotations

import cv2
import numpy as np

from detectors.types import BoolImage, FloatArray, FloatImage

WORKING_PX = 640
# Shorter segments are found along roads and coasts: none of this length on Osaka and Nagoya
LEAST_LENGTH = 0.1  # of the long side
STRIP_PX = 5  # half width of what is masked along an edge, working pixels
SKY_RIM_PX = 25  # the limb's glow reaches this far below it, working pixels
# Edges that run side by side: the two of a truss, the rows of a panel
SAME_DIRECTION_DEG = 6.0
FARTHEST_APART = 0.2  # of the long side
LEAST_OVERLAP = 0.3  # of the shorter one
FEWEST_SIDE_BY_SIDE = 3
# Range of brightness that the detector sees: quantiles of the logarithm
SHOWN = (0.02, 0.998)


def hardware_mask(light: FloatImage, sky: BoolImage | None = None) -> BoolImage:
    """Station hardware and rims of windows, where straight edges give them away.

    Parameters
    ----------
    light : ndarray of float32, shape (h, w)
        Linear luminance, 0 to 1.
    sky : ndarray of bool, shape (h, w), optional
        What is known to be sky: the limb is no hardware, and what lies above it is masked anyway.

    Returns
    -------
    ndarray of bool, shape (h, w)
    """
    height, width = light.shape
    scale = min(1.0, WORKING_PX / max(height, width))
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    small = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)
    segments = straight_edges(small)
    if sky is not None and len(segments):
        segments = segments[~in_sky(segments, sky, size)]
    mask = np.zeros(small.shape, np.uint8)
    for x1, y1, x2, y2 in np.round(segments).astype(int):
        cv2.line(mask, (int(x1), int(y1)), (int(x2), int(y2)), 1, 2 * STRIP_PX + 1)
    for group in side_by_side(segments, float(max(small.shape))):
        corners = segments[group].reshape(-1, 2).astype(np.float32)
        cv2.fillConvexPoly(mask, np.round(cv2.convexHull(corners)).astype(np.int32), 1)
    if not mask.any():
        return np.zeros(light.shape, bool)
    return np.asarray(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST), bool)


def in_sky(segments: FloatArray, sky: BoolImage, size: tuple[int, int]) -> BoolImage:
    """Which edges lie in the sky or along its rim, by their middles and ends."""
    wide = cv2.resize(sky.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    wide = cv2.dilate(wide, np.ones((SKY_RIM_PX, SKY_RIM_PX), np.uint8))
    part = np.array([0.0, 0.5, 1.0])
    x = segments[:, :1] + part * (segments[:, 2:3] - segments[:, :1])
    y = segments[:, 1:2] + part * (segments[:, 3:] - segments[:, 1:2])
    column = np.clip(np.round(x), 0, size[0] - 1).astype(int)
    row = np.clip(np.round(y), 0, size[1] - 1).astype(int)
    return np.asarray((wide[row, column] > 0).sum(axis=1) >= 2)


def straight_edges(light: FloatImage) -> FloatArray:
    """Long straight edges of a picture."""
    logarithm = np.log(light + 0.3 * float(np.median(light)) + 2e-4)
    low, high = np.quantile(logarithm, SHOWN)
    if high - low < 1e-6:
        return np.zeros((0, 4))
    grey = np.clip((logarithm - low) / (high - low) * 255.0, 0.0, 255.0).astype(np.uint8)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_ADV).detect(grey)[0]
    if found is None:
        return np.zeros((0, 4))
    segments = np.asarray(found, float).reshape(-1, 4)
    length = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
    return segments[length >= LEAST_LENGTH * max(light.shape)]


def side_by_side(segments: FloatArray, long_side_px: float) -> list[list[int]]:
    """Indices of groups of three or more edges that run side by side."""
    groups: list[list[int]] = []
    for index in range(len(segments)):
        near = [
            g
            for g in groups
            if any(neighbours(segments[index], segments[k], long_side_px) for k in g)
        ]
        groups = [g for g in groups if g not in near]
        groups.append([index, *(k for g in near for k in g)])
    return [g for g in groups if len(g) >= FEWEST_SIDE_BY_SIDE]


def neighbours(first: FloatArray, second: FloatArray, long_side_px: float) -> bool:
    """Whether two edges have the same direction, overlap along it and are not far apart."""
    along = first[2:] - first[:2]
    length = float(np.hypot(*along))
    along = along / length
    across = np.array([-along[1], along[0]])
    other = second[2:] - second[:2]
    other_length = float(np.hypot(*other))
    turn = np.degrees(np.arcsin(min(1.0, abs(float(across @ other)) / other_length)))
    if turn > SAME_DIRECTION_DEG:
        return False
    ends = (second.reshape(2, 2) - first[:2]) @ along
    overlap = min(length, float(ends.max())) - max(0.0, float(ends.min()))
    apart = abs(float((0.5 * (second[:2] + second[2:]) - first[:2]) @ across))
    return bool(
        overlap >= LEAST_OVERLAP * min(length, other_length)
        and apart <= FARTHEST_APART * long_side_px
    )
