"""Models that are taught classes by labels: candidates, fitted by scikit-learn, kept as arrays.

Logistic regression with an L2 penalty, of all classes at once ("softmax") or one class against the
rest; linear discriminants with a shrunk covariance (Ledoit and Wolf 2004); support vectors with a
Gaussian kernel, one class against the rest; and the sum of the second and the last, since a line
and a kernel err on different photos. All are the same few arrays, which numpy evaluates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

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
# Log odds that a margin of one is worth in a sum: Platt's curve of support vectors, as fitted to
# photos that were left out, has a slope of about two
MARGIN_ODDS = 2.0
# C of the support vectors in a sum
MIXED_SVM_STRENGTH = 1.0
# Support vectors are kept to 1e-4 standard deviations: the file is a third as large
SUPPORT_DECIMALS = 4


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


# From the simplest to the most flexible: of equals the first is taken
CANDIDATES = (
    *(Candidate(method="softmax", strength=c) for c in (0.1, 0.3, 1.0)),
    *(Candidate(method="logistic", strength=c) for c in (0.1, 0.3)),
    Candidate(method="lda", strength=0.3),
    *(Candidate(method="svm", strength=c) for c in (1.0, 10.0)),
    Candidate(method="mixed", strength=0.1),
)
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


def fit_supervised(
    candidate: Candidate, samples: Samples, standardiser: Standardiser | None = None
) -> Supervised:
    """Fit a candidate; each class weighs the same, and within it each group.

    Linear discriminants know no weights of photos, only equal classes. The samples are of two
    classes or more; classes that no row shows get the log odds `NEVER`. A `standardiser`, without
    axes, may be of more rows than those with labels.
    """
    return fit_candidates([candidate], samples, standardiser)[0]


def fit_candidates(
    candidates: Sequence[Candidate], samples: Samples, standardiser: Standardiser | None = None
) -> list[Supervised]:
    """Fit several candidates to the same rows; what they share is fitted once."""
    standardiser = standardiser or fit_standardiser(samples.features)
    z = standardiser.apply(samples.features)
    simple = {
        "softmax": _softmax,
        "logistic": _logistic,
        "lda": _discriminants,
        "svm": _support_vectors,
    }

    @cache
    def fitted(candidate: Candidate) -> Supervised:
        if candidate.method != "mixed":
            return simple[candidate.method](candidate, samples, standardiser, z)
        line = fitted(Candidate(method="logistic", strength=candidate.strength))
        return _mixed(candidate, line, fitted(Candidate(method="svm", strength=MIXED_SVM_STRENGTH)))

    return [fitted(candidate) for candidate in candidates]


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


def _balanced(samples: Samples) -> FloatArray:
    """Weights by which every class counts the same, with a mean of one."""
    totals = np.bincount(samples.primary, samples.weights, len(samples.classes))
    weights = samples.weights / totals[samples.primary]
    return np.asarray(weights * len(weights) / weights.sum(), np.float64)


def _taught(samples: Samples) -> list[int]:
    """Classes that some rows show and others do not."""
    return [i for i, shows in enumerate(samples.targets.T) if shows.any() and not shows.all()]


def _softmax(
    candidate: Candidate, samples: Samples, standardiser: Standardiser, z: FloatArray
) -> Supervised:
    """All classes at once; a photo of several stands for each with a part of its vote."""
    from sklearn.linear_model import LogisticRegression

    rows, shown = np.nonzero(samples.targets)
    number = samples.targets.sum(axis=1)
    others = (1.0 - FIRST_SHARE) / np.maximum(number - 1, 1)
    share = np.where(shown == samples.primary[rows], FIRST_SHARE, others[rows])
    share[number[rows] == 1] = 1.0
    present = np.unique(shown)
    fitted = LogisticRegression(C=candidate.strength, max_iter=2000)
    fitted.fit(z[rows], shown, sample_weight=_balanced(samples)[rows] * share)
    return _joint(candidate, samples, standardiser, present, fitted)


def _joint(
    candidate: Candidate,
    samples: Samples,
    standardiser: Standardiser,
    present: IndexArray,
    fitted: Any,
) -> Supervised:
    """What scikit-learn fitted to all classes that are present at once."""
    coefficients = np.zeros((fitted.coef_.shape[1], len(samples.classes)))
    intercepts = np.full(len(samples.classes), NOWHERE)
    # Two classes have one function, the second against the first
    if len(present) == 2:
        coefficients[:, present[1]] = fitted.coef_[0]
        intercepts[present] = [0.0, fitted.intercept_[0]]
    else:
        coefficients[:, present] = fitted.coef_.T
        intercepts[present] = fitted.intercept_
    return Supervised(
        candidate=candidate,
        classes=samples.classes,
        standardiser=standardiser,
        coefficients=coefficients,
        intercepts=intercepts,
    )


def _logistic(
    candidate: Candidate, samples: Samples, standardiser: Standardiser, z: FloatArray
) -> Supervised:
    from sklearn.linear_model import LogisticRegression

    coefficients = np.zeros((z.shape[1], len(samples.classes)))
    intercepts = np.where(samples.targets.all(axis=0), -NEVER, NEVER)
    weights = _balanced(samples)
    for index in _taught(samples):
        fitted = LogisticRegression(C=candidate.strength, solver="newton-cholesky", max_iter=1000)
        fitted.fit(z, samples.targets[:, index], sample_weight=weights)
        coefficients[:, index] = fitted.coef_[0]
        intercepts[index] = fitted.intercept_[0]
    return Supervised(
        candidate=candidate,
        classes=samples.classes,
        standardiser=standardiser,
        coefficients=coefficients,
        intercepts=intercepts,
    )


def _discriminants(
    candidate: Candidate, samples: Samples, standardiser: Standardiser, z: FloatArray
) -> Supervised:
    """Of the first class of each photo alone: a discriminant knows no second."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    present = np.unique(samples.primary)
    fitted = LinearDiscriminantAnalysis(
        solver="lsqr",
        shrinkage=candidate.strength,
        priors=np.full(len(present), 1.0 / len(present)),
        # Twice each row: the same means and covariance, but more rows than classes, as it asks for
    ).fit(np.repeat(z, 2, axis=0), np.repeat(samples.primary, 2))
    return _joint(candidate, samples, standardiser, present, fitted)


