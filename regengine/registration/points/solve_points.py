"""Solve the camera of manual points, find points that disagree, and snap points to lights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from detectors.constants import HEIGHT_RANGE_KM
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, incidence_deg
from regengine.errors import ConfigError
from regengine.registration.points.resection import (
    MIN_POINTS,
    MIN_POINTS_ASKED,
    SIGMA_ANY_LOG_FOCAL,
    ClickParams,
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
)
from regengine.store.result import ReviewedPoint


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


def check_above_earth(camera: Camera) -> None:
    """Refuse a camera that is in the Earth or far away."""
    height_km = float(ecef_to_geodetic(camera.position_ecef_m)[2]) / 1e3
    if not HEIGHT_RANGE_KM[0] <= height_km <= HEIGHT_RANGE_KM[1]:
        raise ConfigError("the camera is not above the Earth: align the photo with the map first.")
