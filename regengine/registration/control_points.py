"""Four good places out of a solved camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from scipy.spatial import cKDTree

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef, incidence_deg, local_axes
from matchers.footprint import MAX_INCIDENCE_DEG, diagonal_km
from matchers.pose import pixel_derivatives
from matchers.refine import Refits, local_offsets, wider
from matchers.verify import MEETING_PX, Towns, find_towns
from regengine.registration.parameters import AcceptParams
from regengine.registration.types import Fit
from regengine.result import ControlPoint

# A control point needs a patch that agrees this well; weaker ones only help the camera
GOOD_NCC = 0.6
# How far a whole region of the map may lie beside the ground: Black Marble 2016 against monthly
# radiance composites of six cities, 32 m an axis, root mean square
MAP_SIGMA_M = 50.0
GOOD_WEIGHT = 0.15
# Of a patch against its camera and surroundings, until it counts as disagreeing
DISAGREEING_SIGMAS = 2.0
# Robust weight below which the fit takes a patch for an outlier
BELIEVED_WEIGHT = 0.05
# A point is precise when three of its sigmas stay below what counts as right
PRECISE_SHARE = 1.0 / 3.0
# How many directions the outermost places are sought in, and how many places are considered
DIRECTIONS, CONSIDERED = 24, 30
# Of the lights' hull that the four cover, and of their longest distance that the shortest is
LEAST_SPREAD, NEAREST_SHARE = 0.25, 0.1
TOWNS_OF_VIEW = 300
WELL_SEEN_DEG = 70.0  # incidence
# Of what all precise ones at lights span, that those which agree well must span to be taken alone
GOOD_SHARE = 0.5
# A place that no eye finds is worth this share of one on a bright light
UNLIT_WORTH = 0.5
LIGHTS_REACH_PX = 45.0  # confirmed lights within 1.5 patch sides count as the point's


def select_control_points(solution: Fit, stored: Camera) -> tuple[ControlPoint, ...]:
    """Four well-spread control points, each placed by the camera and the patches around it.

    The ground position is that of the map under the brightest light of a patch that the photo
    shows, too, so that an eye finds it in both; of a patch without one, that under its middle. The
    pixel is where the camera shows it, moved by what the patches around it have in common. A patch
    that disagrees with that by more than twice its own precision gets the disagreement added to its
    sigma.

    `stored`: the solved camera for the stored image. The four span at least `LEAST_SPREAD` of the
    lights' hull, none near another, where precise patches allow it (see `PointSpread`). Where four
    that span as much do, all lie on lights that the map confirms, or near such: on dark ground
    beyond them nothing holds the camera, and a patch may be what the picture's frame or noise
    brings. Fewer than four come of a photo with fewer patches on ground that is not at the limb;
    they go clockwise from the top left.
    """
    refinement, lights = solution.refinement, solution.matched_lights
    matches = refinement.matches
    view_lights = find_towns(*solution.patch_view, TOWNS_OF_VIEW)
    x, y, found = at_lights(solution, view_lights, lights)
    ground = refinement.rendered.pixel_to_ecef(x, y)
    flat = incidence_deg(solution.camera.position_ecef_m, ground) <= MAX_INCIDENCE_DEG
    index = np.flatnonzero(flat)
    ground, offsets = ground[index], local_offsets(refinement)
    places_px = np.stack(solution.camera.ecef_to_pixel(ground), axis=-1) + offsets.offset_px[index]
    covariance = camera_covariances(solution, ground, solution.refits) + offsets.covariance[index]
    left = refinement.residual_px[index] - offsets.offset_px[index]
    expected = np.diagonal(offsets.noise[index] + covariance, axis1=1, axis2=2)
    excess = np.maximum(left**2 - DISAGREEING_SIGMAS**2 * expected, 0.0)
    covariance = covariance + excess[:, :, None] * np.eye(2)
    near = [np.hypot(*(lights.positions - place).T) < LIGHTS_REACH_PX for place in places_px]
    in_stored = stored_pixels(places_px, covariance, 1.0 / solution.image.factor)
    points = [
        control_point(stored, there, place, spread, int(shown.sum()))
        for there, place, spread, shown in zip(ground, *in_stored, near, strict=True)
    ]
    ncc, weights = matches.ncc[index], refinement.weights[index]
    sigma_m = np.array([point.sigma_m for point in points])
    precise_m = PRECISE_SHARE * allowed_error_m(stored)
    precise = sigma_m <= precise_m
    places = np.array([(p.x, p.y) for p in points]).reshape(-1, 2)
    four = best_four(
        places,
        worth_of(ncc, found[index], sigma_m / precise_m),
        hull_area(stored_pixels(lights.positions, np.eye(2), 1.0 / solution.image.factor)[0]),
        believed=weights >= BELIEVED_WEIGHT,
        precise=precise,
        kinds=(found[index] > 0.0, np.array([point.lights for point in points], int) > 0),
        agreeing=(ncc >= GOOD_NCC) & (weights >= GOOD_WEIGHT),
    )
    return tuple(points[k] for k in four)


def worth_of(ncc: FloatArray, found: FloatArray, vagueness: FloatArray) -> FloatArray:
    """What places are worth beside the area that they span: agreement, a light, and how sure it is.

    `found` as `at_lights` has it; of places whose sigma is as large as a precise point's may be
    (`vagueness` 1) the worth is half: where one of four is wrong, it is a vague one far out.
    """
    return ncc * (UNLIT_WORTH + (1.0 - UNLIT_WORTH) * found) / (1.0 + vagueness**2)


def at_lights(
    solution: Fit, view_lights: Towns, lights: Towns
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where in the rendered view each patch has its point, and how well an eye finds that light.

    `view_lights`: towns of the rendered view; those count that a light of the photo meets under
    the camera. The brightest choose first, each the nearest of the patches that hold it. The third
    is 0 where a patch has no light, one half for one as bright as half of the photo's, towards 1
    for brighter ones.
    """
    refinement = solution.refinement
    matches = refinement.matches
    x, y, found = matches.x.copy(), matches.y.copy(), np.zeros(len(matches))
    if not len(lights) or not len(view_lights):
        return x, y, found
    ground = refinement.rendered.pixel_to_ecef(view_lights.x, view_lights.y)
    seen = np.stack(solution.camera.ecef_to_pixel(ground), axis=-1)
    distance, met = cKDTree(lights.positions).query(np.nan_to_num(seen, nan=1e9))
    # Of the fainter of the two pictures
    contrast = np.minimum(view_lights.contrast, lights.contrast[met])
    shown = contrast / (contrast + np.median(lights.contrast))
    half = matches.size_px / 2.0
    for k in np.argsort(-contrast, kind="stable"):
        if distance[k] >= MEETING_PX:
            continue
        across, down = np.abs(matches.x - view_lights.x[k]), np.abs(matches.y - view_lights.y[k])
        holding = (across <= half) & (down <= half) & (found == 0.0)
        if holding.any():
            nearest = int(np.argmin(np.where(holding, np.hypot(across, down), np.inf)))
            x[nearest], y[nearest] = view_lights.x[k], view_lights.y[k]
            found[nearest] = shown[k]
    return x, y, found


