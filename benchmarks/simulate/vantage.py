"""Where the station must be to photograph a place at a given slant, and where it seems to be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.geodesy import east_north_up, ecef_of, geodetic_of, wgs84
from benchmarks.simulate.orbit import INCLINATION_DEG

FloatArray = NDArray[np.float64]

EARTH_RADIUS_M = 6_371_000.0
EARTH_TURN_RAD_S = 7.292115e-5  # WGS84
GRAVITY_M3_S2 = 3.986004418e14  # WGS84


@dataclass(frozen=True, kw_only=True)
class Vantage:
    """A point of an orbit.

    Attributes
    ----------
    position_ecef_m : ndarray, shape (3,)
    velocity_ecef_m_s : ndarray, shape (3,)
        Relative to the rotating Earth.
    """

    position_ecef_m: FloatArray
    velocity_ecef_m_s: FloatArray

    def nadir(self) -> tuple[float, float, float]:
        """Longitude, latitude (degrees) and height (metres)."""
        lon, lat, height = geodetic_of(self.position_ecef_m)
        return float(lon), float(lat), float(height)

    def moved(self, *, clock_s: float = 0.0, slide_s: float = 0.0) -> Vantage:
        """Where the station stands a moment later.

        Parameters
        ----------
        clock_s : float
            Time by which the Earth turns and the station flies on.
        slide_s : float
            Time by which the station alone flies on: it is early or late on its orbit.
        """
        spin = np.array([0.0, 0.0, EARTH_TURN_RAD_S])
        position = self.position_ecef_m
        inertial = self.velocity_ecef_m_s + np.cross(spin, position)
        normal = np.cross(position, inertial)
        rate = np.linalg.norm(normal) / (position @ position)
        flown = rate * (clock_s + slide_s) * normal / np.linalg.norm(normal)
        position, inertial = _turned(position, flown), _turned(inertial, flown)
        position, inertial = (_turned(v, -spin * clock_s) for v in (position, inertial))
        return Vantage(
            position_ecef_m=position, velocity_ecef_m_s=inertial - np.cross(spin, position)
        )


def _turned(vector: FloatArray, rotation: FloatArray) -> FloatArray:
    """Rotate by a rotation vector (Rodrigues' formula)."""
    angle = float(np.linalg.norm(rotation))
    if angle == 0.0:
        return vector
    axis = rotation / angle
    return np.asarray(
        vector * np.cos(angle)
        + np.cross(axis, vector) * np.sin(angle)
        + axis * (axis @ vector) * (1.0 - np.cos(angle))
    )


def vantage_over(lon_deg: float, lat_deg: float, height_m: float, *, northbound: bool) -> Vantage:
    """A circular orbit of the station's inclination over a place.

    Parameters
    ----------
    lon_deg, lat_deg : float
        Nadir; latitudes beyond the orbit's reach get an eastward flight.
    height_m : float
    northbound : bool
    """
    position = ecef_of(lon_deg, lat_deg, height_m)
    radius = float(np.linalg.norm(position))
    sine = np.cos(np.radians(INCLINATION_DEG)) / np.cos(np.radians(lat_deg))
    heading = np.arcsin(np.clip(sine, -1.0, 1.0))
    heading = heading if northbound else np.pi - heading
    east, north, _ = east_north_up(lon_deg, lat_deg)
    inertial = np.sqrt(GRAVITY_M3_S2 / radius) * (np.sin(heading) * east + np.cos(heading) * north)
    spin = np.array([0.0, 0.0, EARTH_TURN_RAD_S])
    return Vantage(position_ecef_m=position, velocity_ecef_m_s=inertial - np.cross(spin, position))


def nadir_for(
    lon_deg: float, lat_deg: float, height_m: float, off_nadir_deg: float, azimuth_deg: float
) -> tuple[float, float, float]:
    """The nadir from which a place appears at a slant, and the azimuth to look along.

    Parameters
    ----------
    lon_deg, lat_deg : float
        The place.
    height_m : float
        Of the camera.
    off_nadir_deg : float
        Less than the horizon's (about 69 at 415 km).
    azimuth_deg : float
        From the place to the nadir.

    Returns
    -------
    lon_deg, lat_deg : float
        Of the nadir.
    azimuth_deg : float
        From the nadir to the place.
    """
    slant = np.radians(off_nadir_deg)
    sine = np.clip((1.0 + height_m / EARTH_RADIUS_M) * np.sin(slant), 0.0, 0.999)
    distance = (np.arcsin(sine) - slant) * EARTH_RADIUS_M
    lon, lat, back = wgs84().fwd(lon_deg, lat_deg, azimuth_deg, distance)
    return float(lon), float(lat), float(back)
