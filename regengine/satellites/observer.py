"""Who takes the photo: a site on the ground, or a satellite with its own element set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from matchers.earth import ecef_to_geodetic, geodetic_to_ecef
from regengine.earth_rotation import (
    EARTH_RATE_RAD_S,
    J2000_JULIAN_DATE,
    sidereal_angle_rad,
    teme_to_ecef,
    turn_about_pole,
)
from regengine.errors import ConfigError, EphemerisError
from regengine.orbit_uncertainty import orbit_sigma
from regengine.tle import ElementSet

FloatArray = NDArray[np.float64]

HIGHEST_SITE_M, LOWEST_SITE_M = 9000.0, -500.0


class Observer(Protocol):
    """A place from which photos are taken, moving or not; SGP4's axes (TEME), kilometres."""

    def position_km(self, days: FloatArray) -> FloatArray:
        """Positions, shape (T, 3), at days since J2000 (UTC), shape (T,)."""
        ...

    def uncertainty_km(self, days: float) -> FloatArray:
        """One sigma of the position along each of k directions, vectors of shape (k, 3)."""
        ...

    def turning_rad_s(self, days: float) -> FloatArray:
        """How a camera that is held still there turns in space: rotation vector, shape (3,)."""
        ...

    def describe(self, days: float) -> dict[str, object]:
        """Where it is, as plain values."""
        ...


@dataclass(frozen=True, kw_only=True)
class GroundSite:
    """A place on the Earth: WGS84 degrees, and metres above the ellipsoid.

    Raises
    ------
    ConfigError
        If it is no place on Earth.
    """

    lat: float
    lon: float
    height_m: float = 0.0

    def __post_init__(self) -> None:
        if not (abs(self.lat) <= 90.0 and abs(self.lon) <= 360.0):
            raise ConfigError(
                f"--site {self.lat:g},{self.lon:g} is no place on Earth: give latitude, then "
                "longitude, in degrees."
            )
        if not LOWEST_SITE_M <= self.height_m <= HIGHEST_SITE_M:
            raise ConfigError(
                f"--site has a height of {self.height_m:g} m, where nobody stands: give metres "
                "above the sea."
            )

    def position_km(self, days: FloatArray) -> FloatArray:
        """Of the turning Earth; polar motion (15 m) is left out."""
        fixed = geodetic_to_ecef(self.lon, self.lat, self.height_m) / 1000.0
        return turn_about_pole(np.broadcast_to(fixed, (len(days), 3)), sidereal_angle_rad(days))

    def uncertainty_km(self, days: float) -> FloatArray:
        """None worth mention: a tenth of a kilometre is a hundredth of what orbits leave open."""
        return np.zeros((0, 3))

    def turning_rad_s(self, days: float) -> FloatArray:
        """With the Earth."""
        return np.array([0.0, 0.0, EARTH_RATE_RAD_S])

    def describe(self, days: float) -> dict[str, object]:
        """Latitude, longitude and height."""
        return {
            "kind": "site",
            "lat": round(self.lat, 6),
            "lon": round(self.lon, 6),
            "height_m": round(self.height_m, 1),
        }


@dataclass(frozen=True, kw_only=True)
class Station:
    """A satellite with a camera, such as the ISS, by one of its element sets."""

    element_set: ElementSet

    def position_km(self, days: FloatArray) -> FloatArray:
        """By SGP4."""
        return self._states(np.asarray(days, float))[0]

    def uncertainty_km(self, days: float) -> FloatArray:
        """Along, across and above its orbit, by the age of the set."""
        position, velocity = (state[0] for state in self._states(np.array([days])))
        sigma = orbit_sigma(self.age_h(days))
        up = position / np.linalg.norm(position)
        across = np.cross(position, velocity)
        across /= np.linalg.norm(across)
        along = np.cross(across, up)
        return np.stack([sigma.along_km * along, sigma.cross_km * across, sigma.radial_km * up])

    def turning_rad_s(self, days: float) -> FloatArray:
        """Once in an orbit, as the Station flies: its nadir stays its nadir."""
        position, velocity = (state[0] for state in self._states(np.array([days])))
        return np.asarray(np.cross(position, velocity) / (position @ position))

    def age_h(self, days: float) -> float:
        """Hours from the set's epoch to a moment."""
        from regengine.earth_rotation import utc_of

        return self.element_set.age_h(utc_of(days))

    def describe(self, days: float) -> dict[str, object]:
        """Nadir and height above WGS84, and the age of the set."""
        position = self.position_km(np.array([days]))[0]
        lon, lat, height_m = ecef_to_geodetic(
            1000.0 * teme_to_ecef(position, sidereal_angle_rad(days))
        )
        return {
            "kind": "station",
            "norad": self.element_set.satellite,
            "name": self.element_set.name,
            "lat": round(float(lat), 4),
            "lon": round(float(lon), 4),
            "altitude_km": round(float(height_m) / 1000.0, 2),
            "tle_age_h": round(self.age_h(days), 2),
        }

    def _states(self, days: FloatArray) -> tuple[FloatArray, FloatArray]:
        error, position, velocity = self.element_set.satrec().sgp4_array(
            np.full(len(days), J2000_JULIAN_DATE), days
        )
        if error.any():
            raise EphemerisError(
                f"{self.element_set.path}, line {self.element_set.line_number}: SGP4 cannot take "
                "this element set to the photo's time: use one nearer to it."
            )
        return position, velocity
