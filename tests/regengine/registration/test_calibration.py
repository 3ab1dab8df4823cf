"""From odds to probability: the steps, and the file that holds them."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.errors import ConfigError
from regengine.registration.accept import decide, probability, probability_interval
from regengine.registration.calibration import (
    Steps,
    calibration_text,
    read_calibration,
    read_shipped_calibration,
)
from regengine.registration.parameters import AcceptParams
from regengine.registration.types import Evidence
from regengine.result import Reason

USUAL = Evidence(
    ncc=0.6,
    runner_up_ncc=0.4,
    light_log10_odds=3.0,
    patch_log10_odds=0.0,
    image_log10_odds=10.0,
    log10_views_tested=6.0,
    runner_up_log10_odds=-3.0,
    n_lights=60,
    n_matched_lights=35,
    residual_px=0.6,
    held_out_residual_px=0.8,
)
MADE = replace(
    read_shipped_calibration(),
    steps=Steps(
        log10_odds=(-4.0, 0.0, 2.5, 5.0, 14.0),
        low=(0.0, 0.0, 0.1, 0.5, 0.9, 0.99),
        high=(0.02, 0.1, 0.3, 0.8, 1.0, 1.0),
    ),
    accept_probability=0.9,
)
DOUBT = Reason(code="few_lights", text="…")


anything = st.floats(allow_nan=True, allow_infinity=True)
# Which way the odds of the evidence improve
BETTER = {
    "light_log10_odds": 1,
    "patch_log10_odds": 1,
    "image_log10_odds": 1,
    "log10_views_tested": -1,
}


def with_odds(*odds: float) -> Evidence:
    changes: dict[str, Any] = dict(zip(BETTER, odds, strict=True))
    return replace(USUAL, **changes)


evidences = st.builds(with_odds, *[st.floats(-60.0, 60.0)] * len(BETTER))


@given(evidence=st.builds(Evidence, **dict.fromkeys(Evidence.__dataclass_fields__, anything)))
def test_a_probability_is_never_0_or_1(evidence: Evidence) -> None:
    """Whatever the evidence: also infinite, negative, or no number at all."""
    assert 0.0 < probability(evidence) < 1.0


@given(evidence=evidences)
def test_a_probability_lies_within_its_interval(evidence: Evidence) -> None:
    low, high = probability_interval(evidence)
    assert 0.0 <= low <= probability(evidence) <= high <= 1.0


@given(evidence=evidences, name=st.sampled_from(sorted(BETTER)), step=st.floats(0.1, 40.0))
def test_better_evidence_never_lowers_the_probability(
    evidence: Evidence, name: str, step: float
) -> None:
    improved = replace(evidence, **{name: getattr(evidence, name) + BETTER[name] * step})
    assert probability(improved) >= probability(evidence)


def test_the_interval_is_that_of_the_step() -> None:
    """The probability between both is the one of Vovk and others: high / (1 - low + high)."""
    odds = [-100.0, -4.0, -0.1, 0.0, 4.9, 5.0, 1e9]
    low, high = MADE.steps.interval(odds)
    assert low.tolist() == [0.0, 0.0, 0.0, 0.1, 0.5, 0.9, 0.99]
    assert high.tolist() == [0.02, 0.1, 0.1, 0.3, 0.8, 1.0, 1.0]
    assert MADE.steps.probability(odds) == pytest.approx(high / (1.0 - low + high))
    assert MADE.steps.probability(4.9) == pytest.approx(0.8 / 1.3)


ACCEPT = AcceptParams()
LESS = float(np.nextafter(ACCEPT.review_probability, 0.0))


def test_the_verdict_is_review_up_to_the_calibrations_threshold_and_where_there_is_doubt() -> None:
    threshold = read_shipped_calibration().accept_probability
    assert threshold == ACCEPT.accept_probability
    assert decide(threshold, (), ACCEPT) == "accepted"
    assert decide(float(np.nextafter(threshold, 0.0)), (), ACCEPT) == "review"
    assert decide(0.999999, (DOUBT,), ACCEPT) == "review"
    assert decide(ACCEPT.review_probability, (), ACCEPT) == "review"
    assert decide(LESS, (), ACCEPT) == decide(LESS, (DOUBT,), ACCEPT) == "no_match"


def test_without_time_or_place_a_threshold_of_its_own_decides() -> None:
    strict = replace(ACCEPT, accept_probability_blind=0.99)
    assert decide(0.98, (), strict) == decide(0.99, (), strict, is_blind=True) == "accepted"
    assert decide(0.98, (), strict, is_blind=True) == "review"
    untried = replace(ACCEPT, accept_probability_blind=None)
    assert decide(0.999999, (), untried, is_blind=True) == "review"


def test_what_accepted_promises() -> None:
    """Spelled out: changing it changes what users were promised."""
    shipped = read_shipped_calibration()
    assert shipped.accept_probability >= 0.95
    assert shipped.accept_probability_blind is not None
    assert shipped.accept_probability_blind >= 0.95
    everything = shipped.tested["kinds"][0]
    assert everything["kind"] == "all"
    assert everything["wrong"] == 0
    assert everything["wrong_rate_upper_95"] <= shipped.tested["wrong_rate"] <= 0.015


GOOD = json.loads(calibration_text(read_shipped_calibration()))


def changed(**changes: Any) -> dict[str, Any]:
    """The content of a good file with some values replaced; None takes one away."""
    content = json.loads(json.dumps(GOOD)) | changes
    return {name: value for name, value in content.items() if value is not None}


def steps(**changes: Any) -> dict[str, Any]:
    made = {"log10_odds": [0.0, 5.0], "low": [0.0, 0.2, 0.95], "high": [0.1, 0.5, 1.0]}
    return changed(steps=made | changes)


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    for calibration in (read_shipped_calibration(), MADE):
        path.write_text(calibration_text(calibration), encoding="utf-8")
        assert read_calibration(path) == calibration
    path.write_text(json.dumps(steps()), encoding="utf-8")
    assert read_calibration(path).steps.high == (0.1, 0.5, 1.0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param([1, 2], "format", id="a list"),
        pytest.param(changed(format="other"), "format", id="another format"),
        pytest.param(changed(format_version=1), "format_version", id="another version"),
        pytest.param(changed(steps=None), "steps", id="no steps"),
        pytest.param(changed(steps=7), "not a valid", id="steps that are none"),
        pytest.param(changed(trials=None), "trials", id="a value is missing"),
        pytest.param(changed(extra=1.0), "extra", id="a value too much"),
        pytest.param(steps(low=[0.0, 0.2]), "lengths", id="a step is missing"),
        pytest.param(steps(low=[0.0, 0.2, "much"]), "much", id="text for a number"),
        pytest.param(steps(low=[0.0, 0.2, float("nan")]), "falls", id="not a number"),
        pytest.param(steps(low=[0.0, 0.3, 0.2]), "falls", id="steps that fall"),
        pytest.param(steps(log10_odds=[5.0, 0.0]), "increase", id="turned odds"),
        pytest.param(steps(log10_odds=[0.0, float("inf")]), "increase", id="infinity"),
        pytest.param(steps(low=[0.0, 0.6, 0.9]), "order", id="low above high"),
        pytest.param(steps(low=[0.0, 0.2, 1.0]), "order", id="certainty"),
        pytest.param(steps(high=[0.0, 0.5, 1.0]), "order", id="impossibility"),
        pytest.param(changed(accept_probability=0.9999), "accept", id="never reached"),
        pytest.param(changed(accept_probability=0.0), "accept", id="reached by everything"),
        pytest.param(changed(accept_probability_blind=0.9999), "accept", id="blind: never reached"),
        pytest.param(changed(accept_probability="0.9"), "not a valid", id="a threshold in words"),
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
