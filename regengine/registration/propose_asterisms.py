"""Propose hypotheses from asterisms of light peaks, at a place on a track for all attitudes.

Triangles of the photo's light peaks are compared with those of the index, projected from the place.
Each attitude that they propose is rated by its correlation with the map. Aligning a camera needs
several renderings. So the map is drawn and filtered once around the place, and then sampled for
every attitude, which takes a fiftieth of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef, intersect_ellipsoid, surface_to_lonlat
from matchers.geometry.light_grid import LightGrid
from matchers.geometry.pose import point_at_nadir, with_attitude
from matchers.geometry.view import LATTICE_PX, draw, lattice, stereographic_rays
from matchers.lights.photo_light import EVEN_FLOOR, LightImage, detail, normalize_contrast
from matchers.lights.verify import LIGHTS, find_light_peaks
from matchers.points.asterism_fit import MatchParameters
from matchers.points.asterism_match import match
from matchers.points.asterisms import AsterismParameters, build_index
from regengine.registration.align import align_first, choose_template_px, make_hypothesis, unmirror
from regengine.registration.priors import is_telephoto
from regengine.registration.types import Hypothesis, ImageKind, Problem, Stage, keeps_sky_free
from regengine.registration.windows import FARTHEST_DEG, MIN_SAMPLE_KM, compute_ground_reach_km

SCALE_PX = 1.8  # size of light peaks
MAX_OFF_NADIR_DEG = 68.5  # of ground: the horizon is at 70
# At larger incidence angles, ground is lost in haze and too foreshortened to resolve lights
MAX_INCIDENCE_DEG = 82.0


def propose_asterisms(problem: Problem, stage: Stage) -> list[Hypothesis]:
    """Propose attitudes of a camera at a place by asterisms of light peaks, and align the best.

    The likeliest by asterisms and the best by correlation are aligned.
    """
    photo, place = problem.photo, stage.place
    assert place is not None
    x, y, z = place.position_ecef_m.tolist()
    lens = replace(
        photo.nominal,
        focal_px=photo.nominal.focal_px * stage.lens.ratio,
        position_ecef_m=(x, y, z),
        mirrored=stage.mirrored,
    )
    kind: ImageKind = "clipped" if is_telephoto(lens) else "narrow"
    image = photo.image(kind)
    field_km = problem.altitude_km / lens.focal_px * max(lens.width_px, lens.height_px)

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
            kept=60,
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
    step_km = max(field_km / size_px / 1.5, MIN_SAMPLE_KM)
    reach_km = compute_ground_reach_km(problem.altitude_km, FARTHEST_DEG)
    levels = problem.windows.around(place.position_ecef_m, reach_km, step_km)
    if levels is None:
        return []
    if len(cameras) > stage.n_aligned:
        refine = problem.params.refine
        template = image.resized(size_px, refine.smooth_px, refine.first_detail_px)
        template = unmirror(template, stage.mirrored)
        ncc = correlate_attitudes(
            levels,
            template,
            [replace(template.camera(one), mirrored=False) for one in cameras],
            MAX_OFF_NADIR_DEG,
            smooth_px=refine.smooth_px,
            detail_px=refine.first_detail_px,
        )
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
    strongest = np.argsort(-contrast, kind="stable")[:4000]
    return np.concatenate(vectors)[strongest], contrast[strongest]


def correlate_attitudes(
    levels: Sequence[LightGrid],
    photo: LightImage,
    cameras: Sequence[Camera],
    off_nadir_deg: float,
    *,
    smooth_px: float,
    detail_px: float,
) -> FloatArray:
    """Correlate photo and map for many cameras at one position, with normalized contrast.

    Parameters
    ----------
    photo : LightImage
        A small light image without broad structure.
    cameras : sequence of Camera
        Cameras of that image, all at one position, with any focal lengths.
    off_nadir_deg : float
        Off-nadir angle up to which the map is drawn.
    smooth_px, detail_px : float
        Blur of the image, and the scale of the structure that is subtracted from it, pixels.

    Returns
    -------
    ndarray of float64, shape (n,)
        The maximum over all shifts; 0 where the map is dark.
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
    axes, reach = point_at_nadir(position), 2.0 * np.tan(np.radians(off_nadir_deg) / 2.0)
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
