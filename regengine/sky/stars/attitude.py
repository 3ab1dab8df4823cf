"""From a solved star field to a camera over the Earth: where stars say that a photo looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit.rotation import aberration_turn, earth_velocity

if TYPE_CHECKING:
    from regengine.sky.stars.solve import StarSolution

# Stars hold the attitude where they are, the lights lie elsewhere in the frame: between the two
# the lens' distortion is known to so many pixels at best
MIN_SIGMA_PX = 0.5
# Refraction bends starlight by 10 arc seconds 40 km above the ground (2 x 35 arc minutes at the
# ground, a scale height of 6.7 km); stars nearer to the ground than that are left aside
MIN_STAR_HEIGHT_KM = 40.0
# The fits of solved frames know the focal length better than this; heat and focus do not
MIN_SIGMA_LOG_FOCAL = 0.001


@dataclass(frozen=True, kw_only=True)
class StarAttitude:
    """Where a photo looks, as its stars have it."""

    # Of the stored image, among the stars, freed of the Earth's aberration: its quaternion turns
    # camera vectors to where things are
    camera: SkyCamera
    sigma_rad: float  # one sigma of the attitude about each of the camera's axes
    sigma_log_focal: float  # relative uncertainty of the focal length
    stars: int  # how many stars say so
    time_utc: datetime  # when the photo was taken, as its clock has it


def make_attitude(solution: StarSolution, time_utc: datetime) -> StarAttitude:
    """The attitude that a solved star field gives.

    The Earth moves among the stars with 30 km/s, which shifts them by up to 20.5 arc seconds and
    leaves the lights of the ground where they are. The station's 7.7 km/s shift both alike, by 5
    arc seconds: this is left in.

    The time is what the photo's clock says; for the aberration it need be right to some days only.
    """
    camera = solution.camera
    towards = solution.vectors_icrs.mean(axis=0)
    towards = towards / np.linalg.norm(towards)
    turn = aberration_turn(towards, earth_velocity(time_utc))
    matrix = Rotation.from_rotvec(turn).as_matrix() @ camera.matrix
    count = max(len(solution), 3)
    # Across the boresight a star's residual over the root of their number; about it, more by the
    # focal length over their spread, which is a third of it at least for the lenses that see a limb
    sigma_px = max(3.0 * solution.rms_px / np.sqrt(count), MIN_SIGMA_PX)
    return StarAttitude(
        camera=replace(camera, quaternion_icrs=matrix_quaternion(matrix)),
        sigma_rad=float(sigma_px / camera.focal_px),
        sigma_log_focal=max(MIN_SIGMA_LOG_FOCAL, sigma_px / max(camera.width_px, camera.height_px)),
        stars=len(solution),
        time_utc=time_utc,
    )


def place_over_earth(
    attitude: StarAttitude, rotation: FloatArray, position_ecef_m: tuple[float, float, float]
) -> Camera:
    """The camera of the stored image at a place (ECEF, metres) and a moment.

    `rotation`, shape (3, 3), leads from ICRS to Earth-fixed axes at the moment.
    """
    sky = attitude.camera
    return Camera(
        width_px=sky.width_px,
        height_px=sky.height_px,
        focal_px=sky.focal_px,
        principal_point=sky.principal_point,
        quaternion=matrix_quaternion(rotation @ sky.matrix),
        position_ecef_m=position_ecef_m,
        distortion=sky.distortion,
        mirrored=sky.mirrored,
    )
