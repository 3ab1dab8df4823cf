"""What one frame of a sequence shows and its neighbours do not: frames laid over each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import BoolImage, FloatArray, FloatImage

# Registered are frames with so many points in common; frames of other places have fewer than 15
MIN_INLIERS = 40
RATIO = 0.8  # of the nearest descriptor's distance to that of the next one (Lowe 2004)
INLIER_PX = 3.0
# A homography leaves the sphere and what stands nearer than the ground: a smooth flow mends them
FLOW_MEDIAN_PX, FLOW_SIGMA_PX = 5, 12.0
# What hardly moves where the ground moves by more than this: the station's structure, and what a
# player or an editor drew into the frame
MIN_MOVED_PX = 5.0
STILL_SHARE = 0.25  # of the ground's way
STILL_REACH_PX, STILL_GAP_PX = 24, 101  # about such a point, and between two of one thing


@dataclass(frozen=True, kw_only=True)
class LaidOver:
    """A neighbour as it would look from where its frame was taken."""

    levels: FloatImage  # (h, w, 3): its colours at the frame's pixels, in the frame's gain
    valid: BoolImage  # (h, w): where it shows the same ground
    still: BoolImage  # (h, w): what stands still in both frames, so is no ground


def lay_over(
    levels: FloatImage, neighbour: FloatImage, ignored: BoolImage, ignored_there: BoolImage
) -> LaidOver | None:
    """Lay a neighbour over a frame: points, a homography, and a smooth flow on top.

    `levels`, `neighbour` (h, w, 3): display levels, 0 to 255; `ignored`, `ignored_there` (h, w):
    sky, structure and captions of each. None if they have too little in common.
    """
    height, width = ignored.shape
    here, there = _even_contrast(levels), _even_contrast(neighbour)
    sift = cv2.SIFT.create(nfeatures=4000)
    points, words = sift.detectAndCompute(here, (~ignored).astype(np.uint8))
    others, other_words = sift.detectAndCompute(there, (~ignored_there).astype(np.uint8))
    if len(points) < MIN_INLIERS or len(others) < MIN_INLIERS:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(words, other_words, k=2)
    good = [two[0] for two in pairs if len(two) == 2 and two[0].distance < RATIO * two[1].distance]
    if len(good) < MIN_INLIERS:
        return None
    at = np.array([points[match.queryIdx].pt for match in good])
    to = np.array([others[match.trainIdx].pt for match in good])
    homography, inlier = cv2.findHomography(at, to, cv2.RANSAC, INLIER_PX)
    if homography is None or int(inlier.sum()) < MIN_INLIERS:
        return None
    still = _find_still_parts(at, to, np.asarray(homography), (height, width))
    x, y = np.meshgrid(np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64))
    moved = cv2.perspectiveTransform(np.stack([x, y], axis=-1), homography)
    warped = _remap(there, moved)
    flow: NDArray[Any] = np.zeros((height, width, 2), np.float32)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(here, warped, flow)
    for axis in (0, 1):
        plain = cv2.medianBlur(np.ascontiguousarray(flow[..., axis]), FLOW_MEDIAN_PX)
        flow[..., axis] = cv2.GaussianBlur(plain, (0, 0), FLOW_SIGMA_PX)
    # A pixel shows there what lies at the place that the flow leads to, seen through the homography
    path = cv2.perspectiveTransform(np.stack([x, y], axis=-1) + flow, homography)
    outside = cv2.remap(
        ignored_there.astype(np.uint8), *_split_path(path), cv2.INTER_NEAREST, borderValue=1
    )
    valid = np.asarray(outside == 0) & ~still
    laid = _remap(neighbour, path)
    fitted = valid & ~ignored
    if not fitted.any():
        return None
    for channel in range(3):
        laid[..., channel] = _match_gain(levels[..., channel], laid[..., channel], fitted)
    return LaidOver(levels=laid, valid=valid, still=still)


def _even_contrast(levels: FloatImage) -> NDArray[np.uint8]:
    """Grey of a frame with local contrast evened (CLAHE: Zuiderveld 1994)."""
    grey = np.clip(levels.mean(axis=2), 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.createCLAHE(clipLimit=4.0, tileGridSize=(8, 8)).apply(grey), np.uint8)


def _split_path(path: NDArray[Any]) -> tuple[FloatImage, FloatImage]:
    return path[..., 0].astype(np.float32), path[..., 1].astype(np.float32)


def _remap(picture: NDArray[Any], path: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(
        cv2.remap(picture, *_split_path(path), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def _find_still_parts(
    at: FloatArray, to: FloatArray, homography: FloatArray, shape: tuple[int, int]
) -> BoolImage:
    """Where points of both frames lie near one pixel although the ground there has moved on."""
    ground = cv2.perspectiveTransform(at[:, None], homography)[:, 0]
    way = np.hypot(*(ground - at).T)
    stands = (np.hypot(*(to - at).T) < STILL_SHARE * way) & (way > MIN_MOVED_PX)
    mask = np.zeros(shape, np.uint8)
    for x, y in np.rint(at[stands]).astype(int):
        cv2.circle(mask, (int(x), int(y)), STILL_REACH_PX, 1, -1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (STILL_GAP_PX, STILL_GAP_PX))
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc) > 0)


def _match_gain(channel: FloatImage, other: FloatImage, fitted: BoolImage) -> FloatImage:
    """Another frame's channel in the gain and offset of this one's, by their quantiles."""
    shares = np.linspace(0.02, 0.98, 49)
    there, here = np.quantile(other[fitted], shares), np.quantile(channel[fitted], shares)
    if np.ptp(there) == 0.0:
        return other
    slope, offset = np.polyfit(there, here, 1)
    return np.asarray(slope * other + offset, np.float32)
