"""Whether a fitted line is a streak: its light lies all along it, and it is no star trail."""

from __future__ import annotations

import numpy as np

from detectors.streak_line import WIDEST_PX, Line
from detectors.streak_trail import StarTrail

CHUNKS, BEST_CHUNKS = 8, 2
# Even light keeps 0.87 of its signal-to-noise ratio without the best quarter; two stars nothing
LEAST_REST = 0.35
TRAIL_DEG, TRAIL_LENGTHS, TRAIL_SLACK_PX = 12.0, 1.8, 10.0
SHORTEST_PX = 12.0


def is_streak(line: Line, trail: StarTrail | None) -> bool:
    """Whether a line is a streak."""
    length = line.path.length_px
    if length < SHORTEST_PX or length < 4.0 * line.sigma_px:
        return False
    if line.sigma_px > 0.95 * WIDEST_PX:
        return False
    if trail is not None and _is_star_trail(line, trail):
        return False
    return rest_share(line) > LEAST_REST


def rest_share(line: Line) -> float:
    """Part of the signal-to-noise ratio that remains without the brightest quarter."""
    inside = np.flatnonzero(line.inside)
    if inside.size < CHUNKS:
        return 0.0
    edges = np.linspace(0, inside.size, CHUNKS, endpoint=False).astype(int)
    signal = np.add.reduceat(line.signal[inside], edges)
    weight = np.add.reduceat(line.weight[inside], edges)
    total = float(signal.sum()) / np.sqrt(max(float(weight.sum()), 1e-6))
    rest = np.argsort(-signal)[BEST_CHUNKS:]
    left = float(signal[rest].sum()) / np.sqrt(max(float(weight[rest].sum()), 1e-6))
    return left / max(total, 1e-6)


def _is_star_trail(line: Line, trail: StarTrail) -> bool:
    cos, sin = line.path.along
    angle = np.arctan2(sin, cos)
    away = abs((angle - trail.angle_rad + 0.5 * np.pi) % np.pi - 0.5 * np.pi)
    longest = TRAIL_LENGTHS * trail.length_px + TRAIL_SLACK_PX
    # Short lines have no sure direction
    unsure = np.arctan2(2.0 * line.sigma_px, line.path.length_px)
    return bool(away < np.radians(TRAIL_DEG) + unsure and line.path.length_px < longest)
