"""Towns of lamps, maps of them and pictures of them, made without the geometry of `matchers`.

Positions on the Earth come from PROJ, the camera's projection from OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike
from pyproj import Transformer
from scipy.spatial.transform import Rotation

from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.map_grid import MapGrid
from matchers.geometry.pose import PosePrior
from matchers.lights.patches import PatchMatches

Levels = tuple[MapGrid, ...]  # a map, each level half as fine as the one before
VELOCITY = (-3000.0, 4000.0, 5000.0)  # of a camera, in beliefs about it
TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


def ecef(lon: ArrayLike, lat: ArrayLike, height_m: ArrayLike = 0.0) -> FloatArray:
    """ECEF metres of geodetic degrees and metres, by PROJ; shape (..., 3)."""
    return np.stack(TO_ECEF.transform(*np.broadcast_arrays(lon, lat, height_m)), axis=-1)


def geodetic(position: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Longitude, latitude, height of ECEF metres, by PROJ."""
    x, y, z = np.moveaxis(np.asarray(position, float), -1, 0)
    lon, lat, height = TO_ECEF.transform(x, y, z, direction="INVERSE")
    return np.asarray(lon), np.asarray(lat), np.asarray(height)


def east_north_up(lon: float, lat: float) -> FloatArray:
    """Unit vectors east, north and up (rows) by PROJ's topocentric conversion."""
    pipeline = f"+proj=topocentric +ellps=WGS84 +lon_0={lon!r} +lat_0={lat!r} +h_0=0"
    here = ecef(lon, lat)
    turn = Transformer.from_pipeline(pipeline)
    far = here + 1e6 * np.eye(3)
    columns = np.stack(turn.transform(*far.T), axis=-1) / 1e6
    return columns.T


def look_matrix(
    lon: float, lat: float, off_nadir_deg: float, azimuth_deg: float, roll_deg: float
) -> FloatArray:
    """Camera axes right, down, forward (columns, ECEF) of a camera above a place."""
    east, north, up = east_north_up(lon, lat)
    lean, azimuth, roll = np.radians([off_nadir_deg, azimuth_deg, roll_deg])
    level = np.sin(azimuth) * east + np.cos(azimuth) * north
    forward = np.sin(lean) * level - np.cos(lean) * up
    top = np.cos(lean) * level + np.sin(lean) * up
    side = np.cross(forward, top)
    right = np.cos(roll) * side - np.sin(roll) * top
    return np.stack([right, np.cross(forward, right), forward], axis=-1)


def camera_over(
    lon: float,
    lat: float,
    height_m: float = 410e3,
    *,
    off_nadir: float = 0.0,
    azimuth: float = 0.0,
    roll: float = 0.0,
    width: int = 300,
    height: int = 200,
    focal_px: float = 400.0,
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0),
    mirrored: bool = False,
) -> Camera:
    """A camera above a place that looks by the given angles."""
    matrix = look_matrix(lon, lat, off_nadir, azimuth, roll)
    qx, qy, qz, qw = Rotation.from_matrix(matrix).as_quat().tolist()
    x, y, z = ecef(lon, lat, height_m).tolist()
    return Camera(
        width_px=width,
        height_px=height,
        focal_px=focal_px,
        principal_point=((width - 1) / 2.0, (height - 1) / 2.0),
        quaternion=(qx, qy, qz, qw),
        position_ecef_m=(x, y, z),
        distortion=distortion,
        mirrored=mirrored,
    )


def prior_of(camera: Camera, **given: float) -> PosePrior:
    """A belief about a camera that is right but for sigmas."""
    sigmas = {
        "sigma_along_m": 50e3,
        "sigma_across_m": 1e3,
        "sigma_up_m": 500.0,
        "sigma_log_focal": 0.03,
        "sigma_k1": 0.05,
    }
    where = {"position_ecef_m": camera.position_ecef_m, "velocity_ecef": VELOCITY}
    return PosePrior(**{**where, "focal_px": camera.focal_px, **sigmas, **given})  # type: ignore[arg-type]


def project(camera: Camera, points: FloatArray) -> FloatArray:
    """Pixels (n, 2) of ECEF points (n, 3) in front of a camera, by cv2.projectPoints."""
    to_camera = Rotation.from_quat(camera.quaternion).inv()
    at = np.asarray(camera.position_ecef_m)
    cx, cy = camera.principal_point
    lens = np.array([[camera.focal_px, 0, cx], [0, camera.focal_px, cy], [0, 0, 1.0]])
    found, _ = cv2.projectPoints(
        (np.asarray(points, float) - at).reshape(-1, 1, 3),
        to_camera.as_rotvec(),
        np.zeros(3),
        lens,
        np.array(camera.distortion),
    )
    pixels = np.asarray(found, float).reshape(-1, 2)
    if camera.mirrored:
        pixels[:, 0] = camera.width_px - 1 - pixels[:, 0]
    return pixels


@dataclass(frozen=True, kw_only=True)
class LampWorld:
    """Lamps: positions in degrees, and how much each adds to radiance times area (km^2)."""

    lon: FloatArray
    lat: FloatArray
    power: FloatArray


