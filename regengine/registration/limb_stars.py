"""The stars above a limb, solved with what limb and orbit know of the vertical.

A blind solver asks for a dozen stars in a field that it knows nothing of. Above a limb there may be
a strip with half as many; but there the picture tells where the nadir is, and the orbit, where the
nadir may be among the stars: along one line. One angle is left, the azimuth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from math import hypot

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from scipy.stats import binom

from detectors.limb import Limb, sky_mask
from detectors.limb_geometry import limb_angle_deg
from detectors.types import FloatArray, StarDetections
from matchers.sky_camera import SkyCamera
from matchers.star_fit import PARAMETERS, LensPrior, fit_camera, moved
from matchers.star_search import BIN_DEG, Turn, best_shift, best_turns
from regengine.orbit.rotation import icrs_to_itrf, turned_by_clock
from regengine.photo.image import read_linear_light
from regengine.registration.lens_prior import SIGMA_LOG_FOCAL
from regengine.registration.search import Search
from regengine.registration.search_order import likely_offsets
from regengine.sky.detection.detect import detect_in_picture
from regengine.sky.detection.kinds import STARS
from regengine.sky.stars.attitude import LEAST_STAR_HEIGHT_KM, StarAttitude, attitude_of
from regengine.sky.stars.catalogue import StarCatalogue, load_catalogue
from regengine.sky.stars.solve import StarSolution

IndexArray = NDArray[np.intp]

# The brightest detections are stars, the later ones noise, streets of light, hardware: of 14
# simulated frames' first twenty 18 in 20
MOST_VOTING, FEWEST_VOTING, COARSE, VERIFIED = 24, 8, 16, 40
# Votes tell a turn only where most places of the sky have no star within the tolerance: so many
# stars a square degree at most, wherever the strip of sky is narrow
VOTERS_PER_DEG2 = 0.1
# As many catalogue stars are taken for them as the sky's part of the picture holds, times this:
# magnitudes in a camera's band differ from the catalogue's, and some stars are not detected
CATALOGUE_SHARE = 1.6
# The limb's own error and half a step between the places of the orbit
TOLERANCE_DEG = 0.8
TURNS_PER_NADIR, TURNS_SHIFTED, TURNS_FITTED = 5, 120, 12
# Votes for a turn leave the picture shifted; within these two, shifts are told apart
SHIFT_REACH_DEG, SHIFT_CELL_DEG = 2.0, 0.3
# From what the shift leaves to a few pixels
REACHES_DEG = (0.6, 0.4, 0.25, 0.15, 0.1)
REACH_PX = 3.0
CENTROID_PX = 0.5
# Stars that a fit of attitude, focal length and distortion takes up without proving anything
STARS_FITTED_AWAY = 3
FEWEST_STARS = 6
LEAST_LOG10_ODDS = 9.0  # astrometry.net accepts at odds of 10^9


@dataclass(frozen=True, kw_only=True)
class Matched:
    """A camera with the detections and stars that lie on each other."""

    camera: SkyCamera
    detection: IndexArray
    star: IndexArray


@dataclass(frozen=True, kw_only=True)
class SkyAbove:
    """The sky above a limb: its stars (the brightest first), and its share of the picture."""

    stars: StarDetections
    share: float
    limb: Limb
    catalogue: StarCatalogue


@dataclass(frozen=True, kw_only=True)
class Matching:
    """Detections to be matched, and how many of the catalogue's stars are taken for each."""

    stars: StarDetections
    catalogue: StarCatalogue
    per_star: float

    def brightest(self, count: int) -> FloatArray:
        """Vectors of the stars that are taken for so many detections, shape (n, 3)."""
        return self.catalogue.vectors[: round(count * self.per_star)]


def solve_above_limb(
    sky: SkyAbove, lens: SkyCamera, prior: LensPrior, downs_icrs: Iterable[Sequence[FloatArray]]
) -> StarSolution | None:
    """Identify the stars above a limb; the nadir is one of ``downs_icrs``, likely ones first.

    None where there are too few, and where they fit nowhere along the orbit.
    """
    stars, limb = sky.stars, sky.limb
    if len(stars) < FEWEST_STARS:
        return None
    factor = max(lens.width_px, lens.height_px) / max(limb.shape)
    nadir = limb.nadir_at_scale(lens.focal_px / (limb.focal_px * factor))
    solid_angle = sky.share * lens.width_px * lens.height_px / lens.focal_px**2
    per_star = CATALOGUE_SHARE * 4.0 * math.pi / solid_angle
    matching = Matching(stars=stars, catalogue=sky.catalogue, per_star=per_star)
    most = VOTERS_PER_DEG2 * solid_angle * math.degrees(1.0) ** 2 / CATALOGUE_SHARE
    voting = stars.select(slice(0, round(min(max(most, FEWEST_VOTING), MOST_VOTING))))
    voters = matching.brightest(len(voting))
    rays = lens.rays(voting.x, voting.y)
    tried = 0
    for group in downs_icrs:
        turns: list[Turn] = []
        for down in group:
            turns += best_turns(rays, nadir, voters, down, TOLERANCE_DEG, TURNS_PER_NADIR)
        tried += len(group)
        turns = sorted(turns, key=lambda turn: -turn.votes)[:TURNS_SHIFTED]
        for camera in distinct(shifted(lens, turns, voting, voters), TURNS_FITTED):
            matched = settled(camera, prior, matching)
            if matched is None:
                continue
            odds = log10_odds(matched, matching)
            odds -= math.log10(tried * 360.0 / BIN_DEG)
            if odds >= LEAST_LOG10_ODDS:
                pairs = matched.detection, matched.star
                return StarSolution.of(matched.camera, odds, stars, sky.catalogue, pairs)
    return None


