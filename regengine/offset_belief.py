"""How far along its orbit the camera may have been from where clock and orbit have it.

Element sets err with a heavy tail, nearly always to one side: a reboost lifts the station, which
then falls behind, and a set issued after it has the station, before it, too far ahead as well.
Clocks are mostly right to seconds, some to minutes. The belief is the sum of both, as shares of a
line.

The numbers for element sets are those of ``python -m benchmarks orbit-uncertainty``
(``benchmarks/results/orbit-uncertainty.md``, "On which side"): 15,626 sets of the ISS, 1998-2026.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regengine.orbit_uncertainty import AGE_DAYS, orbit_sigma

FloatArray = NDArray[np.float64]

BIN_KM = 20.0
HALF_ORBIT_KM = 21_300.0
LEVELS = np.array([0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.995])
# Rows: ages as in `AGE_DAYS`, to 120 days, beyond which nothing is known. Columns: quantiles at
# `LEVELS` of the distance from where the set has the station to where it was, kilometres.
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
# Of clocks within two minutes: six in nine fresh element sets' frames lay within 8 s of the orbit,
# the others 18, 32 and 65 s from it; for seven in ten this sigma, the rest anywhere
CLOCK_CORE_SIGMA_S = 10.0
CLOCK_CORE_SHARE = 0.7
# The last half percent on either side lies within so many times the farthest quantile
BEYOND_TABLE = 1.5
# Where a set's drag is none of air, usual drag says how far it is off; the station was at these
# shares of that ("Sets with unusual drag" on the same page, 800 km and more; quartiles, and chosen
# ends, for the tails are those of all sets of that age)
DRAG_LEVELS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
DRAG_SHARES = np.array([0.0, 0.4, 0.89, 1.24, 1.6])
LEAST_DRAG_SHIFT_KM = 300.0
# A nadir that was written down is within its sigma or anywhere within three
NADIR_CORE_SHARE = 0.85
NADIR_REACH_SIGMAS = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class OffsetBelief:
    """Probability of places along a track.

    Attributes
    ----------
    cumulative : ndarray of float64, shape (n + 1,)
        Probability of offsets below each edge of the bins, which are `BIN_KM` wide and centred on
        multiples of it.
    reach_km : float
        Offsets beyond this have none.
    """

    cumulative: FloatArray
    reach_km: float

    def share(self, first_km: ArrayLike, last_km: ArrayLike) -> FloatArray:
        """Probability of the offsets between two, kilometres along the track."""
        below = np.interp([first_km, last_km], EDGES_KM, self.cumulative)
        return np.asarray(below[1] - below[0])


def belief_of(shares: FloatArray, reach_km: float) -> OffsetBelief:
    """A belief from the shares of the bins."""
    reach_km = min(reach_km, HALF_ORBIT_KM)
    kept = np.where(np.abs(CENTRES_KM) <= reach_km + 0.5 * BIN_KM, shares, 0.0)
    return OffsetBelief(cumulative=np.concatenate([[0.0], np.cumsum(kept)]), reach_km=reach_km)


def slide_belief(sigma_km: float, *, before: bool) -> OffsetBelief:
    """Where an element set may have lost the station along its orbit.

    Parameters
    ----------
    sigma_km : float
        One sigma along the track; it stands for the set's age (`orbit_sigma`).
    before : bool
        Whether the set was issued before the photograph.

    Returns
    -------
    OffsetBelief
        Of the quantiles measured at that age; between them the cumulative probability runs
        straight over the inverse hyperbolic sine of the offset, which is its logarithm far out.
    """
    table = SLIDE_BEFORE_KM if before else SLIDE_AFTER_KM
    ages_h = 24.0 * AGE_DAYS[: len(table)]
    sigmas = np.array([orbit_sigma(age if before else -age).along_km for age in ages_h])
    row = float(np.interp(np.log(max(sigma_km, 1e-3)), np.log(sigmas), np.arange(len(table))))
    core = np.interp(row, np.arange(len(table)), 0.5 * (table[:, 6] - table[:, 4]))
    stretched = np.arcsinh(table / core)
    low = min(int(row), len(table) - 2)
    quantiles = stretched[low] + (row - low) * (stretched[low + 1] - stretched[low])
    shrunk = min(1.0, sigma_km / sigmas[0])  # fresher than any that was measured
    quantiles = np.arcsinh(shrunk * np.sinh(quantiles))
    reach_km = BEYOND_TABLE * float(core * np.sinh(np.abs(quantiles).max()))
    ends = np.arcsinh(reach_km / core) * np.array([-1.0, 1.0])
    nodes = np.concatenate([ends[:1], quantiles, ends[1:]])
    below = np.interp(np.arcsinh(EDGES_KM / core), nodes, np.concatenate([[0.0], LEVELS, [1.0]]))
    return belief_of(np.diff(below), reach_km)


def with_drag(slide: OffsetBelief, shift_km: float) -> OffsetBelief:
    """Where an element set may have lost the station whose drag term is out of the ordinary.

    Parameters
    ----------
    slide : OffsetBelief
        Of a set of its age.
    shift_km : float
        How far along the orbit typical drag has the station from where the set has it.

    Returns
    -------
    OffsetBelief
    """
    if abs(shift_km) < LEAST_DRAG_SHIFT_KM:
        return slide
    shift = np.abs(np.diff(np.interp(EDGES_KM / shift_km, DRAG_SHARES, DRAG_LEVELS)))
    farthest_km = float(DRAG_SHARES[-1]) * abs(shift_km)
    return with_clock(slide, shift / shift.sum(), farthest_km)


def nadir_belief(sigma_km: float) -> OffsetBelief:
    """Where a camera may have been along the track through a nadir that was written down."""
    from scipy.special import ndtr

    reach_km = NADIR_REACH_SIGMAS * sigma_km
    spread = (EDGES_KM + reach_km) / max(2.0 * reach_km, 1e-6)
    core = ndtr(EDGES_KM / max(sigma_km, 1e-6))
    below = NADIR_CORE_SHARE * core + (1.0 - NADIR_CORE_SHARE) * np.clip(spread, 0.0, 1.0)
    return belief_of(np.diff(below), reach_km)


def with_clock(
    slide: OffsetBelief, clock: FloatArray, widest_km: float, least_km: float = 0.0
) -> OffsetBelief:
    """The sum of a slide and what the clock moves the station by.

    Parameters
    ----------
    slide : OffsetBelief
    clock : ndarray of float64, shape (n,)
        Shares of the bins.
    widest_km : float
        Beyond this they are zero.
    least_km : float
        Smaller offsets are left out: others stand for them.

    Returns
    -------
    OffsetBelief
    """
    both = np.convolve(np.diff(slide.cumulative), clock, mode="same")
    both[np.abs(CENTRES_KM) < least_km] = 0.0
    return belief_of(both, slide.reach_km + widest_km)


def mixed(first: OffsetBelief, second: OffsetBelief, odds: float) -> OffsetBelief:
    """Either of two beliefs, the second so many times as probable as the first."""
    cumulative = (first.cumulative + odds * second.cumulative) / (1.0 + odds)
    return OffsetBelief(cumulative=cumulative, reach_km=max(first.reach_km, second.reach_km))


def usual_clock(widest_km: float, speed_km_s: float) -> FloatArray:
    """Shares of the bins for a clock that is meant to be right, within a bound."""
    from scipy.special import ndtr

    cut = np.clip(EDGES_KM, -widest_km, widest_km)
    core = np.diff(ndtr(cut / (CLOCK_CORE_SIGMA_S * speed_km_s)))
    core[np.abs(CENTRES_KM) < 0.5 * BIN_KM] += max(1.0 - core.sum(), 0.0)
    return CLOCK_CORE_SHARE * core + (1.0 - CLOCK_CORE_SHARE) * even(0.0, widest_km)


def even(least_km: float, most_km: float) -> FloatArray:
    """Shares of the bins for offsets anywhere between two sizes, on either side."""
    inner, outer = (
        np.diff(np.clip(EDGES_KM, -size, size)) for size in (least_km, max(most_km, BIN_KM))
    )
    shares = outer - inner
    return np.asarray(shares / max(shares.sum(), 1e-9))
