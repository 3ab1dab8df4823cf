"""The calibration that ships is made as it says: its steps, its thresholds, and their promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy.special import expit, logit
from scipy.stats import binomtest
from sklearn.model_selection import GroupKFold

from benchmarks.confidence import (
    DELTA,
    FOLDS,
    MIN_STEP,
    THRESHOLDS,
    acceptance,
    calibration,
    calibration_error_by_chance,
    fewer_steps,
    learn_then_test,
    left_out_probability,
    trials_needed,
    venn_abers,
    wrong_rate_allowed,
)
from benchmarks.pages import interval

FLOOR, CEILING = 0.02, 0.985
TARGET = 0.001
cases = st.lists(st.tuples(st.integers(-6, 6).map(float), st.booleans()), min_size=1, max_size=14)


def made(p: ArrayLike, right: ArrayLike, doubted: ArrayLike = False) -> pd.DataFrame:
    """Rows of these probabilities and truths."""
    columns = {"p": p, "right": right, "doubted": doubted, "kind": True}
    return pd.DataFrame(columns).astype({"right": bool, "doubted": bool})


def drawn(count: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Proposals, and the true probability that each is right, from which the truth is drawn."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0.0, 3.0, count)
    p = FLOOR + (CEILING - FLOOR) * expit(1.2 * odds)
    right = rng.random(count) < p
    rows = {"log10_odds": odds, "right": right, "placed": right, "right_if_placed": 1.0}
    return pd.DataFrame(rows | {"block": np.arange(count) // 20}), p


def isotonic(log10_odds: np.ndarray, right: np.ndarray, at: float) -> float:
    """Isotonic regression at one of its points: least mean above of the greatest below."""
    points = np.unique(log10_odds)
    return max(
        min(
            float(right[(log10_odds >= first) & (log10_odds <= last)].mean())
            for last in points[points >= at]
        )
        for first in points[points <= at]
    )


@given(cases=cases, new=st.integers(-14, 14).map(lambda k: k / 2.0))
def test_the_steps_are_regressions_with_the_new_case_taken_once_as_either(
    cases: list[tuple[float, bool]], new: float
) -> None:
    odds, right = np.array([o for o, _ in cases]), np.array([r for _, r in cases])
    low, high = venn_abers(odds, right).interval(new)
    with_new = np.append(odds, new)
    assert low == pytest.approx(isotonic(with_new, np.append(right, False), new))
    assert high == pytest.approx(isotonic(with_new, np.append(right, True), new))


@given(cases=cases)
def test_fewer_steps_say_no_less_and_nearly_the_same(cases: list[tuple[float, bool]]) -> None:
    odds, right = np.array([o for o, _ in cases]), np.array([r for _, r in cases])
    all_steps = venn_abers(odds, right)
    fewer = fewer_steps(all_steps)
    at = np.linspace(-8.0, 8.0, 65)
    (low, high), (lower, higher) = all_steps.interval(at), fewer.interval(at)
    assert (lower <= low).all()
    assert (higher >= high).all()
    apart = logit(fewer.probability(at)) - logit(all_steps.probability(at))
    assert np.abs(apart).max() <= MIN_STEP + 1e-9


def test_left_out_probabilities_are_calibrated_and_do_not_know_their_own_truth() -> None:
    rows, _ = drawn(600, seed=10)
    p = left_out_probability(rows)
    assert calibration(p, rows.right).expected_error < 1.5 * calibration_error_by_chance(p)[1]
    own = np.zeros(600, bool)
    own[next(GroupKFold(FOLDS).split(p, groups=rows.block))[1]] = True
    again = left_out_probability(rows.assign(placed=rows.placed ^ own))
    assert np.array_equal(p[own], again[own])
    assert not np.allclose(p[~own], again[~own])


@pytest.mark.parametrize(("wrong", "of"), [(0, 30), (7, 400), (30, 30)])
def test_bounds_are_those_of_the_exact_binomial_test(wrong: int, of: int) -> None:
    one_sided = binomtest(wrong, of, alternative="less").proportion_ci(0.95).high
    let_in = acceptance(made(np.full(of, 0.999), np.arange(of) >= wrong), 0.99)
    assert let_in.upper_95 == pytest.approx(one_sided)
    two_sided = binomtest(wrong, of).proportion_ci(0.95)
    assert interval(wrong, of, "exact") == pytest.approx((two_sided.low, two_sided.high))
    assert acceptance(made([0.3], [True]), 0.9).upper_95 == 1.0


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
    tested = learn_then_test(made(p, right), TARGET, "kind")
    assert tested.threshold == THRESHOLDS[1]
    assert [let_in for _, let_in, _ in tested.tests] == [(100, 0), (105, 0), (114, 9)]
    assert tested.wrong_rate == wrong_rate_allowed(100, TARGET)
    # Doubts keep them back, and the rest passes
    assert learn_then_test(made(p, right, ~right), TARGET, "kind").threshold == THRESHOLDS[-1]
    # Where the strictest fails there is none
    one_right = made(np.full(100, 0.99), np.arange(100) > 98)
    assert learn_then_test(one_right, TARGET, "kind").threshold is None
    none = made(np.full(100, 0.5), np.ones(100))
    assert learn_then_test(none, TARGET, "kind").threshold is None
