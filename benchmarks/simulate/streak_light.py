"""The light of a streak on the pixels, and what is true of it there."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.simulate.noise import fractal_tile
from benchmarks.simulate.render import Moffat
from benchmarks.simulate.streak_draw import DrawnStreak
from benchmarks.simulate.streak_truth import TrueStreak
from detectors.types import FloatArray

BATCH = 2000  # places whose stamps are held at a time
REACH_FWHM = 5.0


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What streaks are seen against, each of shape (h, w), electrons."""

    variance: FloatArray  # of sky and read-out
    passed: FloatArray  # share of the light that clouds and the lens's corners let through


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
    profile_px, profile = _mean_cross_profile(drawn, drawn_light, point, drawn.widen[seen])
    scale = drawn.peak_snr * sigma / float(profile.max())
    alone = np.zeros_like(scene)
    spacing = _spacing(drawn)
    for lane in drawn.lanes_px:
        x, y = _beside(drawn, lane)
        _add_points(
            alone, x, y, scale * spacing / len(drawn.lanes_px) * drawn.light, drawn.widen, point
        )
    alone *= ground.passed
    lit = alone > 0.0
    matched = float(np.sqrt((alone[lit] ** 2 / ground.variance[lit]).sum()))
    scene += alone
    # A parabola's bow shrinks with the square of the part of it that is seen
    part = (last - first) / (drawn.x.size - 1)
    ends = [
        (float(drawn.x[first]), float(drawn.y[first]), first > 0),
        (float(drawn.x[last]), float(drawn.y[last]), last < drawn.x.size - 1),
    ]
    bow = drawn.bow_px * part**2
    if ends[1][0] < ends[0][0]:
        ends, bow = ends[::-1], -bow
    return TrueStreak(
        x1=ends[0][0],
        y1=ends[0][1],
        x2=ends[1][0],
        y2=ends[1][1],
        peak_snr=drawn.peak_snr,
        matched_snr=matched,
        width_px=_fwhm_px(profile_px, profile),
        flux=float(alone.sum()) / well,
        bow_px=bow,
        first_cut=ends[0][2],
        second_cut=ends[1][2],
        kind=drawn.kind,
        tumbling=drawn.tumbling,
    )


def _spacing(drawn: DrawnStreak) -> float:
    """Distance of the places, pixels."""
    return float(np.hypot(np.diff(drawn.x), np.diff(drawn.y)).mean())


def _mean_cross_profile(
    drawn: DrawnStreak, light: FloatArray, point: Moffat, widen: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Distances across and the mean light per square pixel there, for light 1 per pixel."""
    reach = 4.0 * point.fwhm_px * float(widen.max()) + max(np.abs(drawn.lanes_px))
    across = np.linspace(-reach, reach, 401)
    total = np.zeros_like(across)
    # A few widths stand for all: they change slowly along a streak
    for some in np.array_split(np.argsort(widen), 1 if np.ptp(widen) == 0.0 else 12):
        for lane in drawn.lanes_px:
            profile = point.across(across - lane, float(widen[some].mean()))
            total += light[some].sum() / light.size / len(drawn.lanes_px) * profile
    return across, total


def _fwhm_px(across: FloatArray, profile: FloatArray) -> float:
    """Width between the outermost places at half of the maximum."""
    above = np.flatnonzero(profile >= 0.5 * profile.max())
    return float(across[above[-1]] - across[above[0]])


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
        for k in range(some.size):  # stamps overlap
            top, left = max(0, row[k] - half), max(0, col[k] - half)
            bottom, right = min(h, row[k] + half + 1), min(w, col[k] + half + 1)
            if top < bottom and left < right:
                scene[top:bottom, left:right] += stamps[k][
                    top - row[k] + half : bottom - row[k] + half,
                    left - col[k] + half : right - col[k] + half,
                ]


# The sky behind streaks: its slope, the lens's dark corners, and clouds.


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
