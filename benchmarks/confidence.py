"""Fit the probability of registrations to simulated cases, test thresholds, and judge both.

Tables of the training half (`registration --half train --table TRAIN.jsonl`) are
fitted; without any the calibration of the package is judged. `--write` then keeps its steps, and
writes the thresholds that they pass on the test half.

References
----------
Vovk, V., Petej, I., Fedorova, V. (2015). Large-scale probabilistic predictors with and without
guarantees of validity. NeurIPS; arXiv 1511.00213. Angelopoulos, A. N., Bates, S., Candès, E. J.,
Jordan, M. I., Lei, L. (2021). Learn then Test. arXiv 2110.01052.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression
from scipy.special import logit
from scipy.stats import binom
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from typer import Argument, Option

from benchmarks.options import Out
from benchmarks.pages import NONE, interval, table, title_lines, write_page
from benchmarks.rows import Row, read_rows
from benchmarks.trials.attempt import EVIDENCE, REASON_MARK
from benchmarks.trials.report import CALIBRATION_BINS
from detectors.types import FloatArray
from regengine.errors import ConfigError
from regengine.io.extras import need
from regengine.registration.accept import share_right
from regengine.registration.parameters import (
    FORMAT,
    FORMAT_VERSION,
    OddsCalibration,
    Steps,
    read_shipped_calibration,
)
from regengine.registration.types import Evidence
from regengine.score.labels import bound_share
from regengine.score.scenes import CalibrationScore, score_calibration

FOLDS = 5
TARGET = 0.001  # wrong among accepted
# Kinds of trials; the thresholds of the first two are tested apart
TIME_TOLD, NOTHING_TOLD = "time told", "nothing told"
KINDS = (TIME_TOLD, NOTHING_TOLD, "at most 45° off nadir", "beyond 45°")
OBLIQUE_DEG = 45.0
# Steps of less than this, in the logarithm of the odds (natural), are one
MIN_STEP = 0.1
# Frames of one region share towns, coasts and what is wrong with the map there
BLOCK_DEG = 15.0
# Share of the diagonal, per cent, by which pixels may be off (median) at the right place
PLACED_PERCENT = 5.0
# Of these an accepted proposal may have any, or they only say why a probability is low
NO_DOUBTS = frozenset(
    {
        *("low_probability", "few_lights", "low_margin", "map_saturated", ""),
        *("search_budget", "outside_map", "clock_suspect", "narrow"),
    }
)
# With the time told, and nothing told; None accepts nothing
Thresholds = tuple[float, float | None]


def main(
    tables: Annotated[list[Path], Argument(help="rows of simulated cases")],
    *,
    write: Annotated[
        Path | None, Option(metavar="FILE", help="write the calibration (JSON)")
    ] = None,
    plot: Annotated[
        Path | None, Option(metavar="FOLDER", help="write reliability.png there")
    ] = None,
    out: Out = None,
) -> None:
    """Fit on the training half where there is one; test and judge on the test half."""
    if plot:
        need("--plot", "matplotlib.figure")
    training, test = load(tables)
    shipped = read_shipped_calibration()
    steps, judged = fit(training) if training else (shipped.steps, [])
    if test is not None:
        judged.append(test.judged("Test half", probability_of(test.rows, steps)))
    kinds = KINDS[:2] if test is not None else ()
    tested = {kind: learn_then_test(judged[-1].rows, TARGET, kind) for kind in kinds}
    thresholds = choose(tested, shipped, fitted=bool(training or write))
    if write:
        write.write_text(describe(steps, thresholds, judged, tested, shipped), encoding="utf-8")
    lines = fit_lines(steps, training)
    for kind, one in tested.items():
        lines += threshold_lines(one, steps, kind)
    for some in judged:
        lines += judgement_lines(some, thresholds)
    if plot and judged:
        lines += [f"Figure: {plot_reliability(judged, plot)}", ""]
    write_page(out, "confidence", [*title_lines("How true probabilities are"), *lines])


# Rows


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Proposals of one half of the cases.

    Columns of `rows`: `log10_odds` over the runner-up's; whether the proposal was `right`, or
    `placed`, as its place was, if not all control points; `right_if_placed`, the share of fits
    tested like this whose control points are right; `doubted`, where a doubt kept the engine from
    accepting it, whatever the probability; the `block` of the Earth, none of which is on both sides
    of a cross-validation; each of `KINDS`; and `p`, the probability to be judged.
    """

    name: str = ""
    rows: pd.DataFrame
    cases: int  # of that half, those without a proposal included
    source: str  # which these were

    def judged(self, name: str, p: FloatArray) -> Proposals:
        return replace(self, name=name, rows=self.rows.assign(p=p))


