"""Weigh where city lights are photographed, by light, the Sun's elevation and a place they show.

With a stale element set or a wrong clock, tens of thousands of kilometres of track are possible.
Most of it is ocean, and a part of the rest is in twilight. Few frames are taken there, so these
places are tried later.

The values are logarithms of a ratio: the frequency in 9,403 archive records of night frames,
2003-2014, over the time that an orbit of 51.6 degrees inclination spends there (20,000 places;
4,000 moments).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, great_circle_km
from regengine.maps.reference import NightLights
from regengine.photo.frame import Frame

# Half of the located photos show a city less than 315 km from the nadir, nine in ten less than
# 1,134 km. A radius of 400 km discriminates places on the orbit best (1.3 nats), and 800 km hardly
# less (1.2; 1,500 km: 1.1). Oblique views require the larger one
REACH_KM = 800.0
# Decimal logarithm of the light within `REACH_KM`, the sum of map values times square kilometres
LIGHT_DEX = np.array([2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5.25])
LIGHT_NEG_LOG_PRIOR = np.array([3.2, 2.0, 1.6, 0.7, 0.0, -1.1, -2.1])
# The Sun's elevation at the nadir, degrees. No record has the Sun above the horizon, so the last
# value is chosen
SUN_DEG = np.array([-27.5, -22.5, -17.5, -12.5, -7.5, -2.5, 10.0])
SUN_NEG_LOG_PRIOR = np.array([0.0, 0.6, 1.9, 2.4, 2.6, 3.1, 4.5])


@lru_cache(maxsize=4)
def measure_lit_ground(light_map: NightLights) -> FloatArray | None:
    """Measure how much light lies within `REACH_KM` of every place; None without an overview.

    Returns the decimal logarithm of one plus the sum of map values times square kilometres, shape
    (180, 360), by degrees of latitude from the south pole and of longitude from 180 degrees west.
    """
    overview = light_map.overview(0.5)
    if overview is None:
        return None
    row, col = np.nonzero(overview.values)
    lat = overview.lat0_deg - overview.step_deg * row
    lon = overview.lon0_deg + overview.step_deg * col
    light = overview.values[row, col] * np.cos(np.radians(lat))
    which = np.floor(lat + 90.0).clip(0, 179) * 360 + np.floor(lon + 180.0) % 360
    cells = np.bincount(which.astype(int), light, minlength=180 * 360).astype(np.float64)
    cells = cells.reshape(180, 360) * (overview.step_deg * KM_PER_DEGREE) ** 2
    return np.asarray(np.log10(1.0 + sum_within_reach(cells)))


def is_dark(light_map: NightLights) -> bool:
    """Whether a map has no light at all, as far as its overview shows."""
    lit_dex = measure_lit_ground(light_map)
    return lit_dex is not None and not lit_dex.any()


def sum_within_reach(light: FloatArray) -> FloatArray:
    """Sum over all one-degree cells whose centre lies within `REACH_KM` of each cell's centre."""
    reach = REACH_KM / EARTH_RADIUS_KM
    rows, columns = np.arange(180), np.arange(360)
    lat = np.radians(rows - 89.5)
    below = np.concatenate([np.zeros((180, 1)), np.cumsum(np.tile(light, 3), axis=1)], axis=1)
    total = np.zeros_like(light)
    for apart in range(-int(np.degrees(reach)), int(np.degrees(reach)) + 1):
        here = rows[(rows + apart >= 0) & (rows + apart < 180)]
        there = here + apart
        cosine = (np.cos(reach) - np.sin(lat[here]) * np.sin(lat[there])) / (
            np.cos(lat[here]) * np.cos(lat[there])
        )
        half = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).astype(int)
        # A circle around a pole contains whole rows, each counted once
        first = np.maximum(columns - half[:, None], columns - 180) + 360
        last = np.minimum(columns + half[:, None], columns + 179) + 361
        total[here] += below[there[:, None], last] - below[there[:, None], first]
    return np.maximum(total, 0.0)


def weigh_places(
    positions_ecef_m: FloatArray, lit_dex: FloatArray | None, sun: FloatArray
) -> FloatArray:
    """Weigh how unlikely it is that a night frame was taken from places, relative to others.

    Returns a negative log-probability ratio, shape (n,). ``lit_dex``: see `measure_lit_ground`.
    """
    sine = positions_ecef_m @ sun / np.linalg.norm(positions_ecef_m, axis=1)
    sun_deg = np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0)))
    of_sun = np.asarray(np.interp(sun_deg, SUN_DEG, SUN_NEG_LOG_PRIOR), np.float64)
    if lit_dex is None:
        return of_sun
    lon, lat, _ = ecef_to_geodetic(positions_ecef_m)
    row, col = np.clip((lat + 90.0).astype(int), 0, 179), (lon + 180.0).astype(int) % 360
    return np.asarray(np.interp(lit_dex[row, col], LIGHT_DEX, LIGHT_NEG_LOG_PRIOR) + of_sun)


# The distances from the nadir of the places that photos show agree with an exponential distribution
# (half of them less than 315 km, nine in ten less than 1,134 km)
MEAN_AWAY_KM = 454.0
# Probability density of a wrong place: 3 % of given places are wrong, as with other input, and
# these spread over ten times as many places
OUTLIER_SHARE = 0.003


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Some part of the photo shows ground within a radius of a place (lon and lat in degrees)."""

    lon: float
    lat: float
    radius_km: float

    @classmethod
    def of(cls, frame: Frame) -> Seen | None:
        """Make the prior of a frame; None if no place is given for it."""
        if frame.centre is None:
            return None
        lon, lat = frame.centre
        return cls(lon=lon, lat=lat, radius_km=frame.radius_km)

    def weigh(self, positions_ecef_m: FloatArray) -> FloatArray:
        """Weigh how unlikely it is that the camera was at places (n, 3), relative to above it.

        Returns a negative log-probability per area, so the probability of a ring of distances is
        divided by its circumference.
        """
        lon, lat, _ = ecef_to_geodetic(positions_ecef_m)
        away_km = np.asarray(great_circle_km(self.lon, self.lat, lon, lat), float)
        beyond_km = np.maximum(away_km - self.radius_km, 0.0)
        ring = self.radius_km / np.maximum(away_km, self.radius_km)
        share = ring * np.exp(-beyond_km / MEAN_AWAY_KM)
        return np.asarray(-np.log((1.0 - OUTLIER_SHARE) * share + OUTLIER_SHARE))

    def is_shown_by(self, camera: Camera) -> bool:
        """Whether ground within the radius is visible to a camera of the stored image."""
        x, y = np.meshgrid(
            np.linspace(0.0, camera.width_px - 1.0, 25),
            np.linspace(0.0, camera.height_px - 1.0, 25),
        )
        lon, lat = camera.pixel_to_lonlat(x.ravel(), y.ravel())
        seen = np.isfinite(lon)
        if not seen.any():
            return False
        at_x, at_y = camera.lonlat_to_pixel(self.lon, self.lat)
        inside = 0.0 <= at_x < camera.width_px and 0.0 <= at_y < camera.height_px
        away_km = great_circle_km(self.lon, self.lat, lon[seen], lat[seen])
        return bool(inside or away_km.min() <= self.radius_km)
