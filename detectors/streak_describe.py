"""Measures and flags of fitted streaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectors.psf import FWHM_PER_SIGMA, find_nearest_pixels
from detectors.streak_frame import StreakFrame, find_clipped_streaks, find_saturated_stars
from detectors.streak_line import (
    BOTH_OUTSIDE,
    Line,
    Path,
    flag_streak,
    measure_line,
    strip_along,
    sum_across,
)
from detectors.streak_search import Hunt, mask_streak_band
from detectors.streak_stars import mask_clipped_stars
from detectors.types import BoolImage, FloatArray, StreakDetections

MIN_STEPS = 8  # with less clear light, a line that points at a star counts as its spike


def are_in_trains(paths: list[Path]) -> list[bool]:
    """Which paths follow each other on one line with others of like direction and length."""
    return [
        sum(off < 3.0 + np.radians(2.0) * away for away, off in find_alike(path, paths, 2.0, 1.5))
        >= 3
        for path in paths
    ]


def find_alike(
    path: Path, others: list[Path], turn_deg: float, times: float
) -> list[tuple[float, float]]:
    """Paths of a path's direction and length, within limits: how far they are, and how far beside.

    Both are distances of the middles, in pixels; the path itself is one of them if it is given.
    """
    (cos, sin), alike = path.along, []
    for other in others:
        turn = abs(cos * other.along[1] - sin * other.along[0])
        size = other.length_px / max(path.length_px, 1e-9)
        if turn < np.sin(np.radians(turn_deg)) and 1.0 / times < size < times:
            dx = 0.5 * (other.x1 + other.x2 - path.x1 - path.x2)
            dy = 0.5 * (other.y1 + other.y2 - path.y1 - path.y2)
            alike.append((float(np.hypot(dx, dy)), abs(cos * dy - sin * dx)))
    return alike


def are_spikes(frame: StreakFrame, lines: list[Line]) -> BoolImage:
    """Which lines are diffraction spikes of saturated stars, or what goes on from one, shape (n,).

    `lines`: in pixels of the frame.
    """
    spikes = np.zeros(len(lines), bool)
    stars = find_saturated_stars(frame.clipped)
    if not len(stars) or not lines:
        return spikes
    hidden = mask_clipped_stars(
        frame.residual, frame.clipped & ~find_clipped_streaks(frame.clipped)
    )
    for _ in range(2):
        before = spikes.copy()
        for k in np.flatnonzero(~before):
            spikes[k] = is_spike(frame, lines[k], stars, hidden)
        if not (spikes & ~before).any():
            break
        for k in np.flatnonzero(spikes & ~before):  # it hides the way to what goes on from it
            hidden = hidden | mask_streak_band(hidden.shape, lines[k])
    return spikes


def is_spike(frame: StreakFrame, line: Line, stars: FloatArray, hidden: BoolImage) -> bool:
    """Whether a line is a diffraction spike: it points at the middle of a saturated star.

    It passes the middle as nearly as both are known. It begins within ten clipped radii of the
    star, or where its light is no longer hidden, or passes it, perhaps from star to star, and is
    fainter away from them, the star's own light left out: a streak that passes a star is as bright
    on all of its way. What ends at stars to both sides is none, nor is what hardly leaves them.

    `line`: in pixels of the frame; `stars` (N, 3): x, y and radius of saturated stars, as of
    `detectors.streak_frame.find_saturated_stars`; `hidden` (h, w): their light.
    """
    path = line.path
    (cos, sin), length = path.along, path.length_px
    dx, dy = stars[:, 0] - path.x1, stars[:, 1] - path.y1
    along, off, radius = dx * cos + dy * sin, dy * cos - dx * sin, stars[:, 2]
    t = np.clip(along / length, 0.0, 1.0)
    # A spike is straight; its bow is what noise and stars on it make of it, or the lens
    beside = np.minimum(np.abs(off), np.abs(off - 4.0 * path.bow_px * t * (1.0 - t)))
    on = beside < np.maximum(2.0, 0.3 * radius)
    on[on] = _dark_way(path, along[on], hidden) < 10.0 * radius[on]
    if not on.any():
        return False
    along, radius = along[on], radius[on]
    # The frame's own light: that in which lines are sought is cut where it is bright
    known = (~(frame.ignored | frame.clipped)).astype(np.float32)
    half = 3.0 * line.sigma_px + 1.0
    strip = strip_along(frame.residual * known, known, path, beyond_px=0.0, half_px=half)
    signal, weight = sum_across(strip, 0.0, line.sigma_px)
    clear = (np.abs(strip.u[:, None] - along) > 2.5 * radius).all(axis=1)
    clear &= weight > 0.3 * np.median(weight)
    # Away from the first and the last star on the line; another's spike may fill up one side
    before, after = along.min() - strip.u, strip.u - along.max()
    outside = clear & (np.maximum(before, after) > 0.0)
    if np.count_nonzero(outside) < MIN_STEPS:
        return True
    return any(
        _falls_off(signal[some], weight[some], away[some])
        for away in (np.maximum(before, after), before, after)
        if np.count_nonzero(some := clear & (away > 0.0)) >= MIN_STEPS
    )


def _dark_way(path: Path, along: FloatArray, hidden: BoolImage) -> FloatArray:
    """Pixels between a path and places on its prolongation where nothing is hidden."""
    steps = []
    for place in along.tolist():
        first = path.length_px if place > 0.0 else 0.0
        way = np.arange(first, place, 1.0 if place > first else -1.0)
        beyond = (way < 0.0) | (way > path.length_px)
        x, y = path.x1 + way * path.along[0], path.y1 + way * path.along[1]
        steps.append(float((beyond & ~hidden[find_nearest_pixels(hidden.shape, x, y)]).sum()))
    return np.array(steps)


def _falls_off(signal: FloatArray, weight: FloatArray, away: FloatArray) -> bool:
    """Whether light is fainter in the farther half, by more than noise makes it.

    By medians: stars lie on spikes, too. A piece far from its star falls off less: spikes fall off
    with the distance or faster, and half of that in magnitudes counts.
    """
    light, far = signal / weight, away > np.median(away)
    if not far.any():
        return False
    near_px, far_px = (float(np.median(away[half])) for half in (~far, far))
    near_light, far_light = (float(np.median(light[half])) for half in (~far, far))
    # The sigma of a median is sqrt(pi / 2) of that of a mean
    near_noise, far_noise = (1.2533 / np.sqrt(weight[half].sum()) for half in (~far, far))
    # Simulated spikes that fade evenly or with the square show 0.6 and less, even streaks 0.9
    falls = max(0.75, float(np.sqrt(near_px / far_px)))
    return far_light + float(np.hypot(falls * near_noise, far_noise)) < falls * near_light


def describe_lines(
    frame: StreakFrame, lines: list[Line], log10_false_alarm: FloatArray
) -> StreakDetections:
    """The lines as detections, the surest first; spikes of saturated stars are none."""
    order = np.flatnonzero(~are_spikes(frame, lines))
    order = order[np.argsort([-lines[i].snr for i in order], kind="stable")]
    if not len(order):
        return StreakDetections.empty()
    lines, chance = [lines[i] for i in order], np.asarray(log10_false_alarm, float)[order]
    rows: list[dict[str, float]] = []
    flags: list[int] = []
    for line, log10_chance in zip(lines, chance.tolist(), strict=True):
        path = line.path
        if path.x1 > path.x2:  # from left to right
            path = Path(x1=path.x2, y1=path.y2, x2=path.x1, y2=path.y1, bow_px=-path.bow_px)
        x, y = path.at(np.arange(0.0, path.length_px), 0.0)
        clipped = bool(frame.clipped[find_nearest_pixels(frame.clipped.shape, x, y)].any())
        flag = flag_streak(
            path, frame.residual.shape, bow_sigma_px=line.bow_sigma_px, clipped=clipped
        )
        flags.append(int(flag))
        end_sigma_px = float(np.hypot(*line.end_sigma_px) / np.sqrt(2.0))
        inside = line.inside
        x, y = line.path.at(line.u[inside], 0.0)
        noise = frame.noise[find_nearest_pixels(frame.noise.shape, x, y)]
        level = line.signal[inside] / np.maximum(line.weight[inside], 1e-3) / line.bin_px
        along = level * noise * np.sqrt(2.0 * np.pi) * line.sigma_px
        rows.append(
            {
                "x1": path.x1,
                "y1": path.y1,
                "x2": path.x2,
                "y2": path.y2,
                "snr": line.snr,
                "width_px": FWHM_PER_SIGMA * line.sigma_px,
                "flux": line.bin_px * float(along.sum()),
                "log10_false_alarm": log10_chance,
                "bow_px": path.bow_px,
                "sigma_end_px": np.nan if flag & BOTH_OUTSIDE == BOTH_OUTSIDE else end_sigma_px,
                "sigma_line_px": line.line_sigma_px,
            }
        )
    columns = {name: np.array([row[name] for row in rows], float) for name in rows[0]}
    return StreakDetections(**columns, flags=np.array(flags, np.uint8))


def join_line(hunt: Hunt, lines: list[Line], new: Line) -> int | None:
    """Index of the line that a new one is a piece of; that line is replaced by both together.

    `hunt`: the frame with all its streaks; `lines`: changed in place.
    """
    for index, old in enumerate(lines):
        long, short = (old, new) if old.path.length_px >= new.path.length_px else (new, old)
        ends = _find_reach(long, short)
        if ends is None:
            continue
        u1, u2 = min(0.0, ends[0]), max(long.path.length_px, ends[1])
        first = long if u1 == 0.0 else short
        last = long if u2 == long.path.length_px else short
        errors = (long.bow_sigma_px, long.line_sigma_px, long.sigma_width)
        sigmas = (max(first.end_sigma_px), max(last.end_sigma_px))
        path = _extend_to_both(long.path, short.path, u1, u2)
        both = measure_line(hunt.light, hunt.known, path, long.sigma_px, errors, sigmas)
        if both is not None:
            # As sure as its clearest part
            lines[index] = replace(both, snr=float(np.maximum(both.snr, long.snr)))
            return index
    return None


def is_piece(new: Line, lines: list[Line]) -> bool:
    """Whether a line lies on, or goes on from, one of the others."""
    for old in lines:
        long, short = (old, new) if old.path.length_px >= new.path.length_px else (new, old)
        if _find_reach(long, short) is not None:
            return True
    return False


def _find_reach(long: Line, short: Line) -> tuple[float, float] | None:
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
        near = 1.5 + 1.5 * long.sigma_px + 0.02 * outside
        if abs(off) > near:
            return None
        found.append(u)
    u1, u2 = min(found), max(found)
    gap = max(0.0, u1 - length, -u2)
    return (u1, u2) if gap < max(30.0, 0.4 * length) else None  # of the longer piece


def _extend_to_both(long: Path, short: Path, u1: float, u2: float) -> Path:
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
