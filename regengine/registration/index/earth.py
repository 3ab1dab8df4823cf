"""The index of the Earth's towns: their quads and patches at several scales."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE
from detectors.types import FloatArray
from matchers import polar_patches
from matchers.asterisms import (
    AsterismIndex,
    AsterismParameters,
    Figures,
    build_index,
    scaled_codes,
    unit,
)
from matchers.code_table import CodeTable
from matchers.earth import geodetic_to_ecef, surface_to_lonlat
from matchers.light_grid import LightGrid
from matchers.polar_patches import HARMONICS, RINGS_PX, PatchTable, harmonics, sampled
from matchers.verify import find_towns
from regengine.errors import ConfigError, LightMapError
from regengine.io.atomic import in_place_of
from regengine.io.checksums import fingerprint
from regengine.lights.geotiff import lights_fingerprint
from regengine.lights.source import Bounds
from regengine.registration.map_window import HasWindows

T = TypeVar("T")

# From whole regions under the limb to what an 85 mm lens shows straight down. The next one would
# be below the pixels of the map
PIXELS_KM = (0.65, 1.3, 2.6, 5.2)
NEIGHBOURS = 6
BRIGHTNESS_SHARE = 0.4
SIZE_PX = (6.0, 80.0)
SHAPE_TOLERANCE = 0.06
# Altitudes of 330 to 430 km and a focal length within 3 % are a scale within 15 %
LOG_SIZE_TOLERANCE = 0.15


@dataclass(frozen=True, kw_only=True, eq=False)
class EarthIndex:
    """Figures of the Earth's towns.

    levels: By the size of the pixels, kilometres, in which the towns were sought.
    patches: What light lies around each of these towns, in the same order.
    """

    levels: Mapping[float, AsterismIndex]
    patches: Mapping[float, PatchTable]

    @classmethod
    def of(cls, levels: Iterable[float], make: Callable[[float], EarthLevel]) -> EarthIndex:
        """An index each of whose levels is made when it is first asked for."""
        sizes, made = tuple(levels), cache(make)
        return cls(
            levels=MadeAtNeed(sizes, lambda level: made(level).figures),
            patches=MadeAtNeed(sizes, lambda level: made(level).patches),
        )

    def around(self, places: FloatArray, reach_rad: float) -> EarthIndex:
        """Only what lies within a reach (chord) of some places, unit vectors of shape (n, 3)."""
        near = cKDTree(places)
        return self.only(
            lambda towns: np.isfinite(near.query(towns, distance_upper_bound=reach_rad)[0])
        )

    def within(self, bounds: Bounds) -> EarthIndex:
        """Only what lies within west, south, east, north (degrees)."""
        return self.only(lambda towns: within(towns, bounds))

    def only(self, wanted: Callable[[FloatArray], NDArray[np.bool_]]) -> EarthIndex:
        """Only some towns, told by their vectors, with their figures and patches."""

        def cut(level: float) -> EarthLevel:
            whole = EarthLevel(self.levels[level], self.patches[level])
            return cut_out(whole, wanted(whole.figures.vectors))

        return EarthIndex.of(self.levels, cut)


class EarthLevel(NamedTuple):
    """One level of an index."""

    figures: AsterismIndex
    patches: PatchTable


class MadeAtNeed(Mapping[float, T]):
    """Values by level, each made when it is first asked for."""

    def __init__(self, levels: tuple[float, ...], make: Callable[[float], T]) -> None:
        self.known, self.make = levels, make

    def __getitem__(self, level: float) -> T:
        if level not in self.known:
            raise KeyError(level)
        return self.make(level)

    def __iter__(self) -> Iterator[float]:
        return iter(self.known)

    def __len__(self) -> int:
        return len(self.known)


def cut_out(level: EarthLevel, seen: NDArray[np.bool_]) -> EarthLevel:
    """A level with nothing but some of its towns, and the figures of these."""
    whole, table = level
    members, numbers = whole.figures.members, np.cumsum(seen) - 1
    kept = seen[members[:, 0]]
    kept[kept] = seen[members[kept]].all(axis=1)
    codes, vectors = whole.code_table, whole.vectors[seen]
    figures = replace(
        whole,
        vectors=vectors,
        brightness=whole.brightness[seen],
        figures=Figures(
            members=numbers[members[kept]],
            codes=whole.figures.codes[kept],
            axes=whole.figures.axes[:0],
        ),
        azimuths_rad=whole.azimuths_rad[kept],
        point_tree=cKDTree(vectors),
        code_table=None
        if codes is None or not kept.any()
        else replace(codes, codes=codes.codes[kept], keys=codes.keys[kept], origin=None),
        whole=(whole, seen),
    )
    patches = replace(
        table,
        coefficients=np.ascontiguousarray(table.coefficients[:, seen]),
    )
    return EarthLevel(figures, patches)


def figure_parameters(pixel_km: float) -> AsterismParameters:
    """Which figures are made of towns that were sought in pixels of some size."""
    return AsterismParameters(
        members=4,
        neighbours=NEIGHBOURS,
        brightness_share=BRIGHTNESS_SHARE,
        size_rad=(SIZE_PX[0] * pixel_km / EARTH_RADIUS_KM, SIZE_PX[1] * pixel_km / EARTH_RADIUS_KM),
        shape_tolerance=SHAPE_TOLERANCE,
        log_size_tolerance=LOG_SIZE_TOLERANCE,
    )


def build_earth_index(
    light_map: HasWindows, progress: Callable[[int, int], None] = lambda done, total: None
) -> EarthIndex:
    """Find the Earth's towns in a map at every scale, and make their figures.

    `progress` is called with pieces done and in total. Raises LightMapError if the map cannot be
    read.
    """
    made = {}
    for number, pixel_km in enumerate(PIXELS_KM):

        def told(done: int, total: int, before: int = number) -> None:
            progress(before * total + done, len(PIXELS_KM) * total)

        made[pixel_km] = build_level(light_map, pixel_km, told)
    return EarthIndex(
        levels={pixel_km: level.figures for pixel_km, level in made.items()},
        patches={pixel_km: level.patches for pixel_km, level in made.items()},
    )


def index_minutes(bounds: Bounds) -> float:
    """About how long one processor takes to index a map of these bounds."""
    return EARTH_MINUTES * len(pieces(bounds)) / len(pieces((-180.0, -90.0, 180.0, 90.0)))


def index_in_memory(light_map: HasWindows) -> EarthIndex | None:
    """The index of a map of a region, each level made when it is first asked for.

    None for maps so large that this would take minutes.
    """
    if len(pieces(light_map.info.bounds)) > MOST_PIECES_IN_MEMORY:
        return None

    return EarthIndex.of(PIXELS_KM, partial(build_level, light_map))


def build_level(
    light_map: HasWindows,
    pixel_km: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EarthLevel:
    """Towns of a map, their figures and the light around them, at one scale."""
    towns, rings = towns_of_map(light_map, pixel_km, progress)
    vectors = unit(geodetic_to_ecef(towns[:, 0], towns[:, 1], np.zeros(len(towns))))
    figures = build_index(vectors, towns[:, 2], figure_parameters(pixel_km))
    return EarthLevel(in_table_order(figures), polar_patches.table_of(rings))


def in_table_order(index: AsterismIndex) -> AsterismIndex:
    """The same index with its figures in the order of the table of codes, which a file keeps."""
    table = index.code_table
    if table is None or table.origin is None:
        return index
    order = table.origin
    figures = index.figures
    return replace(
        index,
        figures=Figures(
            members=figures.members[order], codes=figures.codes[order], axes=figures.axes[order]
        ),
        azimuths_rad=index.azimuths_rad[order],
        code_table=replace(table, origin=None),
    )


def within(vectors: FloatArray, bounds: Bounds) -> NDArray[np.bool_]:
    """Which towns lie within bounds."""
    west, south, east, north = bounds
    lon, lat = surface_to_lonlat(vectors)
    return np.asarray(
        ((lon - west) % 360.0 <= east - west) & (lat >= south) & (lat <= north), np.bool_
    )


def codes_of(index: AsterismIndex) -> FloatArray:
    """Codes of an index's figures in units of their tolerances."""
    return scaled_codes(index.figures.codes, index.parameters)


