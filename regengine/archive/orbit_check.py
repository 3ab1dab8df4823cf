"""Rows whose time and nadir cannot both be right, by the station's orbit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from regengine.archive.read import FrameTable
from regengine.archive.row import FrameRow
from regengine.errors import EphemerisError
from regengine.opened import element_sets
from regengine.orbit import camera_position, position_from_nadir
from regengine.position import contradicts

if TYPE_CHECKING:
    from regengine.tle import TleSet

# Nine in ten element sets of this age are right to 180 km (docs/orbit.md); of older ones only the
# orbit's plane is sure, and honest rows would be accused.
OLDEST_SET_H = 72.0
_ANY_ALTITUDE_KM = 400.0  # what lies below does not depend on it by more than the tolerance


def checked(table: FrameTable, tle: Path) -> FrameTable:
    """A table with a problem noted at each row that the orbit contradicts.

    Parameters
    ----------
    table : FrameTable
        Rows without time or nadir stay as they are, as do those three days and more from any
        element set.
    tle : Path
        Element sets of the station.

    Returns
    -------
    FrameTable

    Raises
    ------
    EphemerisError
        If the file holds no element sets.
    """
    tles = element_sets(tle)
    return replace(table, rows=tuple(_checked(row, tles) for row in table.rows))


def _checked(row: FrameRow, tles: TleSet) -> FrameRow:
    if row.time_utc is None or row.nadir_lat is None or row.nadir_lon is None:
        return row
    try:
        orbit = camera_position(tles, row.time_utc)
    except EphemerisError:
        return row
    if orbit.tle_age_h is None or abs(orbit.tle_age_h) > OLDEST_SET_H:
        return row
    altitude_km = row.altitude_km or _ANY_ALTITUDE_KM
    given = position_from_nadir(
        row.nadir_lon, row.nadir_lat, altitude_km, "record", time_utc=row.time_utc
    )
    if not contradicts(given, orbit):
        return row
    told = (
        f"time and nadir cannot both be right: the station was above {orbit.lat:.1f}, "
        f"{orbit.lon:.1f}"
    )
    return replace(row, problems=(*row.problems, told))
