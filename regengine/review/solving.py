"""The camera of a person's points, with what is odd about each point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import incidence_deg
from matchers.pose import PosePrior
from matchers.resection import Unknowns, resected
from matchers.resection_doubts import doubts
from matchers.resection_points import (
    Free,
    Freed,
    PointPairs,
    bearable,
    belief_of,
    point_pairs,
    residuals_px,
)
from regengine.errors import ConfigError
from regengine.review.plausible import check_above_earth
from regengine.review.reviewed import ReviewedPoint
from regengine.review.solve_warnings import warning_of

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# Precision of a click on a light, and of what is taken for the same light in a map of 0.46 km
CLICK_SIGMA_PX = 1.5
MAP_SIGMA_M = 250.0
LEAST_SIGMA_PX = 0.5
LEAST_SPARE = 4  # observations beyond the unknowns, to tell how precise points are


@dataclass(frozen=True, kw_only=True, eq=False)
class PointFit:
    """How points lie to a camera.

    Attributes
    ----------
    camera : Camera
        The camera.
    freed : tuple of str
        What was free in its fit.
    residual_px : ndarray of float64, shape (n, 2)
        Point minus camera; NaN where the place is behind the camera.
    residual_m : ndarray of float64, shape (n,)
        On the ground; NaN where the pixel sees the sky.
    left_out_px : ndarray of float64, shape (n,)
        To the camera of the others; NaN where these are too few.
    suspect : ndarray of bool, shape (n,)
        Those that disagree with the others beyond chance; the camera is fitted without them.
    undecided : bool
        Whether points disagree of which it cannot be told which is wrong.
    """

    camera: Camera
    freed: tuple[Freed, ...]
    residual_px: FloatArray
    residual_m: FloatArray
    left_out_px: FloatArray
    suspect: BoolArray
    undecided: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Solved:
    """The camera of some points, the same with the attitude alone free, and a warning.

    ``attitude_only`` is None where nothing else is free in ``fit`` either.
    """

    fit: PointFit
    attitude_only: PointFit | None
    warning: str | None


def solve(
    start: Camera,
    points: Sequence[ReviewedPoint],
    free: Free = "auto",
    flight_ecef: FloatArray | None = None,
) -> Solved:
    """Fit a camera to a person's points.

    Parameters
    ----------
    start : Camera
        Placed by hand, or the engine's; its position and focal length are believed within limits.
    points : sequence of ReviewedPoint
        At least one.
    free : str
        What is asked to be free; see `matchers.resection_points.bearable`.
    flight_ecef : ndarray of float64, shape (3,), optional
        Direction of flight.

    Returns
    -------
    Solved

    Raises
    ------
    ConfigError
        If there is no point, the camera is nowhere above the Earth, or no camera fits.
    """
    check_above_earth(start)
    if not points:
        raise ConfigError("a camera needs at least one point: add one in the photo or on the map.")
    pairs = pairs_of(start, points)
    belief = belief_of(start, flight_ecef)
    try:
        with np.errstate(all="ignore"):
            fit = point_fit(start, pairs, belief, bearable(len(points), free))
            attitude_only = None
            if set(fit.freed) - {"aim", "attitude"}:
                attitude_only = point_fit(start, pairs, belief, ("attitude",))
    except (np.linalg.LinAlgError, ValueError) as error:
        raise ConfigError(
            "no camera fits these points: place the photo on the map, or undo the last step."
        ) from error
    hidden = ~(incidence_deg(fit.camera.position_ecef_m, pairs.ground_ecef_m) < 90.0)
    warning = warning_of(int(fit.suspect.sum()), int(hidden.sum()), fit.undecided)
    return Solved(fit=fit, attitude_only=attitude_only, warning=warning)


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


def point_fit(
    start: Camera, pairs: PointPairs, belief: PosePrior, freed: tuple[Freed, ...]
) -> PointFit:
    """Fit a camera to points, tell the suspects, and fit it again without them."""
    unknowns = Unknowns(pairs=pairs, belief=belief, freed=freed)
    doubtful = doubts(start, unknowns)
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
