"""Select control points from a solved camera, usually four, and estimate their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, combinations

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from detectors.types import BoolArray, FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, incidence_deg, local_axes
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, diagonal_km
from matchers.geometry.pose import differentiate_pixels
from matchers.lights.patches import Refinement, Refits, state_noise
from matchers.lights.verify import LIGHTS, find_light_peaks
from regengine.registration.types import PatchFit
from regengine.store.result import ControlPoint

# Position error of the map over whole regions: Black Marble 2016 against monthly radiance
# composites, 32 m per axis RMS
MAP_SIGMA_M = 50.0
# Minimum share of the hull of the lights that the four points cover, and minimum ratio of their
# shortest distance to their longest (by eye)
MIN_HULL_SHARE = 0.25
MIN_APART_SHARE = 0.1
# Confirmed lights within this distance are counted for a point: one and a half patches
LIGHTS_REACH_PX = 45.0


def select_control_points(
    fit: PatchFit,
    stored: Camera,
    map_sigma_m: float = MAP_SIGMA_M,
    beside_px: FloatArray | None = None,
    n_more: int = 0,
) -> tuple[ControlPoint, ...]:
    """Select four well-spread control points, located by the camera and the patches around them.

    The ground position of a point is the map position of the brightest light in a patch that is
    also in the photo, so that a person can find it in both. In a patch without such a light it is
    the map position of the centre. The pixel position is the projection by the camera, corrected
    by the local offset that the surrounding patches have in common. If a patch disagrees with this,
    the disagreement is added to its sigma.

    `stored`: the solved camera for the stored image; `map_sigma_m`: position error of the map. If
    precise patches allow it, the four points span at least a quarter of the lights' hull, are not
    close together, and lie on or near lights that the map confirms: away from these the camera is
    not constrained. There are fewer than four points if fewer patches lie on ground away from the
    limb. Points are ordered clockwise from the top left.

    Beside points that are there already, `beside_px` in pixels of the stored image, (n, 2), up to
    `n_more` others are selected instead, see `choose_far`. They lie where the camera has them: the
    local offset only widens their sigma.
    """
    refinement, lights, scale = fit.refinement, fit.matched_lights, 1.0 / fit.image.factor
    x, y, shown = place_on_lights(fit)
    ground = refinement.rendered.pixel_to_ecef(x, y)
    index = np.flatnonzero(incidence_deg(fit.camera.position_ecef_m, ground) <= MAX_INCIDENCE_DEG)
    ground = ground[index]
    offset_px, vague, noise = (each[index] for each in estimate_offsets(refinement))
    if beside_px is not None:
        vague = vague + np.einsum("ni,nj->nij", offset_px, offset_px)
        offset_px = np.zeros_like(offset_px)
    places_px = np.stack(fit.camera.ecef_to_pixel(ground), axis=-1) + offset_px
    covariance = compute_camera_covariances(fit, ground, *fit.widening_refits) + vague
    left = refinement.residual_px[index] - offset_px
    expected = np.diagonal(noise + covariance, axis1=1, axis2=2)
    # A patch that disagrees by more than two sigmas gets a wider one
    excess = np.maximum(left**2 - 2.0**2 * expected, 0.0)
    covariance = (covariance + excess[:, :, None] * np.eye(2)) * scale**2
    on_ground = project_covariance(stored, ground, covariance) + map_sigma_m**2 * np.eye(2)
    sigma_px, sigma_m = (
        np.sqrt(np.trace(each, axis1=1, axis2=2) / 2.0) for each in (covariance, on_ground)
    )
    away_px = np.hypot(*np.moveaxis(places_px[:, None] - lights.positions, -1, 0))
    n_lights = (away_px < LIGHTS_REACH_PX).sum(axis=1)
    places, on_lights = ((each + 0.5) * scale - 0.5 for each in (places_px, lights.positions))
    ncc, weights = refinement.matches.ncc[index], refinement.weights[index]
    hull_px2 = hull_area(on_lights)
    # In addition to the area that four points span, a place is rated by its correlation and its
    # light. Its rating is halved if three sigmas equal the allowed error: if one of four points is
    # wrong, it is usually an uncertain one
    vagueness = sigma_m / (compute_allowed_error_m(stored) / 3.0)
    worth = ncc * (1.0 + shown[index]) / (1.0 + vagueness**2)
    believed = weights >= 0.05  # others are outliers of the fit, beyond 11 sigmas
    precise = believed & (vagueness <= 1.0)
    near_lights = precise & (n_lights > 0)
    if beside_px is None:
        # Precise points on lights of the photo first, then near lights, then anywhere
        ranks = (precise & (shown[index] > 0.0), near_lights, precise)
        agreeing = (ncc >= 0.6) & (weights >= 0.15)  # by eye; within 6 sigmas
        chosen = choose_four_wide(places, worth, ranks, agreeing, hull_px2)
        for vaguer in (believed, np.ones(len(places), bool)):
            if len(chosen) < 4:
                chosen = choose_four(places, worth, vaguer)
    else:
        apart_px = 0.5 * refinement.matches.size_px * scale
        ranks = (near_lights, precise, believed)
        chosen = choose_far(places, worth, ranks, beside_px, n_more, apart_px)
    lon, lat, _ = ecef_to_geodetic(ground)
    points = []
    for k in chosen:
        xx, xy, _, yy = covariance[k].ravel().tolist()
        ee, en, _, nn = on_ground[k].ravel().tolist()
        points.append(
            ControlPoint(
                x=float(places[k, 0]),
                y=float(places[k, 1]),
                lon=float(lon[k]),
                lat=float(lat[k]),
                sigma_px=float(sigma_px[k]),
                sigma_m=float(sigma_m[k]),
                covariance_px=(xx, xy, yy),
                covariance_m=(ee, en, nn),
                n_lights=int(n_lights[k]),
            )
        )
    return tuple(points)


def estimate_offsets(refinement: Refinement) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Estimate the smooth part of the residuals of a fit by Gaussian-process regression.

    Returned are the offsets at the n patches, photo minus camera, of the part that neighbours
    share, shape (n, 2), their covariance, (n, 2, 2), 0 if neighbours have nothing in common, and
    the covariance of each single patch, (n, 2, 2).

    A single patch is typically off by a pixel, because towns have grown or are brighter on one side
    than on the map. Twenty adjacent patches have a common offset only if the camera is wrong there
    (a lens that one coefficient does not describe, terrain heights, an edited image). The variance
    of the common offset is estimated from the residuals of pairs of adjacent patches.

    References
    ----------
    Rasmussen, C. E., Williams, C. K. I. (2006). Gaussian Processes for Machine Learning, 2.2.
    """
    matches, residual = refinement.matches, refinement.residual_px
    patches = np.stack([matches.x, matches.y], axis=1)
    count = len(patches)
    if not len(matches):
        return np.zeros((count, 2)), np.zeros((count, 2, 2)), np.zeros((0, 2, 2))
    # Noise of each patch: the stated covariance, scaled by the residuals, and larger for patches
    # that have a low weight in the fit
    stated, whiten = state_noise(matches)
    white = np.einsum("nij,nj->ni", whiten, residual)
    widened = max(1.0, 1.4826 * float(np.median(np.abs(white)))) ** 2
    noise = stated * (widened / refinement.weights)[:, None, None]

    distance = np.linalg.norm(patches[:, None] - patches, axis=2) / matches.size_px
    # Correlation length of the local offsets of patches, in patch sides
    kernel = np.exp(-0.5 * (distance / 1.5) ** 2)
    # Overlapping patches share their noise as well, so they are not paired
    paired = np.triu((distance >= 1.0) & (distance <= 2.0))
    variance = 0.0  # per axis, of the common offset
    if paired.sum() >= 12:
        pair = np.outer(refinement.weights, refinement.weights)[paired]
        product = (residual @ residual.T / 2.0)[paired]
        variance = float((pair * product).sum() / (pair * kernel[paired]).sum())
    if variance <= 0.0:
        return np.zeros((count, 2)), np.zeros((count, 2, 2)), noise
    # The scaled noise of single patches includes the common offset, which is subtracted
    typical = float(np.median(np.trace(noise, axis1=1, axis2=2))) / 2.0
    noise = noise * max(1.0 - variance / typical, 1.0 / widened)
    root = np.linalg.cholesky(noise)
    common = variance * np.kron(kernel, np.eye(2))
    own = np.einsum("ij,iac,jbc->iajb", matches.overlap, root, root).reshape(common.shape)
    gain = np.linalg.solve(common + own, common.T).T
    known = np.einsum("kim,kjm->kij", gain.reshape(count, 2, -1), common.reshape(count, 2, -1))
    offset_px = (gain @ residual.ravel()).reshape(count, 2)
    return offset_px, variance * np.eye(2) - known, noise


