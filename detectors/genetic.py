"""Genetic optimisation: the fitter ones have children, who differ from them a little."""

from __future__ import annotations

import numpy as np

from detectors.swarm import Cost
from detectors.types import FloatArray


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

    Parameters
    ----------
    cost : callable
        Of places, shape (n, d), gives the cost of each, shape (n,).
    start : ndarray of float64, shape (n, d)
        The first generation.
    low, high : ndarray of float64, shape (d,)
        Nobody leaves this box.
    rng : numpy.random.Generator
    iterations : int, optional
        Generations.
    mutated : float, optional
        Share of coordinates that mutate.
    mutation : float, optional
        Sigma of the first mutations, as part of the width of the box.
    spread : float, optional

    Returns
    -------
    ndarray of float64, shape (d,)

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
