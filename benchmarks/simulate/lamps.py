"""What every world of lights offers: places with a power, and lamps scattered in them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.noise import GroundNoise, UintArray, fractal_tile
from detectors.types import FloatArray

SODIUM, WARM_WHITE, COLD_WHITE = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Lamps:
    """Points of light."""

    # lon and lat: shape (n,): Degrees
    lon: FloatArray
    lat: FloatArray
    # Shape (n,): nW cm^-2 sr^-1 km^2: what the lamp adds to the sum of a radiance map's pixels
    # times their area
    power: FloatArray
    colour: NDArray[np.uint8]  # shape (n,): SODIUM, WARM_WHITE or COLD_WHITE


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """Patches of light (towns, stretches of road, pixels of a map) in which lamps lie."""

    key: UintArray  # shape (n,): Identity, from which all that is random in the patch follows
    # lon and lat: shape (n,): Centre, degrees
    lon: FloatArray
    lat: FloatArray
    power: FloatArray  # shape (n,): Sum of its lamps, nW cm^-2 sr^-1 km^2
    radius_m: FloatArray  # shape (n,): Most of its lamps lie within
    row: NDArray[np.int64]  # shape (n,): Where the patch stands in its world's own table

    def take(self, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Clusters:
        """The chosen patches."""
        return Clusters(
            key=self.key[chosen],
            lon=self.lon[chosen],
            lat=self.lat[chosen],
            power=self.power[chosen],
            radius_m=self.radius_m[chosen],
            row=self.row[chosen],
        )


@dataclass(frozen=True, kw_only=True)
class Realisation:
    """One state of the lights: the places stay, the lamps differ."""

    number: int  # two realisations of other numbers share places and nothing else
    # Spread of a place's gain, natural logarithm; gains stay within 0.3 to 3.
    gain_sigma: float = 0.45
    gone_fraction: float = 0.12  # share of the places that are dark here
    # Spread of the gains of districts of about a kilometre, natural logarithm
    district_sigma: float = 0.5


class World(Protocol):
    """A world of lights."""

    def near(self, west: float, south: float, east: float, north: float) -> Clusters:
        """Patches of light whose centres lie in a box of degrees."""
        ...

    def scatter(
        self, clusters: Clusters, counts: NDArray[np.int64], realisation: Realisation
    ) -> Lamps:
        """Lamps of patches, so many in each; their powers add up to the patch's."""
        ...


# Brightness of districts within towns: partly lasting, partly of one state of the lights.


@lru_cache(maxsize=8)
def _noise(number: int) -> GroundNoise:
    tile = fractal_tile(np.random.default_rng([40, number]), 512, 0.9)
    return GroundNoise(tile=tile, spacing_km=0.45, lat0_deg=40.0, turn_deg=31.0 * number)


def district_gain(
    lon_deg: FloatArray, lat_deg: FloatArray, realisation: Realisation, *, common_sigma: float
) -> FloatArray:
    """Factors of about unit mean that vary over districts of about a kilometre."""
    own = realisation.district_sigma
    spread = own * _noise(realisation.number).at(lon_deg, lat_deg)
    if common_sigma > 0.0:
        spread += common_sigma * _noise(0).at(lon_deg, lat_deg)
    return np.asarray(np.exp(spread - 0.5 * (common_sigma**2 + own**2)))
