"""The ground track around a photo's time, from element sets or from what the store knows."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from regengine.errors import EphemerisError
from regengine.nadir_orbit import nadir_track_positions
from regengine.orbit import camera_position, track_positions
from regengine.result import NadirInput
from regengine.review.frame_columns import FrameColumns
from regengine.review.sight import LonLat, ground_track
from regengine.tle import TleSet

# The station is two minutes from the horizon to the nadir; clocks are rarely wronger than ten
REACH_S = 600.0
STEP_S = 20.0
GROUND_SPEED_KM_S = 7.2  # along the track, below the station
# Nadirs so far apart in time tell whether it flew northward
APART_S = (2.0, 300.0)


def track(
    rows: FrameColumns, row: int, nadir: NadirInput | None, tles: TleSet | None
) -> list[LonLat]:
    """Nadirs from ten minutes before a photo's time to ten minutes after it.

    Parameters
    ----------
    rows : FrameColumns
        All frames: without element sets, another one of the same minutes tells the direction.
    row : int
        The frame.
    nadir : NadirInput or None
        Where the camera was thought to be.
    tles : TleSet or None
        Element sets.

    Returns
    -------
    list of (lon, lat)
        Degrees, oldest first; empty where the track is not known.
    """
    time_utc = _time(rows.time_utc[row].decode())
    offsets_s = np.arange(-REACH_S, REACH_S + 1.0, STEP_S)
    if tles is not None and time_utc is not None:
        try:
            elements = camera_position(tles, time_utc).element_set
            if elements is not None:
                return ground_track(track_positions(elements, time_utc, offsets_s, 0.0))
        except EphemerisError:  # too far from all of them: the nadir serves
            pass
    ascending = _flies_northward(rows, row, time_utc)
    if nadir is None or ascending is None:
        return []
    return ground_track(
        nadir_track_positions(
            nadir.lon, nadir.lat, nadir.altitude_km, offsets_s * GROUND_SPEED_KM_S, ascending
        )
    )


def _flies_northward(rows: FrameColumns, row: int, time_utc: datetime | None) -> bool | None:
    """Whether nadirs of element sets went northward around a time; None where none tell."""
    if time_utc is None:
        return None
    place = int(np.searchsorted(rows.time_utc[rows.by_time_known], rows.time_utc[row]))
    for other in rows.by_time_known[max(0, place - 100) : place + 100].tolist():
        if rows.nadir_source[other] != "tle" or rows.nadir_source[row] != "tle":
            continue
        other_time = _time(rows.time_utc[other].decode())
        apart_s = (other_time - time_utc).total_seconds() if other_time is not None else 0.0
        northward = rows.nadir_lat[other] - rows.nadir_lat[row]
        if APART_S[0] <= abs(apart_s) <= APART_S[1] and northward:
            return bool((northward > 0) == (apart_s > 0))
    return None


def _time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time
