"""The simulator's camera: a pinhole with one radial term, pointed by angles at the nadir."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from pyproj import Geod, Transformer
from scipy.spatial.transform import Rotation

from benchmarks.arrays import FloatArray


@lru_cache(maxsize=1)
def _to_ecef() -> Transformer:
    return Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


@lru_cache(maxsize=1)
def wgs84() -> Geod:
    return Geod(ellps="WGS84")


def ecef_of(lon_deg: ArrayLike, lat_deg: ArrayLike, height_m: ArrayLike = 0.0) -> FloatArray:
    """ECEF positions in metres, shape (..., 3), of WGS84 geodetic ones in degrees and metres."""
    lon, lat, height = np.broadcast_arrays(
        np.asarray(lon_deg, float), np.asarray(lat_deg, float), np.asarray(height_m, float)
    )
    return np.stack(_to_ecef().transform(lon, lat, height), axis=-1)


def geodetic_of(position_ecef_m: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Longitude, latitude (degrees) and height (metres) of ECEF positions, shape (..., 3)."""
    position = np.asarray(position_ecef_m, float)
    lon, lat, height = _to_ecef().transform(
        position[..., 0], position[..., 1], position[..., 2], direction="INVERSE"
    )
    return np.asarray(lon), np.asarray(lat), np.asarray(height)


def east_north_up(lon_deg: float, lat_deg: float) -> FloatArray:
    """Unit vectors east, north and up (rows) of a place, by differences of PROJ's positions."""
    step_deg = 1e-4
    east = ecef_of(lon_deg + step_deg, lat_deg) - ecef_of(lon_deg - step_deg, lat_deg)
    up = ecef_of(lon_deg, lat_deg, 1000.0) - ecef_of(lon_deg, lat_deg, 0.0)
    east, up = east / np.linalg.norm(east), up / np.linalg.norm(up)
    return np.stack([east, np.cross(up, east), up])


def _vertical(lon_deg: FloatArray, lat_deg: FloatArray) -> FloatArray:
    lon, lat = np.radians(lon_deg), np.radians(lat_deg)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)


def perigee_height_m(origin_ecef_m: FloatArray, rays: FloatArray) -> FloatArray:
    """Least height that rays reach, metres: negative where they hit the ground."""
    along = np.maximum(-(rays @ origin_ecef_m), 0.0)
    return geodetic_of(origin_ecef_m + along[..., None] * rays)[2]


