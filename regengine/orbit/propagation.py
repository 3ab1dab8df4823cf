"""Compute the camera position from an element set and a time, or from a known nadir."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import ArrayLike
from sgp4.api import SGP4_ERRORS, WGS72, Satrec

from detectors.constants import DAY_S, EARTH_GM_M3_S2
from detectors.types import FloatArray
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef
from regengine.errors import EphemerisError
from regengine.io.times import to_utc
from regengine.orbit.rotation import (
    EARTH_RATE_RAD_S,
    J2000_JULIAN_DATE,
    days_since_j2000,
    sidereal_angle_rad,
    teme_to_ecef,
    turn_about_pole,
)
from regengine.orbit.tle import ORBIT_RADIUS_KM, ElementSet, TleSet
from regengine.orbit.uncertainty import orbit_sigma

# One sigma along, across and above the track of a nadir in the archive's records. Measured against
# element sets less than a day old on 6,304 night frames of 2000-2014: 90 % lie within 66 km along
# the track and 5.8 km across it (printed to 0.1 degrees), 66 / 1.645 = 40 and 5.8 / 1.645 = 3.5.
# Their altitude, in whole nautical miles, scatters by 0.6 km.
RECORD_SIGMA_KM = (40.0, 4.0, 1.0)
# Distance of the camera from a place that a photo shows: the range of most frames
CENTRE_SIGMA_KM = (900.0, 900.0, 5.0)
# Nadir given by a person: no more accurate along the track, and often read off a map.
NADIR_SIGMA_KM = (40.0, 15.0, 5.0)

# Nine in ten of 15,748 element sets of the ISS, 1998-2026, have B* (per Earth radius) between
# these, with as many above the median as below
USUAL_BSTAR = (2.1e-5, 8.2e-4)

INCLINATION_DEG = 51.64  # of the ISS, within 0.03 degrees since 1998
# The orbital plane precesses westward by 5.0 degrees a day (Earth oblateness, at 400 km), and the
# Earth rotates eastward below it: a ground track results from both.
NODE_RATE_RAD_S = np.radians(-5.0) / DAY_S
GROUND_RATE_RAD_S = EARTH_RATE_RAD_S - NODE_RATE_RAD_S


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraPosition:
    """Position of the camera, with one sigma along the orbit, across it and in height.

    Vectors have shape (3,), Earth-centred, Earth-fixed; places are geodetic, degrees (WGS84).
    """

    time_utc: datetime | None  # of the photograph
    position_ecef_m: FloatArray
    # Relative to the rotating Earth; None if only a nadir is known
    velocity_ecef_m_s: FloatArray | None
    lon: float
    lat: float
    altitude_km: float  # above the WGS84 ellipsoid
    source: str  # "tle", "option", "record", "centre", or "lights" if found from the photo's lights
    tle_age_h: float | None = None  # time of the photograph minus the element set's epoch
    sigma_along_km: float
    sigma_cross_km: float
    sigma_radial_km: float
    element_set: ElementSet | None = None  # element set from which the position was computed
    # Position by another source; used for a search if this one gives no solution
    alternative: CameraPosition | None = None


def camera_position(tles: TleSet, time_utc: datetime) -> CameraPosition:
    """Compute the position of the satellite at a time, by SGP4 from the best element set.

    Raises EphemerisError if no element set lies within a year of the time, or SGP4 fails there.

    References
    ----------
    Vallado, D. et al. (2006). Revisiting Spacetrack Report #3, AIAA 2006-6753.
    """
    return position_from_elements(tles.best_for(time_utc), time_utc)


def position_from_elements(element_set: ElementSet, time_utc: datetime) -> CameraPosition:
    """Compute the position of the satellite at a time, by SGP4 from a given element set."""
    days = days_since_j2000(time_utc)
    position_km, velocity_km_s = propagate_teme(element_set, np.array([days]))
    angle = sidereal_angle_rad(days)
    position = teme_to_ecef(position_km[0], angle) * 1000.0
    inertial_velocity = teme_to_ecef(velocity_km_s[0], angle) * 1000.0
    velocity = inertial_velocity - np.cross([0.0, 0.0, EARTH_RATE_RAD_S], position)
    lon, lat, height_m = ecef_to_geodetic(position)
    age_h = element_set.age_h(time_utc)
    along_km, cross_km, radial_km = orbit_sigma(age_h)
    return CameraPosition(
        time_utc=to_utc(time_utc),
        position_ecef_m=position,
        velocity_ecef_m_s=velocity,
        lon=float(lon),
        lat=float(lat),
        altitude_km=float(height_m) / 1000.0,
        source="tle",
        tle_age_h=age_h,
        sigma_along_km=along_km,
        sigma_cross_km=cross_km,
        sigma_radial_km=radial_km,
        element_set=element_set,
    )


def track_positions(
    element_set: ElementSet,
    time_utc: datetime,
    clock_offsets_s: ArrayLike,
    slide_offsets_s: ArrayLike,
) -> FloatArray:
    """Compute positions for offsets of the camera's clock or of the satellite along its orbit.

    A clock offset moves the satellite *and* rotates the Earth: the photograph was taken that much
    later than its clock indicates. A slide only moves the satellite, along an orbit that is fixed
    in space: the element set is late by that time. The slow precession of the plane (5 degrees a
    day) is part of a clock offset, not of a slide.

    Offsets have shape (n,) or are broadcast to it; positive ones move the satellite forward.
    Positions are ECEF, metres, shape (n, 3). Raises EphemerisError if SGP4 fails at one of the
    times.
    """
    offsets_s = (np.asarray(given, float) for given in (clock_offsets_s, slide_offsets_s))
    clock_s, slide_s = np.broadcast_arrays(*map(np.atleast_1d, offsets_s))
    photo_days = days_since_j2000(time_utc) + clock_s / DAY_S
    position_km, _ = propagate_teme(element_set, photo_days + slide_s / DAY_S)
    node_turn_rad = element_set.satrec().nodedot / 60.0 * slide_s
    position_km = turn_about_pole(position_km, -node_turn_rad)
    return teme_to_ecef(position_km, sidereal_angle_rad(photo_days)) * 1000.0


def propagate_teme(element_set: ElementSet, days: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute TEME position (km) and velocity (km/s) at days since J2000, shape (n, 3) each."""
    julian = np.full(len(days), J2000_JULIAN_DATE)
    error, position, velocity = element_set.satrec().sgp4_array(julian, days)
    if error.any():
        code = int(error[error != 0][0])
        raise EphemerisError(
            f"{element_set.path}, line {element_set.line_number}: SGP4 cannot propagate the "
            f"element set of {element_set.epoch_utc:%Y-%m-%d} to the photograph's time "
            f"({SGP4_ERRORS.get(code, f'error {code}')}); use one nearer to it"
        )
    return position, velocity


