"""Streaks as Farzaneh et al. 2021 find them, pixels clustered by PSO, then k-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from detectors.paper_method import PaperMethod
from detectors.pixel_clusters import seeding_k_means, swarm_clusters


@dataclass(frozen=True, kw_only=True)
class PaperSwarmKMeans(PaperMethod):
    """The streak paper's pipeline with k-means that starts from a particle swarm's centres."""

    name: ClassVar[str] = "paper-pso-kmeans"
    clustering: ClassVar = staticmethod(seeding_k_means(swarm_clusters))
