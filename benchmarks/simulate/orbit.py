"""An orbit like the ISS's: passes over a place at a time, and the element sets that tell of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from scipy.optimize import least_squares
from sgp4.api import WGS72, Satrec
from sgp4.exporter import export_tle

from benchmarks.arrays import FloatArray
from benchmarks.simulate.camera import geodetic_of, wgs84

INCLINATION_DEG = 51.64
ECCENTRICITY = 0.0004
NUMBER = 99990  # not the ISS's: nobody should take these sets for real ones
EPOCH_1949 = datetime(1949, 12, 31, tzinfo=UTC)  # origin of sgp4init's epochs
MINUTES_PER_DAY = 1440.0


@dataclass(frozen=True, kw_only=True)
class Elements:
    """Mean elements of a nearly circular orbit, in SGP4's sense."""

    epoch_utc: datetime
    node_deg: float  # right ascension of the ascending node
    perigee_deg: float  # argument of perigee
    anomaly_deg: float  # mean anomaly
    revolutions_per_day: float  # mean motion; 15.5 is an altitude of about 415 km.

    def satrec(self) -> Satrec:
        """The SGP4 propagator of these elements."""
        satellite = Satrec()
        satellite.sgp4init(
            WGS72,
            "i",
            NUMBER,
            (self.epoch_utc - EPOCH_1949) / timedelta(days=1),
            4.0e-5,  # B*: the station's usual drag
            0.0,
            0.0,
            ECCENTRICITY,
            np.radians(self.perigee_deg % 360.0),
            np.radians(INCLINATION_DEG),
            np.radians(self.anomaly_deg % 360.0),
            self.revolutions_per_day * 2.0 * np.pi / MINUTES_PER_DAY,
            np.radians(self.node_deg % 360.0),
        )
        satellite.classification = "U"
        satellite.intldesg = "90099A"
        satellite.ephtype = 0
        satellite.elnum = 999
        satellite.revnum = 1
        return satellite


def state_ecef(satellite: Satrec, time_utc: datetime) -> tuple[FloatArray, FloatArray]:
    """Position (m) and velocity (m/s) in ECEF at a time: SGP4, then astropy's TEME to ITRS."""
    from astropy import units as u
    from astropy.coordinates import ITRS, TEME, CartesianDifferential, CartesianRepresentation
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        time = Time(time_utc.astimezone(UTC).replace(tzinfo=None), scale="utc")
        error, position_km, velocity_km_s = satellite.sgp4(time.jd1, time.jd2)
        if error:
            raise ValueError(f"SGP4 cannot propagate the simulated orbit (its error {error}).")
        inertial = CartesianRepresentation(position_km, unit=u.km).with_differentials(
            CartesianDifferential(velocity_km_s, unit=u.km / u.s)
        )
        fixed = TEME(inertial, obstime=time).transform_to(ITRS(obstime=time))
        position = fixed.cartesian.xyz.to_value(u.m)
        velocity = fixed.velocity.d_xyz.to_value(u.m / u.s)
    return np.asarray(position), np.asarray(velocity)


def positions_at(time_utc: datetime) -> Callable[[Satrec], FloatArray]:
    """Positions of satellites at one time: those of `state_ecef` to the bit, in less time.

    The turn from TEME to ITRS is astropy's, worked out once.
    """
    import erfa
    from astropy import units as u
    from astropy.coordinates import ITRS, TEME, CartesianRepresentation
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp("auto_download", False):
        time = Time(time_utc.astimezone(UTC).replace(tzinfo=None), scale="utc")
        axes = TEME(CartesianRepresentation(np.eye(3) * u.km), obstime=time)
        turn = axes.transform_to(ITRS(obstime=time)).cartesian.xyz.to_value(u.km)

    def position_of(satellite: Satrec) -> FloatArray:
        error, position_km, _ = satellite.sgp4(time.jd1, time.jd2)
        if error:
            raise ValueError(f"SGP4 cannot propagate the simulated orbit (its error {error}).")
        # The product as astropy does it: numpy's own adds in another order
        return np.asarray(erfa.rxp(turn, np.array(position_km))) * 1000.0

    return position_of


