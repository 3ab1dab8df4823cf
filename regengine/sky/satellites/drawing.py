"""Draw predicted satellite tracks and identified streaks over the photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from regengine.sky.drawing import (
    CYAN,
    GREEN,
    LABEL_RIGHT_PX,
    LABEL_UP_PX,
    RED,
    SHADOW,
    YELLOW,
    brighten,
    draw_label,
    draw_legend,
    draw_streak_outline,
    draw_track,
    picture_pixel,
    write_picture,
)
from regengine.sky.satellites.naming import NAMED_FROM, NamedPhoto
from regengine.sky.satellites.tracks import sample_track, touch_picture

CERTAIN_FROM = 0.9  # probability of an identification
NAMED_GAP_PX = 9.0  # between a streak's edge and its outline
MAX_TRACK_LABELS = 40  # more would overlap


def draw_satellites(photo: NamedPhoto, target: Path) -> None:
    """Draw predicted tracks and identified streaks.

    Tracks are cyan where the satellite is sunlit and grey in the Earth's shadow, with an arrowhead
    at their end. Streaks are outlined: green with a probability of 0.9 and more, yellow with a
    lower one, red if no satellite of the catalogue explains them.
    """
    picture, factor = brighten(photo.frame.path)
    tracks, middle = photo.tracks, len(photo.tracks.seconds) // 2
    known = [photo.satellites.sets[number] for number in tracks.rows]
    names = [one.name or one.satellite for one in known]
    rows = np.flatnonzero(touch_picture(tracks, photo.exposure))
    lit = tracks.sunlit[rows, middle] > 0.5
    named = set()
    streaks = photo.streaks
    ends = np.column_stack([streaks.x1, streaks.y1, streaks.x2, streaks.y2])
    for end, naming in zip(ends, photo.namings, strict=True):
        best = float(naming.probability[0]) if len(naming.probability) else 0.0
        text, colour = "not in catalogue", RED
        if best >= NAMED_FROM:
            row = int(naming.candidates["row"][0])
            named.add(row)
            text, colour = f"{names[row]}  P {best:.3f}", GREEN if best >= CERTAIN_FROM else YELLOW
        elif naming.unlisted < NAMED_FROM:
            text, colour = "ambiguous", YELLOW
        at, across = draw_streak_outline(picture, end, factor, colour, gap_px=NAMED_GAP_PX)
        # To the right of the rightmost outline, so that the label covers no light
        beside = across if across[0] > 0.0 else -across
        x, y = at + 1.5 * NAMED_GAP_PX / factor * beside
        column, row = picture_pixel(x, y, factor)
        lower = 14 if beside[1] >= 0.0 else 0
        place = (column + LABEL_RIGHT_PX, row + lower - LABEL_UP_PX)
        draw_label(picture, text, place, colour)
    order = np.argsort(np.where(lit, tracks.range_km[rows, middle], np.inf), kind="stable")
    for rank, k in enumerate(order):
        row = int(rows[k])
        show = rank < MAX_TRACK_LABELS and row not in named and lit[k]
        x, y = sample_track(tracks, row, photo.exposure)
        colour = CYAN if lit[k] else SHADOW
        draw_track(picture, x, y, factor, colour, names[row] if show else None)
    tracks_of = {"sunlit track": CYAN, "track in shadow": SHADOW}
    draw_legend(picture, tracks_of | {"named": GREEN, "ambiguous": YELLOW, "unexplained": RED})
    write_picture(picture, target)
