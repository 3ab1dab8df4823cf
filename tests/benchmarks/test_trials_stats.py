"""Intervals, calibration and ROC against numbers known by hand or by counting."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import expon, gamma, lognorm, lomax, rayleigh, weibull_min

from benchmarks.trials.outcomes import (
    calibration,
    quantile,
    share_beyond,
    within_one_sigma,
)
from regengine.evaluate.tables import bound_share


def test_three_thousand_without_a_wrong_one_bound_it_at_one_in_a_thousand() -> None:
    assert bound_share(0, 3000) == pytest.approx(1.0 - 0.05 ** (1 / 3000))
    assert bound_share(0, 3000) < 1e-3 < bound_share(0, 2900)
    assert bound_share(0, 0) == 1.0


# The level of the likelihood was chosen by the first four
@pytest.mark.parametrize(
    "law", [lognorm(1.0), expon(), rayleigh(), lomax(3.0), gamma(2.0), weibull_min(0.7)]
)
def test_tails_tell_how_many_lie_beyond_a_limit_that_none_may_have_reached(law: Any) -> None:
    # One in a thousand lies beyond; in half of the draws of 700 none does
    limit, rng = law.isf(1e-3), np.random.default_rng(1)
    found = [share_beyond(law.rvs(700, random_state=rng), limit) for _ in range(60)]
    told = np.array([one for one in found if one is not None])
    assert len(told) == 60
    assert 3e-4 < np.median(told[:, 0]) < 3e-3
    # 95 % are wanted; of 60 draws that is 50 and more but for one time in 6,000
    assert (told[:, 1] >= 1e-3).sum() >= 50
    assert np.median(told[:, 1]) < bound_share(0, 700)


def test_near_misses_say_that_wrong_ones_are_oftener() -> None:
    sizes = np.abs(np.random.default_rng(0).normal(0.0, 0.15, 900))
    few, many = share_beyond(sizes, 1.0), share_beyond([*sizes, 0.8, 0.9, 0.95], 1.0)
    assert few is not None
    assert many is not None
    assert few[0] < 1e-5 < 3e-4 < many[0] < many[1]
    lost = share_beyond([*sizes, np.inf], 1.0)
    assert lost is not None
    assert lost[0] > 1e-3
    assert share_beyond([*sizes, np.nan], 1.0) is None
    assert share_beyond(np.full(900, 0.1), 1.0) is None
    assert share_beyond(np.full(900, 2.0) + sizes, 1.0) is None
    assert share_beyond([], 1.0) is None


def test_calibration_of_known_bins() -> None:
    # Ten at 0.95 of which 8 are right, thirty at 0.15 of which 6 are: off by 0.15 and by 0.05
    p = np.repeat([0.95, 0.15], [10, 30])
    right = np.array([True] * 8 + [False] * 2 + [True] * 6 + [False] * 24)
    found = calibration(p, right, bins=10)
    assert found.expected_error == pytest.approx((10 * 0.15 + 30 * 0.05) / 40)
    brier = (8 * 0.05**2 + 2 * 0.95**2 + 6 * 0.85**2 + 24 * 0.15**2) / 40
    assert found.brier == pytest.approx(brier)
    assert found.count[9] == 10
    assert found.came_true[1] == pytest.approx(0.2)
    assert np.isnan(found.stated[0])
    assert calibration([1.0], [True]).count[-1] == 1
    assert np.isnan(calibration([], []).expected_error)


def test_share_within_one_sigma() -> None:
    assert within_one_sigma([0.5, -1.0, 1.1, np.inf]) == 0.5
    assert np.isnan(within_one_sigma([]))
    z = np.random.default_rng(1).normal(size=20_000)
    assert within_one_sigma(z) == pytest.approx(0.6827, abs=0.01)


def test_quantiles_bear_infinite_errors() -> None:
    errors = np.array([*range(1, 20), np.inf, np.nan])
    assert quantile(errors, 0.5) == 10.0
    assert quantile(errors, 0.95) == 19.0
    assert quantile(errors, 1.0) == np.inf
    assert quantile([], 0.5) is None
