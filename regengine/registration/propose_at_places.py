"""Hypotheses from the light around a photo's light peaks, looked up in the index of the map's.

Where a track is known, a region near it is looked up, and cameras stand on the track. Where nothing
is, the whole Earth is, and cameras stand where the lights have them.

A height of the camera and a direction of the nadir in the picture are assumed: then the photo is
drawn as a map of its ground, and only a rotation of the sphere is unknown. Patches of light around
its strongest peaks are placed on the peaks of the index that look alike; the other patches weigh
each placement.

At a place on a track, all attitudes are proposed by asterisms. Triangles of the photo's light peaks
are compared with those of the index, projected from the place. Each attitude that they propose is
rated by its correlation with the map. Aligning a camera needs several renderings. So the map is
drawn and filtered once around the place, and then sampled for every attitude, which takes a
fiftieth of the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import (
    geodetic_to_ecef,
    intersect_ellipsoid,
    surface_to_lonlat,
    to_xyz,
)
from matchers.geometry.map_grid import LATTICE_PX, MapGrid, draw, lattice, stereographic_rays
from matchers.geometry.pose import point_at_nadir, with_attitude
from matchers.lights.dense import (
    DETAIL_PX,
    choose_templates,
    find_attitudes,
    spread_boresights,
)
from matchers.lights.level_ground import ground_plane, level_axes
from matchers.lights.photo_light import EVEN_FLOOR, EvenedImage, detail, normalize_contrast
from matchers.lights.polar_patches import (
    PatchMap,
    PatchPhoto,
    PatchPlacement,
    blur_to_dark,
    fit_placements,
    harmonics,
    normalize_queries,
    place_patches,
    sample_rings,
)
from matchers.lights.verify import LIGHTS, find_light_peaks
from matchers.points.asterism_match import MatchParameters, match
from matchers.points.asterisms import AsterismParameters, build_index, frames
from regengine.maps.index.earth import LightLevel
from regengine.registration.align import (
    LATTICE,
    SAME_VIEW_SHARE,
    align_first,
    choose_template_px,
    is_same_view,
    locate_camera,
    make_hypothesis,
)
from regengine.registration.parameters import REFINE, TRACKS
from regengine.registration.priors import PLACE_STEP_KM, is_telephoto, make_tracks
from regengine.registration.types import (
    Hypothesis,
    ImageKind,
    Problem,
    Stage,
    TrackPlace,
    keeps_sky_free,
)
from regengine.registration.windows import (
    compute_ground_reach_km,
    compute_slant_range_km,
)

SCALE_PX = 1.8  # size of light peaks in small light images, by eye
MAX_OFF_NADIR_DEG = 68.5  # of ground: the horizon is at 70
# At larger incidence angles, ground is lost in haze and too foreshortened to resolve lights
MAX_INCIDENCE_DEG = 82.0


def propose_asterisms(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Propose attitudes of a camera at a place by asterisms of light peaks, and align the best.

    The likeliest by asterisms and the best by correlation are aligned.
    """
    photo, place = problem.photo, stage.place
    assert place is not None
    assert problem.windows is not None
    lens = replace(
        photo.nominal,
        focal_px=photo.nominal.focal_px * stage.lens.ratio,
        position_ecef_m=to_xyz(place.position_ecef_m),
        mirrored=stage.mirrored,
    )
    kind: ImageKind = "clipped" if is_telephoto(lens) else "narrow"
    image = photo.image(kind)
    field_km = problem.altitude_km / lens.focal_px * lens.long_side_px

    # Light peaks of the photo, and of the index as projected from the place
    # Range of the long side of the light image, with pixels about the size of the map's
    side_px = int(np.clip(field_km / 0.5, 36, 192))
    small = image.resized(side_px)
    camera = small.camera(lens)
    peaks = find_light_peaks(small.values, small.weight, stage.n_photo_lights, SCALE_PX)
    vectors, contrast = view_index_lights(problem, camera)
    if len(peaks) < 3 or len(vectors) < 3:
        return []

    # Attitudes whose asterisms match, as cameras of the stored image
    reference = build_index(
        vectors,
        contrast,
        AsterismParameters(
            # By eye, as the tolerances of the match
            neighbours=6,
            brightness_share=0.4,
            size_rad=(10.0 / camera.focal_px, 90.0 / camera.focal_px),
            shape_tolerance=0.12,
            log_size_tolerance=0.15,
        ),
    )
    attitudes = match(
        reference,
        camera.rays(peaks.x, peaks.y),
        peaks.contrast,
        MatchParameters(
            brightest=stage.n_photo_lights,
            neighbours=6,
            sigma_rad=1.2 / camera.focal_px,  # of a peak's position
            sigma_share=0.06,  # by so much more per pixel from the asterism
            scale_free=len(stage.lens.ladder) > 1,
            kept=60,  # by eye
            scales=stage.lens.ladder,
        ),
    )
    cameras = []
    for attitude in attitudes:
        scaled = replace(camera, focal_px=camera.focal_px / attitude.scale)
        stored = small.stored_camera(with_attitude(scaled, attitude.rotation), photo.nominal)
        stored = replace(stored, mirrored=stage.mirrored)
        if keeps_sky_free(photo, stored):
            cameras.append(stored)

    # The best few of them by correlation
    size_px = choose_template_px(problem, stage.lens)
    levels = problem.windows.around(place.position_ecef_m, field_km / size_px / 1.5)
    if levels is None:
        return []
    if len(cameras) > stage.n_aligned:
        blur_px = REFINE.smooth_px, REFINE.first_detail_px
        template = image.resized(size_px, *blur_px)
        template = template.unmirrored(stage.mirrored)
        seen = [replace(template.camera(one), mirrored=False) for one in cameras]
        ncc = correlate_attitudes(levels, template, seen, *blur_px)
        best = [k for k in np.argsort(-ncc, kind="stable").tolist() if k > 0]
        cameras = [cameras[k] for k in [0, *best[: stage.n_aligned - 1]]]
    hypotheses = [make_hypothesis(problem, stage, place, one, kind) for one in cameras]
    return align_first(problem, hypotheses, levels, size_px=size_px)


