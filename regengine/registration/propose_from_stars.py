"""The proposer of photos whose stars tell their attitude: over the time alone, as a sextant does.

Every place on the track is a time, and with the attitude among the stars it is a whole camera: the
position slides along the orbit and the Earth turns under it. What such cameras show is held
against the map as everything else, and proven by the same evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from detectors.limb import Limb, sky_mask
from detectors.limb_geometry import arc_rays, limb_angle_deg, pixels_of, tangent_axes
from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.sky_camera import SkyCamera
from regengine.orbit.rotation import EARTH_RATE_RAD_S, icrs_to_itrf, turned_by_clock
from regengine.photo.image import read_linear_light
from regengine.registration.align import align_first, merge_hypotheses
from regengine.registration.priors.lens import SIGMA_LOG_FOCAL, LensBelief
from regengine.registration.priors.tracks import (
    CLOCK_SIGMA_S,
    UNKNOWN_CLOCK_SHARE,
    USUAL_CLOCK_S,
    Track,
    believe_camera,
    list_offsets,
)
from regengine.registration.types import Hypothesis, OrbitPlace, Photo, Problem, Stage
from regengine.sky.stars.attitude import (
    LEAST_STAR_HEIGHT_KM,
    StarAttitude,
    attitude_of,
    over_the_earth,
)
from regengine.sky.stars.solve import SolveOptions, StarSolution, solve_stars

DETECTION_PX = 2000  # long side of the picture in which stars are detected
LEAST_SKY = 0.04  # of the picture: below it stars are too few, and the time is saved
# Long side of the picture that is aligned
PLACES_PX = 96
# A camera whose attitude is known need only slide: by a tenth of the ground's distance at most, a
# few pixels of the image that it is aligned on
STEP_KM = 30.0
# The ellipsoid moves the limb by up to 0.2 degrees, and the layer's height by as much
LEAST_LIMB_SIGMA_DEG = 0.3
# Where the other of the two layers was taken for the one that the nadir was fitted to, it is off
# by the 2.3 degrees between them; where both were seen that is rare
WRONG_LAYER_SIGMA_DEG = 2.5
WRONG_LAYER_SHARE, WRONG_LAYER_SHARE_PAIRED = 0.1, 0.02
# What is less likely than the likeliest place by this, a factor of 1,000, is left to other looks
MOST_SURPRISE = math.log(1000.0)
# Tracks are many, and most of them, an hour or more away, never come near: steps of this size tell
FIRST_STEP_KM = 300.0
FARTHEST_OFF_DEG = 9.0  # three of that sigma, and half a first step
ARC_SAMPLES, ARC_REACH_DEG = 25, 80.0
FIT_STEPS = 5


def propose_from_stars(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Read the attitude off the sky, and align the cameras at the likeliest places."""
    limb, read_stars = problem.photo.limb, problem.prior.read_stars
    assert limb is not None
    assert read_stars is not None
    attitude = read_stars(problem)
    if attitude is None:
        return []
    found: list[Hypothesis] = []
    for place in list_star_places(attitude, problem.tracks, limb)[: stage.n_aligned]:
        start = hypothesize_place(place, attitude, problem.photo.nominal)
        aligned = align_first(problem, [start], size_px=PLACES_PX)
        found = merge_hypotheses(found, aligned, problem.params.search.same_view_share)
    return found


def read_sky(problem: Problem) -> StarAttitude | None:
    """The attitude that the stars above the photo's limb tell, if they prove one.

    Raises FrameError if the photo cannot be read, CatalogueError if the star catalogue is missing
    or damaged.
    """
    from regengine.sky.detection.detect import detect_in_picture
    from regengine.sky.detection.kinds import STARS
    from regengine.sky.stars.photo import sky

    photo = problem.photo
    frame, limb, stored = photo.frame, photo.limb, photo.nominal
    if frame.time_utc is None or limb is None:
        return None
    # The sky begins where refraction no longer bends starlight
    raised_deg = limb_angle_deg(problem.altitude_km, LEAST_STAR_HEIGHT_KM) - limb.hard_edge_deg
    if sky_mask(limb, limb.shape, margin_deg=-raised_deg).mean() < LEAST_SKY:
        return None
    picture = read_linear_light(frame.path, max_long_side_px=DETECTION_PX)
    mask = ~sky_mask(limb, picture.light.shape, margin_deg=-raised_deg)
    stars = detect_in_picture(picture, STARS.detector(), mask=mask)
    catalogue, indices = sky()
    options = limit_lens(photo, limb)
    solution = solve_stars(stars, stored.width_px, stored.height_px, catalogue, indices, options)
    return attitude_of(solution, frame.time_utc) if isinstance(solution, StarSolution) else None


def limit_lens(photo: Photo, limb: Limb) -> SolveOptions:
    """The lens as it is told; where it is not, as long as the limb's curvature says."""
    stored = photo.nominal
    told = SolveOptions(
        focal_px=stored.focal_px,
        log_focal_sigma=SIGMA_LOG_FOCAL,
        focal_only=True,
        distortion=stored.distortion,
        principal_point=stored.principal_point,
    )
    if photo.focal_known:
        return told
    scale = max(stored.width_px, stored.height_px) / max(limb.shape)
    return replace(
        told,
        focal_px=limb.focal_px * limb.focal_ratio * scale,
        log_focal_sigma=math.hypot(limb.focal_ratio_sigma, SIGMA_LOG_FOCAL),
    )


@dataclass(frozen=True, kw_only=True)
class StarPlace:
    """A place on a track, and the camera that the stars make of it.

    ``surprise`` is a negative log-probability, but for a constant.
    """

    track: Track
    offset_km: float
    camera: Camera
    surprise: float


