"""Streaks as Farzaneh et al. 2021 find them, pixels clustered by PSO, then k-means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.paper_pipeline import PaperSettings, paper_pixels, paper_streaks
from detectors.pixel_clusters import seeding_k_means, swarm_clusters
from detectors.streak_types import StreakDetections


@dataclass(frozen=True, kw_only=True)
class PaperSwarmKMeans:
    """The streak paper's pipeline with k-means that starts from a particle swarm's centres.

    Attributes
    ----------
    settings : PaperSettings
        Parameters of the steps.
    seed : int
        Of everything that is drawn at random.
    """

    settings: PaperSettings = field(default_factory=PaperSettings)
    seed: int = 0
    name: ClassVar[str] = "paper-pso-kmeans"

    def detect(
        self,
        light: NDArray[np.generic],
        mask: NDArray[np.bool_] | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StreakDetections:
        """Find the streaks of an image; see `detectors.streak_types.StreakDetector`."""
        return paper_streaks(
            light,
            mask,
            saturated,
            clustering=seeding_k_means(swarm_clusters),
            settings=self.settings,
            seed=self.seed,
        )

    def streak_pixels(self, light: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Pixels of the streaks' cluster, before lines are drawn through them."""
        return paper_pixels(
            light,
            clustering=seeding_k_means(swarm_clusters),
            settings=self.settings,
            seed=self.seed,
        )
