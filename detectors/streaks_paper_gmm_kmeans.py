"""Streaks as Farzaneh et al. 2021 find them, pixels clustered by GMM, then k-means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from detectors.paper_method import PaperMethod
from detectors.pixel_clusters import gaussian_mixture, seeding_k_means


@dataclass(frozen=True, kw_only=True)
class PaperMixtureKMeans(PaperMethod):
    """The streak paper's pipeline with k-means that starts from two normal distributions."""

    name: ClassVar[str] = "paper-gmm-kmeans"
    clustering: ClassVar = staticmethod(seeding_k_means(gaussian_mixture))
