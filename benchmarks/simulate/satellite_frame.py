"""Frames of the night sky with the streaks that simulated satellites draw.

Places come from SGP4, astropy (TEME, ITRS, GCRS; the Earth's velocity) and a camera written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sgp4.api import SatrecArray

from benchmarks.simulate.satellite_catalogue import SimulatedSky
from detectors.types import FloatArray

LIGHT_KM_S, EARTH_KM = 299792.458, 6378.137
JD_UNIX, STEPS = 2440587.5, 41
SHORTEST_PX = 15.0
ATTACHED_KM = 20.0  # the camera's own satellite


@dataclass(frozen=True, kw_only=True, eq=False)
class SkyFrame:
    """A simulated exposure."""

    start_utc: datetime  # when it truly began
    exposure_s: float
    site: tuple[float, float, float] | None  # none: aboard the satellite `station`
    station: int | None  # row of the satellite that carries the camera
    # Shape (3, 3): Camera (x right, y down, z forward) to ICRS, as stars without aberration have it
    matrix: FloatArray
    # width_px, height_px, focal_px and k1: the lens
    width_px: int
    height_px: int
    focal_px: float
    k1: float
    limit_mag: float  # faintest satellite that draws a streak


@dataclass(frozen=True, kw_only=True)
class TrueStreak:
    """A streak and who drew it: a row of the sky, or None for something else."""

    ends: tuple[float, float, float, float]
    cut: tuple[bool, bool]
    row: int | None


def true_streaks(sky: SimulatedSky, frame: SkyFrame) -> list[TrueStreak]:
    """Streaks of all satellites that are bright enough, without noise."""
    middle = frame.start_utc + timedelta(seconds=0.5 * frame.exposure_s)
    rows = _near(sky, frame, middle)
    if not rows.size:
        return []
    seconds = np.linspace(0.0, frame.exposure_s, STEPS)
    few = np.linspace(0, STEPS - 1, 5).round().astype(int)
    times = [frame.start_utc + timedelta(seconds=float(seconds[k])) for k in few]
    seen = [_seen(sky, rows, frame, time) for time in times]
    direction = np.stack([one[0] for one in seen], axis=1)
    # Directions between the five moments: a parabola through three of them is good to 1e-7
    path = _between(direction, few, STEPS)
    x, y = project(frame, path)
    lit = sunlit(seen[2][2], middle)
    range_km = seen[2][1]
    magnitude = sky.magnitude[rows] + 5.0 * np.log10(range_km / 1000.0)
    bright = (magnitude < frame.limit_mag) & lit
    found = []
    for k in np.flatnonzero(bright):
        streak = _clipped(x[k], y[k], frame, int(rows[k]))
        if streak is not None:
            found.append(streak)
    return found


def project(frame: SkyFrame, vectors: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Pixels of ICRS directions; NaN behind the camera and far outside."""
    local = vectors @ frame.matrix
    with np.errstate(invalid="ignore", divide="ignore"):
        u, v = local[..., 0] / local[..., 2], local[..., 1] / local[..., 2]
        r2 = u * u + v * v
        good = (local[..., 2] > 0.0) & (r2 < 4.0)
    bend = 1.0 + frame.k1 * r2
    x = (frame.width_px - 1) / 2.0 + frame.focal_px * u * bend
    y = (frame.height_px - 1) / 2.0 + frame.focal_px * v * bend
    return np.where(good, x, np.nan), np.where(good, y, np.nan)


def observer_teme(sky: SimulatedSky, frame: SkyFrame, time: datetime) -> FloatArray:
    """Where the camera is along SGP4's axes, kilometres."""
    if frame.station is not None:
        return true_states(sky, np.array([frame.station]), time)[0][0]
    from astropy import units as u
    from astropy.coordinates import ITRS, TEME, EarthLocation

    assert frame.site is not None
    lat, lon, height = frame.site
    place = EarthLocation.from_geodetic(lon * u.deg, lat * u.deg, height * u.m)
    when = _astropy_time(time)
    fixed = ITRS(place.get_itrs(when).cartesian, obstime=when)
    return np.asarray(fixed.transform_to(TEME(obstime=when)).cartesian.xyz.to_value(u.km))


def teme_to_gcrs(time: datetime) -> FloatArray:
    """Rotation from SGP4's axes to those of the stars, by astropy, shape (3, 3)."""
    from astropy import units as u
    from astropy.coordinates import GCRS, ITRS, TEME, CartesianRepresentation

    when = _astropy_time(time)
    axes = TEME(CartesianRepresentation(np.eye(3) * 1e4 * u.km), obstime=when)
    there = axes.transform_to(ITRS(obstime=when)).transform_to(GCRS(obstime=when))
    return np.asarray(there.cartesian.xyz.to_value(u.km)) / 1e4


def _astropy_time(time: datetime) -> Any:
    from astropy.time import Time
    from astropy.utils import iers

    iers.conf.auto_download = False
    return Time(time.replace(tzinfo=None), scale="utc")


