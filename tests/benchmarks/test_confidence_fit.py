"""Venn-Abers: what it says is what isotonic regression says, and is true as often as it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from confidence_cases import proposals
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from benchmarks.confidence import (
    FOLDS,
    MIN_STEP,
    calibration,
    calibration_error_by_chance,
    fewer_steps,
    left_out_probability,
    probability_of,
    venn_abers,
)

cases = st.lists(st.tuples(st.integers(-6, 6).map(float), st.booleans()), min_size=1, max_size=14)


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


@pytest.mark.parametrize("count", [20, 200])
def test_cases_without_a_mistake_leave_open_what_laplace_says(count: int) -> None:
    """Above n right cases, none wrong, one more failure is expected in n + 2."""
    odds = np.concatenate([np.linspace(5.0, 30.0, count), np.linspace(-30.0, -5.0, count)])
    steps = venn_abers(odds, odds > 0.0)
    assert steps.interval(99.0) == (pytest.approx(count / (count + 1)), 1.0)
    assert steps.probability([99.0, -99.0]) == pytest.approx(
        [1.0 - 1.0 / (count + 2), 1.0 / (count + 2)]
    )
    # half way between both kinds nobody knows
    assert steps.interval(0.0) == (0.0, 1.0)
    assert steps.probability(0.0) == pytest.approx(0.5)


def test_the_known_probability_is_recovered() -> None:
    trials, _ = proposals(800, seed=6)
    steps = fewer_steps(venn_abers(trials.log10_odds, trials.right))
    new, p = proposals(20_000, seed=7)
    found = steps.probability(new.log10_odds)
    assert float(np.abs(found - p).mean()) < 0.03
    assert calibration(found, new.right).expected_error < 0.03
    low, high = steps.interval(new.log10_odds)
    assert low.mean() <= new.right.mean() <= high.mean()


def test_left_out_probabilities_are_calibrated_and_do_not_know_their_own_truth() -> None:
    trials, _ = proposals(600, seed=10)
    p = left_out_probability(trials)
    assert calibration(p, trials.right).expected_error < 1.5 * calibration_error_by_chance(p)[1]
    assert roc_auc_score(trials.right, p) > 0.87
    own = np.zeros(600, bool)
    own[next(GroupKFold(FOLDS).split(p, groups=trials.blocks))[1]] = True
    turned, _ = proposals(600, seed=10, right=trials.right ^ own)
    again = left_out_probability(turned)
    assert np.array_equal(p[own], again[own])
    assert not np.allclose(p[~own], again[~own])


def test_a_loose_fit_of_a_sure_place_is_less_probable() -> None:
    """By as much as in the engine: the steps tell of the place alone."""
    trials, _ = proposals(400, seed=6)
    steps = venn_abers(trials.log10_odds, trials.placed)
    shares = np.random.default_rng(6).uniform(0.5, 1.0, 400)
    loose = replace(trials, right_if_placed=shares)
    ratio = probability_of(loose, steps) / probability_of(trials, steps)
    assert ratio == pytest.approx(shares)
