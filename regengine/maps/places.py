"""Parse places; towns near a place, by name or in a box; map outlines; light of the ground."""

from __future__ import annotations

import json
import math
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, cached_property
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE
from detectors.types import FloatArray
from matchers.geometry.earth import geodetic_to_ecef, incidence_deg, unit_vectors
from matchers.geometry.footprint import MAX_INCIDENCE_DEG, Bounds, find_looked_at
from matchers.geometry.map_grid import MapGrid
from regengine.errors import ConfigError, Option
from regengine.maps.at_hand import FOLDER, check_packaged
from regengine.photo.notations import wrap_lon

if TYPE_CHECKING:
    from scipy.spatial import KDTree

    from matchers.geometry.camera import Camera

# Exceptions due to invalid cameras, from a damaged or foreign store
ABSURD = (ValueError, ArithmeticError, np.linalg.LinAlgError)
MAX_LETTERS = 100  # of what is sought
# Letters that are no others with a mark, and what stands between words
_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ı": "i", "ŧ": "t"}
_PUNCTUATION = re.compile(r"[^\w\n\t]+|_")
_MARKS = re.compile("[\u0300-\u036f\u02b0-\u02ff]")


def fold_letters(text: str) -> str:
    """Fold text to letters without case and accents."""
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    for letter, same in _LETTERS.items():  # ten times faster than by a table
        plain = plain.replace(letter, same)
    return _PUNCTUATION.sub(" ", plain)


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
    def local_name(self) -> str:
        return ", ".join(part for part in (self.name, self.state) if part)

    @property
    def label(self) -> str:
        return ", ".join(part for part in (self.local_name, self.country) if part)


TOWNS = Path(str(files("regengine"))) / "data" / "towns.npz"


MAP_PEOPLE = 15_000  # of towns that are named on maps, and as the nearest of a place
# Of towns that texts name. Shorter names and these words mostly mean something else there: the
# archive calls 481 night frames AURORA
MENTIONED_PEOPLE, MENTIONED_LETTERS = 200_000, 4
NO_MENTION = frozenset({"aurora", "central", "mobile", "nice", "orange", "reading"})
# What may follow a large town's name, as in Frankfurt am Main
_MORE = re.compile(r" (?:city|am|an|de|do|na|on|upon)\b.*")
SAME_TOWN_KM = 10.0  # from the nearest town: within it a place is that town's
# Outside of all, a town of sixteen times the people counts as half as far
NEAREST_TOWNS, POPULATION_POWER = 6, 0.25
FARTHEST_KM = 300.0  # over open sea, no town says where a photo looks
# Of half the picture's diagonal: where a town counts a third of one in the centre, and where one is
# no more what a photo of the sea shows
CENTRE_WEIGHT, OUTER_PART = 0.7, 0.6


