"""Where stars appear to an observer who moves with the Earth."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from regengine.celestial_rotation import earth_velocity
from regengine.earth_rotation import days_since_j2000

FloatArray = NDArray[np.float64]

JULIAN_YEAR_DAYS = 365.25


def apparent_directions(vectors_icrs: FloatArray, time_utc: datetime) -> FloatArray:
    """Directions of stars with the aberration by the Earth's motion.

    It moves stars by up to 20.5 arc seconds towards where the Earth flies. Within one frame this
    is a turn, which an attitude takes up, and a change of scale of up to 1 in 10,000, which a
    focal length would. The station's own 7.7 km/s, a quarter of that, are left out.

    Parameters
    ----------
    vectors_icrs : ndarray, shape (N, 3)
        Unit vectors as catalogues have them.
    time_utc : datetime
        Good to some days; a naive time is UTC.

    Returns
    -------
    ndarray of float64, shape (N, 3)
        Unit vectors.

    References
    ----------
    Klioner, S. A. (2003). A practical relativistic model for microarcsecond astrometry in space.
    Astron. J. 125, 1580-1597.
    """
    moved = vectors_icrs + earth_velocity(time_utc)
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True))


def julian_year(time_utc: datetime) -> float:
    """Epoch of a moment, Julian years."""
    return 2000.0 + days_since_j2000(time_utc) / JULIAN_YEAR_DAYS