def ground_of_rays(
    origin_ecef_m: FloatArray, rays: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Where rays first meet the ground, by Newton's method on PROJ's geodetic height.

    The height along a ray is convex, so steps from the near side never overshoot.
    """
    nearest = -(rays @ origin_ecef_m)
    radius_m = 6_378_140.0  # a sphere just around the whole ellipsoid
    reach_sq = radius_m**2 - (origin_ecef_m @ origin_ecef_m - nearest**2)
    distance = nearest - np.sqrt(np.maximum(reach_sq, 0.0))
    lon, lat, height = geodetic_of(origin_ecef_m + distance[..., None] * rays)
    for _ in range(12):
        slope = np.sum(_vertical(lon, lat) * rays, axis=-1)
        step = np.where(slope < -1e-6, -height / np.minimum(slope, -1e-6), 0.0)
        distance = np.minimum(distance + step, nearest)
        lon, lat, height = geodetic_of(origin_ecef_m + distance[..., None] * rays)
    seen = (nearest > 0.0) & (np.abs(height) < 1.0)
    return tuple(np.where(seen, value, np.nan) for value in (lon, lat, distance))  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Pointing:
    """Where the camera looks."""

    off_nadir_deg: float  # angle between the optical axis and the geodetic nadir
    # Direction in which the axis leans, from north by east. At roll 0 the picture's upper edge
    # points there.
    azimuth_deg: float
    # Turn of the camera about its axis, clockwise as seen from behind the camera: the picture's
    # content turns the other way
    roll_deg: float

    def axes_ecef(self, lon_deg: float, lat_deg: float) -> FloatArray:
        """Right, down and forward of the camera in ECEF, as the columns of a matrix (3, 3)."""
        east, north, up = east_north_up(lon_deg, lat_deg)
        lean, azimuth, roll = np.radians([self.off_nadir_deg, self.azimuth_deg, self.roll_deg])
        level = np.cos(azimuth) * north + np.sin(azimuth) * east
        forward = np.sin(lean) * level - np.cos(lean) * up
        top = np.cos(lean) * level + np.sin(lean) * up
        side = np.cross(forward, top)
        right = np.cos(roll) * side - np.sin(roll) * top
        return np.stack([right, np.cross(forward, right), forward], axis=-1)


@dataclass(frozen=True, kw_only=True)
class SimCamera:
    """A camera in orbit, as the simulator knows it."""

    width_px: int
    height_px: int
    focal_px: float
    # principal_x and principal_y: pixel that the optical axis meets (integers at pixel centres)
    principal_x: float
    principal_y: float
    k1: float  # radial distortion: ideal coordinates grow by ``1 + k1 r^2``
    # lon_deg, lat_deg and height_m: WGS84 geodetic position of the camera
    lon_deg: float
    lat_deg: float
    height_m: float
    axes: FloatArray  # shape (3, 3): Columns right, down, forward in ECEF
    mirrored: bool = False  # the stored picture is flipped left to right

    @classmethod
    def pointed(
        cls,
        *,
        position_ecef_m: ArrayLike,
        pointing: Pointing,
        width_px: int,
        height_px: int,
        focal_px: float,
        k1: float = 0.0,
        mirrored: bool = False,
    ) -> SimCamera:
        """A camera at an ECEF position (metres) that looks by the given angles."""
        lon, lat, height = (float(value) for value in geodetic_of(position_ecef_m))
        return cls(
            width_px=width_px,
            height_px=height_px,
            focal_px=focal_px,
            principal_x=(width_px - 1) / 2.0,
            principal_y=(height_px - 1) / 2.0,
            k1=k1,
            lon_deg=lon,
            lat_deg=lat,
            height_m=height,
            axes=pointing.axes_ecef(lon, lat),
            mirrored=mirrored,
        )

    @property
    def position_ecef_m(self) -> FloatArray:
        return ecef_of(self.lon_deg, self.lat_deg, self.height_m)

    def project(
        self, lon_deg: ArrayLike, lat_deg: ArrayLike, height_m: ArrayLike = 0.0
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Pixels of places on the ground."""
        ground = ecef_of(lon_deg, lat_deg, height_m)
        sight = ground - self.position_ecef_m
        distance = np.linalg.norm(sight, axis=-1)
        lon, lat = np.radians(np.asarray(lon_deg, float)), np.radians(np.asarray(lat_deg, float))
        east, north, polar = (sight[..., axis] for axis in range(3))
        level = east * np.cos(lat) * np.cos(lon) + north * np.cos(lat) * np.sin(lon)
        cosine = -(level + polar * np.sin(lat)) / distance
        local = sight @ self.axes
        depth = np.where((cosine > 0.0) & (local[..., 2] > 1.0), local[..., 2], np.nan)
        tangent_x, tangent_y = local[..., 0] / depth, local[..., 1] / depth
        stretch = self.focal_px * (1.0 + self.k1 * (tangent_x**2 + tangent_y**2))
        x = self.principal_x + stretch * tangent_x
        y = self.principal_y + stretch * tangent_y
        return (self.width_px - 1 - x if self.mirrored else x), y, distance, cosine

    def rays(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        """Unit vectors in ECEF, shape (..., 3), along which pixels look."""
        column, row = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        if self.mirrored:
            column = self.width_px - 1 - column
        u = (column - self.principal_x) / self.focal_px
        v = (row - self.principal_y) / self.focal_px
        shrink = np.ones_like(u)
        for _ in range(20):  # fixed point; lens terms are small (|k1| r^2 < 0.1)
            shrink = 1.0 / (1.0 + self.k1 * (u * u + v * v) * shrink * shrink)
        local = np.stack([u * shrink, v * shrink, np.ones_like(u)], axis=-1)
        local /= np.linalg.norm(local, axis=-1, keepdims=True)
        return local @ self.axes.T

    def ground(self, x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Longitude, latitude (degrees) and distance (metres) seen by pixels; NaN for the sky."""
        return ground_of_rays(self.position_ecef_m, self.rays(x, y))

    def perigee_m(self, x: ArrayLike, y: ArrayLike) -> FloatArray:
        return perigee_height_m(self.position_ecef_m, self.rays(x, y))

    def quaternion(self) -> tuple[float, float, float, float]:
        """[x, y, z, w] that rotates camera vectors (x right, y down, z forward) into ECEF."""
        x, y, z, w = Rotation.from_matrix(self.axes).as_quat(canonical=True).tolist()
        return x, y, z, w
