"""The station's orbit over all the years that element sets vouch for: when it flew by a place."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detectors.types import FloatArray
from regengine.errors import ConfigError
from regengine.orbit.rotation import (
    EARTH_RATE_RAD_S,
    J2000_JULIAN_DATE,
    sidereal_angle_rad,
    teme_to_ecef,
)
from regengine.orbit.tle import (
    ALONG_TOLERANCE_KM,
    COST_OF_AGE_BEFORE,
    PLANE_TOLERANCE_DEG,
    SAME_EPOCH_DAYS,
    TleSet,
)

if TYPE_CHECKING:
    from sgp4.api import Satrec

# Element sets that plainly agree with their neighbours, found quickly among thousands.

NEAR_DAYS = 10.0  # older neighbours say nothing of the place along the track


def supported(records: list[Satrec], epoch_days: FloatArray) -> NDArray[np.bool_]:
    """Sets that two or more of the four around them agree with: no need to look closer.

    Notes
    -----
    Closer is `TleSet.disagreement`, which costs a hundred times as much and rejects
    no set that two neighbours support, in place and plane.
    """
    count = len(records)
    support = np.zeros(count, int)
    epochs = np.full(1, J2000_JULIAN_DATE)
    own = [
        record.sgp4_array(epochs, day[None])
        for record, day in zip(records, epoch_days, strict=True)
    ]
    position = np.array([state[1][0] for state in own]).reshape(-1, 3)
    normal = unit(np.cross(position, np.array([state[2][0] for state in own]).reshape(-1, 3)))
    for row, record in enumerate(records):
        others = np.array(
            [k for k in range(max(row - 2, 0), min(row + 3, count)) if k != row], dtype=int
        )
        others = others[np.abs(epoch_days[others] - epoch_days[row]) > SAME_EPOCH_DAYS]
        others = others[np.abs(epoch_days[others] - epoch_days[row]) < NEAR_DAYS]
        if len(others) == 0:
            continue
        _, there, velocity = record.sgp4_array(
            np.full(len(others), J2000_JULIAN_DATE), epoch_days[others]
        )
        apart = np.linalg.norm(there - position[others], axis=1)
        plane = np.sum(unit(np.cross(there, velocity)) * normal[others], axis=1)
        agree = (apart < ALONG_TOLERANCE_KM) & (plane > np.cos(np.radians(PLANE_TOLERANCE_DEG)))
        support[others[agree]] += 1
    return support >= 2


def unit(vectors: FloatArray) -> FloatArray:
    """Vectors of length one, shape (n, 3)."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


# A set vouches for so many days on either side of its epoch: up to here its plane is known to 50 km
# (one sigma), and with the slide along it, as measured, to a fraction of the way to the next orbit
REACH_DAYS = 60.0
MINUTES_PER_DAY, SECONDS_PER_DAY = 1440.0, 86400.0
# Sets that take over from each other do not agree to the minute when the station is where
SLACK_DAYS = 10.0 / MINUTES_PER_DAY
# Two passes of a place are an orbit apart; what two sets say of one pass is less than half an orbit
SAME_PASS_DAYS = 45.0 / MINUTES_PER_DAY
# Latitudes beyond this share of the greatest are met at its foot: a track is level there
STEEPEST_SINE_SHARE = 0.999
ALONG_REACH_RAD = 0.7
LATITUDE_ROUNDS, NEAREST_ROUNDS = 2, 4
EARTH_GM_KM3_S2 = 398600.4418


