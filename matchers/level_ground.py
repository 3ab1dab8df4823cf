"""A photo's ground as seen from a height where nothing but the way down is known.

In the level frame the Earth is a sphere about the origin and the camera stands on the z axis. A
rotation that carries the photo's points from there onto the towns of the Earth places the camera:
the third axis points to its nadir, the turn about it is its azimuth.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray, FloatImage
from matchers import projection
from matchers.asterisms import lengths
from matchers.camera import Camera
from matchers.earth import geodetic_to_ecef, surface_to_lonlat
from matchers.photo_light import LightImage
from matchers.pose import with_attitude

FARTHEST_INCIDENCE_DEG = 80.0  # flatter ground is lost in haze, and too compressed to tell towns


@dataclass(frozen=True, kw_only=True)
class PlaneParameters:
    """How a photo is drawn on its ground."""

    max_half_px: int = 260
    outline_points: int = 17  # along each side, to find out how far the ground reaches
    min_points: int = 10  # of these, on ground
    min_cosine: float = 0.15  # of incidence: ground that is seen flatter is left out


USUAL = PlaneParameters()


def level_axes(nadir: ArrayLike) -> FloatArray:
    """Rotation (3, 3) from the camera's frame (x right, y down, z forward) to the level frame.

    Parameters
    ----------
    nadir : array_like, shape (3,)
        Direction towards the Earth's centre in the camera's frame, of any length.

    Returns
    -------
    ndarray of float64, shape (3, 3)
        Its z axis points up; its x axis lies along the picture's rows, or where these point down,
        along its columns.
    """
    down = np.asarray(nadir, float)
    down = down / np.linalg.norm(down)
    along = np.array([1.0, 0.0, 0.0]) if abs(down[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    east = along - (along @ down) * down
    east /= np.linalg.norm(east)
    return np.stack([east, np.cross(east, down), -down])


def ground_points(
    camera: Camera, axes: FloatArray, altitude_km: float, x: ArrayLike, y: ArrayLike
) -> FloatArray:
    """What pixels (n,) see, as unit vectors (n, 3) of the level frame; NaN for the sky.

    Of the camera only its lens is used; ``axes`` are those of `level_axes`.
    """
    return landing(camera.rays(x, y) @ axes.T, altitude_km)


def landing(sights: FloatArray, altitude_km: float) -> FloatArray:
    """Where sights (..., 3) from the camera meet the sphere, level frame; NaN for the sky."""
    rays = sights / np.linalg.norm(sights, axis=-1, keepdims=True)
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    ahead = -high * rays[..., 2]
    under = ahead**2 - (high**2 - 1.0)
    hit = (under >= 0.0) & (ahead > 0.0)
    reach = ahead - np.sqrt(np.where(hit, under, np.nan))
    return np.asarray(rays * reach[..., None] + [0.0, 0.0, high])


def leaning(about_x_rad: float, about_y_rad: float) -> FloatArray:
    """Rotation of the level frame by which the camera leans otherwise than was assumed."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec([about_x_rad, about_y_rad, 0.0]).as_matrix())


def leant_points(points: FloatArray, altitude_km: float, lean: FloatArray) -> FloatArray:
    """Points of the level frame as they would be, had the camera leant otherwise; NaN for sky.

    Parameters
    ----------
    points : ndarray of float64, shape (n, 3)
        Of `ground_points` or `level_points`.
    lean : ndarray of float64, shape (3, 3)
        Of `leaning`; the axes would be ``lean @ axes``.
    """
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    return landing((points - [0.0, 0.0, high]) @ lean.T, altitude_km)


def placed_camera(
    camera: Camera, axes: FloatArray, altitude_km: float, rotation: FloatArray
) -> Camera:
    """The camera where a rotation (3, 3) of the level frame into ECEF puts it.

    Of the camera its lens and size count; ``axes`` are those of `level_axes`, the altitude is above
    the ellipsoid.
    """
    lon, lat = surface_to_lonlat(rotation[:, 2])
    x, y, z = geodetic_to_ecef(lon, lat, 1e3 * altitude_km).tolist()
    return with_attitude(replace(camera, position_ecef_m=(x, y, z)), rotation @ axes)