def shifted(
    lens: SkyCamera, turns: Sequence[Turn], voting: StarDetections, voters: FloatArray
) -> Iterator[SkyCamera]:
    """Turns with the shifts that most detections vote for, most votes first."""
    if not turns:
        return
    degree_px = math.radians(1.0) * lens.focal_px
    found: list[tuple[float, SkyCamera, FloatArray]] = []
    # All in one call, which costs as much as one
    turned = Rotation.from_matrix(np.stack([turn.matrix for turn in turns]))
    for x, y, z, w in turned.as_quat(canonical=True).tolist():
        camera = replace(lens, quaternion_icrs=(x, y, z, w))
        right_px, down_px = camera.project(voters)
        shown = camera.sees(right_px, down_px, margin_px=SHIFT_REACH_DEG * degree_px)
        votes, (right, down) = best_shift(
            np.column_stack([voting.x, voting.y]),
            np.column_stack([right_px, down_px])[shown],
            SHIFT_REACH_DEG * degree_px,
            SHIFT_CELL_DEG * degree_px,
        )
        # The picture's stars lie to the right of the detections: the camera turns to the right
        step = np.zeros(PARAMETERS)
        step[:2] = -down / lens.focal_px, right / lens.focal_px
        found.append((votes, camera, step))
    for _, camera, step in sorted(found, key=lambda one: -one[0]):
        yield moved(camera, step)


def distinct(cameras: Iterable[SkyCamera], most: int) -> list[SkyCamera]:
    """The first cameras that are turned by more than a shift's cell against each other."""
    kept: list[SkyCamera] = []
    least = 1.0 + 2.0 * math.cos(math.radians(SHIFT_CELL_DEG))
    for camera in cameras:
        # The trace of the turn from one to the other
        if not any(float((camera.matrix * one.matrix).sum()) > least for one in kept):
            kept.append(camera)
            if len(kept) == most:
                break
    return kept


def settled(camera: SkyCamera, prior: LensPrior, matching: Matching) -> Matched | None:
    """A camera fitted to the stars near its detections, nearer and nearer; None if they are few."""
    stars = matching.stars
    lens = camera
    for reach_deg in (*REACHES_DEG, 0.0, 0.0):
        reach_px = max(math.radians(reach_deg) * camera.focal_px, REACH_PX)
        coarse = reach_deg > REACHES_DEG[-2]
        count = COARSE if coarse else VERIFIED
        matched = match(camera, matching, count, reach_px)
        if len(matched.detection) < 4:
            return None
        fit = fit_camera(
            camera,
            stars.x[matched.detection],
            stars.y[matched.detection],
            matching.catalogue.vectors[matched.star],
            max(CENTROID_PX, reach_px / 3.0),
            prior,
            centre=replace(lens, quaternion_icrs=camera.quaternion_icrs),
        )
        camera = fit.camera
    matched = match(camera, matching, VERIFIED, REACH_PX)
    return matched if len(matched.detection) >= FEWEST_STARS else None


def match(camera: SkyCamera, matching: Matching, count: int, reach_px: float) -> Matched:
    """Detections and stars that are each other's nearest within a reach."""
    stars = matching.stars
    x, y = camera.project(matching.brightest(count))
    shown = np.flatnonzero(camera.sees(x, y, margin_px=reach_px))
    none = np.zeros(0, np.intp)
    if not len(shown):
        return Matched(camera=camera, detection=none, star=none)
    found = np.column_stack([stars.x, stars.y])[:count]
    there = np.column_stack([x[shown], y[shown]])
    apart, nearest = cKDTree(there).query(found)
    _, back = cKDTree(found).query(there)
    mutual = (apart < reach_px) & (back[nearest] == np.arange(len(found)))
    detection = np.flatnonzero(mutual)
    return Matched(camera=camera, detection=detection, star=shown[nearest[detection]])


def log10_odds(matched: Matched, matching: Matching) -> float:
    """Of so many detections on stars against chance, for one camera.

    A detection lies on a star by chance with the share of the picture that reaches of `REACH_PX`
    around stars take; what the fit takes up is left out.
    """
    camera = matched.camera
    x, y = camera.project(matching.brightest(VERIFIED))
    shown = int(camera.sees(x, y).sum())
    share = shown * math.pi * REACH_PX**2 / (camera.width_px * camera.height_px)
    count = min(VERIFIED, len(matching.stars)) - STARS_FITTED_AWAY
    met = len(matched.detection) - STARS_FITTED_AWAY
    return float(-binom.logsf(met - 1, count, min(share, 0.5)) / math.log(10.0))


