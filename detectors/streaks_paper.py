"""Streaks as Farzaneh et al. 2021 find them: seven ways to cluster pixels, one pipeline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.anisotropic_diffusion import best_iterations, diffused
from detectors.paper_frame import RANGE_SIGMA, GreyFrame
from detectors.paper_measures import centred, cut_at_border, described, with_ends
from detectors.paper_segments import SegmentSettings, component_segments, joined
from detectors.paper_stars import StarSettings, find_stars
from detectors.pixel_clusters import (
    Clustering,
    above_local_sky,
    gaussian_mixture,
    genetic_clusters,
    k_means,
    pixel_features,
    seeding_k_means,
    swarm_clusters,
)
from detectors.types import BoolImage, FloatArray, FloatImage, StreakDetections

FEWEST_PIXELS = 100  # of fewer no clusters are made
CLUSTERINGS: Mapping[str, Clustering] = {
    "paper-ga": genetic_clusters,
    "paper-ga-kmeans": seeding_k_means(genetic_clusters),
    "paper-gmm": gaussian_mixture,
    "paper-gmm-kmeans": seeding_k_means(gaussian_mixture),
    "paper-kmeans": k_means,
    "paper-pso": swarm_clusters,
    "paper-pso-kmeans": seeding_k_means(swarm_clusters),
}


@dataclass(frozen=True, kw_only=True)
class PaperSettings:
    """Parameters of the steps; the paper leaves most of them open."""

    # Slopes so many times that of the noise are edges, which diffusion spares
    edge_noises: float = 4.0
    stars: StarSettings = field(default_factory=StarSettings)
    segments: SegmentSettings = field(default_factory=SegmentSettings)
    # Half of the pixels that clusters are found in are brighter than this in either feature. 0: all
    # are drawn alike
    bright_sigma: float = 4.0
    sampled_pixels: int = 10_000  # pixels that clusters are found in
    most_parts: int = 60  # straight parts, the longest of a frame, that are looked at
    min_snr: float = 12.0  # signal-to-noise ratio along a segment that a streak needs
    shortest_px: float = 28.0  # shorter segments are no streaks
    # Nor are narrower ones (cosmic rays, columns that bleed) or wider ones (clouds)
    width_px: tuple[float, float] = (1.7, 8.0)


@dataclass(frozen=True, kw_only=True)
class _ClusteredFrame:
    """A frame whose pixels were told apart."""

    denoised: FloatImage  # (h, w): diffused, above the local sky
    usable: BoolImage  # (h, w): neither ignored nor a star
    streak: BoolImage  # (h, w): pixels of the streak's cluster: misclassification counts them
    rng: np.random.Generator


def training_pixels(
    features: FloatImage, usable: BoolImage, settings: PaperSettings, rng: np.random.Generator
) -> FloatArray:
    """Features of the pixels that clusters are found in, shape (n, d).

    Streaks are a thousandth of the pixels. The best two clusters of all pixels would cut the
    noise in halves, and so half of those drawn are bright ones.
    """
    every = features[usable]
    count = min(settings.sampled_pixels, len(every))
    if settings.bright_sigma <= 0.0:
        return np.asarray(every[rng.integers(0, len(every), count)], float)
    bright = np.flatnonzero(every.max(axis=1) >= settings.bright_sigma)
    chosen = rng.integers(0, len(every), count)
    if bright.size:
        chosen[: count // 2] = bright[rng.integers(0, bright.size, count // 2)]
    return np.asarray(every[chosen], float)


def _each(
    step: Callable[[GreyFrame, BoolImage, FloatArray], FloatArray],
    frame: GreyFrame,
    usable: BoolImage,
    segments: FloatArray,
) -> FloatArray:
    return np.array([step(frame, usable, one) for one in segments], float).reshape(-1, 4)


def _lengths(segments: FloatArray) -> FloatArray:
    return np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])


@dataclass(frozen=True, kw_only=True)
class PaperMethod:
    """The streak paper's pipeline with one of its clusterings."""

    name: str  # one of `CLUSTERINGS`
    settings: PaperSettings = field(default_factory=PaperSettings)
    seed: int = 0  # of everything that is drawn at random

    def detect(
        self,
        light: NDArray[np.generic],
        mask: BoolImage | None = None,
        saturated: NDArray[np.generic] | None = None,
    ) -> StreakDetections:
        """Find the streaks of an image; see `detectors.types.Detector`."""
        frame = GreyFrame.of(light, mask, saturated)
        if frame is None:
            return StreakDetections.empty()
        clusters = self._clusters(frame)
        return self._judged(frame, clusters.usable, self._segments(frame, clusters))

    def _clusters(self, frame: GreyFrame) -> _ClusteredFrame:
        """Denoise, remove stars, cluster."""
        settings, rng, grey = self.settings, np.random.default_rng(self.seed), frame.grey
        edges = settings.edge_noises
        iterations = best_iterations(
            grey, noise=1.0, data_range=RANGE_SIGMA, edge_noises=edges, seed=self.seed
        )
        denoised = above_local_sky(diffused(grey, iterations, noise=1.0, edge_noises=edges))
        denoised[frame.ignored] = 0.0
        stars = find_stars(denoised, settings.stars)
        usable = ~(frame.ignored | stars.covered(denoised.shape))
        streak = np.zeros_like(usable)
        if np.count_nonzero(usable) >= FEWEST_PIXELS:
            features = pixel_features(np.where(usable, denoised, np.float32(0.0)), usable)
            sample = training_pixels(features, usable, settings, rng)
            streak = CLUSTERINGS[self.name](sample, rng).bright(features) & usable
        return _ClusteredFrame(denoised=denoised, usable=usable, streak=streak, rng=rng)

    def _segments(self, frame: GreyFrame, clusters: _ClusteredFrame) -> FloatArray:
        """Straight segments of the streak's pixels, joined, not yet judged; shape (N, 4)."""
        settings, denoised, usable = self.settings, clusters.denoised, clusters.usable
        parts = component_segments(clusters.streak, denoised, clusters.rng, settings.segments)
        parts = parts[np.argsort(-_lengths(parts), kind="stable")][: settings.most_parts]
        parts = _each(centred, frame, usable, parts)
        return joined(parts, denoised, usable, settings.segments)

    def _judged(
        self, frame: GreyFrame, usable: BoolImage, segments: FloatArray
    ) -> StreakDetections:
        """The segments measured, and those that may be streaks."""
        settings = self.settings
        segments = segments[_lengths(segments) >= 0.7 * settings.shortest_px]
        for step in (centred, with_ends, centred, cut_at_border):
            segments = _each(step, frame, usable, segments)
        segments = segments[_lengths(segments) >= settings.shortest_px]
        streaks = described(frame, usable, segments)
        low, high = settings.width_px
        fits = (streaks.width_px >= low) & (streaks.width_px <= high)
        return streaks.select(fits & (streaks.snr >= settings.min_snr))


DETECTORS = tuple(PaperMethod(name=name) for name in CLUSTERINGS)