# The file of an index of the Earth: written whole, mapped into memory, checked before use.

FORMAT = "regengine earth index"
FORMAT_VERSION = 3
AGAIN = "make it anew with regengine lights index"
COLUMNS = (
    "vectors",
    "brightness",
    "members",
    "lengths",
    "azimuths",
    "codes",
    "keys",
    "low",
    "cells",
)


def write_earth_index(index: EarthIndex, maps: Sequence[Path], out: Path) -> None:
    """Write an index of these maps; the file appears only when it is complete.

    Raises ConfigError if the map has no figures of towns, StoreError if the file cannot be written.
    """
    if not any(len(level.figures) for level in index.levels.values()):
        raise ConfigError(
            f"{', '.join(path.name for path in maps)}: too few towns for an index: give a "
            "map of a larger region."
        )
    with (
        in_place_of((out,)) as (new,),
        new.open("w+b", buffering=0) as raw,  # what the disk refuses is told by it, not by HDF5
        h5py.File(raw, "w", libver="v110") as file,
    ):
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["engine_version"] = version("regengine")
        file.attrs["maps"] = [path.name for path in maps]
        file.attrs["map_fingerprints"] = [
            lights_fingerprint(path) or fingerprint(path) for path in maps
        ]
        for number, (pixel_km, level) in enumerate(sorted(index.levels.items())):
            group = file.create_group(f"level_{number}")
            group.attrs["pixel_km"] = pixel_km
            columns = columns_of(level) | patches_of(index.patches[pixel_km])
            for name, values in columns.items():
                group.create_dataset(name, data=values).attrs["sha256"] = digest(values)


