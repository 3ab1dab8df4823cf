"""Star solution: from detections to a camera in ICRS, with or without a prior of the lens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from scipy.spatial.transform import Rotation
from scipy.special import bdtr, bdtrc

from detectors.types import FloatArray, IndexArray, PointFlag, StarDetections
from matchers.geometry.camera import Camera
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.io.plain import format_count
from regengine.orbit.rotation import aberration_turn, earth_velocity
from regengine.sky.stars.catalogue import StarCatalogue
from regengine.sky.stars.star_fit import fit_camera
from regengine.sky.stars.star_verify import (
    LADDER_STEP,
    STAGES,
    Proposal,
    SearchStage,
    StarField,
    StarIndices,
    Verified,
    VerifyParameters,
    focal_ladder,
    propose,
    verify,
)
from regengine.store.result import Reason

MIN_FLUX = 1e-12
MIN_STARS = 5  # four for an asterism and a fit, and one for verification
# Fields of 5 to 120 degrees along the diagonal: 400 mm to 12 mm on a full frame
WIDEST_TANGENT, NARROWEST_TANGENT = 1.75, 0.045
ALL_DETECTIONS = 3000
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
class SolveOptions:
    """Priors and limits of the search."""

    # Prior focal length in pixels of the stored image, if known
    focal_px: float | None = None
    log_focal_sigma: float = 0.1  # one sigma of its natural logarithm
    focal_only: bool = False  # try no other lens if this one does not fit
    # k1, k2, p1, p2, k3 of the lens, if known
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    principal_point: tuple[float, float] | None = None  # of the lens; None: the image centre
    max_seconds: float = 30.0  # processor time after which no further lens is tried


# Criteria for whether a solution covers the whole image.
# Outer radii of rings about the image centre, in half diagonals; each is divided into quadrants.
RINGS = (0.35, 0.65, 0.8)
# The stars beyond each of these radii are tested separately.
BEYOND = (0.0, 0.65, 0.8)
# A part fails if fewer than this share of its stars are at their predicted positions, and if this
# would have a lower probability than `MAX_CHANCE` at the usual share. Of 120 simulated fields of
# four kinds of lens, a quarter of them half covered, correct solutions had 0.65 and more in each
# part with ten stars, nearly all 0.75; real ones 0.67; wrong ones 0.34 and less.
MIN_SHARE = 0.5
MAX_CHANCE = 0.01
# The maximum ratio of a star's width to the median of the identified ones, or its inverse.
MAX_SIZE_RATIO = 2.0


def solve_stars(
    stars: StarDetections,
    width_px: int,
    height_px: int,
    catalogue: StarCatalogue,
    indices: StarIndices,
    options: SolveOptions | None = None,
) -> StarSolution | Reason:
    """Identify the stars of an image of this size, in pixels of the image as stored.

    The indices belong to the catalogue; asterisms computed for one image are reused for the next.
    If identification fails, the reason has the code ``few_stars`` or ``no_match``, or ``lens`` if
    only the stars near the centre are identified.
    """
    options = options or SolveOptions()
    # Detections that may be stars, the most significant first
    good = (stars.flags & PointFlag.EDGE) == 0
    good &= np.isfinite(stars.x) & np.isfinite(stars.y) & (stars.snr > 0.0)
    order = np.argsort(-stars.snr, kind="stable")
    chosen = order[good[order]][:ALL_DETECTIONS]
    if len(chosen) < MIN_STARS:
        return Reason(
            code="few_stars",
            text=f"{format_count(len(chosen), 'star was', 'stars were')} detected and {MIN_STARS} "
            "needed: no solution is possible.",
        )
    field = StarField(
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
    if options.focal_only:
        text = "No camera of about this focal length fits the detected stars."
    else:
        text = "No camera fits the detected stars: it may not be a star field"
        if options.focal_px is None:
            text += (
                ", or its field may be narrower than 5 degrees; give --focal-mm or --fov-deg if "
                "known"
            )
        text += "."
    if time.process_time() > limit:
        text += f" The search stopped after {options.max_seconds:g} s (--max-seconds)."
    return Reason(code="no_match", text=text)


def _generate_proposals(
    field: StarField,
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
    proposal: Proposal, tried: float, field: StarField, ceiling_px: float
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
    options: SolveOptions,
) -> Reason | None:
    """Reason if a solution explains only a part of the image; None if it explains the whole.

    `chosen`: detections that may be stars; `believed`: the lens before the fit.
    """
    if any(options.distortion):
        assumed, remedy = "its profile says", "calibrate it again with `regengine lens fit`"
    else:
        assumed = "was assumed (fisheye)"
        remedy = "calibrate it with `regengine lens fit` and give its profile with --lens"
    for beyond in BEYOND:
        quarters, missed = _count_explained(found, stars, chosen, catalogue, beyond)
        asked_of = quarters + missed
        explained, asked = int(quarters.sum()), int(asked_of.sum())
        # Parts with fewer stars are not tested: detections next to hidden stars may be anything.
        if asked < 20:
            continue
        by_chance = float(bdtr(explained, asked, 0.75))
        is_few = explained < MIN_SHARE * asked and by_chance < MAX_CHANCE
        # Distortion is symmetric about the axis. A quadrant with the required share, and a higher
        # share than wrong cameras reach by chance, also supports other quadrants, where hardware,
        # clouds and their lights may hide stars.
        is_shown = bdtrc(quarters - 1.0, asked_of, 0.34) < MAX_CHANCE
        is_shown &= (quarters > 0) & (quarters >= MIN_SHARE * asked_of)
        if is_few and not is_shown.any():
            where = "in the outer part of the picture " if beyond else ""
            return Reason(
                code="lens",
                text=f"Only {explained} of {asked} expected stars {where}are where the solved "
                f"camera predicts them: the lens distortion differs from what {assumed}; "
                f"{remedy}.",
            )
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
        return Reason(
            code="lens",
            text=f"The lens distortion in the corners is uncertain by {corner_px:.0f} px: it "
            f"differs from what {assumed}, and no stars in the corners determine it; {remedy}, on "
            "photos with stars there.",
        )
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
    may_be &= (size < MAX_SIZE_RATIO) & (size > 1.0 / MAX_SIZE_RATIO)

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
    width_px: int, height_px: int, options: SolveOptions
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
            rungs += focal_ladder(half, tangent * spread, tangent / spread, LADDER_STEP)
        for stage in STAGES:
            yield stage, [replace(known, focal_px=focal) for focal in rungs]
        if options.focal_only:
            return
    rungs = focal_ladder(half, WIDEST_TANGENT, NARROWEST_TANGENT, LADDER_STEP)
    for stage in STAGES:
        yield stage, [replace(blank, focal_px=focal) for focal in rungs]


# Stars determine the attitude at their own positions; the lights lie elsewhere in the frame.
# Between the two, the lens distortion is known to this many pixels at best
MIN_SIGMA_PX = 0.5
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
    sigma_px = max(3.0 * solution.rms_px / np.sqrt(count), MIN_SIGMA_PX)
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
