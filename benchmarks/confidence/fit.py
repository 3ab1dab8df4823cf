"""From proposals with known truth to steps of probability, and to a threshold that is tested.

References
----------
Vovk, V., Petej, I., Fedorova, V. (2015). Large-scale probabilistic predictors with and without
guarantees of validity. NeurIPS; arXiv 1511.00213. Angelopoulos, A. N., Bates, S., Candès, E. J.,
Jordan, M. I., Lei, L. (2021). Learn then Test. arXiv 2110.01052.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.special import logit
from scipy.stats import binom

from benchmarks.arrays import BoolArray
from detectors.types import FloatArray
from regengine.evaluate.tables import bound_share
from regengine.registration.accept import share_right
from regengine.registration.calibration import Steps
from regengine.registration.types import Evidence

IntArray = NDArray[np.intp]

FOLDS = 5
# Kinds of trials whose thresholds are tested apart
TIME_TOLD, NOTHING_TOLD = "time told", "nothing told"
# Steps of less than this, in the logarithm of the odds (natural), are one
MIN_STEP = 0.1


def venn_abers(log10_odds: FloatArray, right: BoolArray) -> Steps:
    """Inductive Venn-Abers: isotonic regression with a new case taken for wrong, and for right.

    Nothing but their order is used of the odds. Of the two probabilities that of the truth is
    calibrated whatever the distribution, if trials and new case are drawn alike.
    """
    known, same = np.unique(log10_odds, return_inverse=True)
    count = np.bincount(same)
    share = np.bincount(same, weights=right) / count

    def at_new(taken: float) -> list[float]:
        """Before the first of the known, at it, before the second, at that, ... after the last."""
        found = []
        for k in range(len(known)):
            found.append(
                isotonic_regression(np.insert(share, k, taken), weights=np.insert(count, k, 1)).x[k]
            )
            tied = np.where(np.arange(len(known)) == k, 1, 0)
            joined = (share * count + taken * tied) / (count + tied)
            found.append(isotonic_regression(joined, weights=count + tied).x[k])
        found.append(
            isotonic_regression(np.append(share, taken), weights=np.append(count, 1)).x[-1]
        )
        # The last digit may differ
        return np.maximum.accumulate(found).tolist()

    begins = np.stack([known, np.nextafter(known, np.inf)], axis=1).ravel()
    return Steps(log10_odds=tuple(begins.tolist()), low=tuple(at_new(0.0)), high=tuple(at_new(1.0)))


def fewer_steps(steps: Steps) -> Steps:
    """The same with small steps drawn together, of each the widest interval."""
    p = np.asarray(steps.high) / (1.0 - np.asarray(steps.low) + np.asarray(steps.high))
    of_p = logit(p)
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


def folds_of(blocks: IntArray, folds: int = FOLDS) -> IntArray:
    """Fold of every case: whole blocks, large ones first, each into the emptiest fold."""
    fold_of_block, filled = {}, np.zeros(folds, int)
    names, sizes = np.unique(blocks, return_counts=True)
    for k in np.argsort(-sizes, kind="stable"):
        emptiest = int(np.argmin(filled))
        fold_of_block[names[k]] = emptiest
        filled[emptiest] += sizes[k]
    return np.array([fold_of_block[block] for block in blocks])


def left_out_probability(trials: Proposals) -> FloatArray:
    """Probability of every proposal by those of other regions."""
    folds = folds_of(trials.blocks)
    p = np.empty(len(trials))
    for fold in np.unique(folds):
        out = folds == fold
        steps = venn_abers(trials.log10_odds[~out], trials.placed[~out])
        p[out] = probability_of(trials, steps)[out]
    return p


def probability_of(trials: Proposals, steps: Steps) -> FloatArray:
    """Probability of every proposal, but for the sigma of its control points."""
    return np.asarray(steps.probability(trials.log10_odds) * trials.right_if_placed)


# Frames of one region share towns, coasts and what is wrong with the map there
BLOCK_DEG = 15.0
# where a table does not tell the place
SEEDS_PER_BLOCK = 10
YES, NO = {"1", "1.0", "true"}, {"0", "0.0", "false"}


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Proposals of one half of the cases, one element or row each."""

    log10_odds: NDArray[np.float64]  # over the runner-up's
    right: NDArray[np.bool_]  # whether the proposal was right
    placed: NDArray[np.bool_]  # whether its place was, if not all control points
    right_if_placed: FloatArray  # share of fits tested like this whose control points are right
    # Whether a doubt kept the engine from accepting it, whatever the probability
    doubted: NDArray[np.bool_]
    # Region that a case belongs to; none is on both sides of a cross-validation.
    blocks: NDArray[np.intp]
    kinds: dict[str, NDArray[np.bool_]]  # which are of some kinds
    labels: tuple[str, ...]  # seed and kind
    cases: int  # cases of that half, those without a proposal included
    source: str  # which these were

    def __len__(self) -> int:
        """Number of proposals."""
        return len(self.right)


