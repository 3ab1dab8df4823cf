"""A calibration and its judgement as Markdown, and as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from benchmarks.arrays import BoolArray
from benchmarks.confidence.fit import (
    DELTA,
    NOTHING_TOLD,
    Acceptance,
    Proposals,
    Tested,
    acceptance,
    trials_needed,
)
from benchmarks.pages import NONE, table
from benchmarks.trials.outcomes import CALIBRATION_BINS, roc_area
from benchmarks.trials.outcomes import calibration as calibration_figures
from detectors.types import FloatArray
from regengine.registration.calibration import Steps

REDRAWS = 300


class Bin(NamedTuple):
    """Cases whose probability lies in one range; the interval is Clopper and Pearson's, 95 %."""

    low: float
    high: float
    cases: int
    mean_probability: float
    share_right: float
    interval: tuple[float, float]


def exact_interval(hits: int, tried: int) -> tuple[float, float]:
    """Clopper and Pearson's two-sided 95 % interval of a rate."""
    found = binomtest(hits, tried).proportion_ci(0.95, "exact")
    return float(found.low), float(found.high)


def reliability(p: FloatArray, right: BoolArray) -> list[Bin]:
    """Reliability table over the bins of the calibration error, the empty ones left out."""
    found = calibration_figures(p, right)
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    table = []
    for k in np.flatnonzero(found.count):
        cases, share = int(found.count[k]), float(found.came_true[k])
        interval = exact_interval(round(share * cases), cases)
        low, high = edges[k : k + 2].tolist()
        table.append(Bin(low, high, cases, float(found.stated[k]), share, interval))
    return table


def calibration_error_by_chance(p: FloatArray) -> tuple[float, float]:
    """What so many cases would show if the probabilities were true: mean and 95 % quantile."""
    rng = np.random.default_rng(0)
    drawn = [calibration_figures(p, rng.random(len(p)) < p).expected_error for _ in range(REDRAWS)]
    return float(np.mean(drawn)), float(np.quantile(drawn, 0.95))