def position_from_nadir(
    lon: float,
    lat: float,
    altitude_km: float,
    source: str,
    *,
    time_utc: datetime | None = None,
    sigma_km: tuple[float, float, float] | None = None,
) -> CameraPosition:
    """Return the position above a geodetic nadir; the direction of flight is unknown.

    ``sigma_km`` is one sigma along the track, across it and in height. By default, it is that of
    the ``source``, "option", "record", "centre" or "lights". Raises EphemerisError if the place is
    not a valid position on Earth, or the altitude is not above it.
    """
    if not (abs(lat) <= 90.0 and abs(lon) <= 360.0):
        raise EphemerisError(
            f"the nadir {lon:g},{lat:g} is not on Earth; give longitude, then latitude, in degrees"
        )
    if not 0.0 < altitude_km < 10_000.0:
        raise EphemerisError(
            f"the altitude {altitude_km:g} km is not that of an orbit; give kilometres"
        )
    known = {"record": RECORD_SIGMA_KM, "centre": CENTRE_SIGMA_KM}
    along_km, cross_km, radial_km = sigma_km or known.get(source, NADIR_SIGMA_KM)
    return CameraPosition(
        time_utc=None if time_utc is None else to_utc(time_utc),
        position_ecef_m=geodetic_to_ecef(lon, lat, altitude_km * 1000.0),
        velocity_ecef_m_s=None,
        lon=float((lon + 180.0) % 360.0 - 180.0),
        lat=float(lat),
        altitude_km=float(altitude_km),
        source=source,
        sigma_along_km=along_km,
        sigma_cross_km=cross_km,
        sigma_radial_km=radial_km,
    )


