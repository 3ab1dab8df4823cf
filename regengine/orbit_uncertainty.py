"""How far an element set may be trusted, by its age at the time of the photograph.

Measured by ``python -m benchmarks orbit-uncertainty`` on 9,363 element sets of the ISS, 2003-2026
(``benchmarks/results/orbit-uncertainty.md``); where the measured numbers fell with age, by chance
of the sample, the younger age's larger one stands. Along the track the errors have a heavy tail,
for one set in ten has a reboost between its epoch and the photograph. One sigma is therefore the
larger of 1.4826 times the median and the 90 % quantile divided by 1.645, both of which would be
sigma if the errors were normal; nearly always the second is the larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

AGE_DAYS = np.array([0.1, 0.25, 0.5, 1, 2, 3, 5, 7, 10, 14, 20, 30, 60, 120, 240])
# Rows: median, 90 % quantile, kilometres. BEFORE: the set was issued before the photograph.
ALONG_BEFORE_KM = np.array(
    [
        [0.27, 0.48, 0.91, 2.18, 5.57, 12.7, 30.4, 68.7, 160, 405, 1070, 2830, 8180, 11300, 11300],
        [2.48, 3.23, 6.43, 20.1, 56.3, 163, 450, 987, 2080, 4030, 7400, 12900, 18000, 19300, 19300],
    ]
)
ALONG_AFTER_KM = np.array(
    [
        [0.22, 0.33, 0.43, 0.57, 0.73, 1.28, 4.09, 20.3, 72.8, 248, 833, 2270, 7730, 11100, 11100],
        [1.68, 1.68, 2.11, 6.66, 23, 89.1, 322, 918, 1790, 3530, 6560, 12500, 18400, 19300, 19300],
    ]
)
# Across the track and in height, measured where the set's orbit comes nearest to the true place.
CROSS_BEFORE_KM = np.array(
    [
        [0.03, 0.06, 0.09, 0.15, 0.28, 0.45, 0.74, 1.12, 1.62, 2.35, 3.59, 5.99, 19.4, 61.5, 215],
        [0.25, 0.31, 0.34, 0.43, 0.64, 0.94, 1.42, 2.18, 3.72, 6.46, 11.7, 21.6, 86.2, 298, 1080],
    ]
)
CROSS_AFTER_KM = np.array(
    [
        [0.04, 0.05, 0.08, 0.15, 0.25, 0.40, 0.64, 0.94, 1.31, 1.81, 2.38, 3.29, 7.84, 30.4, 174],
        [0.33, 0.33, 0.33, 0.39, 0.54, 0.78, 1.14, 1.63, 2.3, 3.48, 5.78, 11.7, 50, 186, 744],
    ]
)
RADIAL_BEFORE_KM = np.array(
    [
        [0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.17, 0.25, 0.35, 0.53, 0.78, 1.09, 2.71, 7.34, 21.1],
        [0.19, 0.19, 0.23, 0.29, 0.44, 0.73, 1.22, 1.96, 2.67, 3.57, 4.85, 6.37, 13.3, 30.2, 144],
    ]
)
RADIAL_AFTER_KM = np.array(
    [
        [0.03, 0.03, 0.04, 0.06, 0.08, 0.11, 0.16, 0.24, 0.35, 0.55, 0.87, 1.37, 2.77, 4.82, 7.14],
        [0.17, 0.18, 0.22, 0.27, 0.37, 0.62, 1.12, 1.99, 2.86, 4, 5.34, 7.29, 11.7, 15.7, 29],
    ]
)
# Nothing known of the place along the orbit: uniform over half an orbit (21,300 km) either way,
# whose standard deviation is 21,300 / sqrt(3).
ALONG_UNKNOWN_KM = 12300.0
# The "true" places are element sets at their own epochs, themselves good to about this much.
FLOOR_KM = 0.3


@dataclass(frozen=True, kw_only=True)
class OrbitSigma:
    """One sigma of a position from an element set, kilometres.

    ``along_km`` is a distance along the orbit (7.66 km a second), ``cross_km`` and ``radial_km``
    are what remains beside and above it once the place along it is right.
    """

    along_km: float
    cross_km: float
    radial_km: float


def orbit_sigma(age_h: float) -> OrbitSigma:
    """One sigma of a position by the age of its element set.

    Parameters
    ----------
    age_h : float
        Time of the photograph minus the epoch, hours; negative for a set issued afterwards.
    """
    before = age_h > 0.0
    days = abs(age_h) / 24.0
    along = _sigma(ALONG_BEFORE_KM if before else ALONG_AFTER_KM, days)
    return OrbitSigma(
        along_km=min(max(along, FLOOR_KM), ALONG_UNKNOWN_KM),
        cross_km=max(_sigma(CROSS_BEFORE_KM if before else CROSS_AFTER_KM, days), FLOOR_KM),
        radial_km=max(_sigma(RADIAL_BEFORE_KM if before else RADIAL_AFTER_KM, days), FLOOR_KM),
    )


def along_track_p90_km(age_days: ArrayLike) -> FloatArray:
    """Along-track error (km) that one set in ten exceeds, by its age in days of either sign."""
    return _by_age(ALONG_BEFORE_KM[1], np.abs(np.asarray(age_days, float)))


def _sigma(median_and_p90_km: FloatArray, days: float) -> float:
    sigma_km = np.maximum(1.4826 * median_and_p90_km[0], median_and_p90_km[1] / 1.645)
    return float(_by_age(sigma_km, days))


def _by_age(values_km: FloatArray, days: ArrayLike) -> FloatArray:
    """Interpolate straight between logarithms; flat below the table, the last slope above it."""
    age = np.log(np.maximum(np.asarray(days, float), AGE_DAYS[0]))
    table_age, table_value = np.log(AGE_DAYS), np.log(values_km)
    slope = (table_value[-1] - table_value[-2]) / (table_age[-1] - table_age[-2])
    beyond = np.maximum(age - table_age[-1], 0.0) * slope
    return np.exp(np.interp(age, table_age, table_value) + beyond)