def read_rows(tables: Sequence[Path]) -> pd.DataFrame:
    """Rows of some tables, cells as they are written; of a case that comes twice, the last."""
    found = []
    for table in tables:
        found.append(pd.read_csv(table, dtype=str, keep_default_na=False))
        if not {"seed", "half", "right"} <= set(found[-1].columns):
            raise ValueError(f"{table}: no table of cases (columns seed, half, right)")
    rows = pd.concat(found, ignore_index=True).fillna("")
    if "told" not in rows:
        rows["told"] = ""
    return rows.drop_duplicates(["half", "seed", "told"], keep="last")


def proposals_of(rows: pd.DataFrame, half: str) -> Proposals | None:
    """Proposals of one half."""
    mine = rows[rows.half == half]
    found = mine[mine.right.str.strip() != ""]
    if found.empty:
        return None
    words = found.right.str.strip().str.lower()
    if strange := sorted(set(words) - YES - NO):
        raise ValueError(f"{strange[0]!r} is neither yes nor no")
    right = words.isin(YES).to_numpy()
    evidence = [evidence_of(row) for row in found.to_dict("records")]
    odds = np.array([one.log10_odds for one in evidence])
    if not np.isfinite(odds).all():
        seed = found.seed.iloc[int(np.argmin(np.isfinite(odds)))]
        raise ValueError(f"the proposal of seed {seed} has no odds: make the table anew")
    reasons = found["reasons"] if "reasons" in found else pd.Series("", index=found.index)
    off_nadir_deg, nothing = numbers(found, "off_nadir_deg"), (found.told == "nothing").to_numpy()
    kinds = found["kind"] if "kind" in found else [""] * len(found)
    return Proposals(
        log10_odds=odds,
        right=right,
        placed=right | (numbers(found, "grid_median_percent") < PLACED_PERCENT),
        right_if_placed=np.array([share_right(one) for one in evidence]),
        doubted=np.array([bool(set(codes.split("|")) - NO_DOUBTS) for codes in reasons]),
        blocks=blocks_of(found),
        kinds={
            TIME_TOLD: ~nothing,
            NOTHING_TOLD: nothing,
            "at most 45° off nadir": off_nadir_deg <= OBLIQUE_DEG,
            "beyond 45°": off_nadir_deg > OBLIQUE_DEG,
        },
        labels=tuple(f"{seed} ({kind})" for seed, kind in zip(found.seed, kinds, strict=True)),
        cases=len(mine),
        source=source_of(mine, half),
    )


def numbers(rows: pd.DataFrame, name: str) -> FloatArray:
    """A column as numbers; NaN where a row has none."""
    texts = rows[name] if name in rows else pd.Series("", index=rows.index)
    return pd.to_numeric(texts, errors="coerce").to_numpy(float)


# Share of the diagonal, per cent, by which pixels may be off (median) at the right place
PLACED_PERCENT = 5.0
# Of these an accepted proposal may have any, or they only say why a probability is low
NO_DOUBTS = frozenset(
    {
        *("low_probability", "few_lights", "low_margin", "map_saturated", ""),
        *("search_budget", "outside_map", "clock_suspect", "narrow"),
    }
)
OBLIQUE_DEG = 45.0


def evidence_of(row: dict[str, str]) -> Evidence:
    """Evidence of a row; an empty cell is not a number."""
    values: dict[str, float] = {}
    for field in fields(Evidence):
        text = row.get(f"ev_{field.name}")
        if text is not None:
            values[field.name] = float(text) if text.strip() else math.nan
        elif field.default is MISSING:
            raise ValueError(f"the table lacks the column ev_{field.name}")
    return Evidence(**values)  # type: ignore[arg-type]


