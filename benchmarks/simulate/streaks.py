"""Simulated frames for streak detectors: streaks of known place and strength over a starry sky.

Nothing here is shared with ``detectors``. ``streak_frame(seed)`` is a frame; seeds 0 to 999 are
for tuning, those from 10,000 on for the benchmark alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.arrays import FloatArray
from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.render import Moffat
from benchmarks.simulate.starfield import add_cosmic_rays, add_hot_pixels, add_stamp


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
        x=x, y=y, light=light, widen=widen, lanes_px=lanes, bow_px=bow, peak_snr=snr, kind=kind
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
            edge = border_place(rng, width, height)
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
    return _ends(rng, length, width, height, cut=False)


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


PHASES = 5  # places within a pixel that faint stars are drawn at, per axis
HALF_PX, MAX_HALF_PX = 12, 80
END_OF_NOISE = 0.2  # of a star's wings, over sigma
TRAIL_STEP_PX = 0.5


@dataclass(frozen=True, kw_only=True)
class StarSettings:
    """What the stars are like."""

    per_megapixel: tuple[int, int] = (100, 400)
    faintest_peak_sigma: float = 2.0
    flux_slope: tuple[float, float] = (0.6, 1.1)  # N(> F) ~ F^-slope; 0.6 to 1 along the Milky Way
    brightest: float = 2e4  # over the faintest
    fwhm_px: tuple[float, float] = (1.8, 3.5)
    moffat_beta: tuple[float, float] = (2.5, 5.0)
    trailed: float = 0.25  # share of frames in which the camera turned
    trail_px: tuple[float, float] = (4.0, 40.0)
    bleeding: float = 0.5  # share of frames: sensors without a drain


def draw_point(rng: np.random.Generator, settings: StarSettings) -> Moffat:
    """Image of a star."""
    return Moffat(
        fwhm_px=float(rng.uniform(*settings.fwhm_px)),
        beta=float(rng.uniform(*settings.moffat_beta)),
    )


def draw_trail(rng: np.random.Generator, settings: StarSettings) -> tuple[float, float] | None:
    """From end to end of every star's trail, x >= 0; None where stars are points."""
    if rng.random() >= settings.trailed:
        return None
    length = np.exp(rng.uniform(*np.log(settings.trail_px)))
    angle = rng.uniform(-0.5, 0.5) * np.pi
    return float(length * np.cos(angle)), float(length * np.sin(angle))


def add_stars(
    rng: np.random.Generator,
    scene: FloatArray,
    sigma: float,
    point: Moffat,
    trail_px: tuple[float, float] | None,
    settings: StarSettings,
) -> int:
    """Add stars to a scene in electrons, in place; returns their number."""
    h, w = scene.shape
    density = rng.uniform(*settings.per_megapixel)
    count = round(density * h * w / 2**20)
    slope = rng.uniform(*settings.flux_slope)
    strength = np.minimum(1.0 + rng.pareto(slope, count), settings.brightest)
    x, y = rng.uniform(-0.5, w - 0.5, count), rng.uniform(-0.5, h - 0.5, count)
    flux = settings.faintest_peak_sigma * strength * sigma / float(point.point(0.0))
    phased: dict[tuple[int, int], FloatArray] = {}
    for i in range(count):
        row, col = round(y[i]), round(x[i])
        half = _half_px(float(flux[i]), sigma, point)
        if half > HALF_PX:
            stamp = star_stamp(x[i] - col, y[i] - row, point, trail_px, half)
        else:
            phase = (int(PHASES * (x[i] - col + 0.5)), int(PHASES * (y[i] - row + 0.5)))
            if phase not in phased:
                dx, dy = ((k + 0.5) / PHASES - 0.5 for k in phase)
                phased[phase] = star_stamp(dx, dy, point, trail_px, HALF_PX)
            stamp = phased[phase]
        add_stamp(scene, flux[i] * stamp, row, col)
    return count


def _half_px(flux: float, sigma: float, point: Moffat) -> int:
    """Half side of the square beyond which a star is lost in the noise."""
    reach = np.arange(HALF_PX, MAX_HALF_PX + 1)
    below = flux * point.point(reach**2) < END_OF_NOISE * sigma
    return int(reach[below.argmax()]) if below.any() else MAX_HALF_PX


