"""The fit finds what cases were drawn from, and claims no more than they support."""

from __future__ import annotations

import numpy as np
import pytest
from confidence_cases import CEILING, FLOOR, INTERCEPT, WEIGHTS, known_cases
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from benchmarks.confidence.fit import (
    Model,
    cross_validated,
    fit_curve,
    fit_model,
    fit_regression,
    folds_of,
    left_out_scores,
)
from benchmarks.confidence.report import calibration_error_by_chance
from benchmarks.trials.outcomes import calibration, roc


def blocks_for(count: int, size: int = 20) -> np.ndarray:
    return np.arange(count) // size


@pytest.mark.parametrize("penalty", [0.3, 10.0])
def test_the_regression_is_the_usual_one_where_no_weight_would_be_negative(penalty: float) -> None:
    features, _, right = known_cases(400, seed=1)
    features[:, 2] = np.where(right, 1.0, -1.0) + np.random.default_rng(0).normal(0.0, 2.0, 400)
    ours = fit_regression(features, right, penalty)
    theirs = LogisticRegression(C=1.0 / penalty, tol=1e-8, max_iter=5000).fit(features, right)
    assert theirs.coef_.min() > 0.0
    assert ours.weights == pytest.approx(theirs.coef_[0], abs=2e-3)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=2e-3)


def test_no_weight_is_negative() -> None:
    features, _, right = known_cases(400, seed=2)
    turned = features * [1.0, -1.0, 1.0]
    assert LogisticRegression().fit(turned, right).coef_.min() < -0.3
    fitted = fit_regression(turned, right, 1.0)
    assert fitted.weights.min() == 0.0
    assert fitted.weights[0] > 0.3


def test_folds_hold_whole_blocks_and_about_the_same_number() -> None:
    blocks = np.repeat(np.arange(30), np.arange(1, 31))
    folds = folds_of(blocks)
    for block in np.unique(blocks):
        assert len(np.unique(folds[blocks == block])) == 1
    sizes = np.bincount(folds)
    assert len(sizes) == 5
    assert sizes.max() - sizes.min() <= 30


def test_a_left_out_score_does_not_depend_on_its_own_truth() -> None:
    features, _, right = known_cases(200, seed=3)
    folds = folds_of(blocks_for(200))
    turned = right ^ (folds == 2)
    before = left_out_scores(features, right, folds, 1.0)
    after = left_out_scores(features, turned, folds, 1.0)
    assert np.array_equal(before[folds == 2], after[folds == 2])
    assert not np.allclose(before[folds != 2], after[folds != 2])


def test_the_curve_that_cases_were_drawn_from_is_found() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(0.0, 4.0, 40_000)
    p = 0.03 + (0.98 - 0.03) / (1.0 + np.exp(-(1.5 * scores - 0.7)))
    curve = fit_curve(scores, rng.random(len(p)) < p)
    assert curve.slope == pytest.approx(1.5, abs=0.12)
    assert curve.offset == pytest.approx(-0.7, abs=0.15)
    assert curve.floor == pytest.approx(0.03, abs=0.004)
    assert curve.ceiling == pytest.approx(0.98, abs=0.004)


@pytest.mark.parametrize("count", [20, 200, 2000])
def test_cases_without_a_mistake_leave_open_what_laplace_says(count: int) -> None:
    """The n-th success in a row: one more failure is expected in n + 1, never less than n + 2."""
    scores = np.concatenate([np.full(count, 30.0), np.full(count, -30.0)])
    curve = fit_curve(scores, scores > 0)
    assert 1.0 - curve.ceiling == pytest.approx(1.0 / (count + 1), rel=0.05)
    assert curve.floor == pytest.approx(1.0 / (count + 1), rel=0.05)


def test_a_mistake_at_the_top_lowers_the_ceiling_and_not_the_slope() -> None:
    rng = np.random.default_rng(5)
    scores = np.concatenate([rng.uniform(6.0, 10.0, 500), rng.uniform(-10.0, -6.0, 500)])
    right = scores > 0
    clean = fit_curve(scores, right)
    right[:2] = False
    spoilt = fit_curve(scores, right)
    assert 1.0 - spoilt.ceiling == pytest.approx(3.0 / 501.0, rel=0.1)
    assert spoilt.slope > 0.8 * clean.slope


