"""Streaks as Farzaneh et al. 2021 find them, pixels clustered by PSO."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from detectors.paper_method import PaperMethod
from detectors.pixel_clusters import swarm_clusters


@dataclass(frozen=True, kw_only=True)
class PaperSwarm(PaperMethod):
    """The streak paper's pipeline with a particle swarm."""

    name: ClassVar[str] = "paper-pso"
    clustering: ClassVar = staticmethod(swarm_clusters)
