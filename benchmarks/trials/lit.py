"""Where the lights are, coarsely: what a photograph may aim at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.trials.continents import continent_of

FloatArray = NDArray[np.float64]

EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Cells of a grid of degrees and the light in them.

    Attributes
    ----------
    lon, lat : ndarray of float64, shape (n,)
        Centres, degrees.
    power : ndarray of float64, shape (n,)
        Sum of radiance times area, nW cm^-2 sr^-1 km^2.
    continent : ndarray of str, shape (n,)
    step_deg : float
    """

    lon: FloatArray
    lat: FloatArray
    power: FloatArray
    continent: NDArray[np.str_]
    step_deg: float

    def take(self, chosen: NDArray[np.bool_]) -> Cells:
        """The chosen cells."""
        return Cells(
            lon=self.lon[chosen],
            lat=self.lat[chosen],
            power=self.power[chosen],
            continent=self.continent[chosen],
            step_deg=self.step_deg,
        )


def cells_of(power: FloatArray, *, west: float, north: float, step_deg: float) -> Cells:
    """All cells of a grid, lit and dark, row 0 in the north."""
    row, col = np.indices(power.shape)
    lon = (west + (col.ravel() + 0.5) * step_deg + 180.0) % 360.0 - 180.0
    lat = north - (row.ravel() + 0.5) * step_deg
    return Cells(
        lon=np.asarray(lon, np.float64),
        lat=np.asarray(lat, np.float64),
        power=power.ravel().astype(float),
        continent=continent_of(lon, lat),
        step_deg=step_deg,
    )


def distance_km(
    lon_deg: FloatArray | float, lat_deg: FloatArray | float, lons: FloatArray, lats: FloatArray
) -> FloatArray:
    """Great-circle distances on the sphere (0.5 % are of no matter in choosing targets)."""
    lat1, lat2 = np.radians(lat_deg), np.radians(lats)
    half = (
        np.sin((lat2 - lat1) / 2.0) ** 2
        + np.cos(lat1) * np.cos(lat2) * np.sin(np.radians(lons - lon_deg) / 2.0) ** 2
    )
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))


def ground_distance_km(off_nadir_deg: float, height_m: float) -> float:
    """Distance from the nadir to the ground seen so far off it; to the horizon beyond that."""
    radius_m = 1000.0 * EARTH_RADIUS_KM
    sine = (1.0 + height_m / radius_m) * np.sin(np.radians(off_nadir_deg))
    incidence = np.arcsin(min(float(sine), 1.0))
    return float((incidence - np.radians(min(off_nadir_deg, 71.0))) * EARTH_RADIUS_KM)
