"""Streaks as Farzaneh et al. 2021 find them, pixels clustered by GMM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from detectors.paper_method import PaperMethod
from detectors.pixel_clusters import gaussian_mixture


@dataclass(frozen=True, kw_only=True)
class PaperMixture(PaperMethod):
    """The streak paper's pipeline with a mixture of two normal distributions."""

    name: ClassVar[str] = "paper-gmm"
    clustering: ClassVar = staticmethod(gaussian_mixture)
