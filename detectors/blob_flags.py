"""Clipped areas, and the flags that lights carry."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.types import FloatArray, LightFlag

BoolImage = NDArray[np.bool_]
IndexArray = NDArray[np.intp]
RIM_PX = 1  # a clipped area's rim is bright by blur, not by a light of its own
# Two lights are blended where they lie closer than this many times the sum of their radii: at
# half-light radii r the light of each has fallen to 1/16 half-way between them
BLENDED_RADII = 2.0


@dataclass(frozen=True, kw_only=True)
class ClippedAreas:
    """Connected clipped pixels with a rim; label 0 is none."""

    labels: NDArray[np.int32]
    half_sides_px: FloatArray

    @classmethod
    def of(cls, clipped: BoolImage) -> ClippedAreas:
        """Label the clipped pixels of an image."""
        if not clipped.any():
            return cls(labels=np.zeros(clipped.shape, np.int32), half_sides_px=np.zeros(1))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(_grown(clipped, RIM_PX))
        sides = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
        half = 0.5 * sides.astype(float) - RIM_PX
        half[0] = 0.0
        return cls(labels=np.asarray(labels, np.int32), half_sides_px=half)

    def half_side_px(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Half of the longer side of the clipped area at pixels; 0 outside."""
        return self.half_sides_px[self.labels[row, col]]

    def larger_than(self, half_side_px: float) -> BoolImage:
        """Pixels of areas of which half of the longer side exceeds this."""
        large = self.half_sides_px > half_side_px
        if not large.any():
            return np.zeros(self.labels.shape, bool)
        return large[self.labels]


def light_flags(
    x: FloatArray, y: FloatArray, radius_px: FloatArray, ignored: BoolImage, clipped: BoolImage
) -> NDArray[np.uint8]:
    """Bits of `detectors.types.LightFlag` of lights inside an image."""
    h, w = ignored.shape
    row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    saturated = _grown(clipped, 1)[row, col] > 0
    to_border = np.minimum.reduce([x, y, w - 1 - x, h - 1 - y])
    if ignored.any():
        to_ignored = cv2.distanceTransform((~ignored).astype(np.uint8), cv2.DIST_L2, 3)
        to_border = np.minimum(to_border, to_ignored[row, col] - 1.0)
    edge = to_border < radius_px
    blended = np.zeros(x.size, bool)
    if x.size > 1:
        places = np.column_stack([x, y])
        gap, nearest = cKDTree(places).query(places, k=2)
        reach = BLENDED_RADII * (radius_px + radius_px[nearest[:, 1]])
        blended = gap[:, 1] < reach
    return (
        saturated * np.uint8(LightFlag.SATURATED)
        + edge * np.uint8(LightFlag.EDGE)
        + blended * np.uint8(LightFlag.BLENDED)
    ).astype(np.uint8)


def _grown(mask: BoolImage, by_px: int) -> NDArray[np.uint8]:
    size = 2 * by_px + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)))
