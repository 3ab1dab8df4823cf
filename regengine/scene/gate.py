"""What no cluster explains: photos unlike all that the model was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regengine.scene.clustering import Clusters, refit_gmm
from regengine.scene.folds import grouped_folds
from regengine.scene.labels import OTHER
from regengine.scene.samples import FloatArray, Samples

# Of training groups that their own classes should explain, so many are let fall
QUANTILE = 0.01
HELD_OUT_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Clusters, and how unlikely a photo may be under them.

    Attributes
    ----------
    clusters : Clusters
        A mixture of Gaussians.
    threshold : float
        Least log-likelihood of a photo that they explain.
    """

    clusters: Clusters
    threshold: float

    def explains(self, features: FloatArray) -> NDArray[np.bool_]:
        """Whether the clusters explain photos; shape (N, F) → (N,)."""
        return np.asarray(self.clusters.log_likelihood(features) >= self.threshold)


def fit_gate(clusters: Clusters, samples: Samples, *, seed: int) -> Gate:
    """Set the threshold from the training photos' own likelihoods.

    A photo is likelier under clusters that were fitted to it than a new one would be. So each is
    judged by as many clusters fitted without its group, and the threshold is a low quantile of
    those. Photos that are called `OTHER`, and those whose class has no other group, say nothing:
    the clusters need not explain them.

    Parameters
    ----------
    clusters : Clusters
        Fitted to all samples.
    samples : Samples
        Training rows; the quantile is that of the real ones, one vote a group.
    seed : int
        Of the fits.

    Returns
    -------
    Gate
    """
    likelihood = np.full(len(samples), np.nan)
    for fold in grouped_folds(samples, count=HELD_OUT_FOLDS, seed=seed, alone_below=0):
        known = np.isin(samples.primary[fold.test], samples.primary[fold.train])
        if samples.classes.count(OTHER):
            known &= samples.primary[fold.test] != samples.classes.index(OTHER)
        if not known.any() or len(fold.train) < 2:
            continue
        without = refit_gmm(clusters, samples.features[fold.train], seed=seed)
        tested = fold.test[known]
        likelihood[tested] = without.log_likelihood(samples.features[tested])
    judged = np.isfinite(likelihood)
    if not judged.any():
        return Gate(
            clusters=clusters, threshold=float(clusters.log_likelihood(samples.features).min())
        )
    threshold = weighted_quantile(likelihood[judged], samples.weights[judged], QUANTILE)
    return Gate(clusters=clusters, threshold=threshold)


def weighted_quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    """The value that a share of the weight lies below, between values linearly."""
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - 0.5 * weights[order]
    return float(np.interp(share * weights.sum(), below, values[order]))
