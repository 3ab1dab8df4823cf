"""Where element sets of any age may have lost the station along its orbit, as a few weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from regengine.blind.station_history import REACH_DAYS
from regengine.offset_belief import EDGES_KM, slide_belief
from regengine.orbit_uncertainty import orbit_sigma

FloatArray = NDArray[np.float64]

AGES_DAYS = np.geomspace(0.1, REACH_DAYS, 60)
# Shares of the belief that are told as one place and its spread each, finer in the tails
CUTS = np.array(
    [
        *(0, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.5),
        *(0.6, 0.75, 0.85, 0.9, 0.925, 0.95, 0.965, 0.98, 0.99, 0.995, 1.0),
    ]
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Slides:
    """Along, across and above the orbit; rows are passes, columns parts of the belief.

    Attributes
    ----------
    share : ndarray of float64, shape (k,)
        Probability of each part.
    ahead_km, spread_km : ndarray of float64, shape (n, k)
        How far ahead of where the set has it the station was, and one sigma of that.
    cross_km, radial_km : ndarray of float64, shape (n,)
        One sigma of what remains across the orbit and above it.
    """

    share: FloatArray
    ahead_km: FloatArray
    spread_km: FloatArray
    cross_km: FloatArray
    radial_km: FloatArray


def slides(age_h: FloatArray) -> Slides:
    """What is believed of orbits by the ages of their sets, hours, positive for older sets."""
    centre, spread, cross, radial = _tables()
    side = (age_h <= 0.0).astype(int)
    near = np.log(np.maximum(np.abs(age_h) / 24.0, AGES_DAYS[0]))
    step = np.log(AGES_DAYS[1] / AGES_DAYS[0])
    row = np.rint((near - np.log(AGES_DAYS[0])) / step).astype(int)
    row = np.clip(row, 0, len(AGES_DAYS) - 1)
    return Slides(
        share=np.diff(CUTS),
        ahead_km=centre[side, row],
        spread_km=spread[side, row],
        cross_km=cross[side, row],
        radial_km=radial[side, row],
    )


@lru_cache(maxsize=1)
def _tables() -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """By side (older sets, younger sets) and age: places, spreads, sigmas across and in height."""
    count = (2, len(AGES_DAYS))
    centre, spread = (np.empty((*count, len(CUTS) - 1)) for _ in range(2))
    cross, radial = np.empty(count), np.empty(count)
    for side, sign in enumerate((1.0, -1.0)):
        for row, age in enumerate(AGES_DAYS.tolist()):
            sigma = orbit_sigma(sign * 24.0 * age)
            below = slide_belief(sigma.along_km, before=sign > 0.0).cumulative
            inner = np.flatnonzero(np.diff(below) > 0.0)
            kept = np.concatenate([inner, [inner[-1] + 1]])
            edges = np.interp(CUTS * below[-1], below[kept], EDGES_KM[kept])
            centre[side, row] = 0.5 * (edges[1:] + edges[:-1])
            spread[side, row] = np.diff(edges) / np.sqrt(12.0)
            cross[side, row], radial[side, row] = sigma.cross_km, sigma.radial_km
    return centre, spread, cross, radial
