"""Camera attitude over the Earth from a solved star field."""

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

# Stars determine the attitude at their own positions; the lights lie elsewhere in the frame.
# Between the two, the lens distortion is known to this many pixels at best
MIN_SIGMA_PX = 0.5
# Refraction bends starlight by 10 arc seconds 40 km above the ground (2 x 35 arc minutes at the
# ground, a scale height of 6.7 km); stars with a smaller tangent height are excluded
MIN_STAR_HEIGHT_KM = 40.0
# The formal uncertainty of the focal length in solved frames is smaller than this, but ignores
# changes with temperature and focus
MIN_SIGMA_LOG_FOCAL = 0.001


@dataclass(frozen=True, kw_only=True)
class StarAttitude:
    """Attitude of a camera, determined from stars."""

    # Camera of the stored image in ICRS, corrected for the aberration by the Earth's motion: its
    # quaternion turns camera vectors to geometric directions
    camera: SkyCamera
    sigma_rad: float  # one sigma of the attitude about each of the camera's axes
    sigma_log_focal: float  # relative uncertainty of the focal length
    stars: int  # number of identified stars
    time_utc: datetime  # capture time by the camera's clock


def make_attitude(solution: StarSolution, time_utc: datetime) -> StarAttitude:
    """Convert a star solution to an attitude.

    The Earth moves at 30 km/s, which shifts stars by up to 20.5 arc seconds but does not shift the
    lights on the ground: this aberration is removed. The station's 7.7 km/s shift both alike, by 5
    arc seconds: this is not corrected.

    The time is that of the photo's clock; for the aberration, an accuracy of some days is
    sufficient.
    """
    camera = solution.camera
    towards = solution.vectors_icrs.mean(axis=0)
    towards = towards / np.linalg.norm(towards)
    turn = aberration_turn(towards, earth_velocity(time_utc))
    matrix = Rotation.from_rotvec(turn).as_matrix() @ camera.matrix
    count = max(len(solution), 3)
    # Across the boresight: a star's residual over the square root of their number. About the
    # boresight: larger by the ratio of focal length and spread of the stars; the spread is at least
    # a third of the focal length for lenses that see a limb
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
    """The camera of the stored image at a position (ECEF, metres) and time.

    `rotation`, shape (3, 3), turns ICRS axes to Earth-fixed axes at that time.
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
