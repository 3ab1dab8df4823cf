"""The calibration's file: plain numbers, written and read without loss, checked on reading."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.errors import ConfigError
from regengine.registration.calibration import (
    Calibration,
    calibration_text,
    parsed_calibration,
    read_calibration,
    shipped_calibration,
    write_calibration,
)

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


def test_it_is_read_when_first_asked_for() -> None:
    program = (
        "from regengine.registration.calibration import shipped_calibration as shipped\n"
        "import regengine.registration.acceptance as confidence\n"
        "assert shipped.cache_info().currsize == 0\n"
        "confidence.default_accept_probability()\n"
        "assert shipped.cache_info().currsize == 1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


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