def columns_of(level: AsterismIndex) -> dict[str, NDArray[Any]]:
    """What a file holds of one level, as plain arrays; figures in the order of the table."""
    table = level.code_table
    none = np.zeros((0, 5))
    return {
        "vectors": level.vectors,
        "brightness": level.brightness.astype(np.float32),
        "members": level.figures.members.astype(np.int32),
        "lengths": level.figures.codes[:, -1].astype(np.float32),
        "azimuths": level.azimuths_rad.astype(np.float32),
        "codes": (none if table is None else codes_of(level)).astype(np.float32),
        "keys": np.zeros(0) if table is None else table.keys,
        "low": np.zeros(0) if table is None else table.low,
        "cells": np.zeros(0, np.int64) if table is None else np.array(table.cells),
    }


def patches_of(table: PatchTable) -> dict[str, NDArray[Any]]:
    """What a file holds of a level's patches."""
    return {"patches": table.coefficients, "patch_weights": table.weights}


def read_earth_index(path: Path, maps: Sequence[Path]) -> EarthIndex:
    """Read an index that was made of these maps.

    Its large arrays are mapped: only what is looked at is read, and processes share it. Raises
    ConfigError if there is no such file, it is no index or of another version, it is damaged, or
    was made of other maps.
    """
    try:
        with h5py.File(path, "r") as file:
            check(path, file, maps)
            groups = [file[name] for name in sorted(file)]
            return EarthIndex(
                levels={float(group.attrs["pixel_km"]): level_of(path, group) for group in groups},
                patches={float(group.attrs["pixel_km"]): table_of(path, group) for group in groups},
            )
    except ConfigError:
        raise
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such index: {AGAIN}.") from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise ConfigError(f"{path}: this is no index, or it is damaged: {AGAIN}.") from error


def check(path: Path, file: h5py.File, maps: Sequence[Path]) -> None:
    """Refuse what is no index, and one of another version or of other maps."""
    if file.attrs.get("format") != FORMAT:
        raise ConfigError(f"{path}: this is no index of the Earth's lights: {AGAIN}.")
    if int(file.attrs["format_version"]) != FORMAT_VERSION:
        raise ConfigError(
            f"{path}: this index has format {file.attrs['format_version']}, this program reads "
            f"{FORMAT_VERSION}: {AGAIN}."
        )
    made_of = [str(known) for known in file.attrs["map_fingerprints"]]
    if len(made_of) != len(maps) or not all(map(is_of, made_of, maps)):
        names = ", ".join(str(name) for name in file.attrs["maps"])
        raise ConfigError(
            f"{path}: this index was made of {names}, which is not what --lights names: give that "
            f"map, or {AGAIN}."
        )


def is_of(known: str, path: Path) -> bool:
    """Whether a map is known by a fingerprint, that of its lights or that of its file."""
    return known == lights_fingerprint(path) or known == fingerprint(path)


