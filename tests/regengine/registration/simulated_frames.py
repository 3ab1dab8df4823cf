"""Photographs of the simulator's land, and what the engine is told of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

from benchmarks.simulate.camera import Pointing, SimCamera, wgs84
from benchmarks.simulate.cases import SAMPLE_REGION, SAMPLE_SEED
from benchmarks.simulate.land import Region
from benchmarks.simulate.orbit import Vantage, nadir_for, vantage_over
from benchmarks.simulate.render import render
from benchmarks.simulate.weather import SceneParameters
from benchmarks.simulate.worlds import Realisation, TownWorld, draw_town_world
from matchers.light_grid import LightGrid
from matchers.photo_light import LightImage
from regengine.errors import LightMapError
from regengine.lights.source import LightMapInfo
from regengine.orbit.propagation import CameraPosition
from regengine.photo.frame import Frame
from regengine.photo.image import read_linear_light
from regengine.registration.evidence import Verified
from regengine.registration.map_window import ground_sample_km
from regengine.registration.outcome import result_of
from regengine.registration.preparation import fine_px, lights_of_photo, nominal_camera
from regengine.registration.register import register_frame, search_frame
from regengine.registration.search import RegisterParams, Search
from regengine.result import FrameResult
from tests.conftest import ROOT

TIME = datetime(2016, 5, 1, 12, tzinfo=UTC)
HEIGHT_M = 410e3
SENSOR_MM, FOCAL_MM = 36.0, 50.0
MAP_PIXEL_M = 463.0  # 15 arc seconds
WIDTH, HEIGHT = 480, 320
CITY = (-151.84, 33.86)  # the greatest of the land
PLAIN = (-151.2, 36.45)  # a city among towns
# A clear night: what is tested is geometry and search, not weather
CLEAR = SceneParameters(seed=5, saturation_nw=150.0, jpeg_quality=95)


@lru_cache(maxsize=1)
def land() -> TownWorld:
    """The land of the samples, whose map lies in ``data_samples/``."""
    return draw_town_world(SAMPLE_SEED, SAMPLE_REGION)


@lru_cache(maxsize=1)
def other_land() -> TownWorld:
    """A land that no map shows, in the same place."""
    return draw_town_world(77, Region(west=-156.0, south=29.0, size_deg=10.0))


@dataclass(frozen=True, kw_only=True)
class MemoryMap:
    """A night-light map held in memory; beyond its edge the sea is dark.

    Attributes
    ----------
    levels : tuple of LightGrid
        Each half as fine as the one before.
    """

    levels: tuple[LightGrid, ...]

    @property
    def info(self) -> LightMapInfo:
        """What is said of it."""
        grid = self.levels[0]
        rows, cols = grid.values.shape
        west, north = grid.lon0_deg - 0.5 * grid.step_deg, grid.lat0_deg + 0.5 * grid.step_deg
        return LightMapInfo(
            paths=(),
            product="simulated lights",
            date="",
            kind="radiance",
            resolution_deg=grid.step_deg,
            bounds=(west, north - rows * grid.step_deg, west + cols * grid.step_deg, north),
            crs="EPSG:4326",
            saturation=None,
            description="",
        )

    def window(
        self, west: float, south: float, east: float, north: float, resolution_deg: float
    ) -> LightGrid:
        """As `regengine.lights.map.LightMap.window`."""
        bounds = self.info.bounds
        if east < bounds[0] or west > bounds[2] or north < bounds[1] or south > bounds[3]:
            raise LightMapError("the map does not cover the place", code="outside_map")
        finer = [grid for grid in self.levels if grid.step_deg <= resolution_deg * 1.001]
        grid = finer[-1] if finer else self.levels[0]
        step = grid.step_deg
        left = math.floor((west - grid.lon0_deg) / step)
        top = math.floor((grid.lat0_deg - north) / step)
        cols = math.ceil((east - west) / step) + 2
        rows = math.ceil((north - south) / step) + 2
        values = np.zeros((rows, cols), np.float32)
        height, width = grid.values.shape
        i0, i1 = max(top, 0), min(top + rows, height)
        j0, j1 = max(left, 0), min(left + cols, width)
        if i1 > i0 and j1 > j0:
            values[i0 - top : i1 - top, j0 - left : j1 - left] = grid.values[i0:i1, j0:j1]
        return LightGrid(
            values=values,
            lon0_deg=grid.lon0_deg + left * step,
            lat0_deg=grid.lat0_deg - top * step,
            step_deg=step,
        )

    def overview(self, resolution_deg: float) -> LightGrid:
        """As `regengine.lights.map.LightMap.overview`."""
        return self.window(*self.info.bounds, resolution_deg)


def halved(grid: LightGrid) -> LightGrid:
    """The mean of every two by two pixels."""
    rows, cols = (side // 2 for side in grid.values.shape)
    parts = grid.values[: 2 * rows, : 2 * cols].reshape(rows, 2, cols, 2)
    return LightGrid(
        values=parts.mean(axis=(1, 3)),
        lon0_deg=grid.lon0_deg + 0.5 * grid.step_deg,
        lat0_deg=grid.lat0_deg - 0.5 * grid.step_deg,
        step_deg=2.0 * grid.step_deg,
    )


@lru_cache(maxsize=1)
def light_map() -> MemoryMap:
    """The samples' night-light map: of the land in another realisation."""
    with rasterio.open(ROOT / "data_samples" / "lights.tif") as source:
        radiance, corner = source.read(1), source.transform
    levels = [
        LightGrid(
            values=np.log10(1.0 + radiance),
            lon0_deg=corner.c + 0.5 * corner.a,
            lat0_deg=corner.f - 0.5 * corner.a,
            step_deg=corner.a,
        )
    ]
    while len(levels) < 6:
        levels.append(halved(levels[-1]))
    return MemoryMap(levels=tuple(levels))


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A simulated photograph: the true camera, the picture, and its place in orbit."""

    camera: SimCamera
    picture: NDArray[np.uint8]
    vantage: Vantage

    def edited(self, picture: NDArray[np.uint8]) -> Shot:
        """The same photograph as an editor left it."""
        return replace(self, picture=np.ascontiguousarray(picture))


def sim_camera(vantage: Vantage, pointing: Pointing) -> SimCamera:
    """A camera with a 50 mm lens at a place in orbit."""
    return SimCamera.pointed(
        position_ecef_m=vantage.position_ecef_m,
        pointing=pointing,
        width_px=WIDTH,
        height_px=HEIGHT,
        focal_px=FOCAL_MM / SENSOR_MM * WIDTH,
    )


def shoot(
    place: tuple[float, float],
    *,
    off_nadir_deg: float = 0.0,
    azimuth_deg: float = 40.0,
    roll_deg: float = 25.0,
    world: TownWorld | None = None,
    scene: SceneParameters = CLEAR,
) -> Shot:
    """Photograph a place from where it appears at a slant, with a 50 mm lens."""
    lon, lat, azimuth = nadir_for(*place, HEIGHT_M, off_nadir_deg, azimuth_deg)
    vantage = vantage_over(lon, lat, HEIGHT_M, northbound=True)
    pointing = Pointing(off_nadir_deg=off_nadir_deg, azimuth_deg=azimuth, roll_deg=roll_deg)
    return shoot_from(vantage, pointing, world=world, scene=scene)


def shoot_from(
    vantage: Vantage,
    pointing: Pointing,
    *,
    world: TownWorld | None = None,
    scene: SceneParameters = CLEAR,
) -> Shot:
    """Photograph whatever is seen from a place in orbit, with a 50 mm lens."""
    camera = sim_camera(vantage, pointing)
    picture = render(camera, world or land(), Realisation(number=2), scene)
    return Shot(camera=camera, picture=picture, vantage=vantage)


def write(shot: Shot, path: Path) -> Frame:
    """Store the picture without loss, and what is known of it."""
    Image.fromarray(shot.picture).save(path)
    height, width = shot.picture.shape[:2]
    return Frame(
        path=path,
        frame_id=path.stem,
        sha256="0" * 64,
        width_px=width,
        height_px=height,
        time_utc=TIME,
        focal_mm=FOCAL_MM,
        pixel_pitch_um=1e3 * SENSOR_MM / max(width, height),
    )


def position_of(
    shot: Shot, *, clock_s: float = 0.0, slide_s: float = 0.0, sigma_along_km: float = 3.0
) -> CameraPosition:
    """What an element set and the clock say of the camera's place: wrong by these times."""
    believed = shot.vantage.moved(clock_s=clock_s, slide_s=slide_s)
    lon, lat, height_m = believed.nadir()
    return CameraPosition(
        time_utc=TIME,
        position_ecef_m=believed.position_ecef_m,
        velocity_ecef_m_s=believed.velocity_ecef_m_s,
        lon=lon,
        lat=lat,
        altitude_km=height_m / 1e3,
        source="tle",
        tle_age_h=10.0,
        sigma_along_km=sigma_along_km,
        sigma_cross_km=1.0,
        sigma_radial_km=1.0,
    )