def view_index_lights(problem: Problem, camera: Camera) -> tuple[FloatArray, FloatArray]:
    """Compute directions (ECEF, shape (n, 3)) and contrast of the index's peaks from a camera.

    Farther peaks are taken from a coarser level, according to the resolution of the camera.
    """
    index = problem.references.index
    assert index is not None
    position = np.asarray(camera.position_ecef_m)
    sizes_km = sorted(index.sizes_km)
    nadir = position / np.linalg.norm(position)
    # Chord of the unit sphere to the farthest ground that is used
    reach_km = compute_ground_reach_km(problem.altitude_km, MAX_OFF_NADIR_DEG)
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
        # Mean side of a pixel's footprint on the slanted ground; in pixels, the index's peaks are
        # larger than those detected in the photo
        cosine = np.maximum(cosine, 1e-3)
        pixel_km = range_m / 1e3 / camera.focal_px / np.sqrt(cosine)
        sample_km = SCALE_PX / LIGHTS.scale_px * pixel_km
        suited = cosine > np.cos(np.radians(MAX_INCIDENCE_DEG))
        if k > 0:
            suited &= sample_km >= np.sqrt(sizes_km[k - 1] * size_km)
        if k + 1 < len(sizes_km):
            suited &= sample_km < np.sqrt(size_km * sizes_km[k + 1])
        vectors.append(sight[suited] / range_m[suited, None])
        contrasts.append(level.contrast[near][suited])
    contrast = np.concatenate(contrasts)
    strongest = np.argsort(-contrast, kind="stable")[:4000]  # by eye
    return np.concatenate(vectors)[strongest], contrast[strongest]


