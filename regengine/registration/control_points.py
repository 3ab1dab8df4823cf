"""Four good places out of a solved camera."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from detectors.types import BoolArray, FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, incidence_deg, local_axes
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, diagonal_km
from matchers.geometry.pose import pixel_derivatives
from matchers.lights.patch_fit import Refinement, Refits, state_noise
from matchers.lights.verify import LIGHTS, LightPeaks, find_light_peaks
from regengine.registration.parameters import PointParams
from regengine.registration.types import Fit
from regengine.result import ControlPoint


def select_control_points(
    fit: Fit, stored: Camera, params: PointParams = PointParams()
) -> tuple[ControlPoint, ...]:
    """Four well-spread control points, each placed by the camera and the patches around it.

    The ground position is that of the map under the brightest light of a patch that the photo
    shows, too, so that an eye finds it in both; of a patch without one, that under its middle. The
    pixel is where the camera shows it, moved by what the patches around it have in common. A patch
    that disagrees with that gets the disagreement added to its sigma.

    `stored`: the solved camera for the stored image. The four span at least `min_hull_share` of the
    lights' hull, none near another, and lie on lights that the map confirms, or near such, where
    precise patches allow it: beyond these nothing holds the camera. Fewer than four come of a photo
    with fewer patches on ground that is not at the limb; they go clockwise from the top left.
    """
    refinement, lights, scale = fit.refinement, fit.matched_lights, 1.0 / fit.image.factor
    x, y, shown = place_on_lights(fit)
    ground = refinement.rendered.pixel_to_ecef(x, y)
    position = fit.camera.position_ecef_m
    index = np.flatnonzero(incidence_deg(position, ground) <= MAX_INCIDENCE_DEG)
    ground, offsets = ground[index], estimate_offsets(refinement, params)
    places_px = np.stack(fit.camera.ecef_to_pixel(ground), axis=-1) + offsets.offset_px[index]
    covariance = compute_camera_covariances(fit, ground, fit.refits) + offsets.covariance[index]
    left = refinement.residual_px[index] - offsets.offset_px[index]
    expected = np.diagonal(offsets.noise[index] + covariance, axis1=1, axis2=2)
    excess = np.maximum(left**2 - params.max_sigmas**2 * expected, 0.0)
    covariance = (covariance + excess[:, :, None] * np.eye(2)) * scale**2
    points = []
    on_grounds = project_covariance(stored, ground, covariance) + params.map_sigma_m**2 * np.eye(2)
    lonlat = np.stack(ecef_to_geodetic(ground)[:2], axis=-1)
    for (lon, lat), place, spread, on_ground in zip(
        lonlat, places_px, covariance, on_grounds, strict=True
    ):
        px, py = (place + 0.5) * scale - 0.5
        near = np.hypot(*(lights.positions - place).T) < params.lights_reach_px
        (xx, xy), (_, yy) = spread.tolist()
        (ee, en), (_, nn) = on_ground.tolist()
        points.append(
            ControlPoint(
                x=float(px),
                y=float(py),
                lon=float(lon),
                lat=float(lat),
                sigma_px=float(np.sqrt(np.trace(spread) / 2.0)),
                sigma_m=float(np.sqrt(np.trace(on_ground) / 2.0)),
                covariance_px=(xx, xy, yy),
                covariance_m=(ee, en, nn),
                lights=int(near.sum()),
            )
        )
    ncc, weights = refinement.matches.ncc[index], refinement.weights[index]
    places = np.array([(point.x, point.y) for point in points]).reshape(-1, 2)
    hull_px2 = hull_area((lights.positions + 0.5) * scale - 0.5)
    # Beside the area that four span, a place is worth its agreement and its light, and half where
    # three of its sigmas are what counts as right: where one of four is wrong, it is a vague one
    vagueness = np.array([p.sigma_m for p in points]) / (compute_allowed_error_m(stored) / 3.0)
    worth = ncc * (1.0 + shown[index]) / (1.0 + vagueness**2)
    believed = weights >= params.min_weight
    precise = believed & (vagueness <= 1.0)
    lit = np.array([point.lights for point in points], int) > 0
    # Precise ones at lights of the photo, near lights, anywhere
    for usable in (precise & (shown[index] > 0.0), precise & lit, precise):
        four = choose_four(places, worth, usable, params)
        share, wide = measure_spread(places[four], hull_px2, params)
        if wide:
            break
    if len(four) == 4:
        # Those that agree well are taken alone where they span half as much
        agreeing = (ncc >= params.min_ncc) & (weights >= params.min_good_weight)
        good = choose_four(places, worth, usable & agreeing, params)
        good_share, wide = measure_spread(places[good], hull_px2, params)
        if wide and good_share >= 0.5 * share:
            four = good
    for vaguer in (believed, np.ones(len(places), bool)):
        if len(four) < 4:
            four = choose_four(places, worth, vaguer, params)
    return tuple(points[k] for k in four)


@dataclass(frozen=True, kw_only=True)
class LocalOffsets:
    """How far the photo lies from the fitted camera, at every patch or at other places."""

    offset_px: FloatArray  # (k, 2): photo minus camera, as far as neighbouring patches bear it out
    covariance: FloatArray  # (k, 2, 2): of that; 0 where neighbours have nothing in common
    noise: FloatArray  # (n, 2, 2): of each patch by itself


def estimate_offsets(
    refinement: Refinement, params: PointParams, places_px: FloatArray | None = None
) -> LocalOffsets:
    """Smooth part of what a fit leaves of its patches, by Gaussian-process regression.

    At the patches, or at `places_px` of the rendered view, shape (k, 2).

    A patch by itself is off by a pixel: its towns have grown, or shine more on one side than on
    the map. Twenty patches of a camera are not, unless the camera is wrong there (a lens that one
    coefficient does not describe, heights, an edited picture), and then neighbours are off by the
    same. How much follows from the residuals of pairs side by side.

    References
    ----------
    Rasmussen, C. E., Williams, C. K. I. (2006). Gaussian Processes for Machine Learning, 2.2.
    """
    matches, residual = refinement.matches, refinement.residual_px
    patches = np.stack([matches.x, matches.y], axis=1)
    places = patches if places_px is None else places_px
    count = len(places)
    if not len(matches):
        return LocalOffsets(
            offset_px=np.zeros((count, 2)),
            covariance=np.zeros((count, 2, 2)),
            noise=np.zeros((0, 2, 2)),
        )
    # Each patch as the fit has found it: as stated, widened by the residuals, and for what the fit
    # believes little by its weight
    stated, whiten = state_noise(matches)
    white = np.einsum("nij,nj->ni", whiten, residual)
    widened = max(1.0, 1.4826 * float(np.median(np.abs(white)))) ** 2
    noise = stated * (widened / refinement.weights)[:, None, None]

    distance = np.linalg.norm(np.concatenate([patches, places])[:, None] - patches, axis=2)
    distance /= matches.size_px
    nearness = np.exp(-0.5 * (distance / params.reach_sides) ** 2)
    kernel, to_places = np.split(nearness, [len(patches)])
    # Patches that overlap share their noise, too
    paired = np.triu((distance[: len(patches)] >= 1.0) & (distance[: len(patches)] <= 2.0))
    variance = 0.0  # an axis, of what neighbours share
    if paired.sum() >= params.min_pairs:
        pair = np.outer(refinement.weights, refinement.weights)[paired]
        product = (residual @ residual.T / 2.0)[paired]
        variance = float((pair * product).sum() / (pair * kernel[paired]).sum())
    if variance <= 0.0:
        return LocalOffsets(
            offset_px=np.zeros((count, 2)), covariance=np.zeros((count, 2, 2)), noise=noise
        )
    # What widened the sigmas of single patches is partly what they have in common
    typical = float(np.median(np.trace(noise, axis1=1, axis2=2))) / 2.0
    noise = noise * max(1.0 - variance / typical, 1.0 / widened)
    root = np.linalg.cholesky(noise)
    common = variance * np.kron(kernel, np.eye(2))
    own = np.einsum("ij,iac,jbc->iajb", matches.overlap, root, root).reshape(common.shape)
    shared = variance * np.kron(to_places, np.eye(2))
    gain = np.linalg.solve(common + own, shared.T).T
    known = np.einsum("kim,kjm->kij", gain.reshape(count, 2, -1), shared.reshape(count, 2, -1))
    return LocalOffsets(
        offset_px=(gain @ residual.ravel()).reshape(count, 2),
        covariance=variance * np.eye(2) - known,
        noise=noise,
    )


def place_on_lights(fit: Fit) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where in the rendered view each patch has its point, and how well an eye finds that light.

    Lights of the rendered view count that match a light of the photo under the camera. The
    brightest choose first, each the nearest of the patches that hold it. The third is 0 where a
    patch has no light, one half for one as bright as half of the photo's, towards 1 for brighter
    ones.
    """
    matches, lights = fit.refinement.matches, fit.matched_lights
    x, y, shown = matches.x.copy(), matches.y.copy(), np.zeros(len(matches))
    of_map = find_light_peaks(*fit.patch_view, LIGHTS.n_map)
    if not len(lights) or not len(of_map):
        return x, y, shown
    ground = fit.refinement.rendered.pixel_to_ecef(of_map.x, of_map.y)
    places_px = np.stack(fit.camera.ecef_to_pixel(ground), axis=-1)
    distance, matched = cKDTree(lights.positions).query(np.nan_to_num(places_px, nan=1e9))
    # Of the fainter of both pictures
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