def true_states(
    sky: SimulatedSky, rows: NDArray[np.intp], time: datetime
) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities of satellites, SGP4's axes, kilometres, shape (n, 3) each."""
    days = time.timestamp() / 86400.0
    error, position, velocity = SatrecArray([sky.true[k] for k in rows]).sgp4(
        np.array([JD_UNIX + np.floor(days)]), np.array([days % 1.0])
    )
    position[error != 0] = np.nan
    return position[:, 0], velocity[:, 0]


def _near(sky: SimulatedSky, frame: SkyFrame, middle: datetime) -> NDArray[np.intp]:
    """Satellites that are in the picture or come into it within the exposure."""
    position, _ = true_states(sky, np.arange(len(sky.true)), middle)
    sight = position - observer_teme(sky, frame, middle)
    range_km = np.linalg.norm(sight, axis=1)
    axis = teme_to_gcrs(middle).T @ frame.matrix[:, 2]
    with np.errstate(invalid="ignore", divide="ignore"):
        angle = np.arccos(np.clip(sight @ axis / range_km, -1.0, 1.0))
        half = np.arctan(0.6 * np.hypot(frame.width_px, frame.height_px) / frame.focal_px)
        reach = np.arcsin(np.minimum(16.0 * (frame.exposure_s + 2.0) / range_km, 1.0))
        near = (range_km > ATTACHED_KM) & (angle < half + reach + 0.02)
    return np.flatnonzero(near)


def _seen(
    sky: SimulatedSky, rows: NDArray[np.intp], frame: SkyFrame, time: datetime
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Directions among the stars, ranges, and positions (TEME), at a moment."""
    from astropy.coordinates import get_body_barycentric_posvel

    observer = observer_teme(sky, frame, time)
    position, velocity = true_states(sky, rows, time)
    delay = np.linalg.norm(position - observer, axis=1) / LIGHT_KM_S
    sight = position - velocity * delay[:, None] - observer
    range_km = np.linalg.norm(sight, axis=1)
    earth = get_body_barycentric_posvel("earth", _astropy_time(time))[1].xyz
    seen = (sight / range_km[:, None]) @ teme_to_gcrs(time).T
    seen = seen - np.asarray(earth.to_value("km/s")) / LIGHT_KM_S
    hidden = _hidden(position, observer)
    seen = np.where(hidden[:, None], np.nan, seen)
    return seen / np.linalg.norm(seen, axis=1, keepdims=True), range_km, position


def _hidden(position: FloatArray, observer: FloatArray) -> NDArray[np.bool_]:
    step = position - observer
    height = float(np.linalg.norm(observer))
    if height < EARTH_KM + 10.0:
        return np.asarray(step @ observer < 0.0)
    along = np.clip(-(step @ observer) / np.sum(step**2, axis=1), 0.0, 1.0)
    nearest = np.linalg.norm(observer + along[:, None] * step, axis=1)
    return np.asarray((along > 0.0) & (nearest < EARTH_KM))


def sunlit(position: FloatArray, time: datetime) -> NDArray[np.bool_]:
    """Which positions (SGP4's axes) are outside the cylinder of the Earth's shadow."""
    from astropy.coordinates import TEME, get_sun

    sun = get_sun(_astropy_time(time)).transform_to(TEME(obstime=_astropy_time(time)))
    unit = np.asarray(sun.cartesian.xyz / sun.cartesian.norm(), float)
    ahead = position @ unit
    beside = np.linalg.norm(position - ahead[:, None] * unit, axis=1)
    return np.asarray((ahead > 0.0) | (beside > EARTH_KM))


def _between(values: FloatArray, at: NDArray[np.intp], steps: int) -> FloatArray:
    """Polynomials through values, shape (n, 5, 3), at all steps."""
    from scipy.interpolate import BarycentricInterpolator

    inner = BarycentricInterpolator(at.astype(float), np.moveaxis(values, 1, 0))
    return np.moveaxis(inner(np.arange(steps, dtype=float)), 0, 1)


def _clipped(x: FloatArray, y: FloatArray, frame: SkyFrame, row: int) -> TrueStreak | None:
    """What the picture holds of a track."""
    fine = np.linspace(0.0, len(x) - 1.0, 40 * len(x))
    fx, fy = np.interp(fine, np.arange(len(x)), x), np.interp(fine, np.arange(len(y)), y)
    inside = (fx > -0.5) & (fx < frame.width_px - 0.5) & (fy > -0.5) & (fy < frame.height_px - 0.5)
    if not inside.any():
        return None
    first, last = np.flatnonzero(inside)[[0, -1]]
    if np.hypot(fx[last] - fx[first], fy[last] - fy[first]) < SHORTEST_PX:
        return None
    return TrueStreak(
        ends=(fx[first], fy[first], fx[last], fy[last]),
        cut=(bool(first > 0), bool(last < len(fine) - 1)),
        row=row,
    )


def pointed(axis: FloatArray, roll_rad: float) -> FloatArray:
    """Camera matrix that looks along a direction, turned about it."""
    right = np.cross(axis, [0.3, 0.5, 0.8])
    right /= np.linalg.norm(right)
    matrix = np.stack([right, np.cross(axis, right), axis], axis=1)
    return np.asarray(Rotation.from_rotvec(roll_rad * axis).as_matrix() @ matrix)
