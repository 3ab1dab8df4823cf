"""Uncertainty of positions from an element set, by its age at the time of the photograph.

Measured by ``python -m benchmarks orbit-uncertainty`` on 9,363 element sets of the ISS, 2003-2026
(``benchmarks/results/orbit-uncertainty.md``). Where the measured numbers fell with age, by chance
of the sample, the larger number of the younger age is used. Along the track, the errors have a
heavy tail, because one set in ten has a reboost between its epoch and the photograph. One sigma is
therefore the larger of 1.4826 times the median and the 90 % quantile divided by 1.645. Both would
be sigma if the errors were normal; nearly always the second is the larger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from detectors.types import FloatArray

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
# Across the track and in height, measured where the set's orbit is nearest to the true position.
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
# The "true" positions are element sets at their own epochs, which are accurate to about this much.
FLOOR_KM = 0.3

BIN_KM = 20.0  # of an offset along the track
HALF_ORBIT_KM = 21_300.0  # half of 2 pi times 6,780 km
LEVELS = np.array([0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.995])
# Rows: ages as in `AGE_DAYS`, to 120 days, beyond which nothing is known. Columns: quantiles at
# `LEVELS` of the distance from the predicted to the true position of the station, kilometres.
# BEFORE: the set was issued before the photograph.
SLIDE_BEFORE_KM = np.array(
    [
        [-47.7, -10.3, -3.07, -1.57, -0.344, 0.0124, 0.378, 1.31, 2.63, 5.6, 16.7],
        [-169, -19.1, -5.12, -2.58, -0.772, -0.00504, 0.685, 2.27, 4.3, 8.2, 23.7],
        [-511, -80.5, -16.6, -6.59, -1.59, -0.0408, 1.19, 4.01, 7.08, 15.2, 42.9],
        [-989, -238, -58, -16, -3.4, -0.179, 2.78, 9.34, 17.8, 39.7, 150],
        [-3280, -861, -239, -61.6, -9.21, -0.452, 6.68, 21.2, 41.4, 96.6, 441],
        [-5490, -1940, -710, -212, -24.8, -1.34, 14.7, 44.6, 86.9, 215, 1310],
        [-8220, -3550, -1560, -622, -68.6, -5.72, 29.1, 88.4, 171, 455, 3010],
        [-13300, -6840, -3130, -1400, -181, -15.5, 58.1, 172, 325, 850, 5900],
        [-16600, -10600, -5860, -3110, -531, -50.5, 114, 362, 722, 2300, 14400],
        [-19200, -14800, -9520, -5620, -1310, -162, 224, 847, 1900, 9320, 18600],
        [-20300, -17700, -13300, -8950, -2930, -525, 516, 2380, 7680, 16800, 20200],
        [-20600, -18900, -16000, -12300, -5440, -1170, 1570, 8010, 14600, 18800, 20600],
        [-21000, -20200, -18500, -15900, -9350, -2190, 7300, 15600, 18400, 20200, 21000],
        [-21000, -20500, -19300, -17300, -11500, -877, 10600, 17200, 19300, 20500, 21100],
    ]
)
SLIDE_AFTER_KM = np.array(
    [
        [-26.3, -4.57, -1.72, -0.896, -0.242, -0.00171, 0.274, 0.871, 1.96, 7.39, 43.6],
        [-74.4, -4.46, -1.77, -1.03, -0.373, -0.00235, 0.361, 0.974, 1.47, 2.87, 14.5],
        [-367, -33, -3.37, -1.4, -0.496, -0.0175, 0.463, 1.17, 2.06, 4.39, 19.7],
        [-1390, -214, -26.1, -3.4, -0.672, 0.00147, 0.604, 1.76, 4.47, 16.3, 73.9],
        [-3600, -887, -198, -18.6, -1.05, -0.00191, 0.822, 3.23, 13.6, 40.4, 211],
        [-5160, -1770, -620, -123, -3.29, -0.0715, 1.64, 11.4, 36.8, 119, 669],
        [-8900, -3960, -1630, -508, -18.9, -0.412, 5.12, 33.5, 93.4, 268, 1560],
        [-13100, -6740, -3060, -1250, -89.8, -4.1, 17.6, 85.8, 219, 669, 5020],
        [-17100, -10900, -5660, -2730, -356, -22.7, 49.2, 222, 534, 1900, 14500],
        [-19000, -14300, -9200, -5120, -1190, -112, 113, 574, 1590, 9130, 18800],
        [-20100, -17300, -12700, -8280, -2710, -435, 310, 1780, 6880, 16000, 20000],
        [-20600, -18800, -15900, -12400, -5540, -1190, 1010, 6740, 14300, 18600, 20600],
        [-21000, -20200, -18700, -16200, -9740, -2740, 6370, 15600, 18400, 20100, 21000],
        [-21000, -20400, -19200, -17200, -11200, -733, 10700, 17100, 19200, 20400, 21100],
    ]
)
CENTRES_KM = BIN_KM * np.arange(-round(HALF_ORBIT_KM / BIN_KM), round(HALF_ORBIT_KM / BIN_KM) + 1)
EDGES_KM = np.append(CENTRES_KM - 0.5 * BIN_KM, CENTRES_KM[-1] + 0.5 * BIN_KM)
# Of clocks within two minutes: with fresh element sets, six in nine frames were within 8 s of the
# orbit, the others 18, 32 and 65 s from it. Seven in ten have this sigma, the rest is uniform
CLOCK_CORE_SIGMA_S = 10.0
CLOCK_CORE_SHARE = 0.7
# For a set whose drag is physically implausible, typical drag gives the size of its error. The
# station was at these shares of that ("Sets with unusual drag" on the same page, 800 km and more;
# quartiles, and chosen ends, because the tails are those of all sets of that age)
DRAG_LEVELS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
DRAG_SHARES = np.array([0.0, 0.4, 0.89, 1.24, 1.6])
MIN_DRAG_SHIFT_KM = 300.0  # two or three hypotheses
# A recorded nadir is either within its sigma or uniform within three
NADIR_CORE_SHARE = 0.85
NADIR_REACH_SIGMAS = 3.0


def orbit_sigma(age_h: float) -> tuple[float, float, float]:
    """Return one sigma of a position from an element set by its age, hours; kilometres.

    The age is negative if the set was issued afterwards. The first is a distance along the orbit
    (7.66 km a second); the others are the remaining distances across and in height, at the correct
    place along the orbit.
    """
    tables_km = ALONG_AFTER_KM, CROSS_AFTER_KM, RADIAL_AFTER_KM
    if age_h > 0.0:
        tables_km = ALONG_BEFORE_KM, CROSS_BEFORE_KM, RADIAL_BEFORE_KM
    sigmas_km = (np.maximum(1.4826 * median, p90 / 1.645) for median, p90 in tables_km)
    along_km, cross_km, radial_km = (
        max(float(interpolate_by_age(sigma_km, abs(age_h) / 24.0)), FLOOR_KM)
        for sigma_km in sigmas_km
    )
    # Unknown place along the orbit: uniform over half an orbit (21,300 km) either way, with a
    # standard deviation of 21,300 / sqrt(3)
    return min(along_km, 12300.0), cross_km, radial_km


def interpolate_by_age(values_km: FloatArray, days: ArrayLike) -> FloatArray:
    """Interpolate linearly in log-log; constant below the table, with the last slope above it."""
    age = np.log(np.maximum(np.asarray(days, float), AGE_DAYS[0]))
    table_age, table_value = np.log(AGE_DAYS), np.log(values_km)
    slope = (table_value[-1] - table_value[-2]) / (table_age[-1] - table_age[-2])
    beyond = np.maximum(age - table_age[-1], 0.0) * slope
    return np.exp(np.interp(age, table_age, table_value) + beyond)


@dataclass(frozen=True, kw_only=True, eq=False)
class OffsetBelief:
    """Probability distribution of the offset along a track.

    ``cumulative``, shape (n + 1,), is the cumulative probability at each edge of the bins, which
    are `BIN_KM` wide and centred on multiples of it.
    """

    cumulative: FloatArray
    reach_km: float  # offsets beyond this have zero probability

    def share(self, first_km: ArrayLike, last_km: ArrayLike) -> FloatArray:
        """Return the probability of offsets between two values, kilometres along the track."""
        below = np.interp([first_km, last_km], EDGES_KM, self.cumulative)
        return np.asarray(below[1] - below[0])


def make_belief(shares: FloatArray, reach_km: float) -> OffsetBelief:
    reach_km = min(reach_km, HALF_ORBIT_KM)
    within_reach = np.where(np.abs(CENTRES_KM) <= reach_km + 0.5 * BIN_KM, shares, 0.0)
    return OffsetBelief(
        cumulative=np.concatenate([[0.0], np.cumsum(within_reach)]), reach_km=reach_km
    )


def make_slide_belief(sigma_km: float, *, before: bool) -> OffsetBelief:
    """Return the distribution of an element set's error along its orbit.

    One sigma along the track represents the set's age (`orbit_sigma`); ``before`` indicates whether
    it was issued before the photograph. Between the quantiles measured at that age, the cumulative
    probability is linear in the inverse hyperbolic sine of the offset, which approaches its
    logarithm for large offsets.
    """
    table = SLIDE_BEFORE_KM if before else SLIDE_AFTER_KM
    ages_h = 24.0 * AGE_DAYS[: len(table)]
    sigmas = np.array([orbit_sigma(age if before else -age)[0] for age in ages_h])
    row = float(np.interp(np.log(max(sigma_km, 1e-3)), np.log(sigmas), np.arange(len(table))))
    core = np.interp(row, np.arange(len(table)), 0.5 * (table[:, 6] - table[:, 4]))
    stretched = np.arcsinh(table / core)
    low = min(int(row), len(table) - 2)
    quantiles = stretched[low] + (row - low) * (stretched[low + 1] - stretched[low])
    shrunk = min(1.0, sigma_km / sigmas[0])  # fresher than any measured set
    quantiles = np.arcsinh(shrunk * np.sinh(quantiles))
    # The last half percent on either side extends to this multiple of the farthest quantile
    reach_km = 1.5 * float(core * np.sinh(np.abs(quantiles).max()))
    ends = np.arcsinh(reach_km / core) * np.array([-1.0, 1.0])
    nodes = np.concatenate([ends[:1], quantiles, ends[1:]])
    below = np.interp(np.arcsinh(EDGES_KM / core), nodes, np.concatenate([[0.0], LEVELS, [1.0]]))
    return make_belief(np.diff(below), reach_km)


def with_drag(slide: OffsetBelief, shift_km: float) -> OffsetBelief:
    """Return the distribution of an element set's error if its drag term is unusual.

    ``shift_km`` is the shift along the orbit if the set's drag is replaced by typical drag.
    """
    if abs(shift_km) < MIN_DRAG_SHIFT_KM:
        return slide
    shift = np.abs(np.diff(np.interp(EDGES_KM / shift_km, DRAG_SHARES, DRAG_LEVELS)))
    farthest_km = float(DRAG_SHARES[-1]) * abs(shift_km)
    return with_clock(slide, shift / shift.sum(), farthest_km)


def make_nadir_belief(sigma_km: float) -> OffsetBelief:
    """Return the distribution of a camera's place along the track through a recorded nadir."""
    from scipy.special import ndtr

    reach_km = NADIR_REACH_SIGMAS * sigma_km
    spread = (EDGES_KM + reach_km) / max(2.0 * reach_km, 1e-6)
    core = ndtr(EDGES_KM / max(sigma_km, 1e-6))
    below = NADIR_CORE_SHARE * core + (1.0 - NADIR_CORE_SHARE) * np.clip(spread, 0.0, 1.0)
    return make_belief(np.diff(below), reach_km)


