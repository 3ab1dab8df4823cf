"""How evidence becomes a probability: weights and curve, with what they were fitted on.

Kept as a JSON file of plain numbers, which is checked on reading; nothing in it is executed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regengine.errors import ConfigError
from regengine.registration.verification import Evidence

# What the probability depends on: few figures of the evidence, each bounded, more is better.

# Each feature spans about ten units between hopeless and certain, so that the regression's penalty
# treats them alike and none decides alone
MARGIN_UNIT = 25.0
NCC_UNIT = 10.0
EVEN_NCC_UNIT = 20.0
EVEN_MARGIN_UNIT = 40.0
RESIDUAL_UNIT = 3.0
SHARE_UNIT = 10.0
PATCHES_UNIT = 2.0
# Towns that a photo is taken to have and the map not to confirm: three of three prove little
UNMET_TOWNS = 8.0


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A figure of the evidence, kept within limits, that never falls when the evidence improves.

    name: As calibration files spell it.
    low, high: Limits.
    raw: The figure before it is kept within the limits.
    text: What it is, for people.
    """

    name: str
    low: float
    high: float
    raw: Callable[[Evidence], float]
    text: str

    def __call__(self, evidence: Evidence) -> float:
        """Value for some evidence; what is not a number counts as the worst."""
        value = self.raw(evidence)
        return self.low if math.isnan(value) else min(max(value, self.low), self.high)


def _above_rival(log10_odds: float, runner_up_log10_odds: float) -> float:
    """Log-odds over the runner-up's, where those are for it at all."""
    return log10_odds - max(runner_up_log10_odds, 0.0)


def _precision(evidence: Evidence) -> float:
    """Minus the logarithm of the held-out residual (infinite where too few patches agree)."""
    residual_px = evidence.held_out_residual_px
    return math.inf if residual_px <= 0.0 else -RESIDUAL_UNIT * math.log(residual_px)


def _met_share(evidence: Evidence) -> float:
    """Share of the photo's towns that the map confirms."""
    return SHARE_UNIT * evidence.met_towns / (max(evidence.towns, 0.0) + UNMET_TOWNS)


_ALL = (
    Feature(
        name="town_odds",
        low=-10.0,
        high=12.0,
        raw=lambda e: _above_rival(e.town_log10_odds, e.runner_up_log10_odds),
        text="log10 odds of the towns against chance, over the runner-up's",
    ),
    Feature(
        name="patch_odds",
        low=-10.0,
        high=12.0,
        raw=lambda e: _above_rival(e.patch_log10_odds, e.runner_up_log10_odds),
        text="log10 odds of the held-out patches against chance, over the runner-up's",
    ),
    Feature(
        name="picture_odds",
        low=-4.0,
        high=6.0,
        raw=lambda e: _above_rival(e.picture_log10_odds, e.runner_up_picture_log10_odds),
        text="log10 odds of the picture as a whole against shifts of itself, over the runner-up's",
    ),
    Feature(
        name="margin",
        low=0.0,
        high=10.0,
        raw=lambda e: MARGIN_UNIT * e.margin,
        text="25 x (correlation less the runner-up's)",
    ),
    Feature(
        name="ncc",
        low=0.0,
        high=10.0,
        raw=lambda e: NCC_UNIT * e.ncc * e.field_share,
        text="10 x correlation x what it is worth for the width of the field",
    ),
    Feature(
        name="even_ncc",
        low=0.0,
        high=10.0,
        raw=lambda e: EVEN_NCC_UNIT * e.even_ncc * e.field_share,
        text="20 x correlation of evened pictures x what it is worth for the width of the field",
    ),
    Feature(
        name="even_margin",
        low=0.0,
        high=10.0,
        raw=lambda e: EVEN_MARGIN_UNIT * e.even_margin,
        text="40 x (that correlation less the runner-up's)",
    ),
    Feature(
        name="coarse_z",
        low=0.0,
        high=12.0,
        raw=lambda e: e.coarse_z,
        text="coarse correlation above the other candidates', in robust sigmas",
    ),
    Feature(
        name="precision",
        low=-RESIDUAL_UNIT * math.log(5.0),
        high=-RESIDUAL_UNIT * math.log(0.2),
        raw=_precision,
        text="-3 ln(held-out residual in pixels), between 5 and 0.2 px",
    ),
    Feature(
        name="met_share",
        low=0.0,
        high=10.0,
        raw=_met_share,
        text="10 x towns met / (towns + 8)",
    ),
    Feature(
        name="patches",
        low=0.0,
        high=10.0,
        raw=lambda e: PATCHES_UNIT * math.log1p(max(e.patches, 0.0)),
        text="2 ln(1 + patches that agree)",
    ),
)
FEATURES: dict[str, Feature] = {feature.name: feature for feature in _ALL}


def feature_values(evidence: Evidence, names: tuple[str, ...]) -> tuple[float, ...]:
    """The features of these names (keys of `FEATURES`), in their order; all finite."""
    return tuple(FEATURES[name](evidence) for name in names)


# Checks that a calibration file is sound before anything is decided with it.

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
    """The content of a calibration file, checked, lists as tuples."""
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