def correlate_attitudes(
    levels: Sequence[MapGrid],
    photo: EvenedImage,
    cameras: Sequence[Camera],
    smooth_px: float,
    detail_px: float,
) -> FloatArray:
    """Correlate photo and map for many cameras at one position, with normalized contrast.

    Returns the maximum over all shifts, shape (n,); 0 where the map is dark. `photo`: a small light
    image without broad structure; `cameras`: of that image, with any focal lengths; `smooth_px`,
    `detail_px`: blur of the image, and the scale of the structure that is subtracted from it.
    """
    even = normalize_contrast(photo.values, detail_px, photo.weight)
    total = float(photo.weight.sum())
    height, width = even.shape
    share = photo.weight.ravel() / total
    centred = even.ravel() - float(share @ even.ravel())
    # Attitudes from light peaks are off by one or two pixels of the small image: shifts of a pixel
    # are tried
    x, y = (np.arange(-1.0, side + 1.0) for side in (width, height))
    inside = np.s_[1 : 1 + height, 1 : 1 + width]
    # The map is drawn in stereographic projection around the nadir. A view has the pixels per
    # radian there, half of the side, the light without broad structure, and its blurred square
    views: dict[int, tuple[float, int, FloatImage, FloatImage]] = {}
    position = np.asarray(cameras[0].position_ecef_m)
    axes, reach = point_at_nadir(position), 2.0 * np.tan(np.radians(MAX_OFF_NADIR_DEG) / 2.0)
    found = np.zeros(len(cameras))
    for number, camera in enumerate(cameras):
        # Cameras whose focal lengths agree to a third of an octave share a view of the map
        octave = round(float(np.log2(camera.focal_px)) / 0.35)
        if octave not in views:
            # Its scale grows by up to 1.4 towards the horizon, and that of the photo by up to 1.2
            # towards its own corners
            focal_px = 0.9 * camera.focal_px
            half_px = int(min(np.ceil(focal_px * reach), 800))
            focal_px, step = min(focal_px, half_px / reach), 2 * LATTICE_PX
            nodes = lattice(2 * half_px, step) - half_px
            rays = stereographic_rays(*np.meshgrid(nodes, nodes), focal_px)
            ground = intersect_ellipsoid(position, rays @ axes.T)
            light, _ = draw(levels, ground, (2 * half_px, 2 * half_px), step, mean_side=True)
            blurred = np.asarray(cv2.GaussianBlur(light, (0, 0), smooth_px), np.float32)
            drawn = detail(blurred, detail_px)
            square = np.asarray(cv2.GaussianBlur(drawn * drawn, (0, 0), detail_px), np.float32)
            views[octave] = focal_px, half_px, drawn, square
        focal_px, half_px, drawn, square = views[octave]
        rays = camera.rays(*np.meshgrid(x, y)) @ (axes.T @ camera.matrix).T
        length = np.linalg.norm(rays, axis=-1)
        # (x, y) / (1 + z) of a unit vector is tan(theta / 2) times its direction
        scale = 2.0 * focal_px / np.maximum(length + rays[..., 2], 0.1 * length)
        column = (rays[..., 0] * scale + half_px).astype(np.float32)
        row = (rays[..., 1] * scale + half_px).astype(np.float32)
        light, square = (
            np.asarray(cv2.remap(image, column, row, cv2.INTER_LINEAR), np.float32)
            for image in (drawn, square)
        )
        overall = float((photo.weight * square[inside]).sum()) / max(total, 1e-9)
        if overall <= 1e-9:
            continue
        light = light / np.sqrt(square + EVEN_FLOOR * overall)
        shifted = np.lib.stride_tricks.sliding_window_view(light, even.shape).reshape(-1, even.size)
        spread = float(share @ centred**2) * (shifted**2 @ share - (shifted @ share) ** 2)
        found[number] = np.max(shifted @ (share * centred) / np.sqrt(np.maximum(spread, 1e-12)))
    return found


