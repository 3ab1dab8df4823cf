"""Cameras that a star field may have been taken with: by figures, or about a known vertical.

Of any lens: rungs of a ladder of focal lengths are tried in turn. On each the catalogue is cut off
where a picture of that lens shows a few dozen stars, and its figures are compared with the
picture's (`matchers.asterism_match`), the focal length free between rungs.

With the zenith known in the picture and among the stars, what is left of the attitude is one angle.
Every pair of a detection and a star at the same angle from the vertical votes for the turn that
brings one onto the other (a Hough transform of one dimension). What a wrong vertical leaves is a
shift of the picture, for which pairs vote in turn.
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
BIN_DEG = 0.5


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


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A rotation from the camera's frame to the stars', and how many detections vote for it."""

    votes: float
    matrix: FloatArray


def best_turns(
    rays: FloatArray,
    nadir: FloatArray,
    stars: FloatArray,
    down: FloatArray,
    tolerance_deg: float,
    count: int,
) -> list[Turn]:
    """Turns about the vertical that bring most detections near stars.

    Parameters
    ----------
    rays : ndarray of float64, shape (n, 3)
        Unit vectors of detections in the camera's frame.
    nadir : ndarray of float64, shape (3,)
        Direction of the nadir there.
    stars : ndarray of float64, shape (m, 3)
        Unit vectors of stars.
    down : ndarray of float64, shape (3,)
        Direction of the nadir among them.
    tolerance_deg : float
        How far the two nadirs may be apart: of the angles from them.

    Returns
    -------
    list of Turn
        Most votes first.
    """
    seen_axes, true_axes = axes_about(nadir), axes_about(down)
    seen, true = rays @ seen_axes, stars @ true_axes
    seen_off = np.arccos(np.clip(seen[:, 2], -1.0, 1.0))
    true_off = np.arccos(np.clip(true[:, 2], -1.0, 1.0))
    reach = np.radians(tolerance_deg)
    ring = (true_off > seen_off.min() - reach) & (true_off < seen_off.max() + reach)
    true, true_off = true[ring], true_off[ring]
    near = np.abs(seen_off[:, None] - true_off[None, :]) < reach
    first, second = np.nonzero(near)
    azimuth = np.arctan2(true[second, 1], true[second, 0])
    azimuth = np.degrees(azimuth - np.arctan2(seen[first, 1], seen[first, 0])) % 360.0
    bins = round(360.0 / BIN_DEG)
    met = np.zeros((len(rays), bins), bool)
    met[first, (azimuth / BIN_DEG).astype(int) % bins] = True
    # What lies on the edge of two bins counts in both; a detection counts once, however many stars
    # there are
    met |= np.roll(met, 1, axis=1) | np.roll(met, -1, axis=1)
    votes = met.sum(axis=0).astype(float)
    found = []
    for _ in range(count):
        best = int(np.argmax(votes))
        angle = np.radians((best + 0.5) * BIN_DEG)
        cosine, sine = np.cos(angle), np.sin(angle)
        turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        found.append(Turn(votes=float(votes[best]), matrix=true_axes @ turn @ seen_axes.T))
        votes[np.arange(best - 3, best + 4) % bins] = -1.0
    return found


def axes_about(axis: FloatArray) -> FloatArray:
    """Right-handed axes whose third is a direction, as the columns of a matrix (3, 3)."""
    side = np.cross(axis, [0.0, 0.0, 1.0] if abs(axis[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    return np.stack([side, np.cross(axis, side), axis], axis=1)


def best_shift(
    found: FloatArray, there: FloatArray, reach_px: float, cell_px: float
) -> tuple[float, FloatArray]:
    """The shift that brings most detections onto stars.

    Parameters
    ----------
    found : ndarray of float64, shape (n, 2)
        Detections, pixels.
    there : ndarray of float64, shape (m, 2)
        Stars, pixels.
    reach_px : float
        The largest shift along either axis.
    cell_px : float
        Shifts within so much of each other are one.

    Returns
    -------
    votes : float
        How many detections meet stars within a cell or its neighbours.
    shift : ndarray of float64, shape (2,)
        From detections to stars, pixels.
    """
    side = 2 * int(np.ceil(reach_px / cell_px)) + 1
    apart = there[None, :, :] - found[:, None, :]
    cell = np.round(apart / cell_px).astype(int) + side // 2
    inside = ((cell >= 0) & (cell < side)).all(axis=2)
    which, star = np.nonzero(inside)
    met = np.zeros((len(found), side + 2, side + 2), bool)
    column, row = cell[which, star].T
    for right in (0, 1, 2):
        for lower in (0, 1, 2):
            met[which, column + right, row + lower] = True
    votes = met.sum(axis=0)
    best = np.unravel_index(int(np.argmax(votes)), votes.shape)
    return float(votes[best]), (np.array(best, float) - 1.0 - side // 2) * cell_px
