"""From proposals with known truth to a calibration: weights, curve, cross-validation.

Two stages. The *score* is a logistic regression of bounded features with a quadratic penalty and no
negative weight. The *curve* turns scores of proposals that the regression did not see into
probabilities: Platt's sigmoid between a floor and a ceiling, which the number of cases bounds.

References
----------
Platt, J. (1999). Probabilistic outputs for support vector machines and comparisons to regularized
likelihood methods. Advances in Large Margin Classifiers, 61-74.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from benchmarks.arrays import BoolArray
from detectors.types import FloatArray
from regengine.evaluate.tables import most_share
from regengine.registration.calibration import feature_values
from regengine.registration.verification import Evidence

IntArray = NDArray[np.intp]

FOLDS = 5
# Quadratic penalties on the weights that are tried, from hardly any to gentle slopes
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
# Where right and wrong separate wholly, any slope fits: it stays within about this factor (one
# sigma, natural logarithm) of the regression's own
SIGMA_LOG_SLOPE = 1.0
SIGMA_OFFSET = 5.0
MOST_OPEN = 0.4  # of the probability, at either end


@dataclass(frozen=True, kw_only=True)
class Regression:
    """Weights of the score."""

    intercept: float
    weights: FloatArray

    def score(self, features: FloatArray) -> FloatArray:
        """Score of features, shape (n, features) → (n,)."""
        return self.intercept + features @ self.weights


@dataclass(frozen=True, kw_only=True)
class Curve:
    """From score to probability."""

    slope: float
    offset: float
    floor: float
    ceiling: float

    def probability(self, score: FloatArray) -> FloatArray:
        """Probability of scores."""
        p = self.floor + (self.ceiling - self.floor) * expit(self.slope * score + self.offset)
        return np.clip(p, self.floor, self.ceiling)


@dataclass(frozen=True, kw_only=True)
class Model:
    """Both stages, with the scores that the curve was fitted on."""

    regression: Regression
    curve: Curve
    penalty: float
    left_out_scores: FloatArray

    def probability(self, features: FloatArray) -> FloatArray:
        """Probability of features."""
        return self.curve.probability(self.regression.score(features))


def fit_regression(features: FloatArray, right: BoolArray, penalty: float) -> Regression:
    """Penalised logistic regression, no weight negative, the intercept free of the penalty."""
    sign = np.where(right, 1.0, -1.0)
    middle = features.mean(axis=0)
    centred = features - middle

    def loss(unknowns: FloatArray) -> tuple[float, FloatArray]:
        weights = unknowns[1:]
        against = -sign * (unknowns[0] + centred @ weights)
        slope = -sign * expit(against)
        value = np.logaddexp(0.0, against).sum() + 0.5 * penalty * weights @ weights
        return value, np.append(slope.sum(), slope @ centred + penalty * weights)

    bounds = [(None, None)] + [(0.0, None)] * features.shape[1]
    fitted = minimize(
        loss, np.zeros(features.shape[1] + 1), jac=True, method="L-BFGS-B", bounds=bounds
    ).x
    return Regression(intercept=float(fitted[0] - middle @ fitted[1:]), weights=fitted[1:])


def folds_of(blocks: IntArray, folds: int = FOLDS) -> IntArray:
    """Fold of every case: whole blocks, large ones first, each into the emptiest fold."""
    fold_of_block, filled = {}, np.zeros(folds, int)
    names, sizes = np.unique(blocks, return_counts=True)
    for k in np.argsort(-sizes, kind="stable"):
        emptiest = int(np.argmin(filled))
        fold_of_block[names[k]] = emptiest
        filled[emptiest] += sizes[k]
    return np.array([fold_of_block[block] for block in blocks])


def left_out_scores(
    features: FloatArray, right: BoolArray, folds: IntArray, penalty: float
) -> FloatArray:
    """Score of every case from a regression that did not see its fold."""
    scores = np.empty(len(right))
    for fold in np.unique(folds):
        out = folds == fold
        scores[out] = fit_regression(features[~out], right[~out], penalty).score(features[out])
    return scores


def choose_penalty(features: FloatArray, right: BoolArray, folds: IntArray) -> float:
    """The strongest penalty whose loss on cases left out is within one sigma of the least.

    Where right and wrong separate wholly, the least loss is always that of the steepest curve:
    the gentler ones that do as well are the better bet.
    """
    losses = []
    for penalty in PENALTIES:
        scores = left_out_scores(features, right, folds, penalty)
        losses.append(np.logaddexp(0.0, np.where(right, -scores, scores)))
    means = np.array([loss.mean() for loss in losses])
    best = int(np.argmin(means))
    sigma = losses[best].std() / np.sqrt(len(right))
    return PENALTIES[int(np.flatnonzero(means <= means[best] + sigma)[-1])]


def fit_curve(scores: FloatArray, right: BoolArray) -> Curve:
    """Slope, offset, floor and ceiling of largest posterior probability.

    The prior of the room above the ceiling, and of that below the floor, is proportional to it: one
    wrong case imagined at the top and one right case at the bottom. So n cases at the top, all
    right, leave 1 / (n + 1) open: Laplace's rule of succession; no fit leaves less than
    1 / (right + 2).
    """
    count = int(right.sum())
    least = 1.0 / (
        np.array([len(right) - count, count]) + 2.0
    )  # below the floor, above the ceiling

    def curve_of(unknowns: FloatArray) -> Curve:
        below, above = np.exp(unknowns[2:])
        return Curve(
            slope=float(np.exp(unknowns[0])),
            offset=float(unknowns[1]),
            floor=float(below),
            ceiling=float(1.0 - above),
        )

    def loss(unknowns: FloatArray) -> tuple[float, FloatArray]:
        curve = curve_of(unknowns)
        share = expit(curve.slope * scores + curve.offset)
        p = curve.floor + (curve.ceiling - curve.floor) * share
        rising = (curve.ceiling - curve.floor) * share * (1.0 - share)
        by_unknown = (
            rising * curve.slope * scores,
            rising,
            curve.floor * (1.0 - share),
            (curve.ceiling - 1.0) * share,
        )
        by_p = np.where(right, -1.0 / p, 1.0 / (1.0 - p))
        pull = np.array(
            [unknowns[0] / SIGMA_LOG_SLOPE**2, unknowns[1] / SIGMA_OFFSET**2, -1.0, -1.0]
        )
        prior = 0.5 * pull[:2] @ unknowns[:2] - unknowns[2:].sum()
        value = -np.log(np.where(right, p, 1.0 - p)).sum() + prior
        return float(value), np.array(by_unknown) @ by_p + pull

    bounds = [(-3.0, 3.0), (-50.0, 50.0), *((np.log(low), np.log(MOST_OPEN)) for low in least)]
    # An outlier may be told by a flat curve or by the room at its ends: start from either
    starts = [np.array([0.0, 0.0, *np.log(room)]) for room in (least, np.maximum(least, 0.05))]
    fits = [minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts]
    return curve_of(min(fits, key=lambda fit: float(fit.fun)).x)


def fit_model(features: FloatArray, right: BoolArray, blocks: IntArray) -> Model:
    """Fit both stages."""
    if right.all() or not right.any() or len(np.unique(blocks)) < 2:
        raise ValueError(
            "the training cases are all right, all wrong or all of one region: draw more of them"
        )
    folds = folds_of(blocks)
    penalty = choose_penalty(features, right, folds)
    scores = left_out_scores(features, right, folds, penalty)
    return Model(
        regression=fit_regression(features, right, penalty),
        curve=fit_curve(scores, right),
        penalty=penalty,
        left_out_scores=scores,
    )


def cross_validated(features: FloatArray, right: BoolArray, blocks: IntArray) -> FloatArray:
    """Probability of every case from a model that was fitted, penalty and all, without its fold."""
    folds = folds_of(blocks)
    p = np.empty(len(right))
    for fold in np.unique(folds):
        out = folds == fold
        model = fit_model(features[~out], right[~out], blocks[~out])
        p[out] = model.probability(features[out])
    return p


# Frames of one region share towns, coasts and what is wrong with the map there
BLOCK_DEG = 15.0
# where a table does not tell the place
SEEDS_PER_BLOCK = 10
REASON_MARK = "|"  # between the codes of a cell
YES, NO = {"1", "1.0", "true"}, {"0", "0.0", "false"}


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """Proposals of one half of the cases, one element or row each."""

    features: NDArray[np.float64]  # shape (n, features)
    right: NDArray[np.bool_]  # whether the proposal was right
    # Whether a doubt kept the engine from accepting it, whatever the probability
    doubted: NDArray[np.bool_]
    # Region that a case belongs to; none is on both sides of a cross-validation.
    blocks: NDArray[np.intp]
    labels: tuple[str, ...]  # seed and kind
    cases: int  # cases of that half, those without a proposal included
    source: str  # which these were

    def __len__(self) -> int:
        """Number of proposals."""
        return len(self.right)


def read_rows(tables: Sequence[Path]) -> list[dict[str, str]]:
    """Rows of some tables; of a case that comes twice, the last."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for table in tables:
        with table.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if "seed" not in row or "half" not in row or "right" not in row:
                    raise ValueError(f"{table}: no table of cases (columns seed, half, right)")
                rows[row["half"], row["seed"]] = row
    return list(rows.values())


