"""Where the station flew by night, and the older element set that the engine is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sgp4.api import Satrec

from benchmarks.simulate.camera import geodetic_of
from benchmarks.simulate.orbit import elements_at, pass_over, slip_elements, state_ecef, tle_lines
from detectors.types import FloatArray
from regengine.orbit.tle import TleSet

DENSE_YEARS = (*range(1998, 2005), 2016, 2017, 2021, 2022, 2024, 2025, 2026)
REACH_DAYS = 0.3  # a set is the truth so far from its epoch
STEP_S = 20.0
NIGHT_SUN_DEG = -12.0
J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
J2000_JULIAN_DATE = 2451545.0


@dataclass(frozen=True, kw_only=True)
class Night:
    """Moments of one true orbit at which it was night below the station."""

    satellite: Satrec  # the true orbit
    days: FloatArray  # shape (n,): Moments, days since 2000-01-01 12:00 UTC
    # lon and lat: shape (n,): Nadirs, degrees, good to a tenth
    lon: FloatArray
    lat: FloatArray
    origin: Any  # whatever the orbits that made it know it by


@dataclass(frozen=True, kw_only=True)
class State:
    """Where the station is at a moment."""

    time_utc: datetime
    # position_ecef_m and velocity_ecef_m_s: shape (3,): The velocity is relative to the rotating
    # Earth
    position_ecef_m: FloatArray
    velocity_ecef_m_s: FloatArray
    lon: float
    lat: float
    height_m: float


@dataclass(frozen=True, kw_only=True)
class Told:
    """An element set for the engine."""

    tle_text: str
    satellite: Satrec
    age_days: float  # the moment minus the set's epoch: positive where the set is older


class Orbits(Protocol):
    """Passes of the station."""

    def night(self, rng: np.random.Generator) -> Night: ...

    def told(self, rng: np.random.Generator, night: Night, days: float) -> Told:
        """An element set near a moment of a night, not the true one."""
        ...


@dataclass(frozen=True, kw_only=True)
class RealOrbits:
    """The station's own element sets, in the years in which they are dense."""

    sets: TleSet
    dense: NDArray[np.int64]  # rows of the sets of the dense years

    @classmethod
    def of(cls, sets: TleSet) -> RealOrbits:
        years = np.array([time_of(d).year for d in sets.epoch_days])
        return cls(sets=sets, dense=np.flatnonzero(np.isin(years, DENSE_YEARS)))

    def night(self, rng: np.random.Generator) -> Night:
        """The night sides within 0.3 days of an element set's epoch."""
        row = int(rng.choice(self.dense))
        satellite = self._satellite(row)
        middle = self.sets.epoch_days[row]
        span = np.arange(-REACH_DAYS, REACH_DAYS, STEP_S / 86400.0)
        days = middle + span + rng.uniform(0.0, STEP_S) / 86400.0
        return _night_of(satellite, days, row)

    def told(self, rng: np.random.Generator, night: Night, days: float) -> Told:
        """The set nearest to an age drawn from 0 to 10 days; one in four follows the moment."""
        age = draw_age_days(rng)
        miss = np.abs(days - self.sets.epoch_days - age)
        miss[np.abs(self.sets.epoch_days - self.sets.epoch_days[night.origin]) < 1e-6] = np.inf
        order = np.argsort(miss, kind="stable")
        # A few old sets have so much drag that SGP4 lets the station fall within days.
        row = next(
            int(r) for r in order if np.isfinite(nadirs_of(self._satellite(int(r)), [days])[0][0])
        )
        pair = self.sets.pairs[row]
        return Told(
            tle_text=f"{pair.line1[:69]}\n{pair.line2[:69]}\n",
            satellite=self._satellite(row),
            age_days=float(days - self.sets.epoch_days[row]),
        )

    def _satellite(self, row: int) -> Satrec:
        pair = self.sets.pairs[row]
        return Satrec.twoline2rv(pair.line1[:69], pair.line2[:69])


