"""What trials are drawn from: lights of both halves, their maps, and the trial itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.simulate import SAMPLE_MAP, SAMPLE_REGION, SAMPLE_SEED
from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.light_map import read_geotiff
from benchmarks.simulate.truth import camera_truth, footprint, reference_points
from benchmarks.simulate.worlds import (
    KM_PER_DEGREE,
    RasterWorld,
    Realisation,
    World,
    draw_town_world,
)
from benchmarks.trials.exposures import Exposure, Kind, made_exposures, read_exposures
from benchmarks.trials.lights import SeenWorld, true_place
from benchmarks.trials.orbits import MadeOrbits, Orbits, RealOrbits
from detectors.types import FloatArray
from regengine.orbit.tle import load_tle_file

HALVES: dict[str, tuple[str, ...]] = {"train": ("Africa", "Asia"), "test": ("Europe", "Oceania")}

# From the Atlantic to the Bosporus, between Europe and what lies south and east of it.
_MEDITERRANEAN = (
    *((-35.0, 35.9), (-5.6, 35.95), (-3.0, 36.1), (0.0, 37.1), (4.0, 38.0), (9.0, 38.3)),
    *((11.4, 37.6), (11.5, 36.4), (12.0, 35.1), (15.0, 35.2), (20.0, 34.4), (23.5, 34.2)),
    *((26.8, 34.7), (28.4, 35.7), (28.3, 36.5), (27.3, 36.7), (27.4, 36.97), (27.0, 37.4)),
    *((27.1, 37.75), (26.5, 38.0), (26.2, 38.35), (26.3, 38.8), (26.65, 39.2), (26.4, 39.43)),
    *((25.9, 39.7), (26.1, 40.02), (26.7, 40.38), (27.5, 40.7), (28.9, 40.95), (29.08, 41.12)),
)
_BLACK_SEA_TO_ARCTIC = (
    *((29.2, 41.4), (31.0, 42.5), (37.5, 43.6), (39.7, 43.35), (41.0, 43.55), (43.0, 42.9)),
    *((45.0, 42.6), (46.5, 41.85), (48.6, 41.85), (50.0, 44.5), (51.6, 46.7), (51.4, 51.3)),
    *((55.0, 51.0), (59.0, 50.7), (60.0, 52.0), (60.0, 80.0)),
)
_EUROPE = (*_MEDITERRANEAN, *_BLACK_SEA_TO_ARCTIC, (-35.0, 80.0))
_AFRICA = (
    *_MEDITERRANEAN[:12],
    *((30.0, 33.0), (32.4, 32.0), (32.35, 31.0), (32.55, 29.95), (33.4, 28.3), (34.2, 27.5)),
    *((35.7, 25.5), (37.5, 21.5), (39.7, 17.5), (41.8, 14.8), (43.3, 12.6), (45.0, 11.9)),
    *((51.5, 12.3), (53.0, 10.0), (60.0, 0.0), (66.0, -20.0), (66.0, -60.0), (-35.0, -60.0)),
)
_OCEANIA = (
    *((100.0, -60.0), (108.0, -22.0), (118.0, -13.5), (124.5, -12.0), (127.5, -9.7)),
    *((131.0, -9.0), (133.0, -7.5), (132.0, -4.5), (129.8, -2.6), (129.3, -0.6), (130.2, 1.5)),
    *((131.5, 8.0), (140.0, 22.0), (181.0, 30.0), (181.0, -60.0)),
)


def continent_of(lon_deg: ArrayLike, lat_deg: ArrayLike) -> NDArray[np.str_]:
    """Continent of places."""
    lon, lat = np.broadcast_arrays(np.asarray(lon_deg, float), np.asarray(lat_deg, float))
    names = np.full(lon.shape, "Asia", dtype="<U7")
    names[lon < -35.0] = "America"
    names[(lon < -120.0) & (lat < 30.0) & (lat > -60.0)] = "Oceania"
    names[lon < -168.5] = np.where(lat < 30.0, "Oceania", "Asia")[lon < -168.5]
    for name, outline in (("Oceania", _OCEANIA), ("Africa", _AFRICA), ("Europe", _EUROPE)):
        names[_are_inside(outline, lon, lat)] = name
    return names


def _are_inside(
    outline: tuple[tuple[float, float], ...], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Points within a polygon of straight lines in degrees (even-odd rule, borders half open)."""
    inside = np.zeros(lon.shape, bool)
    for (x1, y1), (x2, y2) in zip(outline, (*outline[1:], outline[0]), strict=True):
        if y1 != y2:
            spans = (y1 > lat) != (y2 > lat)
            inside ^= spans & (lon < x1 + (lat - y1) / (y2 - y1) * (x2 - x1))
    return inside


EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Cells of a grid of degrees and the light in them."""

    # lon and lat: shape (n,): Centres, degrees
    lon: FloatArray
    lat: FloatArray
    power: FloatArray  # shape (n,): Sum of radiance times area, nW cm^-2 sr^-1 km^2
    continent: NDArray[np.str_]  # shape (n,)
    step_deg: float

    def take(self, chosen: NDArray[np.bool_]) -> Cells:
        columns = {n: getattr(self, n)[chosen] for n in ("lon", "lat", "power", "continent")}
        return Cells(**columns, step_deg=self.step_deg)


def cells_of(power: FloatArray, *, west: float, north: float, step_deg: float) -> Cells:
    """All cells of a grid, lit and dark, row 0 in the north."""
    row, col = np.indices(power.shape)
    lon = (west + (col.ravel() + 0.5) * step_deg + 180.0) % 360.0 - 180.0
    lat = north - (row.ravel() + 0.5) * step_deg
    return Cells(
        lon=np.asarray(lon, np.float64),
        lat=np.asarray(lat, np.float64),
        power=power.ravel().astype(float),
        continent=continent_of(lon, lat),
        step_deg=step_deg,
    )


def distance_km(
    lon_deg: FloatArray | float, lat_deg: FloatArray | float, lons: FloatArray, lats: FloatArray
) -> FloatArray:
    """Great-circle distances on the sphere (0.5 % are of no matter in choosing targets)."""
    lat1, lat2 = np.radians(lat_deg), np.radians(lats)
    across = np.sin(np.radians(lons - lon_deg) / 2.0) ** 2
    half = np.sin((lat2 - lat1) / 2.0) ** 2 + np.cos(lat1) * np.cos(lat2) * across
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))


def ground_distance_km(off_nadir_deg: float, height_m: float) -> float:
    """Distance from the nadir to the ground seen so far off it; to the horizon beyond that."""
    radius_m = 1000.0 * EARTH_RADIUS_KM
    sine = (1.0 + height_m / radius_m) * np.sin(np.radians(off_nadir_deg))
    incidence = np.arcsin(min(float(sine), 1.0))
    return float((incidence - np.radians(min(off_nadir_deg, 71.0))) * EARTH_RADIUS_KM)


Half = Literal["train", "test"]
Factor = float | int | str | bool | None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One photograph with known truth."""

    seed: int
    half: Half  # "train" or "test"
    # "city" shows lights near where the element set puts the station; "elsewhere" and "other_time"
    # show lights that cannot be seen from there; "mirrored_map" is a city's, for a map that is; the
    # others show none.
    kind: Kind
    photo: bytes  # JPEG with EXIF: body, what the camera's clock said, focal length unless unknown
    tle_text: str  # the element set that the engine is given
    camera: SimCamera  # the true one, of the stored picture
    factors: dict[str, Factor]  # all that was drawn, flat
    registrable: bool  # a city with at least eight separable lit places
    places: int  # separable lit places
    # What it shows, None where no lights are, and how they shone
    world: SeenWorld | None
    lights: Realisation

    @property
    def truth(self) -> dict[str, Any]:
        """Camera, footprint and reference points in the words of the samples' truth files."""
        world = self.world
        points = [] if world is None else reference_points(self.camera, world, self.lights)
        return {
            "camera": camera_truth(self.camera),
            "footprint": footprint(self.camera),
            "reference_points": points,
        }


# Radiance of the classes of the ordinal VIIRS product, nW cm^-2 sr^-1: medians; 0 is dark.
CLASS_RADIANCE = {5: 1.4, 6: 2.7, 7: 6.7, 8: 17.0, 9: 31.0, 10: 47.0, 11: 63.0, 12: 83.0, 13: 134.0}
WORLD_FILE = Path("lights") / "viirs2023_classes_15as_old_world.tif"
CELL_PIXELS = 60  # a cell of a quarter of a degree
LIT_POWER = 60.0  # nW cm^-2 sr^-1 km^2 of a cell worth a look: a small town
# More than their area's due to Oceania and Africa, whose lights are sparse.
CONTINENT_SHARES = {"Africa": 0.35, "Asia": 0.65, "Europe": 0.75, "Oceania": 0.25}


@dataclass(frozen=True, kw_only=True)
class TrialSource:
    """Everything that trials of one half are drawn from."""

    half: Half  # "train" or "test"
    world: World  # what is photographed
    map_step_deg: float  # pixel of the map of that world
    # lit and dark: targets with and without lights, by the half's continents
    lit: dict[str, Cells]
    dark: dict[str, Cells]
    shares: dict[str, float]  # how many trials each continent of the half gets
    orbits: Orbits
    exposures: tuple[Exposure, ...]
    light_map_path: Path | None = None  # map to register on, where the source has its own
    # What "elsewhere" photographs where the world is too small to have an elsewhere
    decoy_world: World | None = None


