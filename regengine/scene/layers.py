"""Model a picture as layers (sky, airglow, twilight, Earth) along arcs with a common centre.

Every direction and a few curvatures are tried at 64 px; the one whose layers explain the largest
share of the brightness variance is chosen. Its strongest edge is then traced at 256 px.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray

FloatImage = NDArray[np.float32]

DIRECTIONS = 36
# Curvatures of arcs, in units of one over half the long side: 0.15 to 0.6 for the horizon with
# lenses of 50 to 20 mm, more with a fisheye
CURVATURES = (0.0, 0.2, 0.45, 0.8)
# Layers of one pixel at 64 px, from beyond one corner to beyond the opposite one
BINS = 96
REACH = 1.5
MIN_IN_LAYER = 8
CANDIDATES = 3  # edges of the profile that are traced, at least this many layers apart
APART = 3
MIN_STEP = 0.5 / 255.0
# Tracing of an edge across the picture, and the fitted arc
COLUMNS = 65
STRIP_REACH = 0.16
STRIP_STEP = 1.0 / 128.0  # one pixel of 256
BRIGHTEST_QUANTILE = 0.97
STRAIGHT = 0.05  # curvature below which brightness determines which side is the sky


@dataclass(frozen=True, kw_only=True)
class Edge:
    """An arc between two layers; lengths in units of half the picture's long side."""

    curvature: float  # of the fitted arc, positive where it is convex towards the strip's end
    seen: float  # share of the columns with an edge on the arc
    # Shape (m, 3): linear red, green and blue across the edge, which is in the middle; medians
    # along it. The strip ends on the convex side
    strip: FloatArray
    beyond: NDArray[np.bool_]  # shape (h, w): pixels at 64 px on that side

    @property
    def certain(self) -> float:
        """Confidence that it is a limb, 0 to 1, from the share of the edge on the arc."""
        return float(np.clip((self.seen - 0.2) / 0.4, 0.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The layers that explain a picture best, and the strongest edge between them.

    Lengths are in units of half the long side.
    """

    explained: float  # share of the variance of brightness that is between the layers, 0 to 1
    # Shape (n, 3): mean linear red, green and blue of each non-empty layer, in order
    across: FloatArray
    counts: FloatArray  # shape (n,): number of pixels in each of them
    edge: Edge | None  # the strongest edge; None if no layer has two neighbours


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Layer indices of every trial for pictures of one shape."""

    x: FloatArray
    y: FloatArray
    trials: tuple[tuple[float, float], ...]  # direction in radians, curvature
    index: NDArray[np.int32]  # (trials, pixels): layer of each pixel
    counts: FloatArray  # (trials, BINS)
    sums: Any  # sparse (trials * BINS, pixels): sums a picture over all layers at once


def find_layers(small: FloatImage, fine: FloatImage) -> Layers:
    """Find the layers that explain a picture best."""
    grid = _grid(small.shape[0], small.shape[1])
    value = _compress_brightness(small)
    sums = (grid.sums @ value.ravel()).reshape(len(grid.trials), BINS)
    number, total = value.size, float(value.sum())
    between = np.sum(sums**2 / np.maximum(grid.counts, 1.0), axis=1) - total**2 / number
    variance = float(np.sum(np.square(value))) - total**2 / number
    # One eight-bit step of noise per pixel prevents layers in a blank picture
    explained = between / (variance + number * (0.5 / 255.0) ** 2)
    best = int(np.argmax(explained))
    counts = grid.counts[best]
    layers = np.flatnonzero(counts >= MIN_IN_LAYER)
    colours = small.reshape(-1, 3).astype(np.float64)
    across = np.column_stack(
        [np.bincount(grid.index[best], colours[:, channel], BINS) for channel in range(3)]
    )
    profile = sums[best, layers] / counts[layers]
    return Layers(
        explained=float(explained[best]),
        across=across[layers] / counts[layers, None],
        counts=counts[layers],
        edge=_edge(grid, grid.trials[best], layers, profile, fine),
    )


@lru_cache(maxsize=8)
def _grid(height: int, width: int) -> _Grid:
    """Layer indices of the pixels of a picture of this shape, for every trial."""
    from scipy.sparse import csc_array

    scale = 2.0 / max(height, width)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = (x - (width - 1) / 2.0) * scale, (y - (height - 1) / 2.0) * scale
    trials = tuple(
        (2.0 * np.pi * turn / DIRECTIONS, curvature)
        for turn in range(DIRECTIONS)
        for curvature in CURVATURES
        # Straight layers of the opposite direction are equal
        if curvature > 0.0 or turn < DIRECTIONS // 2
    )
    index = np.empty((len(trials), x.size), np.int32)
    counts = np.empty((len(trials), BINS))
    for k, (angle, curvature) in enumerate(trials):
        along = x * np.cos(angle) + y * np.sin(angle)
        aside = y * np.cos(angle) - x * np.sin(angle)
        level = along + curvature * aside**2 / 2.0
        place = np.floor((level + REACH) / (2.0 * REACH) * BINS)
        index[k] = np.clip(place, 0, BINS - 1).ravel().astype(np.int32)
        counts[k] = np.bincount(index[k], minlength=BINS)
    # Sorted by columns: each pixel is in one layer of every trial
    rows = index + BINS * np.arange(len(trials), dtype=np.int32)[:, None]
    shape = len(trials) * BINS, x.size
    starts = np.arange(x.size + 1, dtype=np.int32) * len(trials)
    sums = csc_array((np.ones(rows.size), rows.T.ravel(), starts), shape=shape).tocsr()
    return _Grid(x=x, y=y, trials=trials, index=index, counts=counts, sums=sums)


def _edge(
    grid: _Grid,
    trial: tuple[float, float],
    layers: NDArray[np.intp],
    profile: FloatArray,
    fine: FloatImage,
) -> Edge | None:
    """Trace the strongest edges of the profile; return the one that fits an arc best."""
    if len(profile) < 5:
        return None
    steps = profile[2:] - profile[:-2]
    left = np.abs(steps)
    best: tuple[float, Edge] | None = None
    for _ in range(CANDIDATES):
        strongest = int(np.argmax(left))
        if left[strongest] <= MIN_STEP:
            break
        level = (layers[strongest + 1] + 0.5) / BINS * 2.0 * REACH - REACH
        sign = float(np.sign(steps[strongest]))
        edge = _follow_edge(fine, (grid.x, grid.y), trial, level, sign)
        if edge is not None:
            score = edge.seen * np.sqrt(left[strongest])
            if best is None or score > best[0]:
                best = score, edge
        left[max(strongest - APART, 0) : strongest + APART + 1] = 0.0
    return None if best is None else best[1]


def _compress_brightness(light: FloatImage) -> FloatArray:
    """Compressed brightness, in which faint airglow counts and lamps and lightning do not."""
    value = np.sqrt(light.mean(axis=2, dtype=np.float64))
    return np.asarray(np.minimum(value, np.quantile(value, BRIGHTEST_QUANTILE)))


def _follow_edge(
    fine: FloatImage,
    places: tuple[FloatArray, FloatArray],
    direction: tuple[float, float],
    level: float,
    sign: float,
) -> Edge | None:
    """Fit an arc to the edge near a layer, and sample the picture across it."""
    angle, curvature = direction
    x, y = places
    aside = np.linspace(-1.2, 1.2, COLUMNS)
    guess = level - curvature * aside**2 / 2.0
    strip, inside = _strip(fine, angle, aside, guess)
    if inside.sum() < COLUMNS // 8:
        return None
    offset = _follow(_compress_brightness(strip), sign)
    arc, seen = _fit_arc(aside[inside], offset[inside])
    bulge = curvature - 2.0 * arc[0]
    strip, inside = _strip(fine, angle, aside, guess + np.polyval(arc, aside))
    across = np.median(strip[inside] if inside.any() else strip, axis=0)
    along = x * np.cos(angle) + y * np.sin(angle)
    beside = y * np.cos(angle) - x * np.sin(angle)
    beyond = along > level - curvature * beside**2 / 2.0 + np.polyval(arc, beside)
    # Without a curvature to distinguish the two sides, the darker one is the sky
    third = len(across) // 3
    straight = abs(bulge) < STRAIGHT
    flip = across[-third:].mean() > across[:third].mean() if straight else bulge < 0.0
    return Edge(
        curvature=0.0 if straight else abs(bulge),
        seen=seen * float(np.mean(inside)),
        strip=np.asarray(across[::-1] if flip else across, np.float64),
        beyond=~beyond if flip else beyond,
    )


def _strip(
    fine: FloatImage, angle: float, aside: FloatArray, centre: FloatArray
) -> tuple[FloatImage, NDArray[np.bool_]]:
    """Samples across a line, shape (columns, m, 3), and the columns with a centre inside."""
    height, width = fine.shape[:2]
    half = max(height, width) / 2.0
    along = centre[:, None] + np.arange(-STRIP_REACH, STRIP_REACH + 1e-9, STRIP_STEP)
    x = (along * np.cos(angle) - aside[:, None] * np.sin(angle)) * half + (width - 1) / 2.0
    y = (along * np.sin(angle) + aside[:, None] * np.cos(angle)) * half + (height - 1) / 2.0
    strip = cv2.remap(
        fine,
        x.astype(np.float32),
        y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    middle = along.shape[1] // 2
    inside = (np.abs(x[:, middle] - (width - 1) / 2.0) < width / 2.0 - 2.0) & (
        np.abs(y[:, middle] - (height - 1) / 2.0) < height / 2.0 - 2.0
    )
    return np.asarray(strip), inside


def _follow(value: FloatArray, sign: float) -> FloatArray:
    """Offset of the strongest edge of this sign in each column of a strip."""
    smooth = cv2.GaussianBlur(value, (0, 0), sigmaX=1.0, sigmaY=1.0)
    offsets = (np.arange(value.shape[1]) - value.shape[1] // 2) * STRIP_STEP
    step = sign * np.gradient(smooth, axis=1) * np.exp(-((offsets / 0.09) ** 2) / 2.0)
    return np.asarray(offsets[np.argmax(step, axis=1)])


def _fit_arc(aside: FloatArray, offset: FloatArray) -> tuple[FloatArray, float]:
    """Fit a parabola robustly; also the share of positions on it."""
    powers = np.vander(aside, 3)
    weights = np.ones(len(aside))
    arc: FloatArray = np.zeros(3)
    for _ in range(4):
        weighted = powers * weights[:, None]
        system = weighted.T @ powers + 1e-9 * np.eye(3)
        arc = np.asarray(np.linalg.solve(system, weighted.T @ offset), np.float64)
        residual = np.abs(offset - powers @ arc)
        spread = max(float(np.median(residual)), STRIP_STEP / 2.0)
        weights = (1.0 + (residual / (2.0 * spread)) ** 2) ** -2
    return arc, float(np.mean(residual < 2.0 * STRIP_STEP))
