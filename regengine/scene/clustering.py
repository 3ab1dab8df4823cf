"""Clusters of photos that look alike.

Clusters are found without labels: as a mixture of Gaussians whose number has the least Bayesian
information criterion (Schwarz 1978), or by k-means with the number of the greatest silhouette
(Rousseeuw 1987). K-means clusters are evaluated as round Gaussians of one common width, so that
both kinds are the same arrays. They lie on principal axes; where many photos are labelled, axes
that part the classes best serve better, and a class still has as many clusters as it needs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from detectors.types import FloatArray
from regengine.scene.supervised import Standardiser, fit_standardiser, with_principal_axes

# Numbers of clusters that are tried, as far as there are rows for them
COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 18, 22, 26, 32, 40)
ROWS_PER_CLUSTER = 4
# Principal axes: more would need more photos than a person labels
VARIANCE_KEPT = 0.9
MOST_AXES = 12
# Added to variances, which are of order 1: a cluster of copies of one frame must not be a spike
LEAST_VARIANCE = 0.05
SHAPES = ("spherical", "tied", "diag", "full")
# A cluster's share of a class counts as many labels as it has, and this many of the overall share
PRIOR_LABELS = 0.5
LEAST_SHARE = 1e-9


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """A mixture of Gaussians in standardised features."""

    shape: str  # of the Gaussians, as scikit-learn calls it: "spherical", "tied", "diag" or "full"
    standardiser: Standardiser  # from features to the D axes of the mixture
    weights: FloatArray  # shape (K,): share of each cluster; they sum to one
    means: FloatArray  # shape (K, D): centres
    whitening: FloatArray  # shape (K, D, D): ``(z - mean) @ whitening`` has unit covariance

    def log_joint(self, features: FloatArray) -> FloatArray:
        """Log density of features and cluster together; shape (N, F) → (N, K)."""
        z = self.standardiser.apply(features)
        dimensions = z.shape[1]
        diagonal = np.einsum("kii->ki", self.whitening)
        constant = (
            np.log(self.weights)
            + np.log(diagonal).sum(axis=1)
            - 0.5 * dimensions * np.log(2.0 * np.pi)
        )
        away = np.stack(
            [
                np.sum(((z - mean) @ factor) ** 2, axis=1)
                for mean, factor in zip(self.means, self.whitening, strict=True)
            ],
            axis=1,
        )
        return np.asarray(constant - 0.5 * away, np.float64)

    def log_likelihood(self, features: FloatArray) -> FloatArray:
        """Log density of features; shape (N, F) → (N,)."""
        return np.asarray(logsumexp(self.log_joint(features), axis=1), np.float64)

    def responsibilities(self, features: FloatArray) -> FloatArray:
        """Probability of each cluster by Bayes' rule; shape (N, F) → (N, K)."""
        joint = self.log_joint(features)
        return np.asarray(np.exp(joint - logsumexp(joint, axis=1, keepdims=True)), np.float64)


def fit_gmm(
    features: FloatArray, *, seed: int, standardiser: Standardiser | None = None
) -> Clusters:
    """Fit mixtures of Gaussians; keep the one with the least BIC."""
    standardiser = standardiser or _principal(features)
    z = standardiser.apply(features)
    best, least = None, np.inf
    for shape in SHAPES:
        worse = 0
        for count in _counts(len(z)):
            fitted = _mixture(z, count, shape, seed)
            criterion = fitted.bic(z)
            worse = worse + 1 if criterion >= least else 0
            if criterion < least:
                best, least = fitted, criterion
            if worse == 3:  # the criterion has one valley
                break
    assert best is not None
    return _from_mixture(best, standardiser)


def refit_gmm(clusters: Clusters, features: FloatArray, *, seed: int) -> Clusters:
    """Fit as many Gaussians to other rows, on the same axes."""
    z = clusters.standardiser.apply(features)
    count = min(len(clusters.weights), len(z))
    return _from_mixture(_mixture(z, count, clusters.shape, seed), clusters.standardiser)


