"""The night-light map as a camera would see it."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, great_circle_km, incidence_deg
from matchers.light_grid import LightGrid

SAMPLES = 33  # per axis, to find what the photo covers
MAX_INCIDENCE_DEG = 86.0  # beyond, a pixel smears over tens of kilometres
MAX_WINDOW_PIXELS = 12e6  # 48 MB of float32
KM_PER_DEG = 111.2


def visible_region(camera: Camera) -> tuple[float, float, float, float, float] | None:
    """Part of the Earth that a camera's image shows.

    Parameters
    ----------
    camera : Camera
        The camera.

    Returns
    -------
    tuple of float or None
        West, south, east and north edges, degrees (longitudes continuous, so they may pass 180),
        and a pixel size, degrees, about that of the image's finest pixels; None if the image
        shows nothing but sky.
    """
    x, y = np.meshgrid(
        np.linspace(0, camera.width_px - 1, SAMPLES), np.linspace(0, camera.height_px - 1, SAMPLES)
    )
    lon, lat = _ground(camera, x, y)
    seen = np.isfinite(lon)
    if not seen.any():
        return None
    middle = float(ecef_to_geodetic(camera.position_ecef_m)[0])
    turned = _continuous(lon[seen], middle)
    next_lon, next_lat = _ground(camera, x + 1.0, y)
    step_km = great_circle_km(lon, lat, next_lon, next_lat)[seen]
    step_km = step_km[np.isfinite(step_km)]
    step_deg = float(np.percentile(step_km, 10)) / KM_PER_DEG if step_km.size else 0.05
    west, east = float(turned.min()), float(turned.max())
    south, north = float(lat[seen].min()), float(lat[seen].max())
    margin = max(2.0 * step_deg, 0.02 * max(east - west, north - south))
    west, east, south, north = west - margin, east + margin, south - margin, north + margin
    coarsest = math.sqrt((east - west) * (north - south) / MAX_WINDOW_PIXELS)
    return west, south, east, north, max(step_deg, coarsest)


def render_map(camera: Camera, grid: LightGrid) -> NDArray[np.float32]:
    """Map values at each pixel of a camera's image.

    Parameters
    ----------
    camera : Camera
        The camera, of the size wanted.
    grid : LightGrid
        The map around what the camera sees.

    Returns
    -------
    ndarray of float32, shape (height, width)
        ``log10(1 + L)``; 0 where the map ends, NaN for the sky and beyond 86 degrees incidence.
    """
    x, y = np.meshgrid(np.arange(camera.width_px, dtype=float), np.arange(camera.height_px))
    lon, lat = _ground(camera, x, y)
    col, row = grid.to_pixel(lon, lat)
    values = cv2.remap(
        grid.values,
        np.nan_to_num(col, nan=-1e6).astype(np.float32),
        np.nan_to_num(row, nan=-1e6).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=0.0,
    )
    return np.where(np.isfinite(lon), values, np.nan).astype(np.float32)


def _ground(
    camera: Camera, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    ground = camera.pixel_to_ecef(x, y)
    lon, lat, _ = ecef_to_geodetic(ground)
    grazing = ~(incidence_deg(camera.position_ecef_m, ground) <= MAX_INCIDENCE_DEG)
    return np.where(grazing, np.nan, lon), np.where(grazing, np.nan, lat)


def _continuous(lon_deg: NDArray[np.float64], middle_deg: float) -> NDArray[np.float64]:
    return middle_deg + (lon_deg - middle_deg + 180.0) % 360.0 - 180.0
