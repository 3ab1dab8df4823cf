"""Star solution: from detections to a camera in ICRS, with or without a prior of the lens.

Asterisms propose cameras; each is verified: its lens fitted, predicted stars matched. Attitude,
focal length and distortion are fitted in one adjustment, where every parameter has a prior. Few
stars thus determine what they can, and the rest keeps typical values. The covariance of the fit
predicts the position errors of stars that were not used.

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
Brown, D. C. (1966). Decentering distortion of lenses. Photogrammetric Engineering 32 (3), 444-462.
Bar-Itzhack, I. Y., Oshman, Y. (1985). Attitude determination from vector observations: quaternion
estimation. IEEE Trans. Aerospace and Electronic Systems 21 (1), 128-136 (small-angle update).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from scipy.special import bdtr, bdtrc

from detectors.types import BoolArray, Columns, FloatArray, IndexArray, PointFlag, StarDetections
from matchers.geometry.camera import Camera, widest_tangent
from matchers.geometry.projection import distort, distortion_jacobian
from matchers.geometry.sky_camera import LENS_PARAMETERS, SkyCamera, matrix_quaternion, solid_angle
from matchers.points.asterism_match import MatchParameters, match
from matchers.points.asterisms import AsterismIndex, AsterismParameters, build_index
from regengine.orbit.rotation import aberration_turn, earth_velocity
from regengine.sky.stars.catalogue import StarCatalogue
from regengine.store.reasons import Reason


@dataclass(frozen=True, kw_only=True)
class LensPrior:
    """Prior standard deviations (one sigma) of the lens parameters.

    Distortion terms are expressed as the shift that each causes at the image corner, as a share of
    the corner's distance from the centre. Makers' data sheets have 0.5 % and less for long lenses
    and up to 5 % (here two sigma) for the widest rectilinear ones: each sigma is a constant and a
    part that grows with the tangent of the angle to the corner.

    log_focal: Natural logarithm of the focal length, about that of the initial camera.
    principal_share: Principal point, as a share of the image's long side: moderate crops shift it
        by this.
    k1, k2, k3, tangential: Distortion terms at the corner: the constant, and the part per unit of
        tangent.
    max_sigmas: A lens farther from the prior is rejected.
    min_reach: The lens model must be valid beyond the corner by this factor, to allow for the
        principal point.
    """

    log_focal: float = 0.5
    principal_share: float = 0.02
    k1: tuple[float, float] = (0.002, 0.025)
    k2: tuple[float, float] = (0.001, 0.01)
    k3: tuple[float, float] = (0.0005, 0.005)
    tangential: tuple[float, float] = (0.0003, 0.001)
    max_sigmas: float = 6.0
    min_reach: float = 1.1


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraFit:
    """A fitted camera and its covariance."""

    camera: SkyCamera
    # (11, 11): of the parameters, in the order of `jacobian`, for errors of `sigma_px`
    covariance: FloatArray
    sigma_px: float  # assumed error of a star's position, per axis


def fit_camera(
    start: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    vectors_icrs: FloatArray,
    sigma_px: float,
    prior: LensPrior,
    centre: SkyCamera | None = None,
) -> CameraFit:
    """Fit the most probable camera to identified stars (Levenberg-Marquardt, maximum a posteriori).

    `x`, `y` (k,): detections, pixels of the image as stored; `vectors_icrs` (k, 3): their stars;
    `sigma_px`: error of a detection per axis; `prior`: about the lens of `centre`, by default
    `start`.
    """
    believed = start if centre is None else centre
    sigma = prior_sigmas(believed, prior)
    off = lens_offsets(start, believed) / sigma

    def residuals(step: FloatArray) -> FloatArray:
        places = np.stack(move_camera(start, step).project(vectors_icrs), axis=1)
        away = np.nan_to_num(places - np.stack([x, y], axis=1)) / sigma_px
        return np.concatenate([away.ravel(), off + step[3:] / sigma])

    def slopes(step: FloatArray) -> FloatArray:
        # With rotations of the updated camera: close to those of the start, and the same minimum
        camera = move_camera(start, step)
        seen = np.isfinite(camera.project(vectors_icrs)[0])
        rows = np.zeros((len(x), 2, len(step)))
        rows[seen] = jacobian(camera, vectors_icrs[seen]).reshape(-1, 2, len(step)) / sigma_px
        lens = np.hstack([np.zeros((len(sigma), 3)), np.diag(1.0 / sigma)])
        return np.vstack([rows.reshape(-1, len(step)), lens])

    found = least_squares(
        residuals, np.zeros(3 + len(sigma)), slopes, method="lm", x_scale="jac", max_nfev=20
    )
    normal = found.jac.T @ found.jac
    normal[range(3), range(3)] += 1e-9  # for stars that all lie behind the camera
    return CameraFit(
        camera=move_camera(start, found.x),
        covariance=np.asarray(np.linalg.inv(normal), float),
        sigma_px=sigma_px,
    )


def is_plausible(camera: SkyCamera, believed: SkyCamera, prior: LensPrior) -> bool:
    off = lens_offsets(camera, believed) / prior_sigmas(believed, prior)
    unfolded = widest_tangent(camera.distortion) > prior.min_reach * corner_tangent(camera)
    return bool((np.abs(off) < prior.max_sigmas).all() and unfolded)


def corner_tangent(camera: SkyCamera) -> float:
    """Tangent of the angle between the axis and the image corner, without distortion."""
    return float(np.hypot(camera.width_px, camera.height_px) / 2.0 / camera.focal_px)


def prior_sigmas(camera: SkyCamera, prior: LensPrior) -> FloatArray:
    """Prior sigmas of `LENS_PARAMETERS` (of the focal length by its logarithm), shape (8,)."""
    r = corner_tangent(camera)
    principal = prior.principal_share * max(camera.width_px, camera.height_px)
    k1, k2, k3, tangential = (
        constant + slope * r for constant, slope in (prior.k1, prior.k2, prior.k3, prior.tangential)
    )
    return np.array(
        [
            *(prior.log_focal, principal, principal, k1 / r**2, k2 / r**4),
            *(tangential / r, tangential / r, k3 / r**6),
        ]
    )


def lens_offsets(camera: SkyCamera, other: SkyCamera) -> FloatArray:
    """Differences of two cameras' lens parameters, the focal length by its logarithm."""
    off = camera.lens_values - other.lens_values
    off[0] = np.log(camera.focal_px / other.focal_px)
    return off


