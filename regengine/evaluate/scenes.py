"""Score every kind of scene model on photos of left-out groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray, IndexArray
from regengine.scene.training import METHODS, CrossValidation, choose_method, choose_scored_classes

BINS = 10


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """Scores of one class."""

    name: str  # the class
    # Frames whose main content it is, their groups, and the groups of which less than half of the
    # frames were classified correctly
    frames: int
    groups: int
    groups_missed: int
    # Of frames; NaN if undefined
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class CalibrationScore:
    """Calibration of probabilities."""

    # Mean difference of probability and frequency over equal bins (`BINS`), weighted by count
    expected_error: float
    brier: float  # mean squared difference of probability and outcome
    # Shape (B,): of the non-empty bins
    mean_probability: FloatArray
    frequency: FloatArray
    counts: IndexArray  # shape (B,): number of probabilities per bin


@dataclass(frozen=True, kw_only=True)
class MethodReport:
    """Scores of one kind of model."""

    name: str  # one of `regengine.scene.training.METHODS`
    # macro_f1, macro_f1_groups: mean F1 of the scored classes, with equal weight of each photo, and
    # of each group
    macro_f1: float
    macro_f1_groups: float
    accuracy: float  # share of photos that were classified correctly
    confusion: IndexArray  # (C, C): true class (rows), predicted class (columns)
    classes: list[ClassScore]  # of every class
    # Of the probabilities of all classes, with equal weight of each group. Most are correctly near
    # 0
    calibration: CalibrationScore
    # Of the probability of the predicted class, which is the harder test
    calibration_said: CalibrationScore
    unexplained: int  # photos that the gate rejected


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A photo with a predicted class that it does not show."""

    name: str
    labels: tuple[str, ...]
    said: str
    probability_said: float
    probability_true: float
    explained: bool


@dataclass(frozen=True, kw_only=True)
class SceneReport:
    """Results of a cross-validation.

    ``scored`` classes count for macro-F1; ``chosen`` is the kind of model that `regengine train`
    would choose, and ``mistakes`` are that model's, the most confident first.
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
    samples, chosen = validation.samples, choose_method(validation)
    return SceneReport(
        classes=samples.classes,
        scored=tuple(samples.classes[i] for i in choose_scored_classes(samples)),
        chosen=chosen,
        methods=[report_method(validation, method) for method in METHODS],
        mistakes=find_mistakes(validation, chosen),
    )


def report_method(validation: CrossValidation, method: str) -> MethodReport:
    """Score one kind of model."""
    samples, p, said = validation.samples, validation.probabilities[method], validation.said(method)
    places, votes = np.arange(len(samples)), samples.weights
    return MethodReport(
        name=method,
        macro_f1=validation.macro_f1(method),
        macro_f1_groups=validation.macro_f1(method, votes),
        accuracy=float(np.mean(samples.primary == said)),
        confusion=validation.confusion(method),
        classes=[
            score_class(name, samples.primary == index, said == index, np.array(samples.groups))
            for index, name in enumerate(samples.classes)
        ],
        calibration=score_calibration(
            p, samples.targets, np.repeat(votes[:, None], p.shape[1], axis=1)
        ),
        calibration_said=score_calibration(p[places, said], samples.targets[places, said], votes),
        unexplained=int(np.sum(~validation.explained)),
    )


def score_class(
    name: str, shown: NDArray[np.bool_], said: NDArray[np.bool_], groups: NDArray[np.str_]
) -> ClassScore:
    """Precision, recall and F1 of a class from its true and predicted frames, (N,)."""
    right, total = int((shown & said).sum()), int(shown.sum() + said.sum())
    told = [said[shown & (groups == group)].mean() for group in np.unique(groups[shown])]
    return ClassScore(
        name=name,
        frames=int(shown.sum()),
        groups=len(told),
        groups_missed=sum(bool(share < 0.5) for share in told),
        precision=right / int(said.sum()) if said.any() else float("nan"),
        recall=right / int(shown.sum()) if shown.any() else float("nan"),
        f1=2.0 * right / total if total else float("nan"),
    )


def score_calibration(
    probabilities: FloatArray,
    outcomes: NDArray[np.bool_],
    weights: FloatArray | None = None,
    bins: int = BINS,
) -> CalibrationScore:
    """Compare probabilities with outcomes; all of one shape, with equal weights by default."""
    p, happened = probabilities.ravel(), outcomes.ravel().astype(float)
    w = np.ones(len(p)) if weights is None else weights.ravel()
    bin_of = np.minimum((p * bins).astype(int), bins - 1)
    votes = np.bincount(bin_of, w, bins)
    kept = votes > 0
    mean = np.bincount(bin_of, w * p, bins)[kept] / votes[kept]
    frequency = np.bincount(bin_of, w * happened, bins)[kept] / votes[kept]
    return CalibrationScore(
        expected_error=float(np.sum(votes[kept] * np.abs(mean - frequency)) / votes.sum()),
        brier=float(np.average((p - happened) ** 2, weights=w)),
        mean_probability=mean,
        frequency=frequency,
        counts=np.bincount(bin_of, minlength=bins)[kept].astype(np.intp),
    )


def find_mistakes(validation: CrossValidation, method: str) -> list[Mistake]:
    """Photos with a predicted class that they do not show, the most confident first."""
    samples, said = validation.samples, validation.said(method)
    found = []
    for row, p in enumerate(validation.probabilities[method]):
        if not samples.targets[row, said[row]]:
            found.append(
                Mistake(
                    name=samples.names[row],
                    labels=samples.labels[row],
                    said=samples.classes[said[row]],
                    probability_said=float(p[said[row]]),
                    probability_true=float(p[samples.primary[row]]),
                    explained=bool(validation.explained[row]),
                )
            )
    return sorted(found, key=lambda one: one.probability_true - one.probability_said)