FORMAT = "regengine-calibration"
FORMAT_VERSION = 1
SHIPPED = "calibration.json"
# Beyond it a double's exponential adds nothing to 1
MOST_LOGIT = 50.0


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a calibration was fitted on, and how it did there.

    source: Which cases these were.
    cases, proposals, right: Cases; those with a proposal, which the fit sees; those that were
        right.
    accepted, accepted_wrong: Proposals at or above the acceptance threshold, and the wrong among
        them.
    expected_wrong_rate: Mean of 1 - P over the accepted ones.
    wrong_rate_upper_95: Exact (Clopper-Pearson) one-sided 95 % upper bound of the wrong rate among
        accepted ones.
    expected_calibration_error, brier_score: Of proposals that the fit had not seen where
        `cross_validated`.
    cross_validated: Whether the counts of accepted proposals and the scores come from proposals
        left out.
    """

    source: str
    cases: int
    proposals: int
    right: int
    accepted: int
    accepted_wrong: int
    expected_wrong_rate: float
    wrong_rate_upper_95: float
    expected_calibration_error: float
    brier_score: float
    cross_validated: bool


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Evidence → score → probability, and the acceptance threshold.

    The score is ``intercept + sum(weights * features)``; the probability is
    ``floor + (ceiling - floor) * sigmoid(slope * score + offset)``.

    features: Names of features (keys of `regengine.registration.calibration.FEATURES`).
    weights: One for each feature, none negative: better evidence never lowers the probability.
    intercept, slope, offset: Of the score, and of the curve; the slope is positive.
    floor, ceiling: No probability is outside of these.
    accept_probability: Acceptance threshold.
    accept_interval_95: Where the threshold falls when the training cases are drawn anew.
    target_wrong_rate: Of accepted proposals, that the threshold aims at.
    training: What all this was fitted on.
    """

    features: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float
    slope: float
    offset: float
    floor: float
    ceiling: float
    accept_probability: float
    accept_interval_95: tuple[float, float]
    target_wrong_rate: float
    training: Training

    def score(self, values: ArrayLike) -> NDArray[np.float64]:
        """Score of features; shape (..., features) → (...)."""
        return self.intercept + np.asarray(values, float) @ np.asarray(self.weights)

    def probability_of(self, score: ArrayLike) -> NDArray[np.float64]:
        """Probability of scores, any shape."""
        logit = np.clip(
            self.slope * np.asarray(score, float) + self.offset, -MOST_LOGIT, MOST_LOGIT
        )
        p = self.floor + (self.ceiling - self.floor) / (1.0 + np.exp(-logit))
        # The sum may be rounded to a hair's breadth beyond
        return np.clip(p, self.floor, self.ceiling)

    @property
    def target_met(self) -> bool:
        """Whether the target is expected to be kept: too few cases leave that open."""
        return self.training.expected_wrong_rate <= self.target_wrong_rate

    @property
    def statement(self) -> str:
        """What is claimed and what supports it, in one sentence."""
        told = self.training
        left_out = ", left out of the fit in turn," if told.cross_validated else ""
        return (
            f"accepted from a probability of {self.accept_probability:.4f} on; of {told.accepted} "
            f"training proposals accepted so{left_out} {told.accepted_wrong} were wrong (expected "
            f"{100.0 * told.expected_wrong_rate:.2f} %, at most "
            f"{100.0 * told.wrong_rate_upper_95:.2f} % with 95 % confidence; target "
            f"{100.0 * self.target_wrong_rate:.2f} %)"
        )


def read_calibration(path: Path) -> Calibration:
    """Read a calibration and check it.

    Raises ConfigError if the file cannot be read or is no sound calibration.
    """
    try:
        return parsed_calibration(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the calibration cannot be read ({error})") from error
    except (ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(
            f"{path}: not a sound calibration ({error}); install regengine anew, or fit it again "
            "with `python -m benchmarks confidence`"
        ) from error


def parsed_calibration(text: str) -> Calibration:
    """A calibration from the text of its file."""
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT!r}")
    if content.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"its format_version is not {FORMAT_VERSION}")
    body = {name: v for name, v in content.items() if name not in ("format", "format_version")}
    numbers = checked_numbers(body)
    training = Training(**numbers.pop("training"))
    return Calibration(**numbers, training=training)


def calibration_text(calibration: Calibration) -> str:
    """A calibration as the text of its file; the same calibration gives the same bytes."""
    content: dict[str, Any] = {"format": FORMAT, "format_version": FORMAT_VERSION}
    return json.dumps(content | asdict(calibration), indent=2, allow_nan=False) + "\n"


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write a calibration, after checking that it can be read again.

    Raises ConfigError if the file cannot be written. Raises ValueError if the calibration is not
    sound.
    """
    text = calibration_text(calibration)
    parsed_calibration(text)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: the calibration cannot be written ({error})") from error


@lru_cache(maxsize=1)
def shipped_calibration() -> Calibration:
    """The calibration of this version, read when first asked for."""
    return read_calibration(Path(str(files("regengine.registration") / SHIPPED)))
