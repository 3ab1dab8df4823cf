"""Solve the camera of manual points, find points that disagree, and snap points to lights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from detectors.constants import HEIGHT_RANGE_KM
from detectors.types import BoolArray, FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, incidence_deg
from matchers.geometry.view import render_known
from matchers.lights.patch_fit import PATCH_FIT
from matchers.lights.patches import match_patches
from matchers.lights.photo_light import LightImage
from matchers.lights.verify import LIGHTS, find_light_peaks, spread_shifts
from regengine.errors import ConfigError
from regengine.points.parameters import ClickParams
from regengine.points.resection import (
    MIN_POINTS,
    MIN_POINTS_ASKED,
    SIGMA_ANY_LOG_FOCAL,
    Disagreement,
    Free,
    Freed,
    PointPairs,
    Start,
    Unknowns,
    carry_to_places,
    choose_best,
    disagreeing_points,
    fit_from_starts,
    free_parameters,
    make_rough_prior,
    make_starts_along,
    make_starts_around,
    point_pairs,
    residuals_px,
    turn_to_places,
)
from regengine.registration.windows import (
    NightLights,
    compute_ground_sample_km,
    find_footprint_window,
)
from regengine.result import FrameResult, ReviewedPoint


@dataclass(frozen=True, kw_only=True, eq=False)
class PositionPrior:
    """Prior of the camera position, in addition to the current camera of the person.

    cameras: Cameras of the engine's hypotheses.
    track_ecef_m: Positions of the station around the photo's time, in order of time, shape (n, 3);
        a single one if only its nadir is known.
    lens_known: Whether the focal length is given in the photo's metadata.
    """

    cameras: tuple[Camera, ...] = ()
    track_ecef_m: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    lens_known: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class PointFit:
    """Residuals of points to a camera that is fitted without the suspect ones.

    residual_px: Point minus camera, shape (n, 2); NaN where the place is behind the camera.
    residual_m: On the ground, shape (n,); NaN where the pixel sees the sky.
    unknowns: How many numbers of the camera are free.
    """

    camera: Camera
    freed: tuple[Freed, ...]
    residual_px: FloatArray
    residual_m: FloatArray
    doubts: Disagreement
    unknowns: int

    @property
    def observations(self) -> int:
        """Number of observations of the fit: two for each point that is not suspect."""
        return 2 * int((~self.doubts.suspect).sum())


@dataclass(frozen=True, kw_only=True, eq=False)
class PointSolution:
    """The camera of some points, a fit with only the attitude free, and a warning.

    ``attitude_only`` is None where nothing else is free in ``fit`` either, or no position is known
    to hold.
    """

    fit: PointFit
    attitude_only: PointFit | None
    warning: str | None


def solve(
    first: Camera,
    points: Sequence[ReviewedPoint],
    free: Free = "auto",
    known: PositionPrior | None = None,
    params: ClickParams = ClickParams(),
) -> PointSolution:
    """Fit a camera to a person's points.

    ``first`` was placed by hand or is the engine's: its position and focal length are believed
    within limits, unless the points agree clearly better with another place that is ``known``, or
    with any. ``free`` is what is asked to be free, see `free_parameters`: of "auto", what is
    unknown is free as soon as it can be; a position that is not to be freed is that of ``first``.
    ConfigError if there is no point, the camera is nowhere above the Earth, or no camera fits.
    """
    check_above_earth(first)
    if not points:
        raise ConfigError("a camera needs at least one point: add one in the photo or on the map.")
    known, n = known or PositionPrior(), len(points)
    track = known.track_ecef_m
    flight = np.gradient(track, axis=0) if len(track) > 1 else None  # over the ground
    asked: Free = free
    if free == "auto" and n < MIN_POINTS["position"]:
        if not len(track) and n >= MIN_POINTS_ASKED["position"]:
            asked = "position"
        elif not known.lens_known:
            asked = "focal"
    freed = free_parameters(n, asked)

    def begin(camera: Camera) -> Start:
        """Start from a camera, with the direction of flight of the track's nearest place."""
        away = np.linalg.norm(track - np.asarray(camera.position_ecef_m), axis=1)
        belief = make_rough_prior(camera, None if flight is None else flight[int(away.argmin())])
        if not known.lens_known:
            belief = replace(belief, sigma_log_focal=SIGMA_ANY_LOG_FOCAL)
        return Start(camera=camera, belief=belief)

    def begin_elsewhere(pairs: PointPairs) -> Iterator[Sequence[Start]]:
        """Start from the hypotheses, from places along the track, and from anywhere."""
        yield [begin(camera) for camera in known.cameras]
        if flight is not None:
            yield make_starts_along(first, pairs, track, flight)
        else:
            yield [begin(replace(first, position_ecef_m=(x, y, z))) for x, y, z in track.tolist()]
        if "position" in freed:
            yield make_starts_around(first, pairs, lens_known=known.lens_known)

    pairs = pair_points(first, points, params)
    try:
        with np.errstate(all="ignore"):
            if free == "auto" and not len(track) and n < MIN_POINTS["position"]:
                first = carry_to_places(first, pairs)
            start = begin(first)
            if free not in ("attitude", "focal") and n > 1:
                start = choose_best(start, begin_elsewhere(pairs), pairs)
            pairs = pair_points(start.camera, points, params)
            fit, attitude_only = fit_points(start, pairs, freed, params), None
            if set(fit.freed) - {"aim", "attitude"} and start.placed:
                attitude_only = fit_points(start, pairs, ("attitude",), params)
    except (np.linalg.LinAlgError, ValueError) as error:
        raise ConfigError(
            "no camera fits these points: align the photo with the map, or undo the last step."
        ) from error
    said, suspects = [], int(fit.doubts.suspect.sum())
    if suspects:
        which = "One point disagrees" if suspects == 1 else f"{suspects} points disagree"
        them = "it" if suspects == 1 else "them"
        said.append(f"{which} with the others: the camera is fitted without {them}.")
    if fit.doubts.undecided:
        said.append(
            "The points disagree, and they are too few to find the wrong one: add one more."
        )
    seen = incidence_deg(fit.camera.position_ecef_m, pairs.ground_ecef_m) < 90.0
    if hidden := int((~seen).sum()):
        which = "One point is" if hidden == 1 else f"{hidden} points are"
        said.append(f"{which} beyond the horizon of this camera.")
    return PointSolution(fit=fit, attitude_only=attitude_only, warning=" ".join(said) or None)


