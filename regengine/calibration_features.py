"""What the probability depends on: few figures of the evidence, each bounded, more is better."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from regengine.evidence import Evidence

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

    Attributes
    ----------
    name : str
        As calibration files spell it.
    low, high : float
        Limits.
    raw : callable
        The figure before it is kept within the limits.
    text : str
        What it is, for people.
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


def _above_rival(log10_odds: float, evidence: Evidence) -> float:
    """Log-odds over the runner-up's, where those are for it at all."""
    return log10_odds - max(evidence.runner_up_log10_odds, 0.0)


def _picture_above_rival(evidence: Evidence) -> float:
    """The picture's log-odds over the runner-up's, where those are for it at all."""
    return evidence.picture_log10_odds - max(evidence.runner_up_picture_log10_odds, 0.0)


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
        raw=lambda e: _above_rival(e.town_log10_odds, e),
        text="log10 odds of the towns against chance, over the runner-up's",
    ),
    Feature(
        name="patch_odds",
        low=-10.0,
        high=12.0,
        raw=lambda e: _above_rival(e.patch_log10_odds, e),
        text="log10 odds of the held-out patches against chance, over the runner-up's",
    ),
    Feature(
        name="picture_odds",
        low=-4.0,
        high=6.0,
        raw=_picture_above_rival,
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
    """Some features of some evidence.

    Parameters
    ----------
    evidence : Evidence
        Figures of one solution.
    names : tuple of str
        Keys of `FEATURES`.

    Returns
    -------
    tuple of float
        In the order of the names, all finite.
    """
    return tuple(FEATURES[name](evidence) for name in names)
