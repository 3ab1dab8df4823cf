"""Four good places out of a solved camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef, incidence_deg, local_axes
from matchers.footprint import MAX_INCIDENCE_DEG, diagonal_km
from matchers.patches import groups_of
from matchers.pose import pixel_derivatives
from matchers.refine import (
    LocalOffsets,
    RefineParameters,
    Spread,
    jackknife_spread,
    local_offsets,
)
from matchers.view import render_known
from regengine.registration.refinement import Solution, fine_free
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
CONSIDERED = 24
LIGHTS_REACH_PX = 45.0  # confirmed lights within 1.5 patch sides count as the point's


def propose(solution: Solution, stored: Camera, lights: FloatArray) -> tuple[ControlPoint, ...]:
    """Four well-spread control points, each placed by the camera and the patches around it.

    The ground position is that of the map under a patch's middle; the pixel is where the camera
    shows it, moved by what the patches around it have in common. A patch that disagrees with that
    by more than twice its own precision gets the disagreement added to its sigma; and all of them
    get what the fit moves them by where some of the lights are left out of it.

    `stored`: the solved camera for the stored image; `lights`, shape (n, 2): towns of the photo
    that the map confirms, pixels of the solution's image. Fewer than four come of a photo with
    fewer patches on ground that is not at the limb; they go clockwise from the top left.
    """
    refinement = solution.refinement
    matches = refinement.matches
    ground = refinement.rendered.pixel_to_ecef(matches.x, matches.y)
    flat = incidence_deg(solution.camera.position_ecef_m, ground) <= MAX_INCIDENCE_DEG
    index = np.flatnonzero(flat)
    patches = TiedPatches(
        solution=solution,
        stored=stored,
        lights=lights,
        ground_ecef_m=ground,
        offsets=local_offsets(refinement),
    )
    points = held_by_lights([patches.point(int(k)) for k in index], solution, stored)
    ncc, weights = matches.ncc[index], refinement.weights[index]
    sigma_m = np.array([point.sigma_m for point in points])
    precise = sigma_m <= PRECISE_SHARE * allowed_error_m(stored)
    usable = np.zeros(len(points), bool)
    for good in (
        precise & (ncc >= GOOD_NCC) & (weights >= GOOD_WEIGHT),
        precise & (weights >= BELIEVED_WEIGHT),
        weights >= BELIEVED_WEIGHT,
        np.ones(len(points), bool),
    ):
        usable = good
        if usable.sum() >= 4:
            break
    x, y = np.array([p.x for p in points]), np.array([p.y for p in points])
    return tuple(points[k] for k in well_spread(x, y, ncc, usable))


def held_by_lights(
    points: Sequence[ControlPoint], solution: Solution, stored: Camera
) -> list[ControlPoint]:
    """Points whose covariances hold what they move by where lights are left out of the fit.

    On thirty real photographs the worst twentieth of the points was 5.7 sigmas off without that,
    2.2 with it: towards the limb single lights bend the camera, and all patches with it.
    """
    ground_ecef_m = geodetic_to_ecef([p.lon for p in points], [p.lat for p in points])
    spread = spread_without_lights(solution, ground_ecef_m)
    if spread is None:
        return list(points)
    factor = solution.image.factor
    held = []
    for point, more, ground in zip(points, spread.covariance_px, ground_ecef_m, strict=True):
        xx, xy, yy = point.covariance_px
        own = np.array([[xx, xy], [xy, yy]]) * factor**2
        place = (np.array([point.x, point.y]) + 0.5) * factor - 0.5
        in_stored = stored_pixels(place, own + more, 1.0 / factor)
        held.append(control_point(stored, ground, *in_stored, point.lights))
    return held


def spread_without_lights(solution: Solution, ground_ecef_m: FloatArray) -> Spread | None:
    """How far the fit moves places where some lights are left out; None for too few lights."""
    refinement = solution.refinement
    prior = solution.finalist.candidate.look.prior.for_image(solution.image.factor)
    return jackknife_spread(
        refinement,
        groups_of(render_known(solution.levels, refinement.rendered, 2)[0], refinement.matches),
        ground_ecef_m,
        prior,
        fine_free(prior, k1=True),
        RefineParameters().outlier_sigmas,
    )


def allowed_error_m(camera: Camera) -> float:
    """What a control point may be off and still count as right: 1 % of the diagonal, or 1 km."""
    return max(1000.0, 10.0 * diagonal_km(camera))


@dataclass(frozen=True, kw_only=True, eq=False)
class TiedPatches:
    """Patches of a solution, the ground under their middles, and what those around them share."""

    solution: Solution
    stored: Camera
    lights: FloatArray
    ground_ecef_m: FloatArray
    offsets: LocalOffsets

    def point(self, k: int) -> ControlPoint:
        """The control point at one patch."""
        solution, offsets, ground = self.solution, self.offsets, self.ground_ecef_m[k]
        x, y = (float(v) for v in solution.camera.ecef_to_pixel(ground))
        place = np.array([x, y]) + offsets.offset_px[k]
        covariance = camera_covariance(solution, ground) + offsets.covariance[k]
        left = solution.refinement.residual_px[k] - offsets.offset_px[k]
        expected = np.diag(offsets.noise[k] + covariance)
        excess = left**2 - DISAGREEING_SIGMAS**2 * expected
        covariance = covariance + np.diag(np.maximum(excess, 0.0))
        lights = self.lights
        near = np.hypot(*(lights - place).T) < LIGHTS_REACH_PX if len(lights) else np.zeros(0)
        in_stored = stored_pixels(place, covariance, 1.0 / solution.image.factor)
        return control_point(self.stored, ground, *in_stored, int(near.sum()))


def stored_pixels(
    place_px: FloatArray, covariance_px: FloatArray, scale: float
) -> tuple[FloatArray, FloatArray]:
    """A place and its covariance on a resized image in pixels of the stored one."""
    return (place_px + 0.5) * scale - 0.5, covariance_px * scale**2


def well_spread(
    x: FloatArray, y: FloatArray, ncc: FloatArray, usable: NDArray[np.bool_]
) -> list[int]:
    """Indices of four places that span the largest area, those of higher `ncc` preferred.

    Shapes are (n,). Clockwise from the top left; fewer where fewer are usable.
    """
    index = np.flatnonzero(usable)
    if len(index) <= 3:
        return [int(k) for k in index]
    x, y, ncc = x[index], y[index], ncc[index]
    # The outermost in many directions, each direction's reach weighed by how well it agrees
    angles = np.linspace(0.0, 2.0 * np.pi, CONSIDERED, endpoint=False)
    reach = np.cos(angles)[:, None] * (x - x.mean()) + np.sin(angles)[:, None] * (y - y.mean())
    outer = np.unique(np.argmax(reach * ncc, axis=1))
    if len(outer) < 4:
        rest = np.setdiff1d(np.argsort(-ncc), outer, assume_unique=True)
        outer = np.concatenate([outer, rest[: 4 - len(outer)]])
    best, area = outer[:4], -1.0
    for four in combinations(outer, 4):
        chosen = np.array(four)
        ring = chosen[clockwise(x[chosen], y[chosen])]
        px, py = x[ring], y[ring]
        size = abs(np.dot(px, np.roll(py, -1)) - np.dot(py, np.roll(px, -1))) / 2.0
        worth = size * float(ncc[chosen].min())
        if worth > area:
            best, area = ring, worth
    return [int(k) for k in index[best[clockwise(x[best], y[best])]]]


def clockwise(x: FloatArray, y: FloatArray) -> NDArray[np.intp]:
    """Order of points around their middle, clockwise as the image is seen, top left first."""
    angle = np.arctan2(y - y.mean(), x - x.mean())
    order = np.argsort(angle)
    first = int(np.argmin((x + y)[order]))
    return np.roll(order, -first)


def camera_covariance(solution: Solution, ground_ecef_m: FloatArray) -> FloatArray:
    """Covariance of a ground point's pixel that the camera's uncertainty causes, shape (2, 2)."""
    prior = solution.finalist.candidate.look.prior
    flow = pixel_derivatives(solution.camera, prior.velocity_ecef, ground_ecef_m[None])[0]
    return np.asarray(flow @ solution.refinement.covariance @ flow.T)


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
    per_metre = ground_jacobian(stored, lon, lat)
    on_ground = np.linalg.inv(per_metre) @ covariance_px @ np.linalg.inv(per_metre).T
    on_ground = on_ground + MAP_SIGMA_M**2 * np.eye(2)
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


def ground_jacobian(camera: Camera, lon: float, lat: float) -> FloatArray:
    """Pixels per metre east and north at a place, shape (2, 2)."""
    here = geodetic_to_ecef(lon, lat)
    east, north, _ = local_axes(lon, lat)
    step = 100.0
    columns = []
    for axis in (east, north):
        plus = camera.ecef_to_pixel(here + step * axis)
        minus = camera.ecef_to_pixel(here - step * axis)
        columns.append([(plus[k] - minus[k]) / (2.0 * step) for k in (0, 1)])
    return np.array(columns, float).T