@lru_cache(maxsize=2)
def real_source(real_data: Path, half: Half) -> TrialSource:
    """Real lights, orbits and camera settings."""
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
        box = (CELL_PIXELS * side for side in (top, left, count, right - left))
        window = world.read(*box)
        blocks = window.reshape(count, CELL_PIXELS, right - left, CELL_PIXELS)
        power[top : top + count, left:right] = blocks.sum(axis=(1, 3))
    middle_lat = world.north - (np.arange(rows) + 0.5) * step_deg
    power *= (world.step_deg * KM_PER_DEGREE) ** 2 * np.cos(np.radians(middle_lat))[:, None]
    lit = cells_of(power, west=world.west, north=world.north, step_deg=step_deg)
    return lit.take(wanted)


@lru_cache(maxsize=2)
def make_source(half: Half) -> TrialSource:
    """The self-made land of the samples: its west for training, its east for tests."""
    light_map = read_geotiff(SAMPLE_MAP)
    rows, cols = (size // CELL_PIXELS for size in light_map.radiance.shape)
    radiance = light_map.radiance[: rows * CELL_PIXELS, : cols * CELL_PIXELS]
    power = radiance.reshape(rows, CELL_PIXELS, cols, CELL_PIXELS).sum(axis=(1, 3), dtype=float)
    power *= (light_map.step_deg * KM_PER_DEGREE) ** 2 * np.cos(np.radians(38.0))
    step_deg = CELL_PIXELS * light_map.step_deg
    cells = cells_of(power, west=light_map.west, north=light_map.north, step_deg=step_deg)
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
            west=cells.lon.min() - 8.0, south=south - 5.0, east=cells.lon.max() + 8.0, north=north
        ),
        exposures=made_exposures(),
        light_map_path=SAMPLE_MAP,
        decoy_world=draw_town_world(SAMPLE_SEED + 1_000_003, SAMPLE_REGION),
    )


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What was done to the picture before it was stored."""

    long_px: int  # long side of the stored picture
    # Left, top, width, height of what was kept, as shares of the whole picture's sides
    crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    quarter_turns: int = 0  # turns by 90 degrees anticlockwise, 0 to 3
    mirrored: bool = False

    @property
    def crop_share(self) -> float:
        """The larger of the kept shares of width and height: 1 for the whole."""
        return max(self.crop[2], self.crop[3])


def whole_size(storage: Storage, shape: float) -> tuple[float, float]:
    """Width and height of the whole picture at the stored picture's scale, pixels."""
    kept_width, kept_height = storage.crop[2], storage.crop[3] / shape  # of the whole's width
    width = storage.long_px / max(kept_width, kept_height)
    return width, width / shape


def stored_camera(whole: SimCamera, storage: Storage) -> SimCamera:
    """Camera of the stored picture."""
    left, top, width, height = storage.crop
    camera = replace(
        whole,
        width_px=round(width * whole.width_px),
        height_px=round(height * whole.height_px),
        principal_x=whole.principal_x - round(left * whole.width_px),
        principal_y=whole.principal_y - round(top * whole.height_px),
    )
    for _ in range(storage.quarter_turns):
        camera = turn_camera(camera)
    return replace(camera, mirrored=storage.mirrored)


def turn_camera(camera: SimCamera) -> SimCamera:
    """Camera of ``numpy.rot90(picture)``: turned by 90 degrees anticlockwise."""
    right, down, forward = camera.axes.T
    return replace(
        camera,
        width_px=camera.height_px,
        height_px=camera.width_px,
        principal_x=camera.principal_y,
        principal_y=camera.width_px - 1 - camera.principal_x,
        axes=np.stack([down, -right, forward], axis=-1),
    )


def draw_storage(rng: np.random.Generator) -> Storage:
    """Draw what archives and editors do to pictures.

    Half are whole pictures at the archive's sizes. Of the crops half keep the sensor's shape, and
    are mild (editors' copies of known frames show 1.28 and 1.4 times the lens's focal length);
    the others have any shape and go down to a third.
    """
    long_px = int(
        rng.choice([640, 800, 1000, 1280, 1600, 2000], p=[0.22, 0.08, 0.3, 0.1, 0.2, 0.1])
    )
    crop = (0.0, 0.0, 1.0, 1.0)
    if rng.random() < 0.22:
        if rng.random() < 0.5:
            width = height = float(rng.uniform(0.65, 0.97))
        else:
            larger = float(rng.uniform(1.0 / 3.0, 1.0))
            smaller = larger * float(rng.uniform(0.6, 0.95))
            width, height = (larger, smaller) if rng.random() < 0.5 else (smaller, larger)
        left, top = (1.0 - width) * float(rng.random()), (1.0 - height) * float(rng.random())
        crop = (left, top, width, height)
    turns = int(rng.choice([0, 1, 2, 3], p=[0.8, 0.08, 0.04, 0.08]))
    mirrored = bool(rng.random() < 0.03)
    return Storage(long_px=long_px, crop=crop, quarter_turns=turns, mirrored=mirrored)
