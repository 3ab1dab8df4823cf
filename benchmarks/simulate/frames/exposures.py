"""Exposures with stars and streaks through a lens that changes over the frame.

A point spread is drawn once on a grid of a tenth of a pixel; stars lie on that grid, so that their
truth is exact.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

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
    kind: str  # ``satellite``, ``meteor`` or ``aircraft``

    @property
    def curve(self) -> tuple[float, float, float, float, float]:
        """Both ends and the bow, as `regengine.score` scores them."""
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
    """Ends and bow of `TrueStreak`, of a path as far as it is seen; from left to right."""
    ends = [(float(x[end]), float(y[end])) for end in (first, last)]
    # A parabola's bow shrinks with the square of the part of it that is seen
    bow = bow_px * ((last - first) / (x.size - 1)) ** 2
    if ends[1][0] < ends[0][0]:
        ends, bow = ends[::-1], -bow
    (x1, y1), (x2, y2) = ends
    return {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "bow_px": bow}


FINE = 10  # steps of the grid a pixel
HALF_PX = 16
BRIGHT_HALF_PX, BRIGHT_PEAK = 60, 60.0  # stars of that peak SNR are drawn further out
OWN_MAXIMUM_PX = 2.0
CENTROID_SNR = (5.0, 200.0)  # bounds are worked out for these stars
COUNTS = (0.3, 0.3, 0.2, 0.12, 0.05, 0.03)  # chance of 0, 1, 2 ... streaks
# Shares of streaks that the border cuts, and that are bent, by up to so much of their length
CUT, CURVED, BOW = 0.15, 0.12, 0.015


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A point spread on the fine grid, integrated over pixels."""

    boxed: NDArray[np.float32]  # (n, n), n = FINE (2 half + 3): share of the light in a pixel there
    half_px: int

    @classmethod
    def of(cls, fine: FloatArray, half_px: int) -> Spread:
        """From light on the fine grid, its centroid taken to the middle."""
        side = np.arange(fine.shape[0]) - fine.shape[0] // 2
        total = fine.sum()
        right = -int(np.rint((fine.sum(axis=0) * side).sum() / total))
        down = -int(np.rint((fine.sum(axis=1) * side).sum() / total))
        middle = np.roll(fine / total, (down, right), axis=(0, 1))
        boxed = cv2.blur(middle, (FINE + 1, FINE + 1), borderType=cv2.BORDER_CONSTANT)
        boxed = boxed * float((FINE + 1) ** 2) * (FINE / (FINE + 1)) ** 2
        return cls(boxed=np.asarray(boxed, np.float32), half_px=half_px)

    def stamp(self, dx: int, dy: int, half_px: int | None = None) -> NDArray[np.float32]:
        """Shares of light in the pixels about a point so many fine steps off their middle."""
        half = self.half_px if half_px is None else min(half_px, self.half_px)
        middle = self.boxed.shape[0] // 2
        left, top = middle - half * FINE - dx, middle - half * FINE - dy
        size = 2 * half * FINE + 1
        return self.boxed[top : top + size : FINE, left : left + size : FINE]

    def wider(self, sigma_px: float) -> Spread:
        blurred = cv2.GaussianBlur(self.boxed, (0, 0), max(sigma_px * FINE, 0.1))
        return replace(self, boxed=np.asarray(blurred, np.float32))

    def drawn_out(self, path: FloatArray) -> Spread:
        """The same along a path, (N, 2) pixels about the middle, its centroid there."""
        steps = np.rint((path - path.mean(axis=0)) * FINE).astype(int)
        reach = int(np.abs(steps).max()) + 1
        kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
        np.add.at(kernel, (reach + steps[:, 1], reach + steps[:, 0]), np.float32(1.0 / len(steps)))
        # Filters correlate: a turned kernel convolves
        drawn = cv2.filter2D(self.boxed, cv2.CV_32F, kernel[::-1, ::-1].copy())
        return replace(self, boxed=np.asarray(drawn, np.float32))

    @property
    def fwhm_px(self) -> float:
        """Width of the disc with the area above half of the peak."""
        area = np.count_nonzero(self.boxed > 0.5 * self.boxed.max()) / FINE**2
        return float(2.0 * np.sqrt(area / np.pi))


