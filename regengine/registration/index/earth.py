"""The index of the Earth: the map's light peaks at several scales, and the light around each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from detectors.constants import EARTH_RADIUS_KM, KM_PER_DEGREE
from detectors.types import BoolArray, FloatArray, FloatImage
from matchers.asterisms import unit
from matchers.earth import geodetic_to_ecef, surface_to_lonlat
from matchers.light_grid import LightGrid
from matchers.polar_patches import (
    HARMONICS,
    RINGS_PX,
    PatchTable,
    harmonics,
    sampled,
    table_of,
)
from matchers.verify import find_light_peaks
from regengine.errors import ConfigError, LightMapError
from regengine.io.atomic import in_place_of
from regengine.io.checksums import fingerprint
from regengine.references.formats import read_content_sha256
from regengine.references.reference import Bounds
from regengine.registration.windows import NightLights

# From whole regions under the limb to what an 85 mm lens shows straight down. The next one would
# be below the pixels of the map
PIXELS_KM = (0.65, 1.3, 2.6, 5.2)


@dataclass(frozen=True, kw_only=True, eq=False)
class LightLevel:
    """Light peaks of the map, sought in pixels of one size.

    Attributes
    ----------
    vectors : ndarray of float64, shape (n, 3)
        Unit vectors from the Earth's centre to places on the ellipsoid.
    contrast : ndarray of float64, shape (n,)
        How far each stands out.
    patches : PatchTable
        The light around each, in the same order.
    """

    vectors: FloatArray
    contrast: FloatArray
    patches: PatchTable

    @cached_property
    def tree(self) -> cKDTree:
        """Of the vectors."""
        return cKDTree(self.vectors)

    def only(self, wanted: BoolArray) -> LightLevel:
        """Some of the peaks."""
        coefficients = np.ascontiguousarray(self.patches.coefficients[:, wanted])
        return LightLevel(
            vectors=self.vectors[wanted],
            contrast=self.contrast[wanted],
            patches=replace(self.patches, coefficients=coefficients),
        )


class EarthIndex:
    """Levels by the size of their pixels, kilometres, each made when it is first asked for."""

    def __init__(self, sizes_km: Sequence[float], make: Callable[[float], LightLevel]) -> None:
        self.sizes_km = tuple(sizes_km)
        self._make = cache(make)

    def __getitem__(self, size_km: float) -> LightLevel:
        """A level."""
        return self._make(size_km)

    def around(self, places: FloatArray, reach_rad: float) -> EarthIndex:
        """Only what lies within a reach (chord) of some places, unit vectors of shape (n, 3)."""
        tree = cKDTree(places)

        def cut(size_km: float) -> LightLevel:
            vectors = self[size_km].vectors
            away = tree.query(vectors, distance_upper_bound=reach_rad)[0]
            return self[size_km].only(np.isfinite(away))

        return EarthIndex(self.sizes_km, cut)

    def within(self, bounds: Bounds) -> EarthIndex:
        """Only what lies within west, south, east, north (degrees)."""
        west, south, east, north = bounds

        def cut(size_km: float) -> LightLevel:
            lon, lat = surface_to_lonlat(self[size_km].vectors)
            inside = ((lon - west) % 360.0 <= east - west) & (lat >= south) & (lat <= north)
            return self[size_km].only(np.asarray(inside, np.bool_))

        return EarthIndex(self.sizes_km, cut)


def build_earth_index(
    light_map: NightLights, progress: Callable[[int, int], None] = lambda done, total: None
) -> EarthIndex:
    """Find the Earth's light peaks in a map at every scale.

    `progress` is called with pieces done and in total. Raises LightMapError if the map cannot be
    read.
    """
    made = {}
    for number, size_km in enumerate(PIXELS_KM):

        def tell(done: int, total: int, before: int = number) -> None:
            progress(before * total + done, len(PIXELS_KM) * total)

        made[size_km] = build_level(light_map, size_km, tell)
    return EarthIndex(PIXELS_KM, made.__getitem__)


def index_minutes(bounds: Bounds) -> float:
    """About how long one processor takes to index a map of these bounds."""
    return EARTH_MINUTES * len(list_pieces(bounds)) / len(list_pieces((-180.0, -90.0, 180.0, 90.0)))


def index_in_memory(light_map: NightLights) -> EarthIndex | None:
    """The index of a map of a region, each level made when it is first asked for.

    None for maps so large that this would take minutes.
    """
    if len(list_pieces(light_map.info.bounds)) > MAX_PIECES_IN_MEMORY:
        return None
    return EarthIndex(PIXELS_KM, partial(build_level, light_map))


def build_level(
    light_map: NightLights,
    size_km: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LightLevel:
    """Light peaks of a map, sought in pictures of it with square pixels of some size."""
    peaks = [np.zeros((0, 3))]  # longitude, latitude, contrast
    rings = [np.zeros((0, len(RINGS_PX), HARMONICS), np.complex64)]
    wanted = list_pieces(light_map.info.bounds)
    for done, (west, south) in enumerate(wanted):
        piece = draw_piece(light_map, west, south, size_km)
        if piece is not None:
            found = detect_in_piece(piece, west, south, size_km)
            peaks.append(found)
            rings.append(measure_rings(piece, found))
        progress(done + 1, len(wanted))
    lon, lat, contrast = np.concatenate(peaks).T
    vectors = unit(geodetic_to_ecef(lon, lat, np.zeros(len(lon))))
    # Two neighbouring pieces both have those on their border
    twins = cKDTree(EARTH_RADIUS_KM * vectors).query_pairs(SAME_PX * size_km, output_type="ndarray")
    kept = np.ones(len(vectors), bool)
    if len(twins):
        kept[twins.max(axis=1)] = False
    return LightLevel(
        vectors=vectors[kept],
        contrast=contrast[kept],
        patches=table_of(np.concatenate(rings)[kept]),
    )


# The file of an index of the Earth: written whole, mapped into memory, checked before use.

FORMAT = "regengine earth index"
FORMAT_VERSION, READ_VERSIONS = 4, (3, 4)  # 3 held asterisms, too
AGAIN = "make it anew with regengine lights index"


def write_earth_index(index: EarthIndex, maps: Sequence[Path], out: Path) -> None:
    """Write an index of these maps; the file appears only when it is complete.

    Raises ConfigError if the map has too few lights, StoreError if the file cannot be written.
    """
    if not any(len(index[size_km].vectors) >= MIN_PEAKS for size_km in index.sizes_km):
        raise ConfigError(
            f"{', '.join(path.name for path in maps)}: too few lights for an index: give a "
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
            read_content_sha256(path) or fingerprint(path) for path in maps
        ]
        for number, size_km in enumerate(sorted(index.sizes_km)):
            level, group = index[size_km], file.create_group(f"level_{number}")
            group.attrs["pixel_km"] = size_km
            columns: dict[str, NDArray[Any]] = {
                "vectors": level.vectors,
                "brightness": level.contrast.astype(np.float32),
                "patches": level.patches.coefficients,
                "patch_weights": level.patches.weights,
            }
            for name, values in columns.items():
                group.create_dataset(name, data=values).attrs["sha256"] = digest(values)


def read_earth_index(path: Path, maps: Sequence[Path]) -> EarthIndex:
    """Read an index that was made of these maps.

    Its large arrays are mapped: only what is looked at is read, and processes share it. Raises
    ConfigError if there is no such file, it is no index or of another version, it is damaged, or
    was made of other maps.
    """
    try:
        levels = {}
        with h5py.File(path, "r") as file:
            check(path, file, maps)
            for group in (file[name] for name in sorted(file)):
                arrays = {name: map_array(path, group[name]) for name in ("vectors", "patches")}
                if arrays["patches"].shape[1] != len(arrays["vectors"]):
                    raise ValueError("the patches are not all there")
                levels[float(group.attrs["pixel_km"])] = LightLevel(
                    vectors=np.array(arrays["vectors"]),
                    contrast=np.array(map_array(path, group["brightness"]), float),
                    patches=PatchTable(
                        coefficients=arrays["patches"],
                        weights=np.array(map_array(path, group["patch_weights"])),
                    ),
                )
        return EarthIndex(sorted(levels), levels.__getitem__)
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
    if int(file.attrs["format_version"]) not in READ_VERSIONS:
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
    return known == read_content_sha256(path) or known == fingerprint(path)


def map_array(path: Path, dataset: h5py.Dataset) -> NDArray[Any]:
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


# The map in pieces: strips so narrow that their pixels are square

# The station's orbit reaches 51.7 degrees, and its photos some 15 degrees beyond
FARTHEST_LAT_DEG = 68.0
# Strips so narrow that a degree of longitude is as long at both edges, within 6 %
STRIP_DEG = 2.0
PIECE_DEG = 20.0
MARGIN_PX = 40
# Peaks are local maxima of nine pixels: what is nearer is the same one
SAME_PX = 1.5
SMOOTH_PX = 0.8
# A piece whose brightest pixel is darker than this, log10(1 + L), holds no lights
MIN_LIGHT = 0.02
MAX_PEAKS = 100_000  # of a piece: no limit
# Of a map without a file of its index: a twentieth of a second each, at each scale
MAX_PIECES_IN_MEMORY = 60
EARTH_MINUTES = 5  # of one processor, to index the whole Earth
MIN_PEAKS = 10  # in one level of an index that is of any use


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """A piece of a strip as a picture with square pixels, and where they lie."""

    picture: FloatImage
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


def list_pieces(bounds: Bounds) -> list[tuple[float, float]]:
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


def draw_piece(light_map: NightLights, west: float, south: float, pixel_km: float) -> Piece | None:
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
    if float(grid.values.max()) < MIN_LIGHT:
        return None
    height, width = grid.values.shape
    step_km = grid.step_deg * KM_PER_DEGREE
    size = (
        max(8, round(width * step_km * shrink / pixel_km)),
        max(8, round(height * step_km / pixel_km)),
    )
    picture = cv2.resize(grid.values, size, interpolation=cv2.INTER_AREA)
    return Piece(picture=np.asarray(picture, np.float32), grid=grid, shrink=shrink)


def detect_in_piece(piece: Piece, west: float, south: float, pixel_km: float) -> FloatArray:
    """Longitude, latitude and contrast of a piece's peaks, found with what surrounds it."""
    smooth = np.asarray(cv2.GaussianBlur(piece.picture, (0, 0), SMOOTH_PX), np.float32)
    peaks = find_light_peaks(smooth, None, MAX_PEAKS)
    lon, lat = piece.places(peaks.x, peaks.y)
    # Places found in two pieces differ by parts of a pixel: those on a border are in both of them
    rim_lat = SAME_PX * pixel_km / KM_PER_DEGREE
    rim_lon = rim_lat / piece.shrink
    inside = (lon >= west - rim_lon) & (lon < west + PIECE_DEG + rim_lon)
    inside &= (lat >= south - rim_lat) & (lat < south + STRIP_DEG + rim_lat)
    lon = (lon + 180.0) % 360.0 - 180.0
    return np.stack([lon, lat, peaks.contrast], axis=1)[inside]


def measure_rings(piece: Piece, peaks: FloatArray) -> NDArray[np.complex64]:
    """The light around peaks of a piece, as rings that photos are compared with."""
    if not len(peaks):
        return np.zeros((0, len(RINGS_PX), HARMONICS), np.complex64)
    middle = piece.grid.lon0_deg + 0.5 * piece.grid.step_deg * piece.grid.values.shape[1]
    lon = middle + (peaks[:, 0] - middle + 180.0) % 360.0 - 180.0
    x, y = piece.pixels(lon, peaks[:, 1])
    # The piece's pixels are square on its middle parallel
    wide = piece.shrink / np.cos(np.radians(peaks[:, 1]))
    return harmonics(*sampled(piece.picture, None, x, y, wide))
