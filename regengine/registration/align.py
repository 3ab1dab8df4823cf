"""Align hypotheses on small images, merge equal ones, and compute their image odds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import BoolArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic
from matchers.geometry.map_grid import MapGrid, render_known
from matchers.geometry.pose import (
    ALONG,
    FOCAL,
    K1,
    PARAMETERS,
    PRINCIPAL_X,
    PRINCIPAL_Y,
    ROTATION,
    PosePrior,
)
from matchers.lights.gauss_newton import align
from matchers.lights.photo_light import EvenedImage, detail, normalize_contrast
from matchers.lights.verify import image_log10_odds
from regengine.orbit.propagation import CameraPosition, position_from_nadir
from regengine.registration.parameters import REFINE, TRACKS
from regengine.registration.priors import LensBelief, believe_camera, is_telephoto
from regengine.registration.types import Hypothesis, ImageKind, Problem, Stage, TrackPlace
from regengine.registration.windows import (
    compute_ground_sample_km,
    compute_slant_range_km,
    find_footprint_window,
)

# Places in the image where two cameras are compared, x and y as shares of its sides
LATTICE = np.array([(x, y) for y in np.linspace(0.1, 0.9, 5) for x in np.linspace(0.1, 0.9, 5)])


# Two cameras have the same view if the ground moves by less than this share of the long side (by
# eye)
SAME_VIEW_SHARE = 0.08
# Number of views in one box, log10: 7 to 29 tiles x 60 rolls x 49 x 49 shifts
LOG10_ATTITUDES = 6.0


def is_same_view(a: Camera, b: Camera, share: float = SAME_VIEW_SHARE) -> bool:
    """Whether two cameras of one image show nearly the same ground at the same pixels."""
    from matchers.geometry.compiled_view import moves_less

    if a.mirrored != b.mirrored:
        return False
    most_px = share * a.long_side_px
    return moves_less(a.numbers, b.numbers, a.height_px, LATTICE, most_px)


def merge_hypotheses(known: Sequence[Hypothesis], new: Iterable[Hypothesis]) -> list[Hypothesis]:
    """Merge hypotheses of the same view, keeping the better one; return them best first.

    A small clipped image does not determine from which place on the track it was taken. So
    hypotheses on it that are 100 km apart are both kept, and the finer images decide.
    """

    def is_same(a: Hypothesis, b: Hypothesis) -> bool:
        clipped = a.image == b.image == "clipped"
        if clipped and abs(a.offset_km - b.offset_km) > 100.0:
            return False
        if a.n_stars != b.n_stars:  # with and without the attitude of stars
            return False
        return is_same_view(a.camera, b.camera)

    result = list(known)
    for hypothesis in new:
        same = [other for other in result if is_same(hypothesis, other)]
        if all(score_hypothesis(hypothesis) > score_hypothesis(other) for other in same):
            result = [other for other in result if other not in same]
            result.append(hypothesis)
    return sorted(result, key=lambda one: -score_hypothesis(one))


def score_hypothesis(hypothesis: Hypothesis) -> float:
    """Correlation with normalized contrast, corrected so that it is comparable between lenses.

    A telephoto frame covers few of the map's pixels. The correlation of few pixels is higher by
    chance, roughly with the inverse square root of the field's width.
    """
    full_field_km = 180.0  # 256 px of the map's 0.7 km resolution
    camera = hypothesis.camera
    high_km = float(np.linalg.norm(camera.position_ecef_m)) / 1e3
    cosine = -float(camera.boresight_ecef @ camera.position_ecef_m) / 1e3 / high_km
    range_km = compute_slant_range_km(high_km - EARTH_RADIUS_KM, cosine)
    field_km = range_km * camera.long_side_px / camera.focal_px
    return hypothesis.even_ncc * float(np.sqrt(min(1.0, field_km / full_field_km)))


def free_unknowns(prior: PosePrior, *, fine: bool, k1: bool = False) -> BoolArray:
    """Mark the unknowns that an image can determine.

    A small image determines attitude, focal length and the position along the track. A fine one
    determines all. Radial distortion is free only if requested, and the principal point only for a
    possible crop.
    """
    if not fine:
        free = np.zeros(PARAMETERS, bool)
        free[ROTATION] = True
        free[[FOCAL, ALONG]] = True
        return free
    free = np.ones(PARAMETERS, bool)
    free[K1] = k1
    free[[PRINCIPAL_X, PRINCIPAL_Y]] = prior.sigma_principal_px > 0.0
    return free


def align_first(
    problem: Problem,
    hypotheses: Sequence[Hypothesis],
    levels: tuple[MapGrid, ...] | None = None,
    *,
    size_px: int,
) -> list[Hypothesis]:
    """Align hypotheses on an image of the photo of some size, and return the distinct ones.

    ``levels`` is a map pyramid that covers all of them; without it each has a separate window.
    Hypotheses whose ground is not on the map are left out.
    """
    nominal = problem.photo.nominal
    found: list[Hypothesis] = []
    for hypothesis in hypotheses:
        camera, mirrored = hypothesis.camera, hypothesis.camera.mirrored
        image = problem.photo.image(hypothesis.image).resized(
            size_px, REFINE.smooth_px, REFINE.first_detail_px
        )
        image = image.unmirrored(mirrored)
        around = levels
        if around is None:
            # Alignment can move a camera by one sigma of its position, and its footprint with it
            field_km = compute_ground_sample_km(camera) * camera.long_side_px
            step_km = field_km / size_px / 1.5
            around = find_footprint_window(problem.references.light_map, camera, 150.0, step_km)
        if around is None:
            continue
        aligned = align(
            around,
            image.values,
            image.weight,
            replace(image.camera(camera), mirrored=False),
            hypothesis.prior.for_image(image.factor),
            free=free_unknowns(hypothesis.prior, fine=False),
            smooth_px=REFINE.smooth_px,
            detail_px=REFINE.first_detail_px,
        )
        moved = replace(image.stored_camera(aligned.camera, nominal), mirrored=mirrored)
        if not any(is_same_view(moved, other.camera) for other in found):
            found.append(
                replace(hypothesis, camera=moved, ncc=aligned.ncc, even_ncc=aligned.even_ncc)
            )
    return found


def align_hypothesis(problem: Problem, hypothesis: Hypothesis, size_px: int) -> Hypothesis | None:
    """Align a hypothesis on an image of some size, and compute its image odds; None off the map.

    The clipped image serves only to find a place; the odds are computed on the narrow image.
    """
    image = problem.photo.image(hypothesis.image).resized(size_px, detail_px=REFINE.detail_px)
    camera = image.camera(hypothesis.camera)
    light_map = problem.references.light_map
    levels = find_footprint_window(
        light_map, hypothesis.camera, 60.0, compute_ground_sample_km(camera) / 1.5
    )
    if levels is None:
        return None
    prior = hypothesis.prior.for_image(image.factor)
    aligned = align(
        levels,
        image.values,
        image.weight,
        camera,
        prior,
        free=free_unknowns(prior, fine=size_px >= REFINE.compared_px),
        smooth_px=REFINE.smooth_px,
        detail_px=REFINE.detail_px,
        supersample=2,
    )
    found = image.stored_camera(aligned.camera, problem.photo.nominal)
    narrow = problem.photo.image("narrow")
    return replace(
        hypothesis,
        camera=found,
        ncc=aligned.ncc,
        even_ncc=aligned.even_ncc,
        image_log10_odds=weigh_image(narrow, found, levels, size_px),
    )


def weigh_image(
    image: EvenedImage,
    camera: Camera,
    levels: Sequence[MapGrid],
    size_px: int,
) -> float:
    """Compute the odds of the image under a camera, against displaced and reflected copies."""
    # Scale of structure for image odds: outlines of districts, which few cameras reproduce
    scale_px = 3.0  # by eye
    picture = image.resized(size_px, detail_px=scale_px)
    view, known = render_known(levels, picture.camera(camera), 2)
    view = np.asarray(cv2.GaussianBlur(view, (0, 0), REFINE.smooth_px), np.float32)
    weight = np.asarray(picture.weight * known, np.float32)
    photo = normalize_contrast(picture.values, scale_px, weight)
    # What hides the photo hides nothing of the map under its other shifts
    shown = normalize_contrast(detail(view, scale_px, known), scale_px, known) * known
    same_place_px = 3.0 * scale_px
    return image_log10_odds(photo, shown, weight, same_place_px)


def make_hypothesis(
    problem: Problem, stage: Stage, place: TrackPlace, camera: Camera, kind: ImageKind
) -> Hypothesis:
    """Make the hypothesis of a camera at a place, with a prior around its focal length."""
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


def locate_camera(camera: Camera) -> CameraPosition:
    lon, lat, height_m = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    sigma_km = TRACKS.blind_sigma_km
    return position_from_nadir(lon, lat, height_m / 1e3, "lights", sigma_km=sigma_km)


def choose_template_px(problem: Problem, lens: LensBelief) -> int:
    """Choose the long side of the image of the first look; smaller for a frame within one city.

    Such a frame is recognized by the outline of the city and its parks, not by single places.
    """
    nominal = problem.photo.nominal
    camera = replace(nominal, focal_px=nominal.focal_px * lens.ratio)
    if not is_telephoto(camera):
        return REFINE.first_px
    field_km = problem.altitude_km / camera.focal_px * nominal.long_side_px
    # Pixels of 1.15 km show the outline of a city (by eye)
    return int(np.clip(field_km / 1.15, REFINE.first_px // 2, REFINE.first_px))
