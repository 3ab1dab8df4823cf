"""From a rough segment to a streak: its line, bow, width and ends by least squares."""

from __future__ import annotations

import numpy as np

from detectors.streak_candidates import Segments
from detectors.streak_line import (
    BEYOND_PX,
    Line,
    Path,
    Strip,
    across,
    lit_part,
    measured,
    strip_along,
)
from detectors.types import FloatArray, FloatImage

PASSES = 5
SETTLED_PX, SETTLED_WIDTH = 0.5, 0.1
NARROWEST_PX, WIDEST_PX = 0.45, 4.0  # sigma across; wider ones are found in binned frames
WIDTH_PRIOR = 0.35  # of ln sigma about that of the filter
BOW_PRIOR = 0.01  # of the length
LEAST_BENT_PX = 60.0
BEYOND_SHARE = 0.35
CHUNK_SNR = 3.0
MOST_CHUNKS = 32


def fitted_line(
    light: FloatImage, known: FloatImage, rough: Path, sigma_px: float, least_snr: float
) -> Line | None:
    """Fit a streak from a rough segment; None where it comes to nothing.

    Parameters
    ----------
    light : ndarray of float32, shape (h, w)
        In units of the noise, 0 where not known.
    known : ndarray of float32, shape (h, w)
        1 or 0.
    rough : Path
    sigma_px : float
        Width of the filter that showed it.
    least_snr : float
        Below this signal-to-noise ratio a fit is given up.
    """
    path, snr = nudged(light, known, rough, sigma_px, max(3.0, 2.0 * sigma_px))
    if snr < 0.8 * least_snr:
        return None
    sigma, prior = sigma_px, sigma_px
    errors = (0.0, 0.0, 0.0)
    for _ in range(PASSES):
        before, width = path, sigma
        beyond = BEYOND_PX + BEYOND_SHARE * path.length_px
        strip = strip_along(light, known, path, beyond_px=beyond, half_px=3.5 * sigma + 3.0)
        signal, weight = across(strip, 0.0, sigma)
        first, last, snr = lit_part(signal, weight)
        if snr < 0.8 * least_snr:
            return None
        u1, u2 = float(strip.u[first]) - 0.5, float(strip.u[last - 1]) + 0.5
        if u2 - u1 < 4.0:
            return None
        path = path.cut(u1, u2)
        strip = strip_along(light, known, path, beyond_px=0.0, half_px=3.5 * sigma + 3.0)
        moved, sigma, errors = _least_squares(strip, path, sigma, prior)
        path = path.moved(*moved)
        gap = max(abs(path.x1 - before.x1), abs(path.y1 - before.y1))
        gap = max(gap, abs(path.x2 - before.x2), abs(path.y2 - before.y2))
        if gap < SETTLED_PX and abs(np.log(sigma / width)) < SETTLED_WIDTH:
            break
    return measured(light, known, path, sigma, errors)


def nudged(
    light: FloatImage, known: FloatImage, path: Path, sigma: float, reach: float
) -> tuple[Path, float]:
    """Both ends moved to the sides so that most light lies on the line between."""
    strip = strip_along(light, known, path, beyond_px=0.0, half_px=reach + 3.5 * sigma)
    step = 0.5 * sigma
    offs = np.arange(-reach, reach + 0.5 * step, step)
    kernels = np.exp(-0.5 * ((strip.v[:, None] - offs) / sigma) ** 2).astype(np.float32)
    count = min(24, strip.u.size)
    edges = np.linspace(0, strip.u.size, count, endpoint=False).astype(int)
    signal = np.add.reduceat(strip.light @ kernels, edges, axis=0)
    weight = np.add.reduceat(strip.known @ np.square(kernels), edges, axis=0)
    t = (np.arange(count) + 0.5) / count
    index = offs[:, None, None] * (1.0 - t) + offs[None, :, None] * t
    index = np.clip(np.rint((index + reach) / step), 0, offs.size - 1).astype(np.intp)
    rows = np.arange(count)
    total, spread = signal[rows, index].sum(axis=-1), weight[rows, index].sum(axis=-1)
    snr = total / np.sqrt(np.maximum(spread, 1.0))
    i, j = np.unravel_index(int(np.argmax(snr)), snr.shape)
    return path.moved(float(offs[i]), float(offs[j])), float(snr[i, j])


