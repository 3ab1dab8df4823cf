"""Streaks that a person marked in a photo: as lines, boxes, outlines or a mask."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Boxes narrower than this may have been drawn around a level or upright streak: both ends of it
# then lie in the middle of the short sides, further than a match allows from any corner
NARROW_PX = 12.0


@dataclass(frozen=True, kw_only=True)
class LabelledStreaks:
    """A photo and the streaks that a person marked in it.

    Attributes
    ----------
    path : Path
        The photo.
    rows : ndarray of float64, shape (N, 5)
        Ends x1, y1, x2, y2 and bow, pixels of the picture as stored.
    peak_snr : ndarray of float64, shape (N,)
        Peak of the mean cross profile over the noise of a pixel; NaN where it is not given.
    ignored : ndarray of bool, shape (N,)
        Streaks that need not be found, and are not false if they are.
    boxes : ndarray of float64, shape (B, 4)
        Upright boxes, centre and size, as parts of the picture's width and height.
    outlines : tuple of ndarray of float64, shape (K, 2)
        Slanted boxes or other outlines, corners as parts of the picture's width and height.
    mask : Path or None
        A picture of the same size, black where no streak is.
    """

    path: Path
    rows: FloatArray
    peak_snr: FloatArray
    ignored: NDArray[np.bool_]
    boxes: FloatArray
    outlines: tuple[FloatArray, ...] = ()
    mask: Path | None = None

    def candidates(self, width_px: int, height_px: int) -> list[FloatArray]:
        """What each streak may be, shape (choices, 5), in a picture of that size.

        End points and slanted boxes leave no choice; an upright box has two diagonals, and a
        narrow one a middle line.
        """
        size = np.array([width_px, height_px], float)
        slanted = [_middle_line(corners * size - 0.5) for corners in self.outlines]
        boxes = [_lines_of_box(box * np.tile(size, 2)) for box in self.boxes]
        return [*(row[None] for row in self.rows), *(row[None] for row in slanted), *boxes]


def _lines_of_box(box: FloatArray) -> FloatArray:
    """Lines that a box may stand for, shape (2 or 3, 5); centre and size are those of edges."""
    x, y, width, height = box - [0.5, 0.5, 0.0, 0.0]
    left, right, top, bottom = x - width / 2, x + width / 2, y - height / 2, y + height / 2
    lines = [[left, top, right, bottom], [left, bottom, right, top]]
    if min(width, height) < NARROW_PX:
        lines.append([left, y, right, y] if width >= height else [x, top, x, bottom])
    return np.array([[*line, 0.0] for line in lines])


def _middle_line(corners: FloatArray) -> FloatArray:
    """The line along the smallest slanted box around an outline, shape (5,)."""
    import cv2

    box = cv2.boxPoints(cv2.minAreaRect(corners.astype(np.float32))).astype(float)
    sides = np.hypot(*(np.roll(box, -1, axis=0) - box).T)
    start = 1 if sides[0] >= sides[1] else 0  # of a short side
    first = 0.5 * (box[start] + box[start + 1])
    second = 0.5 * (box[(start + 2) % 4] + box[(start + 3) % 4])
    return np.array([*first, *second, 0.0])
