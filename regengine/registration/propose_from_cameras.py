"""Propose hypotheses from what is known: neighbours in a batch, a placement by hand, stars.

Neighbours' cameras are moved along the orbit; around a camera that a person placed, others are
tried; stars determine the attitude, so that only the time is free: every place on the track
corresponds to a time, and gives a complete camera. All are compared with the map and need the same
evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from detectors.limb import (
    Limb,
    compute_tangent_axes,
    limb_angle_deg,
    make_arc_rays,
    mask_sky,
    project_directions,
)
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, to_xyz
from matchers.geometry.pose import turn_along_track, turn_camera, with_attitude
from matchers.geometry.sky_camera import SkyCamera
from regengine.errors import EphemerisError
from regengine.orbit.position import choose_position
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.orbit.rotation import EARTH_RATE_RAD_S, icrs_to_itrf, turn_by_clock
from regengine.orbit.tle import TleSet
from regengine.photo.frame import Frame
from regengine.photo.image import read_linear_light
from regengine.registration.align import (
    align_first,
    choose_template_px,
    make_hypothesis,
    merge_hypotheses,
)
from regengine.registration.parameters import LENS, TRACKS
from regengine.registration.priors import (
    LensBelief,
    Neighbour,
    Track,
    believe_camera,
    is_telephoto,
    list_offsets,
)
from regengine.registration.types import Hypothesis, ImageKind, Problem, Stage, TrackPlace

if TYPE_CHECKING:
    from regengine.sky.stars.solve import StarAttitude


def propose_from_neighbours(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Propose the neighbours' cameras, moved to the position of this photo and aligned.

    Each is also tried with the boresight on the ground target of the neighbour, as if the
    photographer followed it by hand.
    """
    place, shared = stage.place, problem.prior.neighbours
    assert place is not None
    assert shared is not None
    cameras: list[Camera] = []
    for neighbour in shared.neighbours:
        carried = carry_camera(neighbour, place)
        cameras.append(carried)
        target = neighbour.camera.pixel_to_ecef(*neighbour.camera.principal_point)
        if np.isfinite(target).all():
            towards = target - np.asarray(carried.position_ecef_m)
            turn, _ = Rotation.align_vectors(towards, carried.boresight_ecef)  # the smallest
            cameras.append(with_attitude(carried, turn.as_matrix() @ carried.matrix))
    lens = problem.photo.nominal
    long = is_telephoto(replace(lens, focal_px=lens.focal_px * stage.lens.ratio))
    kind: ImageKind = "clipped" if long else "narrow"
    hypotheses = []
    for camera in cameras:
        hypothesis = make_hypothesis(problem, stage, place, camera, kind)
        prior = replace(hypothesis.prior, focal_px=lens.focal_px * stage.lens.ratio)
        hypotheses.append(replace(hypothesis, prior=prior))
    return align_first(problem, hypotheses, size_px=choose_template_px(problem, stage.lens))


def carry_camera(neighbour: Neighbour, place: TrackPlace) -> Camera:
    """Move a neighbour's camera along the orbit.

    It keeps its attitude relative to the vertical and the direction of flight, like a camera that
    is fixed to a window of a station that rotates with its orbit.
    """
    position, velocity = place.position_ecef_m, place.track.velocity(place.offset_km)
    turn = turn_along_track(neighbour.camera.position_ecef_m, position, velocity)
    moved = replace(neighbour.camera, position_ecef_m=to_xyz(position))
    return with_attitude(moved, turn @ neighbour.camera.matrix)


