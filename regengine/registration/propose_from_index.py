"""Hypotheses from the index of the map's light peaks: the light around them, and asterisms.

What is known narrows it: a region near a track, and cameras that stand on it. Where nothing is, the
whole Earth is looked up, and cameras stand where the lights have them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, surface_to_lonlat
from matchers.geometry.pose import with_attitude
from matchers.lights.first_sight import first_sight
from matchers.lights.verify import find_light_peaks
from matchers.points.asterism_fit import MatchParameters
from matchers.points.asterism_match import match
from matchers.points.asterisms import AsterismParameters, build_index
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.registration.align import LATTICE, align_first, is_same_view, unmirror
from regengine.registration.index.light import look_up_light
from regengine.registration.parameters import TrackParams
from regengine.registration.priors.lens import LensBelief, is_telephoto
from regengine.registration.priors.limb import keeps_sky_free
from regengine.registration.priors.tracks import believe_camera, tracks_for
from regengine.registration.types import Hypothesis, ImageKind, Place, Problem, Stage
from regengine.registration.windows import FARTHEST_DEG, MIN_SAMPLE_KM, ground_reach_km


def propose_from_index(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Look up cameras by the light around light peaks.

    The best distinct ones near a track, or as high as the camera may have flown, are aligned; the
    right camera of such a stage comes first in 184 of 198 cases, whatever its odds.
    """
    region, params = stage.region, problem.params.search
    assert region is not None
    image = unmirror(problem.photo.image("narrow"), stage.mirrored)
    nominal = problem.photo.nominal
    lens = replace(nominal, focal_px=nominal.focal_px * stage.lens.ratio)
    found: list[tuple[float, Camera]] = []
    for level_km, nadirs in stage.views:
        found += look_up_light(
            *(region.index, level_km, image, lens, problem.altitude_km, nadirs),
            problem.params.index,
            is_earth=region.name == "earth",
        )
    chosen: list[Hypothesis] = []
    for _, camera in sorted(found, key=lambda one: -one[0]):
        camera = replace(camera, mirrored=stage.mirrored)
        if len(chosen) == stage.n_aligned:
            break
        if not keeps_sky_free(problem.photo, camera):
            continue
        hypothesis = stand_hypothesis(problem, stage, camera)
        if hypothesis is not None and not any(
            is_same_view(camera, other.camera, 2.0 * params.same_view_share) for other in chosen
        ):
            chosen.append(hypothesis)
    return align_first(problem, chosen, size_px=suit_template_px(problem, stage.lens))


def stand_hypothesis(problem: Problem, stage: Stage, camera: Camera) -> Hypothesis | None:
    """A camera that was looked up, taken to the track; None off the track, or at no such height."""
    region, params = stage.region, problem.params.search
    assert region is not None
    if region.name == "earth":
        tracks = problem.params.tracks
        position = locate_camera(camera, tracks)
        low_km, high_km = problem.prior.altitude_range_km
        spare_km = params.spare_altitude_km
        if not low_km - spare_km <= position.altitude_km <= high_km + spare_km:
            return None
        track, spread_km = tracks_for(position, None, params=tracks)[0], tracks.blind_sigma_km[0]
        place = Place(track=track, offset_km=0.0, spread_km=spread_km, share=1.0)
        found = make_hypothesis(problem, stage, place, camera, "narrow")
        along_m, across_m, up_m = (1e3 * sigma for sigma in tracks.blind_sigma_km)
        prior = replace(
            found.prior, sigma_along_m=along_m, sigma_across_m=across_m, sigma_up_m=up_m
        )
        return replace(found, is_blind=True, prior=prior)
    apart_m = np.linalg.norm(region.places_ecef_m - np.asarray(camera.position_ecef_m), axis=1)
    nearest = int(apart_m.argmin())
    if apart_m[nearest] > 1e3 * params.max_off_track_km:
        return None
    place = replace(region.places[nearest], spread_km=params.place_step_km)
    found = make_hypothesis(problem, stage, place, camera, "narrow")
    # The same ground in the same pixels, as far as can be, from there
    x, y = (LATTICE * [camera.width_px, camera.height_px]).T
    ground = camera.pixel_to_ecef(x, y)
    seen = np.isfinite(ground[:, 0])
    if seen.sum() < 3:  # that tell an attitude
        return found
    sight = ground[seen] - np.asarray(found.prior.position_ecef_m)
    sight = sight / np.linalg.norm(sight, axis=1, keepdims=True)
    rotation, _ = Rotation.align_vectors(sight, camera.rays(x[seen], y[seen]))
    there = replace(camera, position_ecef_m=found.prior.position_ecef_m)
    return replace(found, camera=with_attitude(there, rotation.as_matrix()))


