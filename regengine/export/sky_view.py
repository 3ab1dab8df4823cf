"""Where in the sky a camera looks that was placed by the lights of the ground."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from matchers.camera import Camera
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.celestial_rotation import icrs_to_itrf


def sky_camera(camera: Camera, time_utc: datetime) -> SkyCamera:
    """The same camera among the stars.

    Parameters
    ----------
    camera : Camera
        Placed on the Earth.
    time_utc : datetime
        When: the Earth turns by 15 arc seconds in each second.

    Returns
    -------
    SkyCamera
        Aberration (5 arc seconds by the station's speed, 20 by the Earth's) is left out.
    """
    return SkyCamera(
        width_px=camera.width_px,
        height_px=camera.height_px,
        focal_px=camera.focal_px,
        principal_point=camera.principal_point,
        distortion=camera.distortion,
        mirrored=camera.mirrored,
        quaternion_icrs=matrix_quaternion(icrs_to_itrf(time_utc).T @ camera.matrix),
    )


def sees_sky(camera: Camera, per_side: int = 33) -> bool:
    """Whether some of the picture's border is above the horizon."""
    along_x = np.linspace(0.0, camera.width_px - 1.0, per_side)
    along_y = np.linspace(0.0, camera.height_px - 1.0, per_side)
    right, bottom = np.full(per_side, along_x[-1]), np.full(per_side, along_y[-1])
    zero = np.zeros(per_side)
    x = np.concatenate([along_x, along_x, zero, right])
    y = np.concatenate([zero, bottom, along_y, along_y])
    with np.errstate(all="ignore"):
        return bool(np.isnan(camera.pixel_to_ecef(x, y)).any())
