"""Streaks of known place and strength: their truth, and the courses they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.arrays import FloatArray


@dataclass(frozen=True, kw_only=True)
class TrueStreak:
    """One streak, as far as the frame holds it."""

    # x1, y1, x2 and y2: ends, pixels, zero at the centre of the first pixel; x1 <= x2. An end that
    # the border cuts is where the streak crosses the outline of the frame's pixels.
    x1: float
    y1: float
    x2: float
    y2: float
    # Maximum of the mean cross profile (light averaged along the visible length) over the noise of
    # sky and read-out along the streak (root of the mean variance)
    peak_snr: float
    # What a filter of the streak's very shape would give in that noise: the root of the sum of
    # squared signal over variance, all pixels
    matched_snr: float
    flux: float  # light within the frame, in units of the image times square pixels
    # How far the middle lies off the straight line between the ends; positive to the right of
    # someone who goes from the first end to the second and sees y point down.
    bow_px: float
    # first_cut and second_cut: the border cuts that end
    first_cut: bool
    second_cut: bool
    kind: str  # ``satellite``, ``meteor`` or ``aircraft``

    @property
    def curve(self) -> tuple[float, float, float, float, float]:
        """Both ends and the bow, as `regengine.evaluate` scores them."""
        return self.x1, self.y1, self.x2, self.y2, self.bow_px


# Peers were measured in these cells; streaks are drawn evenly from them
SNR_EDGES = (0.5, 1.0, 2.0, 4.0, 10.0)
LENGTH_EDGES_PX = (30.0, 100.0, 400.0, 1200.0)
# Some lie outside of them: shorter, longer, fainter
OUTSIDE_CELLS = 0.12
SHORT_PX, LONG_PX, FAINT_SNR = (20.0, 30.0), (1200.0, 1500.0), (0.3, 0.5)
STEP_PX = 0.5
MARGIN_PX = 3.0  # of streaks that lie inside


def cell_values(rng: np.random.Generator, turn: int) -> tuple[float, float]:
    """Peak SNR and length of a streak in pixels, log-uniform within a cell that `turn` chooses."""
    lengths = len(LENGTH_EDGES_PX) - 1
    cell = turn % ((len(SNR_EDGES) - 1) * lengths)
    snr_range = SNR_EDGES[cell // lengths : cell // lengths + 2]
    length_range = LENGTH_EDGES_PX[cell % lengths : cell % lengths + 2]
    if rng.random() < OUTSIDE_CELLS:
        which = int(rng.integers(3))
        length_range = (SHORT_PX, LONG_PX, length_range)[which]
        snr_range = FAINT_SNR if which == 2 else snr_range
    snr = float(np.exp(rng.uniform(*np.log(snr_range))))
    return snr, float(np.exp(rng.uniform(*np.log(length_range))))


def border_place(rng: np.random.Generator, width: int, height: int) -> FloatArray:
    """A place on the outline of the frame."""
    along = rng.random()
    side = int(rng.integers(4))
    x = (along * (width - 1), along * (width - 1), -0.5, width - 0.5)[side]
    y = (-0.5, height - 0.5, along * (height - 1), along * (height - 1))[side]
    return np.array([x, y])


def ends_inside(
    rng: np.random.Generator, length: float, width: int, height: int
) -> tuple[float, float, float, float]:
    """Ends of a streak of that length, anywhere inside."""
    low = np.full(2, MARGIN_PX)
    high = np.array([width, height]) - 1.0 - MARGIN_PX
    for _ in range(1000):
        angle = rng.uniform(0.0, 2.0 * np.pi)
        step = length * np.array([np.cos(angle), np.sin(angle)])
        # Wherever both ends fit
        first, last = np.maximum(low, low - step), np.minimum(high, high - step)
        start = rng.uniform(np.minimum(first, last), last)
        if (first <= last).all():
            x, y = start.tolist()
            return x, y, *(start + step).tolist()
    raise ValueError(f"a streak of {length:.0f} px does not fit into {width} x {height} pixels")


def curve(
    x1: float, y1: float, x2: float, y2: float, bow_px: float
) -> tuple[FloatArray, FloatArray]:
    """Places half a pixel apart on the parabola through both ends whose middle is off by a bow."""
    length = float(np.hypot(x2 - x1, y2 - y1))
    t = np.linspace(0.0, 1.0, max(2, int(np.ceil(length / STEP_PX)) + 1))
    off = 4.0 * bow_px * t * (1.0 - t)
    right_x, right_y = -(y2 - y1) / length, (x2 - x1) / length
    return x1 + t * (x2 - x1) + off * right_x, y1 + t * (y2 - y1) + off * right_y


def meteor_light(t: FloatArray, brightest: float) -> FloatArray:
    """A slow rise and a quick end, 1 at the brightest place, a tenth at both ends."""
    late = 1.0 / (1.0 / brightest - 1.0)
    shape = t**late * (1.0 - t)
    return np.asarray(0.1 + 0.9 * shape / shape.max())


def dashes(along_px: FloatArray, period_px: float, lit: float) -> FloatArray:
    """Lit for a share of each period, and dark between; both ends are lit."""
    periods = max(1, round((along_px[-1] / period_px) - lit))
    period = along_px[-1] / (periods + lit)  # a whole number of gaps
    return np.asarray(np.where((along_px / period) % 1.0 <= lit + 1e-9, 1.0, 0.0))


def ends_seen(x: FloatArray, y: FloatArray, bow_px: float, first: int, last: int) -> dict[str, Any]:
    """Ends, bow and cuts of `TrueStreak`, of a path as far as it is seen; from left to right."""
    ends = [
        (float(x[first]), float(y[first]), first > 0),
        (float(x[last]), float(y[last]), last < x.size - 1),
    ]
    # A parabola's bow shrinks with the square of the part of it that is seen
    bow = bow_px * ((last - first) / (x.size - 1)) ** 2
    if ends[1][0] < ends[0][0]:
        ends, bow = ends[::-1], -bow
    (x1, y1, first_cut), (x2, y2, second_cut) = ends
    cuts = {"first_cut": first_cut, "second_cut": second_cut}
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "bow_px": bow, **cuts}
