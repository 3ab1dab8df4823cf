"""Pieces of one streak put together: dashes, faint ends, and what another streak cut in two."""

from __future__ import annotations

import numpy as np

from detectors.streak_line import Line
from detectors.streak_measure import measured
from detectors.streak_search import Hunt
from detectors.streak_strip import Path

# Distance of a piece's ends from the longer one's path, going on beyond its ends
NEAR_SIGMAS, NEAR_PX, NEAR_SHARE = 1.5, 1.5, 0.02
GAP_SHARE, GAP_PX = 0.4, 30.0  # of the longer piece


def joined_line(hunt: Hunt, lines: list[Line], new: Line) -> int | None:
    """Index of the line that a new one is a piece of; that line is replaced by both together.

    Parameters
    ----------
    hunt : Hunt
        The frame with all its streaks.
    lines : list of Line
        Changed in place.
    new : Line
    """
    for index, old in enumerate(lines):
        long, short = (old, new) if old.path.length_px >= new.path.length_px else (new, old)
        ends = _reach(long, short)
        if ends is None:
            continue
        u1, u2 = min(0.0, ends[0]), max(long.path.length_px, ends[1])
        first = long if u1 == 0.0 else short
        last = long if u2 == long.path.length_px else short
        errors = (long.bow_sigma_px, long.line_sigma_px, long.sigma_width)
        sigmas = (max(first.end_sigma_px), max(last.end_sigma_px))
        path = _through(long.path, short.path, u1, u2)
        both = measured(hunt.light, hunt.known, path, long.sigma_px, errors, sigmas)
        if both is not None:
            lines[index] = both if both.snr > long.snr else _with_snr(both, long.snr)
            return index
    return None


def is_piece(new: Line, lines: list[Line]) -> bool:
    """Whether a line lies on, or goes on from, one of the others."""
    for old in lines:
        long, short = (old, new) if old.path.length_px >= new.path.length_px else (new, old)
        if _reach(long, short) is not None:
            return True
    return False


def _reach(long: Line, short: Line) -> tuple[float, float] | None:
    """Ends of a piece along a longer line; None if it does not belong to it."""
    path = long.path
    cos, sin = path.along
    length = path.length_px
    found = []
    for x, y in ((short.path.x1, short.path.y1), (short.path.x2, short.path.y2)):
        u = (x - path.x1) * cos + (y - path.y1) * sin
        v = (y - path.y1) * cos - (x - path.x1) * sin
        t = u / length
        outside = max(0.0, -u, u - length)
        off = v - 4.0 * path.bow_px * t * (1.0 - t)
        near = NEAR_PX + NEAR_SIGMAS * long.sigma_px + NEAR_SHARE * outside
        if abs(off) > near:
            return None
        found.append(u)
    u1, u2 = min(found), max(found)
    gap = max(0.0, u1 - length, -u2)
    return (u1, u2) if gap < max(GAP_PX, GAP_SHARE * length) else None


def _through(long: Path, short: Path, u1: float, u2: float) -> Path:
    """The longer path carried on to the ends of both."""
    if u1 >= 0.0 and u2 <= long.length_px:
        return long
    path = long.cut(u1, u2)
    cos, sin = long.along
    ends = sorted(
        ((x - long.x1) * cos + (y - long.y1) * sin, x, y)
        for x, y in ((short.x1, short.y1), (short.x2, short.y2))
    )
    first = (ends[0][1], ends[0][2]) if u1 < 0.0 else (path.x1, path.y1)
    last = (ends[1][1], ends[1][2]) if u2 > long.length_px else (path.x2, path.y2)
    return Path(x1=first[0], y1=first[1], x2=last[0], y2=last[1], bow_px=path.bow_px)


def _with_snr(line: Line, snr: float) -> Line:
    """A line that is as sure as its clearest part."""
    return Line(**{**vars(line), "snr": float(np.maximum(line.snr, snr))})
