"""Where cameras are, and where they look."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, geodetic_to_ecef, surface_to_lonlat
from matchers.many_cameras import ManyCameras, is_turned

LonLat = tuple[float, float]
Stance = dict[str, float]
STANCE = (
    "camera_lon",
    "camera_lat",
    "camera_altitude_km",
    "off_nadir_deg",
    "centre_lon",
    "centre_lat",
)


def stances(cameras: Sequence[Camera]) -> list[Stance]:
    """Where cameras are, and where they look.

    Parameters
    ----------
    cameras : sequence of Camera
        Of photos.

    Returns
    -------
    list of dict
        Of each, ``camera_lon``, ``camera_lat``, ``off_nadir_deg``, ``centre_lon``, ``centre_lat``
        in degrees, ``camera_altitude_km``; NaN for the centre where the image shows the sky there,
        and for all where a damaged store's camera is none.
    """
    found: list[Stance] = [dict.fromkeys(STANCE, float("nan")) for _ in cameras]
    sound = [number for number, camera in enumerate(cameras) if is_turned(camera)]
    with np.errstate(all="ignore"):
        many = ManyCameras.of([cameras[number] for number in sound])
        lon, lat, height_m = ecef_to_geodetic(many.position_ecef_m)
        up = geodetic_to_ecef(lon, lat, 1.0) - geodetic_to_ecef(lon, lat, 0.0)
        downward = -np.sum(up * many.matrix[:, :, 2], axis=1)
        off_nadir = np.degrees(np.arccos(np.clip(downward, -1.0, 1.0)))
        ground = many.pixel_to_ecef((many.width_px - 1.0) / 2.0, (many.height_px - 1.0) / 2.0)
        centre_lon, centre_lat = surface_to_lonlat(ground[:, 0])
    told = zip(
        *(a.tolist() for a in (lon, lat, height_m / 1e3, off_nadir, centre_lon, centre_lat)),
        strict=True,
    )
    for number, values in zip(sound, told, strict=True):
        found[number] = dict(zip(STANCE, values, strict=True))
    return found
