"""Choose the position where a search starts: from an option, an element set, or a record.

Also the heights of the station by mission and time, and what a file of element sets covers.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from matchers.geometry.earth import great_circle_km, unit_vectors
from regengine.errors import ConfigError, EphemerisError, Option
from regengine.io.plain import format_count
from regengine.io.times import iso_utc
from regengine.io.urls import Url
from regengine.orbit.propagation import (
    CENTRE_SIGMA_KM,
    NADIR_SIGMA_KM,
    RECORD_SIGMA_KM,
    CameraPosition,
    camera_position,
    position_from_elements,
    position_from_nadir,
)
from regengine.orbit.rotation import sun_moon, utc_of
from regengine.orbit.tle import ISS_LAUNCH, TleSet, load_element_sets
from regengine.orbit.tle_format import describe_skipped
from regengine.photo.notations import find_alike, find_mission
from regengine.photo.records import FrameRecord, FrameRecords, load_frame_records

if TYPE_CHECKING:
    from regengine.photo.frame import Frame

# The station flew at 330 to 400 km until it was raised in the summer of 2011, during expedition 28,
# and above 395 km since
RAISED_MISSION = 28
LOW_KM, HIGH_KM, ANY_KM = (325.0, 405.0), (390.0, 440.0), (325.0, 440.0)
# Heights above the ellipsoid of the orbits of 49,359 element sets, and 5 km, from these dates on
FLOWN_KM = (
    (ISS_LAUNCH, (325.0, 430.0)),
    (datetime(2004, 1, 1, tzinfo=UTC), (320.0, 400.0)),
    (datetime(2011, 6, 1, tzinfo=UTC), (335.0, 450.0)),
    (datetime(2011, 7, 1, tzinfo=UTC), (370.0, 450.0)),
    (datetime(2013, 1, 1, tzinfo=UTC), (390.0, 450.0)),
)
# Height above the ellipsoid, the mean of the packaged element sets of each year from 1999 on. The
# station was raised during 2011. About the means of other years heights scatter by 6 to 14 km
YEARLY_KM = (
    *(391, 373, 390, 397, 391, 368, 359, 349, 344, 352, 355, 356, 377, 408),
    *(420, 421, 409, 410, 411, 411, 419, 425, 426, 424, 423, 423, 424, 426),
)
FIRST_YEAR, RAISED_YEAR = 1999, 2011


def mission_heights_km(mission: str) -> tuple[float, float]:
    """Return the range of heights of the station in a mission, ``ISS030``, ``ISS030-E`` or ``30``.

    Raises ConfigError if it is not a mission.
    """
    match = re.fullmatch(r"(?:ISS)?0*([1-9][0-9]{0,2})(?:-E)?", mission.strip(), re.IGNORECASE)
    if match is None:
        raise ConfigError(
            Option("mission", repr(mission)),
            " is not a mission of the station: write it like ISS030.",
        )
    number = int(match[1])
    if number == RAISED_MISSION:
        return ANY_KM
    return LOW_KM if number < RAISED_MISSION else HIGH_KM


def flown_heights_km(time_utc: datetime | None) -> tuple[float, float]:
    """Return the range of heights of the station at a time; of all times if it is not known."""
    if time_utc is None or doubt_time(time_utc) is not None:
        ranges = [heights_km for _, heights_km in FLOWN_KM]
        return min(low for low, _ in ranges), max(high for _, high in ranges)
    return next(heights_km for since, heights_km in reversed(FLOWN_KM) if since <= time_utc)


def expect_height_km(frame: Frame) -> tuple[float, float]:
    """Return the height that the station probably had when a photo was taken, and its sigma.

    By the year of the photo (`YEARLY_KM`), else by the mission of its frame id: the middle of the
    range of `mission_heights_km`, and the standard deviation of an even distribution over it. With
    neither it is today's height.
    """
    time_utc, mission = frame.time_utc, find_mission(frame.frame_id)
    if time_utc is not None and doubt_time(time_utc) is None:
        row = min(max(time_utc.year - FIRST_YEAR, 0), len(YEARLY_KM) - 1)
        return float(YEARLY_KM[row]), 20.0 if time_utc.year == RAISED_YEAR else 10.0
    if mission is None or int(mission.removeprefix("ISS")) == 0:
        return 415.0, 15.0
    low_km, high_km = mission_heights_km(mission)
    return 0.5 * (low_km + high_km), (high_km - low_km) / math.sqrt(12.0)


def doubt_time(time_utc: datetime) -> str | None:
    """Return why no photo from the station is possible at a time, as a clause; None if it is."""
    if time_utc < ISS_LAUNCH:
        return f"before the station's first flight ({ISS_LAUNCH:%B %Y})"
    # By the clock of this machine, whose time and zone may be wrong
    if time_utc > datetime.now(UTC) + timedelta(days=1):
        return "in the future"
    return None


# Nine in ten recorded nadirs lie within 66 km along the orbit and 6 km across it. On some days they
# drift along it by up to 180 km. 2 % lie hundreds of kilometres away: those contradict the orbit.
WRONG_CROSS_KM, WRONG_ALONG_KM = 100.0, 400.0
HORIZON_KM = 2400.0  # from 450 km


def choose_position(frame: Frame, tles: TleSet | None) -> CameraPosition:
    """Choose the position of the camera from the known data of a frame.

    A nadir given as an option has priority. The element set is next, unless it is so old that a
    recorded nadir is more accurate along the track. A record that contradicts the orbit is last,
    because in 2 % of the archive's night frames time and nadir cannot both be right. Of orbit and
    record, the one not chosen is returned as the alternative; of orbit and option, the orbit if
    they contradict each other. A given place that is out of sight from there is chosen, and what
    contradicts it is the alternative (`list_contradicting`). Raises EphemerisError if nothing is
    known, or the element sets do not cover the photo's time.
    """
    try:
        position = _choose_known(frame, tles)
    except EphemerisError:
        if frame.centre is None:
            raise
        return _place_above(frame, frame.centre, "centre", CENTRE_SIGMA_KM, None)
    if frame.centre is None or sees(position, frame.centre, frame.radius_km):
        return position
    above = _place_above(frame, frame.centre, "centre", CENTRE_SIGMA_KM, None)
    return replace(above, alternative=position)


def _choose_known(frame: Frame, tles: TleSet | None) -> CameraPosition:
    """Choose the position by time and nadir, without a place that the photo shows."""
    orbit = None
    if tles is not None and frame.time_utc is not None:
        try:
            orbit = camera_position(tles, frame.time_utc)
        except EphemerisError:
            if frame.nadir is None:
                raise
    if frame.nadir is None:
        if orbit is not None:
            return orbit
        what = "the photo's time is unknown, so the TLE file cannot give the camera's position: "
        what += "give --time, --nadir, --centre, --place or --metadata"
        if tles is None:
            what = "the position of the camera is unknown: give --tle, --nadir, "
            what += (
                "--centre, --place or --metadata, or add element sets with regengine tle add FILE"
            )
        raise EphemerisError(f"{frame.path}: {what}.")
    source = "option" if frame.sources.get("nadir") == "option" else "record"
    sigma_km = NADIR_SIGMA_KM if source == "option" else RECORD_SIGMA_KM
    given = _place_above(frame, frame.nadir, source, sigma_km, orbit)
    if orbit is None:
        return given
    is_wrong = contradicts(given, orbit)
    if source == "option":
        return replace(given, alternative=orbit) if is_wrong else given
    trusted = orbit.sigma_along_km <= given.sigma_along_km or is_wrong
    first, second = (orbit, given) if trusted else (given, orbit)
    return replace(first, alternative=second)


def sees(position: CameraPosition, place: tuple[float, float], radius_km: float) -> bool:
    """Whether ground around a place lies within the horizon of a position or its alternative.

    Or could: where not, the photo's time or nadir is wrong, or the place.
    """
    apart_km = float(great_circle_km(position.lon, position.lat, *place))
    if apart_km < HORIZON_KM + radius_km + 4.0 * position.sigma_along_km:
        return True
    return position.alternative is not None and sees(position.alternative, place, radius_km)


def list_contradicting(position: CameraPosition | None) -> tuple[CameraPosition, ...]:
    """List both positions where time, nadir and place contradict each other; else none."""
    if position is None or position.alternative is None:
        return ()
    return (position.alternative, position) if position.source in ("centre", "option") else ()


def _place_above(
    frame: Frame,
    place: tuple[float, float],
    source: str,
    sigma_km: tuple[float, float, float],
    orbit: CameraPosition | None,
) -> CameraPosition:
    """Return the position above a place, at the height of the frame, its orbit, or its time."""
    altitude_km = frame.altitude_km
    if altitude_km is None and orbit is not None:
        altitude_km = orbit.altitude_km
    elif altitude_km is None:
        altitude_km, sigma_radial_km = expect_height_km(frame)
        sigma_km = (*sigma_km[:2], sigma_radial_km)
    return position_from_nadir(
        *place, altitude_km, source, time_utc=frame.time_utc, sigma_km=sigma_km
    )


def contradicts(given: CameraPosition, orbit: CameraPosition) -> bool:
    """Whether a nadir is further from the orbit than errors of correct records explain."""
    up = unit_vectors(orbit.lon, orbit.lat)
    assert orbit.velocity_ecef_m_s is not None
    across = np.cross(up, orbit.velocity_ecef_m_s)
    across /= np.linalg.norm(across)
    apart_km = (given.position_ecef_m - orbit.position_ecef_m) / 1000.0
    cross_km = abs(float(apart_km @ across))
    along_km = float(np.sqrt(max(float(apart_km @ apart_km) - cross_km**2, 0.0)))
    return (
        cross_km > WRONG_CROSS_KM + 4.0 * orbit.sigma_cross_km
        or along_km > WRONG_ALONG_KM + 4.0 * orbit.sigma_along_km
    )


@lru_cache(maxsize=4)
def element_sets(paths: tuple[Path, ...], *, every: bool = False) -> TleSet:
    """Read files of element sets; what is left out of them is logged once, not by each worker."""
    tles = load_element_sets(paths, every=every)
    if tles.skipped and parent_process() is None:
        logging.getLogger("regengine").warning("%s", describe_skipped(tles.path, tles.skipped))
    return tles


@lru_cache(maxsize=4)
def frame_records(path: Path, alike: frozenset[str] = frozenset()) -> FrameRecords:
    """Read the records of a table; unparsable values are logged once, not by each worker.

    ``alike`` are the names of the run that do not tell its photos apart (`find_alike`).
    """
    records = replace(load_frame_records(path), alike=alike)
    if parent_process() is None:
        log = logging.getLogger("regengine")
        for sentence in records.problems[:10]:
            log.warning("%s; the value is ignored", sentence)
        if len(records.problems) > 10:
            more = format_count(len(records.problems) - 10, "more value", "more values")
            log.warning("%s: %s ignored", path, more)
    return records


def find_records(path: Path | None, photos: Sequence[Path | Url]) -> frozenset[str]:
    """Read a run's table, log what of it is of no use, and return `find_alike` of the photos.

    Raises ConfigError if it cannot be read.
    """
    if path is None:
        return frozenset()
    files = [photo if isinstance(photo, Path) else Path(photo.stem) for photo in photos]
    alike = find_alike(files)
    for sentence in frame_records(path, alike).describe_unused(files):
        logging.getLogger("regengine").warning("%s: %s", path, sentence)
    return alike


def check_orbit(table: FrameRecords, tle: tuple[Path, ...]) -> FrameRecords:
    """Return a table with a problem in each row that contradicts the orbit of element sets.

    Rows without time or nadir are unchanged, like those at least three days from any set. Raises
    EphemerisError if the file has no element sets.
    """
    tles = element_sets(tle)

    def check(row: FrameRecord) -> FrameRecord:
        if row.time_utc is None or row.nadir is None:
            return row
        try:
            orbit = camera_position(tles, row.time_utc)
        except EphemerisError:
            return row
        # Nine in ten element sets of three days are accurate to 180 km (docs/orbit.md). For older
        # sets, only the orbital plane is certain, and correct rows would be reported as wrong
        if orbit.tle_age_h is None or abs(orbit.tle_age_h) > 72.0:
            return row
        altitude_km = row.altitude_km or 400.0  # the nadir depends on it by less than the tolerance
        given = position_from_nadir(*row.nadir, altitude_km, "record", time_utc=row.time_utc)
        if not contradicts(given, orbit):
            return row
        problem = "time and nadir contradict each other: the station was above "
        problem += f"{orbit.lat:.1f}, {orbit.lon:.1f}"
        return replace(row, problems=(*row.problems, problem))

    by_id = {frame_id: check(one) for frame_id, one in table.by_id.items()}
    return replace(table, by_id=by_id)


def describe_element_sets(tles: TleSet) -> dict[str, Any]:
    """Describe the coverage of a file of element sets, ready for JSON."""
    days = tles.epoch_days
    gaps = [
        {
            "from_utc": _stamp(utc_of(days[row])),
            "to_utc": _stamp(utc_of(days[row + 1])),
            "days": round(float(days[row + 1] - days[row]), 1),
        }
        # With larger distances to an epoch, only the orbital plane is known
        for row in np.flatnonzero(np.diff(days) > 10.0)
    ]
    return {
        "file": str(tles.path),
        "satellite": tles.satellite,
        "name": tles[len(tles) - 1].name,
        "element_sets": len(tles),
        "first_epoch_utc": _stamp(utc_of(days[0])),
        "last_epoch_utc": _stamp(utc_of(days[-1])),
        "gaps": gaps,
        "skipped": [{"line": one.line_number, "reason": one.reason} for one in tles.skipped],
        "other_satellites": list(tles.other_satellites),
    }


def describe_position(tles: TleSet, time: datetime) -> dict[str, Any]:
    """Describe the satellite's position at a time, its uncertainty, and the illumination.

    Raises EphemerisError if the element sets do not cover the time.
    """
    chosen, refused = tles.choose(time)
    position = position_from_elements(chosen, time)
    light = sun_moon(time, position.lon, position.lat)
    assert position.velocity_ecef_m_s is not None
    sigmas = ("sigma_along_km", "sigma_cross_km", "sigma_radial_km")
    angles = ("sun_elevation_deg", "sun_azimuth_deg", "moon_elevation_deg", "moon_azimuth_deg")
    return {
        "time_utc": _stamp(time),
        "epoch_utc": _stamp(chosen.epoch_utc),
        "line": chosen.line_number,
        "tle_age_h": round(chosen.age_h(time), 2),
        "nadir": {
            "lon": round(position.lon, 4),
            "lat": round(position.lat, 4),
            "altitude_km": round(position.altitude_km, 2),
        },
        "direction": "ascending" if position.velocity_ecef_m_s[2] > 0.0 else "descending",
        **{name: round(getattr(position, name), 2) for name in sigmas},
        **{name: round(getattr(light, name), 2) for name in angles},
        "moon_illumination": round(light.moon_illumination, 3),
        "passed_over": [{"line": one.line_number, "reason": one.reason} for one in refused],
    }


def _stamp(time: datetime) -> str:
    return iso_utc(time, "milliseconds" if time.microsecond else "seconds")
