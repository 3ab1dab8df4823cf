"""Simulated frames with satellites' streaks, and what becomes of their names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulate.satellite_catalogue import SimulatedSky
from benchmarks.simulate.satellite_frame import (
    SkyFrame,
    TrueStreak,
    observer_teme,
    pointed,
    sunlit,
    teme_to_gcrs,
    true_states,
    true_streaks,
)
from detectors.types import FloatArray
from matchers.sky_camera import SkyCamera, matrix_quaternion
from regengine.orbit.rotation import days_since_j2000, sidereal_angle_rad, teme_to_ecef
from regengine.orbit.sun_moon import sun_moon
from regengine.orbit.tle import ElementSet
from regengine.sky.satellites.catalogue import SatelliteCatalogue, Satellites
from regengine.sky.satellites.naming import SatellitesInPicture, StreakRecord, satellites_in_picture
from regengine.sky.satellites.observer import Exposure, GroundSite, Observer, Station

WIDTH_PX, HEIGHT_PX = 3000, 2000
FIELDS_DEG, EXPOSURES_S = (6.0, 70.0), (1.0, 30.0)
CLOCKS_S = (0.1, 0.3, 1.0)
LIMIT_MAG, NARROWER_MAG = (4.5, 7.5), 2.0  # at the widest, and more for each tenth of its width
TRAIN_SHARE = 0.15  # of the frames look at one of the trains
ABOARD_SHARE, STRANGER_SHARE = 0.2, 0.4
STATION_AGE_H = (0.0, 12.0)
ATTITUDE_PX = 0.4
SPREAD_H = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One frame's outcome.

    ``true`` has the number of the satellite that drew each streak, None where none did, ``listed``
    whether the catalogue has it; the rest is
    what was found. ``seconds`` is processor time, of SGP4 and all; ``at_train`` says that the frame
    was pointed at satellites that fly one close behind the other.
    """

    frame: SkyFrame
    clock_sigma_s: float
    true: list[str | None]
    listed: list[bool]
    age_days: list[float]
    streaks: list[StreakRecord]
    found: SatellitesInPicture
    satellites: Satellites
    exposure: Exposure
    seconds: float
    at_train: bool


def trials(
    sky: SimulatedSky,
    listed: NDArray[np.bool_],
    catalogue: SatelliteCatalogue,
    count: int,
    seed: int,
) -> Iterator[Trial]:
    """Frames with at least one streak, drawn one after the other."""
    done, number = 0, 0
    satellites = catalogue.at(sky.time_utc)
    while done < count:
        rng = np.random.default_rng([seed, number])
        number += 1
        trial = _trial(sky, listed, satellites, rng)
        if trial is not None:
            done += 1
            yield trial


def _trial(
    sky: SimulatedSky, listed: NDArray[np.bool_], satellites: Satellites, rng: np.random.Generator
) -> Trial | None:
    frame, observer, at_train = _frame(sky, rng)
    clock_sigma_s = float(rng.choice(CLOCKS_S))
    drawn = true_streaks(sky, frame)
    if rng.random() < STRANGER_SHARE:
        drawn.append(_stranger(frame, rng))
    if not any(one.row is not None for one in drawn):
        return None
    streaks = [measured(one, rng) for one in drawn]
    exposure = Exposure(
        field=solved(frame, rng),
        start_utc=frame.start_utc + timedelta(seconds=float(rng.normal(0.0, clock_sigma_s))),
        exposure_s=frame.exposure_s,
        observer=observer,
        clock_sigma_s=clock_sigma_s,
        attitude_sigma_px=0.5,
    )
    started = time.process_time()
    found = satellites_in_picture(satellites, exposure, streaks)
    return Trial(
        frame=frame,
        clock_sigma_s=clock_sigma_s,
        true=[None if one.row is None else sky.numbers[one.row] for one in drawn],
        listed=[one.row is not None and bool(listed[one.row]) for one in drawn],
        age_days=[np.nan if one.row is None else float(sky.age_days[one.row]) for one in drawn],
        streaks=streaks,
        found=found,
        satellites=satellites,
        exposure=exposure,
        seconds=time.process_time() - started,
        at_train=at_train,
    )


