"""Pixels told apart into streak and background, in seven ways behind one interface."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.types import BoolImage, FloatArray, FloatImage

Cost = Callable[[FloatArray], FloatArray]

Features = NDArray[np.floating]
SWARM_PARTICLES, SWARM_ITERATIONS = 7, 4
GENETIC_PEOPLE, GENETIC_ITERATIONS = 49, 5
MIXTURE_SAMPLES = 4000  # means and widths of both are then good to 3 %
COST_SAMPLES = 2000  # pixels on which swarm and genes are judged: their cost is good to 3 %

LEVEL_PX = 41  # window of the local sky: wider than a streak, narrower than clouds
LEVELS_PER_SIGMA, DARKEST_SIGMA = 8.0, -8.0
# On pixels twice as large: 15 degrees apart, 22 px long, the sky taken 6 px beside
DIRECTIONS, LINE_PX, BESIDE_PX = 12, 11, 3.0
BRIGHTEST = 12.0  # in units of the sky's scatter: brighter is as good
SAMPLES = 100_000


def swarm_minimum(
    cost: Cost,
    start: FloatArray,
    low: FloatArray,
    high: FloatArray,
    rng: np.random.Generator,
    *,
    iterations: int = 4,
    own_pull: float = 2.0,
    common_pull: float = 2.0,
    fastest: float = 0.5,
) -> FloatArray:
    """Best place that a swarm comes across, all particles moved at once.

    v' = v + c1 r1 (p - x) + c2 r2 (g - x), x' = x + v', with p each particle's own best place and
    g that of all; r1 and r2 uniform in 0 to 1, per coordinate.

    References
    ----------
    Kennedy, J., Eberhart, R. (1995). Particle swarm optimization. Proc. ICNN 4, 1942-1948.
    """
    place = np.clip(start, low, high)
    velocity = np.zeros_like(place)
    best, best_cost = place.copy(), cost(place)
    limit = fastest * (high - low)
    for _ in range(iterations):
        leader = best[int(np.argmin(best_cost))]
        own, common = rng.random((2, *place.shape))
        velocity += own_pull * own * (best - place) + common_pull * common * (leader - place)
        velocity = np.clip(velocity, -limit, limit)
        place = np.clip(place + velocity, low, high)
        now = cost(place)
        better = now < best_cost
        best[better], best_cost[better] = place[better], now[better]
    return np.asarray(best[int(np.argmin(best_cost))])


def genetic_minimum(
    cost: Cost,
    start: FloatArray,
    low: FloatArray,
    high: FloatArray,
    rng: np.random.Generator,
    *,
    iterations: int = 5,
    mutated: float = 0.1,
    mutation: float = 0.1,
    spread: float = 0.25,
) -> FloatArray:
    """Best of the last generation, all individuals bred at once.

    Parents are the better of two drawn at random. A child lies, per coordinate, at random between
    its parents or up to `spread` of their distance outside. Some coordinates are mutated by normal
    deviates that shrink from generation to generation. The best individual lives on.

    References
    ----------
    Goldberg, D. E. (1989). Genetic Algorithms in Search, Optimization and Machine Learning.
    Eshelman, L. J., Schaffer, J. D. (1993). Real-coded genetic algorithms and interval-schemata.
    FOGA 2, 187-202 (the blend of parents).
    """
    people = np.clip(start, low, high)
    costs = cost(people)
    count, dimensions = people.shape
    for generation in range(iterations):
        drawn = rng.integers(0, count, (2, 2, count))
        fitter = np.where(costs[drawn[0]] <= costs[drawn[1]], drawn[0], drawn[1])
        mother, father = people[fitter[0]], people[fitter[1]]
        share = rng.uniform(-spread, 1.0 + spread, (count, dimensions))
        children = mother + share * (father - mother)
        size = mutation * (high - low) * (1.0 - generation / iterations)
        changed = rng.random((count, dimensions)) < mutated
        children += changed * size * rng.standard_normal((count, dimensions))
        children[0] = people[int(np.argmin(costs))]
        people = np.clip(children, low, high)
        costs = cost(people)
    return np.asarray(people[int(np.argmin(costs))])


class TwoClusters(Protocol):
    """Background and streak, as found in a sample of pixels."""

    def bright(self, features: Features) -> BoolImage:
        """Which pixels belong to the streak; features of shape (..., d) give shape (...)."""
        ...


Clustering = Callable[[FloatArray, np.random.Generator], TwoClusters]


@dataclass(frozen=True)
class Centres:
    """Each pixel belongs to the nearer of two centres."""

    # dark, light, (d,)
    dark: FloatArray
    light: FloatArray

    @classmethod
    def of(cls, two: FloatArray) -> Centres:
        """Two centres, shape (2, d); the one whose features add up to more is the streak's."""
        low, high = np.argsort(two.sum(axis=1), kind="stable")
        return cls(two[low], two[high])

    def bright(self, features: Features) -> BoolImage:
        """See `TwoClusters`: two centres are told apart by a plane half-way."""
        across = (self.light - self.dark).astype(features.dtype)
        half_way = float((0.5 * (self.light + self.dark)) @ (self.light - self.dark))
        return np.asarray(features @ across > half_way)