def fine_grid(half_px: int) -> tuple[FloatArray, FloatArray]:
    """Give x (1, n) and y (n, 1) of the fine grid, pixels about its middle; n is odd."""
    side = np.arange(-(half_px + 2) * FINE, (half_px + 2) * FINE + 1) / FINE
    return side[None, :], side[:, None]


@dataclass(frozen=True, kw_only=True)
class Optics:
    """Point spreads in equal cells of the frame, without and with what moved during exposure."""

    still: tuple[tuple[Spread, ...], ...]  # rows of cells
    stars: tuple[tuple[Spread, ...], ...]
    trail_px: tuple[float, float] | None  # of stars in the middle, from end to end

    def at(self, x: float, y: float, shape: tuple[int, int], *, star: bool) -> Spread:
        """The point spread at a place."""
        cells = self.stars if star else self.still
        row = int(np.clip(y / shape[0] * len(cells), 0, len(cells) - 1))
        col = int(np.clip(x / shape[1] * len(cells[0]), 0, len(cells[0]) - 1))
        return cells[row][col]

    @property
    def middle(self) -> Spread:
        return self.stars[len(self.stars) // 2][len(self.stars[0]) // 2]


@dataclass(frozen=True, kw_only=True)
class StarTruth:
    """The stars of an exposure, columns of one length."""

    # x and y: middle, pixels
    x: FloatArray
    y: FloatArray
    flux: FloatArray  # electrons
    peak_snr: FloatArray  # brightest pixel over the noise of sky and read-out there
    # (N, 2): Cramer-Rao bound of x and y: one sigma of the best unbiased centroid of the star alone
    bound_px: FloatArray
    # Inside the frame by three pixels, and no other star hides its maximum
    resolved: NDArray[np.bool_]


def add_stars(
    scene: FloatArray,
    optics: Optics,
    places: FloatArray,
    strength: FloatArray,
    variance: FloatArray,
    passed: FloatArray,
) -> StarTruth:
    """Add stars to a scene in electrons, in place.

    `places` (N, 2): x and y, moved to the fine grid; `strength` (N,): peak over the noise of sky
    and read-out where nothing dims it and it lies in the middle of a pixel.
    """
    h, w = shape = (scene.shape[0], scene.shape[1])
    fine = np.rint(places * FINE).astype(int)
    pixel = np.floor_divide(fine + FINE // 2, FINE)
    off = fine - FINE * pixel
    count = len(places)
    flux, peak, bound = np.zeros(count), np.zeros(count), np.full((count, 2), np.nan)
    for i in range(count):
        col, row = int(pixel[i, 0]), int(pixel[i, 1])
        at = (min(max(row, 0), h - 1), min(max(col, 0), w - 1))
        spread = optics.at(col, row, shape, star=True)
        half = BRIGHT_HALF_PX if strength[i] > BRIGHT_PEAK else HALF_PX
        half = max(half, min(spread.half_px, HALF_PX + int(np.hypot(*(optics.trail_px or (0, 0))))))
        stamp = spread.stamp(int(off[i, 0]), int(off[i, 1]), half)
        sigma = float(np.sqrt(variance[at]))
        flux[i] = strength[i] * sigma * passed[at] / float(spread.boxed.max())
        add_stamp(scene, flux[i] * stamp, row, col)
        peak[i] = flux[i] * float(stamp.max()) / sigma
        if CENTROID_SNR[0] <= peak[i] < CENTROID_SNR[1]:
            bound[i] = _bound(spread, off[i], flux[i], sigma**2, half)
    x, y = fine[:, 0] / FINE, fine[:, 1] / FINE
    resolved = _mark_resolved(scene, optics, x, y)
    return StarTruth(x=x, y=y, flux=flux, peak_snr=peak, bound_px=bound, resolved=resolved)


def _bound(
    spread: Spread, off: NDArray[np.int_], flux: float, variance: float, half: int
) -> FloatArray:
    """Cramer-Rao bound of x and y: Fisher information of place and flux in Poisson noise."""
    dx, dy = int(off[0]), int(off[1])
    stamp = spread.stamp(dx, dy, half).astype(float)
    by_x = (spread.stamp(dx + 1, dy, half) - spread.stamp(dx - 1, dy, half)) * (FINE / 2.0)
    by_y = (spread.stamp(dx, dy + 1, half) - spread.stamp(dx, dy - 1, half)) * (FINE / 2.0)
    slopes = np.stack([flux * by_x, flux * by_y, stamp]).reshape(3, -1)
    fisher = (slopes / (variance + flux * stamp).ravel()) @ slopes.T
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(fisher))[:2]))


