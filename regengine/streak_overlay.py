"""Pictures of streaks: the photo, brightened, with two lines along each, so that it stays seen."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.streak_types import StreakDetections, StreakKind
from regengine.detection_overlay import (
    CYAN,
    GREEN,
    RED,
    YELLOW,
    Colour,
    Picture,
    brightened,
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
GAP_PX = 4.0  # of the picture, between a streak's edge and the line beside it
LETTER_HEIGHT = 0.4
CURVE_POINTS = 33


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
        _beside(
            picture,
            end,
            factor,
            COLOURS[streaks.kind[i]],
            width_px=float(streaks.width_px[i]),
            bow_px=float(streaks.bow_px[i]),
            name=str(i + 1),
        )
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
            _beside(picture, end, factor, colour)
    write_picture(picture, target)


def _beside(
    picture: Picture,
    ends: FloatArray,
    factor: float,
    colour: Colour,
    *,
    width_px: float = 0.0,
    bow_px: float = 0.0,
    name: str = "",
) -> None:
    """Two lines along a streak, closed at its ends, and its name beside its middle."""
    first, second = ends[:2], ends[2:]
    along = (second - first) / max(float(np.hypot(*(second - first))), 1e-9)
    across = np.array([-along[1], along[0]])  # to the right of who goes along and sees y down
    gap = GAP_PX / factor + 0.5 * width_px
    steps = np.linspace(-1.0, 1.0, CURVE_POINTS)[:, None]
    middle = 0.5 * (first + second + steps * (second - first)) + bow_px * (1 - steps**2) * across
    outline = np.concatenate(
        [middle + gap * across, second[None] + gap * along, middle[::-1] - gap * across]
    )
    outline = np.concatenate([outline, first[None] - gap * along])
    points = [picture_pixel(x, y, factor) for x, y in outline]
    cv2.polylines(picture, [np.array(points, np.int32)], True, colour, 1, cv2.LINE_AA)
    if name:
        x, y = middle[CURVE_POINTS // 2] + (gap + 12.0 / factor) * across
        place = picture_pixel(x, y, factor)
        cv2.putText(
            picture, name, place, cv2.FONT_HERSHEY_SIMPLEX, LETTER_HEIGHT, colour, 1, cv2.LINE_AA
        )