@dataclass(frozen=True, kw_only=True, eq=False)
class StationHistory:
    """Element sets and the spans of time for which each is the best one; arrays of shape (n,).

    records: SGP4's own records, by epoch.
    epoch_days: Days since 2000-01-01 12:00 UTC.
    first_day, last_day: Between which a set is the best (`regengine.orbit.tle.TleSet.choose`) and
        within reach.
    radius_km: Mean distance from the Earth's centre at the epoch.
    """

    records: tuple[Satrec, ...]
    epoch_days: FloatArray
    first_day: FloatArray
    last_day: FloatArray
    radius_km: FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class NearPasses:
    """Closest approaches to a place at orbit height; arrays of shape (n,), by time.

    ``position_km`` and ``velocity_km_s`` (n, 3) are ECEF, the latter over the turning Earth;
    ``age_h`` is positive where the set is older; ``cross_km`` is how far to the right of the
    flight the place lies, along the sphere on which the station flies.
    """

    days: FloatArray
    age_h: FloatArray
    position_km: FloatArray
    velocity_km_s: FloatArray
    cross_km: FloatArray

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> NearPasses:
        """Some of them."""
        return NearPasses(**{name: values[rows] for name, values in vars(self).items()})


def station_history(tles: TleSet) -> StationHistory:
    """The history that a file's sets tell; those that contradict their neighbours are left out."""
    records = [tles[row].satrec() for row in range(len(tles))]
    good = supported(records, tles.epoch_days)
    for row in np.flatnonzero(~good).tolist():
        good[row] = tles.disagreement(row) is None
    rows = np.flatnonzero(good)
    epochs = tles.epoch_days[rows]
    gap = np.diff(epochs)
    before = np.concatenate([[np.inf], gap * (1.0 - 1.0 / (1.0 + COST_OF_AGE_BEFORE))])
    after = np.concatenate([gap / (1.0 + COST_OF_AGE_BEFORE), [np.inf]])
    kept_records = tuple(records[row] for row in rows.tolist())
    rate_rad_s = np.array([record.no_kozai for record in kept_records]) / 60.0
    return StationHistory(
        records=kept_records,
        epoch_days=epochs,
        first_day=epochs - np.minimum(before, REACH_DAYS),
        last_day=epochs + np.minimum(after, REACH_DAYS),
        radius_km=np.cbrt(EARTH_GM_KM3_S2 / rate_rad_s**2),
    )


def near_passes(
    history: StationHistory,
    place_ecef_km: FloatArray,
    first_day: float,
    last_day: float,
    limit_km: Callable[[FloatArray], FloatArray],
) -> NearPasses:
    """All closest approaches of the station to a place at its height.

    Two moments an orbit, at which the station meets the place's latitude, are moved to where it is
    nearest, on the orbits that come near enough.
    """
    towards = place_ecef_km / np.linalg.norm(place_ecef_km)
    row, days, target = _latitude_guesses(history, float(towards[2]), first_day, last_day)
    for _ in range(LATITUDE_ROUNDS):
        position, velocity = _teme(history, row, days)
        off = np.mod(_argument_of_latitude(position, velocity) - target + np.pi, 2.0 * np.pi)
        days = days - (off - np.pi) / _rate_rad_min(history)[row] / MINUTES_PER_DAY
    found = _near(history, row, days, towards)
    age_h = 24.0 * (days - history.epoch_days[row])
    along, cross_km = _offsets(found, towards)
    limit = limit_km(age_h)
    # Along a small circle, great circles drift apart by less than a tenth of the way
    near = np.abs(cross_km) < limit + 0.5 * np.abs(along) * 6800.0 + 100.0
    near &= np.abs(along) < ALONG_REACH_RAD
    row, days = row[near], days[near]
    for _ in range(NEAREST_ROUNDS):
        found = _near(history, row, days, towards)
        along, _ = _offsets(found, towards)
        speed = np.linalg.norm(found[1], axis=1) / np.linalg.norm(found[0], axis=1)
        days = days + along / speed / SECONDS_PER_DAY
    position, velocity = found = _near(history, row, days, towards)
    _, cross_km = _offsets(found, towards)
    within = (days >= np.maximum(history.first_day[row] - SLACK_DAYS, first_day)) & (
        days < np.minimum(history.last_day[row] + SLACK_DAYS, last_day)
    )
    age_h = 24.0 * (days - history.epoch_days[row])
    within &= np.abs(cross_km) <= limit_km(age_h)
    passes = NearPasses(
        days=days, age_h=age_h, position_km=position, velocity_km_s=velocity, cross_km=cross_km
    ).take(within)
    return _each_once(passes)