def load(tables: Sequence[Path]) -> tuple[Proposals | None, Proposals | None]:
    """Proposals of the training and of the test half; of a case that comes twice, the last."""
    rows = read_rows(*tables)
    cases = {(row["half"], row["seed"], row.get("told", "all")): row for row in rows}
    training, test = (
        proposals_of([row for (of, *_), row in cases.items() if of == half], half)
        for half in ("train", "test")
    )
    return training, test


def proposals_of(cases: Sequence[Row], half: str) -> Proposals | None:
    """Proposals of the cases of one half."""
    found = [row for row in cases if row.get("right") is not None]
    if not found:
        return None
    evidence = [evidence_of(row) for row in found]
    right = np.array([row["right"] for row in found])
    lean_deg = np.array([row.get("off_nadir_deg", np.nan) for row in found], float)
    off_percent = np.array([row.get("grid_median_percent", np.nan) for row in found], float)
    nothing = np.array([row.get("told") == "nothing" for row in found])
    codes = [set(row.get("reasons", "").split(REASON_MARK)) for row in found]
    places = [(row["lon"] // BLOCK_DEG, row["lat"] // BLOCK_DEG) for row in found]
    kinds = (~nothing, nothing, lean_deg <= OBLIQUE_DEG, lean_deg > OBLIQUE_DEG)
    rows = pd.DataFrame(
        {
            "log10_odds": [one.log10_odds for one in evidence],
            "right": right,
            "placed": right | (off_percent < PLACED_PERCENT),
            "right_if_placed": [share_right(one) for one in evidence],
            "doubted": [bool(some - NO_DOUBTS) for some in codes],
            "block": [f"{east:.0f} {north:.0f}" for east, north in places],
            **dict(zip(KINDS, kinds, strict=True)),
        }
    )
    if not np.isfinite(rows.log10_odds).all():
        seed = found[int(np.argmin(np.isfinite(rows.log10_odds)))]["seed"]
        raise ConfigError(f"The proposal of seed {seed} has no odds: make the table anew.")
    seeds = [row["seed"] for row in cases]
    where = ", ".join(sorted({row["continent"] for row in cases if "continent" in row}))
    name = {"train": "training", "test": "test"}[half]
    source = f"simulated cases, {name} half ({where}), seeds {min(seeds)} to {max(seeds)}"
    return Proposals(rows=rows, cases=len(cases), source=source)


def evidence_of(row: Row) -> Evidence:
    values = {field.name: row.get(f"{EVIDENCE}{field.name}") for field in fields(Evidence)}
    told = {name: math.nan if value is None else float(value) for name, value in values.items()}
    return Evidence(**told)  # type: ignore[arg-type]


# Steps of probability


def venn_abers(log10_odds: ArrayLike, right: ArrayLike) -> Steps:
    """Inductive Venn-Abers: isotonic regression with a new case taken for wrong, and for right.

    Nothing but their order is used of the odds. Of the two probabilities that of the truth is
    calibrated whatever the distribution, if trials and new case are drawn alike.
    """
    known, same = np.unique(log10_odds, return_inverse=True)
    count = np.bincount(same)
    share = np.bincount(same, weights=np.asarray(right)) / count

    def at_new(taken: float) -> list[float]:
        """Before the first of the known, at it, before the second, at that, ... after the last."""
        found = []
        for k in range(len(known) + 1):
            between = np.insert(share, k, taken)
            found.append(isotonic_regression(between, weights=np.insert(count, k, 1)).x[k])
            if k < len(known):
                tied = np.where(np.arange(len(known)) == k, 1, 0)
                joined = (share * count + taken * tied) / (count + tied)
                found.append(isotonic_regression(joined, weights=count + tied).x[k])
        # The last digit may differ
        return np.maximum.accumulate(found).tolist()

    begins = np.stack([known, np.nextafter(known, np.inf)], axis=1).ravel()
    return Steps(log10_odds=tuple(begins.tolist()), low=tuple(at_new(0.0)), high=tuple(at_new(1.0)))


def fewer_steps(steps: Steps) -> Steps:
    """The same with small steps drawn together, of each the widest interval."""
    of_p = logit(np.asarray(steps.high) / (1.0 - np.asarray(steps.low) + np.asarray(steps.high)))
    firsts = [0]
    for k in range(1, len(of_p)):
        if of_p[k] - of_p[firsts[-1]] >= MIN_STEP:
            firsts.append(k)
    lasts = [k - 1 for k in firsts[1:]] + [len(of_p) - 1]
    return Steps(
        log10_odds=tuple(steps.log10_odds[k - 1] for k in firsts[1:]),
        low=tuple(steps.low[k] for k in firsts),
        high=tuple(steps.high[k] for k in lasts),
    )


def probability_of(rows: pd.DataFrame, steps: Steps) -> FloatArray:
    """Probability of every proposal, but for the sigma of its control points."""
    return np.asarray(steps.probability(rows.log10_odds.to_numpy()) * rows.right_if_placed)


def left_out_probability(rows: pd.DataFrame) -> FloatArray:
    """Probability of every proposal by those of other regions."""
    p = np.empty(len(rows))
    for known, out in GroupKFold(min(FOLDS, rows.block.nunique())).split(p, groups=rows.block):
        steps = venn_abers(rows.log10_odds.iloc[known], rows.placed.iloc[known])
        p[out] = probability_of(rows.iloc[out], steps)
    return p


def fit(training: Proposals) -> tuple[Steps, list[Proposals]]:
    """Steps of the training half, and its proposals as judged by those of other regions."""
    steps = fewer_steps(venn_abers(training.rows.log10_odds, training.rows.placed))
    left_out = left_out_probability(training.rows)
    return steps, [training.judged("Training half, left out in turn", left_out)]


# Thresholds

# Probabilities that are tested as thresholds, in this order. For the trials less than the last
# would do; real photographs are harder than trials
THRESHOLDS = (0.97, 0.96, 0.95)
DELTA = 0.05


class Acceptance(NamedTuple):
    """What a threshold lets through among cases of known truth, those with doubts never."""

    accepted: int
    wrong: int

    @property
    def upper_95(self) -> float:
        """Exact one-sided 95 % upper bound of the rate of wrong ones."""
        return bound_share(self.wrong, self.accepted)


def acceptance(rows: pd.DataFrame, threshold: FloatArray | float) -> Acceptance:
    accepted = (rows.p >= threshold) & ~rows.doubted
    return Acceptance(int(accepted.sum()), int((accepted & ~rows.right).sum()))


@dataclass(frozen=True)
class Tested:
    """Thresholds in the order in which they were tested, up to the first that failed."""

    wrong_rate: float  # of accepted proposals, that a threshold that passed does not exceed
    # Each with what it let through, and how likely no more wrong ones are at that rate
    tests: list[tuple[float, Acceptance, float]]

    @property
    def threshold(self) -> float | None:
        """The most lenient threshold that passed; None where the strictest failed."""
        passed = [threshold for threshold, _, p in self.tests if p <= DELTA]
        return passed[-1] if passed else None


def learn_then_test(rows: pd.DataFrame, target: float, kind: str) -> Tested:
    """Learn-then-Test: thresholds tested one after the other on trials of a kind, by the binomial.

    A test that follows one that failed is not made, so that with 95 % confidence no threshold that
    passed lets through more wrong ones than the rate. That is the target, or where the trials are
    too few the least that they can prove: how many pass the strictest threshold says it, not which
    of them are right.
    """
    some = rows[rows[kind]]
    wrong_rate = wrong_rate_allowed(acceptance(some, THRESHOLDS[0]).accepted, target)
    tests: list[tuple[float, Acceptance, float]] = []
    for threshold in THRESHOLDS:
        let_in = acceptance(some, threshold)
        tests.append(
            (threshold, let_in, float(binom.cdf(let_in.wrong, let_in.accepted, wrong_rate)))
        )
        if tests[-1][-1] > DELTA:
            break
    return Tested(wrong_rate, tests)


def wrong_rate_allowed(accepted: int, target: float) -> float:
    """The target, or the least rate that so many accepted trials, none wrong, can rule out.

    To four digits, rounded up.
    """
    least = 1.0 - DELTA ** (1.0 / accepted) if accepted else 1.0
    return max(target, math.ceil(1e4 * least) / 1e4)


def trials_needed(wrong_rate: float) -> int:
    """Accepted trials, none wrong, that rule out a rate."""
    return math.ceil(math.log(DELTA) / math.log1p(-wrong_rate))


def choose(tested: dict[str, Tested], shipped: OddsCalibration, *, fitted: bool) -> Thresholds:
    """Thresholds with the time told and nothing told: those that passed, or the package's."""
    if not fitted:
        return shipped.accept_probability, shipped.accept_probability_blind
    if not tested:
        return THRESHOLDS[0], None
    threshold = tested[TIME_TOLD].threshold
    usual = shipped.accept_probability if threshold is None else threshold
    return usual, tested[NOTHING_TOLD].threshold


def describe(
    steps: Steps,
    thresholds: Thresholds,
    judged: Sequence[Proposals],
    tested: dict[str, Tested],
    shipped: OddsCalibration,
) -> str:
    """The calibration's file; ConfigError where the test half passes no threshold."""
    if not tested:
        raise ConfigError("The tables need proposals of the test half, to test thresholds with.")
    if tested[TIME_TOLD].threshold is None:
        raise ConfigError("No threshold passes the test on the test half: draw more cases.")
    kinds = [
        {
            "kind": kind,
            "accepted": one.accepted,
            "wrong": one.wrong,
            "wrong_rate_upper_95": round(one.upper_95, 5),
        }
        for kind, _, one in let_in_by_kind(judged[-1].rows, thresholds)
    ]
    calibration = OddsCalibration(
        steps=steps,
        accept_probability=thresholds[0],
        accept_probability_blind=thresholds[1],
        trials=shipped.trials if len(judged) < 2 else trials_told(judged[0]),
        tested={
            "source": judged[-1].source,
            "wrong_rate": tested[TIME_TOLD].wrong_rate,
            "kinds": kinds,
        },
    )
    return calibration_text(calibration)


def calibration_text(calibration: OddsCalibration) -> str:
    """Format a calibration as the text of its file, reproducible byte for byte."""
    content: dict[str, Any] = {"format": FORMAT, "format_version": FORMAT_VERSION}
    content |= asdict(calibration)
    steps = content.pop("steps")
    # One line for each column of the steps, not for each of their numbers
    columns = ",\n".join(f'    "{name}": {json.dumps(v)}' for name, v in steps.items())
    rest = json.dumps(content, indent=2, allow_nan=False)
    return f'{rest[:-2]},\n  "steps": {{\n{columns}\n  }}\n}}\n'


def trials_told(left_out: Proposals) -> dict[str, Any]:
    """What a calibration tells of the trials that its steps come from."""
    figures = calibration(left_out.rows.p, left_out.rows.right)
    return {
        "source": left_out.source,
        "cases": left_out.cases,
        "proposals": len(left_out.rows),
        "right": int(left_out.rows.right.sum()),
        "expected_calibration_error": round(figures.expected_error, 5),
        "brier_score": round(figures.brier, 5),
    }


def let_in_by_kind(rows: pd.DataFrame, thresholds: Thresholds) -> list[tuple[str, int, Acceptance]]:
    """Of all proposals and of each kind, how many there are and what the thresholds let through."""
    blind = np.inf if thresholds[1] is None else thresholds[1]
    least = np.where(rows[NOTHING_TOLD], blind, thresholds[0])
    return [
        (kind, int(of_kind.sum()), acceptance(rows[of_kind], least[of_kind]))
        for kind, of_kind in [("all", rows.p.notna()), *((kind, rows[kind]) for kind in KINDS)]
    ]


# The page

REDRAWS = 300
SHOWN_ODDS = (-5.0, 0.0, 2.0, 5.0, 8.0, 12.0, 15.0, 20.0, 30.0, 50.0, 100.0)


def calibration(p: ArrayLike, right: ArrayLike) -> CalibrationScore:
    return score_calibration(np.asarray(p), np.asarray(right), bins=CALIBRATION_BINS)


def reliability(p: ArrayLike, right: ArrayLike) -> pd.DataFrame:
    """Reliability over the bins of the calibration error, the empty ones left out.

    The interval is Clopper and Pearson's, 95 %.
    """
    found = calibration(p, right)
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    at = np.searchsorted(edges, found.mean_probability, side="right") - 1
    at = np.minimum(at, CALIBRATION_BINS - 1)
    sure = [
        interval(round(share * n), int(n), "exact")
        for share, n in zip(found.frequency, found.counts, strict=True)
    ]
    columns = {"low": edges[at], "high": edges[at + 1], "cases": found.counts}
    columns |= {"mean_probability": found.mean_probability, "share_right": found.frequency}
    return pd.DataFrame(columns).join(pd.DataFrame(sure, columns=["least", "most"]))


def calibration_error_by_chance(p: FloatArray) -> tuple[float, float]:
    """What so many cases would show if the probabilities were true: mean and 95 % quantile."""
    rng = np.random.default_rng(0)
    drawn = [calibration(p, rng.random(len(p)) < p).expected_error for _ in range(REDRAWS)]
    return float(np.mean(drawn)), float(np.quantile(drawn, 0.95))


def fit_lines(steps: Steps, training: Proposals | None) -> list[str]:
    """What was fitted."""
    if training is None:
        return ["No training rows: the calibration of the package is judged.", ""]
    low, high = steps.interval(SHOWN_ODDS)
    fitted = zip(SHOWN_ODDS, steps.probability(SHOWN_ODDS), low, high, strict=True)
    rows = [(f"{odds:g}", f"{p:.4f}", f"{a:.4f}", f"{b:.4f}") for odds, p, a, b in fitted]
    return [
        f"Fitted on {len(training.rows)} proposals ({int(training.rows.right.sum())} right) of "
        f"{training.cases} cases: {training.source}; {len(steps.low)} steps.",
        "",
        *table("log₁₀ odds over the runner-up's | probability | low | high", rows, right=4),
        "",
    ]


def threshold_lines(tested: Tested, steps: Steps, kind: str) -> list[str]:
    """The thresholds that were tested on a kind of trials, and what follows."""
    rows = [
        (
            f"{threshold:g}",
            odds_text(steps, threshold),
            *acceptance_cells(let_in),
            f"{p:.4f}",
            "yes" if p <= DELTA else "no",
        )
        for threshold, let_in, p in tested.tests
    ]
    found = "no threshold" if tested.threshold is None else f"the threshold {tested.threshold:g}"
    return [
        f"## The acceptance threshold: {kind}",
        "",
        *table("P from | log₁₀ odds from | accepted | wrong | 95 % bound | p | passed", rows),
        "",
        f"Tested on the test half in this order, with 95 % confidence, for at most "
        f"{100.0 * tested.wrong_rate:.2f} % wrong among accepted: {found}. The target of "
        f"{100.0 * TARGET:g} % takes {trials_needed(TARGET):,} accepted trials, none wrong.",
        "",
    ]


def acceptance_cells(one: Acceptance) -> tuple[str, str, str]:
    return str(one.accepted), str(one.wrong), f"{100.0 * one.upper_95:.2f} %"


def odds_text(steps: Steps, threshold: float) -> str:
    """Odds from which on a probability reaches a threshold."""
    least = np.flatnonzero(steps.probability((-np.inf, *steps.log10_odds)) >= threshold)
    if not len(least):
        return NONE
    return "any" if least[0] == 0 else f"{steps.log10_odds[least[0] - 1]:.1f}"


def judgement_lines(judged: Proposals, thresholds: Thresholds) -> list[str]:
    """Reliability table, scores, and what the thresholds accept, by kind."""
    p, right = judged.rows.p.to_numpy(), judged.rows.right.to_numpy()
    figures = calibration(p, right)
    area = float(roc_auc_score(right, p)) if right.any() and not right.all() else float("nan")
    by_chance, most_by_chance = calibration_error_by_chance(p)
    bins = [
        (
            f"{one.low:.3f} to {one.high:.3f}",
            f"{one.cases}",
            f"{one.mean_probability:.4f}",
            f"{one.share_right:.4f}",
            f"{one.least:.3f} to {one.most:.3f}",
        )
        for one in reliability(p, right).itertuples()
    ]
    accepted = [
        (kind, str(n), *acceptance_cells(one))
        for kind, n, one in let_in_by_kind(judged.rows, thresholds)
    ]
    return [
        f"## {judged.name}",
        "",
        f"{len(right)} proposals ({int(right.sum())} right) of {judged.cases} cases: "
        f"{judged.source}.",
        "",
        *table("P | cases | mean P | right | 95 % interval", bins),
        "",
        f"Expected calibration error {figures.expected_error:.4f} (true "
        f"probabilities would show {by_chance:.4f}, in 95 % at most {most_by_chance:.4f}), Brier "
        f"score {figures.brier:.4f}, area under the ROC curve {area:.4f}.",
        "",
        f"Accepted from {thresholds[0]:g} on, with {NOTHING_TOLD} from {thresholds[1] or NONE}, "
        "without doubts:",
        "",
        *table("trials | proposals | accepted | wrong | 95 % bound", accepted, right=4),
        "",
    ]


COLOURS = ("tab:blue", "tab:orange")
WIDE = (-0.03, 1.03)


def plot_reliability(judged: Sequence[Proposals], folder: Path) -> Path:
    """Draw share right over stated probability, and how many proposals have it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 6.0), layout="constrained")
    curve, counts = figure.subplots(2, 1, height_ratios=(3.2, 1.0))
    for one, colour in zip(judged, COLOURS, strict=False):
        p, right = one.rows.p, one.rows.right
        bins = reliability(p, right)
        reach = [bins.share_right - bins.least, bins.most - bins.share_right]
        curve.errorbar(
            bins.mean_probability,
            bins.share_right,
            yerr=np.maximum(np.stack(reach), 0.0),
            fmt="o",
            color=colour,
            capsize=3,
            label=f"{one.name}: n = {len(p)}, calibration error "
            f"{calibration(p, right).expected_error:.3f}",
        )
        counts.hist(p, list(np.linspace(0.0, 1.0, 21)), histtype="step", color=colour)
    curve.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
    curve.set(xlim=WIDE, ylim=WIDE, ylabel="share right (95 % interval)")
    curve.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=8, frameon=False)
    counts.set(xlim=WIDE, yscale="log", ylim=(0.7, None), xlabel="probability", ylabel="proposals")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "reliability.png"
    # Without the version of the library, equal tables give equal bytes
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return path
