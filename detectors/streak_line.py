"""A fitted streak: its path, width, signal-to-noise ratio and the light along it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.special import ndtr

from detectors.types import BoolImage, FloatArray, FloatImage, IndexArray

# A frame along a path: the strip of pixels to both sides of a line or a slight bow.


@dataclass(frozen=True, kw_only=True)
class Path:
    """A straight line or parabola from (x1, y1) to (x2, y2); `bow_px` lies to the right."""

    x1: float
    y1: float
    x2: float
    y2: float
    bow_px: float = 0.0

    @property
    def length_px(self) -> float:
        """Distance of the ends."""
        return float(np.hypot(self.x2 - self.x1, self.y2 - self.y1))

    @property
    def along(self) -> tuple[float, float]:
        """Unit vector from the first end to the second."""
        length = max(self.length_px, 1e-9)
        return (self.x2 - self.x1) / length, (self.y2 - self.y1) / length

    def at(self, u: FloatArray, v: FloatArray | float) -> tuple[FloatArray, FloatArray]:
        """Pixels at distances along the chord and to the right of the path."""
        cos, sin = self.along
        t = u / max(self.length_px, 1e-9)
        off = v + 4.0 * self.bow_px * t * (1.0 - t)
        return self.x1 + u * cos - off * sin, self.y1 + u * sin + off * cos

    def cut(self, u1: float, u2: float) -> Path:
        """The part between two distances, or more of it if they lie beyond the ends."""
        part = (u2 - u1) / max(self.length_px, 1e-9)
        xs, ys = self.at(np.array([u1, u2]), 0.0)
        return Path(
            x1=float(xs[0]),
            y1=float(ys[0]),
            x2=float(xs[1]),
            y2=float(ys[1]),
            bow_px=self.bow_px * part**2,
        )

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
class Strip:
    """The frame at equal steps of a pixel along and across a path.

    Attributes
    ----------
    u, v : ndarray of float64, shape (n,) and (m,)
        Distances along from the first end, and to the right.
    light : ndarray of float32, shape (n, m)
        Light in units of the noise, 0 where nothing is known.
    known : ndarray of float32, shape (n, m)
        1 where it is known, 0 where not or beyond the image.
    """

    u: FloatArray
    v: FloatArray
    light: FloatImage
    known: FloatImage


def strip_along(
    light: FloatImage, known: FloatImage, path: Path, *, beyond_px: float, half_px: float
) -> Strip:
    """Cut the strip out, by linear interpolation.

    Parameters
    ----------
    light, known : ndarray of float32, shape (h, w)
    path : Path
    beyond_px : float
        How far it goes on beyond both ends.
    half_px : float
        How far it reaches to both sides.
    """
    u = np.arange(-np.ceil(beyond_px), np.ceil(path.length_px + beyond_px) + 1.0)
    v = np.arange(-np.ceil(half_px), np.ceil(half_px) + 1.0)
    x, y = path.at(u[:, None], v[None, :])
    at_x, at_y = x.astype(np.float32), y.astype(np.float32)
    return Strip(
        u=u,
        v=v,
        light=_remapped(light, at_x, at_y),
        known=_remapped(known, at_x, at_y),
    )


def _remapped(image: FloatImage, x: FloatImage, y: FloatImage) -> FloatImage:
    """Linear interpolation, 0 beyond the image."""
    mapped = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(mapped, np.float32)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A fitted streak.

    Attributes
    ----------
    path : Path
    sigma_px : float
        Width across, one sigma of a Gaussian.
    snr : float
        Over the scatter of parallel lines beside it, at least that of white noise.
    scatter : float
        That scatter, in units of white noise.
    bow_sigma_px, line_sigma_px, sigma_width : float
        Standard deviations of the bow, of the place across at the ends, and of ln `sigma_px`.
    end_sigma_px : tuple of float
        Of both ends, along.
    u, signal, weight : ndarray of float64, shape (n,)
        Distance along, filter sum and its variance at steps of a pixel, beyond the ends, too.
    bin_px : int
        Side of the squares of pixels that the steps were measured in.
    """

    path: Path
    sigma_px: float
    snr: float
    scatter: float
    bow_sigma_px: float
    line_sigma_px: float
    sigma_width: float
    end_sigma_px: tuple[float, float]
    u: FloatArray
    signal: FloatArray
    weight: FloatArray
    bin_px: int = 1

    def scaled(self, factor: int) -> Line:
        """The same in a frame of which squares of so many pixels were one."""
        path, shift = self.path, 0.5 * (factor - 1)
        return replace(
            self,
            path=Path(
                x1=factor * path.x1 + shift,
                y1=factor * path.y1 + shift,
                x2=factor * path.x2 + shift,
                y2=factor * path.y2 + shift,
                bow_px=factor * path.bow_px,
            ),
            sigma_px=factor * self.sigma_px,
            bow_sigma_px=factor * self.bow_sigma_px,
            line_sigma_px=factor * self.line_sigma_px,
            end_sigma_px=(factor * self.end_sigma_px[0], factor * self.end_sigma_px[1]),
            u=factor * self.u,
            bin_px=factor * self.bin_px,
        )

    @property
    def inside(self) -> BoolImage:
        """Steps between the ends."""
        return (self.u >= 0.0) & (self.u <= self.path.length_px)