def covered_days(history: StationHistory, first_day: float, last_day: float) -> float:
    """How much of a span the sets vouch for, days."""
    first = np.clip(history.first_day, first_day, last_day)
    return float(np.sum(np.clip(history.last_day, first_day, last_day) - first))


def _latitude_guesses(
    history: StationHistory, sine_lat: float, first_day: float, last_day: float
) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Set, day and argument of latitude of every crossing of a latitude, by mean motion."""
    first = np.maximum(history.first_day - SLACK_DAYS, first_day) - history.epoch_days
    last = np.minimum(history.last_day + SLACK_DAYS, last_day) - history.epoch_days
    rows = np.flatnonzero(last > first)
    inclination = np.array([history.records[row].inclo for row in rows])
    start = np.array([history.records[row].mo + history.records[row].argpo for row in rows])
    rate = _rate_rad_min(history)[rows] * MINUTES_PER_DAY
    share = np.clip(sine_lat / np.sin(inclination), -STEEPEST_SINE_SHARE, STEEPEST_SINE_SHARE)
    northward = np.arcsin(share)
    parts = []
    for argument in (northward, np.pi - northward):
        # An orbit more at either end: drag is not in the guess
        low = np.floor((start + rate * first[rows] - argument) / (2.0 * np.pi)) - 1.0
        high = np.ceil((start + rate * last[rows] - argument) / (2.0 * np.pi)) + 1.0
        number = (high - low).astype(int) + 1
        at = np.repeat(np.arange(len(rows)), number)
        turn = low[at] + np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
        day = (argument[at] + 2.0 * np.pi * turn - start[at]) / rate[at]
        parts.append((rows[at], history.epoch_days[rows[at]] + day, argument[at]))
    row, days, target = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(row, kind="stable")
    return row[order], days[order], target[order]


def _rate_rad_min(history: StationHistory) -> FloatArray:
    return np.array([record.mdot + record.argpdot for record in history.records])


def _teme(
    history: StationHistory, row: NDArray[np.int64], days: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Positions (km) and velocities (km/s) in SGP4's frame; not a number where SGP4 gives up.

    ``row`` ascends.
    """
    position, velocity = np.full((len(row), 3), np.nan), np.full((len(row), 3), np.nan)
    julian = np.full(len(row), J2000_JULIAN_DATE)
    sets, begins = np.unique(row, return_index=True)
    for one, begin, end in zip(
        sets.tolist(), begins.tolist(), np.append(begins, len(row))[1:].tolist(), strict=True
    ):
        part = slice(begin, end)
        good = np.isfinite(days[part])
        error, place, speed = history.records[one].sgp4_array(
            julian[part], np.where(good, days[part], history.epoch_days[one])
        )
        good &= error == 0
        position[part] = np.where(good[:, None], place, np.nan)
        velocity[part] = np.where(good[:, None], speed, np.nan)
    return position, velocity


