"""Particle swarm optimisation: points fly about and remember where it was best."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from detectors.types import FloatArray

Cost = Callable[[FloatArray], FloatArray]


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

    Parameters
    ----------
    cost : callable
        Of places, shape (n, d), gives the cost of each, shape (n,).
    start : ndarray of float64, shape (n, d)
        Where the particles begin, at rest.
    low, high : ndarray of float64, shape (d,)
        They stay within.
    rng : numpy.random.Generator
    iterations : int, optional
    own_pull, common_pull : float, optional
        c1 and c2.
    fastest : float, optional
        No velocity exceeds this part of the width of the box: without it, and without inertia
        below 1, the swarm flies apart.

    Returns
    -------
    ndarray of float64, shape (d,)

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