def _mark_resolved(
    scene: FloatArray, optics: Optics, x: FloatArray, y: FloatArray
) -> NDArray[np.bool_]:
    """Stars with a maximum of their own in the noise-free scene, well inside the frame.

    Where they are drawn out: in the scene under the filter of their own look.
    """
    h, w = scene.shape
    seen = scene.astype(np.float32)
    if optics.trail_px is not None:
        seen = np.asarray(cv2.filter2D(seen, cv2.CV_32F, optics.middle.stamp(0, 0).copy()))
    highest = cv2.dilate(seen, np.ones((3, 3), np.uint8))
    maxima = ((seen >= highest) & (seen > 0.0)).astype(np.uint8)
    near = cv2.dilate(maxima, np.ones((3, 3), np.uint8)) > 0
    inside = (x >= 3.0) & (x <= w - 4.0) & (y >= 3.0) & (y <= h - 4.0)
    row, col = np.clip(np.rint(y).astype(int), 0, h - 1), np.clip(np.rint(x).astype(int), 0, w - 1)
    own = near[row, col] & inside
    for i in np.flatnonzero(own):
        close = (np.abs(x - x[i]) < OWN_MAXIMUM_PX) & (np.abs(y - y[i]) < OWN_MAXIMUM_PX)
        own[i] = not (seen[row[close], col[close]] > seen[row[i], col[i]]).any()
    return np.asarray(own)


@dataclass(frozen=True, kw_only=True)
class Course:
    """A streak before it is drawn."""

    x: FloatArray  # (M,): places half a pixel apart
    y: FloatArray
    light: FloatArray  # (M,): relative
    blur_px: float  # on top of the point spread
    bow_px: float
    peak_snr: float
    kind: str


def draw_course(
    rng: np.random.Generator, turn: int, shape: tuple[int, int]
) -> tuple[FloatArray, FloatArray, float, float]:
    """Places of a streak, its bow and wanted peak SNR; cells follow each other with the turn."""
    h, w = shape
    snr, length = cell_values(rng, turn)
    length = min(length, 0.95 * float(np.hypot(w, h)))
    x1, y1, x2, y2 = ends_inside(rng, length, w, h)
    if rng.random() < CUT:  # moved so that the border cuts it
        edge = border_place(rng, w, h)
        share = rng.uniform(0.15, 0.85)
        dx, dy = edge[0] - (x1 + share * (x2 - x1)), edge[1] - (y1 + share * (y2 - y1))
        x1, y1, x2, y2 = x1 + dx, y1 + dy, x2 + dx, y2 + dy
    bow = float(rng.uniform(-BOW, BOW) * length) if rng.random() < CURVED else 0.0
    x, y = curve(x1, y1, x2, y2, bow)
    return x, y, bow, snr