def with_clock(
    slide: OffsetBelief, clock: FloatArray, widest_km: float, least_km: float = 0.0
) -> OffsetBelief:
    """Return the distribution of the sum of an element set's error and the clock's shift.

    ``clock`` is the share of each bin for the clock's shift, shape (n,), zero beyond ``widest_km``.
    Offsets smaller than ``least_km`` are excluded: other hypotheses cover them.
    """
    both = np.convolve(np.diff(slide.cumulative), clock, mode="same")
    both[np.abs(CENTRES_KM) < least_km] = 0.0
    return make_belief(both, slide.reach_km + widest_km)


def usual_clock(widest_km: float, speed_km_s: float) -> FloatArray:
    """Return the shares of the bins for a clock that is nominally right, within a limit."""
    from scipy.special import ndtr

    cut = np.clip(EDGES_KM, -widest_km, widest_km)
    core = np.diff(ndtr(cut / (CLOCK_CORE_SIGMA_S * speed_km_s)))
    core[np.abs(CENTRES_KM) < 0.5 * BIN_KM] += max(1.0 - core.sum(), 0.0)
    return CLOCK_CORE_SHARE * core + (1.0 - CLOCK_CORE_SHARE) * even(0.0, widest_km)


def even(least_km: float, most_km: float) -> FloatArray:
    """Return the shares of the bins for a uniform offset between two sizes, of either sign."""
    inner, outer = (
        np.diff(np.clip(EDGES_KM, -size, size)) for size in (least_km, max(most_km, BIN_KM))
    )
    shares = outer - inner
    return np.asarray(shares / max(shares.sum(), 1e-9))