def move_camera(camera: SkyCamera, step: FloatArray) -> SkyCamera:
    """Apply a parameter step of shape (11,), in the order of `jacobian`."""
    turn = Rotation.from_rotvec(step[:3]).as_matrix()
    k1, k2, p1, p2, k3 = (old + new for old, new in zip(camera.distortion, step[6:], strict=True))
    return replace(
        camera,
        quaternion_icrs=matrix_quaternion(camera.matrix @ turn),
        focal_px=float(camera.focal_px * np.exp(step[3])),
        principal_point=(
            float(camera.principal_point[0] + step[4]),
            float(camera.principal_point[1] + step[5]),
        ),
        distortion=(float(k1), float(k2), float(p1), float(p2), float(k3)),
    )


def jacobian(camera: SkyCamera, vectors_icrs: FloatArray) -> FloatArray:
    """Jacobian of the projected positions of directions (k, 3), shape (2 k, 11).

    Rows are x, y in turn; pixels per radian, per unit of log focal length, per pixel, per unit of
    k1, k2, p1, p2, k3.
    """
    local = vectors_icrs @ camera.matrix
    z = local[:, 2]
    u, v = local[:, 0] / z, local[:, 1] / z
    r2 = u * u + v * v
    uu, vv, uv = distortion_jacobian(u, v, camera.distortion)
    bent_u, bent_v = distort(u, v, camera.distortion)
    # A rotation w of the camera's frame moves local vectors by -w x local
    du = np.stack([u * v, -(1.0 + u * u), v], axis=1)
    dv = np.stack([1.0 + v * v, -u * v, -u], axis=1)
    f, one, zero = camera.focal_px, np.ones_like(u), np.zeros_like(u)
    terms_u = [u * r2, u * r2**2, 2.0 * u * v, r2 + 2.0 * u * u, u * r2**3]
    terms_v = [v * r2, v * r2**2, r2 + 2.0 * v * v, 2.0 * u * v, v * r2**3]
    turn_u = f * (uu[:, None] * du + uv[:, None] * dv)
    turn_v = f * (uv[:, None] * du + vv[:, None] * dv)
    rows_x = np.column_stack([turn_u, f * bent_u, one, zero, *(f * t for t in terms_u)])
    rows_y = np.column_stack([turn_v, f * bent_v, zero, one, *(f * t for t in terms_v)])
    if camera.mirrored:
        rows_x = -rows_x
    return np.stack([rows_x, rows_y], axis=1).reshape(-1, 3 + len(LENS_PARAMETERS))


