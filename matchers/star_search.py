"""Cameras that a star field may have been taken with, by figures.

Of any lens: rungs of a ladder of focal lengths are tried in turn. On each the catalogue is cut off
where a picture of that lens shows a few dozen stars, and its figures are compared with the
picture's (`matchers.asterism_match`), the focal length free between rungs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from detectors.types import FloatArray, IndexArray
from matchers.asterism_fit import MatchParameters
from matchers.asterism_match import match
from matchers.asterisms import AsterismIndex, AsterismParameters, build_index
from matchers.sky_camera import SkyCamera, matrix_quaternion, solid_angle

STEP = 1.22  # of the ladder: rungs overlap with the tolerance of size below
FIGURES = AsterismParameters(
    members=3, neighbours=8, shape_tolerance=0.02, log_size_tolerance=0.12, size_rad=(1e-4, 2.0)
)
# Distortion bends figures of wide fields, which the small cuts serve; half a pixel of figures of
# 100 is what the narrow ones need
TIGHTEST, TIGHTENING = 0.008, 0.15
# Sizes of the catalogue's cuts are powers of this: few indices serve all lenses
CUT_STEP = 1.5
SMALLEST_CUT, LARGEST_CUT = 150, 60_000
# In 120 looks at 14 training lists the right camera was the first of its rung wherever it was met
WEIGHED, FITTED, KEPT = 100, 24, 3


@dataclass(frozen=True, kw_only=True)
class Look:
    """One way to choose stars for figures.

    Attributes
    ----------
    brightest : int
        So many detections make figures.
    stars_in_view : int
        So many stars of the catalogue would stand in the picture.
    spread : bool
        Detections are the brightest of cells over the picture, not of the whole.
    mirrored : bool
        The picture is taken as flipped left to right.
    verified : int
        So many proposals of all lenses are verified, the likeliest.
    """

    brightest: int = 30
    stars_in_view: int = 25
    spread: bool = False
    mirrored: bool = False
    verified: int = 4


# In their order. The first two are for a handful of bright stars above much noise: few figures, so
# that few stars prove a camera. Noise spoils figures of thirty where twenty are stars; the sky may
# fill a third of a picture (a limb frame), its stars are then fainter; hardware may hold most of
# the brightest
LOOKS = (
    Look(brightest=5, stars_in_view=10, verified=6),
    Look(brightest=8, stars_in_view=15, verified=6),
    Look(brightest=18),
    Look(stars_in_view=90),
    Look(brightest=12),
    Look(brightest=18, mirrored=True),
    Look(stars_in_view=90, mirrored=True),
    Look(stars_in_view=45, spread=True),
    Look(brightest=50, stars_in_view=100),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Proposal:
    """A camera to verify.

    Attributes
    ----------
    camera : SkyCamera
        Without distortion.
    pairs : ndarray of int, shape (k, 2)
        Detections and stars that it brings together.
    own : ndarray of int
        Detections of the figure that proposed it.
    log10_odds : float
        By the few stars that made figures: for ordering.
    figures_met : int
        So many figures met on its rung.
    shape_tolerance : float
        Within which they did, as a share of their length.
    """

    camera: SkyCamera
    pairs: IndexArray
    own: IndexArray
    log10_odds: float
    figures_met: int
    shape_tolerance: float


@dataclass(frozen=True, kw_only=True, eq=False)
class StarIndices:
    """The catalogue, cut off at several magnitudes, with the figures of each cut when first used.

    Attributes
    ----------
    vectors : ndarray of float64, shape (n, 3)
        Unit vectors in ICRS, the brightest first.
    """

    vectors: FloatArray
    made: dict[int, AsterismIndex] = field(default_factory=dict)

    def cut(self, stars: float) -> AsterismIndex | None:
        """Index of about so many of the brightest stars; None beyond the largest cut."""
        size = round(CUT_STEP ** round(np.log(max(stars, SMALLEST_CUT)) / np.log(CUT_STEP)))
        if size > LARGEST_CUT:
            return None
        if size not in self.made:
            brightest = self.vectors[:size]
            order = np.arange(len(brightest), 0.0, -1.0)
            tolerance = FIGURES.shape_tolerance * (SMALLEST_CUT / size) ** TIGHTENING
            figures = replace(
                FIGURES, shape_tolerance=min(FIGURES.shape_tolerance, max(TIGHTEST, tolerance))
            )
            self.made[size] = build_index(brightest, order, figures)
        return self.made[size]


def ladder(half_diagonal_px: float, widest_tangent: float, narrowest_tangent: float) -> list[float]:
    """Focal lengths in pixels, from the widest field to the narrowest."""
    rungs = 1 + round(np.log(widest_tangent / narrowest_tangent) / np.log(STEP))
    return [half_diagonal_px / (widest_tangent * STEP**-k) for k in range(max(1, rungs))]


def propose(
    indices: StarIndices,
    lens: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    significance: FloatArray,
    look: Look,
) -> Iterator[Proposal]:
    """Cameras of about one focal length that a picture may have been taken with.

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
    index = indices.cut(look.stars_in_view * 4.0 * np.pi / solid_angle(lens))
    chosen = spread_out(lens, x, y, look.brightest) if look.spread else np.arange(look.brightest)
    chosen = chosen[chosen < len(x)]
    if index is None or len(chosen) < 4:
        return
    lens = replace(lens, mirrored=look.mirrored)
    rays = lens.rays(x[chosen], y[chosen])
    parameters = MatchParameters(
        brightest=look.brightest,
        neighbours=FIGURES.neighbours,
        sigma_rad=1.5 / lens.focal_px,
        sigma_share=0.01,
        scale_free=True,
        weighed=WEIGHED,
        fitted=FITTED,
        kept=KEPT,
    )
    for attitude in match(index, rays, significance[chosen], parameters):
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


def spread_out(lens: SkyCamera, x: FloatArray, y: FloatArray, count: int) -> IndexArray:
    """The most significant detections, none of a cell twice before all cells had their turn."""
    side = np.sqrt(lens.width_px * lens.height_px / count)
    cell = (x // side).astype(int) * 100_003 + (y // side).astype(int)
    order = np.argsort(cell, kind="stable")
    starts = np.flatnonzero(np.diff(cell[order], prepend=cell[order][:1] - 1))
    rank = np.empty(len(x), np.intp)
    rank[order] = np.arange(len(x)) - np.repeat(starts, np.diff(starts, append=len(x)))
    return np.sort(np.lexsort((np.arange(len(x)), rank))[:count])
