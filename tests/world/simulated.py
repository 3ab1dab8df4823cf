"""Photos drawn over the land of the samples, and how far an answer lies from their truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from benchmarks.simulate import (
    MOONLIT_CLOUDS,
    PHOTO_LIGHTS,
    SAMPLE_MAP,
    sample_world,
    true_orbit,
)
from benchmarks.simulate import utc_of_2014 as utc
from benchmarks.simulate.camera import Pointing, SimCamera, ecef_of, geodetic_of, wgs84
from benchmarks.simulate.light_map import (
    RadianceMap,
    lamp_planes,
    read_geotiff,
    write_geotiff,
)
from benchmarks.simulate.noise import blur_image
from benchmarks.simulate.orbit import nadir_for, state_ecef
from benchmarks.simulate.render import render, to_jpeg, tone
from benchmarks.simulate.truth import CameraSettings, exif_bytes
from benchmarks.simulate.weather import SceneParameters
from benchmarks.simulate.worlds import RasterWorld, Realisation, World
from matchers.geometry.footprint import right_within_km
from tests.world.dng import WHITE, write_dng
from tests.world.samples import truth_of

WIDTH, HEIGHT = 480, 320
SENSOR_MM = 36.0
CITY = (-151.84, 33.86)  # the greatest of the land
# A clear night: what is asked is where the photo lies, not whether it can be seen
CLEAR = SceneParameters(saturation_nw=150.0, jpeg_quality=95, most_lamps=300_000)


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How a photo is taken, and what its file says of it."""

    time_utc: datetime
    pointing: Pointing
    focal_mm: float = 50.0
    focal_error: float = 0.0  # true focal length over that of the file, minus 1
    k1: float = 0.0
    mirrored: bool = False
    size_px: tuple[int, int] = (WIDTH, HEIGHT)
    crop: tuple[int, int] = (0, 0)  # pixel of the whole that the file's first one is
    orientation: int = 1
    clock_error_s: float = 0.0
    lens_known: bool = True
    scene: SceneParameters = field(default_factory=lambda: CLEAR)

    def camera_at(self, position_ecef_m: ArrayLike) -> SimCamera:
        """The true camera of the file's pixels, at a place in orbit."""
        width, height = self.size_px
        whole = SimCamera.pointed(
            position_ecef_m=position_ecef_m,
            pointing=self.pointing,
            width_px=width,
            height_px=height,
            focal_px=self.focal_mm * (1.0 + self.focal_error) / SENSOR_MM * width,
            k1=self.k1,
            mirrored=self.mirrored,
        )
        return replace(
            whole,
            width_px=WIDTH,
            height_px=HEIGHT,
            principal_x=whole.principal_x - self.crop[0],
            principal_y=whole.principal_y - self.crop[1],
        )

    def exif(self) -> bytes:
        settings = CameraSettings(
            clock_utc=self.time_utc + timedelta(seconds=self.clock_error_s),
            focal_mm=self.focal_mm if self.lens_known else None,
            orientation=self.orientation,
        )
        return exif_bytes(settings)


def _pointing(off_nadir_deg: float, azimuth_deg: float, roll_deg: float) -> Pointing:
    return Pointing(off_nadir_deg=off_nadir_deg, azimuth_deg=azimuth_deg, roll_deg=roll_deg)