def proposals_of(
    rows: Sequence[dict[str, str]], half: str, names: tuple[str, ...]
) -> Proposals | None:
    """Proposals of one half."""
    mine = [row for row in rows if row["half"] == half]
    found = [row for row in mine if row["right"].strip() != ""]
    if not found:
        return None
    return Proposals(
        features=np.array([feature_values(evidence_of(row), names) for row in found]),
        right=np.array([is_yes(row["right"]) for row in found]),
        doubted=np.array([has_doubt(row.get("reasons", "")) for row in found]),
        blocks=blocks_of(found),
        labels=tuple(f"{row['seed']} ({row.get('kind', '')})" for row in found),
        cases=len(mine),
        source=source_of(mine, half),
    )


def is_yes(text: str) -> bool:
    """Whether a cell says yes."""
    word = text.strip().lower()
    if word not in YES | NO:
        raise ValueError(f"{text!r} is neither yes nor no")
    return word in YES


NO_DOUBTS = frozenset({"low_probability", "search_budget"})


def has_doubt(reasons: str) -> bool:
    """Whether there is a reason other than the probability itself, and the time that ran out."""
    return bool({code for code in reasons.split(REASON_MARK) if code} - NO_DOUBTS)


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


def blocks_of(rows: Sequence[dict[str, str]]) -> NDArray[np.intp]:
    """Number of every row's block: a cell of longitude and latitude, or neighbouring seeds."""
    names = []
    for row in rows:
        lon, lat = row.get("lon", ""), row.get("lat", "")
        if lon and lat:
            names.append(f"{float(lon) // BLOCK_DEG:.0f} {float(lat) // BLOCK_DEG:.0f}")
        else:
            names.append(f"seeds {int(row['seed']) // SEEDS_PER_BLOCK}")
    return np.unique(names, return_inverse=True)[1]