def lattice(shot: Shot) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels spread over a picture."""
    height, width = shot.picture.shape[:2]
    x, y = np.meshgrid(np.linspace(0, width - 1, 9), np.linspace(0, height - 1, 7))
    return x.ravel(), y.ravel()


def miss_m(
    lon: NDArray[np.float64], lat: NDArray[np.float64], result: FrameResult, xy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Metres between the true places of pixels (n, 2) and those of the solved camera."""
    assert result.solved is not None
    found_lon, found_lat = result.solved.camera.pixel_to_lonlat(xy[:, 0], xy[:, 1])
    seen = np.isfinite(lon) & np.isfinite(found_lon)
    return np.asarray(wgs84().inv(lon[seen], lat[seen], found_lon[seen], found_lat[seen])[2])


def camera_miss_m(shot: Shot, result: FrameResult) -> NDArray[np.float64]:
    """The same over a lattice of the picture where the ground is seen at 75 degrees or less."""
    x, y = lattice(shot)
    lon, lat, _ = shot.camera.ground(x, y)
    cosine = shot.camera.project(np.nan_to_num(lon), np.nan_to_num(lat))[3]
    lon = np.where(cosine > np.cos(np.radians(75.0)), lon, np.nan)
    return miss_m(lon, lat, result, np.stack([x, y], axis=1))


