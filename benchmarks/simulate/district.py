"""Brightness of districts within towns: partly lasting, partly of one state of the lights."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.lamps import Realisation
from benchmarks.simulate.noise_field import GroundNoise, fractal_tile

FloatArray = NDArray[np.float64]


@lru_cache(maxsize=8)
def _noise(number: int) -> GroundNoise:
    tile = fractal_tile(np.random.default_rng([40, number]), 512, 0.9)
    return GroundNoise(tile=tile, spacing_km=0.45, lat0_deg=40.0, turn_deg=31.0 * number)


def district_gain(
    lon_deg: FloatArray, lat_deg: FloatArray, realisation: Realisation, *, common_sigma: float
) -> FloatArray:
    """Factors of about unit mean that vary over districts of about a kilometre.

    Parameters
    ----------
    lon_deg, lat_deg : ndarray, shape (n,)
    realisation : Realisation
        Its ``district_sigma`` is the spread of its own part.
    common_sigma : float
        Spread (natural logarithm) of the part that all realisations share.

    Returns
    -------
    ndarray, shape (n,)
    """
    own = realisation.district_sigma
    spread = own * _noise(realisation.number).at(lon_deg, lat_deg)
    if common_sigma > 0.0:
        spread += common_sigma * _noise(0).at(lon_deg, lat_deg)
    return np.asarray(np.exp(spread - 0.5 * (common_sigma**2 + own**2)))
