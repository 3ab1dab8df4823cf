"""A drawn land by day, a map of it, and a photo through a round window of a station above."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.transform import from_origin

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef
from matchers.geometry.map_grid import MapGrid, make_pyramid, render_known
from matchers.geometry.pose import look_at, off_nadir_attitude, with_attitude
from regengine.io.gdal import open_gdal_session
from regengine.maps.opening import DayMap, open_day_map

STEP_DEG, WEST, NORTH, COLS, ROWS = 0.01, 10.0, 44.0, 1300, 1000
ALTITUDE_KM, PITCH_UM = 400.0, 5.6
SIZE = WIDTH, HEIGHT = 640, 480
FOCAL_PX = 645.0
SEA = (16, 35, 77)


def draw_earth(seed: int) -> NDArray[np.uint8]:
    """Land with structure at all scales, lakes, and a painted sea floor in the south-east."""
    rng = np.random.default_rng(seed)
    ground = np.zeros((ROWS, COLS))
    for scale in (2, 5, 12, 30, 80):
        noise = cv2.GaussianBlur(rng.normal(size=(ROWS, COLS)), (0, 0), scale)
        ground += noise / noise.std() * scale**0.3
    red = np.clip(110.0 + 35.0 * ground / ground.std(), 30.0, 220.0)
    picture = np.stack([red, 0.85 * red, 0.6 * red], axis=-1).astype(np.uint8)
    y, x = np.mgrid[:ROWS, :COLS]
    floor = rng.integers(0, 10, (ROWS // 50, COLS // 50)).repeat(50, 0).repeat(50, 1)
    sea = x + 0.7 * y + 10.0 * ground > 1400
    for band, value in enumerate(SEA):
        picture[..., band] = np.where(sea, value + floor * (0, 2, 4)[band], picture[..., band])
    return picture


def write_map(
    picture: NDArray[np.uint8], path: Path, step_deg: float = STEP_DEG, west: float = WEST
) -> DayMap:
    with (
        open_gdal_session(),
        rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=COLS,
            height=ROWS,
            count=3,
            dtype="uint8",
            crs="EPSG:4326",
            transform=from_origin(west, NORTH, step_deg, step_deg),
            photometric="RGB",
        ) as out,
    ):
        out.write(np.moveaxis(picture, -1, 0))
    return open_day_map([path])


def camera_at(
    lon: float, lat: float, focal_px: float, k1: float = 0.0, size: tuple[int, int] = SIZE
) -> Camera:
    """A camera 400 km above a place, which is still to be pointed."""
    x, y, z = geodetic_to_ecef(lon, lat, 1e3 * ALTITUDE_KM).tolist()
    return Camera(
        width_px=size[0],
        height_px=size[1],
        focal_px=focal_px,
        principal_point=((size[0] - 1) / 2.0, (size[1] - 1) / 2.0),
        distortion=(k1, 0.0, 0.0, 0.0, 0.0),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(x, y, z),
    )


def stand_beside() -> Camera:
    """A camera 12 km beside where it is believed, tilted by 4 degrees and turned."""
    camera = camera_at(16.1, 39.4, 1.01 * FOCAL_PX, 0.015)
    return with_attitude(camera, off_nadir_attitude(camera.position_ecef_m, 4.0, 100.0, 205.0))


def take_photo(truth: Camera, path: Path) -> Path:
    """What a camera sees through a round window: other contrast, a cloud, haze and noise."""
    rng = np.random.default_rng(5)
    shown = 60.0 + 0.5 * look_at_earth(1, STEP_DEG, truth)[0]
    shown += rng.normal(0.0, 3.0, (HEIGHT, WIDTH))
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shown = np.where(np.hypot(x - 200, y - 150) < 60, 235.0, shown)
    shown = np.where(np.hypot(x - 330, y - 240) < 235, shown, 12.0)
    return write_grey(shown, path)


def take_oblique_photo(shown: tuple[float, float], path: Path) -> tuple[Camera, Path]:
    """What a camera of twice the focal length, that looks at a place aside, sees of the Earth."""
    camera = camera_at(16.1, 39.4, 2.06 * FOCAL_PX)
    here, middle = np.array(camera.position_ecef_m), np.array([319.5, 239.5])
    truth = look_at(camera, here, shown, middle, 1.0)
    seen, _ = look_at_earth(1, STEP_DEG, truth)
    noise = np.random.default_rng(8).normal(0.0, 3.0, seen.shape)
    return truth, write_grey(60.0 + 0.5 * seen + noise, path)


def look_at_earth(seed: int, step_deg: float, camera: Camera) -> tuple[FloatArray, FloatArray]:
    """The red of an earth in a camera's pixels, and how much of each is known."""
    grid = MapGrid(
        values=draw_earth(seed)[..., 0].astype(np.float32),
        lon0_deg=WEST + 0.5 * step_deg,
        lat0_deg=NORTH - 0.5 * step_deg,
        step_deg=step_deg,
    )
    return render_known(make_pyramid(grid, 3), camera)


def write_grey(shown: FloatArray, path: Path) -> Path:
    codes = np.clip(shown, 0.0, 255.0).astype(np.uint8)
    Image.fromarray(np.stack([codes] * 3, axis=-1)).save(path, quality=90)
    return path


FINE_DEG = 5e-4
FAR_MM = 600.0  # 24 km wide straight down


def look_aside() -> Camera:
    """A camera that looks 28 degrees aside, 25 km beside where it is believed."""
    camera = camera_at(7.6, 43.7, 1.02 * FAR_MM / 36.0 * WIDTH)
    here, middle = np.array(camera.position_ecef_m), np.array([319.5, 239.5])
    return look_at(camera, here, (10.33, 43.75), middle, 2.0)


def take_far_photo(truth: Camera, path: Path) -> Path:
    seen, known = look_at_earth(4, FINE_DEG, truth)
    assert known.min() > 0.9  # the map holds the frame
    noise = np.random.default_rng(6).normal(0.0, 3.0, seen.shape)
    return write_grey(70.0 + 0.5 * seen + noise, path)


def draw_tiles(level: int) -> dict[str, bytes]:
    """Tiles of the land that far photos show, in Web Mercator, by their path at a server."""
    land = np.dstack([draw_earth(4), np.full((ROWS, COLS), 255, np.uint8)])
    count, tiles = 2**level, {}
    south, east = NORTH - ROWS * FINE_DEG, WEST + COLS * FINE_DEG
    top, bottom = (
        int(count * (0.5 - np.arctanh(np.sin(np.radians(lat))) / (2.0 * np.pi)))
        for lat in (NORTH, south)
    )
    left, right = (int(count * (lon + 180.0) / 360.0) for lon in (WEST, east))
    inside = (np.arange(256) + 0.5) / 256
    for y, x in np.ndindex(bottom + 1 - top, right + 1 - left):
        lat = np.degrees(np.arctan(np.sinh(np.pi * (1.0 - 2.0 * (top + y + inside) / count))))
        lon = 360.0 * (left + x + inside) / count - 180.0
        at = np.meshgrid((lon - WEST) / FINE_DEG - 0.5, (NORTH - lat) / FINE_DEG - 0.5)
        out = io.BytesIO()
        shown = cv2.remap(land, *(each.astype(np.float32) for each in at), cv2.INTER_LINEAR)
        Image.fromarray(shown).save(out, "PNG")
        tiles[f"/{level}/{top + y}/{left + x}.png"] = out.getvalue()
    return tiles
