"""How answers of scene classification are scored: confusion, precision, recall, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from regengine.scene.samples import IndexArray

BINS = 10


@dataclass(frozen=True, kw_only=True)
class ClassScore:
    """How one class was told."""

    name: str  # the class
    # Frames that show it above all, their groups, and the groups of which less than half of the
    # frames were told
    frames: int
    groups: int
    groups_missed: int
    # Of frames; NaN where nothing was said to be it, or nothing is
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class CalibrationScore:
    """How well probabilities fit what is seen."""

    # Mean distance of probability and frequency over `BINS` equal bins, weighted by number
    expected_error: float
    brier: float  # mean squared distance of probability and outcome
    # Shape (B,): of the bins that hold anything
    mean_probability: FloatArray
    frequency: FloatArray
    counts: IndexArray  # shape (B,): how many probabilities each of them holds


def confusion_matrix(truth: IndexArray, said: IndexArray, classes: int) -> IndexArray:
    """Count frames by what they show (rows) and what was said (columns), shape (C, C)."""
    pairs = np.bincount(truth * classes + said, minlength=classes * classes)
    return pairs.reshape(classes, classes).astype(np.intp)


def class_scores(
    truth: IndexArray, said: IndexArray, groups: Sequence[str], classes: Sequence[str]
) -> list[ClassScore]:
    """Precision, recall and F1 of every class, in their order.

    `truth` and `said`, shape (N,), are indices into `classes`; `groups` has the group of each
    frame.
    """
    of = np.array(groups)
    scores = []
    for index, name in enumerate(classes):
        is_it, said_so = truth == index, said == index
        right = int((is_it & said_so).sum())
        told = {group: said_so[is_it & (of == group)].mean() for group in set(of[is_it].tolist())}
        total = int(is_it.sum() + said_so.sum())
        scores.append(
            ClassScore(
                name=name,
                frames=int(is_it.sum()),
                groups=len(told),
                groups_missed=sum(bool(share < 0.5) for share in told.values()),
                precision=right / int(said_so.sum()) if said_so.any() else float("nan"),
                recall=right / int(is_it.sum()) if is_it.any() else float("nan"),
                f1=2.0 * right / total if total else float("nan"),
            )
        )
    return scores


def macro_f1(
    truth: IndexArray,
    said: IndexArray,
    scored: Sequence[int] | IndexArray,
    weights: FloatArray | None = None,
) -> float:
    """Mean F1 of the classes that count, 0 to 1: NaN where there is none.

    A class that is neither there nor said counts as 0; frames have equal weights by default.
    """
    w = np.ones(len(truth)) if weights is None else weights
    values = []
    for index in scored:
        right = w[(truth == index) & (said == index)].sum()
        total = w[truth == index].sum() + w[said == index].sum()
        values.append(2.0 * right / total if total else 0.0)
    return float(np.mean(values)) if values else float("nan")


def calibration_score(
    probabilities: FloatArray, outcomes: NDArray[np.bool_], weights: FloatArray | None = None
) -> CalibrationScore:
    """Compare probabilities with what was so; all of one shape, votes equal by default."""
    p, happened = probabilities.ravel(), outcomes.ravel().astype(float)
    w = np.ones(len(p)) if weights is None else weights.ravel()
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    votes = np.bincount(bins, w, BINS)
    kept = votes > 0
    mean = np.bincount(bins, w * p, BINS)[kept] / votes[kept]
    frequency = np.bincount(bins, w * happened, BINS)[kept] / votes[kept]
    return CalibrationScore(
        expected_error=float(np.sum(votes[kept] * np.abs(mean - frequency)) / votes.sum()),
        brier=float(np.average((p - happened) ** 2, weights=w)),
        mean_probability=mean,
        frequency=frequency,
        counts=np.bincount(bins, minlength=BINS)[kept].astype(np.intp),
    )
