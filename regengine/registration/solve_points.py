"""The camera of a person's points, with what is odd about each, and points moved to the lights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from detectors.constants import HEIGHT_RANGE_KM
from detectors.types import FloatArray, FloatImage
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, incidence_deg
from matchers.patches import PatchMatches, match_patches
from matchers.photo_light import LightImage
from matchers.refine import FLOOR_PX
from matchers.resection import (
    LEAST_POINTS,
    LEAST_POINTS_ASKED,
    SIGMA_ANY_LOG_FOCAL,
    Free,
    Freed,
    PointPairs,
    Start,
    Unknowns,
    best_of,
    carried_to,
    disagreeing_points,
    free_parameters,
    point_pairs,
    resected,
    residuals_px,
    rough_prior,
    starts_along,
    starts_around,
    turned_to,
)
from matchers.view import render_known
from regengine.errors import ConfigError
from regengine.registration.parameters import PointParams
from regengine.registration.windows import HasWindows, footprint_window, ground_sample_km
from regengine.result import FrameResult, ReviewedPoint

# Focal length over the long side: from wider than any fisheye to a lens of 1,400 mm
FOCAL_RANGE = (0.2, 40.0)
# Precision of a click on a light, and of what is taken for the same light in a map of 0.46 km
CLICK_SIGMA_PX = 1.5
MAP_SIGMA_M = 250.0
LEAST_SIGMA_PX = 0.5
LEAST_SPARE = 4  # observations beyond the unknowns, to tell how precise points are
# Snapping
PATCH_PX = 31  # of the photo's light image: about 10 km, as the engine's own patches
# How far the point may lie beside the match; then again from there
REACHES_PX = (16, 5)
MARGIN_KM = 25.0
FINER = 1.2  # map pixels to one of the image
LEAST_KNOWN = 0.5  # of the map under the patch


@dataclass(frozen=True, kw_only=True, eq=False)
class Whereabouts:
    """What is known of where a photo was taken, beside the camera that a person has before them.

    Attributes
    ----------
    cameras : tuple of Camera
        Of the engine's hypotheses.
    track_ecef_m : ndarray of float64, shape (n, 3)
        Where the station was around the photo's time, in the order of time; one where only its
        nadir is known.
    lens_known : bool
        Whether the photo's file tells its focal length.
    """

    cameras: tuple[Camera, ...] = ()
    track_ecef_m: FloatArray = field(default_factory=lambda: np.zeros((0, 3)))
    lens_known: bool = True

    @property
    def placed(self) -> bool:
        """Whether it is known where the station was."""
        return len(self.track_ecef_m) > 0

    @cached_property
    def flight_ecef(self) -> FloatArray | None:
        """Direction of flight over the ground along the track, shape (n, 3); None for unknown."""
        return np.gradient(self.track_ecef_m, axis=0) if len(self.track_ecef_m) > 1 else None

    def freed(self, points: int, free: Free) -> tuple[Freed, ...]:
        """What so many points free: of "auto", what is unknown is free as soon as it can be."""
        if free == "auto" and points < LEAST_POINTS["position"]:
            if not self.placed and points >= LEAST_POINTS_ASKED["position"]:
                return free_parameters(points, "position")
            if not self.lens_known:
                return free_parameters(points, "focal")
        return free_parameters(points, free)

    def start(self, camera: Camera) -> Start:
        """A start from a camera: the direction of flight is that of the track's nearest place."""
        flight = None
        if self.flight_ecef is not None:
            away = np.linalg.norm(self.track_ecef_m - np.asarray(camera.position_ecef_m), axis=1)
            flight = self.flight_ecef[int(away.argmin())]
        belief = rough_prior(camera, flight)
        if not self.lens_known:
            belief = replace(belief, sigma_log_focal=SIGMA_ANY_LOG_FOCAL)
        return Start(camera=camera, belief=belief)

    def others(
        self, first: Camera, pairs: PointPairs, *, anywhere: bool
    ) -> Iterator[Sequence[Start]]:
        """Further starts: the hypotheses, the first camera's lens along the track, and anywhere."""
        yield [self.start(camera) for camera in self.cameras]
        if self.flight_ecef is not None:
            yield starts_along(first, pairs, self.track_ecef_m, self.flight_ecef)
        else:
            nadirs = self.track_ecef_m.tolist()
            yield [self.start(replace(first, position_ecef_m=(x, y, z))) for x, y, z in nadirs]
        if anywhere:
            yield starts_around(first, pairs, lens_known=self.lens_known)


