"""The camera from points that a person has matched, by least squares with beliefs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import BoolArray, FloatArray, IndexArray
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef, local_axes
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

# With three points, a wrong one cannot be told from the other two
LEAST_TOLD = 4
# What leaving a point out must take off chi square: chance does so once in a thousand
SUSPECT_CHI_SQUARE = 13.8
# ... and how much more than leaving out any other: the odds are twenty to one
LEAD_CHI_SQUARE = 6.0
ATTITUDE_UNKNOWNS = 3
LEAST_LEFT_OUT = 3
# Where more than a third is wrong, nothing tells right from wrong
MOST_SUSPECTS = 20
LEAST_FREE = 1e-6


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
    rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    away = pairs.ground_ecef_m - np.asarray(start.position_ecef_m)
    away = away / np.linalg.norm(away, axis=1, keepdims=True)
    share = 1.0 / pairs.sigma_px**2
    related = np.einsum("n,ni,nj->ij", share / share.sum(), away, rays)
    left, _, right = np.linalg.svd(related + SHARE_OF_START * start.matrix)
    proper = np.diag([1.0, 1.0, np.linalg.det(left @ right)])
    return with_attitude(start, left @ proper @ right)


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
