"""What every night-light map looks like to the rest: a grid, a description, a way to read it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from regengine.lights.radiance import Mask, Values

Kind = Literal["radiance", "display"]


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
    """What is known of a night-light map.

    Attributes
    ----------
    paths : tuple of Path
        Files or folders it is read from.
    product, date : str
        Name of the product and what it shows ("2016", "2019-01", "2016-01-01"); "" if unknown.
    kind : {"radiance", "display"}
        Measured radiance, or pictures from which an approximate radiance is estimated.
    resolution_deg : float
        Pixel size, degrees of longitude.
    bounds : tuple of float
        West, south, east, north edges, degrees; east may exceed 180.
    crs : str
        Coordinate system of the files as they are ("EPSG:4326", …).
    saturation : float or None
        Map value, log10(1 + L), at and above which the map is saturated; None if it is not.
    description : str
        One sentence for people.
    """

    paths: tuple[Path, ...]
    product: str
    date: str
    kind: Kind
    resolution_deg: float
    bounds: tuple[float, float, float, float]
    crs: str
    saturation: float | None
    description: str


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

    def read(
        self, row: int, col: int, rows: int, cols: int, factor: int = 1
    ) -> tuple[Values, Mask]:
        """Values and validity of a block that lies within ``grid.reduced(factor)``."""