def pair_points(camera: Camera, points: Sequence[ReviewedPoint], params: ClickParams) -> PointPairs:
    """Pair points for the fit; unknown precision is set to that of a click on photo and map."""
    pairs = point_pairs(
        np.array([[point.x, point.y] for point in points]),
        np.array([[point.lon, point.lat] for point in points]),
        np.ones(len(points)),
    )
    range_m = np.linalg.norm(pairs.ground_ecef_m - np.asarray(camera.position_ecef_m), axis=1)
    clicked_px = np.hypot(params.click_sigma_px, camera.focal_px * params.map_sigma_m / range_m)
    known_px = np.array([np.nan if p.sigma_px is None else p.sigma_px for p in points], float)
    known_px = np.where(
        np.isfinite(known_px), np.maximum(known_px, params.min_sigma_px), clicked_px
    )
    return replace(pairs, sigma_px=known_px)


def fit_points(
    start: Start, pairs: PointPairs, freed: tuple[Freed, ...], params: ClickParams
) -> PointFit:
    """Fit a camera to points, find the suspects, and fit it again without them.

    The others then have the precision that their own disagreement shows, where it is worse: clicks
    on cities are often ten times less precise than clicks on lamps; taken for precise, they would
    bend the lens and move the camera instead.
    """
    unknowns = Unknowns(pairs=pairs, belief=start.belief, freed=freed)
    doubts = disagreeing_points(start.camera, unknowns)
    trusted = pairs.chosen(~doubts.suspect)
    unknowns = replace(unknowns, pairs=trusted)
    spare = 2 * len(trusted) - len(unknowns.columns)
    if spare >= params.min_spare:
        growth = max(1.0, fit_from_starts(start.camera, unknowns).chi_square / spare) ** 0.5
        unknowns = replace(unknowns, pairs=replace(trusted, sigma_px=trusted.sigma_px * growth))
    camera = fit_from_starts(start.camera, unknowns).camera
    seen_m = camera.pixel_to_ecef(*pairs.pixels.T)
    return PointFit(
        camera=camera,
        freed=freed,
        residual_px=residuals_px(camera, pairs),
        residual_m=np.linalg.norm(seen_m - pairs.ground_ecef_m, axis=1),
        doubts=doubts,
        unknowns=len(unknowns.columns),
    )