def pass_over(
    lon_deg: float,
    lat_deg: float,
    time_utc: datetime,
    *,
    northbound: bool,
    revolutions_per_day: float = 15.5,
) -> Elements:
    """Elements, at a time, of an orbit that then stands over a place."""
    ratio = np.sin(np.radians(lat_deg)) / np.sin(np.radians(INCLINATION_DEG))
    if abs(ratio) > 0.995:
        raise ValueError(f"The orbit does not reach latitude {lat_deg}; choose one within 51.")
    argument = float(np.degrees(np.arcsin(ratio)))
    argument = argument if northbound else 180.0 - argument

    def elements_of(unknown: FloatArray) -> Elements:
        return Elements(
            epoch_utc=time_utc,
            node_deg=float(unknown[0]),
            perigee_deg=0.0,
            anomaly_deg=float(unknown[1]),
            revolutions_per_day=revolutions_per_day,
        )

    position_of = positions_at(time_utc)

    def miss_deg(unknown: FloatArray) -> FloatArray:
        lon, lat, _ = geodetic_of(position_of(elements_of(unknown).satrec()))
        return np.array([(float(lon) - lon_deg + 180.0) % 360.0 - 180.0, float(lat) - lat_deg])

    start = np.array([0.0, argument])
    start[0] -= miss_deg(start)[0]  # the node turns the ground track east and west one to one
    solution = least_squares(miss_deg, start, diff_step=1e-5)
    return elements_of(solution.x)


def elements_at(elements: Elements, epoch_utc: datetime) -> Elements:
    """The same orbit's mean elements at another epoch, as SGP4 carries them forward or back."""
    satellite = elements.satrec()
    satellite.sgp4_tsince(0.0)
    mean_motion = satellite.nm
    satellite.sgp4_tsince((epoch_utc - elements.epoch_utc) / timedelta(minutes=1))
    return Elements(
        epoch_utc=epoch_utc,
        node_deg=float(np.degrees(satellite.Om)),
        perigee_deg=float(np.degrees(satellite.om)),
        anomaly_deg=float(np.degrees(satellite.mm)),
        # Drag has changed the mean motion by this ratio.
        revolutions_per_day=elements.revolutions_per_day * float(satellite.nm / mean_motion),
    )


def slip_elements(elements: Elements, along_track_km_per_day: float) -> Elements:
    """Elements whose predictions run ahead of the given ones, further with every day.

    The mean motion is changed; at the epoch there is no error.
    """
    turns = along_track_km_per_day / (2.0 * np.pi * 6793.0)  # radius of the orbit, km
    return replace(elements, revolutions_per_day=elements.revolutions_per_day + turns)


def tle_lines(elements: Elements, name: str) -> str:
    """The element set as three lines, name first, with valid checksums."""
    first, second = export_tle(elements.satrec())
    return f"{name}\n{first}\n{second}\n"


EARTH_RADIUS_M = 6_371_000.0
EARTH_TURN_RAD_S = 7.292115e-5  # WGS84


def nadir_for(
    lon_deg: float, lat_deg: float, height_m: float, off_nadir_deg: float, azimuth_deg: float
) -> tuple[float, float, float]:
    """The nadir from which a place appears at a slant, and the azimuth to look along."""
    slant = np.radians(off_nadir_deg)
    sine = np.clip((1.0 + height_m / EARTH_RADIUS_M) * np.sin(slant), 0.0, 0.999)
    distance = (np.arcsin(sine) - slant) * EARTH_RADIUS_M
    lon, lat, back = wgs84().fwd(lon_deg, lat_deg, azimuth_deg, distance)
    return float(lon), float(lat), float(back)
