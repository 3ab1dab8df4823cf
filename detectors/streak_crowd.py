"""Short faint lines in all directions are what a frame is made of, and no streaks."""

from __future__ import annotations

from detectors.streak_line import Line
from detectors.streak_shapes import in_trains

SHORT_PX, FEWEST, CLEAR_SNR = 60.0, 4, 30.0


def without_crowds(lines: list[Line]) -> list[Line]:
    """Lines without the short ones if these are many: knots of galaxies, and stars side by side.

    Streaks come alone, in trains, or as dashes of one line.

    Parameters
    ----------
    lines : list of Line
        In pixels of the frame.
    """
    trains = in_trains([line.path for line in lines])
    short = [
        line.path.length_px < SHORT_PX and line.snr < CLEAR_SNR and not train
        for line, train in zip(lines, trains, strict=True)
    ]
    if sum(short) < FEWEST:
        return lines
    return [line for line, one in zip(lines, short, strict=True) if not one]