def source_of(rows: Sequence[dict[str, str]], half: str) -> str:
    """Which cases these are, in words."""
    seeds = [int(row["seed"]) for row in rows]
    continents = sorted({row.get("continent", "") for row in rows} - {""})
    where = f" ({', '.join(continents)})" if continents else ""
    half_name = {"train": "training", "test": "test"}[half]
    return f"simulated cases, {half_name} half{where}, seeds {min(seeds)} to {max(seeds)}"


# No proposal is accepted that is itself this many times likelier to be wrong than the target,
# however sure the others are: frames in use may be another mixture than the simulated ones
WORST_OF_TARGET = 10.0
REDRAWS = 300


@dataclass(frozen=True, kw_only=True)
class Acceptance:
    """What a threshold lets through among cases of known truth."""

    accepted: int
    wrong: int
    expected_wrong_rate: float
    wrong_rate_upper_95: float


def choose_threshold(p: FloatArray, ceiling: float, target: float) -> float:
    """The smallest threshold whose accepted cases are expected to be wrong no oftener than allowed.

    Notes
    -----
    What the ceiling leaves open no evidence can lower. Where the cases are so few that it exceeds
    half of the target, evidence may add as much again, and at most the target. Of 48 made-up
    tables of 300 to 3,000 cases whose true probability was known, 46 let through at most 0.1 %
    wrong ones so, one of 600 cases 0.18 %, one of 300 cases 0.36 %.
    """
    left_open = 1.0 - ceiling
    allowed = max(target, left_open + min(left_open, target))
    least = 1.0 - left_open - WORST_OF_TARGET * target
    ordered = np.sort(p)[::-1]
    expected = np.cumsum(1.0 - ordered) / np.arange(1, len(ordered) + 1)
    count = int((expected <= allowed).sum())
    next_below = ordered[count] if count < len(ordered) else 0.0
    # Stated with six digits, rounded up
    above = np.ceil(np.nextafter(max(next_below, least), 1.0) * 1e6) / 1e6
    return float(min(above, ceiling))


def acceptance(p: FloatArray, right: BoolArray, doubted: BoolArray, threshold: float) -> Acceptance:
    """What a threshold lets through, cases with doubts never."""
    accepted = (p >= threshold) & ~doubted
    count, wrong = int(accepted.sum()), int((accepted & ~right).sum())
    return Acceptance(
        accepted=count,
        wrong=wrong,
        expected_wrong_rate=float((1.0 - p[accepted]).mean()) if count else 1.0,
        wrong_rate_upper_95=most_share(wrong, count),
    )


def threshold_interval(
    model: Model, training: Proposals, target: float, redraws: int = REDRAWS
) -> tuple[float, float]:
    """Where 95 % of the thresholds fall when the blocks of cases are drawn anew (bootstrap)."""
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(training.blocks == one) for one in np.unique(training.blocks)]
    found: list[float] = []
    while len(found) < redraws:
        drawn = rng.integers(0, len(members), len(members))
        index = np.concatenate([members[k] for k in drawn])
        scores, truth = model.left_out_scores[index], training.right[index]
        if truth.all() or not truth.any():
            continue
        curve = fit_curve(scores, truth)
        undoubted = curve.probability(scores[~training.doubted[index]])
        found.append(choose_threshold(undoubted, curve.ceiling, target))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