def place_variance(fit: CameraFit, vectors_icrs: FloatArray) -> FloatArray:
    """Variance (k,), square pixels, of star positions due to the camera's covariance.

    Per axis, the mean over x and y; the directions lie in front of the camera.
    """
    slopes = jacobian(fit.camera, vectors_icrs)
    variance = np.einsum("ij,jk,ik->i", slopes, fit.covariance, slopes)
    return np.asarray(variance.reshape(-1, 2).mean(axis=1))


@dataclass(frozen=True, kw_only=True, eq=False)
class StarPairs(Columns):
    """Detections and their stars.

    detection, star: Indices of the detections and of the catalogue's stars, shape (N,).
    alone: Whether no other star blends with it, shape (N,).
    """

    detection: IndexArray
    star: IndexArray
    alone: BoolArray


def pair_stars(
    camera: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    vectors_icrs: FloatArray,
    magnitudes: FloatArray,
    *,
    tolerance_px: float,
    blend_px: float,
) -> StarPairs:
    """Pair detections and stars, of these `magnitudes` (M,), that are mutual nearest neighbours.

    `tolerance_px`: maximum distance of a pair; `blend_px`: stars with a neighbour within this
    distance, at most 2.5 magnitudes fainter, are blended: the neighbour shifts their centroid, at
    2.5 magnitudes by 0.1 of the distance.
    """
    near, px, py = camera.find_in_view(vectors_icrs, margin_px=blend_px)
    if not len(near) or not len(x):
        none = np.zeros(0, np.intp)
        return StarPairs(detection=none, star=none, alone=np.zeros(0, bool))
    places, found = np.stack([px, py], axis=1), np.stack([x, y], axis=1)
    sky = cKDTree(places)
    gap, star = sky.query(found, distance_upper_bound=tolerance_px)
    back = cKDTree(found).query(places)[1]
    detection = np.flatnonzero(np.isfinite(gap))
    detection = detection[back[star[detection]] == detection]
    star = star[detection]
    brightness = magnitudes[near]
    around = sky.query_ball_point(places[star], blend_px)
    rivals = [
        np.count_nonzero(brightness[k] <= brightness[s] + 2.5)
        for s, k in zip(star, around, strict=True)
    ]
    return StarPairs(detection=detection, star=near[star], alone=np.array(rivals, int) == 1)


# Proposals of cameras by asterisms, and their verification


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
LADDER_STEP = 1.22  # ratio of focal lengths: rungs overlap by the size tolerance of asterisms
# Asterisms of the smallest cut of the catalogue.
FIGURES = AsterismParameters(
    neighbours=8, shape_tolerance=0.02, log_size_tolerance=0.12, size_rad=(1e-4, 2.0)
)
CUT_STEP = 1.5  # sizes of the catalogue's cuts are its powers: few indices serve all lenses
MIN_CUT = 150  # stars of the smallest cut


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


