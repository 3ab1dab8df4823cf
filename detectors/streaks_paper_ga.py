"""Streaks as Farzaneh et al. 2021 find them, pixels clustered by GA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from detectors.paper_method import PaperMethod
from detectors.pixel_clusters import genetic_clusters


@dataclass(frozen=True, kw_only=True)
class PaperGenetic(PaperMethod):
    """The streak paper's pipeline with a genetic algorithm."""

    name: ClassVar[str] = "paper-ga"
    clustering: ClassVar = staticmethod(genetic_clusters)
