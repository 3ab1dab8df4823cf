"""Tracks of catalogued satellites through a photo, by SGP4, with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from detectors.constants import DAY_S, FLATTENING, ORBITAL_SPEED_KM_S, SEMI_MAJOR_M
from detectors.types import BoolArray, FloatArray
from matchers.geometry.sky_camera import SkyCamera
from regengine.errors import EphemerisError
from regengine.io.plain import format_count
from regengine.orbit.propagation import propagate_teme
from regengine.orbit.rotation import (
    J2000_JULIAN_DATE,
    days_since_j2000,
    earth_velocity,
    icrs_to_itrf,
    sidereal_angle_rad,
    sun_direction,
    turn_about_pole,
    utc_of,
)
from regengine.orbit.tle import COST_OF_AGE_BEFORE, TleSet
from regengine.orbit.tle_format import ElementSet
from regengine.orbit.uncertainty import orbit_sigma
from regengine.sky.stars.photo import HeaderField

if TYPE_CHECKING:
    from sgp4.api import Satrec

# By then, drag has shifted a low satellite hundreds of kilometres along its orbit: a streak of one
# frame cannot distinguish it from others (docs/methods/satellites.md)
OLDEST_DAYS = 14.0
# One sigma of the distance of a catalogued satellite from its predicted position: at the epoch by
# Flohrer et al. (2008, AMOS Conf.), and growing with the days as the station's does
ALONG_EPOCH_KM, ALONG_KM_A_DAY = 0.6, 0.8
DRAG_KM_A_DAY2, DRAG_AT_KM, DRAG_SCALE_KM = 2.1, 415.0, 60.0
CROSS_EPOCH_KM, CROSS_KM_A_DAY = 0.25, 0.12
RADIAL_EPOCH_KM, RADIAL_KM_A_DAY = 0.2, 0.1
# A share of the satellites has manoeuvred, or has a bad fit: their errors are larger by these
# factors, along the track and (thrust changes planes, too) across it
TAIL_SHARE, TAIL_FACTOR, TAIL_ACROSS = 0.12, 8.0, 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Satellites:
    """One element set of each of n satellites, ready for SGP4."""

    sets: tuple[ElementSet, ...] = field(repr=False)
    records: tuple[Satrec, ...] = field(repr=False)  # SGP4 records
    age_h: FloatArray  # shape (n,): time of the photo minus epoch, hours
    skipped: int = 0  # sets excluded because they are damaged or SGP4 rejects them
    stale: int = 0  # satellites excluded because their sets are too old

    def sigma_km(self) -> FloatArray:
        """One sigma along, across and above the orbit, shape (3, n), without manoeuvres."""
        days = np.abs(self.age_h) / 24.0
        perigee_km = np.array([record.radiusearthkm * record.altp for record in self.records])
        # Below some 240 km no satellite stays in orbit for days
        air = np.minimum(np.exp((DRAG_AT_KM - perigee_km) / DRAG_SCALE_KM), 20.0)
        grown = np.hypot(ALONG_KM_A_DAY * days, DRAG_KM_A_DAY2 * air * days**2)
        return np.stack(
            [
                np.hypot(ALONG_EPOCH_KM, grown),
                np.hypot(CROSS_EPOCH_KM, CROSS_KM_A_DAY * days),
                np.hypot(RADIAL_EPOCH_KM, RADIAL_KM_A_DAY * days),
            ]
        )


def choose_satellites(catalogue: TleSet, time_utc: datetime) -> Satellites:
    """The best set of each satellite for a time; satellites with only old sets are excluded.

    Raises EphemerisError if all sets are too far from the time, or SGP4 rejects them.
    """
    age = days_since_j2000(time_utc) - catalogue.epoch_days
    cost = np.where(age > 0.0, COST_OF_AGE_BEFORE * age, -age)
    numbers = np.array([one.satellite for one in catalogue.pairs])
    order = np.lexsort([cost, numbers])
    best = np.sort(order[np.unique(numbers[order], return_index=True)[1]])
    fresh = best[np.abs(age[best]) <= OLDEST_DAYS]
    if not fresh.size:
        nearest = int(np.argmin(np.abs(age)))
        raise EphemerisError(
            f"{catalogue.path}: the element set nearest to the photo is "
            f"{format_count(round(abs(age[nearest])), 'day')} away "
            f"({utc_of(catalogue.epoch_days[nearest]):%Y-%m-%d}), and satellite positions are "
            f"unreliable after {OLDEST_DAYS:.0f} days: take a catalogue of the photo's date.",
            code="tle_stale",
        )
    records = {}
    for row in fresh.tolist():
        with suppress(EphemerisError):
            record = catalogue.pairs[row].satrec()
            if record.error == 0:
                records[row] = record
    if not records:
        raise EphemerisError(
            f"{catalogue.path}: SGP4 cannot use any of its element sets: download the catalogue "
            "again."
        )
    return Satellites(
        sets=tuple(catalogue.pairs[row] for row in records),
        records=tuple(records.values()),
        age_h=24.0 * age[list(records)],
        skipped=len(catalogue.skipped) + len(fresh) - len(records),
        stale=int(best.size - fresh.size),
    )


EARTH_KM = SEMI_MAJOR_M / 1000.0
# Scaled along the pole, the Earth's ellipsoid becomes a sphere
TO_SPHERE = np.array([1.0, 1.0, 1.0 / (1.0 - FLATTENING)])


SkyProjection = SkyCamera | HeaderField  # a picture among the stars


@dataclass(frozen=True, kw_only=True, eq=False)
class Exposure:
    """Time and observer of an exposure, and its attitude at mid-exposure."""

    field: SkyProjection  # attitude at mid-exposure, fitted to catalogued stars
    start_utc: datetime  # start of the exposure
    exposure_s: float  # its duration
    station: ElementSet  # of the satellite with the camera, such as the ISS
    clock_sigma_s: float = 1.0  # one sigma of the start
    attitude_sigma_px: float = 0.5  # one sigma of the field's position, per axis
    # True: the camera rotates with its observer, and stars trail; False: the stars are fixed
    held_still: bool = False

    @cached_property
    def middle_utc(self) -> datetime:
        return self.start_utc + timedelta(seconds=0.5 * self.exposure_s)

    @cached_property
    def middle_days(self) -> float:
        return days_since_j2000(self.middle_utc)

    def days(self, seconds: ArrayLike) -> FloatArray:
        return self.middle_days + np.asarray(seconds, float) / DAY_S

    @cached_property
    def to_icrs(self) -> FloatArray:
        """Rotation from SGP4's axes to ICRS; changes during the exposure are negligible.

        They are less than a thousandth of an arc second.
        """
        return teme_to_icrs(self.middle_utc)

    @cached_property
    def turning(self) -> FloatArray:
        """Rotation vector of the camera in ICRS, radians per second."""
        if not self.held_still:
            return np.zeros(3)
        # One rotation per orbit: the Station keeps its attitude relative to the nadir
        (position,), (velocity,) = propagate_teme(self.station, np.array([self.middle_days]))
        return np.asarray(self.to_icrs @ (np.cross(position, velocity) / (position @ position)))

    def pixels(self, sight_km: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Project lines of sight (TEME, shape (..., 3)) into the picture at mid-exposure."""
        towards = turn_to_stars(sight_km, self.to_icrs, earth_velocity(self.middle_utc))
        return self.field.project(towards)

    def carried(
        self, x: ArrayLike, y: ArrayLike, seconds: ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Pixels at mid-exposure with the directions of pixels some seconds earlier or later."""
        px, py = np.asarray(x, float), np.asarray(y, float)
        if not self.held_still:
            return px, py
        sky = self.field.to_sky(px, py)
        turn = np.zeros_like(sky) + np.asarray(seconds, float)[..., None] * self.turning
        turned = Rotation.from_rotvec(turn.reshape(-1, 3))
        return self.field.project(turned.apply(sky.reshape(-1, 3)).reshape(sky.shape))


def orbit_axes(
    position: FloatArray, velocity: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors along, across and above orbits, each of shape (..., 3)."""
    up = position / np.linalg.norm(position, axis=-1, keepdims=True)
    across = np.cross(position, velocity)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    return np.cross(across, up), across, up


def compute_station_sigma_km(station: ElementSet, time_utc: datetime) -> FloatArray:
    """One sigma along, across and above a station's orbit, three vectors in SGP4's axes."""
    days = np.array([days_since_j2000(time_utc)])
    axes = np.concatenate(orbit_axes(*propagate_teme(station, days)))
    return np.asarray(orbit_sigma(station.age_h(time_utc)))[:, None] * axes


def states(records: Sequence[Satrec], days: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities of many satellites at several times, by SGP4.

    References
    ----------
    Vallado, D. et al. (2006). Revisiting Spacetrack Report #3, AIAA 2006-6753.
    """
    from sgp4.api import SatrecArray

    error, position, velocity = SatrecArray(list(records)).sgp4(
        np.full(len(days), J2000_JULIAN_DATE), np.asarray(days, float)
    )
    position[error != 0] = np.nan
    return position, velocity


def teme_to_icrs(time_utc: datetime) -> FloatArray:
    """Rotation matrix from SGP4's axes to ICRS at a time, shape (3, 3).

    By way of Earth-fixed axes: the sidereal angle of 1982 that defines SGP4's axes, then the IAU's
    rotation of 2006. Polar motion is omitted in both, so it cancels.
    """
    angle = sidereal_angle_rad(days_since_j2000(time_utc))
    to_earth = turn_about_pole(np.eye(3), -angle).T
    return np.asarray(icrs_to_itrf(time_utc).T @ to_earth)


def lines_of_sight(
    position_km: FloatArray, velocity_km_s: FloatArray, observer_km: FloatArray
) -> FloatArray:
    """Vectors from the observer to the satellites at the time of light emission."""
    straight = position_km - observer_km
    # Speed of light, km/s
    delay_s = np.linalg.norm(straight, axis=-1, keepdims=True) / 299792.458
    return np.asarray(straight - velocity_km_s * delay_s)


def turn_to_stars(
    sight_km: FloatArray, to_icrs: FloatArray, earth_velocity: FloatArray
) -> FloatArray:
    """Directions relative to stars at their catalogue positions, in ICRS.

    The observer's motion shifts stars and satellites alike. If the aberration of stars is left in
    the attitude, the Earth's motion must be removed from a satellite's direction: the satellite
    moves with the Earth while its light travels. The correction is up to 20.5 arc seconds.
    """
    unit = sight_km / np.linalg.norm(sight_km, axis=-1, keepdims=True)
    seen = unit @ to_icrs.T - earth_velocity
    return np.asarray(seen / np.linalg.norm(seen, axis=-1, keepdims=True))


def are_hidden_by_earth(position_km: FloatArray, observer_km: FloatArray) -> BoolArray:
    """Whether the Earth blocks the line of sight to satellites."""
    start, end = observer_km * TO_SPHERE, position_km * TO_SPHERE
    step = end - start
    along = -np.sum(start * step, axis=-1) / np.sum(step * step, axis=-1)
    nearest = start + np.clip(along, 0.0, 1.0)[..., None] * step
    # Refraction raises objects 0.6 degrees below the horizontal plane above it: a line of sight
    # with this dip passes this far below an observer at sea level
    return np.asarray((along > 0.0) & (np.linalg.norm(nearest, axis=-1) < EARTH_KM - 0.4))


def sunlit_share(position_km: ArrayLike, sun_teme: FloatArray) -> FloatArray:
    """Visible share of the Sun's disc at satellites, 0 to 1."""
    position = np.asarray(position_km, float) * TO_SPHERE
    sun = sun_teme * TO_SPHERE
    sun = sun / np.linalg.norm(sun)
    distance = np.linalg.norm(position, axis=-1)
    earth_rad = np.arcsin(np.clip(EARTH_KM / distance, 0.0, 1.0))
    apart = np.arccos(np.clip(-(position @ sun) / distance, -1.0, 1.0))
    # The Sun's radius: 696,000 km at one astronomical unit, 16.0 arc minutes
    edge = np.clip((apart - earth_rad) / 0.004652, -1.0, 1.0)
    return np.asarray(0.5 + (edge * np.sqrt(1.0 - edge**2) + np.arcsin(edge)) / np.pi)


MARGIN_SIGMAS = 4.0  # of the orbit, to which satellites are followed beyond the picture


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracks:
    """Tracks of n satellites at T times, in pixels of the picture as stored."""

    rows: NDArray[np.intp]  # shape (n,): indices of the given satellites
    # Shape (T,): times from mid-exposure; they extend beyond the exposure by the uncertainty of
    # clock and orbits
    seconds: FloatArray
    # Shape (n, T, 2): positions for the attitude at mid-exposure; NaN behind the camera or the
    # Earth
    xy: FloatArray
    # Shape (n, T, 2, K): shift by one sigma of each error: the satellite along, across and above
    # its orbit, then the observer
    per_sigma: FloatArray
    # Shape (n, T): distance from the observer, and height above the equatorial radius
    range_km: FloatArray
    height_km: FloatArray
    sunlit: FloatArray  # shape (n, T): visible share of the Sun's disc


def predict_tracks(satellites: Satellites, exposure: Exposure) -> Tracks:
    """Predict the tracks of all satellites that may be in a picture."""
    sigma_km = satellites.sigma_km()
    usual_km = float(np.median(sigma_km[0]))
    # Time range ahead and behind, in addition to the clock error
    slack_s = 5.0 * exposure.clock_sigma_s + min(
        MARGIN_SIGMAS * TAIL_FACTOR * usual_km / ORBITAL_SPEED_KM_S, 15.0
    )
    half_s = 0.5 * exposure.exposure_s + slack_s
    # Satellites whose distance from the picture's cone they may cover in that time, in steps
    count = int(np.clip(np.ceil(2.0 * half_s / 20.0), 1, 24))
    step_s = 2.0 * half_s / count
    seconds = -half_s + step_s * (np.arange(count) + 0.5)
    days = exposure.days(seconds)
    position, velocity = states(satellites.records, days)
    observer, _ = propagate_teme(exposure.station, days)
    later, _ = propagate_teme(exposure.station, exposure.days(seconds + 1.0))
    sight = position - observer
    range_km = np.linalg.norm(sight, axis=-1)
    speed = np.linalg.norm(velocity - (later - observer), axis=-1)
    reach_km = 0.5 * step_s * speed + MARGIN_SIGMAS * sigma_km[0][:, None]
    # Direction of the picture's centre, and half angle of the cone that contains the picture
    w, h = exposure.field.width_px, exposure.field.height_px
    edges = np.meshgrid(np.linspace(-0.5, w - 0.5, 9), np.linspace(-0.5, h - 0.5, 9))
    middle = exposure.field.to_sky((w - 1) / 2.0, (h - 1) / 2.0)
    radius = float(np.arccos(np.clip(exposure.field.to_sky(*edges) @ middle, -1.0, 1.0).min()))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.clip(sight @ (exposure.to_icrs.T @ middle) / range_km, -1.0, 1.0)
        angle = np.arccos(cosine) - radius
        angle -= exposure.exposure_s * float(np.linalg.norm(exposure.turning))
        near = (reach_km >= range_km) | (angle <= np.arcsin(np.minimum(reach_km / range_km, 1.0)))
        # The observer itself, and vehicles docked to it
        near &= range_km > 5.0
    rows = np.flatnonzero(near.any(axis=1))
    # A low satellite moves by half a degree: straight to a thousandth of that
    steps = int(np.clip(np.ceil(2.0 * half_s / 0.4) + 1, 17, 385))
    seconds = np.linspace(-half_s, half_s, steps)
    records = [satellites.records[row] for row in rows]
    position, velocity = states(records, exposure.days(seconds))
    observer, _ = propagate_teme(exposure.station, exposure.days(seconds))
    sight = lines_of_sight(position, velocity, observer)
    x, y = exposure.pixels(sight)
    gone = are_hidden_by_earth(position, observer[None])
    xy = np.where(gone[..., None], np.nan, np.stack([x, y], axis=-1))
    # Steps are shorter than the picture's size, and a track has at least two samples
    size = np.array([exposure.field.width_px, exposure.field.height_px])
    slack = 0.5 * size.max()
    near = ((xy > -slack) & (xy < size + slack)).all(axis=-1)
    keep = np.count_nonzero(near, axis=1) > 1
    rows, xy, sight = rows[keep], xy[keep], sight[keep]
    position, velocity = position[keep], velocity[keep]
    offsets = [
        one[rows][:, None, None] * axis
        for one, axis in zip(sigma_km, orbit_axes(position, velocity), strict=True)
    ]
    offsets += [-one for one in compute_station_sigma_km(exposure.station, exposure.middle_utc)]
    moved = [np.stack(exposure.pixels(sight + offset), axis=-1) - xy for offset in offsets]
    angle = sidereal_angle_rad(exposure.middle_days)  # turns Earth-fixed axes to SGP4's
    return Tracks(
        rows=rows,
        seconds=seconds,
        xy=xy,
        per_sigma=np.stack(moved, axis=-1),
        range_km=np.linalg.norm(sight, axis=-1),
        height_km=np.linalg.norm(position, axis=-1) - EARTH_KM,
        sunlit=sunlit_share(position, turn_about_pole(sun_direction(exposure.middle_utc), angle)),
    )


def touch_picture(tracks: Tracks, exposure: Exposure) -> BoolArray:
    """Which tracks cross the picture during the nominal exposure, shape (n,)."""
    seen = np.zeros(len(tracks.rows), bool)
    for row in range(len(seen)):
        x, y = sample_track(tracks, row, exposure)
        w, h = exposure.field.width_px, exposure.field.height_px
        seen[row] = bool(np.any((x > -0.5) & (x < w - 0.5) & (y > -0.5) & (y < h - 0.5)))
    return seen


def sample_track(
    tracks: Tracks, row: int, exposure: Exposure, steps: int = 33
) -> tuple[FloatArray, FloatArray]:
    """Pixels of one track, from the exposure's start to its end.

    If the camera is fixed to its observer, the track is drawn relative to trailing stars: each
    position is for its own time.
    """
    half = 0.5 * exposure.exposure_s
    seconds = np.linspace(-half, half, steps)
    x, y = (np.interp(seconds, tracks.seconds, tracks.xy[row, :, k]) for k in range(2))
    return exposure.carried(x, y, -seconds)
