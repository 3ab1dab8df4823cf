"""Streaks as Farzaneh et al. 2021 find them, pixels clustered by GA, then k-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from detectors.paper_method import PaperMethod
from detectors.pixel_clusters import genetic_clusters, seeding_k_means


@dataclass(frozen=True, kw_only=True)
class PaperGeneticKMeans(PaperMethod):
    """The streak paper's pipeline with k-means that starts from a genetic algorithm's centres."""

    name: ClassVar[str] = "paper-ga-kmeans"
    clustering: ClassVar = staticmethod(seeding_k_means(genetic_clusters))
