"""How every kind of scene model does on photos of groups that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from detectors.types import FloatArray, IndexArray
from regengine.scene.clustering import NamedClusters, name_clusters
from regengine.scene.crossval import METHODS, SUPERVISED, CrossValidation, Fitted, scored_classes
from regengine.scene.features import families, feature_names
from regengine.scene.measures import (
    CalibrationScore,
    ClassScore,
    calibration_score,
    class_scores,
    confusion_matrix,
    macro_f1,
)
from regengine.scene.samples import Samples
from regengine.scene.supervised import Candidate, Supervised, fit_standardiser, fit_supervised
from regengine.scene.training import chosen_method

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
    """Loss of macro-F1 when features are shuffled among tested photos (Breiman 2001)."""
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


def _draw_labels(training: Samples, count: int, rng: np.random.Generator) -> IndexArray:
    """Rows of so many photos of each class, each of another group as far as there are groups."""
    groups, taken = np.array(training.groups), []
    for index in np.unique(training.primary):
        rows = rng.permutation(np.flatnonzero(training.primary == index))
        first = np.unique(groups[rows], return_index=True)[1]
        taken += rows[rng.permutation(first)][:count].tolist()
    return np.array(taken, np.intp)


def _with_few(
    fitted: Fitted, method: str, training: Samples, labelled: IndexArray
) -> NamedClusters | Supervised:
    few, model = training.subset(labelled), fitted.classifiers[method]
    if isinstance(model, NamedClusters):
        votes = np.ones(len(few))
        return name_clusters(model.clusters, few.features, few.targets, votes, few.classes)
    return fit_supervised(FEW_LABEL_CANDIDATE, few, fit_standardiser(training.features))


@dataclass(frozen=True, kw_only=True)
class MethodReport:
    """How one kind of model did."""

    name: str  # one of `regengine.scene.crossval.METHODS`
    # macro_f1, macro_f1_groups: mean F1 of the scored classes: every photo one vote; every group
    # one vote
    macro_f1: float
    macro_f1_groups: float
    accuracy: float  # share of photos that were told
    confusion: IndexArray  # (C, C): what photos show (rows), what was said (columns)
    classes: list[ClassScore]  # of every class
    # Of the probabilities of all classes, every group one vote. Most are near 0, and rightly so
    calibration: CalibrationScore
    # Of the probability of the class that was said, which is the harder test
    calibration_said: CalibrationScore
    unexplained: int  # photos that the gate let fall


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A photo of which something was said that it does not show."""

    name: str
    labels: tuple[str, ...]
    said: str
    probability_said: float
    probability_true: float
    explained: bool


@dataclass(frozen=True, kw_only=True)
class SceneReport:
    """Everything that is told of a cross-validation.

    ``scored`` classes count for macro-F1; ``chosen`` is the kind of model that `regengine train`
    would take. Of it are ``families`` and ``features``, the greatest loss first, and ``mistakes``,
    the surest first.
    """

    classes: tuple[str, ...]
    scored: tuple[str, ...]
    chosen: str
    methods: list[MethodReport]
    few_labels: list[FewLabels]
    families: list[Importance]
    features: list[Importance]
    mistakes: list[Mistake]

    @property
    def chosen_report(self) -> MethodReport:
        """The report of the chosen kind."""
        return next(report for report in self.methods if report.name == self.chosen)


def evaluate_scenes(validation: CrossValidation, *, seed: int) -> SceneReport:
    """Score a cross-validation; the seed is of the draws of few labels and of the shuffles."""
    samples, chosen = validation.samples, chosen_method(validation)
    by_family: dict[str, list[int]] = {}
    for family in families():
        start = sum(map(len, by_family.values()))
        by_family[family.name] = list(range(start, start + len(family.meaning)))
    alone = {name: [column] for column, name in enumerate(feature_names())}
    return SceneReport(
        classes=samples.classes,
        scored=tuple(samples.classes[i] for i in scored_classes(samples)),
        chosen=chosen,
        methods=[report_method(validation, method) for method in METHODS],
        few_labels=[
            few_labels(validation, method, count, seed)
            for method in FEW_LABEL_METHODS
            for count in FEW_LABELS
        ],
        families=importance(validation, chosen, by_family, seed),
        features=importance(validation, chosen, alone, seed),
        mistakes=find_mistakes(validation, chosen),
    )


def report_method(validation: CrossValidation, method: str) -> MethodReport:
    """Score one kind of model."""
    samples, truth = validation.samples, validation.truth
    answers, scored = validation.answers(method), scored_classes(samples)
    rows, places = validation.tested, np.arange(len(truth))
    p, shown, votes = answers.probabilities, samples.targets[rows], samples.weights[rows]
    return MethodReport(
        name=method,
        macro_f1=macro_f1(truth, answers.said, scored),
        macro_f1_groups=macro_f1(truth, answers.said, scored, votes),
        accuracy=float(np.mean(truth == answers.said)),
        confusion=confusion_matrix(truth, answers.said, len(samples.classes)),
        classes=class_scores(
            truth, answers.said, [samples.groups[i] for i in rows], samples.classes
        ),
        calibration=calibration_score(p, shown, np.repeat(votes[:, None], p.shape[1], axis=1)),
        calibration_said=calibration_score(
            p[places, answers.said], shown[places, answers.said], votes
        ),
        unexplained=int(np.sum(~validation.explained())),
    )


def find_mistakes(validation: CrossValidation, method: str) -> list[Mistake]:
    """Photos of which something was said that they do not show, the surest first."""
    samples, answers = validation.samples, validation.answers(method)
    explained, found = validation.explained(), []
    for place, row in enumerate(validation.tested):
        said, p = int(answers.said[place]), answers.probabilities[place]
        if not samples.targets[row, said]:
            found.append(
                Mistake(
                    name=samples.names[row],
                    labels=samples.labels[row],
                    said=samples.classes[said],
                    probability_said=float(p[said]),
                    probability_true=float(p[samples.primary[row]]),
                    explained=bool(explained[place]),
                )
            )
    return sorted(found, key=lambda one: one.probability_true - one.probability_said)