def propose_light(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Look up cameras by the light around light peaks.

    The best distinct ones near a track, or as high as the camera may have flown, are aligned.
    """
    region = stage.region
    assert region is not None
    image = problem.photo.image("narrow").unmirrored(stage.mirrored)
    nominal = problem.photo.nominal
    lens = replace(nominal, focal_px=nominal.focal_px * stage.lens.ratio)
    # Number of patches placed, and of places for each, near a track and on the whole Earth (by eye)
    n_patches_and_places = (12, 50) if region.name == "earth" else (6, 10)
    found: list[PatchPlacement] = []
    for level_km, nadirs in stage.views:
        level = region.index[level_km]
        found += look_up_light(
            *(level, level_km, image, lens, problem.altitude_km, nadirs),
            *n_patches_and_places,
        )
    chosen: list[Hypothesis] = []
    for placement in sorted(found, key=lambda one: -one.log10_odds):
        if len(chosen) == stage.n_aligned:
            break
        # A scale of the level frame is a height, above the ellipsoid
        height_m = 1e3 * problem.altitude_km * placement.scale
        lon, lat = surface_to_lonlat(placement.rotation[:, 2])
        there_m = to_xyz(geodetic_to_ecef(lon, lat, height_m))
        camera = replace(lens, position_ecef_m=there_m, mirrored=stage.mirrored)
        camera = with_attitude(camera, placement.rotation @ placement.photo.axes)
        if not keeps_sky_free(problem.photo, camera):
            continue
        hypothesis = place_on_track(problem, stage, camera)
        if hypothesis is not None and not any(
            is_same_view(camera, other.camera, 2.0 * SAME_VIEW_SHARE) for other in chosen
        ):
            chosen.append(hypothesis)
    return align_first(problem, chosen, size_px=choose_template_px(problem, stage.lens))


def look_up_light(
    level: LightLevel,
    level_km: float,
    image: EvenedImage,
    lens: Camera,
    altitude_km: float,
    nadirs: FloatArray,
    n_placed: int,
    n_places: int,
) -> list[PatchPlacement]:
    """The likeliest placements of a photo that is not mirrored, for some nadir directions."""
    reference = PatchMap(
        vectors=level.vectors,
        frames=frames(level.vectors),
        tree=level.tree,
        table=level.patches,
        pixel_rad=level_km / EARTH_RADIUS_KM,
    )
    small = image.camera(lens)
    photos: list[PatchPhoto] = []
    for nadir in nadirs:
        axes = level_axes(nadir)
        plane = ground_plane(image, small, axes, altitude_km, level_km)
        if plane is None:
            continue
        light = (plane.values / np.maximum(plane.weight, 0.1)).astype(np.float32)
        # Numbers of patches, and fewest that say anything (by eye)
        smooth = blur_to_dark(light, 0.6)
        peaks = find_light_peaks(smooth, plane.weight, 24)
        if len(peaks) < 6:
            continue
        values, weights = sample_rings(light, plane.weight, peaks.x, peaks.y)
        vectors = plane.points(peaks.x, peaks.y)
        # Frames: the plane's right as far as it is level, up and outwards
        right = plane.axes[0] - vectors * (vectors @ plane.axes[0])[:, None]
        right /= np.linalg.norm(right, axis=1, keepdims=True)
        photo = PatchPhoto(
            axes=axes,
            vectors=vectors,
            frames=np.stack([right, np.cross(vectors, right), vectors], axis=-1),
            queries=normalize_queries(level.patches, harmonics(values, weights)),
            # Those whose rings lie within the photo for the most part
            chosen=np.flatnonzero(weights.mean(axis=(1, 2)) > 0.5)[:n_placed],
        )
        photos.append(photo)
    placements = place_patches(reference, photos, n_places)
    best = sorted(placements, key=lambda one: -one.log10_odds)[:24]
    found: list[PatchPlacement] = []
    for photo in photos:
        own = [placement for placement in best if placement.photo is photo]
        found += fit_placements(reference, photo, own)
    return found


def place_on_track(problem: Problem, stage: Stage, camera: Camera) -> Hypothesis | None:
    """A hypothesis of a camera that was looked up, moved to the track.

    None off the track, or on the whole Earth at a height at which the camera did not fly.
    """
    region = stage.region
    assert region is not None
    if region.name == "earth":
        position = locate_camera(camera)
        low_km, high_km = problem.prior.altitude_range_km
        spare_km = TRACKS.blind_sigma_km[2]  # a tilt that is not quite right is one in height
        if not low_km - spare_km <= position.altitude_km <= high_km + spare_km:
            return None
        track, spread_km = make_tracks(position, None)[0], TRACKS.blind_sigma_km[0]
        place = TrackPlace(track=track, offset_km=0.0, spread_km=spread_km, share=1.0)
        found = make_hypothesis(problem, stage, place, camera, "narrow")
        along_m, across_m, up_m = (1e3 * sigma for sigma in TRACKS.blind_sigma_km)
        prior = replace(
            found.prior, sigma_along_m=along_m, sigma_across_m=across_m, sigma_up_m=up_m
        )
        return replace(found, is_blind=True, prior=prior)
    apart_m = np.linalg.norm(region.positions_ecef_m - np.asarray(camera.position_ecef_m), axis=1)
    nearest = int(apart_m.argmin())
    # Position error caused by tilts and altitudes between those tried
    if apart_m[nearest] > 250_000.0:
        return None
    place = replace(region.places[nearest], spread_km=PLACE_STEP_KM)
    found = make_hypothesis(problem, stage, place, camera, "narrow")
    # The same ground in the same pixels, as far as can be, from there
    x, y = (LATTICE * [camera.width_px, camera.height_px]).T
    ground = camera.pixel_to_ecef(x, y)
    visible = np.isfinite(ground[:, 0])
    if visible.sum() < 3:  # that tell an attitude
        return found
    sight = ground[visible] - np.asarray(found.prior.position_ecef_m)
    sight = sight / np.linalg.norm(sight, axis=1, keepdims=True)
    rotation, _ = Rotation.align_vectors(sight, camera.rays(x[visible], y[visible]))
    there = replace(camera, position_ecef_m=found.prior.position_ecef_m)
    return replace(found, camera=with_attitude(there, rotation.as_matrix()))


def propose_dense(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Propose the best distinct directions from a place, aligned.

    The method serves frames without asterisms: long lenses and few lights. Clipped images of cities
    resemble each other. Of eleven telephoto frames of the training half, the right camera was the
    first in seven, and within the first 13 in nine.
    """
    place, nominal = stage.place, problem.photo.nominal
    assert place is not None
    assert problem.windows is not None
    there_m, focal_px = to_xyz(place.position_ecef_m), nominal.focal_px * stage.lens.ratio
    lens = replace(nominal, focal_px=focal_px, position_ecef_m=there_m)
    clipped = is_telephoto(lens)
    kind: ImageKind = "clipped" if clipped else "narrow"
    size_px = choose_template_px(problem, stage.lens)
    nearest_deg, farthest_deg = stage.off_nadir_deg
    # Telephoto frames are taken near nadir: 65 degrees off it the ground lies 1,100 km away
    farthest_deg = min(farthest_deg, 65.0 if clipped else 70.0)  # that: the horizon of the ISS
    sample_km = problem.altitude_km / lens.focal_px * lens.long_side_px / size_px
    step_km = sample_km / 1.5
    if clipped:
        # Distant ground has a coarser sample, and windows of whole cities are slow to read
        nearest_km = compute_slant_range_km(
            problem.altitude_km, math.cos(math.radians(nearest_deg))
        )
        step_km = sample_km * nearest_km / problem.altitude_km / 1.2
    levels = problem.windows.around(place.position_ecef_m, step_km)
    if levels is None:
        return []
    image = problem.photo.image(kind).resized(size_px, 0.7, DETAIL_PX)
    image = image.unmirrored(stage.mirrored)
    photo = replace(image.camera(lens), mirrored=False)
    templates = choose_templates(image.values, image.weight, photo.focal_px)
    directions = spread_boresights(templates.step_deg, nearest_deg, farthest_deg)
    chosen: list[Camera] = []
    for k, found in enumerate(find_attitudes(levels, photo, templates, directions)):
        if len(chosen) == stage.n_aligned or k == 300:  # by eye
            break
        camera = replace(image.stored_camera(found, nominal), mirrored=stage.mirrored)
        if keeps_sky_free(problem.photo, camera) and not any(
            is_same_view(camera, other, 0.5 * SAME_VIEW_SHARE) for other in chosen
        ):
            chosen.append(camera)
    hypotheses = [make_hypothesis(problem, stage, place, camera, kind) for camera in chosen]
    return align_first(problem, hypotheses, levels, size_px=size_px)
