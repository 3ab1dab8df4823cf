"""How far a catalogued satellite may be from where its element set has it.

At the epoch: some hundred metres in low orbits, more along the track than across it, as Flohrer et
al. (2008) found for the whole catalogue; the numbers here are rounded up from that. Growth: drag,
which counts as the square of time. For the Station at 415 km `regengine.orbit_uncertainty`
measured medians of 2.2 km after one day and 5.6 km after two, 1.1 and 2.1 km in sigma of its
linear and square part; drag falls by a factor e every 60 km of height or so (densities at 400 to
700 km, mean Sun). Osweiler (2006) and Vallado & Cefola (2012) give errors of the same order after
a day. Manoeuvres make a tail: of the Station's sets one in ten errs by nine times the median.

References
----------
Flohrer, T., Krag, H., Klinkrad, H. (2008). Assessment and categorization of TLE orbit errors for
the US SSN catalogue. AMOS Technical Conference.
Osweiler, V. P. (2006). Covariance estimation and autocorrelation of NORAD two-line element sets.
Air Force Institute of Technology.
Vallado, D. A., Cefola, P. J. (2012). Two-line element sets - practice and use. IAC-12.C1.6.12.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

ALONG_EPOCH_KM, ALONG_KM_A_DAY = 0.6, 0.8
DRAG_KM_A_DAY2, DRAG_AT_KM, DRAG_SCALE_KM = 2.1, 415.0, 60.0
MOST_DRAG = 20.0  # below some 240 km nothing stays for days
CROSS_EPOCH_KM, CROSS_KM_A_DAY = 0.25, 0.12
RADIAL_EPOCH_KM, RADIAL_KM_A_DAY = 0.2, 0.1
# A share of the satellites has manoeuvred, or was fitted badly: their errors are so many times
# larger, along the track and (thrust changes planes, too) across it
TAIL_SHARE, TAIL_FACTOR, TAIL_ACROSS = 0.12, 8.0, 3.0


@dataclass(frozen=True, kw_only=True)
class ElementErrors:
    """One sigma of positions from element sets, kilometres, each of shape (n,)."""

    along_km: FloatArray
    cross_km: FloatArray
    radial_km: FloatArray


def element_errors(age_h: FloatArray, perigee_km: FloatArray) -> ElementErrors:
    """One sigma of the sets that nothing has gone wrong with.

    Parameters
    ----------
    age_h : ndarray of float64, shape (n,)
        Hours from the epoch, of either sign.
    perigee_km : ndarray of float64, shape (n,)
        Height of the orbit's lowest point.

    Returns
    -------
    ElementErrors
    """
    days = np.abs(age_h) / 24.0
    air = np.minimum(np.exp((DRAG_AT_KM - perigee_km) / DRAG_SCALE_KM), MOST_DRAG)
    grown = np.hypot(ALONG_KM_A_DAY * days, DRAG_KM_A_DAY2 * air * days**2)
    return ElementErrors(
        along_km=np.hypot(ALONG_EPOCH_KM, grown),
        cross_km=np.hypot(CROSS_EPOCH_KM, CROSS_KM_A_DAY * days),
        radial_km=np.hypot(RADIAL_EPOCH_KM, RADIAL_KM_A_DAY * days),
    )