def draw_kind(rng: np.random.Generator, turn: int, shape: tuple[int, int]) -> Course:
    """A streak: even light, an aircraft's dashes, a tumbling satellite, or a meteor."""
    x, y, bow, snr = draw_course(rng, turn, shape)
    t = (np.arange(x.size) + 0.5) / x.size
    kind, which, blur = "satellite", rng.random(), rng.uniform(0.0, 0.5)
    light = np.ones(x.size)
    if which < 0.08:
        kind, light, blur = "meteor", meteor_light(t, rng.uniform(0.4, 0.8)), blur + 0.5
    elif which < 0.16:
        along = t * x.size * STEP_PX
        kind, light = "aircraft", dashes(along, rng.uniform(12.0, 80.0), rng.uniform(0.3, 0.7))
    elif which < 0.32:
        period = float(np.exp(rng.uniform(np.log(15.0), np.log(200.0))))
        phase = 2.0 * np.pi * (t * x.size * STEP_PX / period + rng.random())
        light = 1.0 + rng.uniform(0.3, 0.95) * np.cos(phase)
    return Course(x=x, y=y, light=light, blur_px=blur, bow_px=bow, peak_snr=snr, kind=kind)


def add_streaks(
    rng: np.random.Generator,
    scene: FloatArray,
    turn: int,
    optics: Optics,
    variance: FloatArray,
    passed: FloatArray,
) -> tuple[TrueStreak, ...]:
    """Add up to five streaks to a scene in electrons, in place; those that show."""
    shape = (scene.shape[0], scene.shape[1])
    number = int(rng.choice(len(COUNTS), p=COUNTS))
    courses = [draw_kind(rng, turn + 5 * k, shape) for k in range(number)]
    truth = [add_course(scene, one, optics, variance, passed) for one in courses]
    return tuple(one for one in truth if one is not None)


