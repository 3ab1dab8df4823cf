"""When a photo was taken that was placed by its lights: the passes at which the station was there.

See docs/methods/blind-dates.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import numpy as np

from detectors.types import FloatArray
from matchers.earth import ecef_to_geodetic
from matchers.pose import (
    ACROSS,
    ALONG,
    FOCAL,
    K1,
    PARAMETERS,
    PRINCIPAL_X,
    PRINCIPAL_Y,
    UP,
    pixel_derivatives,
    track_axes,
)
from regengine.orbit.rotation import EARTH_RATE_RAD_S, utc_of
from regengine.orbit.sun_moon import sun_height_deg
from regengine.orbit.uncertainty import EDGES_KM, orbit_sigma, slide_belief
from regengine.registration.dates.station_history import (
    REACH_DAYS,
    NearPasses,
    StationHistory,
    covered_days,
    near_passes,
)
from regengine.result import FrameResult

# Where element sets of any age may have lost the station along its orbit, as a few weights.

AGES_DAYS = np.geomspace(0.1, REACH_DAYS, 60)
# Shares of the belief that are told as one place and its spread each, finer in the tails
CUTS = np.array(
    [
        *(0, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.5),
        *(0.6, 0.75, 0.85, 0.9, 0.925, 0.95, 0.965, 0.98, 0.99, 0.995, 1.0),
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Slides:
    """Along, across and above the orbit; rows are passes, columns parts of the belief.

    share, shape (k,): Probability of each part.
    ahead_km, spread_km, shape (n, k): How far ahead of where the set has it the station was, and
        one sigma of that.
    cross_km, radial_km, shape (n,): One sigma of what remains across the orbit and above it.
    """

    share: FloatArray
    ahead_km: FloatArray
    spread_km: FloatArray
    cross_km: FloatArray
    radial_km: FloatArray


def slides(age_h: FloatArray) -> Slides:
    """What is believed of orbits by the ages of their sets, hours, positive for older sets."""
    centre, spread, cross, radial = _tables()
    side = (age_h <= 0.0).astype(int)
    near = np.log(np.maximum(np.abs(age_h) / 24.0, AGES_DAYS[0]))
    step = np.log(AGES_DAYS[1] / AGES_DAYS[0])
    row = np.rint((near - np.log(AGES_DAYS[0])) / step).astype(int)
    row = np.clip(row, 0, len(AGES_DAYS) - 1)
    return Slides(
        share=np.diff(CUTS),
        ahead_km=centre[side, row],
        spread_km=spread[side, row],
        cross_km=cross[side, row],
        radial_km=radial[side, row],
    )


@lru_cache(maxsize=1)
def _tables() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """By side (older sets, younger sets) and age: places, spreads, sigmas across and in height."""
    count = (2, len(AGES_DAYS))
    centre, spread = (np.empty((*count, len(CUTS) - 1)) for _ in range(2))
    cross, radial = np.empty(count), np.empty(count)
    for side, sign in enumerate((1.0, -1.0)):
        for row, age in enumerate(AGES_DAYS.tolist()):
            sigma = orbit_sigma(sign * 24.0 * age)
            below = slide_belief(sigma.along_km, before=sign > 0.0).cumulative
            inner = np.flatnonzero(np.diff(below) > 0.0)
            kept = np.concatenate([inner, [inner[-1] + 1]])
            edges = np.interp(CUTS * below[-1], below[kept], EDGES_KM[kept])
            centre[side, row] = 0.5 * (edges[1:] + edges[:-1])
            spread[side, row] = np.diff(edges) / np.sqrt(12.0)
            cross[side, row], radial[side, row] = sigma.cross_km, sigma.radial_km
    return centre, spread, cross, radial


SPEED_KM_S = 7.66  # along the orbit
# Towns are lit and seen; the same limit as of civil twilight
NIGHT_SUN_DEG = -6.0
# A fit's own covariance tells half of the story: lens and map err together. Of 13 pictures
# placed blind nine lay within three of its sigmas of the camera found by hand, flat obliques up to
# 27 away. So the camera lies by these shares within so many times its sigma
CAMERA_SPREADS = ((0.6, 1.0), (0.3, 5.0), (0.1, 15.0))
# Passes farther beside the camera than so many sigmas are no candidates
CROSS_SIGMAS = 4.0
# An orbit that is late by a second has the ground 0.47 km farther west at the equator, seen across
# a track that leaves it at 50 degrees; of a kilometre along the track this share at most
SHARE_ACROSS = 0.065
# Of the probability of all passes so much is listed, and so many passes at most
LISTED_SHARE, LISTED_MOST = 0.999, 1000
# Where no set tells it, the station was as high as the nearest set in time has it, within this:
# reboosts lift it by some km, and drag takes 2 km a month
UNTOLD_ALTITUDE_SIGMA_KM = 12.0
UNTOLD_SAMPLES = 2000
ORBITS_A_DAY = 15.5
LEAST_SINE = 0.15  # where tracks turn back, they are as dense as 150 km from there


@dataclass(frozen=True, kw_only=True)
class Pass:
    """A moment at which the camera may have been where it was.

    time_utc: Of the closest approach, with the place along the orbit that fits best.
    sigma_s: One sigma of it.
    probability: That it was this pass.
    cross_track_km: How far to the right of the orbit the camera was found, as the set has it.
    altitude_km: Of the station above the Earth's radius below the camera.
    sun_elevation_deg: Over the middle of what the photo shows.
    tle_age_h: Of the set, positive where it is older than the pass.
    """

    time_utc: datetime
    sigma_s: float
    probability: float
    cross_track_km: float
    altitude_km: float
    sun_elevation_deg: float
    tle_age_h: float


@dataclass(frozen=True, kw_only=True)
class Dates:
    """When a photo may have been taken.

    first_utc, last_utc: The span that was asked for.
    asked_days, covered_days: Its length, and how much of it element sets vouch for.
    probability: That the photo was taken at one of the passes, those not listed among them, and not
        in the time that no set vouches for.
    found: Passes by night that share `LISTED_SHARE` of that.
    passes: The likeliest first.
    """

    first_utc: datetime
    last_utc: datetime
    asked_days: float
    covered_days: float
    probability: float
    found: int
    passes: tuple[Pass, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundPlace:
    """Where a camera was found: its place with covariance, and the ground that it looked at."""

    camera_ecef_km: FloatArray
    covariance_km2: FloatArray
    ground_lonlat: tuple[float, float]


def dates_of_place(
    history: StationHistory, place: FoundPlace, first_day: float, last_day: float
) -> Dates:
    """All passes at which the station was where a camera was found, by night."""
    camera_ecef_km, covariance_km2 = place.camera_ecef_km, place.covariance_km2
    up = camera_ecef_km / np.linalg.norm(camera_ecef_km)
    level_km = float(np.sqrt(max(np.trace(covariance_km2) - up @ covariance_km2 @ up, 0.0)))

    def limit_km(age_h: FloatArray) -> FloatArray:
        orbit = slides(age_h)
        slid = np.abs(orbit.ahead_km[:, [1, -2]]).max(axis=1) * SHARE_ACROSS
        widest_km = CAMERA_SPREADS[-1][1] * level_km
        return slid + CROSS_SIGMAS * np.hypot(widest_km, orbit.cross_km)

    passes = near_passes(history, camera_ecef_km, first_day, last_day, limit_km)
    sun_deg = sun_height_deg(passes.days, *place.ground_lonlat)
    night = sun_deg < NIGHT_SUN_DEG
    passes, sun_deg = passes.take(night), sun_deg[night]
    weight, late_s, sigma_s = _likelihoods(passes, camera_ecef_km, covariance_km2)
    asked, covered = last_day - first_day, covered_days(history, first_day, last_day)
    untold = _untold_weight(history, place, first_day, last_day)
    total = float(weight.sum()) + untold
    share = weight / total if total > 0.0 else weight
    order = np.argsort(-share, kind="stable")
    order = order[np.cumsum(share[order]) - share[order] < LISTED_SHARE * share.sum()]
    ground_radius_km = float(np.linalg.norm(camera_ecef_km)) - _altitude_km(camera_ecef_km)
    found = tuple(
        Pass(
            time_utc=utc_of(passes.days[k] + late_s[k] / 86400.0),
            sigma_s=float(sigma_s[k]),
            probability=float(share[k]),
            cross_track_km=float(passes.cross_km[k]),
            altitude_km=float(np.linalg.norm(passes.position_km[k])) - ground_radius_km,
            sun_elevation_deg=float(sun_deg[k]),
            tle_age_h=float(passes.age_h[k]),
        )
        for k in order[:LISTED_MOST].tolist()
    )
    return Dates(
        first_utc=utc_of(first_day),
        last_utc=utc_of(last_day),
        asked_days=asked,
        covered_days=covered,
        probability=float(share.sum()),
        found=len(order),
        passes=found,
    )


def _likelihoods(
    passes: NearPasses, camera_ecef_km: FloatArray, covariance_km2: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Density of the camera's place beside and above each orbit; how late it was, with one sigma.

    The place along the orbit is the time that is looked for. A station that was ahead of where the
    set has it came earlier, over ground that had turned less.
    """
    orbit: Slides = slides(passes.age_h)
    place, velocity = passes.position_km, passes.velocity_km_s
    radius = np.linalg.norm(place, axis=1, keepdims=True)
    up = place / radius
    right = np.cross(velocity, up)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    ahead = np.cross(up, right)
    turning = np.cross([0.0, 0.0, EARTH_RATE_RAD_S], place)
    across = np.sum(turning * right, axis=1)[:, None] / SPEED_KM_S
    beside = passes.cross_km[:, None] - across * orbit.ahead_km
    above = np.linalg.norm(camera_ecef_km) - radius
    axes = np.stack([right, up], axis=1)
    camera = np.einsum("nai,ij,nbj->nab", axes, covariance_km2, axes)
    parts = np.zeros_like(beside)
    for camera_share, times in CAMERA_SPREADS:
        cross_var = times**2 * camera[:, 0, 0, None] + orbit.cross_km[:, None] ** 2
        cross_var = cross_var + (across * orbit.spread_km) ** 2
        up_var = times**2 * camera[:, 1, 1, None] + orbit.radial_km[:, None] ** 2
        shared = times**2 * camera[:, 0, 1, None]
        determinant = cross_var * up_var - shared**2
        square = up_var * beside**2 - 2.0 * shared * beside * above + cross_var * above**2
        density = np.exp(-0.5 * square / determinant) / (2.0 * np.pi * np.sqrt(determinant))
        parts += camera_share * orbit.share * density
    weight = parts.sum(axis=1)
    belief = parts / np.maximum(weight, 1e-300)[:, None]
    mean_km = np.sum(belief * orbit.ahead_km, axis=1)
    spread = np.sum(belief * (orbit.ahead_km**2 + orbit.spread_km**2), axis=1) - mean_km**2
    along_var = np.einsum("ni,ij,nj->n", ahead, covariance_km2, ahead)
    sigma_s = np.sqrt(np.maximum(spread, 0.0) + along_var) / SPEED_KM_S
    return weight, -mean_km / SPEED_KM_S, sigma_s


