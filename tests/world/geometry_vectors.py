"""Cameras of every awkward kind, with what the engine computes of them, for the page to agree with.

``python -m tests.world.geometry_vectors`` writes them beside the page's geometry.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from detectors.types import FloatArray
from matchers.geometry.camera import Camera, Lens
from matchers.geometry.earth import geodetic_to_ecef, incidence_deg, local_axes
from matchers.geometry.pose import with_attitude

VECTORS = (
    Path(__file__).resolve().parents[2] / "regengine/pages/review/page/src/geometry/vectors.json"
)

PLAIN = Lens(width_px=4256, height_px=2832, focal_px=5900.0, principal_point=(2127.5, 1415.5))
WIDE = replace(PLAIN, focal_px=2400.0, distortion=(-0.11, 0.02, 0.001, -0.002, 0.004))
CROPPED = replace(PLAIN, principal_point=(2900.0, 300.5), distortion=(0.03, 0.0, 0.0, 0.0, 0.0))


@dataclass(frozen=True)
class Aim:
    """Where a camera is, and what it looks at."""

    nadir_lon: float  # geodetic place below the camera, degrees
    nadir_lat: float
    lon: float  # place that the middle of the picture shows, degrees
    lat: float
    turn_deg: float  # azimuth of the picture's top at that place, clockwise from north
    altitude_km: float = 415.0  # above the ellipsoid


def aimed_camera(aim: Aim, lens: Lens) -> Camera:
    position = geodetic_to_ecef(aim.nadir_lon, aim.nadir_lat, 1e3 * aim.altitude_km)
    ground = geodetic_to_ecef(aim.lon, aim.lat)
    assert incidence_deg(position, ground) < 90.0
    forward = _unit(ground - position)
    north, east = _picture_north(aim.lon, aim.lat, forward)
    turn = np.radians(aim.turn_deg)
    top = np.cos(turn) * north + np.sin(turn) * east
    ahead, upwards = _middle_axes(lens)
    world = np.stack([forward, top, np.cross(forward, top)])
    local = np.stack([ahead, upwards, np.cross(ahead, upwards)])
    x, y, z = position.tolist()
    camera = Camera(**asdict(lens), quaternion=(0.0, 0.0, 0.0, 1.0), position_ecef_m=(x, y, z))
    return with_attitude(camera, world.T @ local)


def _picture_north(lon: float, lat: float, forward: FloatArray) -> tuple[FloatArray, FloatArray]:
    """North of a place as a camera sees it that looks along `forward`, and east beside it."""
    north = local_axes(lon, lat)[1]
    north = _unit(north - (north @ forward) * forward)
    return north, np.cross(forward, north)


def _middle_axes(lens: Lens) -> tuple[FloatArray, FloatArray]:
    """Unit vectors (camera frame) of the picture's middle: ahead, and towards the top."""
    ahead = _unit(lens.rays((lens.width_px - 1) / 2.0, (lens.height_px - 1) / 2.0))
    upwards = np.array([0.0, -1.0, 0.0])
    return ahead, _unit(upwards - (upwards @ ahead) * ahead)


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector), float)


CASES: dict[str, tuple[Aim, Lens]] = {
    "straight down": (Aim(2.0, 48.0, 2.0, 48.0, 0.0), PLAIN),
    "oblique, turned": (Aim(-74.0, 38.0, -71.0, 42.0, 137.0), PLAIN),
    "flat, with distortion": (Aim(121.0, 25.0, 110.0, 33.0, -58.0), WIDE),
    "to the limb": (Aim(30.0, 31.0, 30.0, 47.5, 3.0), WIDE),
    "across the antimeridian": (Aim(179.4, -17.0, -178.0, -18.5, 80.0), PLAIN),
    "from the antimeridian": (Aim(-180.0, 51.0, 179.9, 50.0, -170.0), WIDE),
    "mirrored": (Aim(139.0, 35.0, 140.5, 36.0, 25.0), replace(PLAIN, mirrored=True)),
    "mirrored, distorted": (Aim(139.0, 35.0, 134.0, 33.0, -95.0), replace(WIDE, mirrored=True)),
    "cropped": (Aim(12.0, 42.0, 15.0, 41.0, 200.0), CROPPED),
    "mirrored crop": (Aim(12.0, 42.0, 15.0, 41.0, 200.0), replace(CROPPED, mirrored=True)),
    "squared, distorted": (Aim(12.0, 42.0, 15.0, 41.0, 70.0), replace(WIDE, pixel_aspect=1.5)),
    "over the pole": (Aim(10.0, 89.0, 170.0, 88.0, 40.0), PLAIN),
    "beside the pole": (Aim(-60.0, -90.0, 20.0, -89.99, 15.0), PLAIN),
}


def vectors() -> list[dict[str, Any]]:
    """What the engine computes of each case, as plain JSON."""
    return [
        {
            "name": name,
            "aim": {
                "nadir": [aimed.nadir_lon, aimed.nadir_lat],
                "altitude_km": aimed.altitude_km,
                "place": [aimed.lon, aimed.lat],
                "turn_deg": aimed.turn_deg,
            },
            "lens": asdict(lens),
            "camera": asdict(camera),
            "pixels": _pixels(camera),
            "places": _places(camera),
        }
        for name, (aimed, lens) in CASES.items()
        for camera in [aimed_camera(aimed, lens)]
    ]


def _pixels(camera: Camera) -> list[dict[str, Any]]:
    """Pixels of a lattice that reaches past the picture, and the ground they see."""
    x, y = np.meshgrid(np.linspace(-400.0, 4655.0, 6), np.linspace(-300.0, 3131.0, 5))
    lon, lat = camera.pixel_to_lonlat(x, y)
    incidence = incidence_deg(camera.position_ecef_m, camera.pixel_to_ecef(x, y))
    return [
        {"x": a, "y": b, "place": [c, d] if np.isfinite(c) else None, "incidence_deg": e}
        for a, b, c, d, e in zip(
            *(values.ravel().tolist() for values in (x, y, lon, lat, np.nan_to_num(incidence))),
            strict=True,
        )
    ]


def _places(camera: Camera) -> list[dict[str, Any]]:
    """Places in sight, behind the limb and at the other end of the Earth, and their pixels."""
    x, y = np.meshgrid(np.linspace(0.0, 4255.0, 4), np.linspace(0.0, 2831.0, 3))
    lon, lat = (values.ravel() for values in camera.pixel_to_lonlat(x, y))
    seen = np.isfinite(lon)
    lon = np.concatenate([lon[seen], lon[seen][:1] + 180.0, [0.0, 90.0, -120.0]])
    lat = np.concatenate([lat[seen], -lat[seen][:1], [90.0, 0.0, -60.0]])
    at_x, at_y = camera.lonlat_to_pixel(lon, lat)
    return [
        {"place": [a, b], "pixel": [c, d] if np.isfinite(c) else None}
        for a, b, c, d in zip(*(v.tolist() for v in (lon, lat, at_x, at_y)), strict=True)
    ]


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
