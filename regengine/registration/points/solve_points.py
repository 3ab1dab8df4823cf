"""Solve the camera of manual points, find points that disagree, and snap points to lights.

Space resection of a camera from manual points, by least squares with priors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from detectors.constants import HEIGHT_RANGE_KM
from detectors.types import BoolArray, Columns, FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    incidence_deg,
    local_axes,
    surface_to_lonlat,
    to_xyz,
)
from matchers.geometry.footprint import WGS84
from matchers.geometry.pose import (
    ACROSS,
    ALONG,
    BEHIND_SIGMAS,
    FOCAL,
    K1,
    PARAMETERS,
    UP,
    PoseFit,
    PosePrior,
    differentiate_pixels,
    fit_pose,
    with_attitude,
)
from regengine.errors import ConfigError
from regengine.store.result import ReviewedPoint

# Precision of a click on a light, and of its counterpart in a map of 0.46 km
CLICK_SIGMA_PX, CLICK_SIGMA_M = 1.5, 250.0

Freed = Literal["aim", "attitude", "focal length", "position", "distortion"]
Free = Literal["auto", "attitude", "focal", "position", "all"]
COLUMNS: dict[Freed, tuple[int, ...]] = {
    "aim": (0, 1),
    "attitude": (0, 1, 2),
    "focal length": (FOCAL,),
    "position": (ALONG, ACROSS, UP),
    "distortion": (K1,),
}
# Minimum number of points for each parameter to be free; one point shifts the image without a roll
MIN_POINTS: dict[Freed, int] = {
    "aim": 1,
    "attitude": 2,
    "focal length": 3,
    "position": 4,
    "distortion": 10,
}
FREE_BY_NAME: dict[Free, tuple[Freed, ...]] = {
    "auto": ("attitude", "focal length", "position", "distortion"),
    "attitude": ("attitude",),
    "focal": ("attitude", "focal length"),
    "position": ("attitude", "focal length", "position"),
    "all": ("attitude", "focal length", "position", "distortion"),
}
# Parameters requested by name may be free as soon as priors and points together determine them
MIN_POINTS_BY_NAME: dict[Freed, int] = {
    "attitude": 2,
    "focal length": 2,
    "position": 3,
    "distortion": 4,
}


# Priors of the camera of manual points, and significance limits of the tests.
SIGMA_LOG_FOCAL = 0.1
SIGMA_ANYWHERE_M = 1e6  # of an unknown position, see `make_starts_around`
SIGMA_ANY_LOG_FOCAL = 0.7
# Minimum decrease of chi square for another start to replace the first: it occurs by chance
# once in a thousand for two unknowns
OTHER_CHI_SQUARE = 13.8
# Rings around the places, out to where the station has its horizon
RINGS_KM = (
    *(0.0, 100.0, 200.0, 320.0, 460.0, 620.0),
    *(800.0, 1000.0, 1250.0, 1500.0, 1750.0, 2000.0, 2250.0),
)
# Minimum decrease of chi square without a suspect point, which occurs by chance once in a
# thousand
SUSPECT_CHI_SQUARE = 13.8
MIN_POINTS_TO_CHECK = 5  # with four points, a camera without one fits any three


# Priors count as observations of their parameters; only the attitude has no prior
ATTITUDE_UNKNOWNS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class PointPairs(Columns):
    """Pixels and their ground positions.

    pixels: Pixels of the stored image, shape (n, 2).
    ground_ecef_m: Ground positions, ECEF in metres, shape (n, 3).
    sigma_px: Precision of each pair along each axis of the image, shape (n,).
    """

    pixels: FloatArray
    ground_ecef_m: FloatArray
    sigma_px: FloatArray


def pair_points(camera: Camera, points: Sequence[ReviewedPoint]) -> PointPairs:
    """Pair points for the fit; unknown precision is set to that of a click on photo and map."""
    x, y, lon, lat = np.array([(one.x, one.y, one.lon, one.lat) for one in points], float).T
    ground_ecef_m = geodetic_to_ecef(lon, lat)
    range_m = np.linalg.norm(ground_ecef_m - np.asarray(camera.position_ecef_m), axis=1)
    clicked_px = np.hypot(CLICK_SIGMA_PX, camera.focal_px * CLICK_SIGMA_M / range_m)
    known_px = np.array([np.nan if p.sigma_px is None else p.sigma_px for p in points], float)
    known_px = np.where(np.isfinite(known_px), np.maximum(known_px, 0.5), clicked_px)
    pixels = np.stack([x, y], axis=1)
    return PointPairs(pixels=pixels, ground_ecef_m=ground_ecef_m, sigma_px=known_px)


def make_rough_prior(start: Camera, flight_ecef: FloatArray | None = None) -> PosePrior:
    """Make the prior of a camera of manual points, around a rough initial camera.

    `flight_ecef`: direction of flight over the ground, of any length, shape (3,); without it the
    position is as uncertain in all level directions.
    """
    # Clocks are off by seconds, 7 km each, along the track; an orbit is known to a few kilometres
    along_m, across_m = 100e3, 10e3
    if flight_ecef is None:
        # The direction of flight is not known
        along_m = across_m = 60e3
        lon, lat, _ = ecef_to_geodetic(start.position_ecef_m)
        flight_ecef = local_axes(float(lon), float(lat))[0]
    return PosePrior(
        position_ecef_m=start.position_ecef_m,
        velocity_ecef=to_xyz(flight_ecef),
        focal_px=start.focal_px,
        sigma_along_m=along_m,
        sigma_across_m=across_m,
        sigma_up_m=5e3,  # by eye
        sigma_log_focal=SIGMA_LOG_FOCAL,
        sigma_k1=0.03,  # by eye: lenses of 24 mm and longer, see `priors.believe_camera`
        principal_point=start.principal_point,
        k1=start.distortion[0],
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """An initial camera of a fit, its prior, and whether its position is known.

    ``placed`` is False for one of many places without a prior of the position.
    """

    camera: Camera
    belief: PosePrior
    placed: bool = True


def list_columns(freed: Sequence[Freed]) -> list[int]:
    return [column for name in freed for column in COLUMNS[name]]


def fit_pairs(start: Start, pairs: PointPairs, freed: Sequence[Freed]) -> PoseFit:
    """Fit a camera to points from any initial attitude.

    The attitude is initialized in closed form, so that the start may point anywhere; it provides
    the parameters that are not free. Gauss-Newton iterations with priors follow. All points are
    used: `disagreeing_points` finds the wrong ones.
    """

    def median_sigmas(camera: Camera) -> float:
        away = np.linalg.norm(residuals_px(camera, pairs), axis=1) / pairs.sigma_px
        return float(np.median(np.nan_to_num(away, nan=np.inf)))

    return fit_pose(
        pairs.pixels,
        pairs.ground_ecef_m,
        min(turn_to_places(start.camera, pairs), start.camera, key=median_sigmas),
        start.belief,
        np.isin(np.arange(PARAMETERS), list_columns(freed)),
        covariance_px=np.eye(2) * pairs.sigma_px[:, None, None] ** 2,
    )


def residuals_px(camera: Camera, pairs: PointPairs) -> FloatArray:
    """Points minus camera, shape (n, 2), pixels; NaN where a place is behind the camera."""
    return pairs.pixels - np.stack(camera.ecef_to_pixel(pairs.ground_ecef_m), axis=-1)


def turn_to_places(start: Camera, pairs: PointPairs) -> Camera:
    """Rotate the initial camera so that its rays point at the places, in closed form.

    Any initial attitude is possible. For a single pair the rotation is the smallest one.
    """
    rays = start.rays(*pairs.pixels.T)
    away = pairs.ground_ecef_m - np.asarray(start.position_ecef_m)
    return with_attitude(start, _rotation(rays, away, pairs.sigma_px, start.matrix))


def carry_to_places(start: Camera, pairs: PointPairs) -> Camera:
    """Move the initial camera over the Earth so that its pixels show their places.

    The altitude is kept. If the position is not known, this keeps scale and incidence angle. Pixels
    with sky are ignored; if all show sky, the camera is unchanged.
    """
    seen = start.pixel_to_ecef(*pairs.pixels.T)
    ground = np.isfinite(seen[:, 0])
    if not ground.any():
        return start
    places = pairs.select(ground)
    way = _rotation(seen[ground], places.ground_ecef_m, places.sigma_px, np.eye(3))
    lon, lat, _ = ecef_to_geodetic(way @ start.position_ecef_m)
    height_m = float(ecef_to_geodetic(start.position_ecef_m)[2])
    there = replace(start, position_ecef_m=to_xyz(geodetic_to_ecef(lon, lat, height_m)))
    return with_attitude(there, way @ start.matrix)


def _rotation(of: FloatArray, to: FloatArray, sigma: FloatArray, about: FloatArray) -> FloatArray:
    """Compute the rotation, shape (3, 3), from directions to others, shape (n, 3), of any length.

    Degrees of freedom that they leave undetermined are taken from ``about``.
    """
    from scipy.spatial.transform import Rotation

    of, to = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (of, to))
    found, _ = Rotation.align_vectors(
        np.concatenate([to, about.T]),
        np.concatenate([of, np.eye(3)]),
        # Weight of the initial attitude relative to the points: it only fixes what they leave free,
        # such as the roll around a single point
        weights=np.append(sigma**-2 / (sigma**-2).sum(), [1e-9] * 3),
    )
    return np.asarray(found.as_matrix())


def choose_best(first: Start, others: Iterable[Sequence[Start]], pairs: PointPairs) -> Start:
    """Choose the start whose prior agrees best with the points.

    Each is fitted with attitude, focal length and position free. The first is kept unless another
    is significantly better, relative to how well the points agree with that one. The lists of
    ``others`` are evaluated one by one, and later ones are skipped if an earlier one suffices.
    """
    spare = max(1, 2 * len(pairs) - ATTITUDE_UNKNOWNS)

    def fit_cost(start: Start) -> float:
        try:
            found = fit_pairs(start, pairs, FREE_BY_NAME["position"])
        except (np.linalg.LinAlgError, ValueError):
            return np.inf
        hidden = ~(incidence_deg(found.camera.position_ecef_m, pairs.ground_ecef_m) < 90.0)
        # A place behind the Earth: clicks beside the limb may be there
        cost = found.chi_square + 100.0 * int(hidden.sum())
        return cost if np.isfinite(cost) else np.inf

    kept, kept_cost, lists = first, fit_cost(first), iter(others)
    while kept_cost > OTHER_CHI_SQUARE and (starts := next(lists, None)) is not None:
        costs = [fit_cost(start) for start in starts]
        if not costs:
            continue
        best = int(np.argmin(costs))
        # 16.3 occurs by chance once in a thousand for the three unknowns of a position
        lead = OTHER_CHI_SQUARE if starts[best].placed else 16.3
        if costs[best] + lead * max(1.0, costs[best] / spare) < kept_cost:
            kept, kept_cost = starts[best], costs[best]
    return kept


def make_starts_around(like: Camera, pairs: PointPairs, *, lens_known: bool) -> list[Start]:
    """Make starts at the places that fit the points best, of all within the horizon around them.

    Altitude and lens are those of ``like``. If the lens is not known, its focal length may be any.
    """
    height_m = float(ecef_to_geodetic(like.position_ecef_m)[2])
    lon, lat = surface_to_lonlat(pairs.ground_ecef_m.mean(axis=0))
    turns = np.linspace(0.0, 360.0, 24, endpoint=False)
    azimuth, away_m = (side.ravel() for side in np.meshgrid(turns, 1e3 * np.array(RINGS_KM)))
    lon, lat = np.full_like(azimuth, lon), np.full_like(azimuth, lat)
    lon, lat, _ = WGS84.fwd(lon, lat, azimuth, away_m)
    positions = geodetic_to_ecef(lon, lat, height_m)
    sigma_log_focal = SIGMA_LOG_FOCAL if lens_known else SIGMA_ANY_LOG_FOCAL
    starts = []
    for start in find_best_starts(like, pairs, positions, sigma_log_focal):
        belief = replace(
            start.belief,
            sigma_along_m=SIGMA_ANYWHERE_M,
            sigma_across_m=SIGMA_ANYWHERE_M,
            sigma_up_m=40e3,  # the station has flown between 330 and 435 km
            sigma_log_focal=sigma_log_focal,
        )
        starts.append(replace(start, belief=belief, placed=False))
    return starts


def find_best_starts(
    like: Camera,
    pairs: PointPairs,
    positions_ecef_m: FloatArray,
    sigma_log_focal: float,
    flight_ecef: FloatArray | None = None,
) -> list[Start]:
    """Make starts at those of some positions, shape (m, 3), that see the points best.

    Each camera has the focal length with which the pixels are as far apart as the places, and is
    turned to them; those that are kept lie apart. Their priors have the lens of ``like``, and the
    direction of flight at each position, shape (m, 3).

    References
    ----------
    Kabsch, W. (1976). A solution for the best rotation to relate two sets of vectors. Acta
    Crystallographica A32, 922-923.
    """
    seen = incidence_deg(positions_ecef_m[:, None, :], pairs.ground_ecef_m) < 90.0
    numbers = np.flatnonzero(seen.all(axis=1))
    away = pairs.ground_ecef_m - positions_ecef_m[numbers, None, :]
    away /= np.linalg.norm(away, axis=-1, keepdims=True)
    tangents, zoom, rays = like.rays(*pairs.pixels.T), np.ones(len(numbers)), away
    for _ in range(5):  # the first leaves the zoom at 1
        zoom = zoom * np.sqrt(rays.var(axis=1).sum(axis=-1) / away.var(axis=1).sum(axis=-1))
        rays = tangents / np.stack([zoom, zoom, np.ones_like(zoom)], axis=-1)[:, None]
        rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    left, _, right = np.linalg.svd(np.einsum("mni,mnj->mij", away, rays))
    left[..., 2] *= np.linalg.det(left @ right)[:, None]
    misses = np.linalg.norm(away @ (left @ right) - rays, axis=-1)
    chi_square = ((like.focal_px * zoom[:, None] * misses / pairs.sigma_px) ** 2).sum(axis=1)
    chi_square += (np.log(zoom) / sigma_log_focal) ** 2
    found: list[Start] = []
    for k in np.argsort(chi_square):
        position = positions_ecef_m[numbers[k]]
        taken = np.array([start.camera.position_ecef_m for start in found]).reshape(-1, 3)
        if (
            np.linalg.norm(taken - position, axis=1) < 120e3
        ).any():  # by eye: about the rings' step
            continue
        there = replace(like, position_ecef_m=to_xyz(position))
        belief = make_rough_prior(there, None if flight_ecef is None else flight_ecef[numbers[k]])
        there = replace(there, focal_px=float(like.focal_px * zoom[k]))
        found.append(Start(camera=turn_to_places(there, pairs), belief=belief))
        # So many of one kind are fitted
        if len(found) == 8:
            break
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Disagreement:
    """Points that disagree with the others."""

    # (n,): residual of each point to the camera of the others; NaN with fewer than three points
    left_out_px: FloatArray
    suspect: BoolArray  # (n,): points that disagree significantly with the others
    undecided: bool  # whether points disagree and the wrong one cannot be identified


def disagreeing_points(start: Start, pairs: PointPairs, freed: Sequence[Freed]) -> Disagreement:
    """Leave every point out in turn, and take out the worst for as long as one stands out.

    A point is suspect when chi square falls by more without it than chance explains, measured by
    how well the others agree among themselves, and by clearly more than without any other (unless
    that one is wrong beside it). What leaving one out would change follows from the normal
    equations of all, to first order.

    References
    ----------
    Baarda, W. (1968). A testing procedure for use in geodetic networks. Netherlands Geodetic
    Commission, Publications on Geodesy 2 (5).
    """
    count = len(pairs)
    left_out, kept, undecided = np.full(count, np.nan), np.ones(count, bool), False
    if count > 2:
        left_out, gain, excess = _fit_without_each(start, pairs, freed)
        if count == MIN_POINTS_TO_CHECK - 1:
            undecided = bool(excess.max() >= SUSPECT_CHI_SQUARE)
    # At most a third: with more, right and wrong points cannot be distinguished
    while kept.sum() >= max(MIN_POINTS_TO_CHECK, count - min(count // 3, 20) + 1):
        worst, second = np.argsort(-gain)[:2]
        if excess[worst] < SUSPECT_CHI_SQUARE:
            break
        fewer = kept.copy()
        fewer[np.flatnonzero(kept)[worst]] = False
        # Difference to the decrease without any other point: odds of 20 to 1
        clear = bool(gain[worst] - gain[second] >= 6.0)
        _, gain, excess = _fit_without_each(start, pairs.select(fewer), freed)
        # Two wrong points can be equally bad: then the second stands out after the first is removed
        undecided = not clear and bool(excess.max() < SUSPECT_CHI_SQUARE)
        if undecided:
            break
        kept = fewer
    return Disagreement(left_out_px=left_out, suspect=~kept, undecided=undecided)


def _fit_without_each(
    start: Start, pairs: PointPairs, freed: Sequence[Freed]
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of every point: its residual to the fit of the others, what chi square falls by without it,
    and that measured by how well the others agree.
    """
    fit = fit_pairs(start, pairs, freed)
    misses = np.nan_to_num(fit.residual_px / pairs.sigma_px[:, None], nan=BEHIND_SIGMAS)
    there = start.belief.velocity_ecef, pairs.ground_ecef_m
    flow = differentiate_pixels(fit.camera, *there)[1]
    design = flow / pairs.sigma_px[:, None, None]
    leverage = design @ fit.covariance @ design.transpose(0, 2, 1)
    # A point that nothing else checks has its residual, 0, over a share of 0 that is its own
    free = np.eye(2) * (1.0 + 1e-6) - leverage
    predicted = np.linalg.solve(free, misses[..., None])[..., 0]
    gain = np.einsum("ni,ni->n", misses, predicted)
    spare = max(1, 2 * (len(pairs) - 1) - ATTITUDE_UNKNOWNS)
    agreement = np.maximum(1.0, (fit.chi_square - gain) / spare)
    return np.linalg.norm(predicted, axis=1) * pairs.sigma_px, gain, gain / agreement


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
) -> PointSolution:
    """Fit a camera to a person's points.

    ``first`` was placed by hand or is the engine's: its position and focal length are believed
    within limits, unless the points agree clearly better with another place that is ``known``, or
    with any. ``free`` is what shall be free, see `MIN_POINTS`: of "auto", what is
    unknown is free as soon as it can be; a position that is not to be freed is that of ``first``.
    ConfigError if there is no point, the camera is nowhere above the Earth, or no camera fits.
    """
    height_km = float(ecef_to_geodetic(first.position_ecef_m)[2]) / 1e3
    if not HEIGHT_RANGE_KM[0] <= height_km <= HEIGHT_RANGE_KM[1]:
        raise ConfigError("the camera is not above the Earth: align the photo with the map first.")
    if not points:
        raise ConfigError("a camera needs at least one point: add one in the photo or on the map.")
    known, n = known or PositionPrior(), len(points)
    track = known.track_ecef_m
    flight = np.gradient(track, axis=0) if len(track) > 1 else None  # over the ground
    chosen: Free = free
    if free == "auto" and n < MIN_POINTS["position"]:
        if not len(track) and n >= MIN_POINTS_BY_NAME["position"]:
            chosen = "position"
        elif not known.lens_known:
            chosen = "focal"
    # What is asked for by name is free as soon as points and priors together determine it
    min_points = MIN_POINTS if chosen == "auto" else MIN_POINTS_BY_NAME
    freed = tuple(name for name in FREE_BY_NAME[chosen] if n >= min_points[name]) or ("aim",)

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
            yield find_best_starts(first, pairs, track, SIGMA_LOG_FOCAL, flight)
        else:
            yield [begin(replace(first, position_ecef_m=(x, y, z))) for x, y, z in track.tolist()]
        if "position" in freed:
            yield make_starts_around(first, pairs, lens_known=known.lens_known)

    pairs = pair_points(first, points)
    try:
        with np.errstate(all="ignore"):
            if free == "auto" and not len(track) and n < MIN_POINTS["position"]:
                first = carry_to_places(first, pairs)
            start = begin(first)
            if free not in ("attitude", "focal") and n > 1:
                start = choose_best(start, begin_elsewhere(pairs), pairs)
            pairs = pair_points(start.camera, points)
            fit, attitude_only = fit_points(start, pairs, freed), None
            if set(fit.freed) - {"aim", "attitude"} and start.placed:
                attitude_only = fit_points(start, pairs, ("attitude",))
    except (np.linalg.LinAlgError, ValueError) as error:
        raise ConfigError(
            "no camera fits these points: align the photo with the map, or undo the last step."
        ) from error
    warnings, suspects = [], int(fit.doubts.suspect.sum())
    if suspects:
        which = "One point disagrees" if suspects == 1 else f"{suspects} points disagree"
        them = "it" if suspects == 1 else "them"
        warnings.append(f"{which} with the others: the camera is fitted without {them}.")
    if fit.doubts.undecided:
        warnings.append(
            "The points disagree, and they are too few to find the wrong one: add one more."
        )
    seen = incidence_deg(fit.camera.position_ecef_m, pairs.ground_ecef_m) < 90.0
    if hidden := int((~seen).sum()):
        which = "One point is" if hidden == 1 else f"{hidden} points are"
        warnings.append(f"{which} beyond the horizon of this camera.")
    return PointSolution(fit=fit, attitude_only=attitude_only, warning=" ".join(warnings) or None)


def fit_points(start: Start, pairs: PointPairs, freed: tuple[Freed, ...]) -> PointFit:
    """Fit a camera to points, find the suspects, and fit it again without them.

    The others then have the precision that their own disagreement shows, where it is worse: clicks
    on cities are often ten times less precise than clicks on lamps; taken for precise, they would
    bend the lens and move the camera instead.
    """
    doubts = disagreeing_points(start, pairs, freed)
    trusted, unknowns = pairs.select(~doubts.suspect), len(list_columns(freed))
    spare = 2 * len(trusted) - unknowns
    if spare >= 4:  # enough to estimate the precision of points
        growth = max(1.0, fit_pairs(start, trusted, freed).chi_square / spare) ** 0.5
        trusted = replace(trusted, sigma_px=trusted.sigma_px * growth)
    camera = fit_pairs(start, trusted, freed).camera
    seen_m = camera.pixel_to_ecef(*pairs.pixels.T)
    return PointFit(
        camera=camera,
        freed=freed,
        residual_px=residuals_px(camera, pairs),
        residual_m=np.linalg.norm(seen_m - pairs.ground_ecef_m, axis=1),
        doubts=doubts,
        unknowns=unknowns,
    )
