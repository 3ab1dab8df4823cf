"""Models that are taught classes by labels: fitted by scikit-learn, kept as arrays.

Logistic regression of all classes at once with an L2 penalty ("softmax") is what is fitted: on
photos left out it told more than one class against the rest, discriminants and support vectors.
Model files may hold those, too: all are the same few arrays, which numpy evaluates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from detectors.types import FloatArray
from regengine.scene.samples import IndexArray, Samples

# Beyond so many standard deviations a feature is as odd as can be: one that hardly varied in
# training (a count that was always 0) must not drown all others. Of 2, 3 and 5 this told the most
# real photos.
LIMIT_SIGMA = 3.0
# By so much the covariance within classes is drawn toward a sphere; without, axes fit a hundred
# photos and no others
AXES_SHRINKAGE = 0.3
# Mean variance within classes at least, of features with a variance of one: copies have none
LEAST_WIDTH = 0.01
# Log odds of a class that no training row shows; nothing is surer than its opposite
NEVER = -50.0
# Its log density: below any other
NOWHERE = -1e9


@dataclass(frozen=True, kw_only=True)
class Standardiser:
    """How features of unlike units are made comparable: centred, scaled, limited and turned."""

    # Shape (F,): subtracted; divided by
    mean: FloatArray
    scale: FloatArray
    # Shape (F, D): columns are the axes that are kept; None keeps the features themselves
    axes: FloatArray | None = None

    def apply(self, features: FloatArray) -> FloatArray:
        """Standardised features; shape (N, F) → (N, D), or (N, F) without axes."""
        z = np.clip((features - self.mean) / self.scale, -LIMIT_SIGMA, LIMIT_SIGMA)
        return z if self.axes is None else z @ self.axes


def fit_standardiser(features: FloatArray) -> Standardiser:
    """Mean and standard deviation of each feature of training rows, shape (N, F), without axes.

    A feature that never varies is only centred.
    """
    scale = features.std(axis=0)
    flat = scale <= 1e-12 * np.maximum(np.abs(features).max(axis=0), 1.0)
    return Standardiser(mean=features.mean(axis=0), scale=np.where(flat, 1.0, scale))


def with_principal_axes(
    standardiser: Standardiser, features: FloatArray, *, variance: float, most: int
) -> Standardiser:
    """Keep the axes along which standardised features vary most."""
    z = standardiser.apply(features)
    singular, axes = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)[1:]
    explained = np.cumsum(singular**2) / max(float(np.sum(singular**2)), np.finfo(float).tiny)
    keep = min(int(np.searchsorted(explained, variance)) + 1, most, len(explained))
    # The sign of an axis is free: its largest part is positive
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    axes = np.where(largest < 0.0, -axes, axes)[:keep]
    return Standardiser(
        mean=standardiser.mean, scale=standardiser.scale, axes=np.ascontiguousarray(axes.T)
    )


def with_discriminant_axes(
    standardiser: Standardiser, features: FloatArray, classes: IndexArray
) -> Standardiser:
    """Keep the axes along which classes lie furthest apart for their width (Fisher 1936)."""
    from scipy.linalg import eigh

    z = standardiser.apply(features)
    present, of = np.unique(classes, return_inverse=True)
    means = np.stack([z[of == index].mean(axis=0) for index in range(len(present))])
    within = (z - means[of]).T @ (z - means[of]) / len(z)
    between = (means[of] - z.mean(axis=0)).T @ (means[of] - z.mean(axis=0)) / len(z)
    width = max(float(np.trace(within)) / len(within), LEAST_WIDTH)
    shrunk = (1.0 - AXES_SHRINKAGE) * within + AXES_SHRINKAGE * width * np.eye(len(within))
    keep = min(len(present) - 1, z.shape[1])
    axes = eigh(between, shrunk)[1][:, ::-1][:, :keep]
    return Standardiser(
        mean=standardiser.mean, scale=standardiser.scale, axes=np.ascontiguousarray(axes)
    )


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A kind of model and how strongly it is held back."""

    # "softmax" (all classes at once), "logistic" (one against the rest), "lda", "svm" or "mixed",
    # the sum of "logistic" and "svm"
    method: str
    # All but lda: C, the inverse of the penalty (of the logistic part). Of lda: the
    # share by which the covariance is shrunk toward the features' own variances
    strength: float


