"""When the station passes places: moments of closest approach, and how they look from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.constants import DAY_S, EARTH_GM_M3_S2, EARTH_RADIUS_KM, ORBITAL_SPEED_KM_S
from detectors.types import FloatArray
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef
from matchers.footprint import WGS84
from regengine.errors import EphemerisError
from regengine.orbit.propagation import drag_shift_km
from regengine.orbit.rotation import (
    EARTH_RATE_RAD_S,
    J2000_JULIAN_DATE,
    days_since_j2000,
    sidereal_angle_rad,
    teme_to_ecef,
    utc_of,
)
from regengine.orbit.tle import ElementSet, TleSet
from regengine.orbit.uncertainty import orbit_sigma

# Days since 2000-01-01 12:00 UTC, shape (n,), to positions and velocities over the turning Earth,
# metres and metres a second, shape (n, 3) each
Orbit = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

STEP_S = 60.0
# How far the nearest of moments a step apart may be from the closest approach, over the ground:
# half a step at 7.4 km/s, as an angle about the Earth's centre
SLACK_RAD = 0.5 * STEP_S * 7.4 / EARTH_RADIUS_KM
BLOCK = 4_000_000  # cosines of angles at a time: 32 MB
ROUNDS = 5  # each leaves a fifth of a second's share of what the one before left

KNOT_DAYS = 0.25  # between ages at which the uncertainty is looked up


@dataclass(frozen=True, kw_only=True, eq=False)
class Passes:
    """Closest approaches; arrays of shape (n,), ordered by place, then time.

    place: Number of the place.
    days: The moment of least distance, days since 2000-01-01 12:00 UTC.
    off_nadir_deg: Angle at the camera between the geodetic nadir and the place.
    elevation_deg: Of the camera above the place's horizon.
    slant_km: From the camera to the place.
    ground_km: Geodesic from the nadir to the place.
    azimuth_deg: Direction from the nadir to the place, east of north, [0, 360).
    heading_deg: Direction of flight over the ground, east of north, [0, 360).
    nadir_lon, nadir_lat, altitude_km: Where the camera is.
    """

    place: NDArray[np.int64]
    days: FloatArray
    off_nadir_deg: FloatArray
    elevation_deg: FloatArray
    slant_km: FloatArray
    ground_km: FloatArray
    azimuth_deg: FloatArray
    heading_deg: FloatArray
    nadir_lon: FloatArray
    nadir_lat: FloatArray
    altitude_km: FloatArray

    def __len__(self) -> int:
        return len(self.place)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Passes:
        """Some of the passes."""
        return Passes(**{name: values[rows] for name, values in vars(self).items()})


def find_passes(
    orbit: Orbit,
    first_day: float,
    last_day: float,
    lon: FloatArray,
    lat: FloatArray,
    *,
    max_off_nadir_deg: float,
) -> Passes:
    """Closest approaches to places in a span of time."""
    step = STEP_S / DAY_S
    grid = np.arange(first_day - step, last_day + 2.0 * step, step)
    track, _ = orbit(grid)
    ground = geodetic_to_ecef(lon, lat)
    place, column = _nearest_steps(track, ground, _reach_rad(track, max_off_nadir_deg))
    days = _closest(orbit, grid[column], ground[place])
    within = (days >= first_day) & (days < last_day)
    place, days = place[within], days[within]
    passes = _seen(orbit, place, days, lon, lat)
    return passes.take((passes.off_nadir_deg <= max_off_nadir_deg) & (passes.elevation_deg > 0.0))


def _reach_rad(track: FloatArray, max_off_nadir_deg: float) -> float:
    """Greatest angle about the Earth's centre between a nadir and a place that counts."""
    ratio = float(np.linalg.norm(track, axis=-1).max()) / 6.35e6  # the poles' radius, rounded down
    sine = ratio * np.sin(np.radians(min(max_off_nadir_deg, 90.0)))
    edge = np.arccos(1.0 / ratio)
    if sine >= 1.0:
        return float(edge)
    # Geodetic and geocentric nadir are up to 0.2 degrees apart
    return min(float(np.arcsin(sine)) - np.radians(max_off_nadir_deg) + 0.01, float(edge))


