"""Photos of known gain with planted changes: new lights, lost ones, and how they are judged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from benchmarks.simulate import SAMPLE_MAP
from benchmarks.simulate.camera import Pointing, SimCamera, ecef_of
from benchmarks.simulate.light_map import (
    RadianceMap,
    draw_light_map,
    lamp_planes,
    read_geotiff,
    upward_share,
    write_geotiff,
)
from benchmarks.simulate.orbit import nadir_for
from benchmarks.simulate.render import LAMP_RGB, render, to_jpeg
from benchmarks.simulate.weather import SceneParameters
from benchmarks.simulate.worlds import RasterWorld, Realisation
from benchmarks.trials.attempt import camera_of
from matchers.geometry.camera import Camera
from regengine.frames import select as selection
from regengine.maps.opening import open_light_map
from regengine.store.result import FrameResult
from regengine.studies.radiometry.run import Radiometry, measure
from tests.world.results import control_point, proposal, solved
from tests.world.stores import write_store

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB (IEC 61966-2-1)
HEIGHT_M = 405e3
LON, LAT = -153.2, 33.5  # middle of the picture, over the samples' land
OFF_NADIR_DEG = 10.0
FOCAL_MM = 60.0  # on a sensor of 36 mm
SIGMA_PX = 0.2  # registration error: the camera is turned by so much, one sigma per axis
NEW_NW = 30.0
LOST_NW = (12.0, 60.0)  # brightest pixel of lights that go out: towns, not villages or cores
MAX_LOST_PIXELS = 400
APART_PX = 30
PLAIN = SceneParameters(tone_contrast=0.0, vignetting=0.0)
_sample_land = lru_cache(maxsize=1)(read_geotiff)


@dataclass(frozen=True, kw_only=True)
class SceneWish:
    """What a scene is to be."""

    seed: int = 0
    width_px: int = 800
    height_px: int = 533
    changes: int = 3  # how many lights are new, and how many are gone
    scene: SceneParameters = PLAIN  # air, lens and camera
    reach_deg: float = 2.5  # half the size of the world about the middle


@dataclass(frozen=True, kw_only=True, eq=False)
class RadiometryScene:
    """A photo, the map, and what is true."""

    photo: bytes  # JPEG
    camera: Camera  # as a registration finds it
    light_map: RadianceMap  # of the world without the changes
    # ``new`` or ``lost``, and where: longitude, latitude
    planted: tuple[tuple[str, float, float], ...]
    wish: SceneWish
    luminance_of_lamps: float  # of the lamps' mean colour, for a radiance that fills the sensor

    def true_gain(self, incidence_deg: float) -> float:
        """Luminance for each nW cm^-2 sr^-1 in the middle of the picture, at an incidence.

        Lamps shine to all sides but for what `upward_share` says, and ground that is seen at a
        slant holds more of them for its size in the picture.
        """
        cosine = np.cos(np.radians(incidence_deg))
        scene = self.wish.scene
        share = upward_share(np.array([cosine]), scene.extinction, scene.side_light)[0]
        return float(self.luminance_of_lamps * share / cosine / scene.saturation_nw)


def draw_radiometry_scene(wish: SceneWish) -> RadiometryScene:
    """Draw a scene; equal wishes give equal scenes."""
    rng = np.random.default_rng([wish.seed, 17])
    sim = _camera(wish, rng)
    before, west, north, step = _land(wish)
    after, planted = _change_world(before, sim, (west, north, step), wish.changes, rng)
    worlds = [
        RasterWorld.from_raster(radiance, west=west, north=north, step_deg=step)
        for radiance in (before, after)
    ]
    lights = Realisation(
        number=20 + wish.seed, gain_sigma=0.0, district_sigma=0.0, gone_fraction=0.0
    )
    scene = replace(wish.scene, seed=wish.seed)
    picture = render(sim, worlds[1], lights, scene)
    planes = lamp_planes(
        sim, worlds[1], lights, extinction=scene.extinction, side_light=scene.side_light
    ).sum(axis=(1, 2))
    even = Realisation(number=1, gain_sigma=0.0, district_sigma=0.0, gone_fraction=0.0)
    rows, cols = before.shape
    bounds = (west + 0.2, north - rows * step + 0.2, west + cols * step - 0.2, north - 0.2)
    # The camera as a registration has it, turned by its error
    turn = Rotation.from_rotvec(rng.standard_normal(3) * SIGMA_PX / sim.focal_px)
    x, y, z, w = (Rotation.from_quat(sim.quaternion()) * turn).as_quat().tolist()
    return RadiometryScene(
        photo=to_jpeg(picture, scene.jpeg_quality),
        camera=replace(camera_of(sim), quaternion=(x, y, z, w)),
        light_map=draw_light_map(worlds[0], bounds, even),
        planted=planted,
        wish=wish,
        luminance_of_lamps=float((planes * (LAMP_RGB @ LUMINANCE)).sum() / planes.sum()),
    )


def _land(wish: SceneWish) -> tuple[NDArray[np.float32], float, float, float]:
    land = _sample_land(SAMPLE_MAP)
    step, reach = land.step_deg, wish.reach_deg
    wide = reach / np.cos(np.radians(LAT))
    left = int((LON - wide - land.west) / step)
    top = int((land.north - LAT - reach) / step)
    rows, cols = int(2 * reach / step), int(2 * wide / step)
    radiance = land.radiance[top : top + rows, left : left + cols].copy()
    return radiance, land.west + left * step, land.north - top * step, step


def _camera(wish: SceneWish, rng: np.random.Generator) -> SimCamera:
    lon, lat, azimuth = nadir_for(LON, LAT, HEIGHT_M, OFF_NADIR_DEG, float(rng.uniform(0.0, 360.0)))
    pointing = Pointing(
        off_nadir_deg=OFF_NADIR_DEG,
        azimuth_deg=azimuth,
        roll_deg=float(rng.uniform(0.0, 360.0)),
    )
    return SimCamera.pointed(
        position_ecef_m=ecef_of(lon, lat, HEIGHT_M),
        pointing=pointing,
        width_px=wish.width_px,
        height_px=wish.height_px,
        focal_px=FOCAL_MM / 36.0 * wish.width_px,
    )


def _change_world(
    before: NDArray[np.float32],
    sim: SimCamera,
    grid: tuple[float, float, float],
    count: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], tuple[tuple[str, float, float], ...]]:
    """The world with lights in dark places, and without some towns."""
    west, north, step = grid
    after, planted = before.copy(), []
    rows, cols = before.shape
    lon, lat = np.meshgrid(
        west + (np.arange(cols) + 0.5) * step, north - (np.arange(rows) + 0.5) * step
    )
    x, y, _, _ = sim.project(lon.ravel(), lat.ravel())
    margin_x, margin_y = 0.06 * sim.width_px, 0.06 * sim.height_px
    inside = (x > margin_x) & (x < sim.width_px - margin_x)
    inside &= (y > margin_y) & (y < sim.height_px - margin_y)
    seen = inside.reshape(rows, cols)
    far = seen & (ndimage.maximum_filter(before, 7) == 0.0)
    for _ in range(count):
        where = np.argwhere(far)
        row, col = (int(k) for k in where[rng.integers(len(where))])
        after[row - 1 : row + 2, col - 1 : col + 2] = NEW_NW
        far[max(row - APART_PX, 0) : row + APART_PX, max(col - APART_PX, 0) : col + APART_PX] = 0
        planted.append(("new", float(lon[row, col]), float(lat[row, col])))
    label, number = ndimage.label(ndimage.maximum_filter(before, 3) > 0.0)
    every = np.arange(1, number + 1)
    peak = ndimage.maximum(before, label, every)
    size = ndimage.sum(before > 0.0, label, every)
    whole = ndimage.minimum(seen, label, every)
    towns = every[
        (peak > LOST_NW[0]) & (peak < LOST_NW[1]) & (size < MAX_LOST_PIXELS) & (whole > 0)
    ]
    for town in rng.permutation(towns)[:count]:
        part = label == town
        after[part] = 0.0
        row, col = ndimage.center_of_mass(before * part)
        planted.append(
            ("lost", float(west + (col + 0.5) * step), float(north - (row + 0.5) * step))
        )
    return after, tuple(planted)


PHOTO, MAP, STORE = "photo.jpg", "lights.tif", "run.h5"


def result_of(scene: RadiometryScene, photo: Path, name: str) -> FrameResult:
    camera = scene.camera
    points = tuple(
        replace(
            control_point(x * camera.width_px, y * camera.height_px, camera),
            sigma_px=SIGMA_PX,
            sigma_m=200.0 * SIGMA_PX,
            covariance_px=(SIGMA_PX**2, 0.0, SIGMA_PX**2),
            covariance_m=((200.0 * SIGMA_PX) ** 2, 0.0, (200.0 * SIGMA_PX) ** 2),
        )
        for x, y in ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))
    )
    return replace(
        proposal(name),
        path=str(photo),
        sha256=hashlib.sha256(photo.read_bytes()).hexdigest(),
        width_px=camera.width_px,
        height_px=camera.height_px,
        solved=solved(camera),
        control_points=points,
    )


def write_trial(scene: RadiometryScene, folder: Path) -> Path:
    """Photo, map and a store in which the photo is registered; the store's path."""
    (folder / PHOTO).write_bytes(scene.photo)
    write_geotiff(folder / MAP, scene.light_map)
    return write_store(folder / STORE, [result_of(scene, folder / PHOTO, f"SIM-{scene.wish.seed}")])


def measure_trial(store: Path) -> Radiometry:
    """The only photo of a store of `write_trial` against its map."""
    (frame,) = selection.choose(store).frames()
    return measure(frame, open_light_map([store.with_name(MAP)]))