def _frame(sky: SimulatedSky, rng: np.random.Generator) -> tuple[SkyFrame, Observer, bool]:
    exposure_s = float(np.exp(rng.uniform(*np.log(EXPOSURES_S))))
    field_deg = float(np.exp(rng.uniform(*np.log(FIELDS_DEG))))
    aboard = rng.random() < ABOARD_SHARE
    at_train = rng.random() < TRAIN_SHARE and not aboard
    station = int(rng.choice(_stations(sky))) if aboard else None
    target: int | None = None
    while True:
        start = sky.time_utc + timedelta(hours=float(rng.uniform(-SPREAD_H, SPREAD_H)))
        lat, lon = float(rng.uniform(-55.0, 60.0)), float(rng.uniform(-180.0, 180.0))
        if aboard:
            break
        if at_train:
            target = int(rng.choice(sky.trains))
            lat, lon = below(sky, target, start)
            lat, lon = lat + float(rng.normal(0.0, 2.0)), lon + float(rng.normal(0.0, 2.0))
        if -35.0 < sun_moon(start, lon, lat).sun_elevation_deg < -9.0 and (
            target is None or sunlit(true_states(sky, np.array([target]), start)[0], start)[0]
        ):
            break
    limit = rng.uniform(*LIMIT_MAG) + NARROWER_MAG * np.log10(FIELDS_DEG[1] / field_deg)
    blank = SkyFrame(
        start_utc=start,
        exposure_s=exposure_s,
        site=None if aboard else (lat, lon, float(rng.uniform(0.0, 2500.0))),
        station=station,
        matrix=np.eye(3),
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        focal_px=float(0.5 * WIDTH_PX / np.tan(np.radians(field_deg) / 2.0)),
        k1=float(rng.normal(0.0, 0.02)),
        limit_mag=float(limit),
    )
    axis = looking(sky, blank, target, rng)
    frame = replace(blank, matrix=pointed(axis, rng.uniform(0.0, 2.0 * np.pi)))
    if station is None:
        assert frame.site is not None
        return frame, GroundSite(lat=lat, lon=lon, height_m=frame.site[2]), at_train
    return frame, Station(element_set=_station_elements(sky, station)), False


def below(sky: SimulatedSky, row: int, time: datetime) -> tuple[float, float]:
    """Latitude and longitude under a satellite, to a degree."""
    position = true_states(sky, np.array([row]), time)[0][0]
    x, y, z = teme_to_ecef(position, sidereal_angle_rad(days_since_j2000(time)))
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))


def looking(
    sky: SimulatedSky, frame: SkyFrame, target: int | None, rng: np.random.Generator
) -> FloatArray:
    """Where the camera looks: at a satellite, or anywhere above the horizon."""
    observer = observer_teme(sky, frame, frame.start_utc)
    if target is not None:
        middle = frame.start_utc + timedelta(seconds=0.5 * frame.exposure_s)
        sight = true_states(sky, np.array([target]), middle)[0][0] - observer
        return np.asarray(teme_to_gcrs(frame.start_utc) @ sight / np.linalg.norm(sight))
    up = teme_to_gcrs(frame.start_utc) @ observer
    up /= np.linalg.norm(up)
    east = np.cross([0.0, 0.0, 1.0], up)
    east /= np.linalg.norm(east)
    # From orbit, stars stand above a limb that is 20 degrees down
    least = -5.0 if frame.station is not None else 30.0
    rise = np.arcsin(rng.uniform(np.sin(np.radians(least)), 1.0))
    turn = rng.uniform(0.0, 2.0 * np.pi)
    level = np.cos(turn) * east + np.sin(turn) * np.cross(up, east)
    return np.asarray(np.sin(rise) * up + np.cos(rise) * level)