def focal_ladder(half_diagonal_px: float, max_tangent: float, min_tangent: float) -> list[float]:
    """Focal lengths in pixels, from the widest field to the narrowest."""
    rungs = 1 + round(np.log(max_tangent / min_tangent) / np.log(LADDER_STEP))
    return [half_diagonal_px / (max_tangent * LADDER_STEP**-k) for k in range(max(1, rungs))]


def propose(
    indices: StarIndices,
    lens: SkyCamera,
    x: FloatArray,
    y: FloatArray,
    significance: FloatArray,
    stage: SearchStage,
) -> Iterator[Proposal]:
    """Propose cameras of about one focal length for an image, the most probable first.

    `lens`: image size, and the initial focal length and distortion; its attitude is not used; `x`,
    `y`, `significance` (n,): detections, the most significant first.
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
        # One sigma of a detection is 1.5 px, and grows by 1 % of the distance from the asterism
        sigma_rad=1.5 / lens.focal_px,
        sigma_share=0.01,
        scale_free=True,
        weighed=100,
        fitted=24,
        # In 120 searches of 14 training lists the right camera was the first of its rung
        kept=3,
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
class UnsolvedField:
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
    field: UnsolvedField,
    parameters: VerifyParameters,
) -> Verified | None:
    """Fit a proposed camera to a growing number of stars, and compute its odds.

    `pairs` (k, 2): matched detections and stars of the proposal; `own` (m,): detections of the
    asterism that proposed it, which do not count. Gives the best of all rounds; None where too few
    stars match to fit a camera.
    """
    vectors, depths = field.vectors_icrs, parameters.depths
    n_tested = min(len(field.x), parameters.detections)
    counts = np.ones(n_tested, bool)
    counts[own[own < n_tested]] = False
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
    field: UnsolvedField,
    parameters: VerifyParameters,
) -> tuple[float, IndexArray]:
    """Log10 odds of detections against predicted stars, and the pairs that support the camera.

    `star` (p,), `places` (p, 2), `variance_px2` (p,): stars in the image, the brightest first,
    their predicted positions and variances; `used` (k, 2): pairs that the fit used; `counts` (n,):
    which of the brightest detections, which are all tested, count.
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


MIN_FLUX = 1e-12  # keeps logarithms finite
MIN_STARS = 5  # four for an asterism and a fit, and one for verification
ALL_DETECTIONS = 3000  # the most significant: bounds the work
# Once a camera is verified, its stars determine the distortion: cheap lenses and old zooms shift
# the corners by a tenth. The narrower prior of the search is kept unless the stars require more
FINAL = VerifyParameters(detections=ALL_DETECTIONS, depths=(25, 75, 225, 700, 2500))
BENT_LENS = replace(FINAL.prior, k1=(0.05, 0.1), k2=(0.02, 0.05), k3=(0.01, 0.02))


@dataclass(frozen=True, kw_only=True, eq=False)
class StarSolution:
    """A camera in ICRS, and the stars that it was verified with."""

    camera: SkyCamera  # attitude, focal length and distortion, pixels of the image as stored
    # Log odds of this camera against chance, from detections that were not used to propose it,
    # minus the logarithm of the number of cameras tried
    log10_odds: float
    # Shape (k,): identified detections, pixels of the image as stored
    x: FloatArray
    y: FloatArray
    detection: IndexArray  # shape (k,): indices of the given detections
    star: IndexArray  # shape (k,): indices of the catalogue's stars
    vectors_icrs: FloatArray  # shape (k, 3): directions of these stars
    magnitude_g: FloatArray  # shape (k,): their magnitudes
    residual_px: FloatArray  # shape (k, 2): detection minus projected star, (x, y)
    catalogue_epoch: float  # Julian year of the catalogue's positions

    def __len__(self) -> int:
        return int(self.x.size)

    @property
    def rms_px(self) -> float:
        """Root mean square of the residuals, per axis, pixels."""
        return float(np.sqrt(np.mean(self.residual_px**2)))


