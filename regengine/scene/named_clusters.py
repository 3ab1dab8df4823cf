"""What clusters are called: a few labelled photos name them, and Bayes' rule does the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regengine.scene.clustering import Clusters
from regengine.scene.samples import FloatArray

# A cluster's share of a class counts as many labels as it has, and this many of the overall share
PRIOR_LABELS = 0.5
LEAST_SHARE = 1e-9


@dataclass(frozen=True, kw_only=True)
class NamedClusters:
    """Clusters with what their photos show.

    Attributes
    ----------
    clusters : Clusters
        K of them.
    classes : tuple of str, length C
        Names of classes.
    shares : ndarray of float64, shape (K, C)
        Probability that a photo of the cluster shows the class, each strictly between 0 and 1. A
        row need not sum to one: a photo may show several.
    """

    clusters: Clusters
    classes: tuple[str, ...]
    shares: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """The class that most photos of each cluster show, length K."""
        return tuple(self.classes[index] for index in self.shares.argmax(axis=1))

    def scores(self, features: FloatArray) -> FloatArray:
        """Log odds of each class; shape (N, F) → (N, C)."""
        shares = self.clusters.responsibilities(features) @ self.shares
        shares = np.clip(shares, LEAST_SHARE, 1.0 - LEAST_SHARE)
        return np.asarray(np.log(shares) - np.log1p(-shares), np.float64)


def name_clusters(
    clusters: Clusters,
    features: FloatArray,
    targets: NDArray[np.bool_],
    weights: FloatArray,
    classes: tuple[str, ...],
) -> NamedClusters:
    """Name clusters by labelled photos, each by as much as it belongs to them.

    Parameters
    ----------
    clusters : Clusters
        K clusters.
    features : ndarray of float64, shape (N, F)
        Of the labelled photos, as few as there are.
    targets : ndarray of bool, shape (N, C)
        Which classes they show.
    weights : ndarray of float64, shape (N,)
        Votes of each.
    classes : tuple of str, length C
        Names of classes.

    Returns
    -------
    NamedClusters
        A cluster without labels has the shares of all photos.
    """
    overall = (weights @ targets + PRIOR_LABELS / len(classes)) / (weights.sum() + PRIOR_LABELS)
    overall = np.minimum(overall, 1.0 - LEAST_SHARE)
    votes = clusters.responsibilities(features) * weights[:, None]
    shares = (votes.T @ targets + PRIOR_LABELS * overall) / (
        votes.sum(axis=0)[:, None] + PRIOR_LABELS
    )
    return NamedClusters(clusters=clusters, classes=classes, shares=shares)