@dataclass(frozen=True, kw_only=True)
class MadeOrbits:
    """Invented passes over a region."""

    # west, south, east and north: where the nadirs lie, degrees
    west: float
    south: float
    east: float
    north: float
    year: int = 2014

    def night(self, rng: np.random.Generator) -> Night:
        """Eight minutes of a pass over some place of the region, at night."""
        while True:
            lon, lat = rng.uniform(self.west, self.east), rng.uniform(self.south, self.north)
            later_s = round(float(rng.uniform(0.0, 360.0 * 86400.0)), 2)
            time_utc = datetime(self.year, 1, 1, tzinfo=UTC) + timedelta(seconds=later_s)
            days = days_of(time_utc)
            if sun_elevation_deg(days, lon, lat) > NIGHT_SUN_DEG - 5.0:
                continue
            orbit = pass_over(lon, min(lat, 50.5), time_utc, northbound=bool(rng.random() < 0.5))
            span = np.arange(-240.0, 241.0, STEP_S) / 86400.0
            return _night_of(orbit.satrec(), days + span, orbit)

    def told(self, rng: np.random.Generator, night: Night, days: float) -> Told:
        """The orbit at an age drawn from 0 to 10 days, drifting as real sets do."""
        age = draw_age_days(rng)
        # Median along-track errors of real sets: 2.2 km at a day, 160 km at ten (docs/orbit.md).
        error_km = 2.2 * max(abs(age), 0.1) ** 1.8 * float(np.clip(rng.standard_cauchy(), -9, 9))
        there = elements_at(night.origin, time_of(days - age))
        told = slip_elements(there, error_km / max(abs(age), 0.1))
        text = tle_lines(told, "ISS (SIMULATED)")
        return Told(tle_text=text, satellite=told.satrec(), age_days=age)


def draw_age_days(rng: np.random.Generator) -> float:
    """Age of an element set: at most ten days, half of them under 2.5, a quarter negative."""
    age = 10.0 * float(rng.random()) ** 2
    return -age if rng.random() < 0.25 else age


def state_at(satellite: Satrec, days: float) -> State:
    """Position by SGP4 and astropy at days since 2000-01-01 12:00 UTC."""
    time_utc = time_of(days)
    position, velocity = state_ecef(satellite, time_utc)
    lon, lat, height = (float(value) for value in geodetic_of(position))
    return State(
        time_utc=time_utc,
        position_ecef_m=position,
        velocity_ecef_m_s=velocity,
        lon=lon,
        lat=lat,
        height_m=height,
    )


def nadirs_of(satellite: Satrec, days: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Longitude and geocentric latitude of nadirs, degrees, good to 0.2; NaN where SGP4 fails."""
    days = np.asarray(days, float)
    error, position_km, _ = satellite.sgp4_array(np.full(len(days), J2000_JULIAN_DATE), days)
    position_km = np.where(error[:, None] == 0, position_km, np.nan)
    # Greenwich mean sidereal time (IAU 1982), its linear part.
    sidereal_deg = 280.46061837 + 360.98564736629 * days
    lon = np.degrees(np.arctan2(position_km[:, 1], position_km[:, 0])) - sidereal_deg
    lat = np.degrees(np.arcsin(position_km[:, 2] / np.linalg.norm(position_km, axis=1)))
    return (lon + 180.0) % 360.0 - 180.0, lat


def sun_elevation_deg(
    days: FloatArray | float, lon_deg: FloatArray | float, lat_deg: FloatArray | float
) -> FloatArray:
    """Elevation of the Sun's centre without refraction, degrees, good to 0.02.

    References
    ----------
    The Astronomical Almanac (2012), page C5: low-precision formulas for the Sun.
    """
    anomaly = np.radians((357.528 + 0.9856003 * np.asarray(days)) % 360.0)
    mean = 280.460 + 0.9856474 * np.asarray(days)
    longitude = np.radians(mean + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    obliquity = np.radians(23.439)
    right_ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    local = np.radians(280.46061837 + 360.98564736629 * np.asarray(days) + lon_deg)
    lat = np.radians(lat_deg)
    level = np.cos(lat) * np.cos(declination) * np.cos(local - right_ascension)
    return np.asarray(np.degrees(np.arcsin(np.sin(lat) * np.sin(declination) + level)))


def _night_of(satellite: Satrec, days: FloatArray, origin: Any) -> Night:
    lon, lat = nadirs_of(satellite, days)
    dark = sun_elevation_deg(days, lon, lat) < NIGHT_SUN_DEG
    return Night(satellite=satellite, days=days[dark], lon=lon[dark], lat=lat[dark], origin=origin)


def time_of(days: float) -> datetime:
    """UTC of days since 2000-01-01 12:00, to the microsecond."""
    return J2000 + timedelta(days=float(days))


def days_of(time_utc: datetime) -> float:
    return (time_utc - J2000) / timedelta(days=1)