def level_of(path: Path, group: h5py.Group) -> AsterismIndex:
    """One level of an index, its arrays mapped and checked."""
    arrays = {name: mapped(path, group[name]) for name in COLUMNS}
    figures = len(arrays["members"])
    if len(arrays["keys"]) != figures or len(arrays["codes"]) != figures:
        raise ValueError("the figures are not all there")
    table = None
    if figures:
        table = CodeTable(
            codes=arrays["codes"],
            origin=None,
            keys=arrays["keys"],
            low=np.array(arrays["low"]),
            cells=tuple(int(count) for count in arrays["cells"]),
        )
    vectors = np.array(arrays["vectors"])
    return AsterismIndex(
        vectors=vectors,
        brightness=np.array(arrays["brightness"], float),
        figures=Figures(
            members=arrays["members"],
            codes=arrays["lengths"][:, None],
            axes=np.zeros((0, 3)),
        ),
        parameters=figure_parameters(float(group.attrs["pixel_km"])),
        azimuths_rad=arrays["azimuths"],
        point_tree=cKDTree(vectors),  # quickly made anew
        code_table=table,
    )


def table_of(path: Path, group: h5py.Group) -> PatchTable:
    """The patches of one level, mapped and checked."""
    coefficients, weights = mapped(path, group["patches"]), mapped(path, group["patch_weights"])
    if coefficients.shape[1] != len(group["vectors"]):
        raise ValueError("the patches are not all there")
    return PatchTable(coefficients=coefficients, weights=np.array(weights))


def mapped(path: Path, dataset: h5py.Dataset) -> NDArray[Any]:
    """A dataset as an array in the file itself; ValueError if its check sum is not right."""
    offset = dataset.id.get_offset()
    if offset is None or dataset.size == 0:
        values = dataset[()]
    else:
        values = np.memmap(path, mode="r", dtype=dataset.dtype, shape=dataset.shape, offset=offset)
    if digest(values) != dataset.attrs["sha256"]:
        raise ValueError(f"{dataset.name} is damaged")
    return np.asarray(values)


def digest(values: NDArray[Any]) -> str:
    """SHA-256 of an array's bytes, hexadecimal."""
    return hashlib.sha256(
        np.ascontiguousarray(values).data.cast("B") if values.size else b""
    ).hexdigest()


# The towns of the whole Earth as photos of some scale would tell them apart.

Image = NDArray[np.float32]

# The station's orbit reaches 51.7 degrees, and its photos some 15 degrees beyond
FARTHEST_LAT_DEG = 68.0
# Strips so narrow that a degree of longitude is as long at both edges, within 6 %
STRIP_DEG = 2.0
PIECE_DEG = 20.0
MARGIN_PX = 40
# Towns are local maxima of nine pixels: what is nearer is the same one
SAME_PX = 1.5
SMOOTH_PX = 0.8
# A piece whose brightest pixel is darker than this, log10(1 + L), holds no towns
LEAST_LIGHT = 0.02
MOST_TOWNS = 100_000  # of a piece: no limit
# Of a map without a file of its index: a twentieth of a second each, at each scale
MOST_PIECES_IN_MEMORY = 60
EARTH_MINUTES = 11  # of one processor, to index the whole Earth