def locate_camera(camera: Camera, params: TrackParams) -> CameraPosition:
    """Where a camera is, as a position that only the lights tell."""
    lon, lat, height_m = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    sigma_km = params.blind_sigma_km
    return position_from_nadir(lon, lat, height_m / 1e3, "lights", sigma_km=sigma_km)


def suit_template_px(problem: Problem, lens: LensBelief) -> int:
    """Long side of the picture of a first look: smaller for a frame within one city.

    Its outline and its parks tell it, not single places.
    """
    nominal, params = problem.photo.nominal, problem.params.refine
    camera = replace(nominal, focal_px=nominal.focal_px * lens.ratio)
    if not is_telephoto(camera):
        return params.first_px
    longest = max(nominal.width_px, nominal.height_px)
    field_km = problem.altitude_km / camera.focal_px * longest
    return int(np.clip(field_km / 1.15, params.first_px // 2, params.first_px))


# Asterisms from a place


def propose_asterisms(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Look up all attitudes at once of a camera at a place, by asterisms of light peaks.

    The index's peaks are taken as they are seen from there. Attitudes that asterisms propose are
    ordered by the picture at first sight: of 29 looks at hard frames of the training half in which
    the right one was proposed, the odds of asterisms had it among the first four in 12, first sight
    among the first three in 21.
    """
    photo, place = problem.photo, stage.place
    assert place is not None
    position = place.position_ecef_m
    x, y, z = position.tolist()
    lens = replace(
        photo.nominal,
        focal_px=photo.nominal.focal_px * stage.lens.ratio,
        position_ecef_m=(x, y, z),
        mirrored=stage.mirrored,
    )
    kind: ImageKind = "clipped" if is_telephoto(lens) else "narrow"
    image = photo.image(kind)
    params = problem.params.asterisms
    field_km = problem.altitude_km / lens.focal_px * max(lens.width_px, lens.height_px)
    side_px = int(np.clip(field_km / params.map_pixel_km, *params.side_px))
    small = image.resized(side_px, params.smooth_px)
    camera = small.camera(lens)
    peaks = find_light_peaks(small.values, small.weight, stage.n_photo_lights, params.scale_px)
    vectors, contrast = see_index_lights(problem, camera)
    if len(peaks) < 3 or len(vectors) < 3:
        return []
    reference = build_index(
        vectors,
        contrast,
        AsterismParameters(
            neighbours=params.neighbours,
            brightness_share=params.brightness_share,
            size_rad=(params.size_px[0] / camera.focal_px, params.size_px[1] / camera.focal_px),
            shape_tolerance=params.shape_tolerance,
            log_size_tolerance=params.log_size_tolerance,
        ),
    )
    attitudes = match(
        reference,
        camera.rays(peaks.x, peaks.y),
        peaks.contrast,
        MatchParameters(
            brightest=stage.n_photo_lights,
            neighbours=params.neighbours,
            sigma_rad=params.sigma_px / camera.focal_px,
            sigma_share=params.sigma_share,
            turn_step_deg=params.turn_step_deg,
            scale_free=len(stage.lens.ladder) > 1,
            weighed=params.n_weighed,
            kept=params.n_kept,
            scales=stage.lens.ladder,
        ),
    )
    cameras = [
        with_attitude(replace(camera, focal_px=camera.focal_px / a.scale), a.rotation)
        for a in attitudes
    ]
    stored = [
        replace(small.stored_camera(one, photo.nominal), mirrored=stage.mirrored) for one in cameras
    ]
    stored = [one for one in stored if keeps_sky_free(photo, one)]
    hypotheses = [make_hypothesis(problem, stage, place, one, kind) for one in stored]
    size_px = suit_template_px(problem, stage.lens)
    step_km = max(field_km / size_px / 1.5, MIN_SAMPLE_KM)
    reach_km = ground_reach_km(problem.altitude_km, FARTHEST_DEG)
    levels = problem.windows.around(position, reach_km, step_km)
    if levels is None:
        return []
    if len(hypotheses) > stage.n_aligned:
        refine = problem.params.refine
        picture = image.resized(size_px, refine.first_smooth_px, refine.first_detail_px)
        picture = unmirror(picture, stage.mirrored)
        seen = first_sight(
            levels,
            picture,
            [replace(picture.camera(one), mirrored=False) for one in stored],
            params.max_off_nadir_deg,
            smooth_px=refine.first_smooth_px,
            detail_px=refine.first_detail_px,
        )
        best = [int(k) for k in np.argsort(-seen, kind="stable") if k > 0]
        hypotheses = [hypotheses[k] for k in [0, *best[: stage.n_aligned - 1]]]
    return align_first(problem, hypotheses, levels, size_px=size_px)


def see_index_lights(problem: Problem, camera: Camera) -> tuple[FloatArray, FloatArray]:
    """Directions (ECEF, shape (n, 3)) and contrast of the index's light peaks from a camera.

    Farther ones are of a coarser level, as the camera tells them apart.
    """
    index, params = problem.references.index, problem.params.asterisms
    assert index is not None
    position = np.asarray(camera.position_ecef_m)
    sizes_km = sorted(index.sizes_km)
    nadir = position / np.linalg.norm(position)
    # Chord of the unit sphere to the farthest ground that is used
    reach_km = ground_reach_km(problem.altitude_km, params.max_off_nadir_deg)
    reach = 2.0 * np.sin(0.5 * reach_km / EARTH_RADIUS_KM)
    vectors, contrasts = [np.zeros((0, 3))], [np.zeros(0)]
    for k, size_km in enumerate(sizes_km):
        level = index[size_km]
        found = level.tree.query_ball_point(nadir, reach, return_sorted=True)
        near = np.array(found, np.intp)
        up = level.vectors[near]
        sight = geodetic_to_ecef(*surface_to_lonlat(up)) - position
        range_m = np.linalg.norm(sight, axis=1)
        cosine = -np.einsum("ij,ij->i", sight, up) / range_m
        # Mean side of a pixel's footprint on the slanted ground, in units of the level's pixels
        cosine = np.maximum(cosine, 1e-3)
        sample_km = params.scale_ratio * range_m / 1e3 / camera.focal_px / np.sqrt(cosine)
        suited = cosine > np.cos(np.radians(params.max_incidence_deg))
        if k > 0:
            suited &= sample_km >= np.sqrt(sizes_km[k - 1] * size_km)
        if k + 1 < len(sizes_km):
            suited &= sample_km < np.sqrt(size_km * sizes_km[k + 1])
        vectors.append(sight[suited] / range_m[suited, None])
        contrasts.append(level.contrast[near][suited])
    contrast = np.concatenate(contrasts)
    strongest = np.argsort(-contrast, kind="stable")[: params.n_map_lights]
    return np.concatenate(vectors)[strongest], contrast[strongest]


def make_hypothesis(
    problem: Problem, stage: Stage, place: Place, camera: Camera, kind: ImageKind
) -> Hypothesis:
    """A camera at a place with the focal length that it was found with."""
    nominal = problem.photo.nominal
    lens = replace(stage.lens, ratio=camera.focal_px / nominal.focal_px)
    return Hypothesis(
        camera=camera,
        prior=believe_camera(place.track, place.offset_km, place.spread_km, nominal, lens),
        track=place.track,
        offset_km=place.offset_km,
        source=stage.method,
        image=kind,
    )