def place_on_lights(fit: PatchFit) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Place the point of each patch on a light of the rendered view, and rate its visibility.

    Only lights of the rendered view that match a light of the photo are used. Starting with the
    brightest, each light is assigned to the nearest patch that contains it. The visibility is 0 if
    a patch has no light, one half for a light of the median contrast of the photo's lights, and
    approaches 1 for brighter ones. Returns pixels x and y of the rendered view, and the
    visibilities.
    """
    matches, lights = fit.refinement.matches, fit.matched_lights
    x, y, shown = matches.x.copy(), matches.y.copy(), np.zeros(len(matches))
    of_map = find_light_peaks(*fit.patch_view, LIGHTS.n_map)
    if not len(lights) or not len(of_map):
        return x, y, shown
    ground = fit.refinement.rendered.pixel_to_ecef(of_map.x, of_map.y)
    places_px = np.stack(fit.camera.ecef_to_pixel(ground), axis=-1)
    distance, matched = cKDTree(lights.positions).query(np.nan_to_num(places_px, nan=1e9))
    # Contrast in the image where the light is fainter
    contrast = np.minimum(of_map.contrast, lights.contrast[matched])
    half = matches.size_px / 2.0
    for k in np.argsort(-contrast, kind="stable"):
        across, down = np.abs(matches.x - of_map.x[k]), np.abs(matches.y - of_map.y[k])
        holding = (across <= half) & (down <= half) & (shown == 0.0)
        if distance[k] < LIGHTS.match_px and holding.any():
            nearest = int(np.argmin(np.where(holding, np.hypot(across, down), np.inf)))
            x[nearest], y[nearest] = of_map.x[k], of_map.y[k]
            shown[nearest] = contrast[k] / (contrast[k] + np.median(lights.contrast))
    return x, y, shown


def compute_chance_within(sigma_m: float, camera: Camera) -> float:
    """Probability that a point with this sigma along both axes lies within the allowed error."""
    return -math.expm1(-0.5 * (compute_allowed_error_m(camera) / sigma_m) ** 2)


def compute_camera_covariances(
    fit: PatchFit, ground_ecef_m: FloatArray, *refits: Refits | None
) -> FloatArray:
    """Covariance of projected places due to the uncertainty of the camera, shape (k, 2, 2).

    It is the covariance stated by the fit, widened if refits without some lights (`refits`) move
    the camera by more. Towards the limb a single light can distort the camera, and shift all
    patches with it. Both estimates describe the same errors, so they are not added. The unit is
    pixels of the solution's image.
    """
    refinement = fit.refinement
    flow = differentiate_pixels(fit.camera, refinement.prior.velocity_ecef, ground_ecef_m)[1]
    covariance = np.asarray(flow @ refinement.covariance @ np.swapaxes(flow, -1, -2))
    for one in filter(None, refits):
        covariance = widen(covariance, one.covariance_px(ground_ecef_m))
    return covariance


def widen(covariance: FloatArray, other: FloatArray) -> FloatArray:
    """Widen covariances (..., 2, 2) so that they are at least as large as others in any direction.

    The first covariance is whitened to a unit circle. In this frame the eigenvalues of the second
    are raised to at least 1.
    """
    root = np.linalg.cholesky(covariance)
    inverse = np.linalg.inv(root)
    ratio, axes = np.linalg.eigh(inverse @ other @ np.swapaxes(inverse, -1, -2))
    stretched = root @ axes * np.sqrt(np.maximum(ratio, 1.0))[..., None, :]
    return np.asarray(stretched @ np.swapaxes(stretched, -1, -2))


def compute_allowed_error_m(camera: Camera) -> float:
    """Allowed error of a control point: 1 % of the footprint's diagonal, but at least 1 km."""
    return max(1000.0, 10.0 * diagonal_km(camera))