@dataclass(frozen=True, kw_only=True)
class Box:
    """Part of a map around the nadir: pixels to the right of it and up, both ends included."""

    left: int
    right: int
    bottom: int
    top: int


def seen_box(
    camera: Camera, axes: FloatArray, altitude_km: float, pixel_km: float, reach_km: float
) -> Box | None:
    """What a picture shows of the map around its nadir, as far as a distance; None for the sky.

    The map's pixels are ``pixel_km`` large, the distance goes to all sides; else as in
    `ground_points`.
    """
    x, y = np.meshgrid(
        np.linspace(0.0, camera.width_px - 1.0, 33), np.linspace(0.0, camera.height_px - 1.0, 33)
    )
    sights = camera.rays(x.ravel(), y.ravel()) @ axes.T
    points = landing(sights, altitude_km)
    sky = ~np.isfinite(points[:, 0])
    if sky.all():
        return None
    # Between a sight of the sky and the next of the ground lies the ground that is seen flattest
    flat = farthest_rad(altitude_km)
    along = np.where(sky[:, None], sights, points)[:, :2]
    away = np.hypot(along[:, 0], along[:, 1])
    angle = np.where(sky, flat, np.arctan2(away, points[:, 2]))
    half = reach_km / pixel_km
    at = along * (np.minimum(angle, flat) / np.maximum(away, 1e-12))[:, None]
    at *= EARTH_RADIUS_KM / pixel_km
    low, high = np.floor(at.min(axis=0)), np.ceil(at.max(axis=0))
    left, bottom = (int(side) for side in np.clip(low, -half, half))
    right, top = (int(side) for side in np.clip(high, -half, half))
    return Box(left=left, right=right, bottom=bottom, top=top)


def farthest_rad(altitude_km: float) -> float:
    """Distance from the nadir, as seen from the Earth's centre, to the flattest ground drawn."""
    incidence = np.radians(FARTHEST_INCIDENCE_DEG)
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    return float(incidence - np.arcsin(np.sin(incidence) / high))


def levelled(
    image: LightImage,
    camera: Camera,
    axes: FloatArray,
    altitude_km: float,
    pixel_km: float,
    box: Box,
) -> tuple[FloatImage, FloatImage]:
    """A photo drawn as a map in which directions and distances from its nadir are true.

    Parameters
    ----------
    box : Box
        What is drawn, see `seen_box`.

    Returns
    -------
    values, weight : ndarray of float32, shape (top - bottom + 1, right - left + 1)
        Weight is 0 where the photo shows nothing, or ground flatter than
        `FARTHEST_INCIDENCE_DEG`.
    """
    right, up = np.meshgrid(
        np.arange(box.left, box.right + 1, dtype=float),
        np.arange(box.top, box.bottom - 1, -1, dtype=float),
    )
    there = level_points(right, up, pixel_km)
    least_cosine = float(np.cos(np.radians(FARTHEST_INCIDENCE_DEG)))
    columns, rows = _pixels_of(camera, axes, altitude_km, there, least_cosine)
    values = cv2.remap(image.values, columns, rows, cv2.INTER_LINEAR)
    weight = cv2.remap(image.weight, columns, rows, cv2.INTER_LINEAR)
    return np.asarray(values, np.float32), np.asarray(weight, np.float32)


def _pixels_of(
    camera: Camera, axes: FloatArray, altitude_km: float, there: FloatArray, least_cosine: float
) -> tuple[FloatImage, FloatImage]:
    """Which pixels see points of the level frame; far outside of the image for none."""
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    level = [*camera.numbers[: projection.LENS], 0.0, 0.0, high, *axes.ravel()]
    x, y = projection.to_pixel(level, there[..., 0], there[..., 1], there[..., 2])
    seen = incidence_cosine(there, altitude_km) > least_cosine
    seen &= (x > 1.0) & (x < camera.width_px - 2.0) & (y > 1.0) & (y < camera.height_px - 2.0)
    columns, rows = (np.where(seen, side, -9.0).astype(np.float32) for side in (x, y))
    return columns, rows