def sigma_at_lights_m(solution: Fit, lights: Towns, refits: Refits | None) -> FloatArray:
    """How unsure the camera is, metres on the ground (one sigma), where it shows lights.

    `refits`: see `camera_covariances`; `lights`: pixels of the solution's image; those far off
    nadir are left out, where a pixel of the camera is kilometres of ground, and every camera is
    unsure.
    """
    ground = solution.camera.pixel_to_ecef(lights.x, lights.y)
    steep = incidence_deg(solution.camera.position_ecef_m, ground) <= WELL_SEEN_DEG
    ground = ground[steep]
    sigma_m = []
    covariances = camera_covariances(solution, ground, refits)
    for place, covariance in zip(ground, covariances, strict=True):
        lon, lat = (float(v) for v in ecef_to_geodetic(place)[:2])
        on_ground = on_the_ground(solution.camera, lon, lat, covariance)
        sigma_m.append(float(np.sqrt(np.trace(on_ground) / 2.0)))
    return np.array(sigma_m)


def measure_pose_sigma_m(fit: Fit, patch_log10_odds: float, params: AcceptParams) -> float:
    """How unsure a camera is, one sigma, at the worst of its lights; 0 where it is sure enough.

    Lights that were taken for their neighbours, and too few others there, leave the place, the
    patches of the rest and four control points as they are. Of 80 accepted photos of the training
    half it was unsure by 0.38 of the allowed error at most, but one, that was bent by 4.8 times it.

    A lens other than proposed, and a fit that held-out patches barely confirm, have to hold without
    a quarter of the picture, too: along one coast between clouds they err together over more than a
    sixteenth. Of 91 fits of the training half with patches' odds of 10 to 10^8, most of them with
    lights hidden, 24 did not hold, two of them wrong, and none of the other 67 was. Of 108 with any
    lens, more than 52 degrees off nadir, that held, control points were within 0.44 of the allowed.
    """
    refits = [fit.refits]
    barely = patch_log10_odds < params.sure_log10_odds or fit.hypothesis.is_other_lens
    if barely and fit.light_score.log10_odds < params.covering_log10_odds:
        refits.append(fit.leave_out_parts(4))
    lights = fit.matched_lights
    worst_m = max(
        float(sigma_at_lights_m(fit, lights, without).max(initial=0.0)) for without in refits
    )
    sure = worst_m == 0.0 or chance_within(worst_m, fit.camera) >= params.min_points_probability
    return 0.0 if sure else worst_m