EXPOSURES = {
    "nadir": Exposure(time_utc=utc(1, 17, 7, 45, 50), pointing=_pointing(3.0, 180.0, 25.0)),
    "slanted": Exposure(time_utc=utc(1, 30, 10, 14, 50), pointing=_pointing(25.0, 70.0, -40.0)),
    "oblique": Exposure(
        time_utc=utc(2, 4, 7, 50, 0), pointing=_pointing(50.0, 250.0, -10.0), focal_mm=35.0
    ),
    "mirrored": Exposure(
        time_utc=utc(1, 31, 9, 26, 30), pointing=_pointing(14.0, 250.0, 200.0), mirrored=True
    ),
    "turned": Exposure(
        time_utc=utc(2, 1, 8, 37, 40), pointing=_pointing(15.0, 235.0, 107.0), orientation=6
    ),
    "cropped": Exposure(
        time_utc=utc(1, 17, 7, 46, 20),
        pointing=_pointing(20.0, 200.0, 60.0),
        size_px=(600, 400),
        crop=(30, 64),
    ),
    "wrong clock": Exposure(
        time_utc=utc(1, 30, 10, 15, 10), pointing=_pointing(12.0, 20.0, 140.0), clock_error_s=-3600
    ),
    "unknown lens": Exposure(
        time_utc=utc(1, 31, 9, 26, 0), pointing=_pointing(18.0, 160.0, 80.0), lens_known=False
    ),
    "clouded": Exposure(
        time_utc=utc(1, 17, 7, 46, 2),
        pointing=_pointing(14.0, 215.0, -68.0),
        scene=replace(CLEAR, seed=101, ground_nw=0.5, clouds=MOONLIT_CLOUDS),
    ),
    "wide": Exposure(
        time_utc=utc(1, 30, 10, 14, 20), pointing=_pointing(35.0, 150.0, 0.0), focal_mm=28.0
    ),
    "tele": Exposure(
        time_utc=utc(1, 17, 7, 45, 40), pointing=_pointing(6.0, 120.0, 10.0), focal_mm=135.0
    ),
    "smeared": Exposure(
        time_utc=utc(1, 31, 9, 26, 37),
        pointing=_pointing(11.0, 250.0, 200.0),
        focal_mm=85.0,
        focal_error=0.017,
        k1=-0.02,
        scene=replace(CLEAR, motion_px=2.0, motion_deg=40.0),
    ),
}

# Those that every change is tried on; slow tests alone look at the others
USUAL = ("nadir", "slanted", "tele")
RARE = tuple(name for name in EXPOSURES if name not in USUAL)


def draw(camera: SimCamera, world: World | None, scene: SceneParameters) -> NDArray[np.uint8]:
    """The picture that a camera takes, in other lights than those of the map."""
    return render(camera, world, PHOTO_LIGHTS, scene)


