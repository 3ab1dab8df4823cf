"""The model that tells what a photo shows: frozen, plain arrays, with what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regengine.scene.gate import Gate
from regengine.scene.labels import OTHER
from regengine.scene.named_clusters import NamedClusters
from regengine.scene.odds import Odds, most_probable
from regengine.scene.samples import FloatArray, IndexArray
from regengine.scene.supervised import Supervised

# Another class is named beside the first from here on. Photos are mostly labelled with what they
# show above all, so probabilities of what they show besides come out low.
ALSO_PROBABILITY = 0.3


@dataclass(frozen=True, kw_only=True)
class SceneAnswer:
    """What a photo shows.

    Attributes
    ----------
    category : str
        The class that it shows above all.
    probabilities : mapping of str to float
        Of every class; they need not sum to one.
    also : tuple of str
        Other classes of at least `ALSO_PROBABILITY`, the likeliest first.
    explained : bool
        False where the photo is unlike all that the model was trained on; it is `OTHER` then.
    log_likelihood : float
        Under the gate's clusters.
    """

    category: str
    probabilities: Mapping[str, float]
    also: tuple[str, ...]
    explained: bool
    log_likelihood: float


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What a model was trained on, and how its kind did on photos that were left out.

    Attributes
    ----------
    source : str
        Which photos these were.
    libraries : mapping of str to str
        Versions of what fitted the model.
    photos, groups, simulated : tuple of int, length C
        Of each class: real photos that show it, their groups, simulated frames.
    confusion : ndarray of int, shape (C, C)
        Real photos left out in turn: what they show (rows), what was said (columns).
    scored : tuple of str
        Classes with enough groups to be scored.
    macro_f1 : mapping of str to float
        Mean F1 of the scored classes, left out in turn, of each kind of model that was tried.
    """

    source: str
    libraries: Mapping[str, str]
    photos: tuple[int, ...]
    groups: tuple[int, ...]
    simulated: tuple[int, ...]
    confusion: IndexArray
    scored: tuple[str, ...]
    macro_f1: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class SceneModel:
    """From features to what a photo shows.

    Attributes
    ----------
    feature_names : tuple of str, length F
        Features in their order.
    feature_versions : mapping of str to int
        Version of every family.
    classes : tuple of str, length C
        `OTHER` is one of them.
    method : str
        Kind of classifier, one of `regengine.scene.crossval.METHODS`.
    classifier : NamedClusters or Supervised
        From features to scores.
    gate : Gate
        Tells photos that are unlike all training.
    odds : Odds
        From scores to probabilities.
    training : TrainingRecord
        What it was trained on.
    """

    feature_names: tuple[str, ...]
    feature_versions: Mapping[str, int]
    classes: tuple[str, ...]
    method: str
    classifier: NamedClusters | Supervised
    gate: Gate
    odds: Odds
    training: TrainingRecord

    def probabilities(self, features: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Probabilities of classes, and whether the gate explains photos.

        Parameters
        ----------
        features : ndarray of float64, shape (N, F)
            As `regengine.scene.features.measure_features` gives them.

        Returns
        -------
        probabilities : ndarray of float64, shape (N, C)
        explained : ndarray of bool, shape (N,)
        """
        explained = self.gate.explains(features)
        scores = self.classifier.scores(features)
        return self.odds.probabilities(scores, explained, self.classes.index(OTHER)), explained

    def answer(self, features: FloatArray) -> SceneAnswer:
        """What one photo shows.

        Parameters
        ----------
        features : ndarray of float64, shape (F,)
            As `regengine.scene.features.measure_features` gives them.

        Returns
        -------
        SceneAnswer
        """
        rows = np.asarray(features, np.float64)[None]
        p, explained = self.probabilities(rows)
        first = int(most_probable(p, explained, self.classes.index(OTHER))[0])
        category = self.classes[first]
        probabilities = dict(zip(self.classes, p[0].tolist(), strict=True))
        return SceneAnswer(
            category=category,
            probabilities=probabilities,
            also=also_shown(probabilities, category),
            explained=bool(explained[0]),
            log_likelihood=float(self.gate.clusters.log_likelihood(rows)[0]),
        )


def also_shown(probabilities: Mapping[str, float], category: str) -> tuple[str, ...]:
    """Classes beside the first that a photo rather shows than not, the likeliest first."""
    shown = [n for n, p in probabilities.items() if p >= ALSO_PROBABILITY and n != category]
    return tuple(sorted(shown, key=lambda name: -probabilities[name]))