def propose_from_placement(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Propose the placed camera and those around it, because a placement by eye is imprecise."""
    place, placed = stage.place, problem.prior.placement
    assert place is not None
    assert placed is not None
    kind: ImageKind = "clipped" if is_telephoto(placed) else "narrow"
    size_px = choose_template_px(problem, stage.lens)
    long_side_rad = placed.long_side_px / placed.focal_px
    # Steps that an alignment reaches, by eye
    shifts_rad = (0.0, -0.07 * long_side_rad, 0.07 * long_side_rad)
    found: list[Hypothesis] = []
    for right, down, turn_deg in product(shifts_rad, shifts_rad, (0.0, -5.0, 5.0)):
        camera = turn_camera(placed, (down, right, np.radians(turn_deg)))
        # Each by itself: of several that are nearly one view, the best counts, not the first
        start = make_hypothesis(problem, stage, place, camera, kind)
        aligned = align_first(problem, [start], size_px=size_px)
        found = merge_hypotheses(found, aligned)
    return found


def locate_placed(placed: Camera, frame: Frame, tles: TleSet | None) -> CameraPosition:
    """Position of the placed camera, with the direction of flight if an orbit is known."""
    lon, lat, height_m = (float(v) for v in ecef_to_geodetic(placed.position_ecef_m))
    nadir = position_from_nadir(
        lon, lat, height_m / 1e3, "option", time_utc=frame.time_utc, sigma_km=TRACKS.placed_sigma_km
    )
    try:
        known = choose_position(frame, tles)
    except EphemerisError:
        return nadir
    return replace(nadir, velocity_ecef_m_s=known.velocity_ecef_m_s)


STEP_KM = 30.0  # spacing of places: a few pixels of the aligned image
# Skies that were solved have 31 detections and more; skies without stars of long exposures have
# fewer
MIN_DETECTIONS = 25


def propose_from_stars(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Measure the attitude from the stars, and align the cameras at the likeliest places.

    The attitude relative to the Earth changes with the part of the offset that is due to the clock.
    As elsewhere, this part is uncertain (`regengine.registration.priors`).
    """
    limb, read_stars = problem.photo.limb, problem.prior.read_stars
    assert limb is not None
    assert read_stars is not None
    attitude, nominal = read_stars(problem), problem.photo.nominal
    if attitude is None:
        return []
    lens = LensBelief(ratio=1.0, sigma_log_focal=attitude.sigma_log_focal)
    found: list[Hypothesis] = []
    places = list_star_places(attitude, problem.tracks, limb)
    for _, track, offset_km, camera in places[: stage.n_aligned]:
        prior = believe_camera(track, offset_km, STEP_KM, camera, lens)
        unknown_s = TRACKS.clock_sigma_s / 2.0
        unknown_s += TRACKS.unknown_clock_share * abs(offset_km) / track.speed_km_s
        turned_rad = EARTH_RATE_RAD_S * min(unknown_s, TRACKS.usual_clock_s)
        sigma_rad = float(np.hypot(attitude.sigma_rad, turned_rad))
        start = Hypothesis(
            camera=replace(camera, width_px=nominal.width_px, height_px=nominal.height_px),
            prior=replace(prior, quaternion=camera.quaternion, sigma_rotation_rad=sigma_rad),
            track=track,
            offset_km=offset_km,
            source="stars",
            n_stars=attitude.stars,
        )
        aligned = align_first(problem, [start], size_px=96)  # by eye
        found = merge_hypotheses(found, aligned)
    return found


def read_sky(problem: Problem) -> StarAttitude | None:
    """Measure the attitude from the stars above the photo's limb; None if it is not proven.

    Raises FrameError if the photo cannot be read, CatalogueError if the star catalogue is missing
    or damaged.
    """
    from regengine.scene.detection import STARS, detect_in_picture
    from regengine.sky.stars.photo import load_sky
    from regengine.sky.stars.solve import (
        MIN_STAR_HEIGHT_KM,
        SolveParams,
        StarSolution,
        make_attitude,
        solve_stars,
    )

    photo = problem.photo
    frame, limb, stored = photo.frame, photo.limb, photo.nominal
    if frame.time_utc is None or limb is None:
        return None
    # The sky begins where refraction no longer bends starlight
    raised_deg = limb_angle_deg(problem.altitude_km, MIN_STAR_HEIGHT_KM) - limb.hard_edge_deg
    # Minimum share of sky in the image; with less there are too few stars to spend time on
    if mask_sky(limb, limb.shape, margin_deg=-raised_deg).mean() < 0.04:
        return None
    picture = read_linear_light(frame.file, max_long_side_px=2000)
    mask = ~mask_sky(limb, picture.light.shape, margin_deg=-raised_deg)
    stars = detect_in_picture(picture, STARS.detector(), mask=mask)
    if len(stars) < MIN_DETECTIONS:
        return None
    focal_px = stored.focal_px
    if not photo.focal_known:  # use the focal length from the curvature of the limb
        scale = stored.long_side_px / max(limb.shape)
        focal_px = limb.focal_px * limb.focal_ratio * scale
    options = SolveParams(
        focal_px=focal_px,
        log_focal_sigma=LENS.sigma_log_focal_crop,
        focal_only=True,
        distortion=stored.distortion,
        principal_point=stored.principal_point,
    )
    catalogue, indices = load_sky()
    solution = solve_stars(stars, stored.width_px, stored.height_px, catalogue, indices, options)
    return make_attitude(solution, frame.time_utc) if isinstance(solution, StarSolution) else None


def list_star_places(
    attitude: StarAttitude, tracks: Sequence[Track], limb: Limb
) -> list[tuple[float, Track, float, Camera]]:
    """List possible places of the camera from orbit, stars and limb, likeliest first.

    Each has its negative log-probability up to a constant, its track, its offset along the track in
    kilometres, and the camera with the attitude from the stars.
    """
    from regengine.sky.stars.solve import place_over_earth

    rotation = icrs_to_itrf(attitude.time_utc)
    nadir = refit_nadir(limb, attitude.camera)

    def look_down(track: Track, offset_km: float) -> tuple[Camera, FloatArray, float]:
        """The camera at a place, the Earth's centre in its frame, and degrees from the limb's."""
        turned = turn_by_clock(rotation, track.clock_at(offset_km))
        camera = place_over_earth(attitude, turned, to_xyz(track.position(offset_km)))
        position = np.asarray(camera.position_ecef_m)
        down = np.asarray(camera.matrix.T @ (-position / np.linalg.norm(position)))
        off_rad = np.arctan2(np.linalg.norm(np.cross(nadir, down)), nadir @ down)
        return camera, down, float(np.degrees(off_rad))

    # The ellipsoid and the height of the airglow layer move the limb by up to 0.2 degrees each
    covariance = limb.covariance_deg2 + 0.3**2 * np.eye(2)
    # The two layers that can be mistaken for each other are 2.3 degrees apart
    wide = covariance + 2.5**2 * np.eye(2)
    wrong = 0.02 if limb.paired else 0.1
    places = []
    for track in tracks:
        # Spacing that first excludes tracks whose nadir is never near the one from the limb
        first_step_km = 300.0
        count = math.ceil(track.belief.reach_km / first_step_km)
        nodes = first_step_km * np.arange(-count, count + 1)
        off_deg = [look_down(track, float(node))[2] for node in nodes]
        # More than three sigmas of a wrong layer
        near = nodes[np.array(off_deg) < 9.0]
        if not len(near):
            continue
        for offset_km, neg_log_prior in zip(*list_offsets(track, STEP_KM), strict=True):
            if np.abs(near - offset_km).min() > 0.5 * first_step_km:
                continue
            camera, down, away_deg = look_down(track, offset_km)
            across = np.stack(compute_tangent_axes(nadir)) @ down
            off = across * away_deg / max(float(np.hypot(*across)), 1e-9)
            likely = 0.0
            for part, spread in ((1.0 - wrong, covariance), (wrong, wide)):
                distance = float(off @ np.linalg.solve(spread, off))
                likely += part * math.exp(-0.5 * distance) / math.sqrt(float(np.linalg.det(spread)))
            places.append((neg_log_prior - math.log(max(likely, 1e-12)), track, offset_km, camera))
    places.sort(key=lambda place: place[0])
    return [place for place in places if place[0] <= places[0][0] + math.log(1000.0)]


def refit_nadir(limb: Limb, lens: SkyCamera) -> FloatArray:
    """The nadir whose horizon is the limb's arc, through another lens than it was found with."""
    height, width = limb.shape
    arc = make_arc_rays(limb.nadir, np.array(limb.angle_deg), np.linspace(-80.0, 80.0, 25))
    x, y = project_directions(arc, limb.focal_px, ((width - 1) / 2.0, (height - 1) / 2.0))
    with np.errstate(invalid="ignore"):
        shown = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    nadir = limb.nadir * np.array([-1.0 if lens.mirrored else 1.0, 1.0, 1.0])
    if shown.sum() < 2:
        return nadir
    factor = lens.long_side_px / max(limb.shape)
    rays = lens.rays((x[shown] + 0.5) * factor - 0.5, (y[shown] + 0.5) * factor - 0.5)
    cosine = math.cos(math.radians(limb.angle_deg))
    for _ in range(5):  # Gauss-Newton
        axes = np.stack(compute_tangent_axes(nadir))
        step = np.linalg.lstsq(rays @ axes.T, cosine - rays @ nadir, rcond=None)[0]
        nadir = nadir + step @ axes
        nadir = nadir / np.linalg.norm(nadir)
    return nadir
