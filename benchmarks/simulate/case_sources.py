"""What random cases are drawn over: a world of lights, another one, and the map of the first."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.lamps import World
from benchmarks.simulate.land import Region
from benchmarks.simulate.light_map import RadianceMap, read_geotiff
from benchmarks.simulate.town_world import TownWorld, draw_town_world

FloatArray = NDArray[np.float64]

MOST_DARK = 300  # targets without light are needed less often
SAMPLE_SEED = 991
SAMPLE_REGION = Region(west=-162.0, south=26.0, size_deg=24.0)  # open ocean in the real world
SAMPLE_MAP = Path(__file__).resolve().parents[2] / "data_samples" / "lights.tif"


@dataclass(frozen=True, kw_only=True)
class CaseSource:
    """Worlds and map for random cases.

    Attributes
    ----------
    world : World
        What is photographed.
    decoy_world : World
        What is photographed instead where the place is to be wrong.
    light_map : RadianceMap
        Map of ``world`` in another realisation.
    targets : ndarray, shape (n, 3)
        Places worth a photograph: longitude, latitude (degrees), weight.
    dark_targets : ndarray, shape (m, 2)
        Places without lights near them.
    """

    world: World
    decoy_world: World
    light_map: RadianceMap
    targets: FloatArray
    dark_targets: FloatArray


def town_source(world: TownWorld, decoy: TownWorld, light_map: RadianceMap) -> CaseSource:
    """Cases over an invented land.

    Parameters
    ----------
    world : TownWorld
    decoy : TownWorld
        Another land.
    light_map : RadianceMap
        Of the first one, of realisation 1, which no case shows.
    """
    places = world.places
    bright = places.power > min(100.0, float(np.quantile(places.power, 0.98)))
    targets = np.stack([places.lon[bright], places.lat[bright], np.sqrt(places.power[bright])])
    return CaseSource(
        world=world,
        decoy_world=decoy,
        light_map=light_map,
        targets=targets.T,
        dark_targets=_dark_places(light_map),
    )


@lru_cache(maxsize=1)
def default_source() -> CaseSource:
    """The samples' land and the map of it in ``data_samples/``; read once a process."""
    light_map = read_geotiff(SAMPLE_MAP)
    return town_source(
        draw_town_world(SAMPLE_SEED, SAMPLE_REGION),
        draw_town_world(SAMPLE_SEED + 1_000_003, SAMPLE_REGION),
        light_map,
    )


def _dark_places(light_map: RadianceMap) -> FloatArray:
    """Centres of two-degree boxes without a light in them, at sea where the land ends."""
    per_box = round(2.0 / light_map.step_deg)
    rows, cols = (size // per_box for size in light_map.radiance.shape)
    boxes = light_map.radiance[: rows * per_box, : cols * per_box]
    lit = boxes.reshape(rows, per_box, cols, per_box).max(axis=(1, 3)) > 0.0
    row, col = np.nonzero(~lit)
    return np.stack(
        [light_map.west + 2.0 * (col + 0.5), light_map.north - 2.0 * (row + 0.5)], axis=1
    )
