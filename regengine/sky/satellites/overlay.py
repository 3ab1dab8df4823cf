"""Pictures of photos with the satellites that cross them, and the names of their streaks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from regengine.sky.detection.overlay import (
    CYAN,
    GREEN,
    RED,
    YELLOW,
    Colour,
    Picture,
    brightened,
    label,
    outline,
    picture_pixel,
    write_picture,
)
from regengine.sky.satellites.naming import NAMED_FROM, NamedPhoto
from regengine.sky.satellites.tracks import drawn_track

SHADOW: Colour = (120, 120, 150)
MOST_LABELS = 40  # more cover each other
BESIDE_PX = 9.0  # streaks are drawn beside themselves, so that the light stays in view
LABEL_RIGHT_PX, LABEL_UP_PX = 5, 4  # of the picture, from what a label names
CERTAIN_FROM = 0.9


def draw_satellites(photo: NamedPhoto, target: Path) -> None:
    """Draw predicted tracks and named streaks.

    Tracks are cyan where the satellite is sunlit and grey in the Earth's shadow, with an arrow's
    head at their end. Streaks have a line around them: green with a name of 0.9 and more, yellow
    with a less certain one, red where no satellite of the catalogue explains them.
    """
    picture, factor = brightened(photo.frame.path)
    tracks, middle = photo.found.tracks, len(photo.found.tracks.seconds) // 2
    rows = np.flatnonzero(photo.found.inside)
    lit = tracks.sunlit[rows, middle] > 0.5
    named = {
        int(one.evidence.rows[one.order[0]])
        for one in photo.found.namings
        if len(one.order) and one.probability[0] >= NAMED_FROM
    }
    order = np.argsort(np.where(lit, tracks.range_km[rows, middle], np.inf), kind="stable")
    for place, k in enumerate(order):
        row = int(rows[k])
        colour = CYAN if lit[k] else SHADOW
        name = _name(photo, int(tracks.rows[row]))
        show = place < MOST_LABELS and row not in named and lit[k]
        _track(picture, photo, row, factor, colour, name if show else None)
    for streak, naming in zip(photo.streaks, photo.found.namings, strict=True):
        best = float(naming.probability[0]) if len(naming.order) else 0.0
        text, colour = "not in catalogue", RED
        if best >= NAMED_FROM:
            number = int(tracks.rows[naming.evidence.rows[naming.order[0]]])
            text = f"{_name(photo, number)}  P {best:.3f}"
            colour = GREEN if best >= CERTAIN_FROM else YELLOW
        elif naming.unlisted < NAMED_FROM:
            text, colour = "ambiguous", YELLOW
        _streak(picture, (streak.x1, streak.y1, streak.x2, streak.y2), factor, colour, text)
    write_picture(picture, target)


def _name(photo: NamedPhoto, number: int) -> str:
    return photo.satellites.names[number] or photo.satellites.numbers[number]


def _track(
    picture: Picture, photo: NamedPhoto, row: int, factor: float, colour: Colour, name: str | None
) -> None:
    _, x, y = drawn_track(photo.found.tracks, row, photo.exposure)
    limit = 3 * max(picture.shape[:2])
    points = [
        picture_pixel(float(a), float(b), factor)
        for a, b in zip(x, y, strict=True)
        if np.isfinite(a + b) and max(abs(a), abs(b)) * factor < limit
    ]
    if len(points) < 2:
        return
    cv2.polylines(picture, [np.array(points, np.int32)], False, colour, 1, cv2.LINE_AA)
    ahead = np.array(points[-1], float) - np.array(points[-2], float)
    size = float(np.hypot(*ahead))
    if size > 0.0:
        tip = np.array(points[-1], float)
        for side in (-1.0, 1.0):
            across = side * np.array([-ahead[1], ahead[0]]) / size
            tail = tip - 8.0 * ahead / size + 4.0 * across
            cv2.line(picture, points[-1], (round(tail[0]), round(tail[1])), colour, 1, cv2.LINE_AA)
    if name:
        height, width = picture.shape[:2]
        inside = [p for p in points if 0 <= p[0] < width and 0 <= p[1] < height]
        if inside:
            column, row = inside[len(inside) // 2]
            label(picture, name, (column + LABEL_RIGHT_PX, row - LABEL_UP_PX), colour)


def _streak(
    picture: Picture,
    ends: tuple[float, float, float, float],
    factor: float,
    colour: Colour,
    text: str,
) -> None:
    middle, across = outline(picture, ends, factor, colour, gap_px=BESIDE_PX)
    # To the right of the line that is further right, so that the label covers no light
    beside = across if across[0] > 0.0 else -across
    x, y = middle + 1.5 * BESIDE_PX / factor * beside
    column, row = picture_pixel(x, y, factor)
    lower = 14 if beside[1] >= 0.0 else 0
    label(picture, text, (column + LABEL_RIGHT_PX, row + lower - LABEL_UP_PX), colour)
