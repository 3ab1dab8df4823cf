"""Convert odds to probabilities by a calibration from trials, with the acceptance thresholds.

The calibration is a JSON file of plain numbers, which is checked on reading.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray
from regengine.errors import ConfigError

FORMAT = "regengine-calibration"
FORMAT_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Steps:
    """Probability of being right as a function of the odds: monotonic steps.

    A new proposal has two probabilities, see `docs/methods/probability.md`: the estimate from the
    trials if it is counted as wrong, and if it is counted as right. The calibrated value lies
    between them. They are farther apart if fewer trials have similar odds.

    log10_odds: Odds at which each step begins; increasing, shape (n,).
    low, high: Both probabilities before the first step and from each step on, shape (n + 1,).
    """

    log10_odds: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise ValueError if the steps are not valid."""
        odds, low, high = (np.asarray(v, float) for v in (self.log10_odds, self.low, self.high))
        if not len(low) == len(high) == len(odds) + 1:
            raise ValueError("log10_odds, low and high are not of lengths n, n + 1 and n + 1")
        if not (np.isfinite(odds).all() and (np.diff(odds) > 0.0).all()):
            raise ValueError("log10_odds do not increase")
        if not ((np.diff(low) >= 0.0).all() and (np.diff(high) >= 0.0).all()):
            raise ValueError("low or high falls as the odds grow")
        if not ((low >= 0.0) & (low < 1.0) & (low <= high) & (high > 0.0) & (high <= 1.0)).all():
            raise ValueError("low and high are not in order between 0 and 1")

    def interval(self, log10_odds: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Both probabilities at odds of any shape; NaN counts as the lowest odds."""
        odds = np.nan_to_num(np.asarray(log10_odds, float), nan=-np.inf)
        step = np.searchsorted(self.log10_odds, odds, side="right")
        return np.asarray(self.low, float)[step], np.asarray(self.high, float)[step]

    def probability(self, log10_odds: ArrayLike) -> FloatArray:
        """Probability between both that minimizes the worst-case log loss; never 0 or 1."""
        low, high = self.interval(log10_odds)
        return np.asarray(high / (1.0 - low + high), np.float64)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Steps from odds to probability, the acceptance thresholds, and documentation of the trials.

    accept_probability_blind: Threshold without time and place; None if no trials of that kind
        support one, so that nothing is accepted.
    trials: Counts and rates of the trials from which the steps are derived.
    tested: The same for the independent trials on which the thresholds were tested.
    """

    steps: Steps
    accept_probability: float
    accept_probability_blind: float | None
    trials: dict[str, Any]
    tested: dict[str, Any]

    def __post_init__(self) -> None:
        """Raise ValueError if no proposal could reach the threshold, or if all would."""
        least, most = self.steps.probability([-np.inf, np.inf])
        for threshold in (self.accept_probability, self.accept_probability_blind):
            if threshold is not None and not least < threshold <= most:
                raise ValueError("accept_probability is not within the probabilities of the steps")


def read_calibration(path: Path) -> Calibration:
    """Read a calibration and check it.

    Raises ConfigError if the file cannot be read or is no sound calibration.
    """
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        if content.pop("format_version", None) != FORMAT_VERSION:
            raise ValueError(f"its format_version is not {FORMAT_VERSION}")
        steps = {name: tuple(values) for name, values in content.pop("steps").items()}
        return Calibration(steps=Steps(**steps), **content)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the calibration cannot be read ({error})") from error
    except (
        ValueError,
        TypeError,
        LookupError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ConfigError(
            f"{path}: not a valid calibration ({error}); reinstall regengine, or fit it again "
            "with `python -m benchmarks confidence`"
        ) from error


def calibration_text(calibration: Calibration) -> str:
    """Format a calibration as the text of its file, reproducible byte for byte."""
    content: dict[str, Any] = {"format": FORMAT, "format_version": FORMAT_VERSION}
    content |= asdict(calibration)
    steps = content.pop("steps")
    # One line for each column of the steps, not for each of their numbers
    columns = ",\n".join(f'    "{name}": {json.dumps(v)}' for name, v in steps.items())
    rest = json.dumps(content, indent=2, allow_nan=False)
    return f'{rest[:-2]},\n  "steps": {{\n{columns}\n  }}\n}}\n'


@lru_cache(maxsize=1)
def read_shipped_calibration() -> Calibration:
    """Read the calibration of this version, once per process."""
    return read_calibration(Path(str(files("regengine.registration") / "calibration.json")))