def chance_within(sigma_m: float, camera: Camera) -> float:
    """Probability that what has this sigma along both axes lies within the allowed error."""
    return -math.expm1(-0.5 * (allowed_error_m(camera) / sigma_m) ** 2)


def camera_covariances(
    solution: Fit, ground_ecef_m: FloatArray, refits: Refits | None
) -> FloatArray:
    """Covariance that the camera's uncertainty causes where it sees places, shape (k, 2, 2).

    As the fit states it, and wider where leaving out lights (`refits`) moves the camera by more:
    towards the limb single lights bend it, and all patches with it. Both tell of the same errors,
    so that they do not add up. Pixels of the solution's image.
    """
    refinement = solution.refinement
    flow = pixel_derivatives(solution.camera, refinement.prior.velocity_ecef, ground_ecef_m)
    stated = np.asarray(flow @ refinement.covariance @ np.swapaxes(flow, -1, -2))
    return stated if refits is None else wider(stated, refits.covariance_px(ground_ecef_m))


def allowed_error_m(camera: Camera) -> float:
    """What a control point may be off and still count as right: 1 % of the diagonal, or 1 km."""
    return max(1000.0, 10.0 * diagonal_km(camera))


def stored_pixels(
    place_px: FloatArray, covariance_px: FloatArray, scale: float
) -> tuple[FloatArray, FloatArray]:
    """Places and covariances on a resized image in pixels of the stored one."""
    return (place_px + 0.5) * scale - 0.5, covariance_px * scale**2


@dataclass(frozen=True, kw_only=True)
class PointSpread:
    """How widely four places are spread."""

    hull_share: float  # of the area of the lights' hull that their quadrilateral covers
    nearest_share: float  # of the longest of their distances that the shortest is

    @property
    def wide(self) -> bool:
        """Whether what follows from them holds for the ground between them all."""
        return self.hull_share >= LEAST_SPREAD and self.nearest_share >= NEAREST_SHARE


def spread_of(places_px: FloatArray, hull_px2: float) -> PointSpread:
    """Spread of four places, shape (4, 2), against the area of the hull of a photo's lights."""
    (area,), (nearest,), (farthest,) = quadrilaterals(places_px[None])
    return PointSpread(
        hull_share=float(area) / hull_px2 if hull_px2 > 0.0 else 1.0,
        nearest_share=float(nearest / farthest) if farthest > 0.0 else 0.0,
    )


def hull_area(places_px: FloatArray) -> float:
    """Area of the convex hull of places, shape (n, 2); 0 for fewer than three."""
    if len(places_px) < 3:
        return 0.0
    return float(cv2.contourArea(cv2.convexHull(places_px.astype(np.float32))))


