"""Every kind of model on photos that it has not seen, group by group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from regengine.scene.clustering import NamedClusters, fit_gmm, fit_kmeans, name_clusters
from regengine.scene.measures import confusion_matrix, macro_f1
from regengine.scene.model import Gate, Odds, fit_gate, fit_odds, most_probable
from regengine.scene.samples import (
    LEAST_GROUPS,
    OTHER,
    Fold,
    IndexArray,
    Samples,
    grouped_folds,
)
from regengine.scene.supervised import (
    Supervised,
    fit_standardiser,
    fit_supervised,
    with_discriminant_axes,
)

Classifier = NamedClusters | Supervised
# Mixtures on principal axes, k-means on those, mixtures on the axes that part the classes
CLUSTERINGS = ("gmm", "kmeans", "gmm_discriminant")
SUPERVISED = "supervised"
METHODS = (*CLUSTERINGS, SUPERVISED)
# Simulated frames of a class that clusters and gate are fitted to, at most: they know no weights of
# rows. With 72 in place of 24 real photos were outvoted, and macro-F1 of the mixtures fell from
# 0.47 to 0.35.
CLUSTERED_SIMULATED = 24


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """One classifier of each kind, by the names of `METHODS`, and the gate before all of them."""

    gate: Gate
    classifiers: Mapping[str, Classifier]


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What a method says of tested photos."""

    probabilities: FloatArray  # shape (M, C): of each class
    said: IndexArray  # shape (M,): the class that each shows above all


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Models of every fold, and what they say of the photos that were left out."""

    samples: Samples  # all rows, N
    folds: tuple[Fold, ...]  # of `regengine.scene.samples.grouped_folds`
    fitted: tuple[Fitted, ...]  # one for each fold

    @cached_property
    def tested(self) -> IndexArray:
        """Rows that were tested: the real photos, shape (M,)."""
        return np.flatnonzero(~self.samples.simulated)

    @cached_property
    def fold_of(self) -> IndexArray:
        """Fold that tested each row of ``tested``, shape (M,)."""
        of = np.full(len(self.samples), -1, np.intp)
        for number, fold in enumerate(self.folds):
            of[fold.test] = number
        return of[self.tested]

    @cached_property
    def truth(self) -> IndexArray:
        """First class of each tested row, shape (M,)."""
        return self.samples.primary[self.tested]

    def scores(self, method: str, features: FloatArray | None = None) -> FloatArray:
        """Scores of tested rows by models of a method that had not seen them, shape (M, C).

        `features`, shape (N, F), take the place of those of the samples.
        """
        return self._left_out(lambda f, rows: f.classifiers[method].scores(rows), features)

    def explained(self, features: FloatArray | None = None) -> NDArray[np.bool_]:
        """Whether gates that had not seen them explain the tested rows, shape (M,)."""
        return self._left_out(lambda f, rows: f.gate.explains(rows), features).astype(bool)

    def odds(self, method: str, but: int | None = None) -> Odds:
        """Curve from a method's scores to probabilities, fitted to all folds but one (`but`)."""
        samples, kept = self.samples, self.fold_of != but
        rows = self.tested[kept]
        simulated = samples.targets[samples.simulated & ~samples.copies].sum(axis=0)
        return fit_odds(
            self.scores(method)[kept],
            samples.targets[rows],
            self.explained()[kept],
            samples.subset(self.tested).weights[kept],
            samples.group_counts() + simulated,
            samples.classes.index(OTHER),
        )

    @cached_property
    def _answers(self) -> dict[str, Answers]:
        """What methods say of the tested photos, as asked for."""
        return {}

    def answers(self, method: str) -> Answers:
        """What a method says of each tested photo, its curve fitted to the other folds."""
        if method not in self._answers:
            self._answers[method] = self._answered(method)
        return self._answers[method]

    def _answered(self, method: str) -> Answers:
        scores, explained = self.scores(method), self.explained()
        other = self.samples.classes.index(OTHER)
        probabilities = np.empty_like(scores)
        for number in range(len(self.folds)):
            now = self.fold_of == number
            curve = self.odds(method, but=number)
            probabilities[now] = curve.probabilities(scores[now], explained[now], other)
        return Answers(
            probabilities=probabilities, said=most_probable(probabilities, explained, other)
        )

    def confusion(self, method: str) -> IndexArray:
        """Tested photos by what they show (rows) and what was said (columns), shape (C, C)."""
        return confusion_matrix(self.truth, self.answers(method).said, len(self.samples.classes))

    def macro_f1(self, method: str) -> float:
        """Mean F1 of the scored classes."""
        return macro_f1(self.truth, self.answers(method).said, scored_classes(self.samples))

    def _left_out(
        self, tell: Callable[[Fitted, FloatArray], NDArray[np.generic]], features: FloatArray | None
    ) -> FloatArray:
        rows = self.samples.features if features is None else features
        told = [tell(f, rows[fold.test]) for f, fold in zip(self.fitted, self.folds, strict=True)]
        order = np.argsort(np.concatenate([fold.test for fold in self.folds]))
        return np.asarray(np.concatenate(told)[order], np.float64)


def scored_classes(samples: Samples) -> IndexArray:
    """Classes with at least `LEAST_GROUPS` groups of real photos; if there is none, all tested."""
    groups, real = np.array(samples.groups), ~samples.simulated
    counts = np.array(
        [len(set(groups[real & (samples.primary == i)])) for i in range(len(samples.classes))]
    )
    enough = np.flatnonzero(counts >= LEAST_GROUPS)
    return enough if len(enough) else np.flatnonzero(counts)


def fit_methods(samples: Samples, *, seed: int) -> Fitted:
    """Fit the gate and one classifier of each kind to training rows."""
    few = thinned(samples, CLUSTERED_SIMULATED)
    gmm = fit_gmm(few.features, seed=seed)
    turned = with_discriminant_axes(fit_standardiser(few.features), few.features, few.primary)
    on_turned = fit_gmm(few.features, seed=seed, standardiser=turned)
    told = (few.features, few.targets, few.weights, few.classes)
    return Fitted(
        gate=fit_gate(gmm, few, seed=seed),
        classifiers={
            "gmm": name_clusters(gmm, *told),
            "kmeans": name_clusters(fit_kmeans(few.features, seed=seed), *told),
            "gmm_discriminant": name_clusters(on_turned, *told),
            SUPERVISED: fit_supervised(samples),
        },
    )


def thinned(samples: Samples, most: int) -> Samples:
    """All real rows and of each class so many simulated ones at most, the first; no copies."""
    seen = np.zeros(len(samples.classes), int)
    kept = []
    for row, kind in enumerate(samples.primary):
        if samples.copies[row]:
            continue
        if samples.simulated[row]:
            seen[kind] += 1
        if not samples.simulated[row] or seen[kind] <= most:
            kept.append(row)
    return samples.subset(np.array(kept, np.intp))


def cross_validate(
    samples: Samples, *, seed: int, advance: Callable[[], None] = lambda: None
) -> CrossValidation:
    """Fit every kind of model to all folds but one, in turn.

    Nothing of a fold is seen by what judges it: mean and scale, axes, number of clusters and the
    gate's threshold are found anew for each. The samples are of two classes or more with two groups
    or more.
    """
    folds = grouped_folds(samples, seed=seed)
    fitted = []
    for fold in folds:
        fitted.append(fit_methods(samples.subset(fold.train), seed=seed))
        advance()
    return CrossValidation(samples=samples, folds=folds, fitted=tuple(fitted))
