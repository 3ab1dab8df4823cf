"""What the light along a streak tells: tumbling, dashes, the swelling of a meteor, trains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.streak_line import Line
from detectors.streak_strip import Path
from detectors.streak_types import StreakFlag, StreakKind

FloatArray = NDArray[np.float64]

SHAPE_SNR = 15.0  # below, the light along a streak tells nothing
PIECE_SNR, MOST_PIECES, FEWEST_PIECES = 4.0, 64, 8
# Dark pieces of a dashed line, against the 80 % point of its light
DARK, BRIGHT = 0.2, 0.6
DASHED_SHARE = (0.15, 0.85)
FEWEST_GAPS = 2
# A sine takes this part of the scatter of even light by chance once in 1,000 streaks
TUMBLING_AMPLITUDE, TUMBLING_SIGMAS = 0.2, 5.0
FEWEST_PERIODS = 1.5
METEOR_ENDS = 0.55  # both ends, a tenth each, over the brightest tenth
FEWEST_IN_TRAIN, TRAIN_DEG, TRAIN_LENGTHS = 3, 2.0, 1.5


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Kind and flags of a streak by its light."""

    kind: StreakKind
    flags: int


def shape_of(line: Line) -> Shape:
    """Name a streak by the light along it."""
    level, sigma = pieces(line)
    if line.snr < SHAPE_SNR or level.size < FEWEST_PIECES:
        return Shape(kind=StreakKind.UNKNOWN, flags=0)
    if is_dashed(level):
        return Shape(kind=StreakKind.AIRCRAFT, flags=int(StreakFlag.DASHED))
    if swells(level, sigma):
        return Shape(kind=StreakKind.METEOR, flags=0)
    tumbling = int(StreakFlag.TUMBLING) if is_tumbling(level, sigma) else 0
    return Shape(kind=StreakKind.SATELLITE, flags=tumbling)


def pieces(line: Line) -> tuple[FloatArray, FloatArray]:
    """Light along a line in equal pieces, as many as show it well, and its sigma."""
    inside = np.flatnonzero(line.inside)
    count = int(np.clip((line.snr / PIECE_SNR) ** 2, 1, MOST_PIECES))
    count = max(1, min(count, inside.size // 3))
    if inside.size == 0:
        return np.zeros(0), np.zeros(0)
    edges = np.linspace(0, inside.size, count, endpoint=False).astype(int)
    signal = np.add.reduceat(line.signal[inside], edges)
    weight = np.maximum(np.add.reduceat(line.weight[inside], edges), 1e-3)
    seen = weight > 0.3 * np.median(weight)
    return signal[seen] / weight[seen], 1.0 / np.sqrt(weight[seen])


def is_dashed(level: FloatArray) -> bool:
    """Whether several dark gaps part the light."""
    top = float(np.quantile(level, 0.8))
    dark = level < DARK * top
    share = float(dark.mean())
    if not DASHED_SHARE[0] < share < DASHED_SHARE[1]:
        return False
    state = np.where(dark, -1, np.where(level > BRIGHT * top, 1, 0))
    state = state[state != 0]
    return int(np.count_nonzero(np.diff(state) < 0)) >= FEWEST_GAPS


def swells(level: FloatArray, sigma: FloatArray) -> bool:
    """Whether the light grows from both ends to one brightest place."""
    tenths = np.array([part.mean() for part in np.array_split(level, 10 if level.size > 9 else 5)])
    noise = float(np.median(sigma)) / np.sqrt(max(level.size / tenths.size, 1.0))
    peak = int(np.argmax(tenths))
    top = float(tenths[peak])
    if max(tenths[0], tenths[-1]) > METEOR_ENDS * top or peak in (0, tenths.size - 1):
        return False
    slack = 3.0 * noise + 0.08 * top
    rise, fall = np.diff(tenths[: peak + 1]), np.diff(tenths[peak:])
    return bool((rise > -slack).all() and (fall < slack).all())


def is_tumbling(level: FloatArray, sigma: FloatArray) -> bool:
    """Whether the light comes and goes regularly."""
    count = level.size
    mean = float(level.mean())
    t = np.arange(count) / count
    rates = np.arange(FEWEST_PERIODS, 0.45 * count, 0.25)
    if rates.size == 0 or mean <= 0.0:
        return False
    slope = np.polynomial.Polynomial.fit(t, level, 1)(t)
    waves = np.exp(2j * np.pi * rates[:, None] * t)
    amplitude = 2.0 * np.abs((waves * (level - slope)).mean(axis=1)).max()
    noise = float(np.median(sigma)) * np.sqrt(2.0 / count)
    # What differs from piece to piece without order counts as noise
    rest = float(np.std(level - slope)) * np.sqrt(2.0 / count)
    least = max(TUMBLING_AMPLITUDE * mean, TUMBLING_SIGMAS * noise, 2.5 * rest)
    return bool(amplitude > least)


def in_trains(paths: list[Path]) -> list[bool]:
    """Which paths follow each other on one line with others of like direction and length."""
    marks = []
    for path in paths:
        cos, sin = path.along
        alike = 0
        for other in paths:
            turn = abs(cos * other.along[1] - sin * other.along[0])
            size = other.length_px / max(path.length_px, 1e-9)
            dx = 0.5 * (other.x1 + other.x2 - path.x1 - path.x2)
            dy = 0.5 * (other.y1 + other.y2 - path.y1 - path.y2)
            off = abs(cos * dy - sin * dx)
            near = off < 3.0 + np.radians(TRAIN_DEG) * float(np.hypot(dx, dy))
            alike += bool(
                turn < np.sin(np.radians(TRAIN_DEG))
                and 1.0 / TRAIN_LENGTHS < size < TRAIN_LENGTHS
                and near
            )
        marks.append(alike >= FEWEST_IN_TRAIN)
    return marks