@dataclass(frozen=True, kw_only=True)
class SolveParams:
    """Priors and limits of the search."""

    # Prior focal length in pixels of the stored image, if known
    focal_px: float | None = None
    log_focal_sigma: float = 0.1  # one sigma of its natural logarithm
    focal_only: bool = False  # try no other lens if this one does not fit
    # k1, k2, p1, p2, k3 of the lens, if known
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    principal_point: tuple[float, float] | None = None  # of the lens; None: the image centre
    max_seconds: float = 30.0  # processor time after which no further lens is tried


# Outer radii, in half diagonals, of the rings in which it is tested whether a solution covers the
# whole image; each is divided into quadrants
RINGS = (0.35, 0.65, 0.8)
# A part fails if fewer than this share of its stars are at their predicted positions, and if this
# would have a lower probability than `MAX_CHANCE` at the usual share. Of 120 simulated fields of
# four kinds of lens, a quarter of them half covered, correct solutions had 0.65 and more in each
# part with ten stars, nearly all 0.75; real ones 0.67; wrong ones 0.34 and less.
MIN_SHARE, MAX_CHANCE = 0.5, 0.01


def solve_stars(
    stars: StarDetections,
    width_px: int,
    height_px: int,
    catalogue: StarCatalogue,
    indices: StarIndices,
    options: SolveParams | None = None,
) -> StarSolution | Reason:
    """Identify the stars of an image of this size, in pixels of the image as stored.

    The indices belong to the catalogue; asterisms computed for one image are reused for the next.
    If identification fails, the reason has the code ``few_stars`` or ``no_match``, or ``lens`` if
    only the stars near the centre are identified.
    """
    options = options or SolveParams()
    # Detections that may be stars, the most significant first
    good = (stars.flags & PointFlag.EDGE) == 0
    good &= np.isfinite(stars.x) & np.isfinite(stars.y) & (stars.snr > 0.0)
    order = np.argsort(-stars.snr, kind="stable")
    chosen = order[good[order]][:ALL_DETECTIONS]
    if len(chosen) < MIN_STARS:
        return Reason(code="few_stars", values={"n_stars": len(chosen), "n_needed": MIN_STARS})
    field = UnsolvedField(
        x=stars.x[chosen],
        y=stars.y[chosen],
        vectors_icrs=catalogue.vectors,
        magnitude=-2.5 * np.log10(np.maximum(stars.flux[chosen], MIN_FLUX)),
        star_magnitude=catalogue.magnitude_g,
    )
    # Maximum error of a detection under the fitted lens, as a share of the long side: trailed stars
    # and soft corners
    ceiling_px = max(2.0, 0.001 * max(width_px, height_px))
    if stars.trail_px is not None:
        ceiling_px = max(ceiling_px, 0.25 * float(np.hypot(*stars.trail_px)))
    limit = time.process_time() + options.max_seconds
    stages = _generate_stages(width_px, height_px, options)
    for proposal, tried in _generate_proposals(field, stars.snr[chosen], stages, indices, limit):
        accepted = accept_proposal(proposal, tried, field, ceiling_px)
        if accepted is None:
            continue
        camera = accepted.fit.camera
        detection, star = chosen[accepted.pairs[:, 0]], accepted.pairs[:, 1]
        seen = np.stack([stars.x[detection], stars.y[detection]], axis=1)
        vectors = catalogue.vectors[star]
        found = StarSolution(
            camera=camera,
            log10_odds=accepted.log10_odds,
            x=seen[:, 0],
            y=seen[:, 1],
            detection=detection,
            star=star,
            vectors_icrs=vectors,
            magnitude_g=catalogue.magnitude_g[star],
            residual_px=seen - np.stack(camera.project(vectors), axis=1),
            catalogue_epoch=catalogue.epoch_year,
        )
        partial = _reason_if_partial(found, stars, chosen, catalogue, proposal.camera, options)
        return found if partial is None else partial
    values = {
        "focal_only": options.focal_only,
        "focal_unknown": options.focal_px is None and not options.focal_only,
        "max_seconds": options.max_seconds if time.process_time() > limit else None,
    }
    return Reason(code="no_match", values=values)


