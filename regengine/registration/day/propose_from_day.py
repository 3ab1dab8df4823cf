"""Propose cameras by dense correlation of a near-nadir frame with a day map, in all rotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import fft
from scipy.spatial.transform import Rotation

from detectors.constants import EARTH_RADIUS_KM
from detectors.types import FloatArray, FloatImage
from matchers.geometry.camera import Camera
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, local_axes
from matchers.geometry.light_grid import LightGrid
from matchers.geometry.pose import with_attitude
from matchers.geometry.view import LATTICE_PX, draw, lattice
from regengine.registration.day.parameters import DayParams
from regengine.registration.refine_on_map import MapPicture, even_picture


@dataclass(frozen=True, kw_only=True, eq=False)
class NadirMap:
    """A map in azimuthal equidistant projection around a nadir (Snyder 1987, p. 191).

    Attributes
    ----------
    evened : ndarray of float32, shape (n, n)
        Its normalized structure; the nadir is at the middle pixel.
    sample_km : float
        Side of a pixel in kilometres.
    axes : ndarray, shape (3, 3)
        Unit vectors to the right, down and to the zenith of the nadir (ECEF), as rows.
    position_ecef_m : ndarray, shape (3,)
        Position of the camera above the nadir.
    """

    evened: FloatImage
    sample_km: float
    axes: FloatArray
    position_ecef_m: FloatArray

    def ground(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """Convert pixels to ground points (ECEF, metres), shape (..., 3)."""
        return geodetic_to_ecef(*_ground_around(self.axes, self.sample_km, len(self.evened), x, y))


def _ground_around(
    axes: FloatArray, sample_km: float, side_px: int, x: FloatArray, y: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Convert pixels of a map around a nadir to longitudes and latitudes."""
    half = side_px // 2
    right, down = (np.asarray(each, float) - half for each in (x, y))
    away = np.hypot(right, down) * sample_km / EARTH_RADIUS_KM
    share = np.sinc(away / np.pi) * sample_km / EARTH_RADIUS_KM
    # Normal of the ellipsoid, whose direction is given by geodetic longitude and latitude
    normal = np.stack([share * right, share * down, np.cos(away)], axis=-1) @ axes
    lon = np.degrees(np.arctan2(normal[..., 1], normal[..., 0]))
    return lon, np.degrees(np.arcsin(np.clip(normal[..., 2], -1.0, 1.0)))


def orient_nadir(position_ecef_m: FloatArray, ahead_ecef: FloatArray) -> FloatArray:
    """Compute unit vectors to the right, backwards and to the zenith at a nadir, shape (3, 3)."""
    lon, lat, _ = ecef_to_geodetic(position_ecef_m)
    up = local_axes(float(lon), float(lat))[2]
    ahead = ahead_ecef - (ahead_ecef @ up) * up
    ahead = ahead / np.linalg.norm(ahead)
    return np.stack([np.cross(ahead, up), -ahead, up])


def draw_nadir_map(
    levels: Sequence[LightGrid],
    position_ecef_m: FloatArray,
    axes: FloatArray,
    sample_km: float,
    half_width_km: float,
    params: DayParams,
) -> NadirMap:
    """Draw a map around the nadir of a position, and normalize its contrast."""
    side = 2 * round(half_width_km / sample_km)
    step = 2 * LATTICE_PX
    around = _ground_around(axes, sample_km, side, *np.meshgrid(*2 * (lattice(side, step),)))
    values, known = draw(levels, geodetic_to_ecef(*around), (side, side), step, mean_side=True)
    weight = np.asarray(known > 0.99, np.float32)
    return NadirMap(
        evened=even_picture(values, weight, params),
        sample_km=sample_km,
        axes=axes,
        position_ecef_m=position_ecef_m,
    )