@dataclass(frozen=True, kw_only=True, eq=False)
class PointFit:
    """How points lie to a camera."""

    camera: Camera
    freed: tuple[Freed, ...]
    # Shape (n, 2): point minus camera; NaN where the place is behind the camera
    residual_px: FloatArray
    residual_m: FloatArray  # shape (n,): on the ground; NaN where the pixel sees the sky
    left_out_px: FloatArray  # shape (n,): to the camera of the others; NaN where these are too few
    # Shape (n,): those that disagree with the others beyond chance; the camera is fitted without
    # them
    suspect: NDArray[np.bool_]
    undecided: bool  # whether points disagree of which it cannot be told which is wrong


@dataclass(frozen=True, kw_only=True, eq=False)
class Solved:
    """The camera of some points, the same with the attitude alone free, and a warning.

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
    known: Whereabouts | None = None,
) -> Solved:
    """Fit a camera to a person's points.

    ``first`` was placed by hand or is the engine's: its position and focal length are believed
    within limits, unless the points agree clearly better with another place that is ``known``, or
    with any. ``free`` is what is asked to be free, see `matchers.resection.free_parameters`; a
    position that is not to be freed is that of ``first``. ConfigError if there is no point, the
    camera is nowhere above the Earth, or no camera fits.
    """
    check_above_earth(first)
    if not points:
        raise ConfigError("a camera needs at least one point: add one in the photo or on the map.")
    known = known or Whereabouts()
    pairs = pairs_of(first, points)
    freed = known.freed(len(points), free)
    try:
        with np.errstate(all="ignore"):
            if free == "auto" and not known.placed and len(points) < LEAST_POINTS["position"]:
                first = carried_to(first, pairs)
            start = known.start(first)
            if free not in ("attitude", "focal") and len(points) > 1:
                others = known.others(first, pairs, anywhere="position" in freed)
                start = best_of(start, others, pairs)
            pairs = pairs_of(start.camera, points)
            fit = point_fit(start, pairs, freed)
            attitude_only = None
            if set(fit.freed) - {"aim", "attitude"} and start.placed:
                attitude_only = point_fit(start, pairs, ("attitude",))
    except (np.linalg.LinAlgError, ValueError) as error:
        raise ConfigError(
            "no camera fits these points: place the photo on the map, or undo the last step."
        ) from error
    hidden = ~(incidence_deg(fit.camera.position_ecef_m, pairs.ground_ecef_m) < 90.0)
    warning = warning_of(int(fit.suspect.sum()), int(hidden.sum()), fit.undecided)
    return Solved(fit=fit, attitude_only=attitude_only, warning=warning)


def warning_of(suspects: int, hidden: int, undecided: bool) -> str | None:
    """Sentences about points; None where all is well."""
    sentences = []
    if suspects == 1:
        sentences.append("One point disagrees with the others: the camera is fitted without it.")
    elif suspects:
        sentences.append(
            f"{suspects} points disagree with the others: the camera is fitted without them."
        )
    if undecided:
        sentences.append(
            "The points disagree, and they are too few to tell which is wrong: add another one."
        )
    if hidden:
        points = "One point lies" if hidden == 1 else f"{hidden} points lie"
        sentences.append(f"{points} beyond the horizon of this camera.")
    return " ".join(sentences) or None


def pairs_of(start: Camera, points: Sequence[ReviewedPoint]) -> PointPairs:
    """Points for the fit; those of unknown precision get that of a click on photo and map."""
    pairs = point_pairs(
        np.array([[point.x, point.y] for point in points]),
        np.array([[point.lon, point.lat] for point in points]),
        np.ones(len(points)),
    )
    range_m = np.linalg.norm(pairs.ground_ecef_m - np.asarray(start.position_ecef_m), axis=1)
    clicked_px = np.hypot(CLICK_SIGMA_PX, start.focal_px * MAP_SIGMA_M / range_m)
    known_px = np.array([np.nan if p.sigma_px is None else p.sigma_px for p in points], float)
    sigma_px = np.where(np.isfinite(known_px), np.maximum(known_px, LEAST_SIGMA_PX), clicked_px)
    return PointPairs(pixels=pairs.pixels, ground_ecef_m=pairs.ground_ecef_m, sigma_px=sigma_px)


def point_fit(begun: Start, pairs: PointPairs, freed: tuple[Freed, ...]) -> PointFit:
    """Fit a camera to points, tell the suspects, and fit it again without them."""
    start = begun.camera
    unknowns = Unknowns(pairs=pairs, belief=begun.belief, freed=freed)
    doubtful = disagreeing_points(start, unknowns)
    believed = replace(unknowns, pairs=pairs.chosen(~doubtful.suspect))
    camera = resected(start, as_they_agree(start, believed)).camera
    seen_m = camera.pixel_to_ecef(*pairs.pixels.T)
    return PointFit(
        camera=camera,
        freed=freed,
        residual_px=residuals_px(camera, pairs),
        residual_m=np.linalg.norm(seen_m - pairs.ground_ecef_m, axis=1),
        left_out_px=doubtful.left_out_px,
        suspect=doubtful.suspect,
        undecided=doubtful.undecided,
    )


def as_they_agree(start: Camera, unknowns: Unknowns) -> Unknowns:
    """The points with the precision that their own disagreement shows, where it is worse.

    Clicks on cities are often ten times less precise than clicks on lamps; taken for precise, they
    would bend the lens and move the camera instead.
    """
    pairs = unknowns.pairs
    spare = 2 * len(pairs) - len(unknowns.columns)
    if spare < LEAST_SPARE:
        return unknowns
    growth = max(1.0, resected(start, unknowns).chi_square / spare) ** 0.5
    return replace(unknowns, pairs=replace(pairs, sigma_px=pairs.sigma_px * growth))


@dataclass(frozen=True, kw_only=True)
class Snapped:
    """What came of moving a point to the best match."""

    point: ReviewedPoint | None = None  # where photo and map agree; None where they do nowhere near
    ncc: float | None = None  # correlation there; None where there is nothing to compare
    # How far the point moved, in pixels of the photo, whichever side moved
    moved_px: float | None = None
    why: str | None = None  # why there is no match


def snap(
    camera: Camera,
    point: ReviewedPoint,
    *,
    photo_moves: bool,
    light: LightImage,
    light_map: HasWindows,
) -> Snapped:
    """Find where the map around a point's place lies in the photo around its pixel.

    The map is drawn as the camera sees it, turned so that the point lies on itself: only how photo
    and map are turned, scaled and slanted is taken from the camera, not where it looks.
    """
    now, ncc, spread_px = point, None, 0.0
    for reach_px in REACHES_PX:
        held = held_by(camera, now)
        if not np.isfinite(held.lonlat_to_pixel(now.lon, now.lat)[0]):
            return Snapped(why="the place lies beyond the horizon of this camera.")
        cut = cut_out(held, now, light, PATCH_PX // 2 + reach_px + 2)
        if cut is None:
            return Snapped(why="the point lies outside of the photo.")
        photo, seen = cut
        levels = footprint_window(light_map, seen, MARGIN_KM, ground_sample_km(seen) / FINER)
        if levels is None:
            return Snapped(why="the night-light map has nothing there.")
        view, known = render_known(levels, seen, 2)
        if float(known.mean()) < LEAST_KNOWN:
            return Snapped(why="the night-light map has nothing there.")
        middle = np.full((1, 2), photo.shape[0] // 2, np.intp)
        found = match_patches(photo, view, middle, PATCH_PX, reach_px)
        if len(found) == 0:
            return Snapped(
                ncc=ncc, why="photo and map hold no lights there by which they could be compared."
            )
        ncc, spread_px = float(found.ncc[0]), _sigma_px(found) / light.factor
        now = moved(now, held, found, light.factor, photo_moves=photo_moves)
    assert ncc is not None
    if ncc < PointParams().min_ncc:
        return Snapped(ncc=ncc, why="photo and map look too different there: try another light.")
    if not (-0.5 <= now.x <= camera.width_px - 0.5 and -0.5 <= now.y <= camera.height_px - 0.5):
        return Snapped(ncc=ncc, why="the match lies outside of the photo.")
    x, y = held_by(camera, point).lonlat_to_pixel(now.lon, now.lat)
    away = (now.x - point.x, now.y - point.y) if photo_moves else (x - point.x, y - point.y)
    return Snapped(
        point=replace(now, sigma_px=spread_px, origin="snap"),
        ncc=ncc,
        moved_px=float(np.hypot(*away)),
    )


def held_by(camera: Camera, point: ReviewedPoint) -> Camera:
    """The camera turned, by as little as can be, so that a point's pixel sees its place."""
    return turned_to(camera, point_pairs([[point.x, point.y]], [[point.lon, point.lat]], [1.0]))


