"""The acceptance threshold keeps its promise; measures of probabilities against sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from confidence_cases import proposals
from scipy.special import logit
from scipy.stats import binomtest

from benchmarks.confidence import (
    DELTA,
    THRESHOLDS,
    Proposals,
    acceptance,
    calibration,
    calibration_error_by_chance,
    learn_then_test,
    reliability,
    trials_needed,
    wrong_rate_allowed,
)
from benchmarks.pages import interval

TARGET = 0.001


def made(p: np.ndarray, right: np.ndarray, doubted: np.ndarray | None = None) -> Proposals:
    """Proposals of these probabilities and truths."""
    trials, _ = proposals(len(p), seed=0, log10_odds=logit(p), right=right, doubted=doubted)
    return trials


@pytest.mark.parametrize(("wrong", "of"), [(0, 30), (1, 50), (7, 400), (30, 30)])
def test_bounds_are_those_of_the_exact_binomial_test(wrong: int, of: int) -> None:
    p = np.full(of, 0.999)
    one_sided = binomtest(wrong, of, alternative="less").proportion_ci(0.95).high
    assert acceptance(p, made(p, np.arange(of) >= wrong), 0.99).upper_95 == pytest.approx(one_sided)
    two_sided = binomtest(wrong, of).proportion_ci(0.95)
    assert interval(wrong, of, "exact") == pytest.approx((two_sided.low, two_sided.high))


def test_nothing_accepted_bounds_nothing() -> None:
    p = np.array([0.3, 0.4])
    nothing = acceptance(p, made(p, np.array([True, False])), 0.9)
    assert (nothing.accepted, nothing.wrong, nothing.upper_95) == (0, 0, 1.0)


def test_acceptance_counts_from_the_threshold_on_what_is_not_doubted() -> None:
    p = np.array([0.999, 0.99, 0.98, 0.98, 0.5])
    right = np.array([True, False, True, True, False])
    let_in = acceptance(p, made(p, right, np.array([0, 0, 0, 1, 0], bool)), 0.98)
    assert (let_in.accepted, let_in.wrong) == (3, 1)


def test_acceptance_by_kind() -> None:
    p = np.array([0.999, 0.99, 0.98])
    trials = made(p, np.array([True, False, True]))
    trials.kinds["odd"] = np.array([False, True, True])
    of_kind = acceptance(p, trials, 0.9, "odd")
    assert (of_kind.accepted, of_kind.wrong) == (2, 1)


def test_the_count_bounds_what_can_be_promised() -> None:
    """The rule of three: a rate is ruled out by about three over it."""
    assert wrong_rate_allowed(90, TARGET) == pytest.approx(0.0328, abs=1e-9)
    assert wrong_rate_allowed(5000, TARGET) == TARGET
    assert wrong_rate_allowed(0, TARGET) == 1.0
    assert trials_needed(TARGET) == 2995
    assert (1.0 - TARGET) ** 2995 <= DELTA < (1.0 - TARGET) ** 2994


def test_thresholds_are_tested_from_the_strictest_on_up_to_the_first_that_fails() -> None:
    p = np.concatenate([np.full(100, 0.99), np.full(5, THRESHOLDS[1]), np.full(9, THRESHOLDS[2])])
    right = np.arange(len(p)) < 105  # the nine at the third are wrong
    tested = learn_then_test(p, made(p, right), TARGET)
    assert tested.thresholds == THRESHOLDS[:3]
    assert tested.threshold == THRESHOLDS[1]
    assert [(one.accepted, one.wrong) for one in tested.let_in] == [(100, 0), (105, 0), (114, 9)]
    assert tested.wrong_rate == wrong_rate_allowed(100, TARGET)
    # doubts keep them back, and the rest passes
    free = learn_then_test(p, made(p, right, ~right), TARGET)
    assert free.threshold == THRESHOLDS[-1]


def test_where_the_strictest_fails_there_is_no_threshold() -> None:
    p = np.full(100, 0.99)
    assert learn_then_test(p, made(p, np.arange(100) > 0), TARGET).threshold is None
    nothing = np.full(100, 0.5)
    assert learn_then_test(nothing, made(nothing, nothing > 0), TARGET).threshold is None


@pytest.mark.parametrize("count", [120, 400])
def test_the_promise_holds_in_simulation(count: int) -> None:
    """Of thresholds chosen on tables drawn anew, 95 in 100 let through no more than promised."""
    rng = np.random.default_rng(3)
    stated = np.array([*THRESHOLDS, 0.3])
    # What is stated is too high: of those added by each threshold so many are wrong in truth
    wrong_shares = np.array([*np.geomspace(0.01, 0.5, len(THRESHOLDS)), 0.9])
    further = len(THRESHOLDS) - 1
    shares = np.array([0.5, *[0.25 / further] * further, 0.25])
    rates = np.cumsum(shares * wrong_shares) / np.cumsum(shares)
    broken = chosen = 0
    for _ in range(600):
        bins = rng.choice(len(shares), count, p=shares)
        p, right = stated[bins], rng.random(count) >= wrong_shares[bins]
        tested = learn_then_test(p, made(p, right), 0.02)
        if tested.threshold is not None:
            chosen += 1
            broken += rates[THRESHOLDS.index(tested.threshold)] > tested.wrong_rate
    assert chosen > 60
    assert binomtest(broken, 600, DELTA, alternative="greater").pvalue > 0.01


def test_reliability_by_hand() -> None:
    p = np.array([0.05, 0.15, 0.15, 0.95, 0.95, 0.95, 1.0])
    right = np.array([False, True, False, True, True, False, True])
    table = reliability(p, right)
    assert [b.cases for b in table] == [1, 2, 4]
    assert [b.share_right for b in table] == [0.0, 0.5, 0.75]
    assert table[2].mean_probability == pytest.approx(3.85 / 4)
    assert (table[2].low, table[2].high) == pytest.approx((14 / 15, 1.0))
    assert table[2].interval == interval(3, 4, "exact")


def test_error_by_chance_tells_true_probabilities_from_others() -> None:
    trials, p = proposals(2000, seed=3)
    mean, most = calibration_error_by_chance(p)
    assert 0.0 < mean < most
    assert calibration(p, trials.right).expected_error < 1.3 * most
    assert calibration(np.clip(p + 0.1, 0.0, 1.0), trials.right).expected_error > 2.0 * most