def hull_area(places_px: FloatArray) -> float:
    """Area of the convex hull of places, shape (n, 2); 0 for fewer than three."""
    if len(places_px) < 3:
        return 0.0
    return float(cv2.contourArea(cv2.convexHull(places_px.astype(np.float32))))


def measure_spread(places_px: FloatArray, hull_px2: float) -> tuple[float, bool]:
    """Measure the share of the lights' hull that four places, shape (4, 2), cover.

    Also return whether the spread is sufficient: the share is large enough, and the places are not
    close together. Fewer than four places are never sufficient.
    """
    if len(places_px) < 4:
        return 0.0, False
    (area,), (nearest,), (farthest,) = measure_quadrilaterals(places_px[None])
    share = float(area) / hull_px2 if hull_px2 > 0.0 else 1.0
    apart = farthest > 0.0 and nearest >= MIN_APART_SHARE * farthest
    return share, bool(share >= MIN_HULL_SHARE and apart)


def measure_quadrilaterals(places_px: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Measure areas and shortest and longest distances of sets of four places, shape (n, 4, 2)."""
    first, second = np.array(list(combinations(range(4), 2))).T
    dx, dy = np.moveaxis(places_px[:, first] - places_px[:, second], -1, 0)
    # Half the cross product of the diagonals. Of the three orders of four points, the one that does
    # not cross itself has the largest area
    areas = np.abs(dx[:, :3] * dy[:, :2:-1] - dy[:, :3] * dx[:, :2:-1]) / 2.0
    distance = np.hypot(dx, dy)
    return areas.max(axis=1), distance.min(axis=1), distance.max(axis=1)


def choose_four_wide(
    places_px: FloatArray,
    worth: FloatArray,
    ranks: Sequence[BoolArray],
    agreeing: BoolArray,
    hull_px2: float,
) -> list[int]:
    """Choose four of the first of some masks whose four are spread enough, or else of the last.

    Those that agree well are preferred if they span at least half the area.
    """
    for usable in ranks:
        four = choose_four(places_px, worth, usable)
        share, wide = measure_spread(places_px[four], hull_px2)
        if wide:
            break
    if len(four) == 4:
        good = choose_four(places_px, worth, usable & agreeing)
        good_share, wide = measure_spread(places_px[good], hull_px2)
        if wide and good_share >= 0.5 * share:
            return good
    return four


def choose_far(
    places_px: FloatArray,
    worth: FloatArray,
    ranks: Sequence[BoolArray],
    taken_px: FloatArray,
    count: int,
    apart_px: float,
) -> list[int]:
    """Choose places one by one, the one that is farthest from all that are taken, times its worth.

    Those of the first of some masks come first. None is nearer than `apart_px` to another, so there
    may be fewer than `count`.
    """
    chosen: list[int] = []
    away = np.linalg.norm(places_px[:, None] - taken_px, axis=2).min(axis=1, initial=1e6)
    for usable in ranks:
        while len(chosen) < count and (free := usable & (away >= apart_px)).any():
            best = int(np.argmax(np.where(free, away * worth, -1.0)))
            chosen.append(best)
            away = np.minimum(away, np.linalg.norm(places_px - places_px[best], axis=1))
    return chosen


def choose_four(places_px: FloatArray, worth: FloatArray, usable: BoolArray) -> list[int]:
    """Choose four places that span a large area, preferring those of higher `worth`.

    Places have shape (n, 2). If possible, the four are not close together. Their indices are
    returned clockwise from the top left. There are fewer than four if fewer places are usable.
    """
    index = np.flatnonzero(usable)
    if len(index) <= 3:
        return index.tolist()
    places, worth = places_px[index], worth[index]
    # To limit the combinations, take the outermost place in each of 24 directions, weighted by its
    # worth; then add, one by one, the place farthest from all that are already taken
    angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    around = places - places.mean(axis=0)
    reach = np.stack([np.cos(angles), np.sin(angles)], axis=-1) @ around.T
    taken = list(np.unique(np.argmax(reach * worth, axis=1)))
    away = np.min([np.hypot(*(places - places[k]).T) for k in taken], axis=0)
    while len(taken) < min(30, len(places)):  # 27,405 sets of four
        left = np.ones(len(places), bool)
        left[taken] = False
        taken.append(int(np.argmax(np.where(left, away * worth, -1.0))))
        away = np.minimum(away, np.hypot(*(places - places[taken[-1]]).T))
    numbers = chain.from_iterable(combinations(range(len(taken)), 4))
    fours = np.array(taken)[np.fromiter(numbers, np.intp).reshape(-1, 4)]
    area, nearest, farthest = measure_quadrilaterals(places[fours])
    apart = nearest >= MIN_APART_SHARE * farthest
    value = area * worth[fours].min(axis=1)
    best = fours[np.argmax(np.where(apart | ~apart.any(), value, -1.0))]
    x, y = places[best].T
    best = best[np.argsort(np.arctan2(y - y.mean(), x - x.mean()))]
    return np.roll(index[best], -int(places[best].sum(axis=1).argmin())).tolist()


def project_covariance(
    camera: Camera, ground_ecef_m: FloatArray, covariance_px: FloatArray
) -> FloatArray:
    """Convert covariances from pixels to metres east and north at places, shape (..., 2, 2)."""
    lon, lat, _ = ecef_to_geodetic(ground_ecef_m)
    per_pixel = np.linalg.inv(ground_jacobian(camera, lon, lat))
    return np.asarray(per_pixel @ covariance_px @ np.swapaxes(per_pixel, -1, -2))


def ground_jacobian(camera: Camera, lon: ArrayLike, lat: ArrayLike) -> FloatArray:
    """Jacobian of the projection: pixels per metre east and north at places, shape (..., 2, 2)."""
    here = np.asarray(geodetic_to_ecef(lon, lat))[..., None, :]
    step_m = 100.0
    step = step_m * local_axes(lon, lat)[..., :2, :]
    ahead, behind = (
        np.stack(camera.ecef_to_pixel(there), axis=-1) for there in (here + step, here - step)
    )
    return np.asarray(np.swapaxes(ahead - behind, -1, -2) / (2.0 * step_m))
