"""Where the station will be: an orbit out of element sets, and how well it is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from regengine.drag import drag_shift_km
from regengine.earth_rotation import (
    EARTH_RATE_RAD_S,
    J2000_JULIAN_DATE,
    days_since_j2000,
    sidereal_angle_rad,
    teme_to_ecef,
    utc_of,
)
from regengine.errors import EphemerisError
from regengine.orbit_uncertainty import orbit_sigma
from regengine.tle import ElementSet, TleSet

FloatArray = NDArray[np.float64]

SPEED_KM_S = 7.66  # along the orbit
KNOT_DAYS = 0.25  # between ages at which the uncertainty is looked up


@dataclass(frozen=True, kw_only=True, eq=False)
class StationOrbit:
    """An orbit for a span of days; call it with days since 2000-01-01 12:00 UTC.

    Attributes
    ----------
    element_set : ElementSet
        What it is computed from.
    """

    element_set: ElementSet

    def __call__(self, days: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Positions (m) and velocities over the turning Earth (m/s), ECEF, shape (n, 3) each.

        Raises
        ------
        EphemerisError
            If SGP4 cannot reach one of the times.
        """
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
        """How well the orbit is known at times.

        Parameters
        ----------
        days : ndarray of float64, shape (n,)

        Returns
        -------
        along_s : ndarray of float64, shape (n,)
            One sigma of the time at which the station is anywhere on its orbit, seconds. Where the
            set's own drag is none that air could cause, what usual drag would do counts, too.
        cross_km : ndarray of float64, shape (n,)
            One sigma across the orbit.
        """
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
        return np.interp(days, knots, along) / SPEED_KM_S, np.interp(days, knots, cross)


def station_orbit(tles: TleSet, first_day: float) -> StationOrbit:
    """The orbit for the days from one on, by the best element set for its beginning.

    Raises
    ------
    EphemerisError
        If no element set lies within a year of it.
    """
    return StationOrbit(element_set=tles.best_for(utc_of(first_day)))
