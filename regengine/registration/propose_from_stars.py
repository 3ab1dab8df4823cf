"""Propose cameras of photos with stars, whose attitude they determine; only the time is free.

Every place on the track corresponds to a time, and with the attitude from the stars it gives a
complete camera: the position moves along the orbit, and the Earth rotates under it. Such cameras
are compared with the map like all others, and need the same evidence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detectors.limb import Limb, mask_sky
from detectors.limb_geometry import (
    compute_tangent_axes,
    limb_angle_deg,
    make_arc_rays,
    project_directions,
)
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.sky_camera import SkyCamera
from regengine.orbit.rotation import EARTH_RATE_RAD_S, icrs_to_itrf, turn_by_clock
from regengine.photo.image import read_linear_light
from regengine.registration.align import align_first, merge_hypotheses
from regengine.registration.parameters import LENS, StarParams
from regengine.registration.priors.lens import LensBelief
from regengine.registration.priors.tracks import Track, believe_camera, list_offsets
from regengine.registration.types import Hypothesis, Problem, Stage
from regengine.sky.stars.attitude import (
    MIN_STAR_HEIGHT_KM,
    StarAttitude,
    make_attitude,
    place_over_earth,
)


def propose_from_stars(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Measure the attitude from the stars, and align the cameras at the likeliest places.

    The attitude relative to the Earth changes with the part of the offset that is due to the clock.
    As elsewhere, this part is uncertain (`regengine.registration.priors.tracks`).
    """
    limb, read_stars = problem.photo.limb, problem.prior.read_stars
    assert limb is not None
    assert read_stars is not None
    attitude, nominal = read_stars(problem), problem.photo.nominal
    if attitude is None:
        return []
    params, tracks = problem.params.stars, problem.params.tracks
    lens = LensBelief(ratio=1.0, sigma_log_focal=attitude.sigma_log_focal)
    found: list[Hypothesis] = []
    places = list_star_places(attitude, problem.tracks, limb, params)
    for _, track, offset_km, camera in places[: stage.n_aligned]:
        prior = believe_camera(track, offset_km, params.step_km, camera, lens)
        unknown_s = tracks.clock_sigma_s / 2.0
        unknown_s += tracks.unknown_clock_share * abs(offset_km) / track.speed_km_s
        turned_rad = EARTH_RATE_RAD_S * min(unknown_s, tracks.usual_clock_s)
        sigma_rad = float(np.hypot(attitude.sigma_rad, turned_rad))
        start = Hypothesis(
            camera=replace(camera, width_px=nominal.width_px, height_px=nominal.height_px),
            prior=replace(prior, quaternion=camera.quaternion, sigma_rotation_rad=sigma_rad),
            track=track,
            offset_km=offset_km,
            source="stars",
            n_stars=attitude.stars,
        )
        aligned = align_first(problem, [start], size_px=params.aligned_px)
        found = merge_hypotheses(found, aligned, problem.params.search.same_view_share)
    return found


def read_sky(problem: Problem) -> StarAttitude | None:
    """Measure the attitude from the stars above the photo's limb; None if it is not proven.

    Raises FrameError if the photo cannot be read, CatalogueError if the star catalogue is missing
    or damaged.
    """
    from regengine.sky.detection.detect import detect_in_picture
    from regengine.sky.detection.kinds import STARS
    from regengine.sky.stars.photo import sky
    from regengine.sky.stars.solve import SolveOptions, StarSolution, solve_stars

    photo, params = problem.photo, problem.params.stars
    frame, limb, stored = photo.frame, photo.limb, photo.nominal
    if frame.time_utc is None or limb is None:
        return None
    # The sky begins where refraction no longer bends starlight
    raised_deg = limb_angle_deg(problem.altitude_km, MIN_STAR_HEIGHT_KM) - limb.hard_edge_deg
    if mask_sky(limb, limb.shape, margin_deg=-raised_deg).mean() < params.min_sky_share:
        return None
    picture = read_linear_light(frame.file, max_long_side_px=params.detection_px)
    mask = ~mask_sky(limb, picture.light.shape, margin_deg=-raised_deg)
    stars = detect_in_picture(picture, STARS.detector(), mask=mask)
    focal_px, sigma_log_focal = stored.focal_px, LENS.sigma_log_focal
    if not photo.focal_known:  # use the focal length from the curvature of the limb
        scale = max(stored.width_px, stored.height_px) / max(limb.shape)
        focal_px = limb.focal_px * limb.focal_ratio * scale
        sigma_log_focal = math.hypot(limb.focal_ratio_sigma, LENS.sigma_log_focal)
    options = SolveOptions(
        focal_px=focal_px,
        log_focal_sigma=sigma_log_focal,
        focal_only=True,
        distortion=stored.distortion,
        principal_point=stored.principal_point,
    )
    catalogue, indices = sky()
    solution = solve_stars(stars, stored.width_px, stored.height_px, catalogue, indices, options)
    return make_attitude(solution, frame.time_utc) if isinstance(solution, StarSolution) else None


def list_star_places(
    attitude: StarAttitude, tracks: Sequence[Track], limb: Limb, params: StarParams = StarParams()
) -> list[tuple[float, Track, float, Camera]]:
    """List possible places of the camera from orbit, stars and limb, likeliest first.

    Each has its negative log-probability up to a constant, its track, its offset along the track in
    kilometres, and the camera with the attitude from the stars.
    """
    rotation = icrs_to_itrf(attitude.time_utc)
    nadir = refit_nadir(limb, attitude.camera)

    def look_down(track: Track, offset_km: float) -> tuple[Camera, FloatArray, float]:
        """The camera at a place, the Earth's centre in its frame, and degrees from the limb's."""
        x, y, z = track.position(offset_km).tolist()
        turned = turn_by_clock(rotation, track.clock_at(offset_km))
        camera = place_over_earth(attitude, turned, (x, y, z))
        position = np.asarray(camera.position_ecef_m)
        down = np.asarray(camera.matrix.T @ (-position / np.linalg.norm(position)))
        off_rad = np.arctan2(np.linalg.norm(np.cross(nadir, down)), nadir @ down)
        return camera, down, float(np.degrees(off_rad))

    covariance = limb.covariance_deg2 + params.min_limb_sigma_deg**2 * np.eye(2)
    wide = covariance + params.wrong_layer_sigma_deg**2 * np.eye(2)
    wrong = params.wrong_layer_share_paired if limb.paired else params.wrong_layer_share
    places = []
    for track in tracks:
        count = math.ceil(track.belief.reach_km / params.first_step_km)
        nodes = params.first_step_km * np.arange(-count, count + 1)
        off_deg = [look_down(track, float(node))[2] for node in nodes]
        near = nodes[np.array(off_deg) < params.max_off_limb_deg]
        if not len(near):
            continue
        for offset_km, neg_log_prior in zip(*list_offsets(track, params.step_km), strict=True):
            if np.abs(near - offset_km).min() > 0.5 * params.first_step_km:
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
    return [place for place in places if place[0] <= places[0][0] + params.max_neg_log_prior]


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
    factor = max(lens.width_px, lens.height_px) / max(limb.shape)
    rays = lens.rays((x[shown] + 0.5) * factor - 0.5, (y[shown] + 0.5) * factor - 0.5)
    cosine = math.cos(math.radians(limb.angle_deg))
    for _ in range(5):  # Gauss-Newton
        axes = np.stack(compute_tangent_axes(nadir))
        step = np.linalg.lstsq(rays @ axes.T, cosine - rays @ nadir, rcond=None)[0]
        nadir = nadir + step @ axes
        nadir = nadir / np.linalg.norm(nadir)
    return nadir