def star_stamp(
    dx: float, dy: float, point: Moffat, trail_px: tuple[float, float] | None, half: int
) -> FloatArray:
    """A star of unit flux about (dx, dy), its middle if it is trailed, shape (n, n)."""
    steps = np.zeros((1, 2))
    if trail_px is not None:
        half += int(np.ceil(0.5 * max(np.abs(trail_px))))
        count = int(np.ceil(np.hypot(*trail_px) / TRAIL_STEP_PX)) + 1
        along = (np.arange(count) + 0.5) / count - 0.5
        steps = along[:, None] * np.array(trail_px)
    side = np.arange(-half, half + 1)
    drawn = np.zeros((side.size, side.size))
    for step_x, step_y in steps:
        drawn += point.point(
            np.square(side - dy - step_y)[:, None] + np.square(side - dx - step_x)[None, :]
        )
    return drawn / len(steps)


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


BATCH = 2000  # places whose stamps are held at a time
REACH_FWHM = 5.0


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What streaks are seen against, each of shape (h, w), electrons."""

    variance: FloatArray  # of sky and read-out
    passed: FloatArray  # share of the light that clouds and the lens's corners let through


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


def add_streak(
    scene: FloatArray, drawn: DrawnStreak, point: Moffat, ground: Ground, well: float
) -> TrueStreak | None:
    """Add a streak to a scene in electrons, in place, with the peak SNR that it was drawn with."""
    h, w = scene.shape
    inside = (np.abs(drawn.x - (w - 1) / 2) <= w / 2) & (np.abs(drawn.y - (h - 1) / 2) <= h / 2)
    seen = np.flatnonzero(inside)
    if seen.size < 2:
        return None
    first, last = int(seen[0]), int(seen[-1])
    row = np.clip(np.rint(drawn.y[seen]).astype(int), 0, h - 1)
    col = np.clip(np.rint(drawn.x[seen]).astype(int), 0, w - 1)
    drawn_light = drawn.light[seen] * ground.passed[row, col]
    sigma = float(np.sqrt(ground.variance[row, col].mean()))
    profile = _mean_cross_profile(drawn, drawn_light, point, drawn.widen[seen])
    scale = drawn.peak_snr * sigma / float(profile.max())
    alone = np.zeros_like(scene)
    spacing = float(np.hypot(np.diff(drawn.x), np.diff(drawn.y)).mean())
    for lane in drawn.lanes_px:
        x, y = _beside(drawn, lane)
        _add_points(
            alone, x, y, scale * spacing / len(drawn.lanes_px) * drawn.light, drawn.widen, point
        )
    alone *= ground.passed
    lit = alone > 0.0
    matched = float(np.sqrt((alone[lit] ** 2 / ground.variance[lit]).sum()))
    scene += alone
    return TrueStreak(
        **ends_seen(drawn.x, drawn.y, drawn.bow_px, first, last),
        peak_snr=drawn.peak_snr,
        matched_snr=matched,
        flux=float(alone.sum()) / well,
        kind=drawn.kind,
    )


def _mean_cross_profile(
    drawn: DrawnStreak, light: FloatArray, point: Moffat, widen: FloatArray
) -> FloatArray:
    """Mean light per square pixel by the distance across, for light 1 per pixel."""
    reach = 4.0 * point.fwhm_px * float(widen.max()) + max(np.abs(drawn.lanes_px))
    across = np.linspace(-reach, reach, 401)
    total = np.zeros_like(across)
    # A few widths stand for all: they change slowly along a streak
    for some in np.array_split(np.argsort(widen), 1 if np.ptp(widen) == 0.0 else 12):
        for lane in drawn.lanes_px:
            profile = point.across(across - lane, float(widen[some].mean()))
            total += light[some].sum() / light.size / len(drawn.lanes_px) * profile
    return total


def _beside(drawn: DrawnStreak, lane_px: float) -> tuple[FloatArray, FloatArray]:
    """The path moved to its right."""
    along_x, along_y = np.gradient(drawn.x), np.gradient(drawn.y)
    norm = np.hypot(along_x, along_y)
    return drawn.x - lane_px * along_y / norm, drawn.y + lane_px * along_x / norm


def _add_points(
    scene: FloatArray,
    x: FloatArray,
    y: FloatArray,
    flux: FloatArray,
    widen: FloatArray,
    point: Moffat,
) -> None:
    """Add points of light, each with a width of its own; in place."""
    h, w = scene.shape
    half = int(np.ceil(REACH_FWHM * point.fwhm_px * float(widen.max())))
    side = np.arange(-half, half + 1)
    near = (x > -half) & (x < w - 1 + half) & (y > -half) & (y < h - 1 + half) & (flux > 0.0)
    for some in np.array_split(np.flatnonzero(near), max(1, int(near.sum()) // BATCH)):
        row, col = np.rint(y[some]).astype(int), np.rint(x[some]).astype(int)
        dx2 = np.square(side[None, :] + (col - x[some])[:, None])
        dy2 = np.square(side[None, :] + (row - y[some])[:, None])
        stamps = flux[some, None, None] * point.point(
            dy2[:, :, None] + dx2[:, None, :], widen[some, None, None]
        )
        for stamp, stamp_row, stamp_col in zip(stamps, row, col, strict=True):  # they overlap
            add_stamp(scene, stamp, stamp_row, stamp_col)


@dataclass(frozen=True, kw_only=True)
class SkySettings:
    """Ranges that are drawn from uniformly (electrons: log-uniformly)."""

    electrons: tuple[float, float] = (20.0, 500.0)
    gradient: tuple[float, float] = (0.0, 0.6)  # from side to side
    vignetting: tuple[float, float] = (0.0, 0.45)  # loss in the corners
    cloudy: float = 0.2  # share of frames
    cloud_light: tuple[float, float] = (0.15, 1.5)  # brightest cloud over the sky
    cloud_opacity: tuple[float, float] = (0.1, 0.8)


@dataclass(frozen=True, kw_only=True)
class Sky:
    """A sky, each of shape (h, w)."""

    electrons: FloatArray  # light of sky and clouds
    passed: FloatArray  # share of the light of stars and streaks that arrives
    cloudy: bool


def draw_sky(rng: np.random.Generator, width: int, height: int, settings: SkySettings) -> Sky:
    """Draw a sky."""
    x = (np.arange(width) / width - 0.5)[None, :]
    y = (np.arange(height) / height - 0.5)[:, None]
    level = np.exp(rng.uniform(*np.log(settings.electrons)))
    angle = rng.uniform(0.0, 2.0 * np.pi)
    along = np.cos(angle) * x + np.sin(angle) * y
    bow = 0.5 * np.exp(-0.5 * ((along - rng.uniform(-0.4, 0.4)) / 0.15) ** 2)
    light = 1.0 + rng.uniform(*settings.gradient) * (along + bow)
    aspect = height / width
    corner2 = (x**2 + (y * aspect) ** 2) / (0.25 * (1.0 + aspect**2))  # 1 in the corners
    lens = 1.0 - rng.uniform(*settings.vignetting) * corner2
    passed = lens
    cloudy = bool(rng.random() < settings.cloudy)
    if cloudy:
        cloud = _clouds(rng, width, height)
        light = light + rng.uniform(*settings.cloud_light) * cloud
        passed = lens * (1.0 - rng.uniform(*settings.cloud_opacity) * cloud)
    return Sky(electrons=level * light * lens, passed=np.asarray(passed), cloudy=cloudy)


def _clouds(rng: np.random.Generator, width: int, height: int) -> FloatArray:
    """How thick the clouds are, 0 to 1: fractal, with edges, sometimes drawn out by the wind."""
    size = 1024
    tile = fractal_tile(rng, size, rng.uniform(1.3, 1.9))
    step = rng.uniform(0.4, 1.0) * size / max(width, height)  # samples of the tile a pixel
    stretch = rng.uniform(1.0, 4.0)
    turn = rng.uniform(0.0, np.pi)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    u = (np.cos(turn) * x + np.sin(turn) * y) * step / stretch
    v = (np.cos(turn) * y - np.sin(turn) * x) * step
    field = cv2.remap(
        tile,
        (u % size).astype(np.float32),
        (v % size).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    # Samples of the tile are wider than pixels in large frames: no creases between them
    field = cv2.GaussianBlur(field, (0, 0), max(1.5, stretch / step))
    low, high = np.quantile(field[::8, ::8], [rng.uniform(0.1, 0.6), 0.99])
    return np.asarray(np.clip((field - low) / (high - low), 0.0, 1.0) ** 0.8, dtype=np.float64)


TEST_SEED0 = 10_000
LONG_RAYS, LONG_RAY_PX = 0.2, (15.0, 40.0)  # share of the cosmic rays that graze the sensor


@dataclass(frozen=True, kw_only=True)
class StreakFrameSettings:
    """What the frames are like; ranges are drawn uniformly (electrons: log-uniformly) for each."""

    width_px: int = 1024
    height_px: int = 1024
    sky: SkySettings = field(default_factory=SkySettings)
    stars: StarSettings = field(default_factory=StarSettings)
    streaks: StreakSettings = field(default_factory=StreakSettings)
    read_noise_electrons: tuple[float, float] = (2.0, 12.0)
    full_well_electrons: float = 30_000.0
    hot_pixels_per_megapixel: tuple[int, int] = (0, 80)
    cosmic_rays_per_megapixel: tuple[int, int] = (0, 20)


LARGE = StreakFrameSettings(width_px=4000, height_px=3000)


@dataclass(frozen=True, kw_only=True)
class StreakFrame:
    """A simulated frame and its truth."""

    # Shape (h, w): Linear light, 1 at full well, in steps of one electron
    light: NDArray[np.float32]
    saturated: NDArray[np.float32]  # shape (h, w): 1 where a pixel is full
    truth: tuple[TrueStreak, ...]  # all streaks, also those too faint or too short to be wanted
    seed: int
    cloudy: bool
    trail_px: tuple[float, float] | None  # of all stars, from end to end
    fwhm_px: float  # of a star
    stars: int


def streak_frame(seed: int, settings: StreakFrameSettings = StreakFrameSettings()) -> StreakFrame:
    """Draw one frame."""
    rng = np.random.default_rng([seed, settings.width_px, settings.height_px])
    width, height = settings.width_px, settings.height_px
    drawn = draw_streaks(rng, seed, width, height, settings.streaks)
    sky = draw_sky(rng, width, height, settings.sky)
    return compose(rng, seed, drawn, sky, settings)


def compose(
    rng: np.random.Generator,
    seed: int,
    drawn: list[DrawnStreak],
    sky: Sky,
    settings: StreakFrameSettings,
) -> StreakFrame:
    """The frame of these streaks before this sky; stars, noise and defects are drawn."""
    width, height = settings.width_px, settings.height_px
    read = float(np.exp(rng.uniform(*np.log(settings.read_noise_electrons))))
    ground = Ground(variance=sky.electrons + read**2, passed=sky.passed)
    point = draw_point(rng, settings.stars)
    trail = draw_trail(rng, settings.stars)
    scene = np.zeros((height, width))
    sigma = float(np.sqrt(np.median(ground.variance)))
    stars = add_stars(rng, scene, sigma, point, trail, settings.stars)
    scene *= sky.passed
    well = settings.full_well_electrons
    true = [add_streak(scene, one, point, ground, well) for one in drawn]
    electrons = rng.poisson(sky.electrons + scene) + rng.normal(0.0, read, scene.shape)
    megapixels = width * height / 2**20
    hot = round(megapixels * rng.uniform(*settings.hot_pixels_per_megapixel))
    rays = round(megapixels * rng.uniform(*settings.cosmic_rays_per_megapixel))
    add_hot_pixels(rng, electrons, hot, well)
    grazing = int(rng.binomial(rays, LONG_RAYS))
    add_cosmic_rays(rng, electrons, rays - grazing)
    add_cosmic_rays(rng, electrons, grazing, LONG_RAY_PX)
    if rng.random() < settings.stars.bleeding:
        bleed(electrons, well)
    light = np.clip(np.rint(electrons), 0.0, well) / well
    return StreakFrame(
        light=light.astype(np.float32),
        saturated=(electrons >= well).astype(np.float32),
        truth=tuple(one for one in true if one is not None),
        seed=seed,
        cloudy=sky.cloudy,
        trail_px=trail,
        fwhm_px=point.fwhm_px,
        stars=stars,
    )