def compute_sigma_at_lights_m(
    fit: Fit, lights: LightPeaks, refits: Refits | None, params: PointParams = PointParams()
) -> FloatArray:
    """How unsure the camera is, metres on the ground (one sigma), where it shows lights.

    `refits`: see `compute_camera_covariances`; `lights`: pixels of the solution's image; those far
    off nadir are left out, where a pixel of the camera is kilometres of ground, and every camera is
    unsure.
    """
    ground = fit.camera.pixel_to_ecef(lights.x, lights.y)
    incidence = incidence_deg(fit.camera.position_ecef_m, ground)
    ground = ground[incidence <= params.max_lights_incidence_deg]
    on_ground = project_covariance(
        fit.camera, ground, compute_camera_covariances(fit, ground, refits)
    )
    return np.sqrt(np.trace(on_ground, axis1=-2, axis2=-1) / 2.0)


def compute_chance_within(sigma_m: float, camera: Camera) -> float:
    """Probability that what has this sigma along both axes lies within the allowed error."""
    return -math.expm1(-0.5 * (compute_allowed_error_m(camera) / sigma_m) ** 2)


def compute_camera_covariances(
    fit: Fit, ground_ecef_m: FloatArray, refits: Refits | None
) -> FloatArray:
    """Covariance that the camera's uncertainty causes where it sees places, shape (k, 2, 2).

    As the fit states it, and wider where leaving out lights (`refits`) moves the camera by more:
    towards the limb single lights bend it, and all patches with it. Both tell of the same errors,
    so that they do not add up. Pixels of the solution's image.
    """
    refinement = fit.refinement
    flow = pixel_derivatives(fit.camera, refinement.prior.velocity_ecef, ground_ecef_m)
    stated = np.asarray(flow @ refinement.covariance @ np.swapaxes(flow, -1, -2))
    return stated if refits is None else widen(stated, refits.covariance_px(ground_ecef_m))


