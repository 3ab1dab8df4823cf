"""From evidence to probability to verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.confidence import (
    ACCEPT_PROBABILITY,
    MOST_PROBABLE,
    REVIEW_PROBABILITY,
    LogisticModel,
    decide,
    features,
    probability,
)
from regengine.evidence import Evidence
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
)
DOUBT = Reason(code="few_lights", text="…")
numbers = st.floats(-1e6, 1e6)


@given(
    ncc=numbers,
    runner_up=numbers,
    z=numbers,
    odds=numbers,
    rival=numbers,
    held_out=st.one_of(st.floats(0.0, 1e6), st.just(float("inf"))),
)
def test_probability_is_never_nothing_nor_certainty(
    ncc: float, runner_up: float, z: float, odds: float, rival: float, held_out: float
) -> None:
    evidence = replace(
        USUAL,
        ncc=ncc,
        runner_up_ncc=runner_up,
        coarse_z=z,
        town_log10_odds=odds,
        runner_up_log10_odds=rival,
        held_out_residual_px=held_out,
    )
    assert 0.0 < probability(evidence) < 1.0


@pytest.mark.parametrize(
    ("name", "values", "sign"),
    [
        ("ncc", (0.1, 0.3, 0.5, 0.7, 0.9), 1),
        ("runner_up_ncc", (0.1, 0.25, 0.4, 0.55), -1),
        ("coarse_z", (0.0, 2.0, 5.0, 9.0), 1),
        ("town_log10_odds", (-20.0, 0.0, 8.0, 15.0, 40.0), 1),
        ("patch_log10_odds", (-20.0, 0.0, 9.0, 15.0, 40.0), 1),
        ("runner_up_log10_odds", (-9.0, 0.0, 3.0, 7.0), -1),
        ("held_out_residual_px", (0.1, 0.5, 1.0, 3.0, float("inf")), -1),
    ],
)
def test_better_evidence_never_lowers_the_probability(
    name: str, values: tuple[float, ...], sign: int
) -> None:
    found = [probability(replace(USUAL, **{name: value})) for value in values]
    assert found == sorted(found, reverse=sign < 0)


def test_all_of_it_together_decides() -> None:
    good = replace(USUAL, ncc=0.9, runner_up_ncc=0.3, coarse_z=10.0, town_log10_odds=40.0)
    bad = replace(
        USUAL,
        ncc=0.3,
        runner_up_ncc=0.29,
        coarse_z=2.0,
        town_log10_odds=-12.0,
        patch_log10_odds=-5.0,
        held_out_residual_px=4.0,
    )
    assert probability(good) >= ACCEPT_PROBABILITY
    assert probability(bad) < REVIEW_PROBABILITY


def test_features_are_bounded() -> None:
    """None of them can decide alone."""
    wild = replace(
        USUAL, ncc=9.0, coarse_z=1e9, town_log10_odds=1e9, held_out_residual_px=float("inf")
    )
    wilder = replace(wild, ncc=99.0, coarse_z=1e12, town_log10_odds=1e12)
    assert features(wild) == features(wilder)


def test_the_model_is_a_logistic_regression() -> None:
    model = LogisticModel(intercept=0.0, weights=(0.0,) * len(features(USUAL)))
    assert probability(USUAL, model) == pytest.approx(0.5)
    certain = replace(model, intercept=1e3)
    assert probability(USUAL, certain) == MOST_PROBABLE
    hopeless = replace(model, intercept=-1e3)
    assert probability(USUAL, hopeless) == pytest.approx(1.0 - MOST_PROBABLE)


def test_both_proofs_count() -> None:
    assert USUAL.log10_odds == 7.0
    assert replace(USUAL, patch_log10_odds=11.0).log10_odds == 9.5
    assert USUAL.margin == pytest.approx(0.2)


def test_at_most_one_accepted_in_a_thousand_may_be_wrong() -> None:
    """The verdict's threshold, spelled out: changing it changes what users were promised."""
    assert decide(0.999, ()) == "accepted"
    assert decide(0.99899, ()) == "review"
    assert decide(0.99999, ()) == "accepted"


def test_a_doubt_always_asks_for_a_look() -> None:
    assert decide(0.99999, (DOUBT,)) == "review"


def test_what_is_hardly_better_than_chance_is_no_match() -> None:
    assert decide(0.05, ()) == "review"
    assert decide(0.0499, ()) == "no_match"
    assert decide(0.0499, (DOUBT,)) == "no_match"


@pytest.mark.parametrize(("threshold", "verdict"), [(0.8, "accepted"), (0.95, "review")])
def test_the_threshold_is_the_users(threshold: float, verdict: str) -> None:
    assert decide(0.9, (), threshold) == verdict
