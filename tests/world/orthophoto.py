"""Drawn terrain, and how far GDAL's coefficients are from what a camera sees of it.

Hills of up to 3 km stand around the middle of a photo. What a pixel truly sees is found without
coefficients: its ray is followed down, shell by shell, to where it meets the ground. GDAL draws the
numbers of columns and rows in the place of colours, so that it tells which pixel it takes for a
place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import incidence_deg
from regengine.io.gdal import open_gdal_session

HIGHEST_M = 3000.0
SHELL_M = 50.0  # between the shells at which a ray is looked at
STEP_DEG = 1.0 / 240.0  # of the terrain model
HALF_DEG = 1.25  # from its middle to its edge
# To the east and to the north of the middle, half-width, degrees; share of the highest
HILLS = (
    (0.0, 0.0, 0.30, 1.0),
    (-0.55, 0.35, 0.22, 0.7),
    (0.6, -0.4, 0.25, 0.8),
    (0.5, 0.6, 0.2, 0.5),
)
Heights = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class Terrain:
    """Hills around a place, degrees; heights are metres above the ellipsoid."""

    lon: float
    lat: float

    def height_m(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        """Height of the ground at places."""
        heights = np.zeros(np.broadcast(lon, lat).shape)
        for east, north, width, share in HILLS:
            away = np.hypot(
                (lon - self.lon) * np.cos(np.radians(self.lat)) - east, lat - self.lat - north
            )
            heights += share * HIGHEST_M * np.exp(-0.5 * (away / width) ** 2)
        return heights

    def axes(self) -> tuple[FloatArray, FloatArray]:
        """Longitudes of the model's columns and latitudes of its rows, at the middles of pixels."""
        count = round(2.0 * HALF_DEG / STEP_DEG)
        along = np.asarray((np.arange(count) + 0.5) * STEP_DEG - HALF_DEG, np.float64)
        return self.lon + along / float(np.cos(np.radians(self.lat))), self.lat - along

    def grid(self) -> dict[str, Any]:
        """Its coordinate system, size and place, as rasterio names them."""
        lon, lat = self.axes()
        across = float(lon[1] - lon[0])
        return {
            "crs": "EPSG:4326",
            "width": len(lon),
            "height": len(lat),
            "transform": rasterio.Affine(
                across, 0.0, float(lon[0]) - across / 2.0,
                0.0, -STEP_DEG, float(lat[0]) + STEP_DEG / 2.0,
            ),
        }  # fmt: skip

    def write(self, path: Path) -> None:
        """The terrain model as GeoTIFF."""
        heights = self.height_m(*np.meshgrid(*self.axes())).astype(np.float32)
        profile = {"driver": "GTiff", "count": 1, "dtype": "float32", **self.grid()}
        with rasterio.open(path, "w", **profile) as raster:
            raster.write(heights, 1)


def nearer_middle(camera: Camera) -> tuple[float, float]:
    """A place that a photo shows in its nearer half, with ground around it on all sides."""
    along = np.linspace(0.25, 0.75, 17)
    x, y = np.meshgrid(along * camera.width_px, along * camera.height_px)
    angle = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    pick = int(np.nanargmin(np.abs(angle - np.nanquantile(angle, 0.35))))
    lon, lat = camera.pixel_to_lonlat(x.flat[pick], y.flat[pick])
    return float(lon), float(lat)


def meet_ground(
    camera: Camera, x: FloatArray, y: FloatArray, height_m: Heights
) -> tuple[FloatArray, FloatArray]:
    """Places, lon and lat, where rays of pixels first meet the ground; NaN where they do not."""
    found_lon, found_lat = np.full(x.shape, np.nan), np.full(x.shape, np.nan)
    before: tuple[FloatArray, ...] | None = None
    for shell_m in np.arange(1.3 * HIGHEST_M, -SHELL_M, -SHELL_M):
        lon, lat = camera.pixel_to_lonlat(x, y, float(shell_m) or 1e-6)
        above = shell_m - height_m(lon, lat)
        if before is not None:
            met = np.isnan(found_lon) & (above <= 0.0) & (before[2] > 0.0)
            share = before[2][met] / (before[2][met] - above[met])
            found_lon[met] = before[0][met] + share * (lon[met] - before[0][met])
            found_lat[met] = before[1][met] + share * (lat[met] - before[1][met])
        before = lon, lat, above
    return found_lon, found_lat


def drawn_by_gdal(
    virtual: Path, planes: NDArray[Any], terrain: Terrain, model: Path | None
) -> NDArray[Any]:
    """Planes, shape (n, height, width), of the photo on the grid of the terrain model."""
    from rasterio.warp import Resampling, reproject

    grid = terrain.grid()
    drawn = np.full((len(planes), grid["height"], grid["width"]), 0, planes.dtype)
    with open_gdal_session(), rasterio.open(virtual) as photo:
        reproject(
            planes,
            drawn,
            src_crs="EPSG:4326",
            rpcs=photo.rpcs,
            dst_crs=grid["crs"],
            dst_transform=grid["transform"],
            resampling=Resampling.bilinear,
            # As good as exact: GDAL else goes straight over an eighth of a pixel
            tolerance=0.0,
            **({} if model is None else {"RPC_DEM": str(model)}),
        )
    return drawn


def misses_px(camera: Camera, virtual: Path, folder: Path, count: int, seed: int) -> FloatArray:
    """How far from a pixel that sees a place GDAL looks for it, at so many pixels."""
    terrain = Terrain(*nearer_middle(camera))
    terrain.write(folder / "dem.tif")
    rows, columns = np.mgrid[: camera.height_px, : camera.width_px].astype(np.float32)
    drawn = drawn_by_gdal(virtual, np.stack([columns, rows]), terrain, folder / "dem.tif")
    grid, random = terrain.grid(), np.random.default_rng(seed)
    misses: list[float] = []
    while len(misses) < count:
        x = random.uniform(2.0, camera.width_px - 3.0, 4096)
        y = random.uniform(2.0, camera.height_px - 3.0, 4096)
        lon, lat = meet_ground(camera, x, y, terrain.height_m)
        column, row = ~grid["transform"] @ (lon, lat)
        inside = (
            (column > 2) & (row > 2) & (column < grid["width"] - 3) & (row < grid["height"] - 3)
        )
        at = np.stack([row[inside], column[inside]]) - 0.5
        seen_x, seen_y = (map_coordinates(part, at, order=1) for part in drawn)
        misses += np.hypot(seen_x - x[inside], seen_y - y[inside]).tolist()
    return np.array(misses[:count])
