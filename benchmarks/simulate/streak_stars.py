"""Stars of simulated streak frames: realistic counts, wide wings, trails, and bleeding columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.simulate.render import Moffat
from detectors.types import FloatArray

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


def add_stamp(scene: FloatArray, stamp: FloatArray, row: int, col: int) -> None:
    """Add a square stamp about a pixel, as far as it lies inside; in place."""
    half = stamp.shape[0] // 2
    h, w = scene.shape
    top, left = max(0, row - half), max(0, col - half)
    bottom, right = min(h, row + half + 1), min(w, col + half + 1)
    if top < bottom and left < right:
        scene[top:bottom, left:right] += stamp[
            top - row + half : bottom - row + half, left - col + half : right - col + half
        ]


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