def cut_out(
    camera: Camera, point: ReviewedPoint, light: LightImage, half_px: int
) -> tuple[FloatImage, Camera] | None:
    """The photo's light around a point, dark beyond its edges, and the camera of that piece."""
    height, width = light.values.shape
    col = round((point.x + 0.5) * light.factor - 0.5)
    row = round((point.y + 0.5) * light.factor - 0.5)
    if not (0 <= col < width and 0 <= row < height):
        return None
    padded = np.pad(light.values * light.weight, half_px)
    side = 2 * half_px + 1
    photo = padded[row : row + side, col : col + side]
    whole = light.camera(camera)
    x, y = whole.principal_point
    # Of a mirrored picture the columns count from the other edge
    left = width - 1 - col - half_px if camera.mirrored else col - half_px
    piece = replace(
        whole, width_px=side, height_px=side, principal_point=(x - left, y - (row - half_px))
    )
    return np.ascontiguousarray(photo, np.float32), piece


def moved(
    point: ReviewedPoint, held: Camera, found: PatchMatches, factor: float, *, photo_moves: bool
) -> ReviewedPoint:
    """The point after what was found: its pixel moved on, or its place the other way."""
    dx, dy = float(found.dx[0]) / factor, float(found.dy[0]) / factor
    if photo_moves:
        return replace(point, x=point.x + dx, y=point.y + dy)
    lon, lat = held.pixel_to_lonlat(point.x - dx, point.y - dy)
    # Close to the limb, that may be sky: then the place stays
    seen = bool(np.isfinite(lon))
    return replace(point, lon=float(lon), lat=float(lat)) if seen else point


def _sigma_px(found: PatchMatches) -> float:
    variance = float(np.trace(found.covariance[0])) / 2.0
    return float(np.sqrt(variance + FLOOR_PX**2))


def check_above_earth(camera: Camera) -> None:
    """Refuse a camera that is in the Earth or far away."""
    height_km = float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3
    if not HEIGHT_RANGE_KM[0] <= height_km <= HEIGHT_RANGE_KM[1]:
        raise ConfigError("the camera is not above the Earth: place the photo on the map first.")


def check_of_photo(camera: Camera, result: FrameResult) -> None:
    """Refuse a camera that cannot have taken a photo: its light would be looked for for hours."""
    check_above_earth(camera)
    if (camera.width_px, camera.height_px) != (result.width_px, result.height_px):
        raise ConfigError("the camera is for a picture of another size than the photo's.")
    ratio = camera.focal_px / max(camera.width_px, camera.height_px)
    if not FOCAL_RANGE[0] <= ratio <= FOCAL_RANGE[1]:
        raise ConfigError(
            f"the focal length is {ratio:.2g} times the photo's long side, which no lens has: "
            "zoom the photo on the map."
        )
