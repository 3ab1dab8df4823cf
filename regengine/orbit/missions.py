"""Missions of the station and their orbital heights."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from regengine.errors import ConfigError

# The station flew at 330 to 400 km until it was raised in the summer of 2011, during expedition 28,
# and above 395 km since
RAISED_MISSION = 28
# The first module's launch
FIRST_FLOWN_UTC = datetime(1998, 11, 20, 6, 40, tzinfo=UTC)
LOW_KM, HIGH_KM, ANY_KM = (325.0, 405.0), (390.0, 440.0), (325.0, 440.0)
# Heights above the ellipsoid of the orbits of 49,359 element sets, and 5 km, from these dates on
FLOWN_KM = (
    (FIRST_FLOWN_UTC, (325.0, 430.0)),
    (datetime(2004, 1, 1, tzinfo=UTC), (320.0, 400.0)),
    (datetime(2011, 6, 1, tzinfo=UTC), (335.0, 450.0)),
    (datetime(2011, 7, 1, tzinfo=UTC), (370.0, 450.0)),
    (datetime(2013, 1, 1, tzinfo=UTC), (390.0, 450.0)),
)


def mission_heights_km(mission: str) -> tuple[float, float]:
    """Return the range of heights of the station in a mission, ``ISS030``, ``ISS030-E`` or ``30``.

    Raises ConfigError if it is not a mission.
    """
    found = re.fullmatch(r"(?:ISS)?0*([1-9][0-9]{0,2})(?:-E)?", mission.strip(), re.IGNORECASE)
    if found is None:
        raise ConfigError(
            f"--mission {mission!r} is not a mission of the station: write it like ISS030."
        )
    number = int(found[1])
    if number == RAISED_MISSION:
        return ANY_KM
    return LOW_KM if number < RAISED_MISSION else HIGH_KM


def flown_heights_km(time_utc: datetime | None) -> tuple[float, float]:
    """Return the range of heights of the station at a time; of all times if it is not known."""
    if time_utc is None or doubt_time(time_utc) is not None:
        ranges = [heights_km for _, heights_km in FLOWN_KM]
        return min(low for low, _ in ranges), max(high for _, high in ranges)
    return next(heights_km for since, heights_km in reversed(FLOWN_KM) if since <= time_utc)


def doubt_time(time_utc: datetime, now_utc: datetime | None = None) -> str | None:
    """Return why no photo from the station is possible at a time, as a clause; None if it is."""
    if time_utc < FIRST_FLOWN_UTC:
        return f"before the station's first flight ({FIRST_FLOWN_UTC:%B %Y})"
    # By the clock of this machine, whose time and zone may be wrong
    if time_utc > (now_utc or datetime.now(UTC)) + timedelta(days=1):
        return "in the future"
    return None