def _support_vectors(
    candidate: Candidate, samples: Samples, standardiser: Standardiser, z: FloatArray
) -> Supervised:
    from sklearn.svm import SVC

    # scikit-learn's "scale": the mean squared distance of rows is about 2 F times the variance
    gamma = 1.0 / (z.shape[1] * max(float(z.var()), 1e-12))
    coefficients = np.zeros((len(z), len(samples.classes)))
    intercepts = np.where(samples.targets.all(axis=0), -NEVER, NEVER)
    weights = _balanced(samples)
    for index in _taught(samples):
        fitted = SVC(C=candidate.strength, gamma=gamma)
        fitted.fit(z, samples.targets[:, index], sample_weight=weights)
        coefficients[fitted.support_, index] = fitted.dual_coef_[0]
        intercepts[index] = fitted.intercept_[0]
    used = np.any(coefficients != 0.0, axis=1)
    return Supervised(
        candidate=candidate,
        classes=samples.classes,
        standardiser=standardiser,
        coefficients=coefficients[used],
        intercepts=intercepts,
        support=z[used].round(SUPPORT_DECIMALS),
        gamma=gamma,
    )


def _mixed(candidate: Candidate, line: Supervised, kernels: Supervised) -> Supervised:
    """Log odds of the logistic regression plus what the support vectors' margins are worth."""
    intercepts = line.intercepts + MARGIN_ODDS * kernels.intercepts
    return replace(
        kernels,
        candidate=candidate,
        coefficients=MARGIN_ODDS * kernels.coefficients,
        intercepts=np.clip(intercepts, NEVER, -NEVER),
        linear=line.coefficients,
    )
