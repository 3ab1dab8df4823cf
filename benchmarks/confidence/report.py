"""A calibration and its judgement as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arrays import BoolArray
from benchmarks.confidence.fit import Proposals, acceptance
from benchmarks.pages import table
from benchmarks.trials.outcomes import CALIBRATION_BINS, roc
from benchmarks.trials.outcomes import calibration as calibration_figures
from detectors.types import FloatArray
from regengine.evaluate.tables import most_share
from regengine.registration.calibration import FEATURES, Calibration

REDRAWS = 300


@dataclass(frozen=True, kw_only=True)
class Bin:
    """Cases whose probability lies in one range; the interval is Clopper and Pearson's, 95 %."""

    low: float
    high: float
    cases: int
    mean_probability: float
    share_right: float
    interval: tuple[float, float]


def exact_interval(successes: int, of: int) -> tuple[float, float]:
    """Exact two-sided 95 % confidence interval of a rate."""
    return 1.0 - most_share(of - successes, of, 0.975), most_share(successes, of, 0.975)


def reliability(p: FloatArray, right: BoolArray) -> list[Bin]:
    """Reliability table over the bins of the calibration error, the empty ones left out."""
    found = calibration_figures(p, right)
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    return [
        Bin(
            low=float(edges[k]),
            high=float(edges[k + 1]),
            cases=int(found.count[k]),
            mean_probability=float(found.stated[k]),
            share_right=float(found.came_true[k]),
            interval=exact_interval(
                round(float(found.came_true[k] * found.count[k])), int(found.count[k])
            ),
        )
        for k in np.flatnonzero(found.count)
    ]


def calibration_error_by_chance(p: FloatArray) -> tuple[float, float]:
    """What so many cases would show if the probabilities were true: mean and 95 % quantile."""
    rng = np.random.default_rng(0)
    drawn = [calibration_figures(p, rng.random(len(p)) < p).expected_error for _ in range(REDRAWS)]
    return float(np.mean(drawn)), float(np.quantile(drawn, 0.95))


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
        *table(
            ("feature", "weight", "what it is"),
            [
                *(
                    (f"`{name}`", f"{weight:.3f}", FEATURES[name].text)
                    for name, weight in zip(calibration.features, calibration.weights, strict=True)
                ),
                ("(intercept)", f"{calibration.intercept:.3f}", f"penalty {penalty:g}"),
            ],
        ),
        "",
        f"P = {calibration.floor:.4g} + ({calibration.ceiling:.6g} - {calibration.floor:.4g}) x "
        f"sigmoid({calibration.slope:.3f} x score + {calibration.offset:.3f})\n",
        *table(("what the data file says", "value"), statement_rows(calibration)),
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


NAME = "reliability.png"
COLOURS = ("tab:blue", "tab:orange")
WIDE = (-0.03, 1.03)


def plot_reliability(judged: Sequence[Judged], calibration: Calibration, folder: Path) -> Path:
    """Draw both diagrams into one picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(3.2, 1.0))
    curve, counts = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    tail = figure.add_subplot(grid[:, 1])
    for one, colour in zip(judged, COLOURS, strict=False):
        draw_reliability(curve, one, colour)
        counts.hist(one.p, list(np.linspace(0.0, 1.0, 21)), histtype="step", color=colour)
        draw_tail(tail, one, calibration.accept_probability, colour)
    curve.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
    curve.set(xlim=WIDE, ylim=WIDE, ylabel="share right (95 % interval)")
    legend_above(curve, columns=1)
    counts.set(xlim=WIDE, yscale="log", ylim=(0.7, None), xlabel="probability", ylabel="proposals")
    tail.axhline(100.0 * calibration.target_wrong_rate, color="0.4", linestyle=":", label="target")
    tail.set(
        xlabel="proposals accepted, most probable first",
        ylabel="wrong among them, %",
        yscale="log",
        ylim=(0.02, 100.0),
    )
    legend_above(tail, columns=2)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    # Without the version of the library, equal tables give equal bytes
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return path


def draw_reliability(axes: Any, judged: Judged, colour: str) -> None:
    """Share of right proposals over the mean probability of their bin."""
    table = reliability(judged.p, judged.proposals.right)
    share = np.array([b.share_right for b in table])
    interval = np.array([b.interval for b in table]).T
    error = calibration_figures(judged.p, judged.proposals.right).expected_error
    axes.errorbar(
        [b.mean_probability for b in table],
        share,
        yerr=np.maximum(np.stack([share - interval[0], interval[1] - share]), 0.0),
        fmt="o",
        color=colour,
        capsize=3,
        label=f"{judged.name}: n = {len(judged.p)}, calibration error {error:.3f}",
    )


def draw_tail(axes: Any, judged: Judged, threshold: float, colour: str) -> None:
    """Wrong among accepted, most probable first: expected, and its exact upper bound."""
    proposals = judged.proposals
    p = np.sort(judged.p[~proposals.doubted])[::-1]
    steps = np.unique(np.linspace(min(len(p), 1), len(p), 200).astype(int))
    let_in = [
        acceptance(judged.p, proposals.right, proposals.doubted, p[k - 1]) for k in steps if k
    ]
    accepted = np.array([a.accepted for a in let_in])
    expected = [100.0 * a.expected_wrong_rate for a in let_in]
    axes.plot(accepted, expected, color=colour, label=f"{judged.name}: expected")
    observed = [100.0 * a.wrong / a.accepted if a.wrong else np.nan for a in let_in]
    axes.plot(accepted, observed, color=colour, linewidth=3, alpha=0.4, label="observed")
    bound = [100.0 * a.wrong_rate_upper_95 for a in let_in]
    axes.plot(accepted, bound, color=colour, linestyle="--", label="95 % upper bound")
    accepted_now = int((p >= threshold).sum())
    label = f"{accepted_now} at the threshold"
    axes.axvline(accepted_now, color=colour, linewidth=1, alpha=0.6, label=label)


def legend_above(axes: Any, columns: int) -> None:
    """A legend that hides nothing of the diagram."""
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, fontsize=8, frameon=False
    )
