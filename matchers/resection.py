"""The camera from points that a person has matched, by least squares with beliefs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.camera import Camera
from matchers.earth import (
    ecef_to_geodetic,
    geodetic_to_ecef,
    incidence_deg,
    local_axes,
    surface_to_lonlat,
)
from matchers.pose import (
    ACROSS,
    ALONG,
    FOCAL,
    K1,
    PARAMETERS,
    UP,
    PosePrior,
    pixel_derivatives,
    stepped,
    with_attitude,
)

Freed = Literal["aim", "attitude", "focal length", "position", "distortion"]
Free = Literal["auto", "attitude", "focal", "position", "all"]
COLUMNS: dict[Freed, tuple[int, ...]] = {
    "aim": (0, 1),
    "attitude": (0, 1, 2),
    "focal length": (FOCAL,),
    "position": (ALONG, ACROSS, UP),
    "distortion": (K1,),
}
# Points from which on each may be free; with one the picture is shifted, not turned
LEAST_POINTS: dict[Freed, int] = {
    "aim": 1,
    "attitude": 2,
    "focal length": 3,
    "position": 4,
    "distortion": 10,
}
ASKED: dict[Free, tuple[Freed, ...]] = {
    "auto": ("attitude", "focal length", "position", "distortion"),
    "attitude": ("attitude",),
    "focal": ("attitude", "focal length"),
    "position": ("attitude", "focal length", "position"),
    "all": ("attitude", "focal length", "position", "distortion"),
}
# Asked for by name, each may be free as soon as the beliefs and the points together determine it
LEAST_POINTS_ASKED: dict[Freed, int] = {
    "attitude": 2,
    "focal length": 2,
    "position": 3,
    "distortion": 4,
}
# Clocks are off by seconds, 7 km each, along the track; an orbit is known to a few kilometres
SIGMA_ALONG_M = 100e3
SIGMA_ACROSS_M = 10e3
SIGMA_UP_M = 5e3
# Where nobody knows in which direction it flew
SIGMA_LEVEL_M = 60e3
SIGMA_LOG_FOCAL = 0.1
SIGMA_K1 = 0.03
UNSEEN = 1e6  # sigmas that a place behind the camera is off by

# How much the attitude of the start weighs beside the points: it decides where they leave it open,
# such as the roll about a single one
SHARE_OF_START = 1e-9

ROUNDS = 30
HALVINGS = 8
SETTLED = 1e-6  # of the scale of every unknown
# Scale of a turn that nothing is believed of, radians
TURN_SCALE = 0.01
DAMPING = 1e-6  # of turns that points on one spot leave open

# With four points, leaving one out leaves a camera that fits any three
LEAST_TOLD = 5
# What leaving a point out must take off chi square: chance does so once in a thousand
SUSPECT_CHI_SQUARE = 13.8
# ... and how much more than leaving out any other: the odds are twenty to one
LEAD_CHI_SQUARE = 6.0
ATTITUDE_UNKNOWNS = 3
LEAST_LEFT_OUT = 3
# Where more than a third is wrong, nothing tells right from wrong
MOST_SUSPECTS = 20
LEAST_FREE = 1e-6

# What another start must take off chi square to be kept instead of the first: chance does so once
# in a thousand for two unknowns, and for the three of a position of which nothing is believed
OTHER_CHI_SQUARE = 13.8
ANYWHERE_CHI_SQUARE = 16.3
HIDDEN_CHI_SQUARE = 100.0  # of a place behind the Earth: a click beside the limb may be there
# Where no position is known: rings around the places, out to where the station has its horizon
RINGS_KM = (0, 100, 200, 320, 460, 620, 800, 1000, 1250, 1500, 1750, 2000, 2250)
AZIMUTHS = 24
ANYWHERE_M = 1e6
SIGMA_ANY_UP_M = 40e3  # the station has flown between 330 and 435 km
SIGMA_ANY_LOG_FOCAL = 0.7
MOST_GAUGED = 16  # points that a place on the rings is judged by
MOST_BEGUN = 8  # of them, those that a fit begins from
APART_M = 120e3
LENS_ROUNDS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class PointPairs:
    """Pixels and the places that they show.

    Attributes
    ----------
    pixels : ndarray of float64, shape (n, 2)
        Of the image as stored.
    ground_ecef_m : ndarray of float64, shape (n, 3)
        Places.
    sigma_px : ndarray of float64, shape (n,)
        Precision of each pair along each axis of the image.
    """

    pixels: FloatArray
    ground_ecef_m: FloatArray
    sigma_px: FloatArray

    def __len__(self) -> int:
        return len(self.pixels)

    def chosen(self, kept: BoolArray) -> PointPairs:
        """Those that are marked, shape (n,)."""
        return PointPairs(**{name: column[kept] for name, column in vars(self).items()})


def point_pairs(pixels: ArrayLike, lonlat: ArrayLike, sigma_px: ArrayLike) -> PointPairs:
    """Pairs of pixels, shape (n, 2), and geodetic places in degrees, shape (n, 2)."""
    places = np.asarray(lonlat, float)
    return PointPairs(
        pixels=np.asarray(pixels, float),
        ground_ecef_m=geodetic_to_ecef(places[:, 0], places[:, 1]),
        sigma_px=np.asarray(sigma_px, float),
    )


def free_parameters(points: int, free: Free) -> tuple[Freed, ...]:
    """What so many points, at least one, can bear of what is asked for.

    "auto" frees what the points alone determine well; a name frees it as soon as points and beliefs
    together do.
    """
    least = LEAST_POINTS if free == "auto" else LEAST_POINTS_ASKED
    freed = tuple(name for name in ASKED[free] if points >= least[name])
    return freed or ("aim",)


def rough_prior(start: Camera, flight_ecef: FloatArray | None = None) -> PosePrior:
    """What is believed of the camera of points where a person started from a rough one.

    Parameters
    ----------
    start : Camera
        Gives position, focal length and distortion.
    flight_ecef : ndarray of float64, shape (3,), optional
        Direction of flight over the ground, of any length; without it the position is as
        uncertain in all level directions.
    """
    along_m, across_m = SIGMA_ALONG_M, SIGMA_ACROSS_M
    if flight_ecef is None:
        along_m = across_m = SIGMA_LEVEL_M
        lon, lat, _ = ecef_to_geodetic(start.position_ecef_m)
        flight_ecef = local_axes(float(lon), float(lat))[0]
    x, y, z = flight_ecef.tolist()
    return PosePrior(
        position_ecef_m=start.position_ecef_m,
        velocity_ecef=(x, y, z),
        focal_px=start.focal_px,
        sigma_along_m=along_m,
        sigma_across_m=across_m,
        sigma_up_m=SIGMA_UP_M,
        sigma_log_focal=SIGMA_LOG_FOCAL,
        sigma_k1=SIGMA_K1,
        principal_point=start.principal_point,
        k1=start.distortion[0],
    )


@dataclass(frozen=True, kw_only=True)
class Unknowns:
    """What is free, what is believed of it, and the points that tell it.

    Attributes
    ----------
    pairs : PointPairs
        The points.
    belief : PosePrior
        Of position, focal length and distortion; of the attitude nothing is believed.
    freed : tuple of str
        What is free, see `free_parameters`.
    """

    pairs: PointPairs
    belief: PosePrior
    freed: tuple[Freed, ...]

    @property
    def columns(self) -> IndexArray:
        """Of a pose step, those that are free."""
        return np.array([column for name in self.freed for column in COLUMNS[name]])

    @property
    def believed(self) -> BoolArray:
        """Of the columns, those with a belief."""
        return np.isfinite(self.belief.sigmas[self.columns])

    @property
    def scale(self) -> FloatArray:
        """Unit of each column."""
        return np.where(self.believed, self.belief.sigmas[self.columns], TURN_SCALE)

    def departure(self, camera: Camera) -> FloatArray:
        """How far a camera is from the beliefs, in sigmas, for each column."""
        away = self.belief.departure(camera)[self.columns] / self.scale
        return np.where(self.believed, away, 0.0)

    def design(self, camera: Camera) -> FloatArray:
        """Change of the whitened pixels with each column, shape (n, 2, k)."""
        flow = pixel_derivatives(camera, self.belief.velocity_ecef, self.pairs.ground_ecef_m)
        scaled = flow[..., self.columns] * self.scale / self.pairs.sigma_px[:, None, None]
        return np.asarray(scaled, float)

    def normal(self, design: FloatArray) -> FloatArray:
        """Normal matrix, shape (k, k), the beliefs included."""
        seen = np.einsum("nik,nil->kl", design, design)
        return np.asarray(seen + np.diag(np.where(self.believed, 1.0, DAMPING)), float)

    def chi_square(self, camera: Camera) -> float:
        """Sum of the squares of all residuals and departures, each in its sigmas."""
        misses = whitened(camera, self.pairs)
        return float((misses**2).sum() + (self.departure(camera) ** 2).sum())

    def stepped(self, camera: Camera, move: FloatArray) -> Camera:
        """The camera after a move in units of the scale."""
        step = np.zeros(PARAMETERS)
        step[self.columns] = move * self.scale
        return stepped(camera, self.belief.velocity_ecef, step)


@dataclass(frozen=True, kw_only=True, eq=False)
class Resection:
    """A camera from points.

    Residuals are point minus camera, shape (n, 2), NaN where the place is behind the camera; chi
    square is that of all residuals and of the departure from the beliefs.
    """

    camera: Camera
    freed: tuple[Freed, ...]
    residual_px: FloatArray
    chi_square: float


def resected(start: Camera, unknowns: Unknowns) -> Resection:
    """Fit a camera to points, from wherever it started.

    The attitude is begun in closed form, so that the start may look anywhere: it gives what is not
    freed. Gauss-Newton with beliefs follows. Every point counts: `disagreeing_points` tells which
    should not.
    """
    pairs = unknowns.pairs
    camera = best_start(start, pairs)
    for _ in range(ROUNDS):
        misses = whitened(camera, pairs)
        design = unknowns.design(camera)
        right = np.einsum("nik,ni->k", design, misses)
        normal = unknowns.normal(design)
        move = np.linalg.solve(normal, right - unknowns.departure(camera))
        new = _downhill(camera, move, unknowns)
        if new is None:
            break
        camera = new
        if float(np.abs(move).max()) < SETTLED:
            break
    return Resection(
        camera=camera,
        freed=unknowns.freed,
        residual_px=residuals_px(camera, pairs),
        chi_square=unknowns.chi_square(camera),
    )


def best_start(start: Camera, pairs: PointPairs) -> Camera:
    """The start, or the start turned to the points, whichever is nearer to most of them."""
    turned = turned_to(start, pairs)

    def typical(camera: Camera) -> float:
        return float(np.median((whitened(camera, pairs) ** 2).sum(axis=1)))

    return min(turned, start, key=typical)


def turned_to(start: Camera, pairs: PointPairs) -> Camera:
    """The start turned so that its rays point at the places, in closed form.

    Any attitude will do; a single pair turns it by as little as can be.

    References
    ----------
    Kabsch, W. (1976). A solution for the best rotation to relate two sets of vectors. Acta
    Crystallographica A32, 922-923.
    """
    rays = start.rays(*pairs.pixels.T)
    away = pairs.ground_ecef_m - np.asarray(start.position_ecef_m)
    return with_attitude(start, _turn(rays, away, 1.0 / pairs.sigma_px**2, start.matrix))


def _turn(of: FloatArray, to: FloatArray, weight: FloatArray, about: FloatArray) -> FloatArray:
    """The rotation, shape (3, 3), of directions to others, shape (n, 3), of any length; what they
    leave open is as in ``about``.
    """
    of = of / np.linalg.norm(of, axis=1, keepdims=True)
    to = to / np.linalg.norm(to, axis=1, keepdims=True)
    related = np.einsum("n,ni,nj->ij", weight / weight.sum(), to, of)
    left, _, right = np.linalg.svd(related + SHARE_OF_START * about)
    proper = np.diag([1.0, 1.0, np.linalg.det(left @ right)])
    return np.asarray(left @ proper @ right)


def carried_to(start: Camera, pairs: PointPairs) -> Camera:
    """The start carried over the Earth until its pixels see their places, at the same height.

    Where nobody knows the position, the picture keeps its scale and its slant so. Pixels that see
    the sky do not count; if all do, the start is as it was.
    """
    seen = start.pixel_to_ecef(*pairs.pixels.T)
    ground = np.isfinite(seen).all(axis=1)
    if not ground.any():
        return start
    weight = 1.0 / pairs.sigma_px[ground] ** 2
    way = _turn(seen[ground], pairs.ground_ecef_m[ground], weight, np.eye(3))
    lon, lat, _ = ecef_to_geodetic(way @ start.position_ecef_m)
    height_m = float(ecef_to_geodetic(start.position_ecef_m)[2])
    x, y, z = geodetic_to_ecef(lon, lat, height_m).tolist()
    carried = with_attitude(start, way @ start.matrix)
    return replace(carried, position_ecef_m=(x, y, z))


def _downhill(camera: Camera, move: FloatArray, unknowns: Unknowns) -> Camera | None:
    """The camera after the move, or after so much of it that chi square falls; else None."""
    before = unknowns.chi_square(camera)
    for halving in range(HALVINGS):
        new = unknowns.stepped(camera, move * 0.5**halving)
        if unknowns.chi_square(new) <= before:
            return new
    return None


def residuals_px(camera: Camera, pairs: PointPairs) -> FloatArray:
    """Points minus camera, shape (n, 2), pixels; NaN where a place is behind the camera."""
    return pairs.pixels - np.stack(camera.ecef_to_pixel(pairs.ground_ecef_m), axis=-1)


def whitened(camera: Camera, pairs: PointPairs) -> FloatArray:
    """Residuals in their own sigmas, shape (n, 2); places behind the camera are far off."""
    residual = residuals_px(camera, pairs) / pairs.sigma_px[:, None]
    return np.where(np.isfinite(residual), residual, UNSEEN)


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """Where a fit may begin, what is believed of the camera there, and whether of its position.

    ``placed`` is False where it is one place out of many, of which nothing is known.
    """

    camera: Camera
    belief: PosePrior
    placed: bool = True


def best_of(first: Start, others: Iterable[Sequence[Start]], pairs: PointPairs) -> Start:
    """The start whose beliefs the points agree with best.

    Each is fitted with attitude, focal length and position free. The first is kept unless another
    is better by more than chance, measured by how well the points agree with that one; of the
    ``others``, a list after the other, later ones are not made where earlier ones serve.
    """
    kept, kept_cost = first, _cost(first, pairs)
    spare = max(1, 2 * len(pairs) - ATTITUDE_UNKNOWNS)
    lists = iter(others)
    while kept_cost > OTHER_CHI_SQUARE and (starts := next(lists, None)) is not None:
        costs = [_cost(start, pairs) for start in starts]
        if not costs:
            continue
        best = int(np.argmin(costs))
        lead = OTHER_CHI_SQUARE if starts[best].placed else ANYWHERE_CHI_SQUARE
        if costs[best] + lead * max(1.0, costs[best] / spare) < kept_cost:
            kept, kept_cost = starts[best], costs[best]
    return kept


def _cost(start: Start, pairs: PointPairs) -> float:
    unknowns = Unknowns(pairs=pairs, belief=start.belief, freed=ASKED["position"])
    try:
        found = resected(start.camera, unknowns)
    except (np.linalg.LinAlgError, ValueError):
        return np.inf
    hidden = ~(incidence_deg(found.camera.position_ecef_m, pairs.ground_ecef_m) < 90.0)
    cost = found.chi_square + HIDDEN_CHI_SQUARE * int(hidden.sum())
    return cost if np.isfinite(cost) else np.inf


def starts_along(
    like: Camera, pairs: PointPairs, track_ecef_m: FloatArray, flight_ecef: FloatArray
) -> list[Start]:
    """Starts at the places of a track, shape (n, 3), that see the points best.

    Height is the track's, the lens that of ``like``; ``flight_ecef``, shape (n, 3), is the
    direction of flight at each.
    """
    starts = []
    for number, camera in _gauged(like, pairs, track_ecef_m, SIGMA_LOG_FOCAL):
        belief = rough_prior(replace(camera, focal_px=like.focal_px), flight_ecef[number])
        starts.append(Start(camera=camera, belief=belief))
    return starts


def starts_around(like: Camera, pairs: PointPairs, *, lens_known: bool) -> list[Start]:
    """Starts at the places that see the points best, of all within the horizon around them.

    Height is that of ``like``, and so is the lens, which may be of any focal length where it is
    not known.
    """
    height_m = float(ecef_to_geodetic(like.position_ecef_m)[2])
    positions = _rings(pairs.ground_ecef_m, height_m)
    sigma_log_focal = SIGMA_LOG_FOCAL if lens_known else SIGMA_ANY_LOG_FOCAL
    starts = []
    for _, camera in _gauged(like, pairs, positions, sigma_log_focal):
        belief = replace(
            rough_prior(replace(camera, focal_px=like.focal_px)),
            sigma_along_m=ANYWHERE_M,
            sigma_across_m=ANYWHERE_M,
            sigma_up_m=SIGMA_ANY_UP_M,
            sigma_log_focal=sigma_log_focal,
        )
        starts.append(Start(camera=camera, belief=belief, placed=False))
    return starts


def _rings(ground_ecef_m: FloatArray, height_m: float) -> FloatArray:
    """Positions at a height around places, shape (n, 3)."""
    lon, lat = surface_to_lonlat(ground_ecef_m.mean(axis=0))
    east, north, up = local_axes(float(lon), float(lat))
    radius_m = float(np.linalg.norm(ground_ecef_m[0]))
    arcs = 1e3 * np.array(RINGS_KM)[:, None] / radius_m
    turns = np.linspace(0.0, 2.0 * np.pi, AZIMUTHS, endpoint=False)[None, :]
    level = np.cos(turns)[..., None] * north + np.sin(turns)[..., None] * east
    away = np.cos(arcs)[..., None] * up + np.sin(arcs)[..., None] * level
    return geodetic_to_ecef(*surface_to_lonlat(radius_m * away.reshape(-1, 3)), height_m)


def _gauged(
    like: Camera, pairs: PointPairs, positions_ecef_m: FloatArray, sigma_log_focal: float
) -> list[tuple[int, Camera]]:
    """Of positions, shape (m, 3), the number and the camera of those that see the points best.

    Each has the focal length with which the pixels are as far apart as the places, and is turned
    to them; those that are kept lie apart.
    """
    some = pairs
    if len(pairs) > MOST_GAUGED:
        gauged = np.linspace(0, len(pairs) - 1, MOST_GAUGED).round().astype(int)
        some = pairs.chosen(np.isin(np.arange(len(pairs)), gauged))
    seen = incidence_deg(positions_ecef_m[:, None, :], some.ground_ecef_m) < 90.0
    numbers = np.flatnonzero(seen.all(axis=1))
    zoom, chi_square = _fitted_at(like, some, positions_ecef_m[numbers])
    chi_square += (np.log(zoom) / sigma_log_focal) ** 2
    found: list[tuple[int, Camera]] = []
    taken = np.zeros((0, 3))
    for k in np.argsort(chi_square):
        position = positions_ecef_m[numbers[k]]
        if (np.linalg.norm(taken - position, axis=1) < APART_M).any():
            continue
        taken = np.vstack([taken, position])
        x, y, z = position.tolist()
        focal_px = float(like.focal_px * zoom[k])
        there = replace(like, position_ecef_m=(x, y, z), focal_px=focal_px)
        found.append((int(numbers[k]), turned_to(there, pairs)))
        if len(found) == MOST_BEGUN:
            break
    return found


def _fitted_at(
    like: Camera, pairs: PointPairs, positions: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """For each position the zoom of the lens that fits, and about chi square, shape (m,)."""
    away = pairs.ground_ecef_m - positions[:, None, :]
    away /= np.linalg.norm(away, axis=-1, keepdims=True)
    spread = away.var(axis=1).sum(axis=-1)
    flat = np.broadcast_to(like.rays(*pairs.pixels.T), away.shape).copy()
    tangents = flat[..., :2].copy()
    zoom = np.ones(len(positions))

    def zoomed() -> FloatArray:
        flat[..., :2] = tangents / zoom[:, None, None]
        return np.asarray(flat / np.linalg.norm(flat, axis=-1, keepdims=True))

    for _ in range(LENS_ROUNDS):
        zoom *= np.sqrt(zoomed().var(axis=1).sum(axis=-1) / spread)
    rays = zoomed()
    left, _, right = np.linalg.svd(np.einsum("mni,mnj->mij", away, rays))
    proper = np.ones((len(positions), 3))
    proper[:, 2] = np.linalg.det(left @ right)
    turns = (left * proper[:, None, :]) @ right
    misses = np.linalg.norm(np.einsum("mij,mni->mnj", turns, away) - rays, axis=-1)
    return zoom, ((like.focal_px * zoom[:, None] * misses / pairs.sigma_px) ** 2).sum(axis=1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Disagreement:
    """What is odd about some points."""

    # (n,): how far each is from the camera of the others; NaN with fewer than three points
    left_out_px: FloatArray
    suspect: BoolArray  # (n,): those that disagree with the others beyond chance
    undecided: bool  # whether points disagree of which it cannot be told which is wrong


def disagreeing_points(start: Camera, unknowns: Unknowns) -> Disagreement:
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
    count = len(unknowns.pairs)
    left_out, kept, undecided = np.full(count, np.nan), np.ones(count, bool), False
    if count < LEAST_LEFT_OUT:
        return Disagreement(left_out_px=left_out, suspect=~kept, undecided=undecided)
    left_out, gain, excess = _without_each(start, unknowns)
    if count < LEAST_TOLD:
        undecided = count == LEAST_TOLD - 1 and bool(excess.max() >= SUSPECT_CHI_SQUARE)
        return Disagreement(left_out_px=left_out, suspect=~kept, undecided=undecided)
    most = min(count // 3, MOST_SUSPECTS)
    while kept.sum() >= max(LEAST_TOLD, count - most + 1):
        worst, second = np.argsort(-gain)[:2]
        if excess[worst] < SUSPECT_CHI_SQUARE:
            break
        fewer = kept.copy()
        fewer[np.flatnonzero(kept)[worst]] = False
        clear = bool(gain[worst] - gain[second] >= LEAD_CHI_SQUARE)
        rest = replace(unknowns, pairs=unknowns.pairs.chosen(fewer))
        _, gain, excess = _without_each(start, rest)
        # Two that are both wrong look alike, too: then the second stands out after the first
        undecided = not clear and bool(excess.max() < SUSPECT_CHI_SQUARE)
        if undecided:
            break
        kept = fewer
    return Disagreement(left_out_px=left_out, suspect=~kept, undecided=undecided)


def _without_each(start: Camera, unknowns: Unknowns) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of every point: its residual to the fit of the others, what chi square falls by without it,
    and that measured by how well the others agree.
    """
    pairs = unknowns.pairs
    whole = resected(start, unknowns)
    misses = whitened(whole.camera, pairs)
    design = unknowns.design(whole.camera)
    inverse = np.linalg.inv(unknowns.normal(design))
    leverage = np.einsum("nik,kl,njl->nij", design, inverse, design)
    # A point that nothing else checks has its residual, 0, over a share of 0 that is its own
    free = np.eye(2) - leverage + LEAST_FREE * np.eye(2)
    predicted = np.linalg.solve(free, misses[..., None])[..., 0]
    gain = np.einsum("ni,ni->n", misses, predicted)
    # Beliefs count as observations of what they are about: only the attitude has none
    spare = max(1, 2 * (len(pairs) - 1) - ATTITUDE_UNKNOWNS)
    agreement = np.maximum(1.0, (whole.chi_square - gain) / spare)
    left_out_px = np.linalg.norm(predicted, axis=1) * pairs.sigma_px
    return left_out_px, gain, gain / agreement