def widen(covariance: FloatArray, other: FloatArray) -> FloatArray:
    """Covariances (..., 2, 2) that are in no direction less than either of two.

    In the axes that make a circle of the first one the second is at least as long as that.
    """
    root = np.linalg.cholesky(covariance)
    inverse = np.linalg.inv(root)
    ratio, axes = np.linalg.eigh(inverse @ other @ np.swapaxes(inverse, -1, -2))
    stretched = root @ axes * np.sqrt(np.maximum(ratio, 1.0))[..., None, :]
    return np.asarray(stretched @ np.swapaxes(stretched, -1, -2))


def compute_allowed_error_m(camera: Camera) -> float:
    """What a control point may be off and still count as right: 1 % of the diagonal, or 1 km."""
    return max(1000.0, 10.0 * diagonal_km(camera))


def hull_area(places_px: FloatArray) -> float:
    """Area of the convex hull of places, shape (n, 2); 0 for fewer than three."""
    if len(places_px) < 3:
        return 0.0
    return float(cv2.contourArea(cv2.convexHull(places_px.astype(np.float32))))


def measure_spread(
    places_px: FloatArray, hull_px2: float, params: PointParams = PointParams()
) -> tuple[float, bool]:
    """The share of the hull of a photo's lights that four places cover, shape (4, 2).

    And whether that is enough, and none is near another; fewer than four never are.
    """
    if len(places_px) < 4:
        return 0.0, False
    (area,), (nearest,), (farthest,) = measure_quadrilaterals(places_px[None])
    share = float(area) / hull_px2 if hull_px2 > 0.0 else 1.0
    apart = farthest > 0.0 and nearest >= params.min_apart_share * farthest
    return share, bool(share >= params.min_hull_share and apart)


