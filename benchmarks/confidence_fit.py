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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
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
    """Fit both stages.

    Parameters
    ----------
    features : ndarray
        Shape (n, features).
    right : ndarray of bool
        Both kinds must be there.
    blocks : ndarray of int
        No block is on both sides of a cross-validation.

    Returns
    -------
    Model

    Raises
    ------
    ValueError
        If the cases are all right or all wrong, or all of one block.
    """
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
