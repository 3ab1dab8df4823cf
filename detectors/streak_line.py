"""Lines of streaks: where they may be, their fit, and the frame without those found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, ndtr, ndtri_exp

from detectors.background import select_ranks, smooth_boxes
from detectors.streak_frame import flatten_residual
from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray

REACH_PX, STEP_PX = 6.0, 0.25  # of the search for an end, along the line
MIN_WEIGHT = 0.2  # minimum noise variance of a step, as a fraction of that of a pixel

BEYOND_PX = 24.0  # of strips, beyond both ends
SIDE_PX = 30.0  # parallel lines up to this distance on both sides give the scatter of the frame
PIECE_PX = 12  # of a line, over which light is summed up
SETTLED_PX, SETTLED_WIDTH = 0.5, 0.1  # moves of the ends and of ln width that end a fit
WIDEST_PX = 4.0  # sigma across; wider lines are found in binned frames


@dataclass(frozen=True, kw_only=True)
class Path:
    """A straight line or parabola from (x1, y1) to (x2, y2); `bow_px` is positive to the right."""

    x1: float
    y1: float
    x2: float
    y2: float
    bow_px: float = 0.0

    @property
    def length_px(self) -> float:
        return float(np.hypot(self.x2 - self.x1, self.y2 - self.y1))

    @property
    def along(self) -> tuple[float, float]:
        length = max(self.length_px, 1e-9)
        return (self.x2 - self.x1) / length, (self.y2 - self.y1) / length

    def at(self, u: Any, v: FloatArray | float) -> tuple[Any, Any]:
        """Pixel positions at distances along the chord and to the right of the path."""
        cos, sin = self.along
        off = v
        if self.bow_px != 0.0:
            t = u / max(self.length_px, 1e-9)
            off = v + 4.0 * self.bow_px * t * (1.0 - t)
        return self.x1 + u * cos - off * sin, self.y1 + u * sin + off * cos

    def cut(self, u1: float, u2: float) -> Path:
        """Cut the path at two distances along it; it is extended if these are beyond the ends."""
        part = (u2 - u1) / max(self.length_px, 1e-9)
        (x1, y1), (x2, y2) = self.at(u1, 0.0), self.at(u2, 0.0)
        return Path(x1=x1, y1=y1, x2=x2, y2=y2, bow_px=self.bow_px * part**2)

    def scaled(self, factor: float) -> Path:
        """Scale coordinates by a factor, such as from a binned frame to the full frame."""
        shift = 0.5 * (factor - 1.0)
        ends = {name: factor * vars(self)[name] + shift for name in ("x1", "y1", "x2", "y2")}
        return Path(**ends, bow_px=factor * self.bow_px)

    def moved(self, first_px: float, second_px: float, bow_px: float = 0.0) -> Path:
        """The path with its ends moved to the right, and more bow."""
        cos, sin = self.along
        return replace(
            self,
            x1=self.x1 - first_px * sin,
            y1=self.y1 + first_px * cos,
            x2=self.x2 - second_px * sin,
            y2=self.y2 + second_px * cos,
            bow_px=self.bow_px + bow_px,
        )


@dataclass(frozen=True, kw_only=True)
class PathStrip:
    """The frame resampled along and across a path, in steps of one pixel."""

    # u, v, (n,) and (m,): distances along the path from the first end, and to the right
    u: FloatArray
    v: FloatArray
    light: FloatImage  # (n, m): light in units of the noise, 0 for unknown pixels
    known: FloatImage  # (n, m): 1 for known pixels, 0 for unknown ones and outside the image


def strip_along(
    light: FloatImage, known: FloatImage, path: Path, *, beyond_px: float, half_px: float
) -> PathStrip:
    """Resample a strip along a path by linear interpolation.

    `light`, `known` (h, w). `beyond_px`: extent beyond both ends. `half_px`: extent to both sides.
    """
    u = np.arange(-np.ceil(beyond_px), np.ceil(path.length_px + beyond_px) + 1.0)
    v = np.arange(-np.ceil(half_px), np.ceil(half_px) + 1.0)
    (x, y), (cos, sin) = path.at(u, 0.0), path.along
    at_x, at_y = ((a[:, None] + b * v).astype(np.float32) for a, b in ((x, -sin), (y, cos)))
    seen = (cv2.remap(one, at_x, at_y, cv2.INTER_LINEAR, borderValue=0.0) for one in (light, known))
    return PathStrip(u=u, v=v, light=np.asarray(next(seen)), known=np.asarray(next(seen)))


@dataclass(frozen=True, kw_only=True)
class Line:
    """A fitted streak."""

    path: Path
    sigma_px: float  # width across: sigma of a Gaussian
    snr: float  # relative to the scatter of parallel lines next to it, at least white noise
    scatter: float  # that scatter, in units of white noise
    # bow_sigma_px, line_sigma_px, sigma_width: standard deviations of the bow, of the position
    # across at the ends, and of ln `sigma_px`
    bow_sigma_px: float
    line_sigma_px: float
    sigma_width: float
    end_sigma_px: tuple[float, float]  # standard deviations of both ends along the line
    # u, signal, weight, (n,): distance along the line, filter sum and its variance, at steps of one
    # pixel, including steps beyond the ends
    u: FloatArray
    signal: FloatArray
    weight: FloatArray
    bin_px: int = 1  # bin size of the frame in which the steps were measured
    log10_false_alarm: float = float("nan")  # expected number of such lines by chance

    def scaled(self, factor: float) -> Line:
        """Scale coordinates by a factor, such as from a binned frame to the full frame."""
        return replace(
            self,
            path=self.path.scaled(factor),
            sigma_px=factor * self.sigma_px,
            bow_sigma_px=factor * self.bow_sigma_px,
            line_sigma_px=factor * self.line_sigma_px,
            end_sigma_px=(factor * self.end_sigma_px[0], factor * self.end_sigma_px[1]),
            u=factor * self.u,
            bin_px=round(factor * self.bin_px),
        )

    @property
    def errors(self) -> tuple[float, float, float]:
        """Standard deviations of bow, position across and ln width, as for `measure_line`."""
        return self.bow_sigma_px, self.line_sigma_px, self.sigma_width

    @property
    def inside(self) -> BoolImage:
        return (self.u >= 0.0) & (self.u <= self.path.length_px)


def find_lit_part(signal: FloatArray, weight: FloatArray) -> tuple[int, int, float]:
    """Find the steps [i, j) that maximise sum(signal) / sqrt(sum(weight)), and that ratio.

    For a streak of uniform brightness this is the maximum-likelihood extent (a generalised
    likelihood ratio of two change points).

    `signal`, `weight` (n,): filter sum and its variance at each step along the path.
    """
    from detectors.compiled_streaks import find_best_pair

    count = signal.size
    size = max(1, -(-count // 120))
    edges = np.append(np.arange(0, count, size), count)
    total, spread = np.append(0.0, np.cumsum(signal)), np.append(0.0, np.cumsum(weight))
    a, b, snr = find_best_pair(total, spread, edges, edges)
    if size > 1:  # refine both ends in single steps
        near_a = np.arange(max(0, a - 2 * size), min(count, a + 2 * size) + 1)
        near_b = np.arange(max(0, b - 2 * size), min(count, b + 2 * size) + 1)
        a, b, snr = find_best_pair(total, spread, near_a, near_b)
    seen = np.flatnonzero(weight[a:b] > MIN_WEIGHT)  # inside the image
    return (a + int(seen[0]), a + int(seen[-1]) + 1, snr) if seen.size else (a, b, snr)


def refine_end(
    u: FloatArray, signal: FloatArray, weight: FloatArray, end: float, side: int, sigma_px: float
) -> tuple[float, float]:
    """Refine an end to a fraction of a pixel, and estimate its sigma.

    The model near the end is a constant level with a blurred edge. The sigma combines the
    Cramer-Rao bound of the blurred edge and the scatter of a change point in noise, sqrt(26)
    (noise / level)^2 (Hinkley 1970, Biometrika 57, 1).
    """
    inward = side * (end - u)
    near = (inward > -REACH_PX - 3.0 * sigma_px) & (inward < 24.0) & (weight > 1e-3)
    if np.count_nonzero(near) < 4:
        return end, REACH_PX
    at, light, var = inward[near], signal[near], weight[near]
    shifts = np.arange(-REACH_PX, REACH_PX + 0.5 * STEP_PX, STEP_PX)
    shape = ndtr((at[None, :] + shifts[:, None]) / sigma_px)  # a shift is outward
    power = (shape**2 * var).sum(axis=1)
    level = np.maximum((shape * light).sum(axis=1) / np.maximum(power, 1e-9), 0.0)
    gain = level**2 * power
    best = int(np.argmax(gain))
    shift = float(shifts[best])
    if 0 < best < shifts.size - 1:
        left, middle, right = gain[best - 1 : best + 2]
        bend = left - 2.0 * middle + right
        if bend < 0.0:
            shift += STEP_PX * float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5))
    noise = 1.0 / float(np.sqrt(np.median(var)))
    ratio = noise / max(float(level[best]), 1e-6)
    bound = 2.0 * np.sqrt(np.pi) * sigma_px * ratio**2
    return end + side * shift, float(np.sqrt(bound + 26.0 * ratio**4))


def sum_across(strip: PathStrip, off: float, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Compute the filter sum across the path and its variance in white noise at each step."""
    kernel = np.exp(-0.5 * ((strip.v - off) / sigma) ** 2).astype(np.float32)
    signal = strip.light @ kernel
    weight = strip.known @ np.square(kernel)
    return signal.astype(float), weight.astype(float)


