"""How a photo is oriented on the map: which way is up in it, and which way it looks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic, intersect_ellipsoid, local_axes, surface_to_lonlat
from regengine.export.sql.key_rays import key_rays

COMPASS = (
    "north",
    "northeast",
    "east",
    "southeast",
    "south",
    "southwest",
    "west",
    "northwest",
)
LOOKS_DOWN_DEG = 5.0  # off nadir, below which nobody sees a photo as oblique


@dataclass(frozen=True, kw_only=True)
class Bearings:
    """Directions of a photo, degrees clockwise from north.

    Attributes
    ----------
    up_deg : float or None
        Of the upward direction of the picture as stored, on the ground at its centre; None
        where the centre shows the sky.
    look_deg : float
        From the place below the camera to the one that the centre shows.
    off_nadir_deg : float
        Between the optical axis and the nadir.
    """

    up_deg: float | None
    look_deg: float
    off_nadir_deg: float

    @property
    def words(self) -> str | None:
        """Such as ``north up, looking southwest``; None for a camera that is none."""
        if not math.isfinite(self.look_deg):
            return None
        if self.up_deg is None:
            return f"looking {compass(self.look_deg)}"
        down = self.off_nadir_deg < LOOKS_DOWN_DEG
        return f"{compass(self.up_deg)} up, looking {'down' if down else compass(self.look_deg)}"


@lru_cache(maxsize=4)  # of one frame after the other, a column at a time
def bearings(camera: Camera) -> Bearings:
    """Directions of a photo by its camera.

    Parameters
    ----------
    camera : Camera
        The solved camera.

    Returns
    -------
    Bearings
    """
    lon, lat, _ = (float(value) for value in ecef_to_geodetic(camera.position_ecef_m))
    middle, *around = key_rays(camera)[:3]
    below, above = intersect_ellipsoid(camera.position_ecef_m, around)
    down = local_axes(lon, lat)[2] @ camera.boresight_ecef
    up_deg = None
    if np.isfinite(below).all() and np.isfinite(above).all():
        centre_lon, centre_lat = surface_to_lonlat((below + above) / 2.0)
        up_deg = _bearing(above - below, float(centre_lon), float(centre_lat))
    return Bearings(
        up_deg=up_deg,
        look_deg=_bearing(middle, lon, lat),
        off_nadir_deg=float(np.degrees(np.arccos(np.clip(-down, -1.0, 1.0)))),
    )


def compass(bearing_deg: float) -> str:
    """The nearest of eight directions of the compass."""
    return COMPASS[round(bearing_deg / 45.0) % 8]


def _bearing(vector_ecef: NDArray[np.float64], lon: float, lat: float) -> float:
    east, north, _ = local_axes(lon, lat) @ vector_ecef
    # Twice: a hair west of north is 360.0 after the first
    return float(np.degrees(np.arctan2(east, north)) % 360.0 % 360.0)