def town_lamps(
    seed: int,
    west: float,
    south: float,
    east: float,
    north: float,
    *,
    towns: int = 300,
    lamps_per_town: int = 40,
    radius_km: float = 4.0,
) -> LampWorld:
    """Towns scattered at random, few of them large; lamps scattered in each."""
    rng = np.random.default_rng(seed)
    lon, lat = rng.uniform(west, east, towns), rng.uniform(south, north, towns)
    size = rng.pareto(1.5, towns) + 0.3
    which = np.repeat(np.arange(towns), lamps_per_town)
    spread = radius_km * np.minimum(np.sqrt(size[which]), 4.0) / 111.2
    dx, dy = rng.normal(size=(2, len(which))) * spread
    power = 1200.0 * np.minimum(size[which], 20.0) / lamps_per_town
    return LampWorld(
        lon=lon[which] + dx / np.cos(np.radians(lat[which])),
        lat=lat[which] + dy,
        power=power * rng.uniform(0.5, 1.5, len(which)),
    )


def radiance_grid(
    lamps: LampWorld, west: float, south: float, east: float, north: float, step: float
) -> FloatArray:
    """Radiance of lamps summed in the cells of a north-up grid, blurred a little."""
    cols, rows = round((east - west) / step), round((north - south) / step)
    total, _, _ = np.histogram2d(
        -lamps.lat,
        lamps.lon,
        bins=(rows, cols),
        range=((-north, -south), (west, east)),
        weights=lamps.power,
    )
    middle = north - (np.arange(rows) + 0.5) * step
    area_km2 = (step * 111.2) ** 2 * np.cos(np.radians(middle))
    return cv2.GaussianBlur(total / area_km2[:, None], (0, 0), 0.7)


def light_grid(
    lamps: LampWorld, west: float, south: float, east: float, north: float, step: float
) -> MapGrid:
    """The map of lamps as the engine gets it."""
    radiance = radiance_grid(lamps, west, south, east, north, step)
    return MapGrid(
        values=np.log10(1.0 + radiance).astype(np.float32),
        lon0_deg=west + 0.5 * step,
        lat0_deg=north - 0.5 * step,
        step_deg=step,
    )


def splat(camera: Camera, lamps: LampWorld) -> FloatArray:
    """Radiance that a camera sees of lamps, each shared among its four nearest pixels."""
    points = ecef(lamps.lon, lamps.lat)
    sight = points - np.asarray(camera.position_ecef_m)
    lon, lat = np.radians(lamps.lon), np.radians(lamps.lat)
    up = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    forward = Rotation.from_quat(camera.quaternion).as_matrix()[:, 2]
    seen = (np.sum(up * sight, axis=1) < 0.0) & (sight @ forward > 0.0)
    x, y = project(camera, points[seen]).T
    distance_km = np.linalg.norm(sight[seen], axis=1) / 1e3
    light = lamps.power[seen] * (camera.focal_px / distance_km) ** 2
    image = np.zeros((camera.height_px + 2, camera.width_px + 2))
    inside = (x > -1.0) & (x < camera.width_px) & (y > -1.0) & (y < camera.height_px)
    x, y, light = x[inside], y[inside], light[inside]
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for i in (0, 1):
        for j in (0, 1):
            share = np.abs(1 - j - (x - left)) * np.abs(1 - i - (y - top))
            np.add.at(image, (top + 1 + i, left + 1 + j), light * share)
    return image[1:-1, 1:-1]


def log_picture(camera: Camera, lamps: LampWorld, blur_px: float = 0.8) -> FloatImage:
    """A noiseless light image of lamps: blurred radiance, log-compressed like a map."""
    blurred = cv2.GaussianBlur(splat(camera, lamps), (0, 0), blur_px)
    return np.log10(1.0 + blurred).astype(np.float32)


def matched(
    x: FloatArray, y: FloatArray, off: FloatArray, variance: float, *, size_px: int = 1
) -> PatchMatches:
    """Patches found beside their places (n,) by pixels (n, 2), equally sure in all directions."""
    return PatchMatches(
        x=x,
        y=y,
        dx=off[:, 0],
        dy=off[:, 1],
        covariance=np.tile(variance * np.eye(2), (len(x), 1, 1)),
        ncc=np.full(len(x), 0.8),
        size_px=size_px,
    )


def miss_px(found: Camera, truth: Camera, x: FloatArray, y: FloatArray) -> FloatArray:
    """How far the ground at some of the true camera's pixels moves in the found one's picture."""
    at_x, at_y = found.ecef_to_pixel(truth.pixel_to_ecef(x, y))
    moved = np.hypot(at_x - x, at_y - y)
    return np.where(np.isfinite(moved), moved, 1e3)


def angle_between_deg(a: Camera, b: Camera) -> float:
    """Angle of the rotation that carries one camera's attitude into the other's."""
    turn = Rotation.from_quat(a.quaternion).inv() * Rotation.from_quat(b.quaternion)
    return float(np.degrees(turn.magnitude()))