def _untold_weight(
    history: StationHistory, place: FoundPlace, first_day: float, last_day: float
) -> float:
    """What the time that no set vouches for would weigh, with as many passes as at other times.

    Tracks of an orbit of inclination i cross a kilometre at latitude f so many times a day:
    (path of a day) / (2 pi^2 R^2 sqrt(sin^2 i - sin^2 f)).
    """
    camera_ecef_km, covariance_km2 = place.camera_ecef_km, place.covariance_km2
    step = (last_day - first_day) / UNTOLD_SAMPLES
    days = np.asarray(first_day + step * (np.arange(UNTOLD_SAMPLES) + 0.5), np.float64)
    told = np.searchsorted(history.last_day, days)
    inside = told < len(history.first_day)
    inside[inside] &= history.first_day[told[inside]] <= days[inside]
    days = days[~inside & (sun_height_deg(days, *place.ground_lonlat) < NIGHT_SUN_DEG)]
    if len(days) == 0:
        return 0.0
    up = camera_ecef_km / np.linalg.norm(camera_ecef_km)
    after = np.clip(np.searchsorted(history.epoch_days, days), 1, len(history.epoch_days) - 1)
    if len(history.epoch_days) == 1:
        after = np.zeros(len(days), int)
    before = np.maximum(after - 1, 0)
    nearer = np.where(
        history.epoch_days[after] - days < days - history.epoch_days[before], after, before
    )
    above = np.linalg.norm(camera_ecef_km) - history.radius_km[nearer]
    height = np.zeros_like(above)
    for share, times in CAMERA_SPREADS:
        variance = times**2 * float(up @ covariance_km2 @ up) + UNTOLD_ALTITUDE_SIGMA_KM**2
        height += share * np.exp(-0.5 * above**2 / variance) / np.sqrt(2.0 * np.pi * variance)
    sine = np.sin(history.records[0].inclo)
    level = np.sqrt(max(sine**2 - up[2] ** 2, LEAST_SINE**2))
    radius_km = float(np.linalg.norm(camera_ecef_km))
    tracks = ORBITS_A_DAY / (np.pi * radius_km * level)
    return float(step * tracks * height.sum())


