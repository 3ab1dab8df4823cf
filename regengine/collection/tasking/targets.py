"""The places that are to be photographed: cities of GeoNames, or a list of the user's."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from regengine.errors import ConfigError
from regengine.photo.frame_records import parse_number, wrap_lon
from regengine.places import read_places

GEONAMES_LISTS = (500, 1000, 5000, 15000)  # people; the list from which fewer are missing
SPELLINGS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "place", "city", "target", "site"),
    "lon": ("lon", "longitude", "long", "lng"),
    "lat": ("lat", "latitude"),
    "country": ("country",),
    "population": ("population", "people"),
    "priority": ("priority", "weight"),
}
_REMEDY = "give a CSV file with the columns name, lon, lat, and priority if some count more"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A place to photograph, degrees."""

    name: str
    country: str  # may be empty
    lon: float
    lat: float
    population: int | None
    weight: float  # the larger, the sooner: own priority, else thousands of people, else 1


def city_targets(least_people: int) -> list[Target]:
    """Cities of GeoNames with so many people or more, the largest first.

    At least 500, since GeoNames' lists hold no smaller ones.
    """
    table, _ = read_places(max(size for size in GEONAMES_LISTS if size <= least_people))
    return [
        Target(
            name=place.name,
            country=place.country,
            lon=place.lon,
            lat=place.lat,
            population=place.population,
            weight=place.population / 1e3,
        )
        for place in map(table.place, range(int((table.population >= least_people).sum())))
    ]


def listed_targets(path: Path) -> list[Target]:
    """Places of a list: CSV with a header, separated by commas, semicolons or tabs.

    It has ``name``, ``lon``, ``lat``, and may have ``country``, ``population``, ``priority``; other
    columns are passed over. ConfigError if it cannot be read, or a row is no place.
    """
    targets = [_target(path, line, row) for line, row in _rows(path)]
    if not targets:
        raise ConfigError(f"{path} lists no place: {_REMEDY}.")
    return targets


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the list of places cannot be read ({error}): {_REMEDY}.") from (
            error
        )
    header = text.partition("\n")[0]
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
        plain = [re.sub(r"[^a-z]", "", cell.lower()) for cell in next(rows, [])]
        columns = {
            name: plain.index(spelling)
            for name, spellings in SPELLINGS.items()
            for spelling in reversed(spellings)
            if spelling in plain
        }
        if not {"name", "lon", "lat"} <= columns.keys():
            raise ConfigError(f"{path} is no list of places: {_REMEDY}.")
        for cells in rows:
            if any(cell.strip() for cell in cells):
                yield (
                    rows.line_num,
                    {
                        name: cells[at].strip() if at < len(cells) else ""
                        for name, at in columns.items()
                    },
                )
    except csv.Error as error:
        raise ConfigError(f"{path} is no list of places ({error}): {_REMEDY}.") from error


def _target(path: Path, line: int, row: dict[str, str]) -> Target:
    def number(name: str, low: float, high: float) -> float | None:
        text = row.get(name, "")
        value = parse_number(text)
        if text and (value is None or not low <= value <= high):
            raise ConfigError(
                f"{path}, line {line}: {name} {text!r} is no number from {low:g} to {high:g}."
            )
        return value

    lon, lat = number("lon", -180.0, 360.0), number("lat", -90.0, 90.0)
    if lon is None or lat is None or not row["name"]:
        raise ConfigError(f"{path}, line {line}: a place lacks its name, lon or lat.")
    people = number("population", 0.0, 1e10)
    weight = number("priority", 0.0, 1e12)
    if weight is None:
        weight = 1.0 if people is None else people / 1e3
    return Target(
        name=row["name"],
        country=row.get("country", ""),
        lon=wrap_lon(lon),
        lat=lat,
        population=None if people is None else int(people),
        weight=weight,
    )