# Where a streak begins and ends: the part of a profile that stands out most from noise.

MOST_CHUNKS = 120
NEAR_END_PX = 24.0
REACH_PX, STEP_PX = 6.0, 0.25
LEAST_WEIGHT = 0.2  # of a step, one sigma squared of noise: a fifth of a pixel's


def lit_part(signal: FloatArray, weight: FloatArray) -> tuple[int, int, float]:
    """Steps [i, j) with the greatest sum of signal over the root of the sum of weights.

    For a streak of even light that is its likeliest extent (a generalised likelihood ratio of two
    change points).

    Parameters
    ----------
    signal, weight : ndarray of float64, shape (n,)
        Filter sum and its variance at each step along the path.

    Returns
    -------
    i, j : int
    snr : float
    """
    count = signal.size
    size = max(1, -(-count // MOST_CHUNKS))
    edges = np.unique(np.append(np.arange(0, count, size), count))
    total, spread = np.append(0.0, np.cumsum(signal)), np.append(0.0, np.cumsum(weight))
    a, b, snr = _best_pair(total, spread, edges, edges)
    if size > 1:  # around both, step by step
        near_a = np.arange(max(0, a - 2 * size), min(count, a + 2 * size) + 1)
        near_b = np.arange(max(0, b - 2 * size), min(count, b + 2 * size) + 1)
        a, b, snr = _best_pair(total, spread, near_a, near_b)
    seen = np.flatnonzero(weight[a:b] > LEAST_WEIGHT)  # not beyond the image
    return (a + int(seen[0]), a + int(seen[-1]) + 1, snr) if seen.size else (a, b, snr)


def _best_pair(
    total: FloatArray, spread: FloatArray, first: IndexArray, last: IndexArray
) -> tuple[int, int, float]:
    light = total[last][None, :] - total[first][:, None]
    noise = spread[last][None, :] - spread[first][:, None]
    ahead = (last[None, :] > first[:, None]) & (noise > 1e-3)
    snr = np.where(ahead, light / np.sqrt(np.where(ahead, noise, 1.0)), -np.inf)
    best = int(np.argmax(snr))
    i, j = divmod(best, last.size)
    return int(first[i]), int(last[j]), float(snr[i, j])


def fine_end(
    u: FloatArray, signal: FloatArray, weight: FloatArray, end: float, side: int, sigma_px: float
) -> tuple[float, float]:
    """An end to a fraction of a pixel, and its sigma.

    The light near the end is fitted by an even level that the blur rounds off. The sigma joins
    the blurred edge's Cramer-Rao bound and the scatter of a change point in noise, sqrt(26)
    (noise / level)^2 (Hinkley 1970, Biometrika 57, 1).
    """
    inward = side * (end - u)
    near = (inward > -REACH_PX - 3.0 * sigma_px) & (inward < NEAR_END_PX) & (weight > 1e-3)
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


# Signal-to-noise ratio and ends of a line, held against parallel lines beside it.

BEYOND_PX = 24.0
SIDE_PX = 30.0  # lines to both sides, as far as this, tell the frame's own scatter
THIRD_OF_MANY, COMMON_SLACK = 1.9, 1.15  # the third largest of 20 normal numbers is 1.5
PIECE_PX, MOST_OF_PIECE = 12, 4.0


def across(strip: Strip, off: float, sigma: float) -> tuple[FloatArray, FloatArray]:
    """Filter sum across the path and its variance in white noise, step by step."""
    kernel = np.exp(-0.5 * ((strip.v - off) / sigma) ** 2).astype(np.float32)
    signal = strip.light @ kernel
    weight = strip.known @ np.square(kernel)
    return signal.astype(float), weight.astype(float)


def measured(
    light: FloatImage,
    known: FloatImage,
    path: Path,
    sigma: float,
    errors: tuple[float, float, float],
    ends: tuple[float, float] | None = None,
) -> Line | None:
    """Ends to a fraction of a pixel unless they are given, and the final signal-to-noise ratio.

    Parameters
    ----------
    light, known : ndarray of float32, shape (h, w)
    path : Path
    sigma : float
        Width across.
    errors : tuple of float
        Standard deviations of bow, place across and ln width.
    ends : tuple of float, optional
        The path's ends stay; these are their standard deviations.
    """
    strip = strip_along(light, known, path, beyond_px=BEYOND_PX, half_px=SIDE_PX + 4.0 * sigma)
    signal, weight = across(strip, 0.0, sigma)
    if ends is None:
        u1, error1 = fine_end(strip.u, signal, weight, 0.0, -1, sigma)
        u2, error2 = fine_end(strip.u, signal, weight, path.length_px, 1, sigma)
    else:
        u1, u2, (error1, error2) = 0.0, path.length_px, ends
    u1, u2 = within(path, u1, u2, light.shape, 2.0 * sigma)
    if u2 - u1 < 4.0:
        return None
    inside = (strip.u >= u1) & (strip.u <= u2)
    total = float(weight[inside].sum())
    if total <= 1.0:
        return None
    base, scatter = _beside(strip, inside, sigma)
    snr = (float(signal[inside].sum()) / total - base) * np.sqrt(total)
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


def _beside(strip: Strip, inside: BoolImage, sigma: float) -> tuple[float, float]:
    """Level of parallel lines beside the path, and their scatter in units of white noise.

    A piece of them counts with no more than four sigma: what is left of a star or of another
    streak that crosses is no noise. The scatter is at least 1.
    """
    far = np.arange(4.0 * sigma + 2.0, SIDE_PX + 1.0, 2.0 * sigma)
    offs = np.concatenate([-far, far])
    kernels = np.exp(-0.5 * ((strip.v[:, None] - offs) / sigma) ** 2).astype(np.float32)
    signal = strip.light[inside] @ kernels
    weight = strip.known[inside] @ np.square(kernels)
    edges = np.arange(0, len(signal), PIECE_PX)
    signal, weight = np.add.reduceat(signal, edges), np.add.reduceat(weight, edges)
    most = MOST_OF_PIECE * np.sqrt(weight)
    total, spread = np.clip(signal, -most, most).sum(axis=0), weight.sum(axis=0)
    seen = spread > 0.3 * np.median(spread)
    if np.count_nonzero(seen) < 6:
        return 0.0, 1.0
    level = total[seen] / np.maximum(spread[seen], 1e-6)
    base = float(np.median(level))
    size = np.sort(np.abs(level - base) * np.sqrt(spread[seen]))
    # Noise alone shows a little more in one case in six; clouds have long tails. A second streak
    # beside takes one or two of the lines
    common = float(np.quantile(size, 0.68)) / COMMON_SLACK
    return base, max(1.0, common, float(size[-3]) / THIRD_OF_MANY)


def within(
    path: Path, u1: float, u2: float, shape: tuple[int, ...], near_px: float
) -> tuple[float, float]:
    """Ends cut off at the outline of the frame's pixels; those that nearly reach it, on it."""
    u = np.arange(min(u1, 0.0) - near_px, max(u2, path.length_px) + near_px, 0.25)
    x, y = path.at(u, 0.0)
    h, w = shape[:2]
    inside = np.flatnonzero((x >= -0.5) & (x <= w - 0.5) & (y >= -0.5) & (y <= h - 0.5))
    if inside.size == 0:
        return u1, u1
    first, last = float(u[inside[0]]), float(u[inside[-1]])
    cut_first, cut_last = inside[0] > 0, inside[-1] < u.size - 1
    if cut_first and u1 < first + near_px:
        u1 = first
    if cut_last and u2 > last - near_px:
        u2 = last
    return u1, u2