def list_star_places(
    attitude: StarAttitude, tracks: Sequence[Track], limb: Limb
) -> list[StarPlace]:
    """Places where the camera may have been, by orbit, stars and limb; the likeliest first."""
    rotation = icrs_to_itrf(attitude.time_utc)
    nadir = nadir_through(limb, attitude.camera)

    def camera_at(track: Track, offset_km: float) -> Camera:
        x, y, z = track.position(offset_km).tolist()
        turned = turned_by_clock(rotation, track.clock_at(offset_km))
        return over_the_earth(attitude, turned, (x, y, z))

    places = []
    for track in tracks:
        count = math.ceil(track.reach_km / FIRST_STEP_KM)
        nodes = FIRST_STEP_KM * np.arange(-count, count + 1)
        off_deg = [angle_deg(nadir, down_of(camera_at(track, float(node)))) for node in nodes]
        near = nodes[np.array(off_deg) < FARTHEST_OFF_DEG]
        if not len(near):
            continue
        for offset_km, surprise in zip(*list_offsets(track, STEP_KM), strict=True):
            if np.abs(near - offset_km).min() > 0.5 * FIRST_STEP_KM:
                continue
            camera = camera_at(track, offset_km)
            total = surprise + limb_surprise(limb, nadir, down_of(camera))
            places.append(
                StarPlace(track=track, offset_km=offset_km, camera=camera, surprise=total)
            )
    places.sort(key=lambda place: place.surprise)
    return [p for p in places if p.surprise <= places[0].surprise + MOST_SURPRISE]


def down_of(camera: Camera) -> FloatArray:
    """Direction of the Earth's centre in the camera frame, a unit vector."""
    position = np.asarray(camera.position_ecef_m)
    return np.asarray(camera.matrix.T @ (-position / np.linalg.norm(position)))


def angle_deg(a: FloatArray, b: FloatArray) -> float:
    """Angle between two unit vectors."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def limb_surprise(limb: Limb, nadir: FloatArray, down: FloatArray) -> float:
    """How unlikely a limb is where the Earth's centre lies in another direction than it says."""
    across = np.stack(tangent_axes(nadir)) @ down
    share = across * angle_deg(nadir, down) / max(float(np.hypot(*across)), 1e-9)
    covariance = limb.covariance_deg2 + LEAST_LIMB_SIGMA_DEG**2 * np.eye(2)
    wrong = WRONG_LAYER_SHARE_PAIRED if limb.paired else WRONG_LAYER_SHARE
    wide = covariance + WRONG_LAYER_SIGMA_DEG**2 * np.eye(2)
    likely = 0.0
    for part, spread in ((1.0 - wrong, covariance), (wrong, wide)):
        distance = float(share @ np.linalg.solve(spread, share))
        likely += part * math.exp(-0.5 * distance) / math.sqrt(float(np.linalg.det(spread)))
    return -math.log(max(likely, 1e-12))


def nadir_through(limb: Limb, lens: SkyCamera) -> FloatArray:
    """The nadir whose horizon is the limb's arc, through another lens than it was found with."""
    height, width = limb.shape
    azimuths = np.linspace(-ARC_REACH_DEG, ARC_REACH_DEG, ARC_SAMPLES)
    arc = arc_rays(limb.nadir, np.array(limb.angle_deg), azimuths)
    x, y = pixels_of(arc, limb.focal_px, ((width - 1) / 2.0, (height - 1) / 2.0))
    with np.errstate(invalid="ignore"):
        shown = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    nadir = limb.nadir * np.array([-1.0 if lens.mirrored else 1.0, 1.0, 1.0])
    if shown.sum() < 2:
        return nadir
    factor = max(lens.width_px, lens.height_px) / max(limb.shape)
    rays = lens.rays((x[shown] + 0.5) * factor - 0.5, (y[shown] + 0.5) * factor - 0.5)
    cosine = math.cos(math.radians(limb.angle_deg))
    for _ in range(FIT_STEPS):
        axes = np.stack(tangent_axes(nadir))
        step = np.linalg.lstsq(rays @ axes.T, cosine - rays @ nadir, rcond=None)[0]
        nadir = nadir + step @ axes
        nadir = nadir / np.linalg.norm(nadir)
    return nadir


def hypothesize_place(place: StarPlace, attitude: StarAttitude, nominal: Camera) -> Hypothesis:
    """The camera of a place, with the lens and the attitude that the stars tell.

    The attitude turns with the Earth by as much of the offset as is the clock's, and how much that
    is is known as little as everywhere (`regengine.registration.priors.tracks`).
    """
    track, offset_km = place.track, place.offset_km
    lens = LensBelief(ratio=1.0, sigma_log_focal=attitude.sigma_log_focal)
    prior = believe_camera(track, offset_km, STEP_KM, place.camera, lens)
    unknown_s = CLOCK_SIGMA_S / 2.0 + UNKNOWN_CLOCK_SHARE * abs(offset_km) / track.speed_km_s
    turned_rad = EARTH_RATE_RAD_S * min(unknown_s, USUAL_CLOCK_S)
    return Hypothesis(
        camera=replace(place.camera, width_px=nominal.width_px, height_px=nominal.height_px),
        prior=replace(
            prior,
            quaternion=place.camera.quaternion,
            sigma_rotation_rad=float(np.hypot(attitude.sigma_rad, turned_rad)),
        ),
        orbit=OrbitPlace(offset_km=offset_km, speed_km_s=track.speed_km_s, clock_s=track.clock_s),
        source="stars",
        n_stars=attitude.stars,
    )