@dataclass(frozen=True, kw_only=True)
class SnapResult:
    """Result of snapping a point to the best match."""

    point: ReviewedPoint | None = None  # position of the match; None without one
    ncc: float | None = None  # correlation there; None without data to compare
    # How far the point moved, in pixels of the photo, whichever side moved
    moved_px: float | None = None
    why: str | None = None  # why there is no match


def snap(
    camera: Camera,
    point: ReviewedPoint,
    *,
    photo_moves: bool,
    light: LightImage,
    light_map: NightLights,
    params: ClickParams = ClickParams(),
) -> SnapResult:
    """Match the map around a point's place with the photo around its pixel.

    The map is rendered through the camera, rotated so that the place is projected to the pixel.
    So only rotation, scale and perspective are taken from the camera, but not its pointing.
    """
    nothing = SnapResult(why="the night-light map has no lights there.")
    height, width = light.values.shape
    now, ncc, sigma_px, first = point, None, 0.0, None
    for reach_px in params.reaches_px:
        held = turn_to_places(camera, point_pairs([[now.x, now.y]], [[now.lon, now.lat]], [1.0]))
        first = first or held
        if not np.isfinite(held.lonlat_to_pixel(now.lon, now.lat)[0]):
            return SnapResult(why="the place is beyond the horizon of this camera.")
        col = round((now.x + 0.5) * light.factor - 0.5)
        row = round((now.y + 0.5) * light.factor - 0.5)
        if not (0 <= col < width and 0 <= row < height):
            what = "point" if now is point else "match"
            return SnapResult(ncc=ncc, why=f"the {what} is outside the photo.")
        # The photo's light around the point, dark beyond its edges, and the camera of that piece
        half_px = params.patch_px // 2 + reach_px + 2
        side = 2 * half_px + 1
        padded = np.pad(light.values * light.weight, half_px)
        photo = np.ascontiguousarray(padded[row : row + side, col : col + side], np.float32)
        whole = light.camera(held)
        x, y = whole.principal_point
        # Of a mirrored picture the columns count from the other edge
        left = width - 1 - col - half_px if held.mirrored else col - half_px
        axis = (x - left, y - (row - half_px))
        piece = replace(whole, width_px=side, height_px=side, principal_point=axis)
        step_km = compute_ground_sample_km(piece) / params.map_pixels
        levels = find_footprint_window(light_map, piece, params.margin_km, step_km)
        if levels is None:
            return nothing
        view, covered = render_known(levels, piece, 2)
        if float(covered.mean()) < params.min_covered_share:
            return nothing
        middle = np.full((1, 2), half_px, np.intp)
        found = match_patches(photo, view, middle, params.patch_px, reach_px)
        if len(found) == 0:
            return SnapResult(ncc=ncc, why="photo and map have no lights to compare there.")
        ncc = float(found.ncc[0])
        variance_px = float(np.trace(found.covariance[0])) / 2.0 + PATCH_FIT.floor_px**2
        sigma_px = variance_px**0.5 / light.factor
        dx, dy = float(found.dx[0]) / light.factor, float(found.dy[0]) / light.factor
        lon, lat = held.pixel_to_lonlat(now.x - dx, now.y - dy)
        if photo_moves:
            now = replace(now, x=now.x + dx, y=now.y + dy)
        elif np.isfinite(lon):  # close to the limb, that may be sky: then the place stays
            now = replace(now, lon=float(lon), lat=float(lat))
    assert ncc is not None
    assert first is not None
    if ncc < params.min_ncc:
        return SnapResult(ncc=ncc, why="photo and map are too different there: try another light.")
    if not (-0.5 <= now.x <= camera.width_px - 0.5 and -0.5 <= now.y <= camera.height_px - 0.5):
        return SnapResult(ncc=ncc, why="the match is outside the photo.")
    shown = (now.x, now.y) if photo_moves else first.lonlat_to_pixel(now.lon, now.lat)
    return SnapResult(
        point=replace(now, sigma_px=sigma_px, origin="snap"),
        ncc=ncc,
        moved_px=float(np.hypot(shown[0] - point.x, shown[1] - point.y)),
    )


