"""The Earth's limb on the view sphere: a circle about the nadir."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

EARTH_RADIUS_KM = 6371.0  # mean radius (IUGG); the ellipsoid moves the limb by up to 0.2 degrees
# The emission of atomic oxygen at 557.7 nm peaks at 93-97 km and is some 10 km deep, so its upper
# edge, the first rise of light from the sky down, lies near 100 km (Leinert et al. 1998, A&AS 127)
AIRGLOW_TOP_KM = 99.0
# The last opaque air, haze and high cloud: chosen between the 0 km of the simulator and the 12 km
# that the gap of 2.1 to 2.2 degrees read off the profiles of some moonlit real photos would have
HARD_EDGE_KM = 8.0


def limb_angle_deg(altitude_km: float, height_km: float) -> float:
    """Angle between the nadir and sights that touch a shell about the Earth.

    Parameters
    ----------
    altitude_km : float
        Of the camera.
    height_km : float
        Of the shell, below the camera.

    Returns
    -------
    float
        Degrees; 70 for the ground and 72.5 for the airglow from 415 km.

    Raises
    ------
    ValueError
        The shell is not below the camera.
    """
    if not 0.0 <= height_km < altitude_km:
        raise ValueError(
            f"a camera at {altitude_km:g} km sees no limb at {height_km:g} km: give its altitude"
        )
    sine = (EARTH_RADIUS_KM + height_km) / (EARTH_RADIUS_KM + altitude_km)
    return float(np.degrees(np.arcsin(sine)))


def rays_of(
    x: FloatArray, y: FloatArray, focal_px: float, centre: tuple[float, float]
) -> FloatArray:
    """Unit vectors (x right, y down, z forward) along which pixels look, shape (..., 3)."""
    u, v = (x - centre[0]) / focal_px, (y - centre[1]) / focal_px
    rays = np.stack([u, v, np.ones_like(u)], axis=-1)
    return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))


def pixels_of(
    rays: FloatArray, focal_px: float, centre: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Pixels of directions, shape (...); NaN for those behind the camera."""
    depth = np.where(rays[..., 2] > 1e-3, rays[..., 2], np.nan)
    return (
        focal_px * rays[..., 0] / depth + centre[0],
        focal_px * rays[..., 1] / depth + centre[1],
    )


def nadir_vector(off_nadir_deg: float, roll_deg: float) -> FloatArray:
    """Nadir direction in the camera frame; the reverse of `pointing_of`."""
    lean, roll = np.radians(off_nadir_deg), np.radians(roll_deg)
    return np.array([np.sin(lean) * np.sin(roll), np.sin(lean) * np.cos(roll), np.cos(lean)])


def pointing_of(nadir: FloatArray) -> tuple[float, float]:
    """How far the camera looks from the nadir, and how it is rolled.

    Parameters
    ----------
    nadir : ndarray, shape (3,)
        Unit vector in the camera frame.

    Returns
    -------
    off_nadir_deg, roll_deg : float
        The roll is 0 where the nadir lies below the image's centre, 90 where to the right of it:
        the camera's turn about its axis, clockwise as seen from behind the camera.
    """
    off_nadir = np.degrees(np.arctan2(np.hypot(nadir[0], nadir[1]), nadir[2]))
    return float(off_nadir), float(np.degrees(np.arctan2(nadir[0], nadir[1])))


def tangent_axes(nadir: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit vectors perpendicular to the nadir: of growing off-nadir angle and of growing roll."""
    off_nadir, roll = np.radians(pointing_of(nadir))
    lean = np.array(
        [np.cos(off_nadir) * np.sin(roll), np.cos(off_nadir) * np.cos(roll), -np.sin(off_nadir)]
    )
    return lean, np.array([np.cos(roll), -np.sin(roll), 0.0])


def arc_rays(nadir: FloatArray, angle_deg: FloatArray, azimuth_deg: FloatArray) -> FloatArray:
    """Directions at an angle from the nadir.

    Azimuth 0 leads through the camera's axis; shape of the broadcast arguments + (3,).
    """
    lean, across = tangent_axes(nadir)
    angle, azimuth = np.radians(angle_deg)[..., None], np.radians(azimuth_deg)[..., None]
    # Growing off-nadir angle moves the nadir away from the axis: towards the axis is -lean
    return np.asarray(
        np.cos(angle) * nadir + np.sin(angle) * (np.sin(azimuth) * across - np.cos(azimuth) * lean)
    )
