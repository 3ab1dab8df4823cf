"""Missions of the station: when each was, and how high the station flew."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from regengine.errors import ConfigError

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
    """Expedition out of ``ISS030``, ``ISS030-E`` or ``30``.

    Raises
    ------
    ConfigError
        If it is no mission of the station.
    """
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
