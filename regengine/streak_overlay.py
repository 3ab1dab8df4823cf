"""Pictures of streaks: the photo, brightened, with two lines along each, so that it stays seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detectors.streak_types import StreakDetections, StreakKind
from regengine.detection_overlay import (
    CYAN,
    GAP_PX,
    GREEN,
    RED,
    YELLOW,
    Colour,
    brightened,
    label,
    outline,
    picture_pixel,
    write_picture,
)

FloatArray = NDArray[np.float64]

MAGENTA, WHITE = (255, 110, 255), (230, 230, 230)
COLOURS: dict[StreakKind, Colour] = {
    StreakKind.SATELLITE: GREEN,
    StreakKind.METEOR: YELLOW,
    StreakKind.AIRCRAFT: RED,
    StreakKind.COSMIC_RAY: CYAN,
    StreakKind.TRAIN: MAGENTA,
    StreakKind.UNKNOWN: WHITE,
}
LABEL_GAP_PX = 12.0  # of the picture, between the line and the number


def draw_streaks(photo: Path, streaks: StreakDetections, target: Path) -> None:
    """Draw the streaks of a photo, numbered as in the record, the surest first.

    Satellites green, meteors yellow, aircraft red, cosmic rays cyan, trains magenta, others white.

    Parameters
    ----------
    photo : Path
        The photo.
    streaks : StreakDetections
        In pixels of the picture as stored.
    target : Path
        PNG file to write; it appears whole or not at all.

    Raises
    ------
    FrameError
        If the photo cannot be read or the picture not be written.
    """
    picture, factor = brightened(photo)
    ends = np.column_stack([streaks.x1, streaks.y1, streaks.x2, streaks.y2])
    for i, end in enumerate(ends):
        colour, width_px = COLOURS[streaks.kind[i]], float(streaks.width_px[i])
        middle, across = outline(
            picture, end, factor, colour, width_px=width_px, bow_px=float(streaks.bow_px[i])
        )
        x, y = middle + ((GAP_PX + LABEL_GAP_PX) / factor + 0.5 * width_px) * across
        label(picture, str(i + 1), picture_pixel(x, y, factor), colour)
    write_picture(picture, target)


def draw_streak_comparison(
    photo: Path, found: FloatArray, false: FloatArray, missed: FloatArray, target: Path
) -> None:
    """Draw how streaks compare with labels: found green, false red, missed cyan.

    Parameters
    ----------
    photo : Path
        The photo.
    found, false, missed : ndarray of float64, shape (N, 4)
        End points x1, y1, x2, y2, pixels of the picture as stored.
    target : Path
        PNG file to write.

    Raises
    ------
    FrameError
        If the photo cannot be read or the picture not be written.
    """
    picture, factor = brightened(photo)
    for ends, colour in ((found, GREEN), (false, RED), (missed, CYAN)):
        for end in ends:
            outline(picture, end, factor, colour)
    write_picture(picture, target)
