"""Streaks as masks of pixels: drawn from their ends, counted pixel by pixel, found in a mask."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from regengine.evaluate.streak_scores import PIECE, as_rows, curve_points

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

REACH_PX = 3.0  # beside a mask, as beside a line
COVERED = 0.5  # of an object's length
SMALLEST = 0.1  # of the largest object: specks beside it are none that has to be found


@dataclass(frozen=True, kw_only=True)
class MaskScore:
    """Detections held against a mask.

    Attributes
    ----------
    wanted, found : int
        Objects of the mask, and those along which detections run for half of their length.
    outside : ndarray of bool, shape (M,)
        Detections of whose length less than half lies in the mask.
    """

    wanted: int
    found: int
    outside: BoolArray

    @property
    def detections(self) -> int:
        """Number of detections."""
        return int(self.outside.size)

    @property
    def false(self) -> int:
        """Detections of whose length less than half lies in the mask."""
        return int(self.outside.sum())


def streak_mask(shape: tuple[int, int], streaks: FloatArray, width_px: FloatArray) -> BoolArray:
    """Pixels whose centre lies within half the width of a streak.

    Parameters
    ----------
    shape : tuple of int
        Height and width.
    streaks : ndarray of float64, shape (N, 4 or 5)
        Ends, and bow if known.
    width_px : ndarray of float64, shape (N,)

    Returns
    -------
    ndarray of bool, shape (h, w)
    """
    mask = np.zeros(shape, bool)
    for row, width in zip(as_rows(streaks), width_px, strict=True):
        half = max(0.5 * float(width), 0.5)
        points = curve_points(row, 33 if row[4] else 2)
        for first, last in itertools.pairwise(points):
            low = np.maximum(np.floor(np.minimum(first, last) - half), 0).astype(int)
            high = np.ceil(np.maximum(first, last) + half).astype(int) + 1
            x, y = np.meshgrid(
                np.arange(low[0], min(high[0], shape[1])),
                np.arange(low[1], min(high[1], shape[0])),
            )
            if x.size:
                near = _distance(x, y, first, last) <= half
                mask[y[near], x[near]] = True
    return mask


def _distance(
    x: NDArray[np.intp], y: NDArray[np.intp], first: FloatArray, last: FloatArray
) -> FloatArray:
    """Distance of places from a straight piece, ends included."""
    step = last - first
    square = float(step @ step)
    dx, dy = x - first[0], y - first[1]
    t = np.clip((dx * step[0] + dy * step[1]) / square, 0.0, 1.0) if square else np.zeros(x.shape)
    return np.asarray(np.hypot(dx - t * step[0], dy - t * step[1]))


def misclassification(found: BoolArray, truth: BoolArray) -> float:
    """Wrong pixels over all pixels: the measure of Farzaneh et al. 2021.

    It judges nothing where streaks are small: a frame of 1024 x 1024 pixels with one of 300 x 3
    scores 9e-4 for the answer that there is none.
    """
    return float((found != truth).mean())


def score_mask(truth: BoolArray, found: FloatArray) -> MaskScore:
    """Hold detections against a mask whose objects may be wide, and may touch.

    Parameters
    ----------
    truth : ndarray of bool, shape (h, w)
    found : ndarray of float64, shape (M, 4 or 5)

    Returns
    -------
    MaskScore
    """
    rows = as_rows(found)
    side = 2 * int(REACH_PX) + 1
    near = cv2.dilate(truth.astype(np.uint8), np.ones((side, side), np.uint8))
    count, drawn, stats, _ = cv2.connectedComponentsWithStats(near, connectivity=8)
    label: NDArray[np.int32] = np.asarray(drawn, np.int32)
    area = stats[1:, cv2.CC_STAT_AREA] if count > 1 else np.zeros(0)
    wanted = [k + 1 for k in range(count - 1) if area[k] >= SMALLEST * area.max()]
    covered: dict[int, list[FloatArray]] = {k: [] for k in wanted}
    outside = np.zeros(len(rows), bool)
    for number, row in enumerate(rows):
        length = float(np.hypot(row[2] - row[0], row[3] - row[1]))
        points = curve_points(row, max(3, round(2.0 * length)))
        hit = _labels(label, points)
        outside[number] = (hit > 0).mean() < PIECE
        for k in wanted:
            covered[k].append(points[hit == k])
    found_count = sum(
        _share(np.argwhere(label == k)[:, ::-1], np.concatenate([np.zeros((0, 2)), *covered[k]]))
        >= COVERED
        for k in wanted
    )
    return MaskScore(wanted=len(wanted), found=int(found_count), outside=outside)


def _labels(label: NDArray[np.int32], points: FloatArray) -> NDArray[np.int32]:
    """The object at each place; 0 outside of all and outside of the image."""
    h, w = label.shape
    x, y = np.rint(points).astype(int).T
    inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
    found = np.zeros(len(points), np.int32)
    found[inside] = label[y[inside], x[inside]]
    return found


def _share(object_xy: NDArray[np.intp], points: FloatArray) -> float:
    """How much of an object's length, along its longest axis, has places on it."""
    if len(points) == 0:
        return 0.0
    middle = object_xy.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((object_xy - middle).T))
    along = (object_xy - middle) @ axes[:, -1]
    low, high = float(along.min()), float(along.max())
    bins = max(1, int((high - low) / 4.0))  # pixels
    at = (((points - middle) @ axes[:, -1]) - low) / (high - low + 1e-9) * bins
    return len(np.unique(np.clip(at.astype(int), 0, bins - 1))) / bins