def propose_dense_on_day(
    picture: MapPicture,
    nominal: Camera,
    drawn: NadirMap,
    params: DayParams,
) -> list[Camera]:
    """Propose cameras for which the rectified photo correlates with the map, likeliest first.

    The method is masked correlation by Fourier transforms (Padfield 2012) of images of zero mean.
    """
    camera, weight, evened = picture.image.camera(nominal), picture.image.weight, picture.evened
    altitude_km = float(ecef_to_geodetic(drawn.position_ecef_m)[2]) / 1e3
    half = int(np.hypot(*evened.shape) / 2.0)
    side = 2 * half + 1
    grid = (np.arange(side) - half) * drawn.sample_km
    right, down = np.meshgrid(grid, grid)
    away = np.hypot(right, down) / EARTH_RADIUS_KM
    sink = EARTH_RADIUS_KM * (1.0 - np.cos(away)) + altitude_km
    share = np.sinc(away / np.pi)
    shape = tuple(fft.next_fast_len(extent + side, real=True) for extent in drawn.evened.shape)
    spectrum = fft.rfft2(drawn.evened, shape)
    square = fft.rfft2(drawn.evened**2, shape)
    rim = drawn.evened.shape[0] - side + 1
    if rim < 3:
        return []
    peaks: list[tuple[float, float, int, int]] = []
    yaws = np.arange(params.dense_yaws) * 2.0 * np.pi / params.dense_yaws
    energy = np.ones((rim, rim))
    for k, yaw in enumerate(yaws):
        # The ground to the right and down of the view, in the camera's frame
        x = share * (np.cos(yaw) * right + np.sin(yaw) * down)
        y = share * (-np.sin(yaw) * right + np.cos(yaw) * down)
        at_x, at_y = (
            np.asarray(each, np.float32)
            for each in camera.image_of(np.stack([x, y, sink], axis=-1))
        )
        laid, counted = (
            np.asarray(cv2.remap(each, at_x, at_y, cv2.INTER_LINEAR), np.float32)
            for each in (evened, weight)
        )
        counted = np.asarray(counted > 0.5, np.float32)
        laid = laid * counted
        laid -= counted * (laid.sum() / max(float(counted.sum()), 1.0))
        if k % 4 == 0:
            around = fft.irfft2(square * np.conj(fft.rfft2(counted, shape)), shape)[:rim, :rim]
            floor = params.energy_floor * max(float(np.median(around)), 0.0) + 1e-6
            energy = np.sqrt(np.maximum(around, floor))
        score = fft.irfft2(spectrum * np.conj(fft.rfft2(laid, shape)), shape)[:rim, :rim]
        score /= energy * max(float(np.linalg.norm(laid)), 1e-6)
        i, j = divmod(int(np.argmax(score)), rim)
        peaks.append((float(score[i, j]), float(yaw), i, j))
    peaks.sort(reverse=True)
    found: list[Camera] = []
    met: list[tuple[float, int, int]] = []
    for _, yaw, i, j in peaks:
        if len(found) == params.n_candidates:
            break
        if any(
            abs(np.angle(np.exp(1j * (yaw - other)))) < 3.0 * yaws[1]
            and abs(i - row) + abs(j - col) < params.same_place_px
            for other, row, col in met
        ):
            continue
        met.append((yaw, i, j))
        found.append(aim(nominal, drawn, float(j + half), float(i + half), yaw))
    return found


def aim(nominal: Camera, drawn: NadirMap, x: float, y: float, yaw_rad: float) -> Camera:
    """Point the camera above a map at one of its pixels, rotated clockwise from the map's top."""
    right, back, up = drawn.axes
    cosine, sine = np.cos(yaw_rad), np.sin(yaw_rad)
    level = np.stack([cosine * right + sine * back, cosine * back - sine * right, -up], axis=-1)
    ahead = drawn.ground(np.array(x), np.array(y)) - drawn.position_ecef_m
    ahead /= np.linalg.norm(ahead)
    turn, _ = Rotation.align_vectors(ahead, -up)  # the smallest rotation
    x_m, y_m, z_m = drawn.position_ecef_m.tolist()
    there = replace(nominal, position_ecef_m=(x_m, y_m, z_m))
    return with_attitude(there, turn.as_matrix() @ level)
