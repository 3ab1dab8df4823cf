"""Of the map only what a proposed camera sees is read."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, incidence_deg
from matchers.light_grid import LightGrid
from matchers.pose import off_nadir_attitude, with_attitude
from regengine.registration.map_window import LEAST_SAMPLE_KM
from regengine.registration.propose_index import seen_map


class WholeEarth:
    """A map that tells which pixels were asked for."""

    info: Any = SimpleNamespace(bounds=(-180.0, -90.0, 180.0, 90.0))

    def __init__(self) -> None:
        self.pixels = 0

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        shape = (
            max(1, round((north - south) / resolution_deg)),
            max(1, round((east - west) / resolution_deg)),
        )
        self.pixels += shape[0] * shape[1]
        return LightGrid(
            values=np.zeros(shape, np.float32),
            valid=None,
            lon0_deg=west,
            lat0_deg=north,
            step_deg=resolution_deg,
        )


def camera_at(lat_deg: float, off_nadir_deg: float, focal_mm: float) -> Camera:
    """A picture of 1,600 pixels from a full-frame sensor, 410 km high."""
    x, y, z = geodetic_to_ecef(10.0, lat_deg, 410_000.0).tolist()
    camera = Camera(
        width_px=1600,
        height_px=1066,
        focal_px=1600 / 36.0 * focal_mm,
        principal_point=(799.5, 532.5),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(x, y, z),
    )
    return with_attitude(camera, off_nadir_attitude((x, y, z), off_nadir_deg, 70.0, 20.0))


@pytest.mark.parametrize("focal_mm", [24.0, 85.0, 400.0])
@pytest.mark.parametrize("off_nadir_deg", [0.0, 40.0, 57.0, 65.0])
def test_all_that_is_seen_is_there_and_little_more(focal_mm: float, off_nadir_deg: float) -> None:
    earth, camera = WholeEarth(), camera_at(50.0, off_nadir_deg, focal_mm)
    levels = seen_map(earth, camera, 64)
    assert levels is not None
    grid = levels[0]
    x, y = np.meshgrid(np.linspace(0.0, 1599.0, 9), np.linspace(0.0, 1065.0, 9))
    lon, lat = camera.pixel_to_lonlat(x, y)
    column = (lon - grid.lon0_deg) / grid.step_deg
    row = (grid.lat0_deg - lat) / grid.step_deg
    # Flatter ground shows no towns
    ground = geodetic_to_ecef(lon, lat, np.zeros(lon.shape))
    seen = incidence_deg(camera.position_ecef_m, ground) < 79.0
    assert seen.sum() > 20
    height, width = grid.values.shape
    assert ((column >= 0) & (column < width) & (row >= 0) & (row < height))[seen].all()
    # 16 MB; 280 MB with all that lies within 67 degrees off nadir at 400 mm
    assert earth.pixels < 4_000_000


def test_pixels_are_those_of_the_picture_or_of_the_map() -> None:
    straight = camera_at(0.0, 0.0, 24.0)
    levels = seen_map(WholeEarth(), straight, 64)
    assert levels is not None
    assert levels[0].step_deg * 111.2 == pytest.approx(410.0 * 36.0 / 24.0 / 64 / 1.5, rel=0.01)
    levels = seen_map(WholeEarth(), camera_at(0.0, 0.0, 400.0), 64)
    assert levels is not None
    assert levels[0].step_deg * 111.2 == pytest.approx(LEAST_SAMPLE_KM, rel=0.01)


def test_the_sky_shows_nothing_of_the_map() -> None:
    camera = camera_at(0.0, 0.0, 85.0)
    x, y, z = camera.position_ecef_m
    away = replace(camera, position_ecef_m=(-x, -y, -z))
    assert seen_map(WholeEarth(), away, 64) is None