def towns_of_map(
    light_map: HasWindows,
    pixel_km: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[FloatArray, NDArray[np.complex64]]:
    """Towns of a map, sought in pictures of it with square pixels of some size.

    Returns longitudes, latitudes and contrasts, shape (n, 3), and the harmonics of the rings of
    light around each, shape (n, rings, HARMONICS).
    """
    towns = [np.zeros((0, 3))]
    rings = [np.zeros((0, len(RINGS_PX), HARMONICS), np.complex64)]
    wanted = pieces(light_map.info.bounds)
    for done, (west, south) in enumerate(wanted):
        piece = piece_at(light_map, west, south, pixel_km)
        if piece is not None:
            found = towns_of_piece(piece, west, south, pixel_km)
            towns.append(found)
            rings.append(rings_of_piece(piece, found))
        progress(done + 1, len(wanted))
    kept = each_once(np.concatenate(towns), pixel_km)
    return np.concatenate(towns)[kept], np.concatenate(rings)[kept]


def each_once(towns: FloatArray, pixel_km: float) -> NDArray[np.bool_]:
    """Which towns to keep of those that two neighbouring pieces both have."""
    places = unit(geodetic_to_ecef(towns[:, 0], towns[:, 1], np.zeros(len(towns))))
    twins = cKDTree(EARTH_RADIUS_KM * places).query_pairs(SAME_PX * pixel_km, output_type="ndarray")
    kept = np.ones(len(towns), bool)
    if len(twins):
        kept[twins.max(axis=1)] = False
    return kept


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """A piece of a strip as a picture with square pixels, and where they lie."""

    picture: Image
    grid: LightGrid
    shrink: float

    def places(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Longitudes and latitudes of pixels; longitudes are continuous within the piece."""
        height, width = self.grid.values.shape
        rows, columns = self.picture.shape
        lon = self.grid.lon0_deg + ((x + 0.5) * width / columns - 0.5) * self.grid.step_deg
        lat = self.grid.lat0_deg - ((y + 0.5) * height / rows - 0.5) * self.grid.step_deg
        return lon, lat

    def pixels(self, lon: FloatArray, lat: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixels of longitudes and latitudes."""
        height, width = self.grid.values.shape
        rows, columns = self.picture.shape
        across, down = self.grid.to_pixel(lon, lat)
        return (across + 0.5) * columns / width - 0.5, (down + 0.5) * rows / height - 0.5


def pieces(bounds: Bounds) -> list[tuple[float, float]]:
    """West and south of all pieces that a map within west, south, east, north may have."""
    west, south, east, north = bounds
    souths = np.arange(-FARTHEST_LAT_DEG, FARTHEST_LAT_DEG, STRIP_DEG)
    wests = np.arange(-180.0, 180.0, PIECE_DEG)
    return [
        (left, low)
        for low, left in product(souths.tolist(), wests.tolist())
        if low < north
        and low + STRIP_DEG > south
        and ((left - west) % 360.0 < east - west or (west - left) % 360.0 < PIECE_DEG)
    ]


def piece_at(light_map: HasWindows, west: float, south: float, pixel_km: float) -> Piece | None:
    """The picture of one piece with what surrounds it; None where the map has nothing of it."""
    east, north = west + PIECE_DEG, south + STRIP_DEG
    shrink = float(np.cos(np.radians(south + 0.5 * STRIP_DEG)))
    margin_lat = MARGIN_PX * pixel_km / KM_PER_DEGREE
    margin_lon = margin_lat / shrink
    try:
        grid = light_map.window(
            west - margin_lon,
            max(south - margin_lat, -89.0),
            east + margin_lon,
            min(north + margin_lat, 89.0),
            pixel_km / KM_PER_DEGREE,
        )
    except LightMapError as error:
        if error.code != "outside_map":
            raise
        return None
    if float(grid.values.max()) < LEAST_LIGHT:
        return None
    height, width = grid.values.shape
    step_km = grid.step_deg * KM_PER_DEGREE
    size = (
        max(8, round(width * step_km * shrink / pixel_km)),
        max(8, round(height * step_km / pixel_km)),
    )
    picture = cv2.resize(grid.values, size, interpolation=cv2.INTER_AREA)
    return Piece(picture=np.asarray(picture, np.float32), grid=grid, shrink=shrink)


def towns_of_piece(piece: Piece, west: float, south: float, pixel_km: float) -> FloatArray:
    """Towns of one piece of a strip, found with what surrounds it, see `towns_of_map`."""
    smooth = np.asarray(cv2.GaussianBlur(piece.picture, (0, 0), SMOOTH_PX), np.float32)
    towns = find_towns(smooth, None, MOST_TOWNS)
    lon, lat = piece.places(towns.x, towns.y)
    # Places found in two pieces differ by parts of a pixel: those on a border are in both of them
    rim_lat = SAME_PX * pixel_km / KM_PER_DEGREE
    rim_lon = rim_lat / piece.shrink
    inside = (lon >= west - rim_lon) & (lon < west + PIECE_DEG + rim_lon)
    inside &= (lat >= south - rim_lat) & (lat < south + STRIP_DEG + rim_lat)
    lon = (lon + 180.0) % 360.0 - 180.0
    return np.stack([lon, lat, towns.contrast], axis=1)[inside]


def rings_of_piece(piece: Piece, towns: FloatArray) -> NDArray[np.complex64]:
    """The light around towns of a piece, as rings that photos are compared with."""
    if not len(towns):
        return np.zeros((0, len(RINGS_PX), HARMONICS), np.complex64)
    middle = piece.grid.lon0_deg + 0.5 * piece.grid.step_deg * piece.grid.values.shape[1]
    lon = middle + (towns[:, 0] - middle + 180.0) % 360.0 - 180.0
    x, y = piece.pixels(lon, towns[:, 1])
    # The piece's pixels are square on its middle parallel
    wide = piece.shrink / np.cos(np.radians(towns[:, 1]))
    return harmonics(*sampled(piece.picture, None, x, y, wide))