def drag_shift_km(element_set: ElementSet, time_utc: datetime) -> float:
    """Compute the along-track shift of the station for typical drag instead of a set's own.

    Kilometres, positive ahead, possibly more than one revolution. 0 for sets with usual drag, and
    for sets that SGP4 cannot propagate with other drag.
    """
    own = element_set.satrec()
    if USUAL_BSTAR[0] <= own.bstar <= USUAL_BSTAR[1]:
        return 0.0
    # The same mean elements with the median drag term of 15,748 sets
    usual, days_since_1949 = Satrec(), own.jdsatepoch + own.jdsatepochF - 2433281.5
    angles = own.argpo, own.inclo, own.mo, own.no_kozai, own.nodeo
    usual.sgp4init(
        WGS72, "i", own.satnum, days_since_1949, 2.1e-4, own.ndot, own.nddot, own.ecco, *angles
    )
    days = days_since_j2000(time_utc) - days_since_j2000(element_set.epoch_utc)
    turns = []
    for part in (1.0, 0.25):
        error, position, velocity = own.sgp4_tsince(1440.0 * part * days)
        other_error, there, _ = usual.sgp4_tsince(1440.0 * part * days)
        if error or other_error:
            return 0.0
        turns.append(turn_ahead_rad(position, velocity, there))
    turn, quarter = turns
    # The effect of drag grows with the square of time: a quarter of the time gives the number of
    # whole revolutions
    turn += 2.0 * np.pi * round((16.0 * quarter - turn) / (2.0 * np.pi))
    return ORBIT_RADIUS_KM * turn


def turn_ahead_rad(
    position: Sequence[float], velocity: Sequence[float], there: Sequence[float]
) -> float:
    """Return the angle along an orbit from the station to another place, within half a turn."""
    up = np.array(position, float) / np.linalg.norm(position)
    across = np.cross(up, velocity)
    ahead = np.cross(across / np.linalg.norm(across), up)
    return float(np.arctan2(ahead @ there, up @ there))


def nadir_track_positions(
    lon_deg: float, lat_deg: float, altitude_km: float, along_km: ArrayLike, ascending: bool
) -> FloatArray:
    """Compute ECEF positions (n, 3), metres, along the orbit through a nadir; the Earth rotates.

    They are the positions of the ISS a little earlier or later, at constant height, accurate to
    2 km within 500 km of the nadir. Distances (n,) on the ground along the track are positive
    forward. ``ascending`` indicates whether the ISS flew northward there.
    """
    position = geodetic_to_ecef(lon_deg, lat_deg, 1000.0 * altitude_km)
    radius_m = float(np.linalg.norm(position))
    up = position / radius_m
    east = np.array([-up[1], up[0], 0.0]) / np.hypot(up[0], up[1])
    north = np.cross(up, east)
    # The inclination determines the direction of flight at a geocentric latitude.
    eastward = min(1.0, np.cos(np.radians(INCLINATION_DEG)) / np.hypot(up[0], up[1]))
    northward = np.sqrt(1.0 - eastward**2) * (1.0 if ascending else -1.0)
    speed_m_s = float(np.sqrt(EARTH_GM_M3_S2 / radius_m))
    inertial = speed_m_s * (eastward * east + northward * north)
    velocity = inertial - np.cross([0.0, 0.0, GROUND_RATE_RAD_S], position)
    ground_radius_m = float(np.linalg.norm(geodetic_to_ecef(lon_deg, lat_deg)))
    ground_speed_m_s = float(np.linalg.norm(velocity)) * ground_radius_m / radius_m
    seconds = 1000.0 * np.atleast_1d(np.asarray(along_km, float)) / ground_speed_m_s
    angle = (seconds * speed_m_s / radius_m)[:, None]
    circle = np.cos(angle) * position + np.sin(angle) * inertial * (radius_m / speed_m_s)
    lon, lat, _ = ecef_to_geodetic(turn_about_pole(circle, -GROUND_RATE_RAD_S * seconds))
    return geodetic_to_ecef(lon, lat, 1000.0 * altitude_km)