def blocks_of(rows: pd.DataFrame) -> NDArray[np.intp]:
    """Number of every row's block: a cell of longitude and latitude, or neighbouring seeds."""
    lon, lat = numbers(rows, "lon"), numbers(rows, "lat")
    names = [
        f"{x // BLOCK_DEG:.0f} {y // BLOCK_DEG:.0f}"
        if np.isfinite(x + y)
        else f"seeds {int(seed) // SEEDS_PER_BLOCK}"
        for x, y, seed in zip(lon, lat, rows.seed, strict=True)
    ]
    return np.unique(names, return_inverse=True)[1]


def source_of(rows: pd.DataFrame, half: str) -> str:
    """Which cases these are, in words."""
    seeds = rows.seed.astype(int)
    continents = sorted(set(rows["continent"]) - {""}) if "continent" in rows else []
    where = f" ({', '.join(continents)})" if continents else ""
    half_name = {"train": "training", "test": "test"}[half]
    return f"simulated cases, {half_name} half{where}, seeds {seeds.min()} to {seeds.max()}"


# Probabilities that are tested as thresholds, in this order. For the trials less than the last
# would do; real photographs are harder than trials
THRESHOLDS = (0.97, 0.96, 0.95)
DELTA = 0.05


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """What a threshold lets through among cases of known truth, those with doubts never."""

    accepted: int
    wrong: int

    @property
    def upper_95(self) -> float:
        """Exact one-sided 95 % upper bound of the rate of wrong ones."""
        return bound_share(self.wrong, self.accepted)


def acceptance(
    p: FloatArray, trials: Proposals, threshold: FloatArray | float, kind: str | None = None
) -> Acceptance:
    """What a threshold (or one for each) lets through, of all trials or of a kind."""
    accepted = (p >= threshold) & ~trials.doubted
    if kind is not None:
        accepted &= trials.kinds[kind]
    return Acceptance(accepted=int(accepted.sum()), wrong=int((accepted & ~trials.right).sum()))


@dataclass(frozen=True, kw_only=True)
class Tested:
    """Thresholds in the order in which they were tested, up to the first that failed.

    wrong_rate: Of accepted proposals, that a threshold that passed is proven not to exceed.
    let_in, p_value: What each let through, and how likely no more wrong ones are at that rate.
    """

    wrong_rate: float
    thresholds: tuple[float, ...]
    let_in: tuple[Acceptance, ...]
    p_value: tuple[float, ...]

    @property
    def threshold(self) -> float | None:
        """The most lenient threshold that passed; None where the strictest failed."""
        passed = [t for t, p in zip(self.thresholds, self.p_value, strict=True) if p <= DELTA]
        return passed[-1] if passed else None


def learn_then_test(
    p: FloatArray, trials: Proposals, target: float, kind: str | None = None
) -> Tested:
    """Learn-then-Test: thresholds tested one after the other on trials of a kind, by the binomial.

    A test that follows one that failed is not made, so that with 95 % confidence no threshold that
    passed lets through more wrong ones than the rate. That is the target, or where the trials are
    too few the least that they can prove: how many pass the strictest threshold says it, not which
    of them are right.
    """
    strictest = acceptance(p, trials, THRESHOLDS[0], kind)
    wrong_rate = wrong_rate_allowed(strictest.accepted, target)
    let_in: list[Acceptance] = []
    p_value: list[float] = []
    for threshold in THRESHOLDS:
        let_in.append(acceptance(p, trials, threshold, kind))
        p_value.append(float(binom.cdf(let_in[-1].wrong, let_in[-1].accepted, wrong_rate)))
        if p_value[-1] > DELTA:
            break
    return Tested(
        wrong_rate=wrong_rate,
        thresholds=THRESHOLDS[: len(let_in)],
        let_in=tuple(let_in),
        p_value=tuple(p_value),
    )


def wrong_rate_allowed(accepted: int, target: float) -> float:
    """The target, or the least rate that so many accepted trials, none wrong, can rule out.

    To four digits, rounded up.
    """
    least = 1.0 - DELTA ** (1.0 / accepted) if accepted else 1.0
    return max(target, math.ceil(1e4 * least) / 1e4)


def trials_needed(wrong_rate: float) -> int:
    """Accepted trials, none wrong, that rule out a rate."""
    return math.ceil(math.log(DELTA) / math.log1p(-wrong_rate))