def add_course(
    scene: FloatArray, course: Course, optics: Optics, variance: FloatArray, passed: FloatArray
) -> TrueStreak | None:
    """Add a streak to a scene in electrons, in place; None where less than four pixels show."""
    h, w = shape = (scene.shape[0], scene.shape[1])
    inside = (np.abs(course.x - (w - 1) / 2) <= w / 2) & (np.abs(course.y - (h - 1) / 2) <= h / 2)
    seen = np.flatnonzero(inside)
    if seen.size < 8:
        return None
    first, last = int(seen[0]), int(seen[-1])
    middle = (first + last) // 2
    spread = optics.at(course.x[middle], course.y[middle], shape, star=False)
    spread = spread.wider(course.blur_px)
    alone = np.zeros_like(scene)
    fine_x = np.rint(course.x * FINE).astype(int)
    fine_y = np.rint(course.y * FINE).astype(int)
    for i in np.flatnonzero(course.light > 0.0):
        col, row = (fine_x[i] + FINE // 2) // FINE, (fine_y[i] + FINE // 2) // FINE
        if -HALF_PX < col < w + HALF_PX and -HALF_PX < row < h + HALF_PX:
            dx, dy = int(fine_x[i] - FINE * col), int(fine_y[i] - FINE * row)
            stamp = spread.stamp(dx, dy, HALF_PX)
            add_stamp(alone, course.light[i] * stamp, int(row), int(col))
    alone *= passed
    row = np.clip(np.rint(course.y[seen]).astype(int), 0, h - 1)
    col = np.clip(np.rint(course.x[seen]).astype(int), 0, w - 1)
    sigma = float(np.sqrt(variance[row, col].mean()))
    profile = _cross_profile(alone, course.x[seen], course.y[seen])
    alone *= course.peak_snr * sigma / max(float(profile.max()), 1e-12)
    scene += alone
    return TrueStreak(
        **ends_seen(course.x, course.y, course.bow_px, first, last),
        peak_snr=course.peak_snr,
        matched_snr=float(np.sqrt((alone**2 / variance).sum())),
        flux=float(alone.sum()),
        kind=course.kind,
    )


def _cross_profile(alone: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Mean light along the path and lines beside it."""
    along_x, along_y = np.gradient(x), np.gradient(y)
    norm = np.hypot(along_x, along_y)
    off = np.arange(-2.0, 2.01, 0.25)[:, None]
    at_x = (x - off * along_y / norm).astype(np.float32)
    at_y = (y + off * along_x / norm).astype(np.float32)
    light = cv2.remap(alone.astype(np.float32), at_x, at_y, cv2.INTER_CUBIC)
    return np.asarray(light.mean(axis=1), float)


def add_track(
    electrons: FloatArray, rng: np.random.Generator, length_px: float, charge: float, *, bend: float
) -> None:
    """Add a particle's track, a pixel wide: charge a pixel of length, scattered; in place.

    `bend`: radians by which the direction wanders a pixel (slow electrons); 0 is straight.
    """
    h, w = electrons.shape
    step = 0.1
    count = max(1, int(length_px / step))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    turn = angle + np.cumsum(rng.normal(0.0, bend * np.sqrt(step), count)) if bend else angle
    x = rng.uniform(0, w) + np.cumsum(step * np.cos(turn) * np.ones(count))
    y = rng.uniform(0, h) + np.cumsum(step * np.sin(turn) * np.ones(count))
    # Losses of energy: few large ones (Landau), pixel by pixel
    loss = np.minimum(1.0 + rng.exponential(0.25, count // 10 + 1) ** 2, 6.0)
    col, row = np.rint(x).astype(int), np.rint(y).astype(int)
    inside = (col >= 0) & (col < w) & (row >= 0) & (row < h)
    part = charge * step * loss[np.arange(count) // 10]
    np.add.at(electrons, (row[inside], col[inside]), part[inside])


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """A frame with the truth of its stars and streaks."""

    light: NDArray[np.float32]  # (h, w): linear, 1 at full well
    saturated: NDArray[np.float32]  # (h, w)
    stars: StarTruth
    streaks: tuple[TrueStreak, ...]
    seed: int
    cloudy: bool
    optics: Optics
    well: float  # electrons of a full pixel

    @property
    def trail_px(self) -> tuple[float, float] | None:
        """Of all stars, from end to end."""
        return self.optics.trail_px

    @property
    def fwhm_px(self) -> float:
        """Of a star that did not move."""
        still = self.optics.still
        return still[len(still) // 2][len(still) // 2].fwhm_px


HOT_ELECTRONS = 50.0  # the faintest; full well is the brightest


def add_hot_pixels(
    rng: np.random.Generator, electrons: FloatArray, count: int, well: float
) -> None:
    """Add charge to single pixels, from a little to a full well, log-uniformly; in place."""
    h, w = electrons.shape
    charge = np.exp(rng.uniform(np.log(HOT_ELECTRONS), np.log(well), count))
    np.add.at(electrons, (rng.integers(0, h, count), rng.integers(0, w, count)), charge)


def add_stamp(scene: FloatArray, stamp: FloatArray, row: int, col: int) -> None:
    """Add a square stamp about a pixel, as far as it lies inside; in place."""
    inside, own = overlap(scene.shape, stamp.shape[0] // 2, row, col)
    scene[inside] += stamp[own]


Window = tuple[slice, slice]


def overlap(shape: tuple[int, ...], half: int, row: int, col: int) -> tuple[Window, Window]:
    """Where a square about a pixel lies in a picture, and which part of the square that is."""
    inside, own = [], []
    for place, size in zip((row, col), shape, strict=True):
        first = max(0, place - half)
        last = max(first, min(size, place + half + 1))
        inside.append(slice(first, last))
        own.append(slice(first - place + half, last - place + half))
    return (inside[0], inside[1]), (own[0], own[1])


def bleed(electrons: FloatArray, well: float) -> None:
    """Spill what a full pixel cannot hold into its column, half up and half down; in place."""
    full = electrons > well
    for col in np.flatnonzero(full.any(axis=0)):
        column = electrons[:, col]
        rows = np.flatnonzero(full[:, col])
        for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            excess = float((column[run] - well).sum())
            column[run] = well
            _spill(column, range(int(run[0]) - 1, -1, -1), 0.5 * excess, well)
            _spill(column, range(int(run[-1]) + 1, column.size), 0.5 * excess, well)


def _spill(column: FloatArray, rows: range, charge: float, well: float) -> None:
    """Fill pixels one after the other until nothing is left; what passes the border is lost."""
    for row in rows:
        if charge <= 0.0:
            return
        taken = min(charge, max(0.0, well - float(column[row])))
        column[row] += taken
        charge -= taken
