"""Search for the camera of detected stars by asterisms, and verify it.

Verify a proposed camera: fit its lens, and match predicted stars with detections.

The odds are a product over detections, the brightest first: the likelihood of a star at the
predicted position with the predicted error, divided by that of a chance match at the catalogue's
density there. Where brightness is known, its likelihood ratio is a further factor. A star used by
the fit is compared with its position predicted by a fit without it. Of the triangle that proposed
the camera, the positions of two members do not count; the third counts relative to the area in
which it was matched.

References
----------
Lang, D., Hogg, D. W., Mierle, K., Blanton, M., Roweis, S. (2010). Astrometry.net: blind
astrometric calibration of arbitrary astronomical images. AJ 139, 1782-1800, section 2.4.
Ville, J. (1939). Etude critique de la notion de collectif: the maximum of a product of likelihood
ratios exceeds L by chance with a probability of at most 1 / L.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion, solid_angle
from matchers.points.asterism_match import MatchParameters, match
from matchers.points.asterisms import AsterismIndex, AsterismParameters, build_index
from regengine.sky.stars.star_fit import (
    CameraFit,
    LensPrior,
    fit_camera,
    is_plausible,
    place_variance,
)


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
# Sizes of the catalogue's cuts are powers of this: few indices are sufficient for all lenses.
CUT_STEP = 1.5
# Number of stars of the smallest cut.
MIN_CUT = 150
# One sigma of a detection, and its increase for every radian from the asterism.
SIGMA_PX = 1.5
# As in `MatchParameters`. In 120 searches of 14 training lists, the correct camera was the first of
# its rung whenever it was found.
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
        if size > 60_000:
            return None
        if size not in self.made:
            brightest = self.vectors[:size]
            widest = FIGURES.shape_tolerance
            tolerance = widest * (MIN_CUT / size) ** 0.15
            # The tolerance decreases with this power of a cut's size. Distortion deforms asterisms
            # in wide fields, for which the small cuts are used; in narrow fields, half a pixel in
            # asterisms of 100 pixels is sufficient
            tolerance = min(widest, max(0.008, tolerance))
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
        sigma_share=0.01,
        scale_free=True,
        weighed=100,
        fitted=24,
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


@dataclass(frozen=True, kw_only=True, eq=False)
class StarField:
    """Detections of an image, and the catalogue to compare them with.

    x, y: Detections, pixels, the most significant first, shape (n,).
    vectors_icrs: Stars of the catalogue, the brightest first, shape (c, 3).
    magnitude: Of detections, with any zero point; without it, only positions count, shape (n,).
    star_magnitude: Of the catalogue, if the detections have magnitudes, shape (c,).
    """

    x: FloatArray
    y: FloatArray
    vectors_icrs: FloatArray
    magnitude: FloatArray | None = None
    star_magnitude: FloatArray = field(default_factory=lambda: np.zeros(0))


MIN_PAIRS = 4  # for a fit of attitude and focal length with redundancy
MAX_SIGMAS = 3.5  # a detection farther from a predicted star does not match it


@dataclass(frozen=True, kw_only=True)
class VerifyParameters:
    """Parameters of the verification of a camera.

    detections: Number of the brightest detections that are tested.
    depths: Numbers of the brightest predicted stars in the image: each is tried.
    ceiling_px: Upper limit of the measured error of a detection under the fitted lens, per axis.
    shape_tolerance: Of the proposing triangle, as a share of its length.
    prior: Prior of the lens.
    """

    detections: int = 150
    depths: tuple[int, ...] = (25, 75, 225, 700)
    ceiling_px: float = 4.0
    shape_tolerance: float = 0.02
    prior: LensPrior = field(default_factory=LensPrior)


@dataclass(frozen=True, kw_only=True, eq=False)
class Verified:
    """A fitted camera, its odds and its matched stars."""

    fit: CameraFit  # the camera and its covariance
    log10_odds: float  # against chance, for a single camera tried
    pairs: IndexArray  # (k, 2): detections and their stars


def verify(
    camera: SkyCamera,
    pairs: IndexArray,
    own: IndexArray,
    field: StarField,
    parameters: VerifyParameters,
) -> Verified | None:
    """Fit a proposed camera to a growing number of stars, and compute its odds.

    Parameters
    ----------
    pairs : ndarray of int, shape (k, 2)
        Matched detections and stars of the proposal.
    own : ndarray of int, shape (m,)
        Detections of the asterism that proposed it: they do not count.

    Returns
    -------
    Verified or None
        The best of all rounds; None where too few stars match to fit a camera.
    """
    vectors, depths = field.vectors_icrs, parameters.depths
    asked = min(len(field.x), parameters.detections)
    counts = np.ones(asked, bool)
    counts[own[own < asked]] = False
    sigma, best, believed = parameters.ceiling_px, None, camera
    for turn in range(8):
        if len(pairs) < MIN_PAIRS:
            break
        x, y, met = field.x[pairs[:, 0]], field.y[pairs[:, 0]], vectors[pairs[:, 1]]
        fit = fit_camera(camera, x, y, met, sigma, parameters.prior, believed)
        camera = fit.camera
        if not is_plausible(camera, believed, parameters.prior):
            break
        # Error of the detections from leave-one-out residuals. The median of a Rayleigh
        # distribution is 1.177 sigma; with few stars it is uncertain
        px, py = camera.project(met)
        seen = np.isfinite(px)
        sigma = parameters.ceiling_px
        if seen.sum() >= MIN_PAIRS:
            share = np.clip(place_variance(fit, met[seen]) / fit.sigma_px**2, 0.0, 0.9)
            off = np.hypot(x - px, y - py)[seen] / (1.0 - share) ** 0.5
            square = len(off) * (np.median(off) / 1.177) ** 2
            # The prior counts as four stars with a residual of half a pixel
            sigma = float(np.sqrt((square + 4.0 * 0.5**2) / (len(off) + 4.0)))
            sigma = min(max(sigma, 0.3), parameters.ceiling_px)
        fit = replace(fit, covariance=fit.covariance * (sigma / fit.sigma_px) ** 2, sigma_px=sigma)
        # The sparsest parts of the sky have a third of the mean star density
        enough = round(3.0 * max(depths) * 4.0 * np.pi / solid_angle(camera))
        star, px, py = camera.find_in_view(vectors[:enough])
        star, places = star[: max(depths)], np.column_stack([px, py])[: max(depths)]
        variance = sigma**2 + place_variance(fit, vectors[star])
        # A depth beyond the first that includes all stars adds nothing
        tried = depths[: sum(depth < len(star) for depth in depths) + 1]
        ways = [
            weigh_detections(
                fit, star[:d], places[:d], variance[:d], pairs, counts, field, parameters
            )
            for d in tried
        ]
        odds, now = max(ways, key=lambda way: way[0])
        odds -= float(np.log10(len(tried)))
        if best is None or odds > best.log10_odds:
            best = Verified(fit=fit, log10_odds=odds, pairs=now)
        # Correct ones of the real star fields had 2.5 and more after the first round, 8 and more
        # after the second
        hopeless = (0.5, 2.5, 4.0)[: turn + 1][-1]
        if np.array_equal(now, pairs) or best.log10_odds < hopeless:
            break
        pairs = now
    return best


def weigh_detections(
    fit: CameraFit,
    star: IndexArray,
    places: FloatArray,
    variance_px2: FloatArray,
    used: IndexArray,
    counts: BoolArray,
    field: StarField,
    parameters: VerifyParameters,
) -> tuple[float, IndexArray]:
    """Log10 odds of detections against predicted stars, and the pairs that support the camera.

    Parameters
    ----------
    star, places, variance_px2 : ndarray, shapes (p,), (p, 2), (p,)
        Stars in the image, the brightest first, their predicted positions and variances.
    used : ndarray of int, shape (k, 2)
        Pairs that the fit used.
    counts : ndarray of bool, shape (n,)
        Which of the brightest detections, which are all tested, count.
    """
    if len(star) < MIN_PAIRS:
        return -np.inf, np.zeros((0, 2), np.intp)
    x, y = field.x[: len(counts)], field.y[: len(counts)]
    tree = cKDTree(places)
    widest = MAX_SIGMAS * float(np.sqrt(variance_px2.max()))
    distance, near = tree.query(np.column_stack([x, y]), distance_upper_bound=widest)
    near = np.where(np.isfinite(distance), near, 0)
    # Stars used by the fit are compared with their leave-one-out predictions
    partner = np.full(len(x), -1, np.intp)
    inside = used[:, 0] < len(x)
    partner[used[inside, 0]] = used[inside, 1]
    in_fit = partner == star[near]
    share = np.clip(variance_px2[near] / fit.sigma_px**2 - 1.0, 0.0, 0.9)
    apart = np.where(in_fit, distance / (1.0 - share), distance)
    variance = np.where(in_fit, fit.sigma_px**2 / (1.0 - share), variance_px2[near])
    close = apart < MAX_SIGMAS * np.sqrt(variance)
    gauss = np.exp(-0.5 * np.where(close, apart, 0.0) ** 2 / variance) / (2.0 * np.pi * variance)
    # Chance density: the local density, at least that of the whole image
    k = min(8, len(star) - 1)
    reach = np.maximum(tree.query(places, k=k + 1)[0][:, -1], 1e-3)
    whole = len(star) / (fit.camera.width_px * fit.camera.height_px)
    ratio = np.where(close, gauss / np.maximum(k / (np.pi * reach**2), whole)[near], 0.0)
    # If several detections match the same star, the nearest is kept
    order = np.lexsort((np.where(close, apart, np.inf), near))
    first = np.zeros(len(x), bool)
    first[order[np.unique(near[order], return_index=True)[1]]] = True
    met = close & first & (ratio > 1.0)
    ratio = np.where(first, ratio, 0.0)
    # Laplace's rule of succession: share of the previous detections that match a star
    before = np.cumsum(met & counts) - (met & counts)
    h = (1.0 + before) / (2.0 + np.cumsum(counts) - counts)
    pairs = np.column_stack([np.flatnonzero(met), star[near[met]]]).astype(np.intp)
    own = np.flatnonzero(~counts)
    if len(own) == 3:
        # Two members, the ends of the longest side, determine the triangle but not the third
        # member. That was matched within the asterisms' tolerance; here its accuracy is evaluated
        corners = np.column_stack([x[own], y[own]])
        sides = np.linalg.norm(np.roll(corners, -1, axis=0) - np.roll(corners, 1, axis=0), axis=1)
        third = own[np.argmax(sides)]
        if met[third]:
            area = np.pi * (parameters.shape_tolerance * sides.max()) ** 2 * 2.0 / 3.0
            h[third], ratio[third] = 0.5, gauss[third] * area
            counts = counts | (np.arange(len(x)) == third)
    ways = [np.where(counts, 1.0 - h + h * ratio, 1.0)]
    if field.magnitude is not None:
        stars = field.star_magnitude[star]
        # In a photo with linear values that were taken for sRGB, magnitude differences are 2.2
        # times too large
        for slope in (1.0, 1.0 / 2.2):
            seen = slope * field.magnitude[: len(x)]
            light = light_ratios(seen, stars[near], met, stars)
            ways.append(np.where(counts, 1.0 - h + h * ratio * light, light))
    # All ways have the same prior probability; their mean is a fair game, too
    so_far = np.logaddexp.reduce(np.cumsum(np.log(ways), axis=1), axis=0) - np.log(len(ways))
    return float(so_far.max(initial=0.0) / np.log(10.0)), pairs


def light_ratios(
    magnitude: FloatArray,
    star_magnitude: FloatArray,
    met: BoolArray,
    predicted: FloatArray,
) -> FloatArray:
    """Likelihood ratio of each matched star's brightness against any ``predicted`` star.

    In the order in which detections are tested, with any zero point, shape (n,); 1 for unmatched
    detections and for the first match.
    """
    ratios = np.ones(len(magnitude))
    later = np.flatnonzero(met)[1:]
    count = np.arange(1, len(later) + 1)
    # Row by row, the zero points of the stars matched before
    zero = (star_magnitude - magnitude)[met][: len(later)]
    before = np.sort(np.where(np.tri(len(later), dtype=bool), zero, np.inf), axis=1)
    middle = 0.5 * (before[count - 1, (count - 1) // 2] + before[count - 1, count // 2])
    squares = np.tril(np.minimum((before - middle[:, None]) ** 2, 1.0)).sum(axis=1)
    # One sigma of a detection's magnitude relative to Gaia's G is 0.5 (colours 0.3, vignetting and
    # clipping more); this prior counts as four stars in addition to those that measure it
    spread = 4.0 * 0.5**2 + squares
    # A median's variance is pi / 2 times that of a mean
    variance = spread / (4.0 + count - 1) * (1.0 + np.pi / 2.0 / count)
    seen = magnitude[later] + middle

    def chance(stars: FloatArray) -> FloatArray:
        off2 = (seen[:, None] - stars) ** 2 / variance[:, None]
        gauss = np.exp(-0.5 * off2) / np.sqrt(2.0 * np.pi * variance[:, None])
        # Variables, doubles, clipped cores: a fifth of the stars has any magnitude within ten
        return np.asarray((0.8 * gauss + 0.2 / 10.0).mean(axis=1))

    ratios[later] = chance(star_magnitude[later, None]) / chance(predicted)
    return ratios
