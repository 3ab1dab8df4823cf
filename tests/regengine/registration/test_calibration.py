"""From evidence to probability: the curve, its features, and the file that holds them."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.errors import ConfigError
from regengine.registration.acceptance import (
    decide,
    default_accept_probability,
    probability,
)
from regengine.registration.calibration import (
    FEATURES,
    Calibration,
    calibration_text,
    feature_values,
    parsed_calibration,
    read_calibration,
    shipped_calibration,
    write_calibration,
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


def test_the_verdict_is_review_up_to_the_calibrations_threshold_and_where_there_is_doubt() -> None:
    threshold = shipped_calibration().accept_probability
    assert threshold == default_accept_probability()
    assert decide(threshold, ()) == "accepted"
    assert decide(float(np.nextafter(threshold, 0.0)), ()) == "review"
    assert decide(0.999999, (DOUBT,)) == decide(0.05, ()) == "review"
    assert decide(0.0499, ()) == decide(0.0499, (DOUBT,)) == "no_match"


def test_the_threshold_aims_at_one_in_a_thousand() -> None:
    """Spelled out: changing it changes what users were promised."""
    shipped = shipped_calibration()
    assert shipped.target_wrong_rate == 0.001
    # by what the cases leave open and ten times the target at most
    assert shipped.accept_probability >= shipped.ceiling - 0.01


GOOD = json.loads(calibration_text(shipped_calibration()))


def changed(**changes: Any) -> dict[str, Any]:
    """The content of a good file with some values replaced; None takes one away."""
    content = json.loads(json.dumps(GOOD)) | changes
    return {name: value for name, value in content.items() if value is not None}


def changed_training(**changes: Any) -> dict[str, Any]:
    return changed(training=changed()["training"] | changes)


def test_the_shipped_file_is_sound() -> None:
    shipped = shipped_calibration()
    told = shipped.training
    assert told.cases >= told.proposals >= told.right > 0
    assert told.accepted > 0
    assert shipped.accept_interval_95[0] <= shipped.accept_interval_95[1]


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    write_calibration(path, shipped_calibration())
    assert read_calibration(path) == shipped_calibration()
    assert path.read_text(encoding="utf-8") == calibration_text(shipped_calibration())


finite = st.floats(-1e6, 1e6)


@given(
    weights=st.tuples(*[st.floats(0.0, 1e3)] * len(GOOD["features"])),
    intercept=finite,
    slope=st.floats(1e-6, 1e3),
    offset=finite,
)
def test_no_digit_is_lost(
    weights: tuple[float, ...], intercept: float, slope: float, offset: float
) -> None:
    calibration = replace(
        shipped_calibration(), weights=weights, intercept=intercept, slope=slope, offset=offset
    )
    assert parsed_calibration(calibration_text(calibration)) == calibration


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param([1, 2], "format", id="a list"),
        pytest.param(changed(format="other"), "format", id="another format"),
        pytest.param(changed(format_version=2), "format_version", id="a later version"),
        pytest.param(changed(slope=None), "slope", id="a value is missing"),
        pytest.param(changed(extra=1.0), "extra", id="a value too much"),
        pytest.param(changed(features=["ncc", "beauty"]), "beauty", id="an unknown feature"),
        pytest.param(changed(features=["ncc", "ncc"]), "different", id="a feature twice"),
        pytest.param(changed(features=[], weights=[]), "features", id="no feature"),
        pytest.param(changed(features=[["ncc"]]), "ncc", id="a feature that is no name"),
        pytest.param(changed(weights=GOOD["weights"][1:]), "weights", id="a weight is missing"),
        pytest.param(
            changed(weights=[-0.1, *GOOD["weights"][1:]]), "negative", id="a negative weight"
        ),
        pytest.param(changed(intercept="big"), "intercept", id="text for a number"),
        pytest.param(changed(intercept=True), "intercept", id="truth for a number"),
        pytest.param(changed(intercept=float("nan")), "intercept", id="not a number"),
        pytest.param(changed(offset=float("inf")), "offset", id="infinity"),
        pytest.param(changed(slope=0.0), "slope", id="a flat curve"),
        pytest.param(changed(ceiling=1.0), "ceiling", id="certainty"),
        pytest.param(changed(floor=0.0), "floor", id="impossibility"),
        pytest.param(changed(floor=0.9, ceiling=0.8), "order", id="floor above ceiling"),
        pytest.param(
            changed(ceiling=0.99, accept_probability=0.995),
            "accept_probability",
            id="a threshold that nothing reaches",
        ),
        pytest.param(
            changed(accept_interval_95=[0.9, 0.8]), "accept_interval_95", id="a turned interval"
        ),
        pytest.param(changed(accept_interval_95=0.9), "accept_interval_95", id="no interval"),
        pytest.param(changed(target_wrong_rate=0.0), "target_wrong_rate", id="no target"),
        pytest.param(changed(training=7), "training", id="no training"),
        pytest.param(changed_training(right=10**6), "contradict", id="more right than proposals"),
        pytest.param(changed_training(accepted_wrong=10**6), "contradict", id="more wrong than in"),
        pytest.param(changed_training(cases=-1), "cases", id="a negative count"),
        pytest.param(changed_training(cases=1.5), "cases", id="a broken count"),
        pytest.param(changed_training(brier_score=2.0), "brier_score", id="a rate above one"),
        pytest.param(changed_training(source=3), "source", id="a source that is no text"),
    ],
)
def test_a_damaged_file_is_refused_in_a_clear_sentence(
    content: Any, says: str, tmp_path: Path
) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError, match=says) as refusal:
        read_calibration(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pickle.dumps({"weights": [1.0]}), id="a pickle"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
    ],
)
def test_what_is_no_json_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"calibration\.json: .*calibration"):
        read_calibration(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_calibration(tmp_path / "none.json")


def test_nothing_unsound_is_written(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    with pytest.raises(ValueError, match="ceiling"):
        write_calibration(path, replace(shipped_calibration(), ceiling=1.0))
    with pytest.raises(ValueError):
        write_calibration(path, replace(shipped_calibration(), intercept=float("nan")))
    assert not path.exists()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_calibration(tmp_path / "no" / "folder.json", shipped_calibration())


def statement(**changes: Any) -> tuple[Calibration, str]:
    shipped = shipped_calibration()
    made = replace(shipped, training=replace(shipped.training, **changes))
    return made, made.statement


def test_the_statement_says_what_supports_the_threshold() -> None:
    made, text = statement(
        accepted=4000,
        accepted_wrong=2,
        expected_wrong_rate=0.0006,
        wrong_rate_upper_95=0.0015,
        cross_validated=True,
    )
    assert made.target_met
    for part in ("4000", "2 were wrong", "0.06 %", "0.15 %", "0.10 %", "left out"):
        assert part in text
    too_few, text = statement(expected_wrong_rate=0.0011, cross_validated=False)
    assert not too_few.target_met
    assert "left out" not in text