def _altitude_km(camera_ecef_km: FloatArray) -> float:
    return float(ecef_to_geodetic(1e3 * camera_ecef_km)[2]) / 1e3


# What a fit starts from: the sigmas of `blind.register`, or of a nadir that was told
BLIND_UP_KM, TOLD_UP_KM = 25.0, 5.0
SIGMA_LOG_FOCAL_TOLD = 0.03
SIGMA_K1 = 0.05
SIGMA_PRINCIPAL_SHARE = 0.01  # of the width: archives crop by a few pixels
# Residuals of neighbouring lights are alike (the lens, the map): so many are independent at most
INDEPENDENT_LIGHTS = 12
LEAST_RESIDUAL_PX = 0.3
GRID = 7


def position_covariance_km2(result: FrameResult) -> FloatArray:
    """Covariance of a solved camera's position.

    A fit knows the place of the camera as far as perspective shows it: tilting the camera and
    moving it look nearly alike. The information of the matched lights, with focal length,
    distortion and principal point free, is added to that with which the fit began.
    """
    assert result.solved is not None
    camera = result.solved.camera
    ground = _ground_ecef_m(result)
    position = np.asarray(camera.position_ecef_m)
    east = np.array([-position[1], position[0], 0.0])
    derivatives = pixel_derivatives(camera, east, ground).reshape(-1, PARAMETERS)
    residual_px = LEAST_RESIDUAL_PX
    count = float(INDEPENDENT_LIGHTS)
    if result.fit is not None:
        residual_px = max(residual_px, result.fit.residual_px)
        count = min(count, max(float(result.fit.matched_lights), 1.0))
    share = min(1.0, count / max(len(ground), 1))
    information = share / residual_px**2 * derivatives.T @ derivatives
    prior = np.full(PARAMETERS, 1e3)  # nothing is known of the attitude
    prior[FOCAL], prior[K1] = SIGMA_LOG_FOCAL_TOLD, SIGMA_K1
    prior[[PRINCIPAL_X, PRINCIPAL_Y]] = SIGMA_PRINCIPAL_SHARE * camera.width_px
    along, across, up = _prior_km(result)
    prior[[ALONG, ACROSS, UP]] = 1e3 * along, 1e3 * across, 1e3 * up
    scaled = information * np.outer(prior, prior) + np.eye(PARAMETERS)
    covariance = np.linalg.inv(scaled) * np.outer(prior, prior)
    axes = track_axes(position, east)
    return np.asarray(axes.T @ covariance[ALONG : UP + 1, ALONG : UP + 1] @ axes / 1e6)


def _prior_km(result: FrameResult) -> tuple[float, float, float]:
    nadir = result.nadir
    if nadir is None:
        return 60.0, 60.0, BLIND_UP_KM
    # The orbit's direction is not known
    level = max(nadir.sigma_along_km, nadir.sigma_cross_km)
    return level, level, BLIND_UP_KM if nadir.source == "lights" else TOLD_UP_KM


def _ground_ecef_m(result: FrameResult) -> FloatArray:
    """Places that the photo shows: of its matched lights, or spread over it."""
    assert result.solved is not None
    camera = result.solved.camera
    x, y = (
        one.ravel()
        for one in np.meshgrid(
            np.linspace(0, camera.width_px - 1, GRID), np.linspace(0, camera.height_px - 1, GRID)
        )
    )
    lights = result.detections
    if lights is not None and np.count_nonzero(lights.matched) >= INDEPENDENT_LIGHTS:
        met = np.asarray(lights.matched, bool)
        x, y = np.asarray(lights.x)[met], np.asarray(lights.y)[met]
    ground = camera.pixel_to_ecef(x, y)
    return ground[np.isfinite(ground).all(axis=1)]
