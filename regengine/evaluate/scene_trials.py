"""What few labels buy, and what each feature is worth: trials with the models of all folds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regengine.evaluate.scene_measures import macro_f1
from regengine.scene.crossval import SUPERVISED, CrossValidation, Fitted, scored_classes
from regengine.scene.named_clusters import NamedClusters, name_clusters
from regengine.scene.samples import FloatArray, Samples
from regengine.scene.standardise import fit_standardiser
from regengine.scene.supervised import Candidate, Supervised, fit_supervised

# Labels a class that a person may be willing to give
FEW_LABELS = (1, 3, 10)
DRAWS = 5
SHUFFLES = 5
# A label a class is too little to choose by: the usual choice of many
FEW_LABEL_CANDIDATE = Candidate(method="logistic", strength=0.1)
# Those whose axes are found without labels
FEW_LABEL_METHODS = ("gmm", "kmeans", SUPERVISED)


@dataclass(frozen=True, kw_only=True)
class FewLabels:
    """What so many labels a class buy: macro-F1 of some draws of them, without the gate."""

    method: str
    labels: int
    mean: float
    least: float
    greatest: float


@dataclass(frozen=True, kw_only=True)
class Importance:
    """By how much macro-F1 falls when values are shuffled among the photos."""

    name: str
    loss: float


def few_labels(validation: CrossValidation, method: str, count: int, seed: int) -> FewLabels:
    """Score a kind of model that was given few labels, each of another group.

    Clusters are those of all training photos, which need no labels; a supervised model has their
    mean and scale.

    Parameters
    ----------
    validation : CrossValidation
        For folds and clusters.
    method : str
        One of `FEW_LABEL_METHODS`.
    count : int
        Labels a class, as far as it has groups.
    seed : int
        Of the draws.

    Returns
    -------
    FewLabels
    """
    samples, merits = validation.samples, []
    scored = scored_classes(samples)
    for draw in range(DRAWS):
        said = np.zeros(len(samples), np.intp)
        for number, (fold, fitted) in enumerate(
            zip(validation.folds, validation.fitted, strict=True)
        ):
            training = samples.subset(fold.train)
            rng = np.random.default_rng([seed, count, draw, number])
            model = _with_few(fitted, method, training, _draw_labels(training, count, rng))
            said[fold.test] = model.scores(samples.features[fold.test]).argmax(axis=1)
        merits.append(macro_f1(validation.truth, said[validation.tested], scored))
    return FewLabels(
        method=method,
        labels=count,
        # Equal draws: their mean may be rounded to a hair's breadth beyond
        mean=float(np.clip(np.mean(merits), min(merits), max(merits))),
        least=min(merits),
        greatest=max(merits),
    )


def importance(
    validation: CrossValidation, method: str, columns: Mapping[str, list[int]], seed: int
) -> list[Importance]:
    """Loss of macro-F1 when features are shuffled among tested photos (Breiman 2001).

    Parameters
    ----------
    validation : CrossValidation
        Its models are asked again, not fitted again; the gate stays open.
    method : str
        Kind of model.
    columns : mapping of str to list of int
        Name and columns that are shuffled together.
    seed : int
        Of the shuffles.

    Returns
    -------
    list of Importance
        The greatest loss first.
    """
    rows, scored = validation.tested, scored_classes(validation.samples)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(rows) for _ in range(SHUFFLES)]

    def merit(features: FloatArray) -> float:
        said = validation.scores(method, features).argmax(axis=1)
        return macro_f1(validation.truth, said, scored)

    whole = merit(validation.samples.features)
    found = []
    for name, chosen in columns.items():
        losses = []
        for order in orders:
            shuffled = validation.samples.features.copy()
            shuffled[rows[:, None], chosen] = shuffled[order[:, None], chosen]
            losses.append(whole - merit(shuffled))
        found.append(Importance(name=name, loss=float(np.mean(losses))))
    return sorted(found, key=lambda one: -one.loss)


def _draw_labels(training: Samples, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows of so many photos of each class, each of another group as far as there are groups."""
    groups, taken = np.array(training.groups), []
    for index in np.unique(training.primary):
        rows = rng.permutation(np.flatnonzero(training.primary == index))
        first = np.unique(groups[rows], return_index=True)[1]
        taken += rows[rng.permutation(first)][:count].tolist()
    return np.array(taken, np.intp)


def _with_few(
    fitted: Fitted, method: str, training: Samples, labelled: NDArray[np.intp]
) -> NamedClusters | Supervised:
    few, model = training.subset(labelled), fitted.classifiers[method]
    if isinstance(model, NamedClusters):
        votes = np.ones(len(few))
        return name_clusters(model.clusters, few.features, few.targets, votes, few.classes)
    return fit_supervised(FEW_LABEL_CANDIDATE, few, fit_standardiser(training.features))
