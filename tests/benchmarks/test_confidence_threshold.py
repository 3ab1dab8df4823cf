"""The acceptance threshold, and measures of probabilities, against sums done otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from confidence_cases import known_cases
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from benchmarks.confidence.fit import (
    Proposals,
    acceptance,
    choose_threshold,
    fit_model,
    threshold_interval,
)
from benchmarks.confidence.report import calibration_error_by_chance, exact_interval, reliability
from benchmarks.trials.outcomes import calibration

TARGET = 0.001


def none(count: int) -> np.ndarray:
    """No doubts."""
    return np.zeros(count, bool)


@pytest.mark.parametrize(("wrong", "of"), [(0, 30), (1, 50), (7, 400), (30, 30)])
def test_bounds_are_those_of_the_exact_binomial_test(wrong: int, of: int) -> None:
    one_sided = binomtest(wrong, of, alternative="less").proportion_ci(0.95).high
    let_in = acceptance(np.full(of, 0.999), np.arange(of) >= wrong, none(of), 0.99)
    assert let_in.wrong_rate_upper_95 == pytest.approx(one_sided)
    two_sided = binomtest(wrong, of).proportion_ci(0.95)
    assert exact_interval(wrong, of) == pytest.approx((two_sided.low, two_sided.high))


def test_nothing_accepted_bounds_nothing() -> None:
    nothing = acceptance(np.array([0.3, 0.4]), np.array([True, False]), none(2), 0.9)
    assert (nothing.accepted, nothing.wrong, nothing.wrong_rate_upper_95) == (0, 0, 1.0)


def test_acceptance_counts_from_the_threshold_on() -> None:
    p = np.array([0.999, 0.99, 0.98, 0.5])
    let_in = acceptance(p, np.array([True, False, True, False]), none(4), 0.98)
    assert (let_in.accepted, let_in.wrong) == (3, 1)
    assert let_in.expected_wrong_rate == pytest.approx((0.001 + 0.01 + 0.02) / 3)


def test_what_is_doubted_is_not_accepted() -> None:
    p, right = np.array([0.999, 0.998, 0.997]), np.array([True, False, True])
    let_in = acceptance(p, right, np.array([False, True, False]), 0.99)
    assert (let_in.accepted, let_in.wrong) == (2, 0)
    assert let_in.expected_wrong_rate == pytest.approx(0.002)


def test_many_cases_are_accepted_up_to_the_target() -> None:
    p = 1.0 - np.geomspace(1e-5, 0.5, 2000)
    threshold = choose_threshold(p, 0.99999, TARGET)
    let_in = acceptance(p, np.ones(2000, bool), none(2000), threshold)
    assert let_in.expected_wrong_rate <= TARGET
    below = acceptance(p, np.ones(2000, bool), none(2000), threshold - 2e-5)
    assert below.expected_wrong_rate > TARGET
    assert below.accepted > let_in.accepted


def test_the_sure_do_not_carry_the_doubtful() -> None:
    """A mean of 1 in 1,000 may hide frames that are wrong one time in five."""
    p = np.concatenate([np.full(5000, 0.9999), np.full(10, 0.8), np.full(10, 0.985)])
    threshold = choose_threshold(p, 0.99995, TARGET)
    assert threshold == pytest.approx(0.98995, abs=2e-6)


def test_few_cases_are_accepted_on_their_evidence_and_said_to_be_few() -> None:
    """With 100 cases the ceiling alone exceeds the target: evidence may add as much as that."""
    ceiling = 1.0 - 1.0 / 101.0
    p = np.concatenate([np.full(95, ceiling - 1e-4), np.linspace(0.5, 0.98, 20)])
    threshold = choose_threshold(p, ceiling, TARGET)
    let_in = acceptance(p, np.ones(len(p), bool), none(len(p)), threshold)
    assert let_in.accepted == 95 + int((p[95:] >= threshold).sum()) >= 95
    assert TARGET < let_in.expected_wrong_rate <= 1.0 - ceiling + TARGET


@pytest.mark.parametrize("jump", [0.5, 1.0])
def test_the_allowance_does_not_jump_where_the_cases_become_enough(jump: float) -> None:
    p = 1.0 - np.geomspace(1e-5, 0.5, 4000)
    found = [
        choose_threshold(np.minimum(p, c), c, TARGET)
        for c in 1.0 - jump * TARGET * np.array([0.999, 1.001])
    ]
    assert found[0] == pytest.approx(found[1], abs=5e-5)


@given(
    p=st.lists(st.floats(0.01, 0.9999), min_size=1, max_size=60),
    left_open=st.floats(1e-4, 0.2),
)
def test_the_threshold_can_be_reached_and_keeps_its_word(p: list[float], left_open: float) -> None:
    ceiling = 1.0 - left_open
    found = np.minimum(p, ceiling)
    threshold = choose_threshold(found, ceiling, TARGET)
    assert 0.5 < threshold <= ceiling
    let_in = acceptance(found, np.ones(len(found), bool), none(len(found)), threshold)
    if let_in.accepted and threshold < ceiling:
        allowed = max(TARGET, left_open + min(left_open, TARGET))
        assert let_in.expected_wrong_rate <= allowed + 1e-12


def test_the_interval_of_the_threshold() -> None:
    features, _, right = known_cases(500, seed=1)
    blocks = np.arange(500) // 20
    model = fit_model(features, right, blocks)
    curve = model.curve
    threshold = choose_threshold(curve.probability(model.left_out_scores), curve.ceiling, TARGET)
    training = Proposals(
        features=features,
        right=right,
        doubted=none(500),
        blocks=blocks,
        labels=("",) * 500,
        cases=500,
        source="",
    )
    interval = threshold_interval(model, training, TARGET, redraws=40)
    assert interval[0] <= threshold <= interval[1]
    assert interval[1] - interval[0] > 1e-3
    assert interval == threshold_interval(model, training, TARGET, redraws=40)


def test_reliability_by_hand() -> None:
    p = np.array([0.05, 0.15, 0.15, 0.95, 0.95, 0.95, 1.0])
    right = np.array([False, True, False, True, True, False, True])
    table = reliability(p, right)
    assert [b.cases for b in table] == [1, 2, 4]
    assert [b.share_right for b in table] == [0.0, 0.5, 0.75]
    assert table[2].mean_probability == pytest.approx(3.85 / 4)
    assert (table[2].low, table[2].high) == pytest.approx((14 / 15, 1.0))
    assert table[2].interval == exact_interval(3, 4)


def test_error_by_chance_tells_true_probabilities_from_others() -> None:
    _, p, right = known_cases(2000, seed=3)
    mean, most = calibration_error_by_chance(p)
    assert 0.0 < mean < most
    assert calibration(p, right).expected_error < 1.3 * most
    assert calibration(np.clip(p + 0.1, 0.0, 1.0), right).expected_error > 2.0 * most