def _generate_proposals(
    field: UnsolvedField,
    snr: FloatArray,
    stages: Iterator[tuple[SearchStage, list[SkyCamera]]],
    indices: StarIndices,
    limit: float,
) -> Iterator[tuple[Proposal, float]]:
    """Generate cameras to verify, each with the number of cameras tried so far.

    Clear proposals of a lens are yielded at once, the best others of a stage after all its lenses.
    `limit`: processor time after which no further lens is tried.
    """
    tried = 1.0
    for stage, lenses in stages:
        waiting: list[Proposal] = []
        for lens in lenses:
            if time.process_time() > limit:
                break
            proposals = list(propose(indices, lens, field.x, field.y, snr, stage))
            tried += max((p.figures_met for p in proposals), default=0)
            for proposal in proposals:
                # A proposal above this is verified before other lenses are tried
                if proposal.log10_odds >= 6.0:
                    yield proposal, tried
                else:
                    waiting.append(proposal)
        for proposal in sorted(waiting, key=lambda p: -p.log10_odds)[: stage.verified]:
            yield proposal, tried


def accept_proposal(
    proposal: Proposal, tried: float, field: UnsolvedField, ceiling_px: float
) -> Verified | None:
    """Fit the camera of a proposal to all its stars; None if they do not verify it.

    Its odds are those of the stars that verified it, minus the logarithm of the number of cameras
    `tried`. `ceiling_px`: maximum error of a detection under the fitted lens.
    """
    verified = verify(
        proposal.camera,
        proposal.pairs,
        proposal.own,
        field,
        VerifyParameters(ceiling_px=ceiling_px, shape_tolerance=proposal.shape_tolerance),
    )
    if verified is None:
        return None
    log10_odds = verified.log10_odds - float(np.log10(tried))
    # As in astrometry.net: Lang et al. (2010), section 3
    if log10_odds < 9.0:
        return None
    # Refit the lens with all detections and fainter stars
    best = verified
    for prior in (FINAL.prior, BENT_LENS):
        deeper = verify(
            best.fit.camera,
            best.pairs,
            np.zeros(0, np.intp),
            replace(field, magnitude=None),
            replace(FINAL, ceiling_px=ceiling_px, prior=prior),
        )
        if deeper is None or len(deeper.pairs) < len(best.pairs):
            continue
        if best is verified or deeper.log10_odds > best.log10_odds:
            best = deeper
    return replace(best, log10_odds=log10_odds)


def _reason_if_partial(
    found: StarSolution,
    stars: StarDetections,
    chosen: IndexArray,
    catalogue: StarCatalogue,
    believed: SkyCamera,
    options: SolveParams,
) -> Reason | None:
    """Reason if a solution explains only a part of the image; None if it explains the whole.

    `chosen`: detections that may be stars; `believed`: the lens before the fit.
    """
    has_profile = any(options.distortion)
    for beyond in (0.0, 0.65, 0.8):  # the stars beyond each radius are tested separately
        quarters, missed = _count_explained(found, stars, chosen, catalogue, beyond)
        expected_in = quarters + missed
        explained, expected = int(quarters.sum()), int(expected_in.sum())
        # Parts with fewer stars are not tested: detections next to hidden stars may be anything.
        if expected < 20:
            continue
        by_chance = float(bdtr(explained, expected, 0.75))
        is_few = explained < MIN_SHARE * expected and by_chance < MAX_CHANCE
        # Distortion is symmetric about the axis. A quadrant with the required share, and a higher
        # share than wrong cameras reach by chance, also supports other quadrants, where hardware,
        # clouds and their lights may hide stars.
        is_shown = bdtrc(quarters - 1.0, expected_in, 0.34) < MAX_CHANCE
        is_shown &= (quarters > 0) & (quarters >= MIN_SHARE * expected_in)
        if is_few and not is_shown.any():
            counts = {"n_explained": explained, "n_expected": expected, "is_outer": bool(beyond)}
            return Reason(code="lens", values={**counts, "has_profile": has_profile})
    # Shift of the image corners by the last distortion term, pixels
    camera = found.camera
    without = replace(camera, distortion=(*camera.distortion[:4], believed.distortion[4]))
    # One sigma of a fixed term
    fixed = replace(BENT_LENS, k3=(1e-9, 0.0))
    refitted = fit_camera(without, found.x, found.y, found.vectors_icrs, found.rms_px, fixed).camera
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    x, y = np.array([0.0, right, 0.0, right]), np.array([0.0, 0.0, bottom, bottom])
    px, py = refitted.project(camera.to_sky(x, y))
    off_px = np.hypot(px - x, py - y)
    corner_px = float(np.where(np.isfinite(off_px), off_px, np.hypot(right, bottom)).max())
    # The last distortion term may move the corners by at most this share of the diagonal. Of 190
    # simulated fields, all with greater corner errors were above it.
    if corner_px > 0.01 * np.hypot(believed.width_px, believed.height_px):
        return Reason(code="lens", values={"corner_px": corner_px, "has_profile": has_profile})
    return None


