"""An auroral band: folded curtains between 100 and 300 km, seen along each pixel's sight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.geodesy import ecef_of, wgs84
from benchmarks.simulate.sim_camera import SimCamera

FloatArray = NDArray[np.float64]

EARTH_RADIUS_M = 6_371_000.0
OVAL_RADIUS_DEG = 24.0  # of the auroral oval about its pole
HEIGHTS_KM = np.concatenate([np.arange(90.0, 150.0, 3.0), np.arange(150.0, 320.0, 9.0)])
# Atomic oxygen: green (558 nm) peaks near 110 km, red (630 nm) above 200; nitrogen's violet edge.
SHEET_KM = 40.0  # so much of a curtain's height shines at full brightness
GREEN_KM, RED_KM = (108.0, 25.0), (230.0, 60.0)


@dataclass(frozen=True, kw_only=True)
class AuroraBand:
    """A part of the auroral oval ahead of the camera.

    Attributes
    ----------
    seed : int
        Of its folds and rays.
    azimuth_deg : float
        From the station to its nearest part.
    distance_deg : float
        From the nadir to its nearest part, along the ground.
    brightness_nw : float
        Of a curtain seen edge on, nW cm^-2 sr^-1.
    """

    seed: int
    azimuth_deg: float
    distance_deg: float
    brightness_nw: float


def aurora_light(
    camera: SimCamera, band: AuroraBand, x: FloatArray, y: FloatArray
) -> NDArray[np.float32]:
    """Light of a band at pixels.

    Parameters
    ----------
    camera : SimCamera
    band : AuroraBand
    x, y : ndarray, shape (rows, cols)
        Pixels.

    Returns
    -------
    ndarray of float32, shape (3, rows, cols)
        RGB, nW cm^-2 sr^-1.
    """
    rng = np.random.default_rng([band.seed, 6])
    waves = rng.uniform(0.0, 2.0 * np.pi, 12)
    pole_lon, pole_lat, _ = wgs84().fwd(
        camera.lon_deg,
        camera.lat_deg,
        band.azimuth_deg,
        (band.distance_deg + OVAL_RADIUS_DEG) * np.pi / 180.0 * EARTH_RADIUS_M,
    )
    pole = _unit(ecef_of(pole_lon, pole_lat))
    origin = camera.position_ecef_m
    side = _unit(np.cross(pole, origin))
    front = np.cross(side, pole)
    rays = camera.rays(x, y)
    light = np.zeros((3, *x.shape), np.float32)
    for height_km, thick_km in zip(HEIGHTS_KM, np.gradient(HEIGHTS_KM), strict=True):
        green = np.exp(-0.5 * ((height_km - GREEN_KM[0]) / GREEN_KM[1]) ** 2)
        red = 0.35 * np.exp(-0.5 * ((height_km - RED_KM[0]) / RED_KM[1]) ** 2)
        for point in _crossings(origin, rays, EARTH_RADIUS_M + 1000.0 * height_km):
            strength = (
                band.brightness_nw * thick_km / SHEET_KM * _curtain(point, pole, side, front, waves)
            )
            light[0] += (0.15 * green + red) * strength
            light[1] += (green + 0.1 * red) * strength
            light[2] += (0.35 * green + 0.25 * red) * strength
    return light


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector, axis=-1, keepdims=True))


def _crossings(
    origin_m: FloatArray, rays: FloatArray, radius_m: float
) -> tuple[FloatArray, FloatArray]:
    """Points where rays meet a sphere; NaN where they do not, or the Earth hides them."""
    nearest = -(rays @ origin_m)
    closest_sq = origin_m @ origin_m - nearest**2
    depth = np.sqrt(np.where(closest_sq < radius_m**2, radius_m**2 - closest_sq, np.nan))
    hits_ground = (closest_sq < EARTH_RADIUS_M**2) & (nearest > 0.0)
    near, far = nearest - depth, np.where(hits_ground, np.nan, nearest + depth)
    near, far = np.where(near > 0.0, near, np.nan), np.where(far > 0.0, far, np.nan)
    return (
        origin_m + near[..., None] * rays,
        origin_m + far[..., None] * rays,
    )


def _curtain(
    point: FloatArray, pole: FloatArray, side: FloatArray, front: FloatArray, waves: FloatArray
) -> FloatArray:
    """Brightness 0 to about 1 by the distance from the folded line of the oval."""
    unit = _unit(point)
    from_pole = np.degrees(np.arccos(np.clip(unit @ pole, -1.0, 1.0)))
    along = np.arctan2(unit @ side, unit @ front)
    line = OVAL_RADIUS_DEG + sum(
        size * np.sin(number * along + phase)
        for size, number, phase in zip(
            (1.0, 0.5, 0.25, 0.1), (5.0, 14.0, 37.0, 90.0), waves[:4], strict=True
        )
    )
    rays = 0.65 + 0.35 * np.sin(160.0 * along + 3.0 * np.sin(23.0 * along + waves[4]) + waves[5])
    gaps = np.clip(0.7 + 0.6 * np.sin(4.0 * along + waves[6]), 0.0, 1.0)
    away = from_pole - line
    # A sharp curtain, and a wide faint glow on its poleward side.
    shape = np.exp(-0.5 * (away / 0.22) ** 2) + 0.15 * np.exp(-0.5 * ((away + 1.5) / 1.5) ** 2)
    return np.nan_to_num(shape * rays * gaps)