@dataclass(frozen=True)
class Mixture:
    """Each pixel belongs to the likelier of two normal distributions."""

    log_weights: FloatArray  # (2,)
    means: FloatArray  # (2, d): the background's first
    whitening: FloatArray  # (2, d, d): Cholesky factors of the inverse covariances

    def bright(self, features: Features) -> BoolImage:
        """See `TwoClusters`; what is darker than the background is not of the streak."""
        across = self.means[1] - self.means[0]
        above = (features - self.means[0].astype(features.dtype)) @ across.astype(features.dtype)
        odds = self._log_density(features, 1) - self._log_density(features, 0)
        return np.asarray((odds > 0.0) & (above > 0.0))

    def _log_density(self, features: Features, one: int) -> Features:
        factor = self.whitening[one].astype(features.dtype)
        white = features @ factor - (self.means[one] @ self.whitening[one]).astype(features.dtype)
        constant = self.log_weights[one] + np.log(np.abs(np.linalg.det(self.whitening[one])))
        return np.asarray(constant - 0.5 * np.einsum("...i,...i->...", white, white))


def k_means(
    sample: FloatArray, rng: np.random.Generator, start: FloatArray | None = None
) -> Centres:
    """Lloyd's algorithm from k-means++ or from given centres of shape (2, d)."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    means = KMeans(
        n_clusters=2,
        init="k-means++" if start is None else start,
        n_init=3 if start is None else 1,
        random_state=_seed(rng),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # all pixels may be equal
        return Centres.of(means.fit(sample).cluster_centers_)


def gaussian_mixture(sample: FloatArray, rng: np.random.Generator) -> Mixture:
    """Expectation maximisation of two normal distributions with full covariances."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    mixture = GaussianMixture(2, random_state=_seed(rng), reg_covar=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(_some(sample, rng, MIXTURE_SAMPLES))
    order = np.argsort(mixture.means_.sum(axis=1), kind="stable")
    return Mixture(
        np.log(np.maximum(mixture.weights_[order], 1e-9)),
        mixture.means_[order],
        mixture.precisions_cholesky_[order],
    )


def swarm_clusters(sample: FloatArray, rng: np.random.Generator) -> Centres:
    """Two centres of least mean squared distance, by a particle swarm."""
    few = _some(sample, rng)
    start = _pairs(few, SWARM_PARTICLES, rng)
    low, high = _box(few)
    best = swarm_minimum(_cost_on(few), start, low, high, rng, iterations=SWARM_ITERATIONS)
    return Centres.of(best.reshape(2, -1))


def genetic_clusters(sample: FloatArray, rng: np.random.Generator) -> Centres:
    """Two centres of least mean squared distance, by a genetic algorithm."""
    few = _some(sample, rng)
    start = _pairs(few, GENETIC_PEOPLE, rng)
    low, high = _box(few)
    best = genetic_minimum(_cost_on(few), start, low, high, rng, iterations=GENETIC_ITERATIONS)
    return Centres.of(best.reshape(2, -1))


def seeding_k_means(first: Clustering) -> Clustering:
    """K-means that starts from what another clustering finds."""

    def both(sample: FloatArray, rng: np.random.Generator) -> Centres:
        found = first(sample, rng)
        if isinstance(found, Centres):
            start = np.stack([found.dark, found.light])
        else:
            lit = found.bright(sample)
            if lit.all() or not lit.any():
                return k_means(sample, rng)
            start = np.stack([sample[~lit].mean(axis=0), sample[lit].mean(axis=0)])
        return k_means(sample, rng, start)

    return both