def _near(
    history: StationHistory, row: NDArray[np.int64], days: FloatArray, towards: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Positions (km) and velocities over the turning Earth (km/s), ECEF."""
    position, velocity = _teme(history, row, days)
    angle = sidereal_angle_rad(np.nan_to_num(days))
    place = teme_to_ecef(position, angle)
    turning = np.cross([0.0, 0.0, EARTH_RATE_RAD_S], place)
    return place, teme_to_ecef(velocity, angle) - turning


def _offsets(
    found: tuple[FloatArray, FloatArray], towards: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """How far ahead (radians) and to the right (km) of stations a place lies."""
    position, velocity = found
    radius = np.linalg.norm(position, axis=1)
    up = unit(position)
    right = unit(np.cross(velocity, up))
    ahead = np.cross(up, right)
    along = np.arctan2(ahead @ towards, up @ towards)
    return along, np.arcsin(np.clip(right @ towards, -1.0, 1.0)) * radius


def _argument_of_latitude(position: FloatArray, velocity: FloatArray) -> FloatArray:
    normal = unit(np.cross(position, velocity))
    node = np.stack([-normal[:, 1], normal[:, 0], 0.0 * normal[:, 0]], axis=-1)
    northmost = np.cross(normal, node)
    return np.arctan2(np.sum(position * northmost, axis=1), np.sum(position * node, axis=1))


def _each_once(passes: NearPasses) -> NearPasses:
    """By time, and of what two sets or two guesses say of one pass, that of the nearer epoch."""
    passes = passes.take(np.argsort(passes.days, kind="stable"))
    if len(passes.days) == 0:
        return passes
    group = np.cumsum(np.concatenate([[0], (np.diff(passes.days) > SAME_PASS_DAYS).astype(int)]))
    order = np.lexsort((np.abs(passes.age_h), group))
    _, first = np.unique(group[order], return_index=True)
    return passes.take(order[first])


# Missions of the station: when each was, and how high the station flew.

# First days of expeditions 1, 2 and so on: handovers of command, as NASA's pages of the expeditions
# tell them. Of 18,000 archive records of 38 expeditions 34 lie outside these and the spare days,
# all of expedition 2, which the archive's list dates up to three months late
FIRST_DAYS = (
    "2000-11-02", "2001-03-19", "2001-08-20", "2001-12-15", "2002-06-15", "2002-12-02",
    "2003-05-03", "2003-10-27", "2004-04-29", "2004-10-23", "2005-04-24", "2005-10-10",
    "2006-04-08", "2006-09-28", "2007-04-20", "2007-10-21", "2008-04-19", "2008-10-23",
    "2009-04-07", "2009-05-29", "2009-10-11", "2009-12-01", "2010-03-18", "2010-06-01",
    "2010-09-24", "2010-11-25", "2011-03-16", "2011-05-23", "2011-09-16", "2011-11-21",
    "2012-04-27", "2012-07-01", "2012-09-16", "2012-11-18", "2013-03-15", "2013-05-13",
    "2013-09-10", "2013-11-10", "2014-03-10", "2014-05-13", "2014-09-10", "2014-11-10",
    "2015-03-11", "2015-06-11", "2015-09-11", "2015-12-11", "2016-03-01", "2016-06-18",
    "2016-09-06", "2016-10-30", "2017-04-10", "2017-06-02", "2017-09-02", "2017-12-14",
    "2018-02-27", "2018-06-03", "2018-10-04", "2018-12-20", "2019-03-15", "2019-06-24",
    "2019-10-03", "2020-02-06", "2020-04-17", "2020-10-21", "2021-04-17", "2021-10-17",
    "2022-03-30", "2022-09-29", "2023-03-28", "2023-09-27", "2024-04-05", "2024-09-23",
    "2025-04-19", "2025-12-09",
)  # fmt: skip
# Crews came up to twelve days before they took over, and left as many after
SPARE = timedelta(days=14)
# The station flew at 330 to 400 km until it was raised in the summer of 2011, in which expedition
# 28 was on board, and above 395 km since
RAISED_MISSION = 28
LOW_KM, HIGH_KM, ANY_KM = (325.0, 405.0), (390.0, 440.0), (325.0, 440.0)


def mission_number(text: str) -> int:
    """Expedition out of ``ISS030``, ``ISS030-E`` or ``30``."""
    found = re.fullmatch(r"(?:ISS)?0*([1-9][0-9]{0,2})(?:-E)?", text.strip(), re.IGNORECASE)
    if found is None:
        raise ConfigError(f"--mission {text!r} is no mission of the station: write ISS030, say.")
    return int(found[1])


def mission_heights_km(number: int) -> tuple[float, float]:
    """Heights between which the station flew in a mission, kilometres."""
    if number == RAISED_MISSION:
        return ANY_KM
    return LOW_KM if number < RAISED_MISSION else HIGH_KM


def mission_span(number: int) -> tuple[datetime, datetime | None]:
    """When a mission's photos may have been taken, UTC; without an end where that is not known."""
    first = [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in FIRST_DAYS]
    if number >= len(first):
        return first[-1] - SPARE, None
    return first[number - 1] - SPARE, first[number] + SPARE
