"""Pixels told apart into streak and background, in seven ways behind one interface."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from detectors.genetic import genetic_minimum
from detectors.swarm import swarm_minimum
from detectors.types import FloatArray

Features = NDArray[np.floating]
SWARM_PARTICLES, SWARM_ITERATIONS = 7, 4
GENETIC_PEOPLE, GENETIC_ITERATIONS = 49, 5
MIXTURE_SAMPLES = 4000  # means and widths of both are then good to 3 %
COST_SAMPLES = 2000  # pixels on which swarm and genes are judged: their cost is good to 3 %


class TwoClusters(Protocol):
    """Background and streak, as found in a sample of pixels."""

    def bright(self, features: Features) -> NDArray[np.bool_]:
        """Which pixels belong to the streak; features of shape (..., d) give shape (...)."""
        ...


Clustering = Callable[[FloatArray, np.random.Generator], TwoClusters]


@dataclass(frozen=True)
class Centres:
    """Each pixel belongs to the nearer of two centres.

    Attributes
    ----------
    dark, light : ndarray of float64, shape (d,)
    """

    dark: FloatArray
    light: FloatArray

    @classmethod
    def of(cls, two: FloatArray) -> Centres:
        """Two centres, shape (2, d); the one whose features add up to more is the streak's."""
        low, high = np.argsort(two.sum(axis=1), kind="stable")
        return cls(two[low], two[high])

    def bright(self, features: Features) -> NDArray[np.bool_]:
        """See `TwoClusters`: two centres are told apart by a plane half-way."""
        across = (self.light - self.dark).astype(features.dtype)
        half_way = float((0.5 * (self.light + self.dark)) @ (self.light - self.dark))
        return np.asarray(features @ across > half_way)


@dataclass(frozen=True)
class Mixture:
    """Each pixel belongs to the likelier of two normal distributions.

    Attributes
    ----------
    log_weights : ndarray of float64, shape (2,)
    means : ndarray of float64, shape (2, d)
        The background's first.
    whitening : ndarray of float64, shape (2, d, d)
        Cholesky factors of the inverse covariances.
    """

    log_weights: FloatArray
    means: FloatArray
    whitening: FloatArray

    def bright(self, features: Features) -> NDArray[np.bool_]:
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
    """Mean squared distance of pixels to the nearer centre, for many pairs of centres.

    Parameters
    ----------
    sample : ndarray of float64, shape (n, d)
    centres : ndarray of float64, shape (m, 2, d)

    Returns
    -------
    ndarray of float64, shape (m,)
    """
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