def _least_squares(
    strip: Strip, path: Path, sigma: float, prior: float
) -> tuple[tuple[float, float, float], float, tuple[float, float, float]]:
    """Moves of both ends and the bow, the width, and sigmas of bow, place and ln width.

    One Gauss-Newton step of light = A(u) exp(-(v - c(u))^2 / 2 sigma^2) with a parabola c;
    A is that of the light itself, chunk by chunk.
    """
    signal, weight = across(strip, 0.0, sigma)
    level = _levels(signal, weight)
    bent = path.length_px > LEAST_BENT_PX
    t = np.linspace(-1.0, 1.0, strip.u.size)
    basis = [np.ones_like(t), t] + ([1.0 - t**2] if bent else [])
    shape = np.exp(-0.5 * (strip.v / sigma) ** 2)
    model = level[:, None] * shape
    slope = model * (strip.v / sigma**2)
    # What a change of the amplitude cannot do as well
    widening = model * ((strip.v / sigma) ** 2 - 0.5)
    columns = [(slope * b[:, None]).ravel() for b in basis] + [widening.ravel()]
    jacobian = np.stack(columns, axis=1)
    known = strip.known.ravel().astype(float)
    rest = (strip.light - model * strip.known).ravel()
    normal = (jacobian * known[:, None]).T @ jacobian
    right = jacobian.T @ rest
    if bent:
        stiff = 1.0 / (BOW_PRIOR * path.length_px) ** 2
        normal[2, 2] += stiff
        right[2] -= stiff * path.bow_px
    normal[-1, -1] += 1.0 / WIDTH_PRIOR**2
    right[-1] -= np.log(sigma / prior) / WIDTH_PRIOR**2
    normal += 1e-6 * np.eye(len(normal))
    step = np.linalg.solve(normal, right)
    covariance = np.linalg.inv(normal)
    most = 1.5 * sigma
    c0, c1 = (float(np.clip(value, -most, most)) for value in step[:2])
    c2 = float(np.clip(step[2], -most, most)) if bent else 0.0
    wider = float(np.clip(step[-1], -0.3, 0.3))
    new = float(np.clip(sigma * np.exp(wider), NARROWEST_PX, WIDEST_PX))
    bow_sigma = float(np.sqrt(covariance[2, 2])) if bent else float("nan")
    place = float(np.sqrt(covariance[0, 0] + covariance[1, 1]))
    return (c0 - c1, c0 + c1, c2), new, (bow_sigma, place, float(np.sqrt(covariance[-1, -1])))


def _levels(signal: FloatArray, weight: FloatArray) -> FloatArray:
    """Light along the path in as many chunks as show it well, never negative."""
    total = max(float(weight.sum()), 1e-6)
    snr = float(signal.sum()) / np.sqrt(total)
    count = int(np.clip((snr / CHUNK_SNR) ** 2, 1, min(MOST_CHUNKS, signal.size // 4 + 1)))
    edges = np.linspace(0, signal.size, count, endpoint=False).astype(int)
    light, noise = np.add.reduceat(signal, edges), np.add.reduceat(weight, edges)
    level = np.maximum(light / np.maximum(noise, 1e-3), 0.0)
    sizes = np.diff(np.append(edges, signal.size))
    return np.asarray(np.repeat(level, sizes), float)


def path_of(some: Segments, index: int) -> Path:
    """One segment as a path from left to right."""
    ends = [
        (float(some.x1[index]), float(some.y1[index])),
        (float(some.x2[index]), float(some.y2[index])),
    ]
    (x1, y1), (x2, y2) = sorted(ends)
    return Path(x1=x1, y1=y1, x2=x2, y2=y2)
