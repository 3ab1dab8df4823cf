"""From evidence to probability to verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.registration.acceptance import (
    REVIEW_PROBABILITY,
    decide,
    default_accept_probability,
    probability,
)
from regengine.registration.calibration import (
    FEATURES,
    Calibration,
    feature_values,
    shipped_calibration,
)
from regengine.registration.verification import Evidence
from regengine.result import Reason

USUAL = Evidence(
    ncc=0.6,
    runner_up_ncc=0.4,
    coarse_z=5.0,
    town_log10_odds=8.0,
    patch_log10_odds=6.0,
    runner_up_log10_odds=-4.0,
    towns=60,
    met_towns=35,
    patches=30,
    residual_px=0.6,
    held_out_residual_px=0.8,
    even_ncc=0.3,
    runner_up_even_ncc=0.15,
    picture_log10_odds=4.0,
    runner_up_picture_log10_odds=-3.0,
)
ALL_NAMES = tuple(FEATURES)
# A calibration that uses every feature, with room left at both ends
MADE = replace(
    shipped_calibration(),
    features=ALL_NAMES,
    weights=(0.2, 0.3, 0.25, 0.4, 0.1, 0.15, 0.25, 0.35, 0.3, 0.2, 0.1),
    intercept=-8.0,
    slope=1.3,
    offset=0.4,
    floor=0.01,
    ceiling=0.995,
    accept_probability=0.99,
)
CALIBRATIONS = [pytest.param(MADE, id="made"), pytest.param(shipped_calibration(), id="shipped")]
DOUBT = Reason(code="few_lights", text="…")
anything = st.floats(allow_nan=True, allow_infinity=True)
usual = st.floats(-60.0, 60.0)
counts = st.integers(0, 150)
evidences = st.builds(
    Evidence,
    ncc=st.floats(-1.0, 1.0),
    runner_up_ncc=st.floats(-1.0, 1.0),
    coarse_z=usual,
    town_log10_odds=usual,
    patch_log10_odds=usual,
    runner_up_log10_odds=usual,
    towns=counts,
    met_towns=counts,
    patches=counts,
    residual_px=st.floats(0.0, 30.0),
    held_out_residual_px=st.one_of(st.floats(0.0, 30.0), st.just(math.inf)),
    even_ncc=st.floats(-1.0, 1.0),
    runner_up_even_ncc=st.floats(-1.0, 1.0),
    picture_log10_odds=usual,
    runner_up_picture_log10_odds=usual,
)
# Which way every figure improves; the fit's own residual is no feature
BETTER = {
    "ncc": 1,
    "runner_up_ncc": -1,
    "coarse_z": 1,
    "town_log10_odds": 1,
    "patch_log10_odds": 1,
    "runner_up_log10_odds": -1,
    "towns": -1,
    "met_towns": 1,
    "patches": 1,
    "held_out_residual_px": -1,
    "even_ncc": 1,
    "runner_up_even_ncc": -1,
    "picture_log10_odds": 1,
    "runner_up_picture_log10_odds": -1,
}


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@given(evidence=st.builds(Evidence, **dict.fromkeys(Evidence.__dataclass_fields__, anything)))
def test_probability_never_leaves_its_bounds(calibration: Calibration, evidence: Evidence) -> None:
    """Whatever the evidence: also infinite, negative, or no number at all."""
    p = probability(evidence, calibration)
    assert 0.0 < calibration.floor <= p <= calibration.ceiling < 1.0


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@given(evidence=evidences, name=st.sampled_from(sorted(BETTER)), step=st.integers(1, 40))
def test_better_evidence_never_lowers_the_probability(
    calibration: Calibration, evidence: Evidence, name: str, step: int
) -> None:
    value = getattr(evidence, name)
    improved = replace(evidence, **{name: value + BETTER[name] * step * (value == value)})
    assert probability(improved, calibration) >= probability(evidence, calibration) - 1e-15


@pytest.mark.parametrize("name", sorted(BETTER))
def test_every_figure_matters(name: str) -> None:
    """So the test above cannot pass because nothing changes."""
    step = {
        "ncc": 0.1,
        "runner_up_ncc": 0.1,
        "even_ncc": 0.05,
        "runner_up_even_ncc": 0.05,
        "held_out_residual_px": 0.2,
    }.get(name, 3)
    usual = replace(USUAL, runner_up_log10_odds=2.0, runner_up_picture_log10_odds=1.0)
    improved = replace(usual, **{name: getattr(usual, name) + BETTER[name] * step})
    assert probability(improved, MADE) > probability(usual, MADE)


@pytest.mark.parametrize("name", sorted(BETTER))
def test_what_is_no_number_counts_as_the_worst(name: str) -> None:
    worst = replace(USUAL, **{name: -BETTER[name] * math.inf})
    unknown = replace(USUAL, **{name: math.nan})
    assert probability(unknown, MADE) <= probability(worst, MADE) < probability(USUAL, MADE)


@pytest.mark.parametrize("name", ALL_NAMES)
def test_features_are_bounded(name: str) -> None:
    """None of them can decide alone."""
    feature = FEATURES[name]
    best = Evidence(
        **{field: BETTER.get(field, 0) * 1e9 for field in Evidence.__dataclass_fields__}
        | {"towns": 0.0, "held_out_residual_px": 1e-9, "field_share": 1.0}  # type: ignore[arg-type]
    )
    assert feature(best) == feature.high
    worst = Evidence(
        **{field: -BETTER.get(field, 0) * 1e9 for field in Evidence.__dataclass_fields__}
        | {"field_share": 1.0}  # type: ignore[arg-type]
    )
    assert feature(worst) == feature.low


def test_features_by_hand() -> None:
    rival = replace(USUAL, runner_up_log10_odds=1.5)
    assert feature_values(rival, ("town_odds", "patch_odds")) == pytest.approx((6.5, 4.5))
    assert feature_values(USUAL, ("town_odds", "patch_odds")) == pytest.approx((8.0, 6.0))
    assert feature_values(USUAL, ("margin", "ncc", "coarse_z")) == pytest.approx((5.0, 6.0, 5.0))
    narrow = replace(USUAL, field_share=0.5)
    assert feature_values(narrow, ("margin", "ncc")) == pytest.approx((5.0, 3.0))
    assert feature_values(USUAL, ("even_ncc", "even_margin")) == pytest.approx((6.0, 6.0))
    assert feature_values(narrow, ("even_ncc", "even_margin")) == pytest.approx((3.0, 3.0))
    assert feature_values(USUAL, ("precision",)) == pytest.approx((-3.0 * math.log(0.8),))
    assert feature_values(USUAL, ("met_share",)) == pytest.approx((350.0 / 68.0,))
    assert feature_values(USUAL, ("patches",)) == pytest.approx((2.0 * math.log(31.0),))


def test_the_probability_is_a_sigmoid_of_the_score_between_floor_and_ceiling() -> None:
    only = replace(MADE, features=("ncc", "margin"), weights=(0.5, 0.25), intercept=-3.0)
    score = -3.0 + 0.5 * 6.0 + 0.25 * 5.0
    sigmoid = 1.0 / (1.0 + math.exp(-(1.3 * score + 0.4)))
    assert probability(USUAL, only) == pytest.approx(0.01 + 0.985 * sigmoid)


def test_scores_of_many_are_those_of_each() -> None:
    several = [USUAL, replace(USUAL, ncc=0.9), replace(USUAL, town_log10_odds=-30.0)]
    values = np.array([feature_values(one, MADE.features) for one in several])
    together = MADE.probability_of(MADE.score(values))
    assert together == pytest.approx([probability(one, MADE) for one in several], rel=1e-12)


def test_all_of_it_together_decides() -> None:
    good = replace(
        USUAL,
        ncc=0.9,
        runner_up_ncc=0.3,
        coarse_z=10.0,
        town_log10_odds=40.0,
        patch_log10_odds=20.0,
    )
    bad = replace(
        USUAL,
        ncc=0.3,
        runner_up_ncc=0.29,
        coarse_z=2.0,
        town_log10_odds=-12.0,
        patch_log10_odds=-5.0,
        met_towns=2,
        patches=4,
        held_out_residual_px=4.0,
        runner_up_even_ncc=0.29,
        picture_log10_odds=-1.0,
    )
    assert probability(good) >= default_accept_probability()
    assert probability(bad) < REVIEW_PROBABILITY


def test_both_proofs_count() -> None:
    assert USUAL.log10_odds == 7.0
    assert replace(USUAL, patch_log10_odds=11.0).log10_odds == 9.5
    assert USUAL.margin == pytest.approx(0.2)


def test_the_threshold_is_that_of_the_calibration() -> None:
    threshold = shipped_calibration().accept_probability
    assert threshold == default_accept_probability()
    assert decide(threshold, ()) == "accepted"
    assert decide(float(np.nextafter(threshold, 0.0)), ()) == "review"


def test_the_threshold_aims_at_one_in_a_thousand() -> None:
    """Spelled out: changing it changes what users were promised."""
    shipped = shipped_calibration()
    assert shipped.target_wrong_rate == 0.001
    # by what the cases leave open and ten times the target at most
    assert shipped.accept_probability >= shipped.ceiling - 0.01


def test_a_doubt_always_asks_for_a_look() -> None:
    assert decide(0.999999, (DOUBT,)) == "review"


def test_what_is_hardly_better_than_chance_is_no_match() -> None:
    assert decide(0.05, ()) == "review"
    assert decide(0.0499, ()) == "no_match"
    assert decide(0.0499, (DOUBT,)) == "no_match"


@pytest.mark.parametrize(("threshold", "verdict"), [(0.8, "accepted"), (0.95, "review")])
def test_the_threshold_is_the_users(threshold: float, verdict: str) -> None:
    assert decide(0.9, (), threshold) == verdict
