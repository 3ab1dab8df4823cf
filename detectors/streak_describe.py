"""Measures, flags and kinds of fitted streaks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.streak_frame import StreakFrame
from detectors.streak_line import Line
from detectors.streak_shapes import in_trains, shape_of
from detectors.streak_strip import Path
from detectors.streak_types import StreakDetections, StreakFlag, StreakKind

FloatArray = NDArray[np.float64]
FWHM_PER_SIGMA = 2.3548
BORDER_PX = 2.5
BOW_SIGMAS, LEAST_BOW_PX = 4.0, 1.0


def described(
    frame: StreakFrame, lines: list[Line], log10_false_alarm: FloatArray
) -> StreakDetections:
    """The lines as detections, the surest first."""
    if not lines:
        return StreakDetections.empty()
    order = sorted(range(len(lines)), key=lambda i: -lines[i].snr)
    lines = [lines[i] for i in order]
    chance = np.asarray(log10_false_alarm, float)[order]
    paths = [_left_to_right(line) for line in lines]
    shapes = [shape_of(line) for line in lines]
    trains = in_trains(paths)
    flags = np.array(
        [_flags(frame, line) | shape.flags for line, shape in zip(lines, shapes, strict=True)],
        np.uint8,
    )
    profiles = tuple(
        _profile(frame, line)[:: 1 if line.path.x1 <= line.path.x2 else -1] for line in lines
    )

    def column(values: list[float]) -> FloatArray:
        return np.array(values, float)

    ends = [_end_sigma(line, int(flag)) for line, flag in zip(lines, flags, strict=True)]
    return StreakDetections(
        x1=column([p.x1 for p in paths]),
        y1=column([p.y1 for p in paths]),
        x2=column([p.x2 for p in paths]),
        y2=column([p.y2 for p in paths]),
        snr=column([line.snr for line in lines]),
        width_px=column([FWHM_PER_SIGMA * line.sigma_px for line in lines]),
        flux=column(
            [line.bin_px * float(one.sum()) for line, one in zip(lines, profiles, strict=True)]
        ),
        log10_false_alarm=chance,
        bow_px=column([p.bow_px for p in paths]),
        sigma_end_px=column(ends),
        sigma_line_px=column([line.line_sigma_px for line in lines]),
        flags=flags,
        kind=tuple(
            StreakKind.TRAIN if train else shape.kind
            for shape, train in zip(shapes, trains, strict=True)
        ),
        profiles=profiles,
    )


def _left_to_right(line: Line) -> Path:
    path = line.path
    if path.x1 <= path.x2:
        return path
    return Path(x1=path.x2, y1=path.y2, x2=path.x1, y2=path.y1, bow_px=-path.bow_px)


def _flags(frame: StreakFrame, line: Line) -> int:
    h, w = frame.residual.shape
    path = _left_to_right(line)
    flags = 0
    for x, y, flag in (
        (path.x1, path.y1, StreakFlag.FIRST_END_OUTSIDE),
        (path.x2, path.y2, StreakFlag.SECOND_END_OUTSIDE),
    ):
        if min(x, y, w - 1 - x, h - 1 - y) < BORDER_PX:
            flags |= flag
    bow = abs(path.bow_px)
    if bow > max(BOW_SIGMAS * line.bow_sigma_px, LEAST_BOW_PX):
        flags |= StreakFlag.CURVED
    if _clipped(frame, path):
        flags |= StreakFlag.SATURATED
    return int(flags)


def _clipped(frame: StreakFrame, path: Path) -> bool:
    """Whether pixels on a path are clipped, or hidden as their neighbours are."""
    h, w = frame.clipped.shape
    x, y = path.at(np.arange(0.0, path.length_px), 0.0)
    row, col = np.clip(np.rint(y), 0, h - 1), np.clip(np.rint(x), 0, w - 1)
    return bool(frame.clipped[row.astype(np.intp), col.astype(np.intp)].any())


def _end_sigma(line: Line, flags: int) -> float:
    both = StreakFlag.FIRST_END_OUTSIDE | StreakFlag.SECOND_END_OUTSIDE
    if flags & both == both:
        return float("nan")
    return float(np.hypot(*line.end_sigma_px) / np.sqrt(2.0))


def _profile(frame: StreakFrame, line: Line) -> FloatArray:
    inside = line.inside
    u = line.u[inside]
    x, y = line.path.at(u, 0.0)
    h, w = frame.noise.shape
    row = np.clip(np.rint(y), 0, h - 1).astype(np.intp)
    col = np.clip(np.rint(x), 0, w - 1).astype(np.intp)
    noise = frame.noise[row, col]
    level = line.signal[inside] / np.maximum(line.weight[inside], 1e-3) / line.bin_px
    return np.asarray(level * noise * np.sqrt(2.0 * np.pi) * line.sigma_px, float)