def _count_explained(
    found: StarSolution,
    stars: StarDetections,
    chosen: IndexArray,
    catalogue: StarCatalogue,
    beyond: float,
) -> tuple[IndexArray, IndexArray]:
    """Count predicted bright stars that are detected, and those that may be detected elsewhere.

    For each quadrant of the image, shapes (4,).

    A star that is missing at its predicted position may be any unexplained detection nearby of
    similar shape and brightness. Lamps and letters next to identified stars are not counted, nor
    are stars behind clouds and hardware.
    """
    camera = found.camera
    # Stars are expected down to the brightness that this share of the identified ones reaches.
    limit = np.quantile(found.magnitude_g, 0.8)
    count = np.searchsorted(catalogue.magnitude_g, limit, side="right")
    star, x, y = camera.find_in_view(catalogue.vectors[:count])
    seen = np.isin(star, found.star)
    flux = np.maximum(stars.flux, MIN_FLUX)
    zero = np.median(found.magnitude_g + 2.5 * np.log10(flux[found.detection]))
    size = stars.fwhm_px / np.median(stars.fwhm_px[found.detection])
    may_be = np.zeros(len(stars), bool)
    may_be[chosen] = True
    may_be[found.detection] = False
    may_be &= zero - 2.5 * np.log10(flux) <= limit
    may_be &= (size < 2.0) & (size > 0.5)  # as wide as the identified ones, within a factor

    def count_cells(x: FloatArray, y: FloatArray) -> IndexArray:
        u, v = 2.0 * x / (camera.width_px - 1) - 1.0, 2.0 * y / (camera.height_px - 1) - 1.0
        radius = np.hypot(u, v) / 2.0**0.5
        cell = 4 * np.digitize(radius, RINGS) + 2 * (u > 0.0) + (v > 0.0)
        return np.bincount(cell[radius > beyond], minlength=4 * len(RINGS) + 4)

    missed = np.minimum(
        count_cells(x[~seen], y[~seen]), count_cells(stars.x[may_be], stars.y[may_be])
    )
    seen_in = count_cells(x[seen], y[seen])
    return seen_in.reshape(-1, 4).sum(axis=0), missed.reshape(-1, 4).sum(axis=0)