def measure_line(
    light: FloatImage,
    known: FloatImage,
    path: Path,
    sigma: float,
    errors: tuple[float, float, float],
    ends: tuple[float, float] | None = None,
) -> Line | None:
    """Measure the final signal-to-noise ratio and, unless they are given, subpixel ends.

    `light`, `known` (h, w). `errors`: standard deviations of bow, position across and ln width.
    `ends`: standard deviations of the ends; if given, the ends of the path are kept.
    """
    strip = strip_along(light, known, path, beyond_px=BEYOND_PX, half_px=SIDE_PX + 4.0 * sigma)
    signal, weight = sum_across(strip, 0.0, sigma)
    if ends is None:
        u1, error1 = refine_end(strip.u, signal, weight, 0.0, -1, sigma)
        u2, error2 = refine_end(strip.u, signal, weight, path.length_px, 1, sigma)
    else:
        u1, u2, (error1, error2) = 0.0, path.length_px, ends
    # Clip the ends to the frame; those close to its outline are moved to the outline
    h, w = light.shape
    u = np.arange(min(u1, 0.0) - 2.0 * sigma, max(u2, path.length_px) + 2.0 * sigma, 0.25)
    x, y = path.at(u, 0.0)
    inside = np.flatnonzero((x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5))
    if inside.size == 0:
        return None
    first, last = float(u[inside[0]]), float(u[inside[-1]])
    if inside[0] > 0 and u1 < first + 2.0 * sigma:
        u1 = first
    if inside[-1] < u.size - 1 and u2 > last - 2.0 * sigma:
        u2 = last
    if u2 - u1 < 4.0:
        return None
    lit = (strip.u >= u1) & (strip.u <= u2)
    total = float(weight[lit].sum())
    if total <= 1.0:
        return None
    base, scatter = _measure_beside(strip, lit, sigma)
    snr = (float(signal[lit].sum()) / total - base) * np.sqrt(total)
    return Line(
        path=path.cut(u1, u2),
        sigma_px=sigma,
        snr=snr / scatter,
        scatter=scatter,
        bow_sigma_px=errors[0],
        line_sigma_px=errors[1],
        sigma_width=errors[2],
        end_sigma_px=(error1, error2),
        u=strip.u - u1,
        signal=signal,
        weight=weight,
    )


