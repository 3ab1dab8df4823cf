"""What everything that is known of a photo says of a solved camera and its control points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.reference_cameras import NamedPlace, misses_px
from benchmarks.registration_cases import Case
from benchmarks.registration_local import LocalShift, local_shift
from benchmarks.registration_truth import Truth
from benchmarks.registration_variants import VARIANTS, kept_part, stored_pixels
from matchers.camera import Camera
from matchers.earth import incidence_deg
from matchers.footprint import MAX_INCIDENCE_DEG, diagonal_km
from regengine.evaluate.registration import (
    GroundPoints,
    RegistrationScore,
    ground_errors_m,
    pixel_errors_px,
    score_registration,
)
from regengine.lights.map import LightMap
from regengine.result import ControlPoint, FrameResult

SCORED_PER_SIDE = 17  # pixels along each side at which a camera is compared with the reference's


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What is known against a proposal, each part None where there is no such thing.

    Attributes
    ----------
    score : RegistrationScore or None
        By the reference camera, over a grid of pixels: this one judges.
    places_px : float or None
        Median distance of named places from their lights.
    places_within : tuple of int, or None
        How many of them lie within the bar of what their pixels show, and how many there are: a
        judgement that owes nothing to a map.
    points_score : RegistrationScore or None
        By the older reference points.
    hand_px, hand_of_reference_px, hand_of_points_px : float or None
        Median error at the points picked by eye: of the solved camera, of the reference camera,
        and of the camera of the older reference points.
    shift, shift_of_reference, shift_of_points : LocalShift or None
        Local check of the same three cameras, at the older reference points.
    """

    score: RegistrationScore | None = None
    places_px: float | None = None
    places_within: tuple[int, int] | None = None
    points_score: RegistrationScore | None = None
    hand_px: float | None = None
    hand_of_reference_px: float | None = None
    hand_of_points_px: float | None = None
    shift: LocalShift | None = None
    shift_of_reference: LocalShift | None = None
    shift_of_points: LocalShift | None = None


def scores_of(case: Case, result: FrameResult, truth: Truth, light_map: LightMap) -> Scores:
    """Score a result with everything that is known of its photo.

    Parameters
    ----------
    case : Case
    result : FrameResult
    truth : Truth
        Of the photo as it is, even where the case is a variant of it.
    light_map : LightMap
        The map it was registered on.

    Returns
    -------
    Scores
        Empty where nothing is proposed.
    """
    if result.solved is None:
        return Scores()
    camera, found = result.solved.camera, Scores()
    if truth.camera is not None:
        score = reference_score(camera, result.control_points, truth.camera, case.variant)
        found = replace(found, score=score)
    if case.variant:
        return found
    if truth.places:
        found = replace(found, places_px=float(np.median(misses_px(camera, truth.places))))
    if truth.places and found.score is not None:
        near = ground_errors_m(camera, points_of(truth.places)) <= 1000.0 * found.score.bar_km
        found = replace(found, places_within=(int(near.sum()), len(near)))
    if truth.hand is not None:
        found = replace(
            found,
            hand_px=median_px(camera, truth.hand),
            hand_of_reference_px=median_px(truth.camera, truth.hand),
            hand_of_points_px=median_px(truth.points_camera, truth.hand),
        )
    if truth.points is None or truth.points_camera is None:
        return found
    points = truth.points

    def shift(of: Camera | None) -> LocalShift | None:
        return None if of is None else local_shift(case.photo, of, light_map, points)

    return replace(
        found,
        points_score=score_registration(camera, result.control_points, truth.points_camera, points),
        shift=shift(camera),
        shift_of_reference=shift(truth.camera),
        shift_of_points=shift(truth.points_camera),
    )


def reference_score(
    camera: Camera, control_points: tuple[ControlPoint, ...], reference: Camera, variant: str
) -> RegistrationScore:
    """Score a solution of a photo, or of a variant of it, by the photo's reference camera.

    Parameters
    ----------
    camera : Camera
        Solved, for the picture that was registered.
    control_points : tuple of ControlPoint
        On that picture.
    reference : Camera
        For the photo as it is.
    variant : str
        How the picture was changed; "" for the photo as it is.

    Returns
    -------
    RegistrationScore
        Its diagonal is that of the part of the photo which is left.
    """
    size = reference.width_px, reference.height_px
    x, y = np.array([[point.x, point.y] for point in control_points], float).reshape(-1, 2).T
    back = stored_pixels(x, y, size, variant).T
    own = tuple(
        replace(point, x=float(there[0]), y=float(there[1]))
        for point, there in zip(control_points, back, strict=True)
    )
    grid = grid_points(reference, SCORED_PER_SIDE)
    shown_x, shown_y = VARIANTS[variant].place(grid.x, grid.y, size)
    left = (shown_x >= 0) & (shown_x < camera.width_px)
    left &= (shown_y >= 0) & (shown_y < camera.height_px)
    shown = GroundPoints(x=shown_x[left], y=shown_y[left], lon=grid.lon[left], lat=grid.lat[left])
    score = score_registration(camera, own, reference, shown)
    return replace(score, diagonal_km=diagonal_km(kept_part(reference, variant)))


def points_of(places: Sequence[NamedPlace]) -> GroundPoints:
    """Named places as pixels and the places they show."""
    x, y, lon, lat = np.array([(p.x, p.y, p.lon, p.lat) for p in places], float).T
    return GroundPoints(x=x, y=y, lon=lon, lat=lat)


def median_px(camera: Camera | None, points: GroundPoints) -> float | None:
    """Median distance in the image between known places and where a camera shows them."""
    return None if camera is None else float(np.median(pixel_errors_px(camera, points)))


def grid_points(camera: Camera, per_side: int = 7) -> GroundPoints:
    """Pixels spread over the visible ground of an image, and what the camera sees there."""
    x, y = (
        side.ravel()
        for side in np.meshgrid(
            np.linspace(0.05, 0.95, per_side) * (camera.width_px - 1),
            np.linspace(0.05, 0.95, per_side) * (camera.height_px - 1),
        )
    )
    slant = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    seen = slant <= MAX_INCIDENCE_DEG
    lon, lat = camera.pixel_to_lonlat(x[seen], y[seen])
    return GroundPoints(x=x[seen], y=y[seen], lon=lon, lat=lat)