def quadrilaterals(places_px: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Areas of sets of four places, shape (n, 4, 2), shortest and longest of their distances."""
    x, y = places_px[..., 0], places_px[..., 1]
    first, second = np.array(list(combinations(range(4), 2))).T
    distance = np.hypot(x[:, first] - x[:, second], y[:, first] - y[:, second])
    areas = []
    for ring in ([0, 1, 2, 3], [0, 2, 1, 3], [0, 1, 3, 2]):  # the one that does not cross itself
        px, py = x[:, ring], y[:, ring]
        after_x, after_y = np.roll(px, -1, axis=1), np.roll(py, -1, axis=1)
        areas.append(np.abs((px * after_y - py * after_x).sum(axis=1)) / 2.0)
    return np.max(areas, axis=0), distance.min(axis=1), distance.max(axis=1)


def best_four(
    places_px: FloatArray,
    worth: FloatArray,
    hull_px2: float,
    *,
    believed: BoolArray,
    precise: BoolArray,
    kinds: Sequence[BoolArray],
    agreeing: BoolArray,
) -> list[int]:
    """Indices of four places: of precise ones, the first of `kinds` whose four span enough.

    Of all where none does; of those that agree well where these span as much.
    """

    def wide(four: list[int], least_share: float = 0.0) -> bool:
        if len(four) < 4:
            return False
        spread = spread_of(places_px[four], hull_px2)
        return spread.wide and spread.hull_share >= least_share

    precise = believed & precise
    for usable in (*(precise & kind for kind in kinds), precise):
        four = well_spread(places_px, worth, usable)
        if wide(four):
            break
    if len(four) == 4:
        good = well_spread(places_px, worth, usable & agreeing)
        if wide(good, GOOD_SHARE * spread_of(places_px[four], hull_px2).hull_share):
            return good
    for vaguer in (believed, np.ones(len(places_px), bool)):
        if len(four) < 4:
            four = well_spread(places_px, worth, vaguer)
    return four


def well_spread(places_px: FloatArray, worth: FloatArray, usable: BoolArray) -> list[int]:
    """Indices of four places that span the largest area, those of higher `worth` preferred.

    Places have shape (n, 2). None of the four lies near another, if that can be; they go clockwise
    from the top left; fewer come where fewer are usable.
    """
    index = np.flatnonzero(usable)
    if len(index) <= 3:
        return [int(k) for k in index]
    places, worth = places_px[index], worth[index]
    fours = np.array(list(combinations(outermost(places, worth), 4)))
    area, nearest, farthest = quadrilaterals(places[fours])
    apart = nearest >= NEAREST_SHARE * farthest
    value = area * worth[fours].min(axis=1)
    best = fours[np.argmax(np.where(apart | ~apart.any(), value, -1.0))]
    return [int(k) for k in index[best[clockwise(*places[best].T)]]]


def outermost(places_px: FloatArray, worth: FloatArray) -> IndexArray:
    """Indices of the places that four are chosen from, shape (n <= CONSIDERED,).

    The outermost in many directions, each direction's reach weighed by the place's worth; then, one
    after the other, the farthest from all that were taken.
    """
    angles = np.linspace(0.0, 2.0 * np.pi, DIRECTIONS, endpoint=False)
    around = places_px - places_px.mean(axis=0)
    reach = np.stack([np.cos(angles), np.sin(angles)], axis=-1) @ around.T
    taken = list(np.unique(np.argmax(reach * worth, axis=1)))
    away = np.min([np.hypot(*(places_px - places_px[k]).T) for k in taken], axis=0)
    while len(taken) < min(CONSIDERED, len(places_px)):
        left = np.ones(len(places_px), bool)
        left[taken] = False
        k = int(np.argmax(np.where(left, away * worth, -1.0)))
        taken.append(k)
        away = np.minimum(away, np.hypot(*(places_px - places_px[k]).T))
    return np.array(taken, np.intp)


def clockwise(x: FloatArray, y: FloatArray) -> IndexArray:
    """Order of points around their middle, clockwise as the image is seen, top left first."""
    angle = np.arctan2(y - y.mean(), x - x.mean())
    order = np.argsort(angle)
    first = int(np.argmin((x + y)[order]))
    return np.roll(order, -first)


def control_point(
    stored: Camera,
    ground_ecef_m: FloatArray,
    place_px: FloatArray,
    covariance_px: FloatArray,
    lights: int,
) -> ControlPoint:
    """A control point of the stored image, in its pixels."""
    x, y = place_px
    lon, lat = (float(v) for v in ecef_to_geodetic(ground_ecef_m)[:2])
    on_ground = on_the_ground(stored, lon, lat, covariance_px) + MAP_SIGMA_M**2 * np.eye(2)
    return ControlPoint(
        x=float(x),
        y=float(y),
        lon=lon,
        lat=lat,
        sigma_px=float(np.sqrt(np.trace(covariance_px) / 2.0)),
        sigma_m=float(np.sqrt(np.trace(on_ground) / 2.0)),
        covariance_px=(
            float(covariance_px[0, 0]),
            float(covariance_px[0, 1]),
            float(covariance_px[1, 1]),
        ),
        covariance_m=(float(on_ground[0, 0]), float(on_ground[0, 1]), float(on_ground[1, 1])),
        lights=lights,
    )


def on_the_ground(camera: Camera, lon: float, lat: float, covariance_px: FloatArray) -> FloatArray:
    """A covariance in pixels as one of metres east and north at a place, shape (2, 2)."""
    per_pixel = np.linalg.inv(ground_jacobian(camera, lon, lat))
    return np.asarray(per_pixel @ covariance_px @ per_pixel.T)


def ground_jacobian(camera: Camera, lon: float, lat: float) -> FloatArray:
    """Pixels per metre east and north at a place, shape (2, 2)."""
    here = geodetic_to_ecef(lon, lat)
    east, north, _ = local_axes(lon, lat)
    step = 100.0
    around = here + step * np.array([east, north, -east, -north])
    pixels = np.stack(camera.ecef_to_pixel(around))
    return (pixels[:, :2] - pixels[:, 2:]) / (2.0 * step)
