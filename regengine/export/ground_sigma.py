"""How well the ground under each pixel is known: what control points tell of the camera.

The camera may be turned about its three axes and its focal length changed. What its control points
leave open of that, weighed by their covariances, is carried to every place. Control points come
from one fit, so they do not average each other out: the result is scaled so that, over them, it
says on average what they say themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef
from regengine.control_points import MAP_SIGMA_M
from regengine.export.frame import ExportPoint

FloatArray = NDArray[np.float64]

TURN_RAD = 1e-5  # steps of the numerical derivatives
STRETCH = 1e-5
# A lens is known to some per cent, and how it was held to some tenths of a radian, without points
PRIOR_SIGMA = np.array([0.3, 0.3, 0.3, 0.05])
UNKNOWN_SIGMA_PX = 1.0  # at least, of points of which nobody says
STEP_M = 100.0


@dataclass(frozen=True, kw_only=True)
class GroundSigma:
    """A camera with what is open of it.

    Attributes
    ----------
    camera : Camera
        The solved camera.
    covariance : ndarray, shape (4, 4)
        Of three turns (radians, about the camera's axes) and the logarithm of the focal length.
    """

    camera: Camera
    covariance: FloatArray

    def at(self, lon: FloatArray, lat: FloatArray) -> FloatArray:
        """One sigma per axis on the ground, metres.

        Parameters
        ----------
        lon, lat : ndarray, shape (n,)
            Places, degrees.

        Returns
        -------
        ndarray, shape (n,)
            NaN where the camera does not see; terrain is left out: ground that lies h above the
            ellipsoid is seen h times the tangent of the incidence beside its place.
        """
        ground = geodetic_to_ecef(lon, lat)
        flow = pixel_flow(self.camera, ground)
        in_image = np.einsum("nip,pq,njq->nij", flow, self.covariance, flow)
        metres = _metres_per_pixel(self.camera, lon, lat)
        on_ground = np.einsum("nij,njk,nlk->nil", metres, in_image, metres)
        variance = np.trace(on_ground, axis1=1, axis2=2) / 2.0
        return np.asarray(np.sqrt(variance + MAP_SIGMA_M**2))


def ground_sigma(camera: Camera, points: tuple[ExportPoint, ...]) -> GroundSigma:
    """What control points leave open of a camera.

    Parameters
    ----------
    camera : Camera
        The solved camera.
    points : tuple of ExportPoint
        At least one.

    Returns
    -------
    GroundSigma
    """
    lon, lat = np.array([p.lon for p in points]), np.array([p.lat for p in points])
    flow = pixel_flow(camera, geodetic_to_ecef(lon, lat))
    known = point_covariances(camera, points)
    seen = np.isfinite(flow).all(axis=(1, 2))
    flow, known = flow[seen], known[seen]
    normal = np.diag(PRIOR_SIGMA**-2.0)
    for rows, covariance in zip(flow, known, strict=True):
        normal = normal + rows.T @ np.linalg.solve(covariance, rows)
    left_open: FloatArray = np.asarray(np.linalg.inv(normal), np.float64)
    told = [np.trace(rows @ left_open @ rows.T) for rows in flow]
    scale = np.mean([np.trace(c) for c in known]) / np.mean(told) if told else 1.0
    return GroundSigma(camera=camera, covariance=left_open * max(float(scale), 1.0))


def point_covariances(camera: Camera, points: tuple[ExportPoint, ...]) -> FloatArray:
    """Covariances of points in the image, shape (n, 2, 2); where nobody knows, from residuals."""
    x, y = camera.lonlat_to_pixel([p.lon for p in points], [p.lat for p in points])
    miss = np.hypot(x - [p.x for p in points], y - [p.y for p in points])
    spread = float(np.sqrt(np.nanmean(miss**2) / 2.0)) if np.isfinite(miss).any() else 0.0
    found = []
    for point in points:
        if point.covariance_px is not None:
            xx, xy, yy = point.covariance_px
            found.append([[xx, xy], [xy, yy]])
        else:
            sigma = point.sigma_px or max(UNKNOWN_SIGMA_PX, spread)
            found.append([[sigma**2, 0.0], [0.0, sigma**2]])
    # Nothing is known better than to a hundredth of a pixel
    return np.array(found) + 1e-4 * np.eye(2)


def pixel_flow(camera: Camera, ground_ecef_m: FloatArray) -> FloatArray:
    """How pixels of ground points move with three turns and the logarithm of the focal length.

    Returns
    -------
    ndarray, shape (n, 2, 4)
    """
    columns = []
    turned = Rotation.from_quat(camera.quaternion)
    for axis in np.eye(3):
        ends = []
        for sign in (1.0, -1.0):
            step = turned * Rotation.from_rotvec(sign * TURN_RAD * axis)
            qx, qy, qz, qw = step.as_quat().tolist()
            moved = replace(camera, quaternion=(qx, qy, qz, qw))
            ends.append(moved.ecef_to_pixel(ground_ecef_m))
        columns.append([(ends[0][k] - ends[1][k]) / (2.0 * TURN_RAD) for k in (0, 1)])
    longer, shorter = (
        replace(camera, focal_px=camera.focal_px * (1.0 + sign * STRETCH)).ecef_to_pixel(
            ground_ecef_m
        )
        for sign in (1.0, -1.0)
    )
    columns.append([(longer[k] - shorter[k]) / (2.0 * STRETCH) for k in (0, 1)])
    return np.moveaxis(np.array(columns), -1, 0).swapaxes(1, 2)


def _metres_per_pixel(camera: Camera, lon: FloatArray, lat: FloatArray) -> FloatArray:
    """Metres to the east and north for each pixel of x and y, shape (n, 2, 2)."""
    here = geodetic_to_ecef(lon, lat)
    lam, phi = np.radians(lon), np.radians(lat)
    east = np.stack([-np.sin(lam), np.cos(lam), np.zeros_like(lam)], axis=-1)
    north = np.stack([-np.sin(phi) * np.cos(lam), -np.sin(phi) * np.sin(lam), np.cos(phi)], axis=-1)
    columns = []
    for axis in (east, north):
        plus, minus = (camera.ecef_to_pixel(here + sign * STEP_M * axis) for sign in (1.0, -1.0))
        columns.append([(plus[k] - minus[k]) / (2.0 * STEP_M) for k in (0, 1)])
    pixels = np.moveaxis(np.array(columns), -1, 0).swapaxes(1, 2)
    flat = ~(np.abs(np.linalg.det(pixels)) > 1e-15)
    pixels = np.where(flat[:, None, None], np.eye(2), pixels)
    return np.where(flat[:, None, None], np.nan, np.linalg.inv(pixels))
