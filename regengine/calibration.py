"""How evidence becomes a probability: weights and curve, with what they were fitted on.

Kept as a JSON file of plain numbers, which is checked on reading; nothing in it is executed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regengine.calibration_checks import checked_numbers
from regengine.errors import ConfigError

FORMAT = "regengine-calibration"
FORMAT_VERSION = 1
SHIPPED = "calibration.json"
# Beyond it a double's exponential adds nothing to 1
MOST_LOGIT = 50.0


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a calibration was fitted on, and how it did there.

    Attributes
    ----------
    source : str
        Which cases these were.
    cases, proposals, right : int
        Cases; those with a proposal, which the fit sees; those that were right.
    accepted, accepted_wrong : int
        Proposals at or above the acceptance threshold, and the wrong among them.
    expected_wrong_rate : float
        Mean of 1 - P over the accepted ones.
    wrong_rate_upper_95 : float
        Exact (Clopper-Pearson) one-sided 95 % upper bound of the wrong rate among accepted ones.
    expected_calibration_error, brier_score : float
        Of proposals that the fit had not seen where `cross_validated`.
    cross_validated : bool
        Whether the counts of accepted proposals and the scores come from proposals left out.
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

    Attributes
    ----------
    features : tuple of str
        Names of features (keys of `regengine.calibration_features.FEATURES`).
    weights : tuple of float
        One for each feature, none negative: better evidence never lowers the probability.
    intercept, slope, offset : float
        Of the score, and of the curve; the slope is positive.
    floor, ceiling : float
        No probability is outside of these.
    accept_probability : float
        Acceptance threshold.
    accept_interval_95 : tuple of float
        Where the threshold falls when the training cases are drawn anew.
    target_wrong_rate : float
        Of accepted proposals, that the threshold aims at.
    training : Training
        What all this was fitted on.
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

    Parameters
    ----------
    path : Path
        JSON file, as `write_calibration` makes it.

    Returns
    -------
    Calibration

    Raises
    ------
    ConfigError
        If the file cannot be read or is no sound calibration.
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
    """A calibration from the text of its file.

    Raises
    ------
    ValueError
        Telling what is wrong.
    """
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

    Raises
    ------
    ConfigError
        If the file cannot be written.
    ValueError
        If the calibration is not sound.
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
    return read_calibration(Path(str(files("regengine") / SHIPPED)))