# Chosen by groups of the shipped model's photos left out in turn
CHOSEN = Candidate(method="softmax", strength=0.03)
# Of a photo that shows several classes the first has this share of its vote, the others the rest
FIRST_SHARE = 0.7


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """A fitted model."""

    candidate: Candidate  # what it is
    classes: tuple[str, ...]  # length C: names of classes
    standardiser: Standardiser  # without axes
    # Shape (F, C) of standardised features, or (S, C) of kernels with the support vectors
    coefficients: FloatArray
    intercepts: FloatArray  # shape (C,): added
    support: FloatArray | None = None  # shape (S, F): support vectors, standardised
    # Of the kernel, ``exp(-gamma * squared distance)``; 0 without support vectors
    gamma: float = 0.0
    # Shape (F, C): coefficients of standardised features beside those of kernels
    linear: FloatArray | None = None

    def scores(self, features: FloatArray) -> FloatArray:
        """Score of each class, of the nature of log odds; shape (N, F) → (N, C)."""
        z = self.standardiser.apply(features)
        beside = 0.0 if self.linear is None else z @ self.linear
        if self.support is not None:
            apart = (
                np.sum(z**2, axis=1)[:, None]
                - 2.0 * (z @ self.support.T)
                + np.sum(self.support**2, axis=1)
            )
            z = np.exp(-self.gamma * np.maximum(apart, 0.0))
        margins = np.asarray(z @ self.coefficients + beside + self.intercepts, np.float64)
        joint = self.candidate.method in ("softmax", "lda")
        return _odds(margins) if joint else margins


def _odds(discriminants: FloatArray) -> FloatArray:
    """Log odds of each class against all others, from the log of joint densities."""
    others = np.stack(
        [
            logsumexp(np.delete(discriminants, index, axis=1), axis=1)
            for index in range(discriminants.shape[1])
        ],
        axis=1,
    )
    return np.clip(discriminants - others, NEVER, -NEVER)


def fit_supervised(samples: Samples) -> Supervised:
    """Fit all classes at once; each class weighs the same, and within it each group.

    A photo of several classes stands for each with a part of its vote. The samples are of two
    classes or more; classes that no row shows get the log odds `NEVER`.
    """
    from sklearn.linear_model import LogisticRegression

    standardiser = fit_standardiser(samples.features)
    z = standardiser.apply(samples.features)
    totals = np.bincount(samples.primary, samples.weights, len(samples.classes))
    balanced = samples.weights / totals[samples.primary]
    balanced *= len(balanced) / balanced.sum()
    rows, shown = np.nonzero(samples.targets)
    number = samples.targets.sum(axis=1)
    others = (1.0 - FIRST_SHARE) / np.maximum(number - 1, 1)
    share = np.where(shown == samples.primary[rows], FIRST_SHARE, others[rows])
    share[number[rows] == 1] = 1.0
    present = np.unique(shown)
    fitted = LogisticRegression(C=CHOSEN.strength, max_iter=2000)
    fitted.fit(z[rows], shown, sample_weight=balanced[rows] * share)
    coefficients = np.zeros((z.shape[1], len(samples.classes)))
    intercepts = np.full(len(samples.classes), NOWHERE)
    # Two classes have one function, the second against the first
    if len(present) == 2:
        coefficients[:, present[1]] = fitted.coef_[0]
        intercepts[present] = [0.0, fitted.intercept_[0]]
    else:
        coefficients[:, present] = fitted.coef_.T
        intercepts[present] = fitted.intercept_
    return Supervised(
        candidate=CHOSEN,
        classes=samples.classes,
        standardiser=standardiser,
        coefficients=coefficients,
        intercepts=intercepts,
    )
