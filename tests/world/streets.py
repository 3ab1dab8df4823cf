"""A drawn city, its streets as a map, and a telephoto photo of the lamps along them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import MapGrid, make_pyramid, render_known
from matchers.geometry.pose import off_nadir_attitude, with_attitude
from tests.world.by_day import camera_at
from tests.world.osm import Way

STEP_DEG = 1.0 / 9000.0
WEST, NORTH, SIDE_PX = 5.0, 45.3, 2700  # 0.3 degrees: 24 by 33 km
PITCH_UM = 7.3
ALTITUDE_KM = 400.0
FOCAL_MM = 1e-3 * PITCH_UM * 1e3 * ALTITUDE_KM / 16.0  # 16 m a pixel


@dataclass(frozen=True, kw_only=True)
class Streets:
    """A street map in memory."""

    density: FloatImage
    west: float = WEST

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        rows, cols = self.density.shape
        return self.west, NORTH - rows * STEP_DEG, self.west + cols * STEP_DEG, NORTH

    def find_window(self, *region: float) -> MapGrid:
        return self.window(*region)

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> MapGrid:
        whole = MapGrid(
            values=self.density,
            lon0_deg=self.west + 0.5 * STEP_DEG,
            lat0_deg=NORTH - 0.5 * STEP_DEG,
            step_deg=STEP_DEG,
        )
        level = max(0, math.floor(math.log2(1.0001 * resolution_deg / STEP_DEG)))
        grid = make_pyramid(whole, level + 1)[-1]
        step = grid.step_deg
        rows, cols = grid.values.shape
        left = max(0, math.floor((west - self.west) / step))
        right = min(cols, math.ceil((east - self.west) / step))
        top = max(0, math.floor((NORTH - north) / step))
        bottom = min(rows, math.ceil((NORTH - south) / step))
        return replace(
            grid,
            values=grid.values[top:bottom, left:right].copy(),
            lon0_deg=grid.lon0_deg + left * step,
            lat0_deg=grid.lat0_deg - top * step,
        )


def draw_city(seed: int) -> FloatImage:
    """Districts of streets, each with a grid of its own, and roads between them."""
    city = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    for ends in lay_streets(seed):
        first, last = (np.rint(16.0 * end).astype(int).tolist() for end in ends)
        cv2.line(city, first, last, 1.0, 1, cv2.LINE_AA, 4)
    return city


def lay_streets(seed: int) -> Iterator[list[FloatArray]]:
    """Both ends of each street, pixels of the map."""
    rng = np.random.default_rng(seed)
    for _ in range(420):
        middle, turn = rng.uniform(0, SIDE_PX, 2), rng.uniform(0.0, np.pi)
        reach, block = rng.uniform(25.0, 90.0), rng.uniform(5.0, 12.0)
        along = np.array([np.cos(turn), np.sin(turn)])
        for aside in np.arange(-reach, reach, block):
            for axis in (along, along[::-1] * [-1.0, 1.0]):
                start = middle + aside * axis[::-1] * [-1.0, 1.0]
                yield [start + sign * reach * rng.uniform(0.5, 1.0) * axis for sign in (-1, 1)]


def write_streets(path: Path, seed: int) -> Path:
    features = []
    for line, tags in draw_ways(seed):
        shape = {"type": "LineString", "coordinates": line}
        features.append({"type": "Feature", "geometry": shape, "properties": tags})
    text = json.dumps({"type": "FeatureCollection", "features": features})
    path.write_text(text, encoding="utf-8")
    return path


def draw_ways(seed: int) -> list[Way]:
    """The same streets as OpenStreetMap's own files have them."""
    return [
        (
            [(WEST + STEP_DEG * (x + 0.5), NORTH - STEP_DEG * (y + 0.5)) for x, y in ends],
            {"highway": "residential"},
        )
        for ends in lay_streets(seed)
    ]


def take_aside() -> Camera:
    """A slanted camera 70 km beside the city, with a lens that bends by half a percent."""
    size, focal_px = (900, 620), 1e3 * FOCAL_MM / PITCH_UM
    k1 = 0.005 / (0.5 * np.hypot(*size) / focal_px) ** 2
    camera = camera_at(5.9, 44.9, 1.01 * focal_px, float(k1), size)
    return with_attitude(camera, off_nadir_attitude(camera.position_ecef_m, 9.3, -63.0, 140.0))


def take_photo(path: Path, truth: Camera, streets: Streets) -> Path:
    """Lamps along those streets: uneven by street, a fifth dark, with noise and private lights."""
    rng = np.random.default_rng(2)
    whole = streets.window(*streets.bounds, STEP_DEG)
    gain = np.exp(cv2.resize(rng.normal(0.0, 0.8, (300, 300)), (SIDE_PX, SIDE_PX)))
    gain *= cv2.resize((rng.random((200, 200)) > 0.2).astype(float), (SIDE_PX, SIDE_PX))
    lit = whole.values * gain + 6.0 * (rng.random(whole.values.shape) < 0.004)
    grid = replace(whole, values=np.asarray(lit, np.float32))
    light = cv2.GaussianBlur(render_known(make_pyramid(grid, 4), truth, 2)[0], (0, 0), 0.9)
    light = light / np.quantile(light, 0.99) + 0.02 + rng.normal(0.0, 0.02, light.shape)
    codes = np.rint(255.0 * np.clip(light, 0.0, 1.0) ** (1.0 / 2.2)).astype(np.uint8)
    Image.fromarray(np.stack([codes] * 3, axis=-1)).save(path, quality=90)
    return path
