"""Where and when city lights are photographed: how lit the ground is, and how low the Sun.

A stale element set or a wrong clock leaves tens of thousands of kilometres of track. Most of it is
ocean, and a part of the rest is in twilight: few frames are taken there, so it is looked at later.

The numbers are those of 9,403 archive records of night frames, 2003-2014, against the time that an
orbit of 51.6 degrees inclination spends (20,000 places; 4,000 moments): logarithms of the ratio.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.earth import ecef_to_geodetic
from matchers.light_grid import LightGrid
from regengine.registration.windows import HasOverview

# Half of the located photos show a city less than 315 km from the nadir, nine in ten less than
# 1,134 km. Records tell the orbit's places apart best with 400 km (1.3 nats) and as well with 800
# (1.2; 1,500 km: 1.1); obliques ask for the larger
REACH_KM = 800.0
# Pixels of the overview that is read, and cells that it is summed in
OVERVIEW_DEG, CELL_DEG = 0.5, 1.0
# Decimal logarithm of the light within reach, the sum of map values times square kilometres
LIGHT_DEX = np.array([2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5.25])
LIGHT_SURPRISE = np.array([3.2, 2.0, 1.6, 0.7, 0.0, -1.1, -2.1])
# The Sun's elevation at the nadir, degrees. Above the horizon there is no record: chosen
SUN_DEG = np.array([-27.5, -22.5, -17.5, -12.5, -7.5, -2.5, 10.0])
SUN_SURPRISE = np.array([0.0, 0.6, 1.9, 2.4, 2.6, 3.1, 4.5])
LEAST_PLACE_SURPRISE = float(LIGHT_SURPRISE.min() + SUN_SURPRISE.min())


@dataclass(frozen=True, kw_only=True, eq=False)
class LitGround:
    """How much light lies within reach of every place.

    dex, shape (180, 360): Decimal logarithm of one plus the sum of map values times square
        kilometres, by degrees of latitude from the south pole and of longitude from 180 degrees
        west.
    """

    dex: FloatArray

    def surprise(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> FloatArray:
        """How unlikely night frames are above places, as a negative log-probability ratio."""
        row = np.clip(((np.asarray(lat_deg, float) + 90.0) / CELL_DEG).astype(int), 0, 179)
        col = ((np.asarray(lon_deg, float) + 180.0) / CELL_DEG).astype(int) % 360
        return np.asarray(np.interp(self.dex[row, col], LIGHT_DEX, LIGHT_SURPRISE), np.float64)


def lit_ground(light_map: HasOverview) -> LitGround | None:
    """Sum up a map's light around every place."""
    overview = light_map.overview(OVERVIEW_DEG)
    return (
        None if overview is None else LitGround(dex=np.log10(1.0 + within_reach(cells(overview))))
    )


def cells(overview: LightGrid) -> FloatArray:
    """Sum of map values times square kilometres in cells of a degree, shape (180, 360)."""
    row, col = np.nonzero(overview.values)
    lat = overview.lat0_deg - overview.step_deg * row
    lon = overview.lon0_deg + overview.step_deg * col
    light = overview.values[row, col] * np.cos(np.radians(lat))
    which = np.floor(lat + 90.0).clip(0, 179) * 360 + np.floor(lon + 180.0) % 360
    summed = np.bincount(which.astype(int), light, minlength=180 * 360).astype(np.float64)
    return summed.reshape(180, 360) * (overview.step_deg * KM_PER_DEGREE) ** 2


def within_reach(light: FloatArray) -> FloatArray:
    """Sums over all cells whose middle lies within `REACH_KM` of each cell's, same shape."""
    reach = REACH_KM / EARTH_RADIUS_KM
    lat = np.radians(np.arange(180) - 89.5)
    columns = np.arange(360)
    below = np.concatenate([np.zeros((180, 1)), np.cumsum(np.tile(light, 3), axis=1)], axis=1)
    total = np.zeros_like(light)
    for apart in range(-int(np.degrees(reach)), int(np.degrees(reach)) + 1):
        here = np.flatnonzero((np.arange(180) + apart >= 0) & (np.arange(180) + apart < 180))
        there = here + apart
        cosine = (np.cos(reach) - np.sin(lat[here]) * np.sin(lat[there])) / (
            np.cos(lat[here]) * np.cos(lat[there])
        )
        half = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).astype(int)
        # A circle around a pole holds whole rows, once
        first = np.maximum(columns - half[:, None], columns - 180) + 360
        last = np.minimum(columns + half[:, None], columns + 179) + 361
        total[here] += below[there[:, None], last] - below[there[:, None], first]
    return np.maximum(total, 0.0)


def place_surprise(
    positions_ecef_m: FloatArray, lit: LitGround | None, sun: FloatArray
) -> FloatArray:
    """How unlikely it is that a night frame was taken from places, as against from others."""
    sine = positions_ecef_m @ sun / np.linalg.norm(positions_ecef_m, axis=1)
    surprise = np.interp(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))), SUN_DEG, SUN_SURPRISE)
    if lit is not None:
        lon, lat, _ = ecef_to_geodetic(positions_ecef_m)
        surprise = lit.surprise(lon, lat) + surprise
    return np.asarray(surprise, np.float64)