def compare_lights(
    camera: Camera,
    point: ReviewedPoint,
    *,
    light: LightImage,
    light_map: NightLights,
    params: ClickParams = ClickParams(),
) -> SnapResult:
    """How far the map's light lies from the photo's at a point, as `snap` finds it.

    At the rim of the photo most of the patch is dark: there nothing is said.
    """
    half = params.patch_px // 2
    at = ((point.x, light.values.shape[1]), (point.y, light.values.shape[0]))
    inside = 1.0
    for place, side in at:
        middle = (place + 0.5) * light.factor - 0.5
        inside *= max(min(middle + half, side - 1.0) - max(middle - half, 0.0), 0.0) / (2.0 * half)
    if inside < params.min_inside_share:
        return SnapResult(why="the point is too near the photo's edge to be compared.")
    return snap(camera, point, photo_moves=True, light=light, light_map=light_map, params=params)


@dataclass(frozen=True, kw_only=True)
class MapLights:
    """Lights of the map in a camera's view, the strongest first, each shape (n,).

    lon, lat: Degrees.
    met: Whether a light of the photo lies where the camera has it.
    chance: Share that would be met if the camera had nothing to do with the photo.
    """

    lon: FloatArray
    lat: FloatArray
    met: BoolArray
    chance: float


def lights_in_view(
    camera: Camera,
    *,
    light: LightImage,
    light_map: NightLights,
    most: int = 100,
    params: ClickParams = ClickParams(),
) -> MapLights | None:
    """The map's strongest lights in a camera's view, and which of them the photo's lights meet.

    What chance alone meets is measured on the photo: the lights are shifted by many amounts, as
    `score_lights` does. None where the map shows nothing there.
    """
    small = light.camera(camera)
    step_km = compute_ground_sample_km(small) / params.map_pixels
    levels = find_footprint_window(light_map, camera, params.margin_km, step_km)
    if levels is None:
        return None
    view, covered = render_known(levels, small, 2)
    weight = np.asarray(light.weight * covered, np.float32)
    lights = find_light_peaks(view, weight, most)
    seen = find_light_peaks(light.values, weight, LIGHTS.n_map)
    lon, lat = small.pixel_to_lonlat(lights.x, lights.y)
    if len(lights) == 0 or len(seen) == 0:
        return MapLights(lon=lon, lat=lat, met=np.zeros(len(lights), bool), chance=0.0)
    nearest = cKDTree(seen.positions)
    shifted = lights.positions + spread_shifts()[:, None]
    height, width = view.shape
    inside = ((shifted >= 0.0) & (shifted < (width, height))).all(axis=2)
    by_chance = (nearest.query(shifted)[0] < LIGHTS.match_px)[inside]
    return MapLights(
        lon=lon,
        lat=lat,
        met=nearest.query(lights.positions)[0] < LIGHTS.match_px,
        chance=float(by_chance.mean()) if len(by_chance) else 0.0,
    )


def check_above_earth(camera: Camera) -> None:
    """Refuse a camera that is in the Earth or far away."""
    height_km = float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3
    if not HEIGHT_RANGE_KM[0] <= height_km <= HEIGHT_RANGE_KM[1]:
        raise ConfigError("the camera is not above the Earth: align the photo with the map first.")


def check_camera(camera: Camera, result: FrameResult, params: ClickParams = ClickParams()) -> None:
    """Refuse a camera that cannot have taken a photo: its light would be looked for for hours."""
    check_above_earth(camera)
    if (camera.width_px, camera.height_px) != (result.width_px, result.height_px):
        raise ConfigError("the camera is for another picture size than the photo's.")
    ratio = camera.focal_px / max(camera.width_px, camera.height_px)
    if not params.focal_ratio[0] <= ratio <= params.focal_ratio[1]:
        raise ConfigError(
            f"the focal length is {ratio:.2g} times the photo's long side, which is impossible: "
            "scale the photo on the map."
        )