def measure_quadrilaterals(places_px: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Areas of sets of four places, shape (n, 4, 2), shortest and longest of their distances."""
    first, second = np.array(list(combinations(range(4), 2))).T
    dx, dy = np.moveaxis(places_px[:, first] - places_px[:, second], -1, 0)
    # Half the product of the diagonals: of three ways the one that does not cross itself
    areas = np.abs(dx[:, :3] * dy[:, :2:-1] - dy[:, :3] * dx[:, :2:-1]) / 2.0
    distance = np.hypot(dx, dy)
    return areas.max(axis=1), distance.min(axis=1), distance.max(axis=1)


def choose_four(
    places_px: FloatArray, worth: FloatArray, usable: BoolArray, params: PointParams = PointParams()
) -> list[int]:
    """Indices of four places that span the largest area, those of higher `worth` preferred.

    Places have shape (n, 2). None of the four lies near another, if that can be; they go clockwise
    from the top left; fewer come where fewer are usable.
    """
    index = np.flatnonzero(usable)
    if len(index) <= 3:
        return index.tolist()
    places, worth = places_px[index], worth[index]
    # Of many, first the outermost in each of 24 directions, its reach weighed by its worth; then,
    # one after the other, the farthest from all that were taken
    angles = np.linspace(0.0, 2.0 * np.pi, 24, endpoint=False)
    around = places - places.mean(axis=0)
    reach = np.stack([np.cos(angles), np.sin(angles)], axis=-1) @ around.T
    taken = list(np.unique(np.argmax(reach * worth, axis=1)))
    away = np.min([np.hypot(*(places - places[k]).T) for k in taken], axis=0)
    while len(taken) < min(30, len(places)):
        left = np.ones(len(places), bool)
        left[taken] = False
        taken.append(int(np.argmax(np.where(left, away * worth, -1.0))))
        away = np.minimum(away, np.hypot(*(places - places[taken[-1]]).T))
    fours = np.array(list(combinations(taken, 4)))
    area, nearest, farthest = measure_quadrilaterals(places[fours])
    apart = nearest >= params.min_apart_share * farthest
    value = area * worth[fours].min(axis=1)
    best = fours[np.argmax(np.where(apart | ~apart.any(), value, -1.0))]
    x, y = places[best].T
    best = best[np.argsort(np.arctan2(y - y.mean(), x - x.mean()))]
    return np.roll(index[best], -int(places[best].sum(axis=1).argmin())).tolist()


def project_covariance(
    camera: Camera, ground_ecef_m: FloatArray, covariance_px: FloatArray
) -> FloatArray:
    """Covariances in pixels as those of metres east and north at places, shape (..., 2, 2)."""
    lon, lat, _ = ecef_to_geodetic(ground_ecef_m)
    per_pixel = np.linalg.inv(ground_jacobian(camera, lon, lat))
    return np.asarray(per_pixel @ covariance_px @ np.swapaxes(per_pixel, -1, -2))


def ground_jacobian(camera: Camera, lon: ArrayLike, lat: ArrayLike) -> FloatArray:
    """Pixels per metre east and north at places, shape (..., 2, 2)."""
    here = np.asarray(geodetic_to_ecef(lon, lat))[..., None, :]
    step_m = 100.0
    step = step_m * local_axes(lon, lat)[..., :2, :]
    ahead, behind = (
        np.stack(camera.ecef_to_pixel(there), axis=-1) for there in (here + step, here - step)
    )
    return np.asarray(np.swapaxes(ahead - behind, -1, -2) / (2.0 * step_m))