def write_photos(folder: Path, names: Iterable[str]) -> None:
    """Draw exposures, and write its true camera beside each."""
    world, satellite = sample_world(), true_orbit().satrec()
    for name in names:
        exposure = EXPOSURES[name]
        camera = exposure.camera_at(state_ecef(satellite, exposure.time_utc)[0])
        picture = draw(camera, world, exposure.scene)
        jpeg = to_jpeg(picture, exposure.scene.jpeg_quality, exposure.exif())
        (folder / f"{name}.jpg").write_bytes(jpeg)
        values = {**vars(camera), "axes": camera.axes.tolist()}
        (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")


def true_camera(photo: Path) -> SimCamera:
    """The camera that took a photo of `write_photos`."""
    values = json.loads(photo.with_suffix(".json").read_text(encoding="utf-8"))
    return SimCamera(**{**values, "axes": np.array(values["axes"])})


def camera_over(place: tuple[float, float], *, off_nadir_deg: float = 8.0) -> SimCamera:
    """A camera with a 50 mm lens that has a place in the middle of its picture."""
    lon, lat, azimuth = nadir_for(*place, 412e3, off_nadir_deg, 40.0)
    exposure = Exposure(
        time_utc=utc(1, 30, 10, 0, 0), pointing=_pointing(off_nadir_deg, azimuth, 25)
    )
    return exposure.camera_at(ecef_of(lon, lat, 412e3))


def write_png(path: Path, picture: NDArray[np.uint8]) -> Path:
    """A picture as a file without loss, which by itself says nothing of its camera."""
    Image.fromarray(picture).save(path)
    return path


def write_raw(path: Path, picture: NDArray[np.uint8]) -> Path:
    """A picture as what the sensor saw: red-green/green-blue, linear."""
    value = np.arange(256) / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    light = np.round(WHITE * linear).astype(np.uint16)[picture]
    mosaic = light[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = light[::2, ::2, 0], light[1::2, 1::2, 2]
    return write_dng(path, mosaic)


def picture_of(photo: Path) -> NDArray[np.uint8]:
    with Image.open(photo) as image:
        return np.asarray(image.convert("RGB"))


def city_map() -> RadianceMap:
    """The samples' map within five degrees of the city."""
    given = read_geotiff(SAMPLE_MAP)
    left = round((CITY[0] - 5.0 - given.west) / given.step_deg)
    top = round((given.north - CITY[1] - 5.0) / given.step_deg)
    side = round(10.0 / given.step_deg)
    return RadianceMap(
        radiance=given.radiance[top : top + side, left : left + side],
        west=given.west + left * given.step_deg,
        north=given.north - top * given.step_deg,
        step_deg=given.step_deg,
    )


def write_city_map(
    path: Path,
    change: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray,
    *,
    east_deg: float = 0.0,
) -> Path:
    """The map of the city, north up, its radiance changed, so much farther east."""
    given = city_map()
    radiance = np.ascontiguousarray(change(given.radiance))
    write_geotiff(path, replace(given, radiance=radiance, west=given.west + east_deg))
    return path


def write_shifted_map(folder: Path, east_deg: float) -> list[Path]:
    """The map of the city farther east, in two files that meet at the antimeridian.

    ``east_deg`` is a whole number of the map's pixels.
    """
    given = city_map()
    west = given.west + east_deg
    cut = round((-180.0 - west) / given.step_deg)
    paths = [folder / "west.tif", folder / "east.tif"]
    parts = (given.radiance[:, :cut], west + 360.0), (given.radiance[:, cut:], -180.0)
    for path, (part, start) in zip(paths, parts, strict=True):
        write_geotiff(path, replace(given, radiance=np.ascontiguousarray(part), west=start))
    return paths


def write_photo_of_map(path: Path, camera: SimCamera) -> Path:
    """The samples' map itself as a camera sees it: lens blur and tone curve, nothing random."""
    given: RadianceMap = read_geotiff(SAMPLE_MAP)
    world = RasterWorld.from_raster(
        given.radiance, west=given.west, north=given.north, step_deg=given.step_deg
    )
    mapped = Realisation(number=1, gain_sigma=0.0, gone_fraction=0.0, district_sigma=0.0)
    planes = lamp_planes(camera, world, mapped, extinction=0.0, side_light=0.0)
    light = blur_image(planes.sum(axis=0), 0.8)
    return write_png(
        path, np.dstack([tone(light / np.float32(np.quantile(light, 0.998)), 0.0)] * 3)
    )


def moved(camera: SimCamera, east_deg: float) -> SimCamera:
    """The camera turned so far about the Earth's axis: it sees the same in a map moved as far."""
    turn = Rotation.from_euler("z", east_deg, degrees=True).as_matrix()
    return replace(
        camera,
        lon_deg=(camera.lon_deg + east_deg + 180.0) % 360.0 - 180.0,
        axes=turn @ camera.axes,
    )


def sample_camera(name: str) -> SimCamera:
    """The camera that took a sample photo, by its truth file."""
    said = truth_of(name)["camera"]
    lon, lat, height_m = (float(value) for value in geodetic_of(said["position_ecef_m"]))
    return SimCamera(
        width_px=said["width_px"],
        height_px=said["height_px"],
        focal_px=said["focal_px"],
        principal_x=said["principal_point"][0],
        principal_y=said["principal_point"][1],
        k1=said["distortion"][0],
        lon_deg=lon,
        lat_deg=lat,
        height_m=height_m,
        axes=Rotation.from_quat(said["quaternion"]).as_matrix(),
        mirrored=said["mirrored"],
    )


def point_misses_m(camera: SimCamera, points: Any) -> NDArray[np.float64]:
    """Metres between the places of control points and what their pixels truly show."""
    lon, lat, _ = camera.ground(points.x, points.y)
    return np.asarray(wgs84().inv(lon, lat, points.lon, points.lat)[2])


def camera_misses_m(camera: SimCamera, found: Any) -> NDArray[np.float64]:
    """The same for a found camera, over a lattice of pixels that see ground at 75 degrees or less.

    NaN where the found camera sees the sky.
    """
    across, down = np.linspace(0, camera.width_px - 1, 9), np.linspace(0, camera.height_px - 1, 7)
    x, y = (axis.ravel() for axis in np.meshgrid(across, down))
    lon, lat, _ = camera.ground(x, y)
    cosine = camera.project(np.nan_to_num(lon), np.nan_to_num(lat))[3]
    seen = np.isfinite(lon) & (cosine > np.cos(np.radians(75.0)))
    found_lon, found_lat = found.pixel_to_lonlat(x[seen], y[seen])
    away = wgs84().inv(lon[seen], lat[seen], np.nan_to_num(found_lon), np.nan_to_num(found_lat))[2]
    return np.where(np.isfinite(found_lon), away, np.nan)


def is_right(misses_m: NDArray[np.float64], diagonal_km: float) -> bool:
    """The project's definition: all within 1 % of the footprint's diagonal, or 1 km."""
    return bool(misses_m.max() <= 1000.0 * right_within_km(diagonal_km))
