"""The grid of a warped picture: its coordinate system, its extent, and the size of its pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import incidence_deg
from matchers.footprint import MAX_INCIDENCE_DEG, visible_outline
from regengine.errors import ConfigError
from regengine.export.format import LeftOutError

FloatArray = NDArray[np.float64]

MOST_PIXELS = 400_000_000
PER_SIDE = 65  # places of the photo that tell extent and detail
# Of the detail found in the photo: a quarter of it is finer than the pixels of the map
DETAIL_SHARE = 0.25


@dataclass(frozen=True)
class MapGrid:
    """A north-up grid of square pixels.

    Attributes
    ----------
    crs : str
        Coordinate reference system, as PROJ understands it.
    west, north : float
        Its upper left corner, units of the system.
    resolution : float
        Size of a pixel.
    width, height : int
        Pixels.
    """

    crs: str
    west: float
    north: float
    resolution: float
    width: int
    height: int

    @cached_property
    def _to_lonlat(self) -> Any:
        return _transformer(self.crs, "EPSG:4326")

    def lonlat(self, column: FloatArray, row: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Longitude and latitude of places in the grid.

        Parameters
        ----------
        column, row : ndarray, shape (...)
            Zero-based, whole numbers at pixels' middles.

        Returns
        -------
        lon, lat : ndarray, shape (...)
            Degrees; NaN or infinite where the system has none.
        """
        x = self.west + (column + 0.5) * self.resolution
        y = self.north - (row + 0.5) * self.resolution
        lon, lat = self._to_lonlat.transform(x, y)
        return lon, lat


def map_grid(camera: Camera, crs: str, resolution: float | None) -> MapGrid:
    """The grid that holds all ground that a photo shows up to 80 degrees of incidence.

    Parameters
    ----------
    camera : Camera
        Of the photo.
    crs : str
        Coordinate reference system.
    resolution : float or None
        Size of pixels; None for the photo's own detail, of which three quarters are kept.

    Returns
    -------
    MapGrid
        Its corners lie at multiples of the resolution, so that grids of the same resolution fit
        together. Longitudes run on beyond 180.

    Raises
    ------
    LeftOutError
        If no ground is in sight, the system does not reach there, or there would be too many
        pixels.
    ConfigError
        If there is no such system.
    """
    forward = _transformer("EPSG:4326", crs)
    pixels = np.linspace(0.0, camera.width_px - 1.0, PER_SIDE)
    px, py = np.meshgrid(pixels, np.linspace(0.0, camera.height_px - 1.0, PER_SIDE))
    x, y = _on_map(camera, px, py, forward)
    edge_x, edge_y = _on_map(camera, *visible_outline(camera), forward)
    all_x, all_y = (np.concatenate([a.ravel(), b]) for a, b in ((x, edge_x), (y, edge_y)))
    seen = np.isfinite(all_x) & np.isfinite(all_y)
    if not seen.any():
        raise LeftOutError(f"it shows no ground that {crs} reaches")
    if forward.target_crs.is_geographic:
        whole = 360.0
        middle = all_x[seen][0]
        x, all_x = (a - whole * np.round((a - middle) / whole) for a in (x, all_x))
    size = resolution or _detail(camera, x, y)
    west, south = (math.floor(a[seen].min() / size) for a in (all_x, all_y))
    east, north = (math.ceil(a[seen].max() / size) for a in (all_x, all_y))
    width, height = max(east - west, 1), max(north - south, 1)
    if width * height > MOST_PIXELS:
        raise LeftOutError(
            f"at a resolution of {size:g} the map would have {width:,} x {height:,} pixels: give a "
            "larger --resolution"
        )
    return MapGrid(crs, west * size, north * size, size, width, height)


def _on_map(
    camera: Camera, px: FloatArray, py: FloatArray, forward: Any
) -> tuple[FloatArray, FloatArray]:
    """Places of pixels on the map; NaN for sky and flat ground."""
    ground = camera.pixel_to_ecef(px, py)
    angle = incidence_deg(camera.position_ecef_m, ground)
    lon, lat = camera.pixel_to_lonlat(px, py)
    flat = ~(angle <= MAX_INCIDENCE_DEG + 1e-3)
    x, y = forward.transform(np.where(flat, np.nan, lon), np.where(flat, np.nan, lat))
    return np.where(np.isfinite(x), x, np.nan), np.where(np.isfinite(y), y, np.nan)


def _detail(camera: Camera, x: FloatArray, y: FloatArray) -> float:
    """Side of the square on the map that a pixel of the photo covers, at the finer parts."""
    across = (camera.width_px - 1.0) / (PER_SIDE - 1)
    down = (camera.height_px - 1.0) / (PER_SIDE - 1)
    xx, xy = np.diff(x, axis=1)[:-1] / across, np.diff(x, axis=0)[:, :-1] / down
    yx, yy = np.diff(y, axis=1)[:-1] / across, np.diff(y, axis=0)[:, :-1] / down
    area = np.abs(xx * yy - xy * yx)
    area = area[np.isfinite(area) & (area > 0.0)]
    if not area.size:
        raise LeftOutError("too little of it is ground: give a --resolution")
    return float(np.sqrt(np.quantile(area, DETAIL_SHARE)))


def _transformer(source: str, target: str) -> Any:
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    try:
        return Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        wrong = source if target == "EPSG:4326" else target
        raise ConfigError(
            f"--crs {wrong}: PROJ knows no such system: give one such as EPSG:4326, EPSG:3857 or "
            "that of a UTM zone, EPSG:32601 to EPSG:32760."
        ) from error