def point_miss_m(shot: Shot, result: FrameResult) -> NDArray[np.float64]:
    """Metres between each control point's place and what its pixel truly shows."""
    x = np.array([p.x for p in result.control_points])
    y = np.array([p.y for p in result.control_points])
    lon, lat, _ = shot.camera.ground(x, y)
    here = np.array([(p.lon, p.lat) for p in result.control_points])
    return np.asarray(wgs84().inv(lon, lat, here[:, 0], here[:, 1])[2])


@dataclass(frozen=True, kw_only=True)
class Solved:
    """A photograph that was registered, with everything on the way."""

    shot: Shot
    frame: Frame
    position: CameraPosition
    search: Search
    result: FrameResult

    @property
    def best(self) -> Verified:
        """What the search proved."""
        assert self.search.best is not None
        return self.search.best

    def fine(self, picture_path: Path) -> LightImage:
        """The finest light image of another picture of the same size, as the proof saw it."""
        stored, _ = nominal_camera(self.frame, self.position)
        side = fine_px(stored, self.position.altitude_km)
        light = read_linear_light(picture_path, max_long_side_px=side)
        return lights_of_photo(light, ground_sample_km(stored) / light.factor).sharp


def register(shot: Shot, path: Path, position: CameraPosition, **settings: object) -> FrameResult:
    """Register a picture on the samples' map."""
    given = {"clock_window_s": 20.0, "max_seconds": 120.0, **settings}
    return register_frame(
        write(shot, path),
        position,
        light_map(),  # type: ignore[arg-type]
        RegisterParams(**given),  # type: ignore[arg-type]
    )


def solve_shot(shot: Shot, path: Path) -> Solved:
    """Register a picture from a nearly right position and keep what was found on the way."""
    frame, position = write(shot, path), position_of(shot, clock_s=2.0)
    parameters = RegisterParams(clock_window_s=20.0, max_seconds=120.0)
    search = search_frame(frame, position, light_map(), parameters)
    return Solved(
        shot=shot, frame=frame, position=position, search=search, result=result_of(search)
    )
