"""Propose cameras for a star field by matching asterisms.

Without a known lens, the rungs of a ladder of focal lengths are tried in turn. For each, the
catalogue is cut at the magnitude at which an image of that lens shows a few dozen stars, and its
asterisms are matched with the image's (`matchers.points.asterism_match`). The focal length is free
between rungs.
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
    """One selection of stars for asterisms.

    brightest: Number of detections that form asterisms.
    stars_in_view: Expected number of catalogue stars within the image.
    spread: Whether detections are the brightest of cells over the image instead of the whole image.
    mirrored: Whether the image is taken as flipped left to right.
    verified: Number of proposals of all lenses to verify, the most probable first.
    """

    brightest: int = 30
    stars_in_view: int = 25
    spread: bool = False
    mirrored: bool = False
    verified: int = 4


# Stages of the search for proposals, in order. The first two are for a few bright stars in strong
# noise: few asterisms, so that few stars verify a camera. Noise spoils asterisms of thirty
# detections of which twenty are stars. The sky may fill a third of an image (a limb frame); its
# stars are then fainter. Most of the brightest detections may be on hardware.
STAGES = (
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
# Ratio of focal lengths: rungs overlap with the size tolerance of asterisms.
LADDER_STEP = 1.22
# Asterisms of the smallest cut of the catalogue.
FIGURES = AsterismParameters(
    neighbours=8, shape_tolerance=0.02, log_size_tolerance=0.12, size_rad=(1e-4, 2.0)
)
# The tolerance decreases with this power of a cut's size. Distortion deforms asterisms in wide
# fields, for which the small cuts are used; in narrow fields, half a pixel in asterisms of 100
# pixels is sufficient.
MIN_SHAPE_TOLERANCE = 0.008
TIGHTENING = 0.15
# Sizes of the catalogue's cuts are powers of this: few indices are sufficient for all lenses.
CUT_STEP = 1.5
# Number of stars of the smallest and the largest cut.
MIN_CUT = 150
MAX_CUT = 60_000
# One sigma of a detection, and its increase for every radian from the asterism.
SIGMA_PX = 1.5
SIGMA_SHARE = 0.01
# As in `MatchParameters`. In 120 searches of 14 training lists, the correct camera was the first of
# its rung whenever it was found.
WEIGHED = 100
FITTED = 24
KEPT = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """A camera to verify."""

    camera: SkyCamera  # without distortion unless it was given
    pairs: IndexArray  # (k, 2): matched detections and stars
    own: IndexArray  # detections of the asterism that proposed it
    log10_odds: float  # by the few stars that form asterisms: for sorting
    figures_met: int  # number of matched asterisms on its rung
    shape_tolerance: float  # of the match, as a share of their length


@dataclass(frozen=True, kw_only=True, eq=False)
class StarIndices:
    """The catalogue, cut at several magnitudes; asterisms of a cut are computed on first use.

    vectors: Unit vectors in ICRS, the brightest first, shape (n, 3).
    """

    vectors: FloatArray
    made: dict[int, AsterismIndex] = field(default_factory=dict)

    def cut(self, stars: float) -> AsterismIndex | None:
        """Index of about this number of the brightest stars; None beyond the largest cut."""
        step = np.log(CUT_STEP)
        size = round(CUT_STEP ** round(np.log(max(stars, MIN_CUT)) / step))
        if size > MAX_CUT:
            return None
        if size not in self.made:
            brightest = self.vectors[:size]
            widest = FIGURES.shape_tolerance
            tolerance = widest * (MIN_CUT / size) ** TIGHTENING
            tolerance = min(widest, max(MIN_SHAPE_TOLERANCE, tolerance))
            self.made[size] = build_index(
                brightest,
                np.arange(len(brightest), 0.0, -1.0),
                replace(FIGURES, shape_tolerance=tolerance),
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
    """Propose cameras of about one focal length for an image.

    Parameters
    ----------
    lens : SkyCamera
        Image size, and the initial focal length and distortion; its attitude is not used.
    x, y : ndarray of float64, shape (n,)
        Detections, the most significant first.
    significance : ndarray of float64, shape (n,)

    Yields
    ------
    Proposal
        The most probable first.
    """
    index = indices.cut(stage.stars_in_view * 4.0 * np.pi / solid_angle(lens))
    chosen = np.arange(min(stage.brightest, len(x)))
    if stage.spread:
        # The most significant ones; the second of a cell follows after the first ones of all cells
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
        neighbours=FIGURES.neighbours,
        sigma_rad=SIGMA_PX / lens.focal_px,
        sigma_share=SIGMA_SHARE,
        scale_free=True,
        weighed=WEIGHED,
        fitted=FITTED,
        kept=KEPT,
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