def _measure_beside(strip: PathStrip, inside: BoolImage, sigma: float) -> tuple[float, float]:
    """Measure the level and scatter of lines parallel to the path, scatter in units of white noise.

    Pieces of these lines are clipped at 4 sigma, because residuals of stars and crossing streaks
    are not noise. The scatter is at least 1.
    """
    far = np.arange(4.0 * sigma + 2.0, SIDE_PX + 1.0, 2.0 * sigma)
    offs = np.concatenate([-far, far])
    kernels = np.exp(-0.5 * ((strip.v[:, None] - offs) / sigma) ** 2).astype(np.float32)
    edges = np.arange(0, np.count_nonzero(inside), PIECE_PX)
    signal = np.add.reduceat(strip.light[inside], edges) @ kernels
    weight = np.add.reduceat(strip.known[inside], edges) @ np.square(kernels)
    most = 4.0 * np.sqrt(weight)
    total, spread = np.clip(signal, -most, most).sum(axis=0), weight.sum(axis=0)
    seen = spread > 0.3 * np.median(spread)
    if np.count_nonzero(seen) < 6:
        return 0.0, 1.0
    level = total[seen] / np.maximum(spread[seen], 1e-6)
    base = float(np.median(level))
    size = np.sort(np.abs(level - base) * np.sqrt(spread[seen]))
    # White noise exceeds this by a little in 1 of 6 cases; clouds have long tails. The third
    # largest value is robust to a second streak, which affects one or two of the lines
    common = float(np.quantile(size, 0.68)) / 1.15
    return base, max(1.0, common, float(size[-3]) / 1.9)  # of 20 normal deviates it is 1.5


