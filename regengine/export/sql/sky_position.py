"""Where in the sky a photo's camera looked, and where the Earth stood in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from matchers.camera import Camera
from regengine.celestial_rotation import icrs_to_itrf
from regengine.export.sky_view import sees_sky
from regengine.export.sql.key_rays import key_rays
from regengine.export.sql.literals import moment

EARTH_RADIUS_M = 6371008.8  # mean radius: the limb lies within 0.3 degrees of its circle
LIMB_DEG = 1.0  # a picture that ends so far within the Earth's disc need not be looked at


@dataclass(frozen=True, kw_only=True)
class SkyPosition:
    """Directions in ICRS, degrees.

    Attributes
    ----------
    ra_deg, dec_deg : float
        Of the image centre.
    position_angle_deg : float
        Of the picture's upward direction there, from north to east.
    radius_deg : float
        From the image centre to its farthest corner.
    sees_sky : bool
        Whether some of the picture is above the horizon.
    earth_ra_deg, earth_dec_deg, earth_radius_deg : float
        The Earth's disc as seen from the camera.
    """

    ra_deg: float
    dec_deg: float
    position_angle_deg: float
    radius_deg: float
    sees_sky: bool
    earth_ra_deg: float
    earth_dec_deg: float
    earth_radius_deg: float


@lru_cache(maxsize=4)  # of one frame after the other, a column at a time
def sky_position(camera: Camera, time_utc: str) -> SkyPosition | None:
    """Where a camera looks among the stars.

    Parameters
    ----------
    camera : Camera
        Placed on the Earth.
    time_utc : str
        When, ISO 8601.

    Returns
    -------
    SkyPosition or None
        None without a time.
    """
    time = moment(time_utc)
    if time is None:
        return None
    to_icrs = icrs_to_itrf(time).T
    middle, _, above, *corners = key_rays(camera) @ to_icrs.T
    ra, dec = _ra_dec(middle)
    position = np.asarray(camera.position_ecef_m)
    to_earth = to_icrs @ -position
    earth_ra, earth_dec = _ra_dec(to_earth)
    distance = np.linalg.norm(position)
    radius_deg = float(np.degrees(np.arccos(np.clip(np.min(corners @ middle), -1.0, 1.0))))
    earth_radius_deg = float(np.degrees(np.arcsin(np.minimum(1.0, EARTH_RADIUS_M / distance))))
    aside_deg = float(np.degrees(np.arccos(np.clip(to_earth @ middle / distance, -1.0, 1.0))))
    on_earth = aside_deg + radius_deg < earth_radius_deg - LIMB_DEG
    return SkyPosition(
        ra_deg=ra,
        dec_deg=dec,
        position_angle_deg=_position_angle(above - middle, ra, dec),
        radius_deg=radius_deg,
        sees_sky=not on_earth and sees_sky(camera),
        earth_ra_deg=earth_ra,
        earth_dec_deg=earth_dec,
        earth_radius_deg=earth_radius_deg,
    )


def _ra_dec(vector: NDArray[np.float64]) -> tuple[float, float]:
    x, y, z = vector
    # Twice: a hair below zero is 360.0 after the first
    ra = float(np.degrees(np.arctan2(y, x)) % 360.0 % 360.0)
    return ra, float(np.degrees(np.arctan2(z, np.hypot(x, y))))


def _position_angle(up: NDArray[np.float64], ra_deg: float, dec_deg: float) -> float:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.array([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
    return float(np.degrees(np.arctan2(up @ east, up @ north)) % 360.0 % 360.0)
