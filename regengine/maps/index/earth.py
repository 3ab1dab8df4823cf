"""Build, write and read the index of a map: its light peaks at several scales, with patches."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE
from detectors.types import BoolArray, FloatArray
from matchers.geometry.earth import geodetic_to_ecef
from matchers.geometry.footprint import Bounds
from matchers.lights import polar_patches
from matchers.lights.verify import LIGHTS, find_light_peaks
from matchers.points.asterisms import unit
from regengine.errors import ConfigError, Option
from regengine.io.atomic import replace_files
from regengine.io.checksums import fingerprint
from regengine.io.hdf5 import open_hdf5
from regengine.maps.formats import read_content_sha256
from regengine.maps.opening import light_map_of
from regengine.maps.reference import RasterMap
from regengine.orbit.position import ANY_KM

Mode = Literal["auto", "always", "never"]


@dataclass(frozen=True, kw_only=True)
class BlindOptions:
    """When photos are searched on the whole Earth, and with which index.

    mode: "always" for all photos; "auto" for those without a nadir and without a time with an
        element set; "never".
    index: File of the index; None for the one next to the map, or one computed in memory.
    altitude_km: Range of the camera's altitude.
    """

    mode: Mode = "auto"
    index: Path | None = None
    altitude_km: tuple[float, float] = ANY_KM


def index_beside(path: Path) -> Path:
    """Path of the index next to a map: ``earth.tif.idx`` for ``earth.tif``."""
    return path.with_name(f"{path.name}.idx")


def index_file(options: BlindOptions, maps: Sequence[Path]) -> Path | None:
    """File of the index that is used: the given one, or that of the widest map; None without."""
    if options.index is not None:
        return options.index
    indexed = [path for path in maps if index_beside(path).is_file()]
    if len(indexed) > 1:

        def measure_deg2(path: Path) -> float:
            west, south, east, north = light_map_of((path,)).info.bounds
            return (east - west) * (north - south)

        indexed.sort(key=measure_deg2, reverse=True)
    return index_beside(indexed[0]) if indexed else None


@lru_cache(maxsize=2)
def load_earth_index(options: BlindOptions, maps: tuple[Path, ...]) -> EarthIndex | None:
    """Load the index of a map once per process: the given one, the one next to it, or in memory.

    Returns None if there is no file and the map is so large that building an index takes minutes.
    Raises ConfigError if the given file cannot be used.
    """
    file, whole = index_file(options, maps), None
    if file is not None:
        its_maps = maps if options.index else [one for one in maps if index_beside(one) == file]
        try:
            whole = read_earth_index(file, its_maps)
        except ConfigError as error:
            if options.index is not None:
                raise
            logging.getLogger("regengine").warning("%s It is ignored.", error)
    if whole is None:
        whole = index_in_memory(light_map_of(maps))
    return whole


# Pixel sizes of the levels: from the field of an 85 mm lens at nadir to whole regions under the
# limb
SIZES_KM = (0.65, 1.3, 2.6, 5.2)
# Width of a latitude strip, so narrow that a degree of longitude is equally long at both edges,
# within 6 %; and length of its pieces in longitude
STRIP_DEG = 2.0
PIECE_DEG = 20.0
# Peaks are maxima of nine pixels: nearer ones are the same peak
SAME_PX = 1.5
SMOOTH_PX = 0.8


@dataclass(frozen=True, kw_only=True, eq=False)
class LightLevel:
    """Light peaks of the map, detected at one pixel size.

    vectors: Unit vectors from the Earth's centre to places on the ellipsoid, shape (n, 3).
    contrast: Contrast of each peak, shape (n,).
    patches: The light around each, in the same order.
    """

    vectors: FloatArray
    contrast: FloatArray
    patches: polar_patches.PatchTable

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.vectors)


class EarthIndex:
    """Index levels by their pixel size in kilometres; each is computed on first access."""

    def __init__(self, sizes_km: Sequence[float], make: Callable[[float], LightLevel]) -> None:
        self.sizes_km = tuple(sizes_km)
        self._make = cache(make)

    def __getitem__(self, size_km: float) -> LightLevel:
        return self._make(size_km)

    def where(self, wanted: Callable[[FloatArray], BoolArray]) -> EarthIndex:
        """Select the peaks whose vectors, shape (n, 3), satisfy a condition."""

        def cut(size_km: float) -> LightLevel:
            level, is_wanted = self[size_km], wanted(self[size_km].vectors)
            coefficients = np.ascontiguousarray(level.patches.coefficients[:, is_wanted])
            return LightLevel(
                vectors=level.vectors[is_wanted],
                contrast=level.contrast[is_wanted],
                patches=replace(level.patches, coefficients=coefficients),
            )

        return EarthIndex(self.sizes_km, cut)

    def around(self, places: FloatArray, reach_rad: float) -> EarthIndex:
        """Select the peaks within a chord of some places, given as unit vectors of shape (n, 3)."""
        tree = cKDTree(places)
        return self.where(
            lambda vectors: np.isfinite(tree.query(vectors, distance_upper_bound=reach_rad)[0])
        )


def build_earth_index(
    light_map: RasterMap, progress: Callable[[int, int], None] = lambda done, total: None
) -> EarthIndex:
    """Detect the light peaks of a map at every scale, and build its index.

    `progress` is called with the work done and in total. Coarse levels are built first, because
    they cost least. Raises MapError if the map cannot be read.
    """
    made, before = {}, 0
    sizes_km = list_level_sizes(light_map)
    whole = sum(map(_level_work, sizes_km))
    for size_km in sorted(sizes_km, reverse=True):
        work = _level_work(size_km)

        def tell(done: int, total: int, before: int = before, work: int = work) -> None:
            progress(before + work * done // total, whole)

        made[size_km] = build_level(light_map, size_km, tell)
        before += work
    return EarthIndex(sizes_km, made.__getitem__)


def list_level_sizes(light_map: RasterMap) -> tuple[float, ...]:
    pixel_km = light_map.info.resolution_deg * KM_PER_DEGREE
    return tuple(size for size in SIZES_KM if size >= pixel_km) or SIZES_KM[-1:]


def _level_work(size_km: float) -> int:
    """Estimate the relative cost of a level, from its number of pieces and of their pixels."""
    return round(1000.0 * (0.45 + size_km**-2))


def index_in_memory(light_map: RasterMap) -> EarthIndex | None:
    """Make the index of a regional map in memory; each level is computed on first access.

    Returns None for maps so large that this would take minutes.
    """
    if len(list_pieces(light_map.info.bounds)) > 60:  # 0.05 s each, at each scale
        return None
    return EarthIndex(list_level_sizes(light_map), partial(build_level, light_map))


def build_level(
    light_map: RasterMap,
    size_km: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LightLevel:
    """Detect the light peaks of a map, resampled to square pixels of a given size."""
    peaks = [np.zeros((0, 3))]  # longitude, latitude, contrast
    rings = [np.zeros((0, len(polar_patches.RINGS_PX), polar_patches.HARMONICS), np.complex64)]
    wanted = list_pieces(light_map.info.bounds)
    margin_deg = 40.0 * size_km / KM_PER_DEGREE  # radius of the widest ring and its blur
    rim_deg = SAME_PX * size_km / KM_PER_DEGREE
    for done, (west, south) in enumerate(wanted, start=1):
        # A piece with a margin, resampled to pixels that are square at its centre
        east, north = west + PIECE_DEG, south + STRIP_DEG
        shrink = float(np.cos(np.radians(south + 0.5 * STRIP_DEG)))
        margin_lon = margin_deg / shrink
        low, high = max(south - margin_deg, -89.0), min(north + margin_deg, 89.0)
        around = west - margin_lon, low, east + margin_lon, high
        grid = light_map.find_window(*around, size_km / KM_PER_DEGREE)
        if grid is not None and float(grid.values.max()) >= LIGHTS.min_contrast:
            height, width = grid.values.shape
            step_km = grid.step_deg * KM_PER_DEGREE
            columns = max(8, round(width * step_km * shrink / size_km))
            rows = max(8, round(height * step_km / size_km))
            picture = np.asarray(
                cv2.resize(grid.values, (columns, rows), interpolation=cv2.INTER_AREA), np.float32
            )
            smooth = np.asarray(cv2.GaussianBlur(picture, (0, 0), SMOOTH_PX), np.float32)
            light_peaks = find_light_peaks(smooth, None, picture.size)
            lon = grid.lon0_deg + ((light_peaks.x + 0.5) * width / columns - 0.5) * grid.step_deg
            lat = grid.lat0_deg - ((light_peaks.y + 0.5) * height / rows - 0.5) * grid.step_deg
            # Positions from two pieces differ by fractions of a pixel, so both keep border peaks
            inside = (lon >= west - rim_deg / shrink) & (lon < east + rim_deg / shrink)
            inside &= (lat >= south - rim_deg) & (lat < north + rim_deg)
            x, y, lon, lat = (side[inside] for side in (light_peaks.x, light_peaks.y, lon, lat))
            lon = (lon + 180.0) % 360.0 - 180.0
            peaks.append(np.stack([lon, lat, light_peaks.contrast[inside]], axis=1))
            if len(x):
                wide = shrink / np.cos(np.radians(lat))
                rings.append(
                    polar_patches.harmonics(*polar_patches.sample_rings(picture, None, x, y, wide))
                )
        progress(done, len(wanted))
    lon, lat, contrast = np.concatenate(peaks).T
    vectors = unit(geodetic_to_ecef(lon, lat, np.zeros(len(lon))))
    # Peaks on a border are in both adjacent pieces: remove the duplicates
    same_km = SAME_PX * size_km
    twins = cKDTree(EARTH_RADIUS_KM * vectors).query_pairs(same_km, output_type="ndarray")
    is_kept = np.ones(len(vectors), bool)
    if len(twins):
        is_kept[twins.max(axis=1)] = False
    return LightLevel(
        vectors=vectors[is_kept],
        contrast=contrast[is_kept],
        patches=polar_patches.build_table(np.concatenate(rings)[is_kept]),
    )


def list_pieces(bounds: Bounds) -> list[tuple[float, float]]:
    """List west and south of all pieces that intersect west, south, east, north of a map."""
    west, south, east, north = bounds
    # The station's orbit reaches 51.7 degrees, and its photos some 15 degrees beyond
    farthest, piece_deg = 68.0, PIECE_DEG
    return [
        (left, low)
        for low in np.arange(-farthest, farthest, STRIP_DEG).tolist()
        for left in np.arange(-180.0, 180.0, piece_deg).tolist()
        if low < north
        and low + STRIP_DEG > south
        and ((left - west) % 360.0 < east - west or (west - left) % 360.0 < piece_deg)
    ]


# File format of an index: written completely, memory-mapped, and verified before use

FORMAT = "regengine earth index"
FORMAT_VERSION = 4
AGAIN = "make it again with regengine maps index"


def write_earth_index(index: EarthIndex, maps: Sequence[Path], out: Path) -> None:
    """Write an index of these maps; the file appears only when it is complete.

    Raises ConfigError if the map has too few lights, StoreError if the file cannot be written.
    """
    min_peaks = 10
    if all(len(index[size_km].vectors) < min_peaks for size_km in index.sizes_km):
        raise ConfigError(
            f"{', '.join(path.name for path in maps)}: too few lights for an index: give a "
            "map of a larger region."
        )
    with (
        replace_files((out,)) as (new,),
        new.open("w+b", buffering=0) as raw,  # disk errors are raised here, not in HDF5
        h5py.File(raw, "w", libver="v110") as file,
    ):
        file.attrs["format"] = FORMAT
        file.attrs["format_version"] = FORMAT_VERSION
        file.attrs["maps"] = [path.name for path in maps]
        file.attrs["map_fingerprints"] = [
            read_content_sha256(path) or fingerprint(path) for path in maps
        ]
        for number, size_km in enumerate(sorted(index.sizes_km)):
            level, group = index[size_km], file.create_group(f"level_{number}")
            group.attrs["pixel_km"] = size_km
            columns: dict[str, NDArray[Any]] = {
                "vectors": level.vectors.astype(np.float32),  # within half a metre
                "brightness": level.contrast.astype(np.float32),
                "patches": level.patches.coefficients,
                "patch_weights": level.patches.weights,
            }
            for name, values in columns.items():
                group.create_dataset(name, data=values).attrs["sha256"] = digest(values)


def read_earth_index(path: Path, maps: Sequence[Path]) -> EarthIndex:
    """Read the index of these maps.

    Its large arrays are memory-mapped, so that processes share them. Raises ConfigError if the file
    does not exist, is not an index, has another version, is damaged, or was made from other maps.
    """
    try:
        levels = {}
        with open_hdf5(path, ConfigError) as file:
            if file.attrs.get("format") != FORMAT:
                raise ConfigError(f"{path} is not an index of the Earth's lights: {AGAIN}.")
            if int(file.attrs["format_version"]) != FORMAT_VERSION:
                raise ConfigError(
                    f"{path}: this index has format {file.attrs['format_version']}, and this "
                    f"program reads {FORMAT_VERSION}: {AGAIN}."
                )
            # A map is identified by the fingerprint of its lights or of its file
            made_of = [str(identity) for identity in file.attrs["map_fingerprints"]]
            if len(made_of) != len(maps) or not all(
                identity in (read_content_sha256(one), fingerprint(one))
                for identity, one in zip(made_of, maps, strict=True)
            ):
                names = ", ".join(str(name) for name in file.attrs["maps"])
                raise ConfigError(
                    f"{path}: this index was made from {names}, not from the map of ",
                    Option("lights"),
                    f": give that map, or {AGAIN}.",
                )
            for group in (file[name] for name in sorted(file)):
                arrays = {name: map_array(path, group[name]) for name in ("vectors", "patches")}
                if arrays["patches"].shape[1] != len(arrays["vectors"]):
                    raise ValueError("patches are missing")
                levels[float(group.attrs["pixel_km"])] = LightLevel(
                    vectors=np.array(arrays["vectors"], float),
                    contrast=np.array(map_array(path, group["brightness"]), float),
                    patches=polar_patches.PatchTable(
                        coefficients=arrays["patches"],
                        weights=np.array(map_array(path, group["patch_weights"])),
                    ),
                )
        return EarthIndex(sorted(levels), levels.__getitem__)
    except ConfigError:
        raise
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: the index does not exist: {AGAIN}.") from error
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        raise ConfigError(f"{path} is not an index, or is damaged: {AGAIN}.") from error


def map_array(path: Path, dataset: h5py.Dataset) -> NDArray[Any]:
    """Memory-map a dataset of the file; ValueError if its checksum is wrong."""
    offset = dataset.id.get_offset()
    if offset is None or dataset.size == 0:
        values = dataset[()]
    else:
        values = np.memmap(path, mode="r", dtype=dataset.dtype, shape=dataset.shape, offset=offset)
    if digest(values) != dataset.attrs["sha256"]:
        raise ValueError(f"{dataset.name} is damaged")
    return np.asarray(values)


def digest(values: NDArray[Any]) -> str:
    content = np.ascontiguousarray(values).data.cast("B") if values.size else b""
    return hashlib.sha256(content).hexdigest()