def fit_line(
    light: FloatImage, known: FloatImage, rough: Path, sigma_px: float, least_snr: float
) -> Line | None:
    """Fit a streak, starting from an approximate segment; None if the fit fails.

    `light` (h, w): in units of the noise, 0 for unknown pixels. `known` (h, w): 1 or 0. `sigma_px`:
    width of the filter that detected the segment. `least_snr`: target signal-to-noise ratio; a fit
    below 0.8 of it is abandoned.
    """
    # Move both ends sideways to maximise the signal-to-noise ratio of the line between them
    reach, step = max(3.0, 2.0 * sigma_px), 0.5 * sigma_px
    strip = strip_along(light, known, rough, beyond_px=0.0, half_px=reach + 3.5 * sigma_px)
    offs = np.arange(-reach, reach + 0.5 * step, step)
    kernels = np.exp(-0.5 * ((strip.v[:, None] - offs) / sigma_px) ** 2).astype(np.float32)
    count = min(24, strip.u.size)
    edges = np.linspace(0, strip.u.size, count, endpoint=False).astype(int)
    sums = np.add.reduceat(strip.light, edges) @ kernels
    variances = np.add.reduceat(strip.known, edges) @ np.square(kernels)
    t = (np.arange(count) + 0.5) / count
    index = offs[:, None, None] * (1.0 - t) + offs[None, :, None] * t
    index = np.clip(np.rint((index + reach) / step), 0, offs.size - 1).astype(np.intp)
    rows = np.arange(count)
    total, spread = sums[rows, index].sum(axis=-1), variances[rows, index].sum(axis=-1)
    ratio = total / np.sqrt(np.maximum(spread, 1.0))
    i, j = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    if ratio[i, j] < 0.8 * least_snr:
        return None
    path, sigma = rough.moved(float(offs[i]), float(offs[j])), sigma_px
    for _ in range(5):
        before, width = path, sigma
        beyond = BEYOND_PX + 0.35 * path.length_px
        strip = strip_along(light, known, path, beyond_px=beyond, half_px=3.5 * sigma + 3.0)
        signal, weight = sum_across(strip, 0.0, sigma)
        first, last, snr = find_lit_part(signal, weight)
        if snr < 0.8 * least_snr:
            return None
        u1, u2 = float(strip.u[first]) - 0.5, float(strip.u[last - 1]) + 0.5
        if u2 - u1 < 4.0:
            return None
        path = path.cut(u1, u2)
        strip = strip_along(light, known, path, beyond_px=0.0, half_px=3.5 * sigma + 3.0)
        moved, sigma, errors = _solve_line_step(strip, path, sigma, sigma_px)
        path = path.moved(*moved)
        gaps = [abs(vars(path)[name] - vars(before)[name]) for name in ("x1", "y1", "x2", "y2")]
        if max(gaps) < SETTLED_PX and abs(np.log(sigma / width)) < SETTLED_WIDTH:
            break
    return measure_line(light, known, path, sigma, errors)


def refit_line(light: FloatImage, known: FloatImage, line: Line) -> Line:
    """Refit a line in other light of the same frame, with its ends fixed along the line.

    `light`, `known` (h, w): as for `fit_line`.
    """
    path, sigma, errors = line.path, line.sigma_px, line.errors
    for _ in range(5):
        strip = strip_along(light, known, path, beyond_px=0.0, half_px=3.5 * sigma + 3.0)
        width = sigma
        moved, sigma, errors = _solve_line_step(strip, path, sigma, line.sigma_px)
        path = path.moved(*moved)
        if max(map(abs, moved)) < SETTLED_PX and abs(np.log(sigma / width)) < SETTLED_WIDTH:
            break
    return measure_line(light, known, path, sigma, errors, line.end_sigma_px) or line


