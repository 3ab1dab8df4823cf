"""Element sets whose own drag gives away that they have lost the station.

The drag term is fitted with the orbit. A set whose fit spans a manoeuvre, or hardly any time, has a
term that no air could cause, and its error grows with the square of its age.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from sgp4.api import WGS72, Satrec

from regengine.earth_rotation import days_since_j2000
from regengine.tle import ElementSet

# Of 15,748 element sets of the ISS, 1998-2026, nine in ten have B* between these, half more and
# half less than the middle one (per Earth radius)
USUAL_BSTAR = (2.1e-5, 8.2e-4)
TYPICAL_BSTAR = 2.1e-4
SGP4_EPOCH_JULIAN_DATE = 2433281.5  # 1949-12-31, from which SGP4 counts days
ORBIT_RADIUS_KM = 6780.0


def drag_shift_km(element_set: ElementSet, time_utc: datetime) -> float:
    """How far along the orbit usual drag has the station from where a set's own drag has it.

    Parameters
    ----------
    element_set : ElementSet
    time_utc : datetime
        Of the photograph.

    Returns
    -------
    float
        Kilometres, positive ahead, more than an orbit where drag says so; 0 for sets whose drag is
        usual, or that SGP4 cannot propagate with other drag.
    """
    own = element_set.satrec()
    if USUAL_BSTAR[0] <= own.bstar <= USUAL_BSTAR[1]:
        return 0.0
    usual = with_drag_term(own, TYPICAL_BSTAR)
    days = days_since_j2000(time_utc) - days_since_j2000(element_set.epoch_utc)
    turn, quarter = (ahead_rad(own, usual, part * days) for part in (1.0, 0.25))
    if not np.isfinite(turn + quarter):
        return 0.0
    # Drag counts as the square of time: a quarter of it tells how many whole turns there are
    turn += 2.0 * np.pi * round((16.0 * quarter - turn) / (2.0 * np.pi))
    return ORBIT_RADIUS_KM * turn


def with_drag_term(record: Satrec, bstar: float) -> Satrec:
    """The same mean elements with another drag term."""
    other = Satrec()
    other.sgp4init(
        WGS72,
        "i",
        record.satnum,
        record.jdsatepoch + record.jdsatepochF - SGP4_EPOCH_JULIAN_DATE,
        bstar,
        record.ndot,
        record.nddot,
        record.ecco,
        record.argpo,
        record.inclo,
        record.mo,
        record.no_kozai,
        record.nodeo,
    )
    return other


def ahead_rad(record: Satrec, other: Satrec, days: float) -> float:
    """Angle by which another set is ahead of one so long after its epoch; NaN where SGP4 fails."""
    error, position, velocity = record.sgp4_tsince(1440.0 * days)
    other_error, there, _ = other.sgp4_tsince(1440.0 * days)
    if error or other_error:
        return float("nan")
    return turn_ahead_rad(position, velocity, there)


def turn_ahead_rad(
    position: Sequence[float], velocity: Sequence[float], there: Sequence[float]
) -> float:
    """Angle along an orbit from where the station is to another place, at most half a turn."""
    up = np.array(position, float) / np.linalg.norm(position)
    across = np.cross(up, velocity)
    ahead = np.cross(across / np.linalg.norm(across), up)
    return float(np.arctan2(ahead @ there, up @ there))