class PlaceIndex:
    """Towns of 5,000 people or more, the largest first: GeoNames (geonames.org, CC BY 4.0).

    The file is made by `benchmarks.earth_towns`, which says what is in it. Attributes have shape
    (n,): ``lon``, ``lat``, degrees; ``population``; ``country``, of numbers for `codes` and names;
    ``main``, the row of the largest town of the same country that each is a part of.
    """

    def __init__(self) -> None:
        with np.load(TOWNS) as columns:
            data = {name: columns[name] for name in columns.files if name != "others"}
        self.lon, self.lat = data["lon_e5"] / 1e5, data["lat_e5"] / 1e5
        self.population = data["population"].astype(np.int64)
        self.country, self.main, self._state = data["country"], data["main"], data["state"]
        texts = ("codes", "countries", "states", "names")
        self.codes, self._countries, self._states, self._names = (
            data[name].tobytes().decode().split("\n") for name in texts
        )

    def __len__(self) -> int:
        return len(self.lon)

    def __getitem__(self, number: int) -> Place:
        return Place(
            name=self._names[number],
            country=self._countries[self.country[number]],
            lon=float(self.lon[number]),
            lat=float(self.lat[number]),
            population=int(self.population[number]),
            state=self._states[self._state[number]],
        )

    @cached_property
    def _all_names(self) -> tuple[str, NDArray[np.int64]]:
        """The names of all towns, those of the larger ones in all languages: a line for each town.

        Its names are divided by tabs. One text is searched ten times faster than 300,000 names.
        """
        text = "\n" + self._fold_names(len(self)) + "\n"
        ends = [match.start() for match in re.finditer("\n", text)]
        return text, np.array(ends[:-1])

    def _fold_names(self, most: int) -> str:
        """Fold all names of the largest towns."""
        with np.load(TOWNS) as columns:
            others = zlib.decompress(columns["others"].tobytes()).decode().split("\n")
        others += [""] * (len(self) - len(others))
        names = zip(self._names[:most], others[:most], strict=True)
        return fold_letters("\n".join(map("\t".join, names)))

    @cached_property
    def _large(self) -> dict[str, list[int]]:
        """Names of the towns of `MENTIONED_PEOPLE`, folded: the towns of each, the largest first.

        A name in another language counts where no town has it in English.
        """
        english: dict[str, list[int]] = {}
        others: dict[str, list[int]] = {}
        countries = set(map(fold_letters, self._countries))
        many = int(np.count_nonzero(self.population >= MENTIONED_PEOPLE))
        for number, line in enumerate(self._fold_names(many).split("\n")):
            first, *more = (name.strip() for name in line.split("\t"))
            english.setdefault(first, []).append(number)
            for name in dict.fromkeys((_MORE.sub("", first), *more)):
                if name not in countries and name != first:
                    others.setdefault(name, []).append(number)
        return others | english

    @cached_property
    def directions(self) -> NDArray[np.float64]:
        """Unit vectors of the towns from the centre of the Earth, shape (n, 3)."""
        return unit_vectors(self.lon, self.lat)

    @cached_property
    def tree(self) -> KDTree:
        from scipy.spatial import KDTree

        return KDTree(self.directions[self.population >= MAP_PEOPLE])

    def near(
        self, lon_deg: ArrayLike, lat_deg: ArrayLike
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The towns at many places, and how far they are: a million in some seconds.

        Each is the largest of the same country that the place is a part of, else the nearest, a
        larger one from farther away; -1 for none.
        """
        lon, lat = np.asarray(lon_deg, float), np.asarray(lat_deg, float)
        known = np.isfinite(lon) & np.isfinite(lat)
        numbers = np.full(lon.shape, -1, np.int64)
        distance_km = np.full(lon.shape, np.nan)
        if known.any() and len(self):
            there = unit_vectors(lon[known], lat[known])
            straight, nearest = self.tree.query(there, k=NEAREST_TOWNS)
            far = straight[:, 0] > chord(FARTHEST_KM)
            weight = np.maximum(self.population[nearest], 1) ** POPULATION_POWER
            abroad = self.country[nearest] != self.country[nearest[:, :1]]
            weighed = np.where(abroad, np.inf, straight / weight)
            outside = straight[:, 0] > chord(SAME_TOWN_KM)
            best = np.where(outside, weighed.argmin(axis=1), 0)
            towns = self.main[nearest[np.arange(len(nearest)), best]]
            numbers[known] = np.where(far, -1, towns)
            to_town = arc_km(np.linalg.norm(there - self.directions[towns], axis=-1))
            distance_km[known] = np.where(far, np.nan, to_town)
        return numbers, distance_km

    def name_view(self, camera: Camera) -> Place | None:
        """Name what a photo shows: a town, else the sea or the country about its centre.

        The town is the one whose people's light is the brightest in the picture, as it falls with
        the square of the distance, and counts less away from the centre (`CENTRE_WEIGHT`). A part
        of a city goes by the city's name. Where the centre is sea, towns in the outer part of the
        picture alone do not name it. None without ground.
        """
        lon, lat = find_looked_at(camera)
        if not math.isfinite(lon):
            return None
        x0, y0 = camera.lonlat_to_pixel(lon, lat)
        position = np.asarray(camera.position_ecef_m, float)
        up = position / np.linalg.norm(position)
        # Ground is seen as far as 30 degrees away, from 900 km up
        near = np.flatnonzero(self.directions @ up > math.cos(math.radians(30.0)))
        ground = geodetic_to_ecef(self.lon[near], self.lat[near])
        x, y = camera.lonlat_to_pixel(self.lon[near], self.lat[near])
        inside = (x >= 0) & (x < camera.width_px) & (y >= 0) & (y < camera.height_px)
        inside &= incidence_deg(position, ground) <= MAX_INCIDENCE_DEG
        off_centre = np.hypot(x - x0, y - y0) / (
            0.5 * math.hypot(camera.width_px, camera.height_px)
        )
        light = self.population[near] / np.linalg.norm(ground - position, axis=-1) ** 2
        light = np.where(inside, light * np.exp(-((off_centre / CENTRE_WEIGHT) ** 2)), 0.0)
        amid = inside & (off_centre <= OUTER_PART)
        if not amid.any() and not is_land(lon, lat):
            return Place(name=name_sea(lon, lat), country="", lon=lon, lat=lat, population=0)
        if not inside.any():
            # Land without towns: the country of the nearest
            there = unit_vectors(lon, lat)
            away = np.linalg.norm(self.directions - there, axis=-1)
            country = self[int(away.argmin())].country
            return Place(name="", country=country, lon=lon, lat=lat, population=0)
        return self[int(self.main[near[int(light.argmax())]])]

    def list_brightest(self, position_ecef_m: ArrayLike, most: int = 3) -> list[Place]:
        """List the cities in sight that are the brightest from a place above the Earth.

        As in `name_view`: by people, over the square of the distance. Of 400 records of the archive
        of photos by 170 mm and more with the name of a city, 36 % name one of the first three, and
        5 % one within 60 km of the nadir.
        """
        ground = geodetic_to_ecef(self.lon, self.lat)
        light = self.population / np.linalg.norm(ground - np.asarray(position_ecef_m), axis=-1) ** 2
        is_seen = incidence_deg(position_ecef_m, ground) <= MAX_INCIDENCE_DEG
        is_seen &= self.main == np.arange(len(self))
        brightest = np.argsort(np.where(is_seen, -light, 0.0), kind="stable")[:most]
        return [self[number] for number in brightest.tolist() if is_seen[number]]

    def inside(
        self, west: float, south: float, east: float, north: float, most: int = 60
    ) -> list[Place]:
        """List the largest places of `MAP_PEOPLE` or more in a box, largest first."""
        lon, lat = self.lon, self.lat
        across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
        across &= self.population >= MAP_PEOPLE
        there = np.flatnonzero(across & (lat >= south) & (lat <= north))
        return [self[number] for number in there[:most]]

    def search(self, typed: str, most: int = 20) -> list[Place]:
        """Places with a name that begins with the typed text, in the country named behind a comma.

        The best come first: whole names before their beginnings, names in English before others.
        """
        name, _, country = typed.partition(",")
        wanted, sought = fold_letters(country).strip(), fold_letters(name[:MAX_LETTERS]).strip()
        if len(sought) < 2 or "\n" in sought or "\t" in sought:
            return []
        ends = rf"{sought}(?=[\t\n])"
        numbers: dict[int, None] = {}
        for form in (rf"\n{ends}", rf"\t{ends}", rf"\n{sought}", rf"\t{sought}", rf" {sought}"):
            # 'sa' begins 20,000 names, and only the largest places are asked for
            numbers |= self._match_names(form, 5000)
            if not wanted and len(numbers) >= most:
                break
        within = [number for number in numbers if self._lies_within(number, wanted)]
        return [self[number] for number in within[:most]]

    def _match_names(self, form: str, most: int | None = None) -> dict[int, None]:
        """List the towns of the first so many matches of a pattern in all names."""
        text, starts = self._all_names
        hits = [match.start() for match in islice(re.finditer(form, text), most)]
        # A line's first character ends the line before
        return dict.fromkeys((np.searchsorted(starts, hits, side="right") - 1).tolist())

    def _lies_within(self, number: int, wanted: str) -> bool:
        """Whether a town's country has this code, or its country or state a name that begins so."""
        wanted = {"usa": "us", "uk": "gb"}.get(wanted, wanted)
        place = self[number]
        return fold_letters(self.codes[self.country[number]]) == wanted or any(
            fold_letters(name).startswith(wanted) for name in (place.country, place.state) if name
        )

    def find_named(self, name: str) -> list[Place]:
        """List the towns of a name in any language, those first that have it in English.

        Each the largest first; case and accents are folded. Of large towns, "City", "am Main" and
        the like may be missing. What stands behind commas begins the name of country or state, or
        is the country's code. A country's name alone names a town only if the town has it, too.
        """
        sought, *within = (fold_letters(part).strip() for part in name[:MAX_LETTERS].split(","))
        if len(sought) < 2 or "\n" in sought or "\t" in sought:
            return []
        numbers = dict.fromkeys(self._large.get(sought, ()))
        for mark in "\n\t":
            numbers |= self._match_names(rf"{mark}{sought} ?(?=[\t\n])")
        within = [one for one in within if one]
        if not within and sought in map(fold_letters, self._countries):
            within = [sought]
            numbers = {n: None for n in numbers if fold_letters(self._names[n]) == sought}
        return [self[n] for n in numbers if all(self._lies_within(n, one) for one in within)]

    def find_mentioned(self, text: str) -> list[Place]:
        """List the towns of `MENTIONED_PEOPLE` that a text names by whole words, as they come.

        Towns of one name follow each other, the largest first. Of names that share words, the
        longest counts.
        """
        words, numbers, start = fold_letters(text).split(), dict[int, None](), 0
        while start < len(words):
            length = 1
            for end in range(min(start + 4, len(words)), start, -1):
                name = " ".join(words[start:end])
                if name in self._large:
                    length = end - start
                    if len(name) >= MENTIONED_LETTERS and name not in NO_MENTION:
                        numbers |= dict.fromkeys(self._large[name])
                    break
            start += length
        return [self[number] for number in numbers]


def chord(distance_km: float) -> float:
    """Chord of an arc on the Earth's surface, in units of its radius."""
    return 2.0 * math.sin(0.5 * distance_km / EARTH_RADIUS_KM)


def arc_km(straight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Arc length on the Earth's surface, km, of a chord in units of the Earth's radius."""
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(0.5 * straight)


@cache
def coastline() -> list[list[float]]:
    """Coastlines: each ring is a list of alternating lon, lat in tenths of degrees."""
    text = files("regengine.maps").joinpath("coastline.json").read_text(encoding="utf-8")
    rings: list[list[float]] = json.loads(text)["rings"]
    return rings


def is_land(lon_deg: float, lat_deg: float) -> bool:
    rings = (0.1 * np.reshape(ring, (-1, 2)) for ring in coastline())
    return sum(_is_within(ring, lon_deg, lat_deg) for ring in rings) % 2 == 1


def name_sea(lon_deg: float, lat_deg: float) -> str:
    """Name the sea at a place that is no land, or else its ocean."""
    for name, outline in _seas().items():
        if any(_is_within(outline, lon_deg + turn, lat_deg) for turn in (0.0, 360.0)):
            return name
    if lat_deg < SOUTHERN_LAT:
        return "Southern Ocean" if lat_deg > -ARCTIC_LAT else "Antarctica"
    if lat_deg > ARCTIC_LAT:
        return "Arctic Ocean"
    to_pacific = np.interp(lat_deg, *AMERICAS)
    if to_pacific <= lon_deg < np.interp(lat_deg, *AFRICA):
        return "Atlantic Ocean"
    return "Indian Ocean" if 0.0 < lon_deg < np.interp(lat_deg, *INDIES) else "Pacific Ocean"


# Latitudes and longitudes between the oceans, which lie on land where there is any
ARCTIC_LAT, SOUTHERN_LAT = 66.5, -60.0  # the coarse coastline is without Antarctica
AMERICAS = (
    (-56, -40, -18, -4, 7, 9, 15, 20, 30, 50, 66),
    (-68, -71, -69.5, -79, -77.7, -79.5, -92, -100, -110, -120, -150),
)
AFRICA = ((-35, -34, 0, 30), (20, 21, 25, 35))
INDIES = ((-38, -20, -11, -8.5, -6, 0, 6), (146, 132, 132, 117, 105.5, 99.5, 96))


@cache
def _seas() -> dict[str, NDArray[np.float64]]:
    """Seas, the smaller ones first: rough outlines, in which is land as well."""
    text = files("regengine").joinpath("data/seas.csv").read_text(encoding="utf-8")
    return {
        name: np.array([corner.split() for corner in outline.split(";")], float)
        for name, _, outline in (line.partition(",") for line in text.splitlines()[1:])
    }


def _is_within(ring: NDArray[np.float64], lon_deg: float, lat_deg: float) -> bool:
    """Whether a place lies within a ring, by the edges to the east of it."""
    (x1, y1), (x2, y2) = ring.T, np.roll(ring, -1, axis=0).T
    crosses = (y1 > lat_deg) != (y2 > lat_deg)
    east = x1 + (lat_deg - y1) * (x2 - x1) / np.where(crosses, y2 - y1, 1.0)
    return bool(np.count_nonzero(crosses & (east > lon_deg)) % 2)


# Coast, borders and lakes: what ``review/page/outlines.mjs`` made of Natural Earth, in tiles.

# How far the lines may lie from those that they were drawn from
COAST_TOLERANCE_KM = 0.5
NEAR_ZOOM = 5


@cache
def outlines() -> dict[str, Any]:
    """Lines of the ground by kind in Web Mercator's tiles "z/x/y", as polylines are encoded."""
    text = files("regengine.maps").joinpath("outlines.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


@cache
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
    """Pieces of the coast in the tiles that reach into a box, shape (n, 2): lon and lat, degrees.

    The box's longitudes are in turn; east may lie beyond 180. Source: Natural Earth, 1:10m,
    public domain, simplified.
    """
    count, tiles = 2**NEAR_ZOOM, outlines()["tiles"]
    unit_deg = outlines()["units_deg"][str(NEAR_ZOOM)]
    # Lines end a little outside of their tiles; the square map of the world ends at 85 degrees
    lat = np.radians(np.clip([north + 0.5, south - 0.5], -85.0, 85.0))
    top, bottom = (count * (0.5 - np.arctanh(np.sin(lat)) / (2.0 * np.pi))).astype(int).tolist()
    left, right = (math.floor((lon + 180.0) / 360.0 * count) for lon in (west - 0.5, east + 0.5))
    return [
        decode_polyline(text, unit_deg)
        for x in range(left, min(right, left + count - 1) + 1)
        for y in range(top, bottom + 1)
        for text in tiles.get(f"{NEAR_ZOOM}/{x % count}/{y}", {}).get("coast", ())
    ]


@cache
def place_index() -> PlaceIndex:
    return PlaceIndex()


def name_view(camera: Camera | None) -> Place | None:
    """Name what a photo shows, see `PlaceIndex.name_view`; None for no or an impossible camera."""
    try:
        with np.errstate(all="ignore"):
            return None if camera is None else place_index().name_view(camera)
    except ABSURD:
        return None


def parse_lon_lat(place: str | Sequence[float], option: str) -> tuple[float, float]:
    """Convert an option's text, or two numbers, to longitude and latitude, degrees."""
    try:
        lon, lat = (float(part) for part in (place.split(",") if isinstance(place, str) else place))
    except ValueError:
        raise ConfigError(
            Option(option, repr(place)),
            " is not a valid LON,LAT: write longitude, comma, latitude, like 136.9,35.7.",
        ) from None
    return lon, lat


def require_town(name: str) -> None:
    """Raise ConfigError, with similar names, if --place names no town."""
    index = place_index()
    if index.find_named(name):
        return
    first = name.partition(",")[0]
    similar = index.find_named(first) or index.search(first)
    if not similar:
        towns = {fold_letters(index[k].name): index[k] for k in reversed(range(len(index) // 2))}
        similar = [towns[one] for one in get_close_matches(fold_letters(first), towns)]
    meant = "; ".join(dict.fromkeys(town.label for town in similar[:3]))
    raise ConfigError(
        Option("place", repr(name)),
        " is not the name of a town of 5,000 people or more"
        f"{f' (similar: {meant})' if meant else ''}: give 'NAME' or 'NAME, COUNTRY', or its "
        "longitude and latitude with ",
        Option("centre"),
        ".",
    )


def locate_place(place: str, option: str = "", max_lat: float = 85.0) -> tuple[str, float, float]:
    """Find name, longitude and latitude of a town of GeoNames, or of ``LON,LAT``, with no name.

    Raises ConfigError, which names the ``option`` if there is one, if there is no such town, or the
    latitude is beyond ``max_lat``.
    """
    try:
        lon, lat = parse_lon_lat(place, "")
    except ConfigError:
        towns = place_index().search(place, 1)
        if not towns:
            raise ConfigError(
                f"No town named {place!r}: give its name, 'NAME, COUNTRY' or LON,LAT."
            ) from None
        return towns[0].label, towns[0].lon, towns[0].lat
    if not (abs(lon) <= 360.0 and abs(lat) <= max_lat):
        raise ConfigError(f"{f'{option} {place!r}'.strip()} is not a valid LON,LAT.")
    return "", wrap_lon(lon), lat


def parse_bounds(text: str) -> Bounds:
    """Parse west, south, east, north from the text of --bbox; east may exceed 180."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west = south = east = north = float("nan")
    east += 360.0 if east < west else 0.0  # 170,-20,-170,10 crosses the antimeridian
    if not (west < east <= west + 360.0 and -90.0 <= south < north <= 90.0):
        raise ConfigError(
            f"--bbox {text} is not a valid region: write WEST,SOUTH,EAST,NORTH in degrees."
        )
    return west, south, east, north


# Light of the ground around places. The package's table is of its map, which need not be read so.

LIT_GROUND = FOLDER / "lit_ground.npz"
# Of that table: the horizon is 2,200 km away; lights in the last third of that are hardly seen
TABLE_REACH_KM = 1500.0


@cache
def _lit_ground() -> FloatArray:
    with np.load(check_packaged(LIT_GROUND)) as columns:
        return np.asarray(columns["lit_dex"], np.float64)


def look_up_lit_dex(lon: float, lat: float) -> float:
    """Look up the light within `TABLE_REACH_KM` of a place on the package's map of night lights.

    See `sum_lit_ground`.
    """
    row, col = math.floor(lat + 90.0), math.floor(lon + 180.0)
    return float(_lit_ground()[min(max(row, 0), 179), col % 360])


def sum_lit_ground(grid: MapGrid, reach_km: float) -> FloatArray:
    """Sum the light within a distance of every place, from a map of the Earth.

    Returns the decimal logarithm of one plus the sum of map values times square kilometres, shape
    (180, 360), by degrees of latitude from the south pole and of longitude from 180 degrees west.
    """
    row, col = np.nonzero(grid.values)
    lat = grid.lat0_deg - grid.step_deg * row
    lon = grid.lon0_deg + grid.step_deg * col
    light = grid.values[row, col] * np.cos(np.radians(lat))
    which = np.floor(lat + 90.0).clip(0, 179) * 360 + np.floor(lon + 180.0) % 360
    cells = np.bincount(which.astype(int), light, minlength=180 * 360).astype(np.float64)
    cells = cells.reshape(180, 360) * (grid.step_deg * KM_PER_DEGREE) ** 2
    return np.asarray(np.log10(1.0 + sum_within_reach(cells, reach_km)))


def sum_within_reach(light: FloatArray, reach_km: float) -> FloatArray:
    """Sum over all one-degree cells whose centre lies within a distance of each cell's centre."""
    reach = reach_km / EARTH_RADIUS_KM
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
