"""What every night-light map looks like to the rest: a grid, a description, a way to read it."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, Protocol

from affine import Affine

from regengine.errors import ConfigError
from regengine.references.radiance import Mask, Values

Kind = Literal["radiance", "display"]
Bounds = tuple[float, float, float, float]  # west, south, east, north, degrees
_PRODUCTS = (
    (r"vnp46a[1-4]", "Black Marble {}"),
    (r"black.?marble", "Black Marble"),
    (r"dmsp|(^|_)f1[0-8](19|20)\d\d", "DMSP-OLS stable lights"),
    (r"avg_rad|vcm|vnl_|_bm_|eog|viirs|svdnb", "VIIRS DNB composite"),
)
_DATES = (
    r"A(?P<y>\d{4})(?P<doy>\d{3})(?=\D)",  # VNP46A4.A2020001.h10v05
    r"(?P<y>(19|20)\d\d)(?P<m>0[1-9]|1[0-2])\d\d-(19|20)\d{6}",  # SVDNB_npp_20160101-20160131
    r"(?P<y>(19|20)\d\d)[-_]?(?P<m>0[1-9]|1[0-2])[-_]?(?P<d>[0-2]\d|3[01])(?!\d)",
    r"(?P<y>(19|20)\d\d)[-_]?(?P<m>0[1-9]|1[0-2])(?!\d)",
    r"(?P<y>(19|20)\d\d)(?!\d)",
)


@dataclass(frozen=True, kw_only=True)
class PixelGrid:
    """A north-up grid of square pixels in longitude and latitude.

    ``west`` and ``north`` are the outer *edges* of the first pixel, degrees.
    """

    west: float
    north: float
    step_deg: float
    cols: int
    rows: int

    @property
    def east(self) -> float:
        """Eastern edge, degrees."""
        return self.west + self.cols * self.step_deg

    @property
    def south(self) -> float:
        """Southern edge, degrees."""
        return self.north - self.rows * self.step_deg

    @property
    def bounds(self) -> Bounds:
        """Edges, degrees."""
        return self.west, self.south, self.east, self.north

    def transform(self, row: int = 0, col: int = 0) -> Affine:
        """From pixels, counted from one of them, to degrees."""
        step = self.step_deg
        return Affine(step, 0.0, self.west + col * step, 0.0, -step, self.north - row * step)

    def part(self, row: int, col: int, rows: int, cols: int) -> PixelGrid:
        """Some of its rows and columns."""
        return PixelGrid(
            west=self.west + col * self.step_deg,
            north=self.north - row * self.step_deg,
            step_deg=self.step_deg,
            cols=cols,
            rows=rows,
        )

    def reduced(self, factor: int) -> PixelGrid:
        """The grid whose pixels are ``factor`` by ``factor`` of this one's, same first corner."""
        return PixelGrid(
            west=self.west,
            north=self.north,
            step_deg=self.step_deg * factor,
            cols=math.ceil(self.cols / factor),
            rows=math.ceil(self.rows / factor),
        )


@dataclass(frozen=True, kw_only=True)
class LightMapInfo:
    """What is known of a night-light map; product and date are "" if unknown."""

    paths: tuple[Path, ...]  # files or folders it is read from
    product: str
    date: str  # what it shows: "2016", "2019-01", "2016-01-01"
    kind: Kind  # measured radiance, or pictures from which it is estimated
    resolution_deg: float  # pixel size, degrees of longitude
    bounds: Bounds  # edges; east may exceed 180
    crs: str  # of the files as they are ("EPSG:4326", …)
    saturation: float | None  # map value, log10(1 + L), from which on the map is saturated, if any
    description: str  # one sentence for people


class LightSource(Protocol):
    """One map, readable at its own resolution and at those that it has overviews for."""

    @property
    def info(self) -> LightMapInfo:
        """Description of the map."""

    @property
    def grid(self) -> PixelGrid:
        """The grid of the full resolution."""

    @property
    def overview_factors(self) -> tuple[int, ...]:
        """Factors other than 1 at which ``read`` works directly."""

    @property
    def version(self) -> Hashable:
        """Of what ``read`` gives: another one where that may have changed."""

    def read(
        self, row: int, col: int, rows: int, cols: int, factor: int = 1
    ) -> tuple[Values, Mask]:
        """Values and validity of a block that lies within ``grid.reduced(factor)``."""


def file_version(path: Path) -> Hashable:
    """Another one once the file is written anew, and each time where it cannot be read."""
    try:
        state = path.stat()
    except OSError:
        return object()  # nothing that is kept is of it: reading says what is wrong
    return path, state.st_mtime_ns, state.st_size


def product_of_name(name: str) -> str:
    """Product that a file name speaks of, or ""."""
    for pattern, product in _PRODUCTS:
        found = re.search(pattern, name.lower())
        if found:
            return product.format(found.group(0).upper())
    return ""


def date_of_name(name: str) -> str:
    """Year, month or day that a file name speaks of ("2016", "2019-01", "2012-04-18"), or ""."""
    for pattern in _DATES:
        found = re.search(r"(?<!\d)" + pattern, name)
        if not found:
            continue
        parts = found.groupdict()
        if parts.get("doy"):
            day = date(int(parts["y"]), 1, 1) + timedelta(days=int(parts["doy"]) - 1)
            if day.year != int(parts["y"]):
                continue  # a year has no day 000 or 400
            return day.isoformat()
        return "-".join(parts[key] for key in ("y", "m", "d") if parts.get(key))
    return ""


def parse_bounds(text: str, option: str = "--bbox") -> Bounds:
    """West, south, east, north out of an option's text; east runs beyond 180 if need be."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west = south = east = north = float("nan")
    east += 360.0 if east < west else 0.0  # 170,-20,-170,10 crosses the antimeridian
    if not (west < east <= west + 360.0 and -90.0 <= south < north <= 90.0):
        raise ConfigError(f"{option} {text} is no region: write WEST,SOUTH,EAST,NORTH in degrees.")
    return west, south, east, north
