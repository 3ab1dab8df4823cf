"""Streaks as Farzaneh et al. 2021 find them: seven ways to cluster pixels, one pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from detectors.paper_pipeline import PaperSettings, paper_pixels, paper_streaks
from detectors.pixel_clusters import (
    TwoClusters,
    gaussian_mixture,
    genetic_clusters,
    k_means,
    seeding_k_means,
    swarm_clusters,
)
from detectors.types import BoolImage, StreakDetections


@dataclass(frozen=True, kw_only=True)
class PaperMethod:
    """The streak paper's pipeline; a variant names itself and its clustering.

    Attributes
    ----------
    settings : PaperSettings
        Parameters of the steps.
    seed : int
        Of everything that is drawn at random.
    """

    settings: PaperSettings = field(default_factory=PaperSettings)
    seed: int = 0
    name: ClassVar[str]
    clustering: ClassVar[staticmethod[..., TwoClusters]]

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StreakDetections:
        """Find the streaks of an image; see `detectors.types.StreakDetector`."""
        return paper_streaks(
            light,
            mask,
            saturated,
            clustering=type(self).clustering,
            settings=self.settings,
            seed=self.seed,
        )

    def streak_pixels(self, light: NDArray[np.generic]) -> BoolImage:
        """Pixels of the streaks' cluster, before lines are drawn through them."""
        return paper_pixels(
            light, clustering=type(self).clustering, settings=self.settings, seed=self.seed
        )


@dataclass(frozen=True, kw_only=True)
class PaperGenetic(PaperMethod):
    """The streak paper's pipeline with a genetic algorithm."""

    name: ClassVar[str] = "paper-ga"
    clustering: ClassVar = staticmethod(genetic_clusters)


@dataclass(frozen=True, kw_only=True)
class PaperGeneticKMeans(PaperMethod):
    """The streak paper's pipeline with k-means that starts from a genetic algorithm's centres."""

    name: ClassVar[str] = "paper-ga-kmeans"
    clustering: ClassVar = staticmethod(seeding_k_means(genetic_clusters))


@dataclass(frozen=True, kw_only=True)
class PaperMixture(PaperMethod):
    """The streak paper's pipeline with a mixture of two normal distributions."""

    name: ClassVar[str] = "paper-gmm"
    clustering: ClassVar = staticmethod(gaussian_mixture)


@dataclass(frozen=True, kw_only=True)
class PaperMixtureKMeans(PaperMethod):
    """The streak paper's pipeline with k-means that starts from two normal distributions."""

    name: ClassVar[str] = "paper-gmm-kmeans"
    clustering: ClassVar = staticmethod(seeding_k_means(gaussian_mixture))


@dataclass(frozen=True, kw_only=True)
class PaperKMeans(PaperMethod):
    """The streak paper's pipeline with k-means from three random starts."""

    name: ClassVar[str] = "paper-kmeans"
    clustering: ClassVar = staticmethod(k_means)


@dataclass(frozen=True, kw_only=True)
class PaperSwarm(PaperMethod):
    """The streak paper's pipeline with a particle swarm."""

    name: ClassVar[str] = "paper-pso"
    clustering: ClassVar = staticmethod(swarm_clusters)


@dataclass(frozen=True, kw_only=True)
class PaperSwarmKMeans(PaperMethod):
    """The streak paper's pipeline with k-means that starts from a particle swarm's centres."""

    name: ClassVar[str] = "paper-pso-kmeans"
    clustering: ClassVar = staticmethod(seeding_k_means(swarm_clusters))
