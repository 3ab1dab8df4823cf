"""Photos drawn over the land of the samples, and how far an answer lies from their truth."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.simulate import MOONLIT_CLOUDS, PHOTO_LIGHTS, sample_world, true_orbit
from benchmarks.simulate import utc_of_2014 as utc
from benchmarks.simulate.camera import Pointing, SimCamera, wgs84
from benchmarks.simulate.orbit import state_ecef
from benchmarks.simulate.photo_files import CameraSettings, exif_bytes
from benchmarks.simulate.render import render, to_jpeg
from benchmarks.simulate.weather import SceneParameters
from benchmarks.simulate.worlds import Realisation, World

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
        """What the camera writes into the file."""
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


def draw(camera: SimCamera, world: World | None, scene: SceneParameters) -> NDArray[np.uint8]:
    """The picture that a camera takes, in other lights than those of the map."""
    realisation: Realisation = PHOTO_LIGHTS
    return render(camera, world, realisation, scene)


def write_photos(folder: Path) -> None:
    """Draw every exposure, and write its true camera beside it."""
    world, satellite = sample_world(), true_orbit().satrec()
    for name, exposure in EXPOSURES.items():
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
    return bool(misses_m.max() <= max(1000.0, 10.0 * diagonal_km))
