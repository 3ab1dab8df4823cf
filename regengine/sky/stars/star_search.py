"""Cameras that a star field may have been taken with, by figures.

Of any lens: rungs of a ladder of focal lengths are tried in turn. On each the catalogue is cut off
where a picture of that lens shows a few dozen stars, and its figures are compared with the
picture's (`matchers.points.asterism_match`), the focal length free between rungs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from detectors.types import FloatArray, IndexArray
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion, solid_angle
from matchers.points.asterism_fit import MatchParameters
from matchers.points.asterism_match import match
from matchers.points.asterisms import AsterismIndex, AsterismParameters, build_index


@dataclass(frozen=True, kw_only=True)
class SearchStage:
    """One way to choose stars for figures.

    brightest: So many detections make figures.
    stars_in_view: So many stars of the catalogue would stand in the picture.
    spread: Detections are the brightest of cells over the picture, not of the whole.
    mirrored: The picture is taken as flipped left to right.
    verified: So many proposals of all lenses are verified, the likeliest.
    """

    brightest: int = 30
    stars_in_view: int = 25
    spread: bool = False
    mirrored: bool = False
    verified: int = 4


@dataclass(frozen=True, kw_only=True)
class StarSearchParams:
    """How cameras are proposed.

    stages: In their order. The first two are for a handful of bright stars above much noise: few
        figures, so that few stars prove a camera. Noise spoils figures of thirty where twenty are
        stars; the sky may fill a third of a picture (a limb frame), its stars are then fainter;
        hardware may hold most of the brightest.
    ladder_step: Ratio of focal lengths: rungs overlap with the figures' tolerance of size.
    figures: Of the smallest cut of the catalogue.
    min_shape_tolerance, tightening: The tolerance falls with this power of a cut's size. Distortion
        bends figures of wide fields, which the small cuts serve; half a pixel of figures of 100 is
        what the narrow ones need.
    cut_step: Sizes of the catalogue's cuts are powers of this: few indices serve all lenses.
    min_cut, max_cut: Stars of the smallest and the largest cut.
    sigma_px, sigma_share: One sigma of a detection, and what is added for every radian from the
        figure.
    weighed, fitted, kept: As in `MatchParameters`. In 120 searches of 14 training lists the right
        camera was the first of its rung wherever it was met.
    """

    stages: tuple[SearchStage, ...] = (
        SearchStage(brightest=5, stars_in_view=10, verified=6),
        SearchStage(brightest=8, stars_in_view=15, verified=6),
        SearchStage(brightest=18),
        SearchStage(stars_in_view=90),
        SearchStage(brightest=12),
        SearchStage(brightest=18, mirrored=True),
        SearchStage(stars_in_view=90, mirrored=True),
        SearchStage(stars_in_view=45, spread=True),
        SearchStage(brightest=50, stars_in_view=100),
    )
    ladder_step: float = 1.22
    figures: AsterismParameters = field(
        default_factory=lambda: AsterismParameters(
            neighbours=8, shape_tolerance=0.02, log_size_tolerance=0.12, size_rad=(1e-4, 2.0)
        )
    )
    min_shape_tolerance: float = 0.008
    tightening: float = 0.15
    cut_step: float = 1.5
    min_cut: int = 150
    max_cut: int = 60_000
    sigma_px: float = 1.5
    sigma_share: float = 0.01
    weighed: int = 100
    fitted: int = 24
    kept: int = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """A camera to verify."""

    camera: SkyCamera  # without distortion that was not given
    pairs: IndexArray  # (k, 2): detections and stars that it brings together
    own: IndexArray  # detections of the figure that proposed it
    log10_odds: float  # by the few stars that made figures: for ordering
    figures_met: int  # on its rung
    shape_tolerance: float  # within which they did, as a share of their length


@dataclass(frozen=True, kw_only=True, eq=False)
class StarIndices:
    """The catalogue, cut off at several magnitudes, with the figures of each cut when first used.

    vectors: Unit vectors in ICRS, the brightest first, shape (n, 3).
    """

    vectors: FloatArray
    params: StarSearchParams = field(default_factory=StarSearchParams)
    made: dict[int, AsterismIndex] = field(default_factory=dict)

    def cut(self, stars: float) -> AsterismIndex | None:
        """Index of about so many of the brightest stars; None beyond the largest cut."""
        params, step = self.params, np.log(self.params.cut_step)
        size = round(params.cut_step ** round(np.log(max(stars, params.min_cut)) / step))
        if size > params.max_cut:
            return None
        if size not in self.made:
            brightest = self.vectors[:size]
            widest = params.figures.shape_tolerance
            tolerance = widest * (params.min_cut / size) ** params.tightening
            tolerance = min(widest, max(params.min_shape_tolerance, tolerance))
            self.made[size] = build_index(
                brightest,
                np.arange(len(brightest), 0.0, -1.0),
                replace(params.figures, shape_tolerance=tolerance),
            )
        return self.made[size]


def focal_ladder(
    half_diagonal_px: float, max_tangent: float, min_tangent: float, step: float
) -> list[float]:
    """Focal lengths in pixels, from the widest field to the narrowest."""
    rungs = 1 + round(np.log(max_tangent / min_tangent) / np.log(step))
    return [half_diagonal_px / (max_tangent * step**-k) for k in range(max(1, rungs))]


def propose(
    indices: StarIndices,
    lens: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    significance: FloatArray,
    stage: SearchStage,
) -> Iterator[Proposal]:
    """Propose cameras of about one focal length that a picture may have been taken with.

    Parameters
    ----------
    lens : SkyCamera
        Size of the picture, focal length and distortion to start from; its attitude is not used.
    x, y : ndarray of float64, shape (n,)
        Detections, the most significant first.
    significance : ndarray of float64, shape (n,)

    Yields
    ------
    Proposal
        The likeliest first.
    """
    params = indices.params
    index = indices.cut(stage.stars_in_view * 4.0 * np.pi / solid_angle(lens))
    chosen = np.arange(min(stage.brightest, len(x)))
    if stage.spread:
        # The most significant, none of a cell twice before all cells had their turn
        side = np.sqrt(lens.width_px * lens.height_px / stage.brightest)
        cell = (x // side) * lens.height_px + y // side
        order = np.argsort(cell, kind="stable")
        rank = np.empty(len(x), np.intp)
        rank[order] = np.arange(len(x)) - np.searchsorted(cell[order], cell[order])
        chosen = np.sort(np.argsort(rank, kind="stable")[: stage.brightest])
    if index is None or len(chosen) < 4:
        return
    lens = replace(lens, mirrored=stage.mirrored)
    matching = MatchParameters(
        brightest=stage.brightest,
        neighbours=params.figures.neighbours,
        sigma_rad=params.sigma_px / lens.focal_px,
        sigma_share=params.sigma_share,
        scale_free=True,
        weighed=params.weighed,
        fitted=params.fitted,
        kept=params.kept,
    )
    for attitude in match(index, lens.rays(x[chosen], y[chosen]), significance[chosen], matching):
        inliers = attitude.inliers
        yield Proposal(
            camera=replace(
                lens,
                focal_px=lens.focal_px / attitude.scale,
                quaternion_icrs=matrix_quaternion(attitude.rotation),
            ),
            pairs=np.column_stack([chosen[inliers[:, 0]], inliers[:, 1]]).astype(np.intp),
            own=chosen[attitude.own],
            log10_odds=attitude.log10_odds,
            figures_met=attitude.figures_met,
            shape_tolerance=index.parameters.shape_tolerance,
        )