def fit_kmeans(features: FloatArray, *, seed: int) -> Clusters:
    """Fit k-means; keep the number of clusters with the greatest silhouette."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    standardiser = _principal(features)
    z = standardiser.apply(features)
    best, greatest = None, -np.inf
    for count in _counts(len(z)):
        with _few_rows():
            fitted = KMeans(count, n_init=4, random_state=seed).fit(z)
        parts = len(np.unique(fitted.labels_))
        # The silhouette of one cluster alone is 0 by definition
        merit = silhouette_score(z, fitted.labels_) if 1 < parts < len(z) else 0.0
        if merit > greatest:
            best, greatest = fitted, merit
    assert best is not None
    variance = float(np.mean((z - best.cluster_centers_[best.labels_]) ** 2))
    whitening = np.eye(z.shape[1]) / np.sqrt(max(variance, LEAST_VARIANCE))
    sizes = np.bincount(best.labels_, minlength=len(best.cluster_centers_))
    present = sizes > 0
    return Clusters(
        shape="spherical",
        standardiser=standardiser,
        weights=sizes[present] / sizes.sum(),
        means=best.cluster_centers_[present].astype(np.float64),
        whitening=np.repeat(whitening[None], int(present.sum()), axis=0),
    )


def _principal(features: FloatArray) -> Standardiser:
    plain = fit_standardiser(features)
    return with_principal_axes(plain, features, variance=VARIANCE_KEPT, most=MOST_AXES)


def _counts(rows: int) -> list[int]:
    return [count for count in COUNTS if count <= max(rows // ROWS_PER_CLUSTER, 1)]


def _mixture(z: FloatArray, count: int, shape: str, seed: int):  # type: ignore[no-untyped-def]
    from sklearn.mixture import GaussianMixture

    with _few_rows():
        return GaussianMixture(
            count,
            covariance_type=shape,
            reg_covar=LEAST_VARIANCE,
            n_init=2,
            max_iter=200,
            random_state=seed,
        ).fit(z)


def _from_mixture(fitted, standardiser: Standardiser) -> Clusters:  # type: ignore[no-untyped-def]
    count, dimensions = fitted.means_.shape
    factors, identity = fitted.precisions_cholesky_, np.eye(dimensions)
    whitening = {
        "spherical": lambda: factors[:, None, None] * identity,
        "tied": lambda: np.repeat(factors[None], count, axis=0),
        "diag": lambda: factors[:, :, None] * identity,
        "full": lambda: factors,
    }[fitted.covariance_type]()
    return Clusters(
        shape=fitted.covariance_type,
        standardiser=standardiser,
        weights=fitted.weights_,
        means=fitted.means_,
        whitening=np.ascontiguousarray(whitening),
    )


@contextmanager
def _few_rows() -> Iterator[None]:
    """Copies of a frame, or few rows, make scikit-learn warn; the criteria judge such fits, too."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@dataclass(frozen=True, kw_only=True)
class NamedClusters:
    """Clusters with what their photos show."""

    clusters: Clusters  # K of them
    classes: tuple[str, ...]  # length C: names of classes
    # Shape (K, C): probability that a photo of the cluster shows the class, each strictly between 0
    # and 1. A row need not sum to one: a photo may show several
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

    `features`, shape (N, F), are of the labelled photos, as few as there are: Bayes' rule does the
    rest; `targets`, shape (N, C): which classes they show; `weights`, shape (N,): votes of each. A
    cluster without labels has the shares of all photos.
    """
    overall = (weights @ targets + PRIOR_LABELS / len(classes)) / (weights.sum() + PRIOR_LABELS)
    overall = np.minimum(overall, 1.0 - LEAST_SHARE)
    votes = clusters.responsibilities(features) * weights[:, None]
    shares = (votes.T @ targets + PRIOR_LABELS * overall) / (
        votes.sum(axis=0)[:, None] + PRIOR_LABELS
    )
    return NamedClusters(clusters=clusters, classes=classes, shares=shares)
