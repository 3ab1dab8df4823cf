"""The model that tells what a photo shows: frozen, plain arrays, with what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from detectors.types import FloatArray
from regengine.scene.clustering import Clusters, NamedClusters, refit_gmm
from regengine.scene.samples import OTHER, IndexArray, Samples, grouped_folds
from regengine.scene.supervised import Supervised

# Of training groups that their own classes should explain, so many are let fall
QUANTILE = 0.01
HELD_OUT_FOLDS = 5
# A photo beyond the gate is rather `OTHER` than not, however few fell before it
LEAST_UNEXPLAINED = 0.51
# Slopes between these: a class model that is worse than chance must not be turned round
LEAST_SLOPE, MOST_SLOPE = 1e-3, 1e2
# Another class is named beside the first from here on. Photos are mostly labelled with what they
# show above all, so probabilities of what they show besides come out low.
ALSO_PROBABILITY = 0.3


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Clusters, and how unlikely a photo may be under them: what none explains is unlike training.

    `threshold` is the least log-likelihood of a photo that they explain.
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


@dataclass(frozen=True, kw_only=True)
class Odds:
    """From scores to probabilities: Platt's curve through answers about photos left out.

    ``s = floor + (1 - floor) * sigmoid(slope * score + lead * ahead + offset)`` for each class,
    where ``ahead`` is how far its score is before the best of all others, and of that
    ``s - (1 - ceiling) * s ** (1 / (1 - ceiling))``: it rises to the ceiling and is nearly s below,
    so that a class of few photos is at no disadvantage where the picture leaves doubts. A photo
    that the gate does not explain is `OTHER` with a probability of at least ``unexplained``, and
    anything else with at most the rest.
    """

    # Of all classes together: a class of three photos has no curve of its own. The lead tells the
    # class that is ahead of all others, however low its score
    slope: float
    lead: float
    offset: float
    floor: float  # no probability is below
    # Shape (C,): None is above: after n groups of a class that were all told, the next is with a
    # probability of (n + 1) / (n + 2) (Laplace's rule of succession)
    ceiling: FloatArray
    unexplained: float  # from the photos that the gate let fall, `LEAST_UNEXPLAINED` at least

    def probabilities(
        self, scores: FloatArray, explained: NDArray[np.bool_], other: int
    ) -> FloatArray:
        """Probability of each class, never 0 or 1."""
        curve = expit(self.slope * scores + self.lead * ahead(scores) + self.offset)
        s = self.floor + (1.0 - self.floor) * curve
        bent = s - (1.0 - self.ceiling) * s ** (1.0 / (1.0 - self.ceiling))
        p = np.asarray(np.clip(bent, self.floor, self.ceiling), np.float64)
        odd = ~explained
        let_in = p[odd, other]
        p[odd] = np.minimum(p[odd], 1.0 - self.unexplained)
        p[odd, other] = np.maximum(let_in, self.unexplained)
        return p


def ahead(scores: FloatArray) -> FloatArray:
    """How far each score is before the greatest other of its row; shape (N, C), C at least 2."""
    two = np.sort(scores, axis=1)[:, -2:]
    greatest = scores == two[:, 1:]
    return np.where(greatest, scores - two[:, :1], scores - two[:, 1:])


def most_probable(
    probabilities: FloatArray, explained: NDArray[np.bool_], other: int
) -> IndexArray:
    """Index of the class that photos show above all, shape (N,); `OTHER` if unexplained."""
    return np.where(explained, probabilities.argmax(axis=1), other).astype(np.intp)


def fit_odds(
    scores: FloatArray,
    targets: NDArray[np.bool_],
    explained: NDArray[np.bool_],
    weights: FloatArray,
    groups: IndexArray,
    other: int,
) -> Odds:
    """Fit the curve to scores of photos that the classifier had not seen.

    Platt's smoothed targets (1999) stand for certainty, so that few photos never give a step.
    """
    from scipy.optimize import minimize

    w = np.repeat(weights[:, None], scores.shape[1], axis=1)
    positive, negative = float(w[targets].sum()), float(w[~targets].sum())
    wanted = np.where(targets, (positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0))

    def loss(parameters: FloatArray) -> float:
        slope, lead = np.exp(parameters[:2])
        logit = slope * scores + lead * leads + parameters[2]
        return float(np.sum(w * (np.logaddexp(0.0, logit) - wanted * logit)) / w.sum())

    leads, slopes = ahead(scores), (np.log(LEAST_SLOPE), np.log(MOST_SLOPE))
    bounds = [slopes, slopes, (-20.0, 20.0)]
    found = minimize(loss, [0.0, -2.0, 0.0], bounds=bounds, method="L-BFGS-B").x
    dropped = weights[~explained]
    strange = weights[~explained & targets[:, other]]
    ceiling = (groups + 1.0) / (groups + 2.0)
    share = (strange.sum() + 1.0) / (dropped.sum() + 2.0)
    most = max(float(ceiling[other]), LEAST_UNEXPLAINED)
    return Odds(
        slope=float(np.exp(found[0])),
        lead=float(np.exp(found[1])),
        offset=float(found[2]),
        floor=float(1.0 / (groups.sum() + 2.0)),
        ceiling=ceiling,
        unexplained=float(np.clip(share, LEAST_UNEXPLAINED, most)),
    )


@dataclass(frozen=True, kw_only=True)
class SceneAnswer:
    """What a photo shows."""

    category: str  # the class that it shows above all
    probabilities: Mapping[str, float]  # of every class; they need not sum to one
    also: tuple[str, ...]  # other classes of at least `ALSO_PROBABILITY`, the likeliest first
    # False where the photo is unlike all that the model was trained on; it is `OTHER` then
    explained: bool


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """What a model was trained on, and how its kind did on photos that were left out."""

    source: str  # which photos these were
    libraries: Mapping[str, str]  # versions of what fitted the model
    # Length C, of each class: real photos that show it, their groups, simulated frames
    photos: tuple[int, ...]
    groups: tuple[int, ...]
    simulated: tuple[int, ...]
    # Shape (C, C): real photos left out in turn: what they show (rows), what was said (columns)
    confusion: IndexArray
    scored: tuple[str, ...]  # classes with enough groups to be scored
    # Mean F1 of the scored classes, left out in turn, of each kind of model that was tried
    macro_f1: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class SceneModel:
    """From features to what a photo shows."""

    feature_names: tuple[str, ...]  # length F: features in their order
    feature_versions: Mapping[str, int]
    classes: tuple[str, ...]  # length C: `OTHER` is one of them
    method: str  # kind of classifier, one of `regengine.scene.crossval.METHODS`
    classifier: NamedClusters | Supervised  # from features to scores
    gate: Gate
    odds: Odds
    training: TrainingRecord

    def probabilities(self, features: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Probabilities of classes (N, C), and whether the gate explains photos (N,).

        Features, shape (N, F), are as `regengine.scene.features.measure_features` gives them.
        """
        explained = self.gate.explains(features)
        scores = self.classifier.scores(features)
        return self.odds.probabilities(scores, explained, self.classes.index(OTHER)), explained

    def answer(self, features: FloatArray) -> SceneAnswer:
        """What one photo of these features, shape (F,), shows."""
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
        )


def also_shown(probabilities: Mapping[str, float], category: str) -> tuple[str, ...]:
    """Classes beside the first that a photo rather shows than not, the likeliest first."""
    shown = [n for n, p in probabilities.items() if p >= ALSO_PROBABILITY and n != category]
    return tuple(sorted(shown, key=lambda name: -probabilities[name]))
