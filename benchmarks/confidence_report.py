"""A calibration and its judgement as Markdown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.confidence_fit import FloatArray
from benchmarks.confidence_measures import calibration_error_by_chance, reliability
from benchmarks.confidence_table import Proposals
from benchmarks.confidence_threshold import acceptance
from benchmarks.trials.stats import calibration as calibration_figures
from benchmarks.trials.stats import roc
from regengine.calibration import Calibration
from regengine.calibration_features import FEATURES

WORST = 5


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Proposals with the probabilities to be judged."""

    name: str
    p: FloatArray
    proposals: Proposals


def model_text(calibration: Calibration, penalty: float) -> str:
    """Weights, curve and threshold."""
    told = calibration.training
    low, high = calibration.accept_interval_95
    lines = [
        f"Fitted on {told.proposals} proposals ({told.right} right) of {told.cases} cases: "
        f"{told.source}.\n",
        "| feature | weight | what it is |",
        "|---|---|---|",
        *(
            f"| `{name}` | {weight:.3f} | {FEATURES[name].text} |"
            for name, weight in zip(calibration.features, calibration.weights, strict=True)
        ),
        f"| (intercept) | {calibration.intercept:.3f} | penalty {penalty:g} |",
        "",
        f"P = {calibration.floor:.4g} + ({calibration.ceiling:.6g} - {calibration.floor:.4g}) x "
        f"sigmoid({calibration.slope:.3f} x score + {calibration.offset:.3f})\n",
        "| what the data file says | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in statement_rows(calibration)),
        "",
        f"Threshold with its 95 % interval over cases drawn anew: "
        f"{calibration.accept_probability:.6f} ({low:.6f} to {high:.6f}).",
        calibration.statement[0].upper() + calibration.statement[1:] + ".",
    ]
    if not calibration.target_met:
        lines.append(
            "The target is not vouched for: the training cases are too few, or too many of the "
            "best of them are wrong."
        )
    return "\n".join(lines) + "\n"


def statement_rows(calibration: Calibration) -> list[tuple[str, str]]:
    """What the data file says of its training, as names and values of the documentation."""
    told = calibration.training
    return [
        ("training cases", f"{told.cases}"),
        ("proposals", f"{told.proposals}"),
        ("right", f"{told.right}"),
        ("lowest and highest probability", f"{calibration.floor:.5f}, {calibration.ceiling:.5f}"),
        ("acceptance threshold", f"{calibration.accept_probability:.6f}"),
        ("accepted in training", f"{told.accepted}"),
        ("wrong among them", f"{told.accepted_wrong}"),
        ("expected wrong among them", f"{100.0 * told.expected_wrong_rate:.3f} %"),
        ("95 % upper bound", f"{100.0 * told.wrong_rate_upper_95:.2f} %"),
        ("expected calibration error", f"{told.expected_calibration_error:.4f}"),
        ("Brier score", f"{told.brier_score:.4f}"),
    ]


def judgement_text(judged: Judged, threshold: float) -> str:
    """Reliability table, scores, what is accepted, and the worst mistakes."""
    p, proposals = judged.p, judged.proposals
    right = proposals.right
    figures = calibration_figures(p, right)
    let_in = acceptance(p, right, proposals.doubted, threshold)
    by_chance, most_by_chance = calibration_error_by_chance(p)
    lines = [
        f"## {judged.name}\n",
        f"{len(right)} proposals ({int(right.sum())} right) of {proposals.cases} cases: "
        f"{proposals.source}.\n",
        "| P | cases | mean P | right | 95 % interval |",
        "|---|---|---|---|---|",
        *(
            f"| {b.low:.3f} to {b.high:.3f} | {b.cases} | {b.mean_probability:.4f} | "
            f"{b.share_right:.4f} | {b.interval[0]:.3f} to {b.interval[1]:.3f} |"
            for b in reliability(p, right)
        ),
        "",
        f"Expected calibration error {figures.expected_error:.4f} (true "
        f"probabilities would show {by_chance:.4f}, in 95 % at most {most_by_chance:.4f}), Brier "
        f"score {figures.brier:.4f}, area under the ROC curve "
        f"{roc(p, right).area:.4f}.",
        f"Accepted from {threshold:.6f} on, without doubts: {let_in.accepted} "
        f"({let_in.accepted - let_in.wrong} of {int(right.sum())} right ones), {let_in.wrong} "
        f"wrong; doubts kept back {int(((p >= threshold) & proposals.doubted).sum())}; "
        f"expected {100.0 * let_in.expected_wrong_rate:.3f} %, 95 % upper "
        f"bound {100.0 * let_in.wrong_rate_upper_95:.2f} %.",
        f"Likeliest wrong: {extremes(judged, False)}. Unlikeliest right: {extremes(judged, True)}.",
    ]
    return "\n".join(lines) + "\n"


def extremes(judged: Judged, right: bool) -> str:
    """Seeds, kinds and probabilities of the worst mistakes of one sort."""
    of_sort = np.flatnonzero(judged.proposals.right == right)
    order = of_sort[np.argsort(judged.p[of_sort] if right else -judged.p[of_sort], kind="stable")]
    named = [f"{judged.proposals.labels[k]} {judged.p[k]:.4f}" for k in order[:WORST]]
    return ", ".join(named) or "none"
