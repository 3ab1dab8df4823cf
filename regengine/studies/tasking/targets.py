"""Target places: cities of GeoNames, or a user's list."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regengine.errors import ConfigError
from regengine.io.tables import decode_text, read_csv
from regengine.maps.places import place_index
from regengine.photo.record_values import parse_number, wrap_lon

if TYPE_CHECKING:
    import pandas as pd

# Of a table of places. ``weight``: the larger, the sooner; own priority, else thousands of people,
# else 1
COLUMNS = ("name", "country", "lon", "lat", "population", "weight")
SPELLINGS = {
    "longitude": "lon", "long": "lon", "lng": "lon", "latitude": "lat", "people": "population",
    "priority": "weight",
}  # fmt: skip
NAMES = ("name", "place", "city", "target", "site")  # the first that there is names the place
_REMEDY = "give a CSV file with the columns name, lon, lat, and optionally priority"


def list_city_targets(least_people: int) -> pd.DataFrame:
    """Cities of GeoNames with at least this population, the largest first.

    At least 5,000, because the table of towns has few smaller ones.
    """
    import pandas as pd

    cities = [place for place in place_index() if place.population >= least_people]
    rows = [(c.name, c.country, c.lon, c.lat, c.population, c.population / 1e3) for c in cities]
    return pd.DataFrame(rows, columns=COLUMNS)


def read_listed_targets(path: Path) -> pd.DataFrame:
    """Read a list of places: CSV with a header, separated by commas, semicolons or tabs.

    It has ``name``, ``lon``, ``lat``, and optionally ``country``, ``population``, ``priority``;
    other columns are ignored. ConfigError if it cannot be read, or a row is not a valid place.
    """
    import pandas as pd

    try:
        (_, header), *rows = [*read_csv(decode_text(path.read_bytes()), _meaning)] or [(1, [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: the list of places cannot be read ({error}): {_REMEDY}.") from (
            error
        )
    columns = {name: at for at, name in enumerate(map(_meaning, header)) if name}
    named = next((columns[name] for name in NAMES if name in columns), None)
    if named is not None:
        columns["name"] = named
    if not {"name", "lon", "lat"} <= columns.keys():
        raise ConfigError(f"{path} is not a list of places: {_REMEDY}.")
    targets = [
        _target(
            f"{path}, line {line}",
            {name: cells[at].strip() if at < len(cells) else "" for name, at in columns.items()},
        )
        for line, cells in rows
        if any(cell.strip() for cell in cells)
    ]
    if not targets:
        raise ConfigError(f"{path} lists no places: {_REMEDY}.")
    return pd.DataFrame(targets, columns=COLUMNS)


def _meaning(heading: str) -> str:
    """The column of a heading; "" for one that is not known."""
    word = re.sub(r"[^a-z]", "", heading.lower())
    return word if word in {*COLUMNS, *NAMES} else SPELLINGS.get(word, "")


def _target(where: str, row: dict[str, str]) -> dict[str, Any]:
    def number(name: str, word: str, low: float, high: float) -> float | None:
        text = row.get(name, "")
        value = parse_number(text)
        if text and (value is None or not low <= value <= high):
            raise ConfigError(f"{where}: {word} {text!r} is not a number from {low:g} to {high:g}.")
        return value

    lon, lat = number("lon", "lon", -180.0, 360.0), number("lat", "lat", -90.0, 90.0)
    if lon is None or lat is None or not row["name"]:
        raise ConfigError(f"{where}: name, lon or lat is missing.")
    people = number("population", "population", 0.0, 1e10)
    weight = number("weight", "priority", 0.0, 1e12)
    if weight is None:
        weight = 1.0 if people is None else people / 1e3
    return row | {"lon": wrap_lon(lon), "lat": lat, "population": people, "weight": weight}