def _nearest_steps(
    track: FloatArray, ground: FloatArray, reach_rad: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places and steps at which the track is nearer to the place than a step before and after."""
    directions = track / np.linalg.norm(track, axis=-1, keepdims=True)
    places = ground / np.linalg.norm(ground, axis=-1, keepdims=True)
    least = np.cos(min(reach_rad + SLACK_RAD, np.pi))
    found: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    rows = max(1, BLOCK // len(track))
    for start in range(0, len(places), rows):
        cosine = places[start : start + rows] @ directions.T
        near = np.flatnonzero(cosine > least)
        place, column = np.unravel_index(near, cosine.shape)
        inner = (column > 0) & (column < len(track) - 1)
        place, column = place[inner], column[inner]
        here = cosine[place, column]
        top = (here > cosine[place, column - 1]) & (here >= cosine[place, column + 1])
        found.append((place[top] + start, column[top]))
    if not found:
        none = np.empty(0, np.int64)
        return none, none
    return np.concatenate([a for a, _ in found]), np.concatenate([b for _, b in found])


def _closest(orbit: Orbit, days: FloatArray, ground: FloatArray) -> FloatArray:
    """Moments of least distance, by Newton's method from moments at most a step away."""
    for _ in range(ROUNDS if len(days) else 0):
        position, velocity = orbit(days)
        apart = position - ground
        pull = -EARTH_GM_M3_S2 * position / np.linalg.norm(position, axis=-1, keepdims=True) ** 3
        slope = np.sum(velocity**2, axis=-1) + np.sum(apart * pull, axis=-1)
        seconds = np.sum(apart * velocity, axis=-1) / slope
        days = days - np.clip(seconds, -STEP_S, STEP_S) / DAY_S
    return days


def _seen(
    orbit: Orbit, place: NDArray[np.int64], days: FloatArray, lon: FloatArray, lat: FloatArray
) -> Passes:
    position, velocity = orbit(days) if len(days) else (np.empty((0, 3)), np.empty((0, 3)))
    ground = geodetic_to_ecef(lon[place], lat[place])
    nadir_lon, nadir_lat, height_m = ecef_to_geodetic(position)
    towards = ground - position
    slant_m = np.linalg.norm(towards, axis=-1)
    azimuth, _, ground_m = WGS84.inv(nadir_lon, nadir_lat, lon[place], lat[place])
    east, north, up = _axes(nadir_lon, nadir_lat)
    place_up = _axes(lon[place], lat[place])[2]
    order = np.lexsort((days, place))
    seen = Passes(
        place=place,
        days=days,
        off_nadir_deg=_angle_deg(np.sum(towards * -up, axis=-1) / slant_m, np.arccos),
        elevation_deg=_angle_deg(np.sum(-towards * place_up, axis=-1) / slant_m, np.arcsin),
        slant_km=slant_m / 1e3,
        ground_km=np.asarray(ground_m, float) / 1e3,
        azimuth_deg=np.asarray(azimuth, float) % 360.0,
        heading_deg=np.degrees(
            np.arctan2(np.sum(velocity * east, axis=-1), np.sum(velocity * north, axis=-1))
        )
        % 360.0,
        nadir_lon=nadir_lon,
        nadir_lat=nadir_lat,
        altitude_km=height_m / 1e3,
    )
    return seen.take(order)


def _axes(lon_deg: FloatArray, lat_deg: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """East, north and up unit vectors of places, shape (n, 3) each."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    none = np.zeros_like(lon)
    east = np.stack([-np.sin(lon), np.cos(lon), none], axis=-1)
    up = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    return east, np.cross(up, east), up


def _angle_deg(value: FloatArray, of: Callable[[FloatArray], FloatArray]) -> FloatArray:
    return np.asarray(np.degrees(of(np.clip(value, -1.0, 1.0))))


@dataclass(frozen=True, kw_only=True, eq=False)
class StationOrbit:
    """An orbit computed from an element set; call it with days since 2000-01-01 12:00 UTC."""

    element_set: ElementSet

    def __call__(self, days: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions (m) and velocities over the turning Earth (m/s), ECEF, shape (n, 3) each."""
        record = self.element_set.satrec()
        error, position, velocity = record.sgp4_array(np.full(len(days), J2000_JULIAN_DATE), days)
        if error.any():
            raise EphemerisError(
                f"{self.element_set.path}: SGP4 cannot propagate the element set of "
                f"{self.element_set.epoch_utc:%Y-%m-%d} to "
                f"{utc_of(days[np.flatnonzero(error)[0]]):%Y-%m-%d}; use a newer one"
            )
        angle = sidereal_angle_rad(days)
        place = teme_to_ecef(position, angle) * 1e3
        turning = np.stack(
            [-EARTH_RATE_RAD_S * place[:, 1], EARTH_RATE_RAD_S * place[:, 0], 0.0 * angle], axis=-1
        )
        return place, teme_to_ecef(velocity, angle) * 1e3 - turning

    def age_h(self, days: FloatArray) -> FloatArray:
        """Hours from the element set's epoch to times."""
        return np.asarray(24.0 * (days - days_since_j2000(self.element_set.epoch_utc)))

    def sigma(self, days: FloatArray) -> tuple[FloatArray, FloatArray]:
        """One sigma of the orbit at times: along the track, seconds; across it, km."""
        if len(days) == 0:
            return np.empty(0), np.empty(0)
        count = int((days.max() - days.min()) / KNOT_DAYS) + 2
        knots = days.min() + KNOT_DAYS * np.arange(count)
        sigmas = [orbit_sigma(float(age)) for age in self.age_h(knots)]
        along = [
            np.hypot(sigma.along_km, drag_shift_km(self.element_set, utc_of(day)))
            for sigma, day in zip(sigmas, knots.tolist(), strict=True)
        ]
        cross = [sigma.cross_km for sigma in sigmas]
        return np.interp(days, knots, along) / ORBITAL_SPEED_KM_S, np.interp(days, knots, cross)


def station_orbit(tles: TleSet, first_day: float) -> StationOrbit:
    """The orbit for the days from one on, by the best element set for its beginning."""
    return StationOrbit(element_set=tles.best_for(utc_of(first_day)))
