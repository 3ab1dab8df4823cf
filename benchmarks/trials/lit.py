"""Where the lights are, coarsely: what a photograph may aim at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.types import FloatArray

HALVES: dict[str, tuple[str, ...]] = {"train": ("Africa", "Asia"), "test": ("Europe", "Oceania")}

# From the Atlantic to the Bosporus, between Europe and what lies south and east of it.
_MEDITERRANEAN = (
    *((-35.0, 35.9), (-5.6, 35.95), (-3.0, 36.1), (0.0, 37.1), (4.0, 38.0), (9.0, 38.3)),
    *((11.4, 37.6), (11.5, 36.4), (12.0, 35.1), (15.0, 35.2), (20.0, 34.4), (23.5, 34.2)),
    *((26.8, 34.7), (28.4, 35.7), (28.3, 36.5), (27.3, 36.7), (27.4, 36.97), (27.0, 37.4)),
    *((27.1, 37.75), (26.5, 38.0), (26.2, 38.35), (26.3, 38.8), (26.65, 39.2), (26.4, 39.43)),
    *((25.9, 39.7), (26.1, 40.02), (26.7, 40.38), (27.5, 40.7), (28.9, 40.95), (29.08, 41.12)),
)
_BLACK_SEA_TO_ARCTIC = (
    *((29.2, 41.4), (31.0, 42.5), (37.5, 43.6), (39.7, 43.35), (41.0, 43.55), (43.0, 42.9)),
    *((45.0, 42.6), (46.5, 41.85), (48.6, 41.85), (50.0, 44.5), (51.6, 46.7), (51.4, 51.3)),
    *((55.0, 51.0), (59.0, 50.7), (60.0, 52.0), (60.0, 80.0)),
)
_EUROPE = (*_MEDITERRANEAN, *_BLACK_SEA_TO_ARCTIC, (-35.0, 80.0))
_AFRICA = (
    *_MEDITERRANEAN[:12],
    *((30.0, 33.0), (32.4, 32.0), (32.35, 31.0), (32.55, 29.95), (33.4, 28.3), (34.2, 27.5)),
    *((35.7, 25.5), (37.5, 21.5), (39.7, 17.5), (41.8, 14.8), (43.3, 12.6), (45.0, 11.9)),
    *((51.5, 12.3), (53.0, 10.0), (60.0, 0.0), (66.0, -20.0), (66.0, -60.0), (-35.0, -60.0)),
)
_OCEANIA = (
    *((100.0, -60.0), (108.0, -22.0), (118.0, -13.5), (124.5, -12.0), (127.5, -9.7)),
    *((131.0, -9.0), (133.0, -7.5), (132.0, -4.5), (129.8, -2.6), (129.3, -0.6), (130.2, 1.5)),
    *((131.5, 8.0), (140.0, 22.0), (181.0, 30.0), (181.0, -60.0)),
)


def continent_of(lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.str_]:
    """Continent of places."""
    lon, lat = np.broadcast_arrays(np.asarray(lon_deg, float), np.asarray(lat_deg, float))
    names = np.full(lon.shape, "Asia", dtype="<U7")
    names[lon < -35.0] = "America"
    names[(lon < -120.0) & (lat < 30.0) & (lat > -60.0)] = "Oceania"
    names[lon < -168.5] = np.where(lat < 30.0, "Oceania", "Asia")[lon < -168.5]
    for name, outline in (("Oceania", _OCEANIA), ("Africa", _AFRICA), ("Europe", _EUROPE)):
        names[_are_inside(outline, lon, lat)] = name
    return names


def _are_inside(
    outline: tuple[tuple[float, float], ...], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Points within a polygon of straight lines in longitude and latitude (even-odd rule)."""
    inside = np.zeros(lon.shape, bool)
    for (x1, y1), (x2, y2) in zip(outline, (*outline[1:], outline[0]), strict=True):
        if y1 == y2:
            continue
        spans = (y1 > lat) != (y2 > lat)
        inside ^= spans & (lon < x1 + (lat - y1) / (y2 - y1) * (x2 - x1))
    return inside


EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Cells of a grid of degrees and the light in them."""

    # lon and lat: shape (n,): Centres, degrees
    lon: FloatArray
    lat: FloatArray
    power: FloatArray  # shape (n,): Sum of radiance times area, nW cm^-2 sr^-1 km^2
    continent: NDArray[np.str_]  # shape (n,)
    step_deg: float

    def take(self, chosen: NDArray[np.bool_]) -> Cells:
        """The chosen cells."""
        columns = {n: getattr(self, n)[chosen] for n in ("lon", "lat", "power", "continent")}
        return Cells(**columns, step_deg=self.step_deg)


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
