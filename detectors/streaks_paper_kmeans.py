"""Streaks as Farzaneh et al. 2021 find them, pixels clustered by k-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from detectors.paper_method import PaperMethod
from detectors.pixel_clusters import k_means


@dataclass(frozen=True, kw_only=True)
class PaperKMeans(PaperMethod):
    """The streak paper's pipeline with k-means from three random starts."""

    name: ClassVar[str] = "paper-kmeans"
    clustering: ClassVar = staticmethod(k_means)
