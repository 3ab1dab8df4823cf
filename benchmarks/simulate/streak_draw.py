"""Draws where streaks lie, how long and bright they are, and how their light runs along them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import FloatArray

# Peers were measured in these cells; streaks are drawn evenly from them
SNR_EDGES = (0.5, 1.0, 2.0, 4.0, 10.0)
LENGTH_EDGES_PX = (30.0, 100.0, 400.0, 1200.0)
# Some lie outside of them: shorter, longer, fainter
OUTSIDE_CELLS = 0.12
SHORT_PX, LONG_PX, FAINT_SNR = (20.0, 30.0), (1200.0, 1500.0), (0.3, 0.5)
STEP_PX = 0.5
MARGIN_PX = 3.0  # of streaks that lie inside


@dataclass(frozen=True, kw_only=True)
class StreakSettings:
    """What streaks are like; shares are probabilities."""

    counts: tuple[float, ...] = (0.2, 0.3, 0.2, 0.15, 0.1, 0.05)  # of 0, 1, 2 ... in a frame
    meteor: float = 0.08
    aircraft: float = 0.08
    tumbling: float = 0.2  # of the satellites
    cut: float = 0.15  # by the border
    curved: float = 0.12
    bow_share: tuple[float, float] = (0.003, 0.015)  # of the length; wide lenses
    widen: tuple[float, float] = (1.0, 1.4)  # over a star: near things are out of focus


@dataclass(frozen=True, kw_only=True)
class DrawnStreak:
    """A streak before light falls on a sensor."""

    # x and y: shape (M,): Places about half a pixel apart, from end to end, some perhaps outside of
    # the frame
    x: FloatArray
    y: FloatArray
    light: FloatArray  # shape (M,): Relative light of each
    widen: FloatArray  # shape (M,): Width over that of a star
    # Distances of parallel lines of light from the path: wing lamps of an aircraft
    lanes_px: tuple[float, ...]
    bow_px: float  # of the whole path
    peak_snr: float  # wanted
    kind: str
    tumbling: bool


def draw_streaks(
    rng: np.random.Generator, seed: int, width: int, height: int, settings: StreakSettings
) -> list[DrawnStreak]:
    """Draw the streaks of a frame; the cells of SNR and length follow each other with the seed."""
    count = int(rng.choice(len(settings.counts), p=settings.counts))
    return [_one(rng, 7 * seed + 5 * k, width, height, settings) for k in range(count)]


def _one(
    rng: np.random.Generator, turn: int, width: int, height: int, settings: StreakSettings
) -> DrawnStreak:
    snr, length = cell_values(rng, turn)
    length = min(length, 0.95 * float(np.hypot(width, height)))
    x1, y1, x2, y2 = _ends(rng, length, width, height, cut=rng.random() < settings.cut)
    bow = 0.0
    if rng.random() < settings.curved:
        share = rng.uniform(*settings.bow_share) * rng.choice([-1.0, 1.0])
        bow = float(share * np.hypot(x2 - x1, y2 - y1))
    x, y = curve(x1, y1, x2, y2, bow)
    kind = str(
        rng.choice(
            ["meteor", "aircraft", "satellite"],
            p=[settings.meteor, settings.aircraft, 1.0 - settings.meteor - settings.aircraft],
        )
    )
    tumbling = kind == "satellite" and rng.random() < settings.tumbling
    widen = np.full(x.size, rng.uniform(*settings.widen))
    light = np.ones(x.size)
    lanes: tuple[float, ...] = (0.0,)
    t = (np.arange(x.size) + 0.5) / x.size
    if kind == "meteor":
        light = meteor_light(t, rng.uniform(0.4, 0.8))
        widen = widen * (1.0 + 0.6 * light)
    elif kind == "aircraft":
        light = dashes(t * x.size * STEP_PX, rng.uniform(12.0, 80.0), rng.uniform(0.3, 0.7))
        if rng.random() < 0.5:
            apart = rng.uniform(1.5, 4.0)
            lanes = (-apart / 2.0, apart / 2.0)
    elif tumbling:
        period = float(np.exp(rng.uniform(np.log(15.0), np.log(200.0))))
        phase = 2.0 * np.pi * (t * x.size * STEP_PX / period + rng.random())
        light = 1.0 + rng.uniform(0.3, 0.95) * np.cos(phase)
    return DrawnStreak(
        x=x, y=y, light=light, widen=widen, lanes_px=lanes, bow_px=bow, peak_snr=snr,
        kind=kind, tumbling=tumbling,
    )  # fmt: skip


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


def _ends(
    rng: np.random.Generator, length: float, width: int, height: int, *, cut: bool
) -> tuple[float, float, float, float]:
    """Ends of a streak of that visible length: inside, or from beyond the border inwards."""
    low = np.full(2, MARGIN_PX)
    high = np.array([width, height]) - 1.0 - MARGIN_PX
    for _ in range(1000):
        angle = rng.uniform(0.0, 2.0 * np.pi)
        step = length * np.array([np.cos(angle), np.sin(angle)])
        if cut:
            edge = _border_place(rng, width, height)
            start, end = edge - step * rng.uniform(0.1, 1.0), edge + step
            fits = bool((end >= low).all() and (end <= high).all())
        else:
            # Wherever both ends fit
            first, last = np.maximum(low, low - step), np.minimum(high, high - step)
            start = rng.uniform(np.minimum(first, last), last)
            end = start + step
            fits = bool((first <= last).all())
        if fits:
            return (float(start[0]), float(start[1]), float(end[0]), float(end[1]))
    if cut:  # too long to reach in from the border by chance
        return _ends(rng, length, width, height, cut=False)
    raise ValueError(f"a streak of {length:.0f} px does not fit into {width} x {height} pixels")


def _border_place(rng: np.random.Generator, width: int, height: int) -> FloatArray:
    along = rng.random()
    side = int(rng.integers(4))
    x = (along * (width - 1), along * (width - 1), -0.5, width - 0.5)[side]
    y = (-0.5, height - 0.5, along * (height - 1), along * (height - 1))[side]
    return np.array([x, y])


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