def level_points(right: ArrayLike, up: ArrayLike, pixel_km: float) -> FloatArray:
    """Unit vectors (..., 3) of the level frame at pixels of a map of `levelled`.

    Pixels count from the nadir, right along x and up along y of the level frame.
    """
    east, north = np.asarray(right, float), np.asarray(up, float)
    away = np.hypot(east, north)
    angle = away * pixel_km / EARTH_RADIUS_KM
    share = np.sin(angle) / np.maximum(away, 1e-9)
    return np.stack([east * share, north * share, np.cos(angle)], axis=-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class GroundPlane:
    """A photo as a map of its ground.

    Attributes
    ----------
    values, weight : ndarray of float32, shape (h, w)
        Light and what counts of it.
    axes : ndarray of float64, shape (3, 3)
        Rows: the plane's right, its up, and the point where it touches, in the level frame.
    pixel_km : float
        Size of its pixels.
    """

    values: FloatImage
    weight: FloatImage
    axes: FloatArray
    pixel_km: float

    def points(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors of the level frame at pixels, shape (n, 3)."""
        height, width = self.values.shape
        step = self.pixel_km / EARTH_RADIUS_KM
        right = (np.asarray(x, float) - (width - 1) / 2.0) * step
        up = ((height - 1) / 2.0 - np.asarray(y, float)) * step
        there = np.stack([right, up, np.ones_like(right)], axis=-1)
        there = there / lengths(there)[..., None]
        return np.asarray(there @ self.axes)


def ground_plane(
    image: LightImage,
    camera: Camera,
    axes: FloatArray,
    altitude_km: float,
    pixel_km: float,
    parameters: PlaneParameters = USUAL,
) -> GroundPlane | None:
    """Draw a photo on its ground; None where it shows hardly any, or all of it too flat.

    Of the camera only its lens is used; ``axes`` are those of `level_axes`.
    """
    height, width = image.values.shape
    count = parameters.outline_points
    x, y = np.meshgrid(np.linspace(0, width - 1, count), np.linspace(0, height - 1, count))
    outline = ground_points(camera, axes, altitude_km, x.ravel(), y.ravel())
    shown = outline[incidence_cosine(outline, altitude_km) > parameters.min_cosine]
    if len(shown) < parameters.min_points:
        return None
    middle = shown.mean(axis=0)
    middle /= np.linalg.norm(middle)
    right = np.cross([0.0, 1.0, 0.0], middle)
    right /= np.linalg.norm(right)
    plane = np.stack([right, np.cross(middle, right), middle])
    seen = shown @ plane.T
    reach = np.abs(seen[:, :2] / np.maximum(seen[:, 2:], 0.1)).max(axis=0)
    half = np.ceil(reach * EARTH_RADIUS_KM / pixel_km) + 2
    half_x, half_y = np.minimum(half, parameters.max_half_px).astype(int)
    empty = np.zeros((2 * half_y + 1, 2 * half_x + 1), np.float32)
    drawn = GroundPlane(values=empty, weight=empty, axes=plane, pixel_km=pixel_km)
    there = drawn.points(*np.meshgrid(np.arange(2 * half_x + 1), np.arange(2 * half_y + 1)))
    at = _pixels_of(camera, axes, altitude_km, there, parameters.min_cosine)
    values = cv2.remap(image.values * image.weight, *at, cv2.INTER_LINEAR)
    weight = cv2.remap(image.weight, *at, cv2.INTER_LINEAR)
    return replace(
        drawn, values=np.asarray(values, np.float32), weight=np.asarray(weight, np.float32)
    )


def incidence_cosine(points: FloatArray, altitude_km: float) -> FloatArray:
    """Cosines of the angles at which a camera sees points (..., 3) of its level frame."""
    high = 1.0 + altitude_km / EARTH_RADIUS_KM
    up = points[..., 2]
    return np.asarray((high * up - 1.0) / np.sqrt(high * high - 2.0 * high * up + 1.0))
