"""The towns of the whole Earth as photos of some scale would tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from matchers.asterisms import unit
from matchers.earth import geodetic_to_ecef
from matchers.level_ground import EARTH_RADIUS_KM
from matchers.light_grid import LightGrid
from matchers.polar_patches import HARMONICS, RINGS_PX, PatchTable, harmonics, sampled, table_of
from matchers.verify import find_towns
from regengine.errors import LightMapError
from regengine.registration.map_window import KM_PER_DEG, HasWindows

FloatArray = NDArray[np.float64]
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


def towns_of_earth(
    light_map: HasWindows,
    pixel_km: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FloatArray:
    """Towns of a map, sought in pictures of it with square pixels of some size."""
    found, wanted = [np.zeros((0, 3))], pieces()
    for done, (west, south) in enumerate(wanted):
        found.append(towns_of_piece(light_map, west, south, pixel_km))
        progress(done + 1, len(wanted))
    return each_once(np.concatenate(found), pixel_km)


def each_once(towns: FloatArray, pixel_km: float) -> FloatArray:
    """Towns without those that two neighbouring pieces both have."""
    places = unit(geodetic_to_ecef(towns[:, 0], towns[:, 1], np.zeros(len(towns))))
    twins = cKDTree(EARTH_RADIUS_KM * places).query_pairs(SAME_PX * pixel_km, output_type="ndarray")
    return np.delete(towns, np.unique(twins.max(axis=1, initial=0)) if len(twins) else [], axis=0)


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


def pieces() -> list[tuple[float, float]]:
    """West and south of all pieces."""
    souths = np.arange(-FARTHEST_LAT_DEG, FARTHEST_LAT_DEG, STRIP_DEG)
    wests = np.arange(-180.0, 180.0, PIECE_DEG)
    return [(west, south) for south, west in product(souths.tolist(), wests.tolist())]


def piece_at(light_map: HasWindows, west: float, south: float, pixel_km: float) -> Piece | None:
    """The picture of one piece with what surrounds it; None where the map has nothing of it."""
    east, north = west + PIECE_DEG, south + STRIP_DEG
    shrink = float(np.cos(np.radians(south + 0.5 * STRIP_DEG)))
    margin_lat = MARGIN_PX * pixel_km / KM_PER_DEG
    margin_lon = margin_lat / shrink
    try:
        grid = light_map.window(
            west - margin_lon,
            max(south - margin_lat, -89.0),
            east + margin_lon,
            min(north + margin_lat, 89.0),
            pixel_km / KM_PER_DEG,
        )
    except LightMapError as error:
        if error.code != "outside_map":
            raise
        return None
    if float(grid.values.max()) < LEAST_LIGHT:
        return None
    height, width = grid.values.shape
    step_km = grid.step_deg * KM_PER_DEG
    size = (
        max(8, round(width * step_km * shrink / pixel_km)),
        max(8, round(height * step_km / pixel_km)),
    )
    picture = cv2.resize(grid.values, size, interpolation=cv2.INTER_AREA)
    return Piece(picture=np.asarray(picture, np.float32), grid=grid, shrink=shrink)


def towns_of_piece(light_map: HasWindows, west: float, south: float, pixel_km: float) -> FloatArray:
    """Towns of one piece of a strip, found with what surrounds it, see `towns_of_earth`."""
    piece = piece_at(light_map, west, south, pixel_km)
    if piece is None:
        return np.zeros((0, 3))
    smooth = np.asarray(cv2.GaussianBlur(piece.picture, (0, 0), SMOOTH_PX), np.float32)
    towns = find_towns(smooth, None, MOST_TOWNS)
    lon, lat = piece.places(towns.x, towns.y)
    # Places found in two pieces differ by parts of a pixel: those on a border are in both of them
    rim_lat = SAME_PX * pixel_km / KM_PER_DEG
    rim_lon = rim_lat / piece.shrink
    inside = (lon >= west - rim_lon) & (lon < west + PIECE_DEG + rim_lon)
    inside &= (lat >= south - rim_lat) & (lat < south + STRIP_DEG + rim_lat)
    lon = (lon + 180.0) % 360.0 - 180.0
    return np.stack([lon, lat, towns.contrast], axis=1)[inside]


# The light around every town of the Earth, as rings that photos are compared with.


def patches_of_earth(
    light_map: HasWindows,
    lon_deg: FloatArray,
    lat_deg: FloatArray,
    pixel_km: float,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PatchTable:
    """Patches of the map around towns."""
    found = np.zeros((len(lon_deg), len(RINGS_PX), HARMONICS), np.complex64)
    wanted = pieces()
    for done, (west, south) in enumerate(wanted):
        inside = (lon_deg >= west) & (lon_deg < west + PIECE_DEG)
        inside &= (lat_deg >= south) & (lat_deg < south + STRIP_DEG)
        piece = piece_at(light_map, west, south, pixel_km) if inside.any() else None
        if piece is not None:
            x, y = piece.pixels(lon_deg[inside], lat_deg[inside])
            # The piece's pixels are square on its middle parallel
            wide = piece.shrink / np.cos(np.radians(lat_deg[inside]))
            left, right = int(max(x.min() - MARGIN_PX, 0)), int(x.max()) + MARGIN_PX + 1
            picture = np.ascontiguousarray(piece.picture[:, left:right])
            found[inside] = harmonics(*sampled(picture, None, x - left, y, wide))
        progress(done + 1, len(wanted))
    return table_of(found)
