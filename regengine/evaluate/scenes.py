"""How every kind of scene model does on photos of groups that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from regengine.evaluate.scene_measures import (
    CalibrationScore,
    ClassScore,
    calibration_score,
    class_scores,
    confusion_matrix,
    macro_f1,
)
from regengine.evaluate.scene_trials import (
    FEW_LABEL_METHODS,
    FEW_LABELS,
    FewLabels,
    Importance,
    few_labels,
    importance,
)
from regengine.scene.crossval import METHODS, CrossValidation, scored_classes
from regengine.scene.features import families, feature_names
from regengine.scene.samples import IndexArray
from regengine.scene.training import chosen_method


@dataclass(frozen=True, kw_only=True)
class MethodReport:
    """How one kind of model did.

    Attributes
    ----------
    name : str
        One of `regengine.scene.crossval.METHODS`.
    macro_f1, macro_f1_groups : float
        Mean F1 of the scored classes: every photo one vote; every group one vote.
    accuracy : float
        Share of photos that were told.
    confusion : ndarray of int, shape (C, C)
        What photos show (rows), what was said (columns).
    classes : list of ClassScore
        Of every class.
    calibration : CalibrationScore
        Of the probabilities of all classes, every group one vote. Most are near 0, and rightly so.
    calibration_said : CalibrationScore
        Of the probability of the class that was said, which is the harder test.
    unexplained : int
        Photos that the gate let fall.
    """

    name: str
    macro_f1: float
    macro_f1_groups: float
    accuracy: float
    confusion: IndexArray
    classes: list[ClassScore]
    calibration: CalibrationScore
    calibration_said: CalibrationScore
    unexplained: int


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

    Attributes
    ----------
    classes, scored : tuple of str
        All classes; those that count for macro-F1.
    chosen : str
        The kind of model that `regengine train` would take.
    methods : list of MethodReport
        Of each kind.
    few_labels : list of FewLabels
        What few labels buy.
    families, features : list of Importance
        Of the chosen kind, the greatest loss first.
    mistakes : list of Mistake
        Of the chosen kind, the surest first.
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
    """Score a cross-validation.

    Parameters
    ----------
    validation : CrossValidation
        As `regengine.scene.crossval.cross_validate` makes it.
    seed : int
        Of the draws of few labels and of the shuffles.

    Returns
    -------
    SceneReport
    """
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
