"""What trials are drawn over: a world of lights, orbits above it, and cameras."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.case_sources import SAMPLE_MAP, SAMPLE_REGION, SAMPLE_SEED
from benchmarks.simulate.lamps import World
from benchmarks.simulate.light_map import read_geotiff
from benchmarks.simulate.raster_world import KM_PER_DEGREE, RasterWorld
from benchmarks.simulate.town_world import draw_town_world
from benchmarks.trials.continents import HALVES
from benchmarks.trials.exposures import Exposure, made_exposures, read_exposures
from benchmarks.trials.lit import Cells, cells_of
from benchmarks.trials.orbits import MadeOrbits, Orbits, RealOrbits
from benchmarks.trials.trial import Half
from benchmarks.trials.world_shift import true_place
from regengine.tle import load_tle_file

FloatArray = NDArray[np.float64]

# Radiance of the classes of the ordinal VIIRS product, nW cm^-2 sr^-1: medians; 0 is dark.
CLASS_RADIANCE = {5: 1.4, 6: 2.7, 7: 6.7, 8: 17.0, 9: 31.0, 10: 47.0, 11: 63.0, 12: 83.0, 13: 134.0}
WORLD_FILE = Path("lights") / "viirs2023_classes_15as_old_world.tif"
CELL_PIXELS = 60  # a cell of a quarter of a degree
LIT_POWER = 60.0  # nW cm^-2 sr^-1 km^2 of a cell worth a look: a small town
# More than their area's due to Oceania and Africa, whose lights are sparse.
CONTINENT_SHARES = {"Africa": 0.35, "Asia": 0.65, "Europe": 0.75, "Oceania": 0.25}


@dataclass(frozen=True, kw_only=True)
class TrialSource:
    """Everything that trials of one half are drawn from.

    Attributes
    ----------
    half : str
        "train" or "test".
    world : World
        What is photographed.
    map_step_deg : float
        Pixel of the map of that world.
    lit, dark : dict of str to Cells
        Targets with and without lights, by the half's continents.
    shares : dict of str to float
        How many trials each continent of the half gets.
    orbits : Orbits
    exposures : tuple of Exposure
    light_map_path : Path or None
        Map to register on, where the source has its own.
    decoy_world : World or None
        What "elsewhere" photographs where the world is too small to have an elsewhere.
    """

    half: Half
    world: World
    map_step_deg: float
    lit: dict[str, Cells]
    dark: dict[str, Cells]
    shares: dict[str, float]
    orbits: Orbits
    exposures: tuple[Exposure, ...]
    light_map_path: Path | None = None
    decoy_world: World | None = None


@lru_cache(maxsize=2)
def real_source(real_data: Path, half: Half) -> TrialSource:
    """Real lights, orbits and camera settings.

    Parameters
    ----------
    real_data : Path
        Folder with ``lights/`` and ``orbit/``.
    half : str
        "train" (Africa and Asia) or "test" (Europe and Oceania).

    Returns
    -------
    TrialSource
        Read once a process (some seconds).
    """
    table = np.zeros(256, np.float32)
    for code, radiance in CLASS_RADIANCE.items():
        table[code] = radiance
    path = real_data / WORLD_FILE
    world = RasterWorld.from_file(path, table, true_place)
    cells = _raster_cells(world, HALVES[half])
    return TrialSource(
        half=half,
        world=world,
        map_step_deg=world.step_deg,
        lit=_by_continent(cells, cells.power > LIT_POWER),
        dark=_by_continent(cells, cells.power == 0.0),
        shares={name: CONTINENT_SHARES[name] for name in HALVES[half]},
        orbits=RealOrbits.of(load_tle_file(real_data / "orbit" / "iss_tles.txt")),
        exposures=read_exposures(real_data / "orbit" / "iss_night_photos_jsc.csv"),
    )


def _by_continent(cells: Cells, chosen: NDArray[np.bool_]) -> dict[str, Cells]:
    return {
        str(name): cells.take(chosen & (cells.continent == name))
        for name in np.unique(cells.continent)
    }


def _raster_cells(world: RasterWorld, continents: tuple[str, ...]) -> Cells:
    """Light in cells of a quarter of a degree, where they lie on the wanted continents."""
    rows, cols = world.shape[0] // CELL_PIXELS, world.shape[1] // CELL_PIXELS
    step_deg = CELL_PIXELS * world.step_deg
    cells = cells_of(np.zeros((rows, cols)), west=world.west, north=world.north, step_deg=step_deg)
    wanted = np.isin(cells.continent, continents)
    column_wanted = wanted.reshape(rows, cols)
    power = np.zeros((rows, cols))
    strip = 8  # cells: 480 rows of the raster at a time bound the memory
    for top in range(0, rows, strip):
        count = min(strip, rows - top)
        seen = np.flatnonzero(column_wanted[top : top + count].any(axis=0))
        if not len(seen):
            continue
        left, right = int(seen[0]), int(seen[-1]) + 1
        window = world.read(
            top * CELL_PIXELS,
            left * CELL_PIXELS,
            count * CELL_PIXELS,
            (right - left) * CELL_PIXELS,
        )
        blocks = window.reshape(count, CELL_PIXELS, right - left, CELL_PIXELS)
        power[top : top + count, left:right] = blocks.sum(axis=(1, 3))
    middle_lat = world.north - (np.arange(rows) + 0.5) * step_deg
    power *= (world.step_deg * KM_PER_DEGREE) ** 2 * np.cos(np.radians(middle_lat))[:, None]
    lit = cells_of(power, west=world.west, north=world.north, step_deg=step_deg)
    return lit.take(wanted)


@lru_cache(maxsize=2)
def made_source(half: Half) -> TrialSource:
    """The self-made land of the samples: its west for training, its east for tests.

    Parameters
    ----------
    half : str
        "train" or "test".

    Returns
    -------
    TrialSource
        With the map of ``data_samples/`` to register on.
    """
    light_map = read_geotiff(SAMPLE_MAP)
    rows, cols = (size // CELL_PIXELS for size in light_map.radiance.shape)
    radiance = light_map.radiance[: rows * CELL_PIXELS, : cols * CELL_PIXELS]
    power = radiance.reshape(rows, CELL_PIXELS, cols, CELL_PIXELS).sum(axis=(1, 3), dtype=float)
    power *= (light_map.step_deg * KM_PER_DEGREE) ** 2 * np.cos(np.radians(38.0))
    cells = cells_of(
        power,
        west=light_map.west,
        north=light_map.north,
        step_deg=CELL_PIXELS * light_map.step_deg,
    )
    west, south, east, north = SAMPLE_REGION.bounds
    eastern = cells.lon > 0.5 * (west + east)
    cells = cells.take(eastern if half == "test" else ~eastern)
    name = "made east" if half == "test" else "made west"
    return TrialSource(
        half=half,
        world=draw_town_world(SAMPLE_SEED, SAMPLE_REGION),
        map_step_deg=light_map.step_deg,
        lit={name: cells.take(cells.power > LIT_POWER)},
        dark={name: cells.take(cells.power == 0.0)},
        shares={name: 1.0},
        orbits=MadeOrbits(
            west=float(cells.lon.min()) - 8.0,
            south=south - 5.0,
            east=float(cells.lon.max()) + 8.0,
            north=north,
        ),
        exposures=made_exposures(),
        light_map_path=SAMPLE_MAP,
        decoy_world=draw_town_world(SAMPLE_SEED + 1_000_003, SAMPLE_REGION),
    )
