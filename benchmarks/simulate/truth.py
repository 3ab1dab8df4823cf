"""What is true of a simulated photograph, for a JSON file, and what its EXIF says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from benchmarks.simulate.camera import SimCamera
from benchmarks.simulate.light_map import lamps_in_view, upward_share
from benchmarks.simulate.worlds import Realisation, World

GRID = 5  # reference points are sought in 5 x 5 parts of the picture


def camera_truth(camera: SimCamera) -> dict[str, Any]:
    """The camera in the words of the records: quaternion camera to ECEF, ECEF position, lens."""
    return {
        "model": "pinhole",
        "width_px": camera.width_px,
        "height_px": camera.height_px,
        "focal_px": camera.focal_px,
        "principal_point": [camera.principal_x, camera.principal_y],
        "distortion": [camera.k1, 0.0, 0.0, 0.0, 0.0],
        "quaternion": list(camera.quaternion()),
        "position_ecef_m": [float(value) for value in camera.position_ecef_m],
        "lon": camera.lon_deg,
        "lat": camera.lat_deg,
        "altitude_km": camera.height_m / 1000.0,
        "mirrored": camera.mirrored,
    }


def footprint(camera: SimCamera) -> list[list[float] | None]:
    """(lon, lat) of the corner pixels' centres, clockwise from the top left; None for the sky."""
    right, bottom = camera.width_px - 1.0, camera.height_px - 1.0
    lon, lat, _ = camera.ground(
        np.array([0.0, right, right, 0.0]), np.array([0.0, 0.0, bottom, bottom])
    )
    return [[float(a), float(b)] if np.isfinite(a) else None for a, b in zip(lon, lat, strict=True)]


def reference_points(
    camera: SimCamera, world: World, realisation: Realisation
) -> list[dict[str, float]]:
    """The brightest lit place in each part of the picture, with the pixel that shows it."""
    clusters, _ = lamps_in_view(camera, world, 100_000)
    lamps = world.scatter(clusters, np.ones(len(clusters.row), np.int64), realisation)
    x, y, distance, cosine = camera.project(lamps.lon, lamps.lat)
    strength = lamps.power * upward_share(cosine, 0.25, 0.4) / distance**2
    inside = (x >= 0) & (x <= camera.width_px - 1) & (y >= 0) & (y <= camera.height_px - 1)
    inside &= cosine > np.cos(np.radians(80.0))
    part = (GRID * x / camera.width_px) // 1 + GRID * ((GRID * y / camera.height_px) // 1)
    chosen = []
    for number in range(GRID * GRID):
        here = np.flatnonzero(inside & (part == number))
        if len(here):
            chosen.append(int(here[np.argmax(strength[here])]))
    return [
        {
            "x": float(x[i]),
            "y": float(y[i]),
            "lon": float(lamps.lon[i]),
            "lat": float(lamps.lat[i]),
        }
        for i in chosen
    ]


SENSOR_WIDTH_MM = {"NIKON D3S": 36.0, "NIKON D4": 36.0, "NIKON D5": 35.9}


@dataclass(frozen=True, kw_only=True)
class CameraSettings:
    """What the camera knows."""

    clock_utc: datetime  # what its clock shows, which may be wrong
    focal_mm: float | None  # none leaves the tag out
    aperture_f: float = 1.4
    exposure_s: float = 0.05
    iso: int = 10000
    body: str = "NIKON D3S"  # EXIF model; its sensor's width is in ``SENSOR_WIDTH_MM``.
    orientation: int = 1  # EXIF orientation, 1 to 8

    def pixel_pitch_um(self, width_px: int, height_px: int) -> float:
        return 1000.0 * SENSOR_WIDTH_MM[self.body] / max(width_px, height_px)


def exif_bytes(settings: CameraSettings) -> bytes:
    """EXIF block for Pillow's ``save(..., exif=...)``."""
    exif = Image.Exif()
    base, detail = ExifTags.Base, ExifTags.IFD.Exif
    stamp = settings.clock_utc.strftime("%Y:%m:%d %H:%M:%S")
    exif[base.Make] = "KODAK" if "KODAK" in settings.body else "NIKON CORPORATION"
    exif[base.Model] = settings.body
    exif[base.Orientation] = settings.orientation
    exif[base.Software] = "regengine simulator"
    exif[base.DateTime] = stamp
    block = exif.get_ifd(detail)
    block[base.DateTimeOriginal] = stamp
    block[base.DateTimeDigitized] = stamp
    block[base.SubsecTimeOriginal] = f"{settings.clock_utc.microsecond // 10000:02d}"
    block[base.ExposureTime] = settings.exposure_s
    block[base.FNumber] = settings.aperture_f
    block[base.ISOSpeedRatings] = settings.iso
    if settings.focal_mm is not None:
        block[base.FocalLength] = settings.focal_mm
    return exif.tobytes()