def follow_line(light: FloatImage, known: FloatImage, line: Line) -> Line:
    """Extend a bright line as far as its light continues.

    The maximum-likelihood extent assumes uniform brightness. It misses a faded end, even if that
    end is significant. The line goes on over three or more pieces in a row that exceed 4 sigma
    each, if the flanks, four widths away, are dark.

    `light`, `known` (h, w): as for `fit_line`.
    """
    path, size = line.path, float(np.hypot(*light.shape))
    half = 4.0 * line.sigma_px + 2.0
    strip = strip_along(light, known, path, beyond_px=size, half_px=half)
    offs = np.array([-4.0, 0.0, 4.0]) * line.sigma_px
    sums = [sum_across(strip, off, line.sigma_px) for off in offs]
    ends = []
    for outward in (-strip.u, strip.u - path.length_px):
        order = np.flatnonzero(outward > 0.0)
        order = order[np.argsort(outward[order])]
        order = order[: order.size // PIECE_PX * PIECE_PX]
        signal, weight = (
            np.array([one[k][order].reshape(-1, PIECE_PX).sum(axis=1) for one in sums])
            for k in (0, 1)
        )
        level = signal / np.maximum(weight, 1e-3)
        seen = weight.min(axis=0) > 0.3 * PIECE_PX * MIN_WEIGHT
        lit = seen & (signal[1] > 4.0 * np.sqrt(weight[1]))
        lit &= np.maximum(level[0], level[2]) < 0.5 * level[1]
        pieces = int(np.argmin(np.append(lit, False)))
        ends.append(float(pieces * PIECE_PX) if pieces >= 3 else 0.0)
    if not any(ends):
        return line
    longer = path.cut(-ends[0], path.length_px + ends[1])
    return measure_line(light, known, longer, line.sigma_px, line.errors) or line


def _solve_line_step(
    strip: PathStrip, path: Path, sigma: float, prior: float
) -> tuple[tuple[float, float, float], float, tuple[float, float, float]]:
    """Compute moves of ends and bow, the width, and sigmas of bow, position and ln width.

    This is one Gauss-Newton step, towards the usual width and a straight line.
    """
    from detectors.compiled_streaks import sum_normal_equations

    bent = path.length_px > 60.0
    sums = sum_across(strip, 0.0, sigma)
    normal, right = sum_normal_equations(strip.light, strip.known, *sums, sigma, 3 if bent else 2)
    if bent:
        # One sigma of the bow, as a fraction of the length
        stiff = 1.0 / (0.01 * path.length_px) ** 2
        normal[2, 2] += stiff
        right[2] -= stiff * path.bow_px
    normal[-1, -1] += 1.0 / 0.35**2  # one sigma of ln width about the width of the filter
    right[-1] -= np.log(sigma / prior) / 0.35**2
    normal += 1e-6 * np.eye(len(normal))
    covariance = np.linalg.inv(normal)
    *moves, wider = (covariance @ right).tolist()
    c0, c1, c2 = (min(max(c, -1.5 * sigma), 1.5 * sigma) for c in (*moves, 0.0)[:3])
    new = min(max(sigma * exp(min(max(wider, -0.3), 0.3)), 0.45), WIDEST_PX)
    bow_sigma = float(np.sqrt(covariance[2, 2])) if bent else float("nan")
    place = float(np.sqrt(covariance[0, 0] + covariance[1, 1]))
    return (c0 - c1, c0 + c1, c2), new, (bow_sigma, place, float(np.sqrt(covariance[-1, -1])))


# Where streaks may be: the line sums of the frame that stand out

NULL_CELL_PX = 128  # the frame's own spread of line sums is measured in cells of about this size
MAX_HITS = 20_000  # of a level, the strongest: bounds the memory
MIN_SIDE_PX = 48  # of a binned frame


def compute_partial_transforms(image: FloatImage, most_rows: int) -> Iterator[FloatImage]:
    """Sums along all lines that go down and to the right by up to 45 degrees, tile by tile.

    Levels have the shape (rows, tiles, w), where the rows of a tile are a power of two: ``sums[s,
    b, x]`` is the sum along the line that enters tile b at column x of its first row and moves s
    columns to the right until its last; what lies beyond the image counts zero.

    A line of 2 h rows and slope 2 s or 2 s + 1 is a line of h rows and slope s and, below it, one
    of the same slope that starts s or s + 1 columns further right: every level takes two additions
    a pixel.

    References
    ----------
    Brady, M. L. (1998). A fast discrete approximation algorithm for the Radon transform. SIAM J.
    Comput. 27, 107-119. Nir, G., Zackay, B., Ofek, E. O. (2018). Optimal and efficient streak
    detection in astronomical images. AJ 156, 229 (parts of the transform as sums of segments).
    """
    from detectors.compiled_streaks import add_halves

    height, width = image.shape
    extra = -height % most_rows
    full = np.pad(image, ((0, extra), (0, 0))) if extra else image
    sums: FloatImage = np.ascontiguousarray(full)[None]
    rows = 1
    yield sums
    while rows < most_rows:
        longer: FloatImage = np.empty((2 * rows, sums.shape[1] // 2, width), np.float32)
        add_halves(sums, longer)
        sums, rows = longer, 2 * rows
        yield sums


def find_segments(blurred: FloatImage, sigma_px: float, min_snr: float) -> FloatArray:
    """Line sums over the threshold, of like ones the strongest: x1, y1, x2, y2, SNR, (N, 5).

    Two and three tiles of each level, one below the other, make segments that begin at every
    tile: wherever a streak begins, one of them shows nine tenths of its signal-to-noise ratio.

    `blurred` (h, w): white noise of one sigma a pixel, and streaks, blurred by a Gaussian;
    `sigma_px`: of that Gaussian.
    """
    parts = [np.zeros((0, 5))]
    for quadrant in range(4):
        # The image so that lines of a quadrant of directions go down and to the right: 0 down and
        # right, 1 down and left, 2 right and down, 3 right and up
        image = blurred.T if quadrant >= 2 else blurred
        image = np.ascontiguousarray(image[:, ::-1] if quadrant % 2 else image)
        longest = max(1, min(image.shape[0], 256))
        most = 1 << (longest.bit_length() - 1)
        for sums in compute_partial_transforms(image, most):
            if len(sums) < min(8, most):
                continue
            found = _find_hits(sums, sigma_px, min_snr)
            if quadrant % 2:
                found[:, [0, 2]] = image.shape[1] - 1 - found[:, [0, 2]]
            parts.append(found[:, [1, 0, 3, 2, 4]] if quadrant >= 2 else found)
    # Of those of about one place and direction the strongest
    some = np.concatenate(parts)
    some = some[np.argsort(-some[:, 4], kind="stable")]
    x1, y1, x2, y2, _ = some.T
    angle = np.degrees(np.arctan2(y2 - y1, x2 - x1)) % 180.0
    cell_x, cell_y = np.floor(0.5 * (x1 + x2) / 24.0), np.floor(0.5 * (y1 + y2) / 24.0)
    key = (cell_x * 100_003 + cell_y) * 64 + np.floor(angle / 7.5)
    return some[np.sort(np.unique(key, return_index=True)[1])]


def _find_hits(sums: FloatImage, sigma_px: float, min_snr: float) -> FloatArray:
    """Ends and signal-to-noise ratio of what rises above the threshold, in the turned image.

    Looked at are two and three tiles that follow each other along a line, or one if there is no
    second.
    """
    from detectors.compiled_streaks import find_peaks

    spread = _spread(sums, sigma_px)
    rows, tiles, width = sums.shape
    slope = np.arange(rows) / max(rows - 1, 1)
    counts = np.arange(1, min(tiles, 3) + 1)
    # Where a line enters the tiles from its first on
    shifts = np.rint(np.outer(counts - 1, np.arange(rows) * rows) / max(rows - 1, 1))
    unit = compute_line_sigma(counts[:, None] * rows, slope, sigma_px)
    least = (min_snr * float(spread.min()) * unit).astype(np.float32)
    if tiles > 1:
        least[0] = np.inf
    places, sums_found = find_peaks(sums, np.minimum(shifts, width).astype(np.int64), least)
    found = []
    for count in counts.tolist():
        chosen = places[:, 0] == count - 1
        (s, b, x), total = places[chosen, 1:].T, sums_found[chosen]
        # The least calm part of the way counts
        last = x + np.rint((count - 1) * slope[s] * rows).astype(np.intp)
        last = np.minimum(last, spread.shape[1] - 1)
        around = np.maximum(spread[b, x], spread[b + count - 1, last])
        snr = total / (unit[count - 1, s] * around)
        # With more hits than these, the image is full of structure
        best = np.flatnonzero(snr > min_snr)
        if best.size > MAX_HITS:
            best = best[np.argpartition(-snr[best], MAX_HITS)[:MAX_HITS]]
        s, b, x, snr = s[best], b[best], x[best], snr[best]
        length = count * rows - 1
        y = b * rows
        found.append(np.stack([x, y, x + slope[s] * length, y + length, snr], axis=1))
    return np.concatenate(found)


def compute_line_sigma(rows: int, slope: ArrayLike, sigma_px: float) -> FloatArray:
    """Sigma of the sum of blurred white noise of unit sigma along a line through so many rows.

    The filter is a Gaussian across the line, cos(angle) of it a pixel of length: its square adds
    up to rows cos(angle) / (2 sqrt(pi) sigma).
    """
    return np.sqrt(rows / np.hypot(1.0, slope) / (2.0 * np.sqrt(np.pi) * sigma_px))


def _spread(sums: FloatImage, sigma_px: float) -> FloatImage:
    """How much wider line sums scatter than white noise makes them, at least 1; shape (tiles, w).

    A tile's sums at a few slopes, in cells: a streak is a small part of them, a cloud is not.
    """
    rows, tiles, width = sums.shape
    slopes = np.unique(np.linspace(0, rows - 1, 8).astype(int))
    unit = compute_line_sigma(rows, slopes / max(rows - 1, 1), sigma_px)
    some = sums[slopes, :, ::6] / unit.astype(np.float32)[:, None, None]
    across = max(1, round(width / NULL_CELL_PX))
    group = max(1, NULL_CELL_PX // rows)
    down = -(-tiles // group)
    size = (len(slopes), down * group, across * -(-some.shape[2] // across))
    padded = np.full(size, np.nan, np.float32)
    padded[:, :tiles, : some.shape[2]] = np.where(some == 0.0, np.float32(np.nan), np.abs(some))
    cells = padded.reshape(len(slopes), down, group, across, -1).transpose(1, 3, 0, 2, 4)
    cells = np.sort(cells.reshape(down, across, -1), axis=-1)
    count = np.isfinite(cells).sum(axis=-1)
    boxes = select_ranks(cells, 0.5 * count).astype(float) / 0.6745
    boxes[count < 60] = np.nan
    boxes = np.maximum(smooth_boxes(np.asarray(boxes, np.float32)), np.float32(1.0))
    full = cv2.resize(boxes, (width, down * group), interpolation=cv2.INTER_LINEAR)
    return np.asarray(full[:tiles], np.float32)


@dataclass(frozen=True, kw_only=True)
class BinnedFrame:
    """A frame in units of its noise, stars hidden, perhaps binned."""

    light: FloatImage  # (h, w): 0 where hidden
    known: FloatImage  # (h, w): 1, or 0 where hidden
    texture: FloatImage  # (h, w): by how much clouds exceed the noise, at least 1
    bin_px: int = 1  # side of the squares of pixels added up to one


def prepare_binned(residual: FloatImage, hidden: BoolImage, bin_px: int) -> BinnedFrame:
    """The frame without large structure, in squares of so many pixels."""
    light, known = bin_known(residual, (~hidden).astype(np.float32), bin_px)
    unseen = known < 0.5
    flat, texture = flatten_residual(light, unseen)
    cut = np.clip(flat, -15.0, 15.0)
    return BinnedFrame(
        light=np.where(unseen, np.float32(0.0), cut),
        known=np.where(unseen, np.float32(0.0), known),
        texture=texture,
        bin_px=bin_px,
    )


def bin_known(light: FloatImage, known: FloatImage, size: int) -> tuple[FloatImage, FloatImage]:
    """Squares of known pixels added up, over their side, so that white noise keeps its sigma.

    Also gives the share of each square that is known.
    """
    if size == 1:
        return light, known
    h, w = (side // size for side in light.shape)
    added, share = (
        cv2.resize(image[: h * size, : w * size], (w, h), interpolation=cv2.INTER_AREA)
        for image in (light * known, known)
    )
    return np.asarray(added * np.float32(size), np.float32), np.asarray(share, np.float32)


def find_band_pixels(shape: tuple[int, ...], line: Line) -> tuple[IndexArray, IndexArray]:
    """Rows and columns of the pixels with the light of a streak: all that stands out of noise."""
    inside, path, beyond = line.inside, line.path, 3.0 * line.sigma_px
    weight = float(line.weight[inside].sum())
    peak = max(float(line.signal[inside].sum()) / max(weight, 1.0), 0.1)
    # Wings of lenses are wider than a Gaussian's
    reach = line.sigma_px * (2.0 + np.sqrt(2.0 * np.log1p(peak / 0.2)) + 0.5 * np.log1p(peak))
    u = np.linspace(-beyond, path.length_px + beyond, max(2, int(path.length_px / 8.0) + 2))
    x, y = path.at(u, 0.0)
    width = round(float(reach))
    left, top = (max(0, int(np.floor(v.min())) - width - 2) for v in (x, y))
    right = min(shape[1], int(np.ceil(x.max())) + width + 3)
    bottom = min(shape[0], int(np.ceil(y.max())) + width + 3)
    paint = np.zeros((max(bottom - top, 0), max(right - left, 0)), np.uint8)
    if paint.size:
        points = [np.rint(np.stack([x - left, y - top], axis=1) * 16.0).astype(np.int32)]
        cv2.polylines(paint, points, False, (1.0,), 2 * width + 1, cv2.LINE_8, 4)
    row, col = np.nonzero(paint)
    return row + top, col + left


# Tiles are wider than a star and shorter than a streak. They are shuffled within blocks, since
# stars, clouds and noise vary over a frame
TILE_PX = 16


def log10_false_alarm(snr: ArrayLike, pixels: int) -> FloatArray:
    """Compute log10 of the expected number of white-noise streaks of at least the given SNR.

    Expected number = trials per pixel x pixels x Q(snr), where Q is the tail of the normal
    distribution. The number of trials is the look-elsewhere correction: independent segments
    (positions, directions, lengths) per pixel, estimated. In white noise, the number of candidates
    above a threshold is that of 14 normal deviates per pixel. The fit, which also adjusts ends, bow
    and width, is assumed to have ten times as many.
    """
    tail = log_ndtr(-np.asarray(snr, float)) / np.log(10.0)
    return np.asarray(tail + np.log10(150.0 * pixels))


def snr_for(log10_expected: float, pixels: int) -> float:
    """Find the SNR at which white noise gives a certain expected number of streaks in a frame."""
    return float(-ndtri_exp((log10_expected - np.log10(150.0 * pixels)) * np.log(10.0)))


def log10_expected_by_chance(
    lines: Sequence[Line],
    shuffled: Sequence[tuple[Line, float]],
    least_snr: float,
    pixels: int,
) -> FloatArray:
    """Log10 of the expected number of chance lines with at least the SNR of each line, shape (n,).

    It is the larger of the numbers for white noise and for the frame with its tiles shuffled. The
    latter decreases exponentially above `least_snr`, as the sum of a few stars does. Lengths are in
    pixels of the frame.

    `shuffled`: lines of the shuffled frame, each with its share: how often such a line passes.
    """
    white = log10_false_alarm([one.snr for one in lines], pixels)
    # Rows of a few stars are short, so short and long lines have separate tails. The prior are two
    # lines with the mean excess of white noise, 0.17
    above = [(one, share) for one, share in shuffled if one.snr > least_snr]
    for k, one in enumerate(lines):
        is_long = one.path.length_px >= 60.0
        alike = [(o.snr, share) for o, share in above if (o.path.length_px >= 60.0) == is_long]
        if alike:
            snr, share = np.transpose(alike)
            mean_excess = (2.0 * 0.17 + np.sum(snr - least_snr)) / (2.0 + snr.size)
            over = (one.snr - least_snr) / mean_excess / np.log(10.0)
            white[k] = max(white[k], float(np.log10(share.sum()) - over))
    return white


def shuffle_tiles(binned: BinnedFrame) -> BinnedFrame:
    """Shuffle the tiles of a frame within blocks, half of them rotated by 180 degrees.

    This removes structures longer than a tile. Stars, correlated noise, and the directions of rows
    and trails are preserved.
    """
    rng = np.random.default_rng(0)
    rows, cols = (side // TILE_PX for side in binned.light.shape)
    order = np.arange(rows * cols).reshape(rows, cols)
    for top in range(0, rows, 8):
        for left in range(0, cols, 8):
            block = (slice(top, top + 8), slice(left, left + 8))
            order[block] = rng.permutation(order[block].ravel()).reshape(order[block].shape)
    turned, tile = rng.random(order.size) < 0.5, TILE_PX
    moved = []
    for image in (binned.light, binned.known):
        cut = image[: rows * tile, : cols * tile]
        tiles = cut.reshape(rows, tile, cols, tile).transpose(0, 2, 1, 3).reshape(-1, tile, tile)
        tiles = tiles[order.ravel()]
        tiles[turned] = tiles[turned][:, ::-1, ::-1]
        whole = tiles.reshape(rows, cols, tile, tile).transpose(0, 2, 1, 3)
        moved.append(np.ascontiguousarray(whole.reshape(rows * tile, cols * tile)))
    return replace(binned, light=moved[0], known=moved[1])
