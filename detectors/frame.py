"""Input frames of light and star detectors: masks, clipped areas and flags."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.background import (
    as_float_image,
    lift_above_zero,
    mask_ignored_pixels,
    read_clipped_map,
)
from detectors.types import (
    BoolImage,
    FloatArray,
    FloatImage,
    IndexArray,
    PointFlag,
    StarDetections,
)

SHORTEST_SIDE_PX = 8
RIM = np.ones((3, 3), np.uint8)  # of one pixel
RIM_PX = 1  # the rim of a clipped area is bright due to blur, not due to another light


@dataclass(frozen=True, kw_only=True)
class StarFrame:
    """An image with its masks of ignored and clipped pixels."""

    light: FloatImage  # (h, w): linear light
    # (h, w): pixels that are masked, not finite, or in clipped areas too large for a star
    ignored: BoolImage
    clipped: BoolImage  # (h, w): clipped pixels
    areas: ClippedAreas  # connected areas of clipped pixels

    @classmethod
    def of(
        cls,
        light: NDArray[np.generic],
        mask: BoolImage | None,
        saturated: NDArray[np.generic] | None,
    ) -> StarFrame:
        """Prepare an image; arguments as for `detectors.types.Detector.detect`.

        Raises ValueError if the image is not two-dimensional, or if the shape of mask or saturation
        differs from it.
        """
        image = as_float_image(light)
        ignored = mask_ignored_pixels(image, mask)
        # Clipped even without a saturation map: JPEG compression spreads a clipped plateau over its
        # last few values
        clipped = ((image >= 0.97) | read_clipped_map(saturated, image)) & ~ignored
        areas = ClippedAreas.of(clipped)
        # Clipped areas longer than 40 px are not stars but the Moon, lamps of the Station or
        # captions. Sirius is about 25 px in exposures of seconds
        ignored |= areas.larger_than(20.0)
        image = lift_above_zero(image, ignored)
        image = np.where(ignored, np.float32(0.0), image) if ignored.any() else image
        return cls(light=image, ignored=ignored, clipped=clipped & ~ignored, areas=areas)

    def part(self, rows: slice, cols: slice) -> StarFrame:
        """Cut out a rectangle of the frame."""
        clipped = np.ascontiguousarray(self.clipped[rows, cols])
        return StarFrame(
            light=np.ascontiguousarray(self.light[rows, cols]),
            ignored=np.ascontiguousarray(self.ignored[rows, cols]),
            clipped=clipped,
            areas=ClippedAreas.of(clipped),
        )

    @cached_property
    def usable(self) -> BoolImage:
        """Mask of pixels that are neither ignored nor clipped."""
        return ~(self.ignored | self.clipped)

    @cached_property
    def is_blank(self) -> bool:
        """Whether detection is impossible: too small, all ignored, or all pixels equal."""
        if min(self.light.shape) < SHORTEST_SIDE_PX or self.ignored.all():
            return True
        brightest = np.max(self.light, initial=-np.inf, where=~self.ignored)
        return bool(brightest == self.darkest)

    @cached_property
    def darkest(self) -> float:
        """Light of the darkest pixel that is not ignored."""
        return float(np.min(self.light, initial=np.inf, where=~self.ignored))

    def flags(
        self, x: FloatArray, y: FloatArray, fwhm_px: FloatArray, *, trail_length_px: float = 0.0
    ) -> NDArray[np.uint8]:
        """Compute flags (`detectors.types.PointFlag`) of stars inside the image."""
        flags = flag_lights(x, y, 0.5 * (fwhm_px + trail_length_px), self.ignored, self.clipped)
        if trail_length_px > 0.0:
            flags |= np.uint8(PointFlag.TRAILED)
        return flags


class StarMethod(ABC):
    """Base class of detectors that find stars in a `StarFrame`."""

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StarDetections:
        """Find the stars of an image; see `detectors.types.Detector`."""
        frame = StarFrame.of(light, mask, saturated)
        return StarDetections.empty() if frame.is_blank else self.find_in(frame)

    @abstractmethod
    def find_in(self, frame: StarFrame) -> StarDetections:
        """Find the stars of a frame that is not blank."""


@dataclass(frozen=True, kw_only=True)
class ClippedAreas:
    """Connected areas of clipped pixels including a rim; label 0 is the background."""

    labels: NDArray[np.int32]
    half_sides_px: FloatArray

    @classmethod
    def of(cls, clipped: BoolImage) -> ClippedAreas:
        """Label the clipped pixels of an image."""
        if not clipped.any():
            return cls(labels=np.zeros(clipped.shape, np.int32), half_sides_px=np.zeros(1))
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            cv2.dilate(clipped.astype(np.uint8), RIM)
        )
        sides = np.maximum(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
        half = 0.5 * sides.astype(float) - RIM_PX
        half[0] = 0.0
        return cls(labels=np.asarray(labels, np.int32), half_sides_px=half)

    def half_side_px(self, row: IndexArray, col: IndexArray) -> FloatArray:
        """Half of the longer side of the clipped area at given pixels; 0 outside areas."""
        return self.half_sides_px[self.labels[row, col]]

    def larger_than(self, half_side_px: float) -> BoolImage:
        """Mask areas with half of the longer side larger than a limit."""
        large = self.half_sides_px > half_side_px
        if not large.any():
            return np.zeros(self.labels.shape, bool)
        return large[self.labels]


def flag_lights(
    x: FloatArray, y: FloatArray, radius_px: FloatArray, ignored: BoolImage, clipped: BoolImage
) -> NDArray[np.uint8]:
    """Compute flags (`detectors.types.PointFlag`) of lights inside an image."""
    h, w = ignored.shape
    row, col = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    saturated = cv2.dilate(clipped.astype(np.uint8), RIM)[row, col] > 0
    to_border = np.minimum.reduce([x, y, w - 1 - x, h - 1 - y])
    if ignored.any():
        to_ignored = cv2.distanceTransform((~ignored).astype(np.uint8), cv2.DIST_L2, 3)
        to_border = np.minimum(to_border, to_ignored[row, col] - 1.0)
    edge = to_border < radius_px
    blended = np.zeros(x.size, bool)
    if x.size > 1:
        places = np.column_stack([x, y])
        gap, nearest = cKDTree(places).query(places, k=2)
        # Two lights are blended if they are closer than twice the sum of their half-light radii:
        # the light of each has then fallen to 1/16 half-way between them
        reach = 2.0 * (radius_px + radius_px[nearest[:, 1]])
        blended = gap[:, 1] < reach
    return (
        saturated * np.uint8(PointFlag.SATURATED)
        + edge * np.uint8(PointFlag.EDGE)
        + blended * np.uint8(PointFlag.BLENDED)
    ).astype(np.uint8)
