"""Define the calibration of odds to probabilities, and the parameters of a registration.

The calibration is a JSON file of plain numbers, which is checked on reading. Parameters have their
purpose, unit and origin.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

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
class OddsCalibration:
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


def read_calibration(path: Path) -> OddsCalibration:
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
        return OddsCalibration(steps=Steps(**steps), **content)
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


@lru_cache(maxsize=1)
def read_shipped_calibration() -> OddsCalibration:
    return read_calibration(Path(str(files("regengine.registration") / "calibration.json")))


Method = Literal[
    "light", "horizon", "asterisms", "dense", "stars", "neighbours", "placement", "streets", "day"
]
Effort = Literal["quick", "normal", "thorough"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
# Work budget of a photo, in the units of `stage_yields.csv`. Of 224 accepted trials of the test
# half, 198 were found within 7 units, 222 within 18, and the last within 28
WORK_BUDGETS: dict[Effort, float] = {"quick": 7.0, "normal": 18.0, "thorough": 28.0}


@dataclass(frozen=True, kw_only=True)
class LensParams:
    """Priors of focal length, optical axis and distortion."""

    # Focal length of frames without EXIF: the lens of four in ten of the archive's night frames
    usual_focal_mm: float = 85.0
    # Standard deviations of the natural logarithm of the focal length. Given: zooming and focusing
    # change it by 2-3 %. Unsure: half a step between the lenses tried. Crop: edited frames, whose
    # focal length stars find within two sigmas. Any: unknown; a crop to a third makes it three
    # times as long
    sigma_log_focal: float = 0.03
    sigma_log_focal_unsure: float = 0.12
    sigma_log_focal_crop: float = 0.3
    sigma_log_focal_any: float = 1.0
    # Optical axis of a crop: in half a frame the axis is a quarter of the full frame off the middle
    sigma_principal_share: float = 0.2
    # Narrower fields of view (longer than 171 mm) lie within one city: the clipped image is used
    telephoto_field_deg: float = 12.0


LENS = LensParams()
# Of 1,019 accepted trials w^-1.6 are found per unit of work, at works w of 0.7 to 18: the next unit
# is worth the same where the chance of cities grows as w^1.6
WORTH_EXPONENT = 0.6
# All of the budget from such a probability on, as 71 of 99 accepted trials have; with the curve one
# of the others is lost, at 1.4 %
SURE_OF_CITIES = 0.15


def share_work(cities_probability: float) -> float:
    """Share of its work budget that a photo is worth, by its chance to show city lights."""
    return float(min(cities_probability / SURE_OF_CITIES, 1.0) ** WORTH_EXPONENT)


@dataclass(frozen=True, kw_only=True)
class TrackParams:
    """Prior of the camera position along an orbit and across it."""

    # EXIF clocks were 8, 18 and 32 s off in three frames solved by hand: root mean square 21 s
    clock_sigma_s: float = 21.0
    # Share of a track offset that may be a clock error. It is not known exactly. A clock error also
    # rotates the Earth under the orbit
    unknown_clock_share: float = 0.4
    # A nadir set by hand, or moved with the clock: along the track, across it, in altitude
    placed_sigma_km: tuple[float, float, float] = (50.0, 15.0, 10.0)
    # Error of a nadir from a blind search, caused by a tilt between those tried; axes as above
    blind_sigma_km: tuple[float, float, float] = (60.0, 60.0, 25.0)
    # Clocks are assumed right to two minutes; without a match to ten minutes, then to whole hours
    usual_clock_s: float = 120.0
    # A right clock, an error of minutes and an error of an hour are as probable as 10 to 1 to 1.
    # Cameras on board keep UTC, so errors of more hours are rare. These affect only the order
    minutes_neg_log_prior: float = math.log(10.0)
    # Maximum elevation of the Sun at the nadir: cities 1,500 km away can still be in the dark
    night_sun_deg: float = 10.0


TRACKS = TrackParams()


@dataclass(frozen=True, kw_only=True)
class SearchParams:
    """Selection of the stages that are tried."""

    # Methods that may propose; fewer for ablations
    methods: tuple[str, ...] = ("light", "horizon", "asterisms", "dense", "stars")
    # Stages with a lower chance are not generated (by eye)
    min_chance: float = 2e-5


@dataclass(frozen=True, kw_only=True)
class RefineParams:
    """How a hypothesis is aligned and fitted."""

    # Numbers without an origin are by eye. Blur of the map images
    smooth_px: float = 0.8
    # Long side of the image of the first look, and scale of the structure that is compared
    first_px: int = 64
    first_detail_px: float = 4.0
    # Long side at which hypotheses are compared; the first comparison uses half of it
    compared_px: int = 256
    # Structure broader than this is removed for comparisons and for the first step of the fit
    detail_px: float = 10.0
    # Side of a patch, 10 km; and number of cells along the long side, each with one patch
    patch_px: int = 31
    cells: int = 14
    # Search radius of patches in each round, the widest first
    reaches_px: tuple[int, ...] = (20, 8, 5, 4)
    # A camera is better than another if it is ten times likelier; otherwise they are equal
    better_log10_odds: float = 1.0


REFINE = RefineParams()


@dataclass(frozen=True, kw_only=True)
class AcceptParams:
    """Probabilities from which on a match is accepted, as tested by the calibration's trials."""

    accept_probability: float = field(
        default_factory=lambda: read_shipped_calibration().accept_probability
    )
    # Threshold of a blind search; None accepts nothing
    accept_probability_blind: float | None = field(
        default_factory=lambda: read_shipped_calibration().accept_probability_blind
    )


@dataclass(frozen=True, kw_only=True)
class RegisterParams:
    """The choices of the user for a registration, and what can be varied.

    Attributes
    ----------
    clock_window_s : float or None
        Maximum error of the camera's clock. None assumes two minutes, and tries ten minutes and
        whole hours if that gives no match.
    work_budget : float
        The search ends after this much work and returns its best match, see `WORK_BUDGETS`.
    max_seconds : float
        CPU-time limit of the search, of lights and streets together, without preparing the photo
        and loading the program. The result states if the limit was reached.
    any_category : bool
        Whether frames that do not look like night cities are tried, too.
    clock : callable
        Returns the seconds that are compared with ``max_seconds``. The default counts CPU time of
        this thread, so that results on a busy machine and on an idle one are the same.
    """

    clock_window_s: float | None = None
    work_budget: float = WORK_BUDGETS["normal"]
    max_seconds: float = 240.0
    any_category: bool = False
    clock: Callable[[], float] = time.thread_time
    search: SearchParams = field(default_factory=SearchParams)
    accept: AcceptParams = field(default_factory=AcceptParams)
