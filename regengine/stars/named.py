"""The stars that have names: PyEphem's list, after the Hipparcos catalogue."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from matchers.sky_camera import sky_vectors

FloatArray = NDArray[np.float64]


@cache
def star_names() -> tuple[str, ...]:
    """Names of about a hundred bright stars, in the order of their vectors."""
    import ephem.stars

    return tuple(ephem.stars.stars)


def named_star_vectors(year: float) -> FloatArray:
    """Where the named stars stand, with proper motion.

    Parameters
    ----------
    year : float
        Julian year.

    Returns
    -------
    ndarray of float64, shape (n, 3)
        Unit vectors, J2000, without aberration and parallax.
    """
    import ephem

    date = ephem.Date("2000/1/1 12:00:00") + (year - 2000.0) * 365.25
    ra, dec = [], []
    for name in star_names():
        star = ephem.star(name)
        star.compute(date, epoch="2000")
        ra.append(np.degrees(float(star.a_ra)))
        dec.append(np.degrees(float(star.a_dec)))
    return sky_vectors(ra, dec)
