"""What stands between the camera and the ground: window frames, and blank parts of a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
FloatArray = NDArray[np.float64]
BoolImage = NDArray[np.bool_]

WORKING_PX = 400
# Linear light of one and a half 8-bit sRGB steps: what is darker everywhere was filled in
BLANK_LIGHT = 1.5 / 255.0 / 12.92
LEAST_BLANK_SHARE = 0.004
BLANK_BORDER_PX = 4  # copies have thin lines drawn around them
RING_PX = 6
# About the bars and the corner of two real copies 0.1 to 0.3; about the clipped sea of a frame it
# must be far higher, since black goes on there
MOST_DARK_RING = 0.5
MOST_CORNERS = 6
# A bar or a corner is black all over; of a night sea with a town in it this share is lit
MOST_HOLES = 1e-3
# Lengths below in working pixels
LEAST_LINE_PX = 24.0
SIDES_PX = (2.0, 4.0)  # light is compared so far to both sides of a chord
LEAST_STEP = 0.012  # three 8-bit steps
LEAST_EDGED = 0.7  # share of a chord with such a step of one sign
LEAST_FRAME_SHARE, MOST_FRAME_SHARE = 0.004, 0.35
LIGHT_RISE = 0.06  # of a point of light above what is 4 px around, in compressed light
MOST_POINTS = 3e-4  # share of a frame's pixels that may be points of light: glints
MOST_TEXTURE = 0.5  # spread of light in a frame over the step at its edge
SKY_MARGIN_PX = 6
MOST_LINES = 60


def blank_parts(light: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Black bars, corners of turned copies and window frames without any light.

    Parameters
    ----------
    light : ndarray of float32, shape (h, w)
        Linear luminance, 0 to 1.

    Returns
    -------
    ndarray of bool, shape (h, w)
        Black areas at the border with outlines of few corners against what is not black, without
        any lights in them. The sea of a photo whose blacks were clipped is none: it is ragged, or
        holds the lights of a coast, and black goes on beyond.
    """
    height, width = light.shape
    black = (light < BLANK_LIGHT).astype(np.uint8)
    black = np.asarray(cv2.morphologyEx(black, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(black, connectivity=4)
    mask = np.zeros(light.shape, bool)
    for label in range(1, count):
        left, top, wide, high, area = stats[label].tolist()
        gap = min(left, top, width - left - wide, height - top - high)
        if area < LEAST_BLANK_SHARE * light.size or gap > BLANK_BORDER_PX:
            continue
        part = (labels == label).astype(np.uint8)
        if _plain_outline(part) and _dark_ring(part, light) < MOST_DARK_RING:
            mask |= cv2.dilate(part, np.ones((5, 5), np.uint8)) > 0
    return mask


def _plain_outline(part: NDArray[np.uint8]) -> bool:
    """Whether a polygon of few corners describes an area, and no lights lie in it."""
    outlines, _ = cv2.findContours(part, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    inside = cv2.drawContours(np.zeros_like(part), [outline], -1, 1, cv2.FILLED)
    if int((inside > part).sum()) > MOST_HOLES * int(part.sum()):
        return False
    return len(cv2.approxPolyDP(outline, 0.006 * max(part.shape), True)) <= MOST_CORNERS


def _dark_ring(part: NDArray[np.uint8], light: FloatImage) -> float:
    """Share of black pixels just outside an area."""
    near = cv2.dilate(part, np.ones((5, 5), np.uint8))
    side = 2 * RING_PX + 5
    ring = (cv2.dilate(part, np.ones((side, side), np.uint8)) > 0) & (near == 0)
    return float((light[ring] < BLANK_LIGHT).mean()) if ring.any() else 1.0


def window_frames(
    light: NDArray[np.float32], *, sky: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Parts cut off by a straight edge from border to border, without any points of light.

    Parameters
    ----------
    light : ndarray of float32, shape (h, w)
        Linear luminance, 0 to 1.
    sky : ndarray of bool, shape (h, w), optional
        What is known to be sky: the limb is no window frame.

    Returns
    -------
    ndarray of bool, shape (h, w)
    """
    height, width = light.shape
    scale = min(1.0, WORKING_PX / max(height, width))
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    small = cv2.resize(np.asarray(light, np.float32), size, interpolation=cv2.INTER_AREA)
    value = np.power(np.clip(small, 0.0, 1.0), np.float32(1.0 / 2.2))
    above = np.zeros(value.shape, bool)
    if sky is not None:
        above = cv2.resize(sky.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    points = cv2.morphologyEx(value, cv2.MORPH_TOPHAT, kernel) > LIGHT_RISE
    calm = np.asarray(cv2.medianBlur(value, 5), np.float32)
    mask = np.zeros(value.shape, bool)
    for line in straight_edges(value):
        part = _cut_off(calm, points, line, above)
        if part is not None:
            mask |= part
    full = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    return np.asarray(full > 0)


def straight_edges(value: FloatImage) -> FloatArray:
    """The longest straight edges of an image.

    Parameters
    ----------
    value : ndarray of float32, shape (h, w)
        Compressed light, 0 to 1.

    Returns
    -------
    ndarray, shape (n, 4)
        x1, y1, x2, y2 of the line segment detector.

    References
    ----------
    Grompone von Gioi, R. et al. (2012). LSD: a line segment detector. IPOL 2, 35-55.
    """
    brightest = max(float(np.percentile(value[::2, ::2], 99.5)), 0.05)
    image = (np.clip(value / brightest, 0.0, 1.0) * 255.0).astype(np.uint8)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(image)[0]
    if found is None:
        return np.zeros((0, 4))
    lines = np.asarray(found, float).reshape(-1, 4)
    length = np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])
    longest = np.argsort(length)[::-1][:MOST_LINES]
    return np.asarray(lines[longest[length[longest] >= LEAST_LINE_PX]])


def _cut_off(
    value: FloatImage, points: BoolImage, line: FloatArray, above: BoolImage
) -> BoolImage | None:
    """The smaller side of a line through the whole image, if that is a window frame."""
    height, width = value.shape
    along = (line[2:] - line[:2]) / np.hypot(*(line[2:] - line[:2]))
    across = np.array([-along[1], along[0]])
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    distance = (x - line[0]) * across[0] + (y - line[1]) * across[1]
    if (distance > 0).mean() > 0.5:
        distance, across = -distance, -across
    part = distance > -1.0
    within = distance > SIDES_PX[1]
    if not LEAST_FRAME_SHARE < within.mean() < MOST_FRAME_SHARE or not (part & ~above).any():
        return None
    if float(points[within].mean()) > MOST_POINTS:
        return None
    steps = _steps(value, line[:2], along, across, above)
    if len(steps) < LEAST_LINE_PX:
        return None
    sign = np.sign(np.median(steps))
    edged = steps * sign > LEAST_STEP
    inner = value[within]
    if edged.mean() < LEAST_EDGED:
        return None
    if float(np.percentile(inner, 90) - np.percentile(inner, 10)) > (
        MOST_TEXTURE * abs(float(np.median(steps)))
    ):
        return None
    return np.asarray(part)


def _steps(
    value: FloatImage, start: FloatArray, along: FloatArray, across: FloatArray, above: BoolImage
) -> FloatArray:
    """Light beyond a line less light before it, at each of its pixels clear of the limb."""
    height, width = value.shape
    way = np.arange(-np.hypot(height, width), np.hypot(height, width))
    places = start + way[:, None] * along
    margin = SIDES_PX[1] + 1.0
    inside = np.all(places > margin, axis=1) & np.all(
        places < np.array([width, height]) - 1.0 - margin, axis=1
    )
    places = places[inside]
    side = 2 * SKY_MARGIN_PX + 1
    ones = np.ones((side, side), np.uint8)
    rim = cv2.morphologyEx(above.astype(np.uint8), cv2.MORPH_GRADIENT, ones) > 0
    column, row = np.rint(places).astype(int).T
    places = places[~rim[row, column]]
    if len(places) == 0:
        return np.zeros(0)
    levels = []
    for sign in (1.0, -1.0):
        total = np.zeros(len(places))
        for away in SIDES_PX:
            where = (places + sign * away * across).astype(np.float32)
            total += cv2.remap(value, where[:, 0], where[:, 1], cv2.INTER_LINEAR).ravel()
        levels.append(total / len(SIDES_PX))
    return np.asarray(levels[0] - levels[1])