# Odds that tables show
SHOWN_ODDS = (-5.0, 0.0, 2.0, 5.0, 8.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Proposals with the probabilities to be judged."""

    name: str
    p: FloatArray
    trials: Proposals


def trials_told(left_out: Judged) -> dict[str, Any]:
    """What a calibration tells of the trials that its steps come from."""
    figures = calibration_figures(left_out.p, left_out.trials.right)
    return {
        "source": left_out.trials.source,
        "cases": left_out.trials.cases,
        "proposals": len(left_out.trials),
        "right": int(left_out.trials.right.sum()),
        "expected_calibration_error": round(figures.expected_error, 5),
        "brier_score": round(figures.brier, 5),
    }


def let_in_by_kind(
    judged: Judged, threshold: float, blind_threshold: float | None
) -> list[tuple[str, int, Acceptance]]:
    """Of all proposals and of each kind, how many there are and what the thresholds let through."""
    p, trials = judged.p, judged.trials
    blind = np.inf if blind_threshold is None else blind_threshold
    thresholds = np.where(trials.kinds[NOTHING_TOLD], blind, threshold)
    return [
        ("all", len(trials), acceptance(p, trials, thresholds)),
        *(
            (kind, int(of_kind.sum()), acceptance(p, trials, thresholds, kind))
            for kind, of_kind in trials.kinds.items()
        ),
    ]


def accepted_told(
    test: Judged, wrong_rate: float, threshold: float, blind_threshold: float | None
) -> dict[str, Any]:
    """What a calibration tells of the trials that its thresholds were tested on."""
    return {
        "source": test.trials.source,
        "wrong_rate": wrong_rate,
        "kinds": [
            {
                "kind": kind,
                "accepted": one.accepted,
                "wrong": one.wrong,
                "wrong_rate_upper_95": round(one.upper_95, 5),
            }
            for kind, _, one in let_in_by_kind(test, threshold, blind_threshold)
        ],
    }


def steps_lines(steps: Steps, trials: Proposals) -> list[str]:
    """What the trials were, and the probability at some odds."""
    low, high = steps.interval(SHOWN_ODDS)
    rows = zip(SHOWN_ODDS, steps.probability(SHOWN_ODDS), low, high, strict=True)
    return [
        f"Fitted on {len(trials)} proposals ({int(trials.right.sum())} right) of {trials.cases} "
        f"cases: {trials.source}; {len(steps.low)} steps.",
        "",
        *table(
            "log₁₀ odds over the runner-up's | probability | low | high",
            [(f"{odds:g}", f"{p:.4f}", f"{a:.4f}", f"{b:.4f}") for odds, p, a, b in rows],
            right=4,
        ),
        "",
    ]


def threshold_lines(tested: Tested, target: float, steps: Steps, kind: str) -> list[str]:
    """The thresholds that were tested on a kind of trials, and what follows."""
    rows = [
        (
            f"{threshold:g}",
            odds_text(steps, threshold),
            f"{let_in.accepted}",
            f"{let_in.wrong}",
            f"{100.0 * let_in.upper_95:.2f} %",
            f"{p_value:.4f}",
            "yes" if p_value <= DELTA else "no",
        )
        for threshold, let_in, p_value in zip(
            tested.thresholds, tested.let_in, tested.p_value, strict=True
        )
    ]
    found = "no threshold" if tested.threshold is None else f"the threshold {tested.threshold:g}"
    return [
        f"## The acceptance threshold: {kind}",
        "",
        *table("P from | log₁₀ odds from | accepted | wrong | 95 % bound | p | passed", rows),
        "",
        f"Tested on the test half in this order, with 95 % confidence, for at most "
        f"{100.0 * tested.wrong_rate:.2f} % wrong among accepted: {found}. The target of "
        f"{100.0 * target:g} % takes {trials_needed(target):,} accepted trials, none wrong.",
        "",
    ]


def odds_text(steps: Steps, threshold: float) -> str:
    """Odds from which on a probability reaches a threshold."""
    least = np.flatnonzero(steps.probability((-np.inf, *steps.log10_odds)) >= threshold)
    if not len(least):
        return NONE
    return "any" if least[0] == 0 else f"{steps.log10_odds[least[0] - 1]:.1f}"


def accepted_lines(judged: Judged, threshold: float, blind_threshold: float | None) -> list[str]:
    """What the thresholds accept, by kind."""
    rows = [
        (kind, f"{n}", f"{one.accepted}", f"{one.wrong}", f"{100.0 * one.upper_95:.2f} %")
        for kind, n, one in let_in_by_kind(judged, threshold, blind_threshold)
    ]
    return [
        f"Accepted from {threshold:g} on, with {NOTHING_TOLD} from {blind_threshold or NONE}, "
        "without doubts:",
        "",
        *table("trials | proposals | accepted | wrong | 95 % bound", rows, right=4),
        "",
    ]


def judgement_lines(judged: Judged) -> list[str]:
    """Reliability table, scores and the worst mistakes."""
    p, trials = judged.p, judged.trials
    right = trials.right
    figures = calibration_figures(p, right)
    by_chance, most_by_chance = calibration_error_by_chance(p)
    rows = [
        (
            f"{b.low:.3f} to {b.high:.3f}",
            f"{b.cases}",
            f"{b.mean_probability:.4f}",
            f"{b.share_right:.4f}",
            f"{b.interval[0]:.3f} to {b.interval[1]:.3f}",
        )
        for b in reliability(p, right)
    ]
    return [
        f"## {judged.name}",
        "",
        f"{len(right)} proposals ({int(right.sum())} right) of {trials.cases} cases: "
        f"{trials.source}.",
        "",
        *table("P | cases | mean P | right | 95 % interval", rows),
        "",
        f"Expected calibration error {figures.expected_error:.4f} (true "
        f"probabilities would show {by_chance:.4f}, in 95 % at most {most_by_chance:.4f}), Brier "
        f"score {figures.brier:.4f}, area under the ROC curve {roc_area(p, right):.4f}.",
        "",
    ]


NAME = "reliability.png"
COLOURS = ("tab:blue", "tab:orange")
WIDE = (-0.03, 1.03)


def plot_reliability(judged: Sequence[Judged], folder: Path) -> Path:
    """Draw share right over stated probability, and how many proposals have it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    curve, counts = figure.subplots(2, 1, height_ratios=(3.2, 1.0))
    for one, colour in zip(judged, COLOURS, strict=False):
        draw_reliability(curve, one, colour)
        counts.hist(one.p, list(np.linspace(0.0, 1.0, 21)), histtype="step", color=colour)
    curve.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
    curve.set(xlim=WIDE, ylim=WIDE, ylabel="share right (95 % interval)")
    curve.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8, frameon=False)
    counts.set(xlim=WIDE, yscale="log", ylim=(0.7, None), xlabel="probability", ylabel="proposals")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    # Without the version of the library, equal tables give equal bytes
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return path


def draw_reliability(axes: Any, judged: Judged, colour: str) -> None:
    """Share of right proposals over the mean probability of their bin."""
    table = reliability(judged.p, judged.trials.right)
    share = np.array([b.share_right for b in table])
    interval = np.array([b.interval for b in table]).T
    error = calibration_figures(judged.p, judged.trials.right).expected_error
    axes.errorbar(
        [b.mean_probability for b in table],
        share,
        yerr=np.maximum(np.stack([share - interval[0], interval[1] - share]), 0.0),
        fmt="o",
        color=colour,
        capsize=3,
        label=f"{judged.name}: n = {len(judged.p)}, calibration error {error:.3f}",
    )
