"""Checks that a calibration file is sound before anything is decided with it."""

from __future__ import annotations

import math
from typing import Any

from regengine.calibration_features import FEATURES

NUMBERS = (
    "intercept",
    "slope",
    "offset",
    "floor",
    "ceiling",
    "accept_probability",
    "target_wrong_rate",
)
LISTS = ("features", "weights", "accept_interval_95")
COUNTS = ("cases", "proposals", "right", "accepted", "accepted_wrong")
RATES = (
    "expected_wrong_rate",
    "wrong_rate_upper_95",
    "expected_calibration_error",
    "brier_score",
)


def checked_numbers(content: dict[str, Any]) -> dict[str, Any]:
    """The content of a calibration file, checked, lists as tuples.

    Parameters
    ----------
    content : dict
        As read from JSON, without the names of format and version.

    Returns
    -------
    dict
        Fields of `regengine.calibration.Calibration`; ``training`` is still a dict.

    Raises
    ------
    ValueError
        Telling what is wrong.
    """
    _same_names("the file", content, {*NUMBERS, *LISTS, "training"})
    checked: dict[str, Any] = {name: _number(name, content[name]) for name in NUMBERS}
    checked["features"] = _features(content["features"])
    checked["weights"] = _numbers("weights", content["weights"], len(checked["features"]))
    checked["accept_interval_95"] = _numbers("accept_interval_95", content["accept_interval_95"], 2)
    checked["training"] = _training(content["training"])
    _check_curve(checked)
    return checked


def _same_names(what: str, found: Any, names: set[str]) -> None:
    if not isinstance(found, dict):
        raise ValueError(f"{what} is no table of names and values")
    if found.keys() != names:
        odd = ", ".join(sorted(found.keys() ^ names))
        raise ValueError(f"{what} lacks or has too much: {odd}")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is no finite number")
    return float(value)


def _numbers(name: str, values: Any, count: int) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"{name} is no list of {count} numbers")
    return tuple(_number(name, value) for value in values)


def _features(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not names or len(set(map(str, names))) < len(names):
        raise ValueError("features is no list of different names")
    unknown = [name for name in names if not isinstance(name, str) or name not in FEATURES]
    if unknown:
        raise ValueError(f"features names {unknown[0]!r}, which this version does not know")
    return tuple(names)


def _training(found: Any) -> dict[str, Any]:
    _same_names("training", found, {"source", "cross_validated", *COUNTS, *RATES})
    if not isinstance(found["source"], str) or not isinstance(found["cross_validated"], bool):
        raise ValueError("source is no text or cross_validated neither true nor false")
    for name in COUNTS:
        if isinstance(found[name], bool) or not isinstance(found[name], int) or found[name] < 0:
            raise ValueError(f"{name} is no count")
    for name in RATES:
        if not 0.0 <= _number(name, found[name]) <= 1.0:
            raise ValueError(f"{name} is not between 0 and 1")
    fits = found["cases"] >= found["proposals"] >= max(found["right"], found["accepted"])
    if not fits or found["accepted_wrong"] > found["accepted"]:
        raise ValueError("the counts of training contradict each other")
    return dict(found)


def _check_curve(checked: dict[str, Any]) -> None:
    if min(checked["weights"]) < 0.0 or checked["slope"] <= 0.0:
        raise ValueError("a weight is negative or the slope is not positive")
    if not 0.0 < checked["floor"] < checked["ceiling"] < 1.0:
        raise ValueError("floor and ceiling are not in order between 0 and 1")
    if not checked["floor"] < checked["accept_probability"] <= checked["ceiling"]:
        raise ValueError("accept_probability is not between floor and ceiling")
    low, high = checked["accept_interval_95"]
    if not 0.0 < low <= high < 1.0:
        raise ValueError("accept_interval_95 is not in order between 0 and 1")
    if not 0.0 < checked["target_wrong_rate"] < 1.0:
        raise ValueError("target_wrong_rate is not between 0 and 1")
