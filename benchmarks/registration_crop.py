"""The part of the map that a user would cut out for a photo whose place he knows well."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Proj

from matchers.camera import Camera
from matchers.footprint import visible_ground
from regengine.evaluate.registration import MAP_PIXEL_M
from regengine.light_windows import HasWindows

FloatArray = NDArray[np.float64]
Picture = NDArray[np.uint8]

MARGIN = 0.3  # of the footprint's sides, added on each
LARGEST_PX = 1800  # SIFT and AKAZE grow slow and no better beyond
BRIGHTEST_QUANTILE = 0.998
LATTICE_PX = 8  # places are computed this far apart and interpolated


@dataclass(frozen=True, kw_only=True)
class MapCrop:
    """A piece of a map in an azimuthal equidistant projection, north up.

    Attributes
    ----------
    picture : ndarray of uint8, shape (h, w)
        Log light as grey levels.
    lon, lat : float
        Centre of the projection, degrees.
    west_m, north_m : float
        Projected position of the centre of the first pixel.
    step_m : float
        Pixel size.
    """

    picture: Picture
    lon: float
    lat: float
    west_m: float
    north_m: float
    step_m: float

    def lonlat(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Places of pixels, degrees; infinite beyond the projection's reach."""
        east = self.west_m + self.step_m * np.asarray(x, float)
        north = self.north_m - self.step_m * np.asarray(y, float)
        lon, lat = equidistant(self.lon, self.lat)(east, north, inverse=True)
        return np.asarray(lon), np.asarray(lat)


def grey_levels(values: NDArray[np.float32]) -> Picture:
    """Log light as 8-bit grey levels; the brightest pixels are white."""
    lit = values[values > 0.0]
    white = float(np.quantile(lit, BRIGHTEST_QUANTILE)) if lit.size else 1.0
    return np.asarray(np.clip(255.0 / white * values + 0.5, 0.0, 255.0), np.uint8)


def equidistant(lon: float, lat: float) -> Proj:
    """Azimuthal equidistant projection about a place, on WGS84."""
    return Proj(proj="aeqd", lon_0=lon, lat_0=lat, ellps="WGS84")


def crop_around(light_map: HasWindows, camera: Camera) -> tuple[MapCrop, float]:
    """Cut out what a camera sees and a margin.

    Parameters
    ----------
    light_map : HasWindows
    camera : Camera
        The true camera, for the image as stored.

    Returns
    -------
    crop : MapCrop
    scale : float
        Crop pixels a pixel of the stored image, by the areas of both.
    """
    lon, lat = visible_ground(camera)
    middle = float(np.median(lon)), float(np.median(lat))
    east, north = equidistant(*middle)(lon, lat)
    low = np.array([np.min(east), np.min(north)])
    high = np.array([np.max(east), np.max(north)])
    margin = MARGIN * (high - low)
    low, high = low - margin, high + margin
    step_m = max(MAP_PIXEL_M, float((high - low).max()) / LARGEST_PX)
    width, height = (int(side) for side in np.ceil((high - low) / step_m))
    blank = MapCrop(
        picture=np.zeros((height, width), np.uint8),
        lon=middle[0],
        lat=middle[1],
        west_m=float(low[0]),
        north_m=float(high[1]),
        step_m=step_m,
    )
    values = crop_light(light_map, blank)
    crop = MapCrop(**{**vars(blank), "picture": grey_levels(values)})
    return crop, crop_scale(camera, crop)


def crop_light(light_map: HasWindows, crop: MapCrop) -> NDArray[np.float32]:
    """The map's log light at every pixel of a crop.

    Parameters
    ----------
    light_map : HasWindows
    crop : MapCrop
        Its picture's size counts, not what it holds.

    Returns
    -------
    ndarray of float32, shape (h, w)
    """
    height, width = crop.picture.shape
    x = np.arange(0, width + LATTICE_PX, LATTICE_PX)
    y = np.arange(0, height + LATTICE_PX, LATTICE_PX)
    lon, lat = crop.lonlat(*np.meshgrid(x, y))
    lon = crop.lon + (lon - crop.lon + 180.0) % 360.0 - 180.0
    resolution = crop.step_m / MAP_PIXEL_M / 240.0
    grid = light_map.window(lon.min(), lat.min(), lon.max(), lat.max(), resolution)
    positions = np.dstack(grid.to_pixel(lon, lat)).astype(np.float32)
    at_x, at_y = np.meshgrid(
        np.arange(width, dtype=np.float32) / LATTICE_PX,
        np.arange(height, dtype=np.float32) / LATTICE_PX,
    )
    col, row = cv2.split(cv2.remap(positions, at_x, at_y, cv2.INTER_LINEAR))
    return np.asarray(cv2.remap(grid.values, col, row, cv2.INTER_LINEAR), np.float32)


def crop_scale(camera: Camera, crop: MapCrop) -> float:
    """Crop pixels a photo pixel, in the median over the visible ground."""
    x, y = (
        side.ravel()
        for side in np.meshgrid(
            np.linspace(0.0, camera.width_px - 2.0, 9), np.linspace(0.0, camera.height_px - 2.0, 9)
        )
    )
    project = equidistant(crop.lon, crop.lat)
    corners = [
        np.stack(project(*camera.pixel_to_lonlat(x + dx, y + dy))) / crop.step_m
        for dx, dy in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))
    ]
    (ax, ay), (bx, by) = corners[1] - corners[0], corners[2] - corners[0]
    area = np.abs(ax * by - ay * bx)
    return float(np.sqrt(np.median(area[np.isfinite(area)])))
