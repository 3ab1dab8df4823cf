"""A picture as a stack of layers: sky, airglow, twilight and Earth lie along arcs of one centre.

Every direction and a few curvatures are tried at 64 px; the one along which the layers explain most
of the brightness wins. Its strongest edge is then followed at 256 px.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.scene.layer_edge import Edge, compressed, follow_edge

FloatArray = NDArray[np.float64]
FloatImage = NDArray[np.float32]

DIRECTIONS = 36
# Of arcs, in units of one over half the long side: 0.15 to 0.6 for the horizon through lenses of
# 50 to 20 mm, more through a fisheye
CURVATURES = (0.0, 0.2, 0.45, 0.8)
# Layers of one pixel at 64 px, from beyond one corner to beyond the other
BINS = 96
REACH = 1.5
LEAST_IN_LAYER = 8
CANDIDATES = 3  # edges of the profile that are followed, this many layers apart or more
APART = 3
LEAST_STEP = 0.5 / 255.0


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The layers that explain a picture best, and its strongest edge among them.

    Lengths are in units of half the long side.

    Attributes
    ----------
    explained : float
        Share of the variance of brightness between the layers, 0 to 1.
    across : ndarray of float64, shape (n, 3)
        Mean linear red, green and blue of each layer that has pixels, in their order.
    counts : ndarray of float64, shape (n,)
        Pixels in each of them.
    edge : Edge or None
        The strongest edge; None where no layer has two neighbours.
    """

    explained: float
    across: FloatArray
    counts: FloatArray
    edge: Edge | None


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Layers of every trial for pictures of one shape."""

    x: FloatArray
    y: FloatArray
    trials: tuple[tuple[float, float], ...]  # direction in radians, curvature
    index: NDArray[np.int32]  # (trials, pixels): which layer a pixel falls into
    counts: FloatArray  # (trials, BINS)
    sums: Any  # sparse (trials * BINS, pixels): adds a picture up into all layers at once


def find_layers(small: FloatImage, fine: FloatImage) -> Layers:
    """Find the layers of a picture.

    Parameters
    ----------
    small, fine : ndarray of float32, shape (h, w, 3)
        Linear red, green and blue with a long side of 64 and of 256 px.

    Returns
    -------
    Layers
    """
    grid = _grid(small.shape[0], small.shape[1])
    value = compressed(small)
    sums = (grid.sums @ value.ravel()).reshape(len(grid.trials), BINS)
    number, total = value.size, float(value.sum())
    between = np.sum(sums**2 / np.maximum(grid.counts, 1.0), axis=1) - total**2 / number
    variance = float(np.sum(np.square(value))) - total**2 / number
    # One eight-bit step of noise a pixel keeps a blank picture from having layers
    explained = between / (variance + number * (0.5 / 255.0) ** 2)
    best = int(np.argmax(explained))
    counts = grid.counts[best]
    layers = np.flatnonzero(counts >= LEAST_IN_LAYER)
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
    """The layers into which pixels of a picture of this shape fall, for every trial."""
    from scipy.sparse import csc_array

    scale = 2.0 / max(height, width)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = (x - (width - 1) / 2.0) * scale, (y - (height - 1) / 2.0) * scale
    trials = tuple(
        (2.0 * np.pi * turn / DIRECTIONS, curvature)
        for turn in range(DIRECTIONS)
        for curvature in CURVATURES
        # Straight layers of the opposite direction are the same
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
    # Filled by columns: each pixel lies in one layer of every trial
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
    """Follow the strongest edges of the profile; the one that lies on an arc best is returned."""
    if len(profile) < 5:
        return None
    steps = profile[2:] - profile[:-2]
    left = np.abs(steps)
    best: tuple[float, Edge] | None = None
    for _ in range(CANDIDATES):
        strongest = int(np.argmax(left))
        if left[strongest] <= LEAST_STEP:
            break
        level = (layers[strongest + 1] + 0.5) / BINS * 2.0 * REACH - REACH
        sign = float(np.sign(steps[strongest]))
        edge = follow_edge(fine, (grid.x, grid.y), trial, level, sign)
        if edge is not None:
            score = edge.seen * np.sqrt(left[strongest])
            if best is None or score > best[0]:
                best = score, edge
        left[max(strongest - APART, 0) : strongest + APART + 1] = 0.0
    return None if best is None else best[1]
