"""Bounds, calibration and quantiles against numbers known by hand or by counting."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.registration.scores import quantile
from benchmarks.trials.report import calibration_error, within_one_sigma
from regengine.evaluate.tables import bound_share


def test_three_thousand_without_a_wrong_one_bound_it_at_one_in_a_thousand() -> None:
    assert bound_share(0, 3000) == pytest.approx(1.0 - 0.05 ** (1 / 3000))
    assert bound_share(0, 3000) < 1e-3 < bound_share(0, 2900)
    assert bound_share(0, 0) == 1.0


def test_calibration_of_known_bins() -> None:
    # Ten at 0.95 of which 8 are right, thirty at 0.15 of which 6 are: off by 0.15 and by 0.05
    p = np.repeat([0.95, 0.15], [10, 30])
    right = np.array([True] * 8 + [False] * 2 + [True] * 6 + [False] * 24)
    assert calibration_error(p, right) == pytest.approx((10 * 0.15 + 30 * 0.05) / 40)
    assert calibration_error([1.0], [True]) == 0.0
    assert np.isnan(calibration_error([], []))


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
