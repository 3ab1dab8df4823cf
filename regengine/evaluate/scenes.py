"""How every kind of scene model does on photos of groups that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.types import IndexArray
from regengine.scene.crossval import METHODS, CrossValidation, scored_classes
from regengine.scene.measures import (
    CalibrationScore,
    ClassScore,
    calibration_score,
    class_scores,
    confusion_matrix,
    macro_f1,
)
from regengine.scene.training import chosen_method


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
    would take, and ``mistakes`` are its own, the surest first.
    """

    classes: tuple[str, ...]
    scored: tuple[str, ...]
    chosen: str
    methods: list[MethodReport]
    mistakes: list[Mistake]

    @property
    def chosen_report(self) -> MethodReport:
        """The report of the chosen kind."""
        return next(report for report in self.methods if report.name == self.chosen)


def evaluate_scenes(validation: CrossValidation) -> SceneReport:
    """Score a cross-validation."""
    samples, chosen = validation.samples, chosen_method(validation)
    return SceneReport(
        classes=samples.classes,
        scored=tuple(samples.classes[i] for i in scored_classes(samples)),
        chosen=chosen,
        methods=[report_method(validation, method) for method in METHODS],
        mistakes=find_mistakes(validation, chosen),
    )


def report_method(validation: CrossValidation, method: str) -> MethodReport:
    """Score one kind of model."""
    samples, truth = validation.samples, validation.truth
    answers, scored = validation.answers(method), scored_classes(samples)
    rows, places = validation.tested, np.arange(len(truth))
    p, shown = answers.probabilities, samples.targets[rows]
    votes = samples.subset(rows).weights
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