def quantisation_error(sample: FloatArray, centres: FloatArray) -> FloatArray:
    """Mean squared distance of pixels to the nearer centre, for many pairs of centres."""
    norms = np.square(centres).sum(axis=2)
    squares = norms[:, :, None] - 2.0 * centres @ sample.T
    return np.asarray(squares.min(axis=1).mean(axis=1) + np.square(sample).sum(axis=1).mean())


def _cost_on(sample: FloatArray) -> Callable[[FloatArray], FloatArray]:
    def cost(places: FloatArray) -> FloatArray:
        return quantisation_error(sample, places.reshape(len(places), 2, -1))

    return cost


def _some(sample: FloatArray, rng: np.random.Generator, most: int = COST_SAMPLES) -> FloatArray:
    if len(sample) <= most:
        return sample
    return np.asarray(sample[rng.choice(len(sample), most, replace=False)])


def _pairs(sample: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Pairs of pixels, as places in a space of twice the dimensions, shape (count, 2 d)."""
    return np.asarray(sample[rng.integers(0, len(sample), (count, 2))].reshape(count, -1))


def _box(sample: FloatArray) -> tuple[FloatArray, FloatArray]:
    return np.tile(sample.min(axis=0), 2), np.tile(sample.max(axis=0), 2)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def above_local_sky(grey: FloatImage) -> FloatImage:
    """The image less its running median, so that clouds do not count as light.

    `grey` (h, w): in units of the sky's noise.
    """
    levels = (grey - np.float32(DARKEST_SIGMA)) * np.float32(LEVELS_PER_SIGMA)
    levels = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    median = cv2.medianBlur(levels, LEVEL_PX).astype(np.float32)
    median = cv2.blur(median, (LEVEL_PX // 2, LEVEL_PX // 2))
    return np.asarray(grey - (median / np.float32(LEVELS_PER_SIGMA) + np.float32(DARKEST_SIGMA)))


def line_response(grey: FloatImage) -> FloatImage:
    """Mean along the brightest of twelve short lines through each pixel, less that on either side.

    Made on pixels twice as large. What is taken away runs parallel to the line: so a pixel beside
    a streak does not respond to it by a line that crosses it.
    """
    h, w = grey.shape
    small = cv2.resize(grey, (max(1, w // 2), max(1, h // 2)), interpolation=cv2.INTER_AREA)
    best = np.full(small.shape, -np.inf, np.float32)
    for kernel in line_kernels():
        cv2.max(best, cv2.filter2D(small, cv2.CV_32F, kernel), dst=best)
    return np.asarray(cv2.resize(best, (w, h), interpolation=cv2.INTER_LINEAR))


@cache
def line_kernels() -> tuple[FloatImage, ...]:
    """Lines through the middle of a square, less those beside them; each of sum 0."""
    middle = LINE_PX // 2
    offsets = np.arange(LINE_PX) - middle
    within = np.hypot(offsets[None, :], offsets[:, None]) <= middle + 0.5
    kernels = []
    for direction in range(DIRECTIONS):
        angle = np.pi * direction / DIRECTIONS
        across = np.abs(offsets[None, :] * np.sin(angle) - offsets[:, None] * np.cos(angle))
        line = np.maximum(1.0 - across, 0.0) * within
        beside = np.maximum(1.0 - np.abs(across - BESIDE_PX), 0.0) * within
        kernels.append((line / line.sum() - beside / beside.sum()).astype(np.float32))
    return tuple(kernels)


def pixel_features(grey: FloatImage, usable: BoolImage) -> FloatImage:
    """Brightness and line response of every pixel, each in units of the sky's scatter.

    `grey` (h, w): denoised, above the local sky, stars removed; `usable` (h, w): false where pixels
    tell nothing; their features are 0. Gives (h, w, 2): at most 12.
    """
    features = np.empty((*grey.shape, 2), np.float32)
    for number, image in enumerate((grey, line_response(grey))):
        middle, scatter = _sky(image[usable])
        features[..., number] = np.minimum((image - middle) / scatter, np.float32(BRIGHTEST))
    features[~usable] = 0.0
    return features


def _sky(values: FloatImage) -> tuple[np.float32, np.float32]:
    """Median of some values, and their scatter about it on the dark side, where no light is."""
    sample = values[:: max(1, values.size // SAMPLES)]
    low, middle = np.quantile(sample, (0.1587, 0.5)) if sample.size else (0.0, 0.0)
    scatter = max(float(middle - low), 1e-3)
    return np.float32(middle), np.float32(scatter)