# Stars are points; larger pictures are averaged down to this
DETECTION_PX = 2000
LEAST_SKY = 0.04  # of the picture: below it stars are too few, and the time is saved
# Half a degree along the orbit; the solver bears 0.8
NADIR_STEP_KM = 80.0
NADIRS_PER_GROUP, MOST_NADIRS = 60, 240  # chosen: half a second
# The arc's curvature is that of a horizon to so much, and agrees with what is told within these
LEAST_CURVATURE_SIGMA, AGREEING_SIGMAS = 0.02, 2.0
# The lens' axis in pictures whose shape is the sensor's, and in others: shares of the long side
USUAL_SHARE, CROPPED_SHARE = 0.01, 0.15
MEAN_YEAR, FAINTEST_MAG = 2015.0, 8.0


def read_sky(search: Search) -> StarAttitude | None:
    """The attitude that the stars above the photo's limb tell, if they prove one.

    Raises FrameError if the photo cannot be read, CatalogueError if the star catalogue is missing
    or damaged.
    """
    time_utc, limb = search.frame.time_utc, search.limb
    if time_utc is None or limb is None:
        return None
    # The sky begins where refraction no longer bends starlight
    raised_deg = limb_angle_deg(search.altitude_km, LEAST_STAR_HEIGHT_KM) - limb.hard_edge_deg
    if sky_mask(limb, limb.shape, margin_deg=-raised_deg).mean() < LEAST_SKY:
        return None
    picture = read_linear_light(search.frame.path, max_long_side_px=DETECTION_PX)
    sky = sky_mask(limb, picture.light.shape, margin_deg=-raised_deg)
    above = SkyAbove(
        stars=detect_in_picture(picture, STARS.detector(), mask=~sky),
        share=float(sky.mean()),
        limb=limb,
        catalogue=_catalogue(),
    )
    for focal_px, sigma_log_focal in focal_guesses(search, limb):
        prior = LensPrior(
            log_focal=sigma_log_focal,
            principal_share=CROPPED_SHARE if search.frame.may_be_cropped else USUAL_SHARE,
        )
        lens = nominal_lens(search, focal_px)
        solution = solve_above_limb(above, lens, prior, nadirs(search))
        if solution is not None:
            return attitude_of(solution, time_utc)
    return None


def focal_guesses(search: Search, limb: Limb) -> list[tuple[float, float]]:
    """Focal lengths worth trying, pixels of the stored image, with their relative sigmas.

    The limb's curvature tells one to a few percent: it stands against what is told, if that is
    far from it, and otherwise beside it.
    """
    factor = max(search.stored.width_px, search.stored.height_px) / max(limb.shape)
    ratio, sigma = limb.focal_ratio, max(limb.focal_ratio_sigma, LEAST_CURVATURE_SIGMA)
    used_px = limb.focal_px * factor
    if not search.focal_known:
        return [(used_px * ratio, hypot(sigma, SIGMA_LOG_FOCAL))]
    off = math.log(ratio)
    if abs(off) > AGREEING_SIGMAS * hypot(sigma, SIGMA_LOG_FOCAL):
        return [(used_px * ratio, hypot(sigma, SIGMA_LOG_FOCAL)), (used_px, SIGMA_LOG_FOCAL)]
    share = SIGMA_LOG_FOCAL**2 / (SIGMA_LOG_FOCAL**2 + sigma**2)
    return [(used_px * math.exp(share * off), SIGMA_LOG_FOCAL)]


def nominal_lens(search: Search, focal_px: float) -> SkyCamera:
    """The lens of the stored image as it is believed to be."""
    width, height = search.stored.width_px, search.stored.height_px
    return SkyCamera(
        width_px=width,
        height_px=height,
        focal_px=focal_px,
        principal_point=((width - 1) / 2.0, (height - 1) / 2.0),
        quaternion_icrs=(0.0, 0.0, 0.0, 1.0),
    )


def nadirs(search: Search) -> Iterator[list[FloatArray]]:
    """Where the nadir may be among the stars: unit vectors in ICRS, the likeliest first."""
    assert search.frame.time_utc is not None
    rotation = icrs_to_itrf(search.frame.time_utc)
    places = [
        (surprise, number, offset_km)
        for number, track in enumerate(search.tracks)
        for offset_km, surprise in likely_offsets(track, NADIR_STEP_KM)
    ]
    ordered = iter(sorted(places)[:MOST_NADIRS])
    while group := list(islice(ordered, NADIRS_PER_GROUP)):
        found = []
        for _, number, offset_km in group:
            track = search.tracks[number]
            position = track.position(offset_km)
            turned = turned_by_clock(rotation, track.clock_at(offset_km))
            found.append(turned.T @ (-position / math.hypot(*position)))
        yield found


@lru_cache(maxsize=1)
def _catalogue() -> StarCatalogue:
    """The stars, at an epoch from which hardly one moves by a pixel in the station's years."""
    return load_catalogue(epoch_year=MEAN_YEAR, faintest_g=FAINTEST_MAG)