@settings(max_examples=40, deadline=None)
@given(
    right=st.lists(st.booleans(), min_size=4, max_size=60).filter(lambda y: 0 < sum(y) < len(y)),
    seed=st.integers(0, 10_000),
    separated=st.booleans(),
)
def test_no_probability_exceeds_what_the_cases_support(
    right: list[bool], seed: int, separated: bool
) -> None:
    truth = np.array(right)
    scores = np.random.default_rng(seed).normal(0.0, 5.0, len(truth))
    if separated:
        scores = np.where(truth, np.abs(scores) + 1.0, -np.abs(scores) - 1.0)
    curve = fit_curve(scores, truth)
    good, bad = int(truth.sum()), int((~truth).sum())
    p = curve.probability(np.array([-1e6, *np.sort(scores), 1e6]))
    assert p.max() <= 1.0 - 1.0 / (good + 2) + 1e-9
    assert p.min() >= 1.0 / (bad + 2) - 1e-9
    assert (np.diff(p) >= 0.0).all()
    assert curve.slope > 0.0


@pytest.fixture(scope="module")
def recovered() -> Model:
    features, _, right = known_cases(3000, seed=6)
    return fit_model(features, right, blocks_for(3000))


def test_the_known_probability_is_recovered(recovered: Model) -> None:
    features, p, right = known_cases(20_000, seed=7)
    found = recovered.probability(features)
    assert float(np.abs(found - p).mean()) < 0.016
    assert float(np.abs(found - p).max()) < 0.12
    assert calibration(found, right).expected_error < 0.015
    slope = recovered.curve.slope
    assert slope * recovered.regression.weights == pytest.approx(WEIGHTS, abs=0.15)
    offset = slope * recovered.regression.intercept + recovered.curve.offset
    assert offset == pytest.approx(INTERCEPT, abs=0.25)
    assert recovered.curve.floor == pytest.approx(FLOOR, abs=0.01)
    assert recovered.curve.ceiling == pytest.approx(CEILING, abs=0.008)


def test_a_model_that_is_too_sure_would_be_seen(recovered: Model) -> None:
    """The measure above can fail: scores doubled are no true probability."""
    features, _, right = known_cases(20_000, seed=7)
    p = recovered.probability(features)
    sure = np.clip(p + 0.06 * np.sign(p - 0.5), 0.001, 0.999)
    assert calibration(sure, right).expected_error > 0.02


def test_complete_separation_gives_finite_weights_and_bounded_probabilities() -> None:
    rng = np.random.default_rng(8)
    right = np.arange(160) % 2 == 0
    features = np.where(right[:, None], 8.0, 1.0) + rng.uniform(-1.0, 1.0, (160, 3))
    model = fit_model(features, right, blocks_for(160, 8))
    p = model.probability(features)
    assert np.isfinite(model.regression.weights).all()
    assert p[right].min() > 0.9
    assert p[~right].max() < 0.1
    assert p.max() <= 1.0 - 1.0 / 82.0
    assert p.min() >= 1.0 / 82.0
    # half way between both kinds nobody knows
    middle = model.probability(np.full((1, 3), 4.5))[0]
    assert 0.2 < middle < 0.8


def test_cross_validation_is_honest_about_features_that_tell_nothing() -> None:
    rng = np.random.default_rng(9)
    features = rng.normal(0.0, 3.0, (120, 8))
    right = rng.random(120) < 0.5
    p = cross_validated(features, right, blocks_for(120, 6))
    assert roc(p, right).area < 0.65
    assert calibration(p, right).expected_error < 0.15


def test_cross_validated_probabilities_are_calibrated() -> None:
    features, _, right = known_cases(1200, seed=10)
    p = cross_validated(features, right, blocks_for(1200))
    assert calibration(p, right).expected_error < 1.5 * calibration_error_by_chance(p)[1]
    assert roc(p, right).area > 0.87


@pytest.mark.parametrize("right", [np.ones(40, bool), np.zeros(40, bool)])
def test_cases_of_one_kind_cannot_be_fitted(right: np.ndarray) -> None:
    with pytest.raises(ValueError, match="draw more"):
        fit_model(np.ones((40, 2)), right, blocks_for(40, 4))


def test_cases_of_one_region_cannot_be_fitted() -> None:
    features, _, right = known_cases(40, seed=11)
    with pytest.raises(ValueError, match="one region"):
        fit_model(features, right, np.zeros(40, int))