def _generate_stages(
    width_px: int, height_px: int, options: SolveParams
) -> Iterator[tuple[SearchStage, list[SkyCamera]]]:
    """The search stages in order: the prior lens, then all others."""
    half = float(np.hypot(width_px, height_px)) / 2.0
    middle = ((width_px - 1) / 2.0, (height_px - 1) / 2.0)
    blank = SkyCamera(
        width_px=width_px,
        height_px=height_px,
        focal_px=half,
        principal_point=middle,
        quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
    )
    if options.focal_px is not None:
        known = replace(
            blank,
            distortion=options.distortion,
            principal_point=options.principal_point or middle,
        )
        spread = np.exp(2.0 * options.log_focal_sigma)
        tangent = half / options.focal_px
        # Rungs overlap: with the size tolerance, the outermost rungs extend beyond two sigma
        rungs = [options.focal_px]
        if spread > 1.12:
            rungs += focal_ladder(half, tangent * spread, tangent / spread)
        for stage in STAGES:
            yield stage, [replace(known, focal_px=focal) for focal in rungs]
        if options.focal_only:
            return
    # Fields of 5 to 120 degrees along the diagonal: 400 mm to 12 mm on a full frame
    rungs = focal_ladder(half, 1.75, 0.045)
    for stage in STAGES:
        yield stage, [replace(blank, focal_px=focal) for focal in rungs]


# Refraction bends starlight by 10 arc seconds 40 km above the ground (2 x 35 arc minutes at the
# ground, a scale height of 6.7 km); stars with a smaller tangent height are excluded
MIN_STAR_HEIGHT_KM = 40.0


@dataclass(frozen=True, kw_only=True)
class StarAttitude:
    """Attitude of a camera, determined from stars."""

    # Camera of the stored image in ICRS, corrected for the aberration by the Earth's motion: its
    # quaternion turns camera vectors to geometric directions
    camera: SkyCamera
    sigma_rad: float  # one sigma of the attitude about each of the camera's axes
    sigma_log_focal: float  # relative uncertainty of the focal length
    stars: int  # number of identified stars
    time_utc: datetime  # capture time by the camera's clock


def make_attitude(solution: StarSolution, time_utc: datetime) -> StarAttitude:
    """Convert a star solution to an attitude.

    The Earth moves at 30 km/s, which shifts stars by up to 20.5 arc seconds but does not shift the
    lights on the ground: this aberration is removed. The station's 7.7 km/s shift both alike, by 5
    arc seconds: this is not corrected.

    The time is that of the photo's clock; for the aberration, an accuracy of some days is
    sufficient.
    """
    camera = solution.camera
    towards = solution.vectors_icrs.mean(axis=0)
    towards = towards / np.linalg.norm(towards)
    turn = aberration_turn(towards, earth_velocity(time_utc))
    matrix = Rotation.from_rotvec(turn).as_matrix() @ camera.matrix
    count = max(len(solution), 3)
    # Across the boresight: a star's residual over the square root of their number. About the
    # boresight: larger by the ratio of focal length and spread of the stars; the spread is at least
    # a third of the focal length for lenses that see a limb
    # Between stars and lights, elsewhere in the frame, distortion is known to 0.5 px at best
    sigma_px = max(3.0 * solution.rms_px / np.sqrt(count), 0.5)
    return StarAttitude(
        camera=replace(camera, quaternion_icrs=matrix_quaternion(matrix)),
        sigma_rad=float(sigma_px / camera.focal_px),
        # The formal uncertainty of the focal length in solved frames is smaller than this, but
        # ignores changes with temperature and focus
        sigma_log_focal=max(0.001, sigma_px / max(camera.width_px, camera.height_px)),
        stars=len(solution),
        time_utc=time_utc,
    )


def place_over_earth(
    attitude: StarAttitude, rotation: FloatArray, position_ecef_m: tuple[float, float, float]
) -> Camera:
    """The camera of the stored image at a position (ECEF, metres) and time.

    `rotation`, shape (3, 3), turns ICRS axes to Earth-fixed axes at that time.
    """
    sky = attitude.camera
    return Camera(
        width_px=sky.width_px,
        height_px=sky.height_px,
        focal_px=sky.focal_px,
        principal_point=sky.principal_point,
        quaternion=matrix_quaternion(rotation @ sky.matrix),
        position_ecef_m=position_ecef_m,
        distortion=sky.distortion,
        mirrored=sky.mirrored,
    )