def _stations(sky: SimulatedSky) -> NDArray[np.intp]:
    """Satellites that may carry a camera: low, and with a set of some hours."""
    low = np.array([name.startswith("CUBE") for name in sky.names])
    return np.flatnonzero(low & (24.0 * sky.age_days < STATION_AGE_H[1]))


def _station_elements(sky: SimulatedSky, row: int) -> ElementSet:
    return ElementSet(
        line1=sky.lines[row][0],
        line2=sky.lines[row][1],
        epoch_utc=sky.time_utc - timedelta(days=float(sky.age_days[row])),
        satellite=sky.numbers[row],
        name=sky.names[row],
        path=Path("simulated"),
        line_number=1,
    )


def solved(frame: SkyFrame, rng: np.random.Generator) -> SkyCamera:
    """The camera as solved stars give it, a fraction of a pixel off."""
    tilt = rng.normal(0.0, ATTITUDE_PX / frame.focal_px, 3)
    matrix = frame.matrix @ (np.eye(3) + np.cross(np.eye(3), tilt))
    return SkyCamera(
        width_px=frame.width_px,
        height_px=frame.height_px,
        focal_px=frame.focal_px,
        principal_point=((frame.width_px - 1) / 2.0, (frame.height_px - 1) / 2.0),
        distortion=(frame.k1, 0.0, 0.0, 0.0, 0.0),
        quaternion_icrs=matrix_quaternion(matrix),
    )


def measured(streak: TrueStreak, rng: np.random.Generator) -> StreakRecord:
    """What a detector says of it: ends with noise, the left one first."""
    end_px, line_px = float(np.exp(rng.normal(np.log(1.5), 0.5))), float(rng.uniform(0.2, 0.6))
    x1, y1, x2, y2 = streak.ends
    along = np.array([x2 - x1, y2 - y1]) / np.hypot(x2 - x1, y2 - y1)
    across = np.array([-along[1], along[0]])
    ends = np.array([[x1, y1], [x2, y2]])
    ends += np.outer(rng.normal(0.0, end_px, 2) * ~np.array(streak.cut), along)
    ends += np.outer(rng.normal(0.0, line_px, 2), across)
    order = [0, 1] if ends[0, 0] <= ends[1, 0] else [1, 0]
    (x1, y1), (x2, y2) = ends[order].tolist()
    return StreakRecord(
        x1=x1, y1=y1, x2=x2, y2=y2, sigma_end_px=max(end_px, 0.7), sigma_line_px=max(line_px, 0.3),
        cut=(streak.cut[order[0]], streak.cut[order[1]]),
    )  # fmt: skip


def _stranger(frame: SkyFrame, rng: np.random.Generator) -> TrueStreak:
    """A meteor, an aircraft, a false streak: anywhere, of any length."""
    length = np.exp(rng.uniform(np.log(30.0), np.log(1500.0)))
    while True:
        x, y = rng.uniform(0.0, frame.width_px), rng.uniform(0.0, frame.height_px)
        turn = rng.uniform(0.0, 2.0 * np.pi)
        x2, y2 = x + length * np.cos(turn), y + length * np.sin(turn)
        if 0.0 < x2 < frame.width_px - 1 and 0.0 < y2 < frame.height_px - 1:
            return TrueStreak(ends=(x, y, x2, y2), cut=(False, False), row=None)


# A streak of the satellites' benchmark and the name that it was given.


@dataclass(frozen=True, kw_only=True)
class Named:
    """One streak: who drew it (None: no satellite), and its most probable name."""

    true: str | None
    listed: bool
    best: str | None
    probability: float
    aboard: bool
    at_train: bool
    clock_sigma_s: float
    age_days: float

    @property
    def right(self) -> bool:
        """Whether the most probable name is the true one."""
        return self.best is not None and self.best == self.true and self.listed
