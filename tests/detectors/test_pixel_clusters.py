"""Clusterings recover clusters that were made; swarm and genes find minima that are known."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.pixel_clusters import (
    gaussian_mixture,
    genetic_clusters,
    genetic_minimum,
    k_means,
    seeding_k_means,
    swarm_clusters,
    swarm_minimum,
)

ALL = {
    "kmeans": k_means,
    "pso": swarm_clusters,
    "ga": genetic_clusters,
    "gmm": gaussian_mixture,
    "pso-kmeans": seeding_k_means(swarm_clusters),
    "ga-kmeans": seeding_k_means(genetic_clusters),
    "gmm-kmeans": seeding_k_means(gaussian_mixture),
}
DARK, LIGHT = np.array([0.0, 0.0]), np.array([8.0, 6.0])


def two_clusters(rng, count=2000):
    labels = rng.random(count) < 0.4
    return np.where(labels[:, None], LIGHT, DARK) + rng.standard_normal((count, 2)), labels


@pytest.mark.parametrize("cluster", ALL.values(), ids=ALL.keys())
def test_known_clusters_are_recovered(cluster):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sample, labels = two_clusters(rng)
        found = cluster(sample, rng).bright(sample)
        assert (found == labels).mean() > 0.98


@pytest.mark.parametrize("cluster", ALL.values(), ids=ALL.keys())
def test_equal_pixels_hold_no_streak_and_the_seed_decides(cluster):
    flat = np.zeros((500, 2))
    assert not cluster(flat, np.random.default_rng(0)).bright(flat).any()
    sample, _ = two_clusters(np.random.default_rng(1))
    one, other = (cluster(sample, np.random.default_rng(7)).bright(sample) for _ in range(2))
    assert np.array_equal(one, other)


def test_a_mixture_knows_that_clusters_have_widths():
    rng = np.random.default_rng(3)
    narrow, wide = rng.normal(0.0, 0.2, (3000, 2)), rng.normal(4.0, 2.0, (300, 2))
    found = gaussian_mixture(np.concatenate([narrow, wide]), rng)
    assert found.bright(np.array([[1.5, 1.5]])).all()  # nearer to the narrow one, too far for it
    assert not found.bright(np.array([[-4.0, -4.0], [0.1, 0.2]])).any()


@pytest.mark.parametrize("minimum", [swarm_minimum, genetic_minimum])
def test_the_best_is_never_lost_and_stays_in_the_box(minimum):
    low, high = np.zeros(2), np.ones(2)

    def cost(places):
        assert (places >= low).all()
        assert (places <= high).all()
        return np.square(places - 2.0).sum(axis=1)  # the minimum lies outside

    rng = np.random.default_rng(0)
    start = rng.uniform(low, high, (20, 2))
    for iterations in (0, 1, 5, 20):
        best = minimum(cost, start, low, high, rng, iterations=iterations)
        assert cost(best[None])[0] <= cost(start).min()
