"""Missions of the station tell from how high its photos were taken."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from regengine.errors import ConfigError
from regengine.orbit.missions import flown_heights_km, mission_heights_km


@pytest.mark.parametrize(
    ("mission", "heights"),
    [
        ("ISS006", (325.0, 405.0)),
        ("iss016-e", (325.0, 405.0)),
        ("28", (325.0, 440.0)),
        ("ISS030-E", (390.0, 440.0)),
    ],
)
def test_a_mission_tells_the_height(mission: str, heights: tuple[float, float]) -> None:
    assert mission_heights_km(mission) == heights


@pytest.mark.parametrize("mission", ["STS-60", "0", "ISS", "30-F"])
def test_what_is_no_mission_is_refused(mission: str) -> None:
    with pytest.raises(ConfigError, match="is not a mission of the station"):
        mission_heights_km(mission)


@pytest.mark.parametrize(
    ("date", "lowest_km", "highest_km"),
    # Of orbits of public element sets of the year
    [
        ((1999, 6), 362, 417),
        ((2002, 6), 372, 426),
        ((2007, 6), 322, 373),
        ((2011, 6), 338, 398),
        ((2011, 11), 374, 430),
        ((2012, 6), 378, 447),
        ((2015, 6), 396, 426),
        ((2026, 1), 413, 446),
    ],
)
def test_a_date_tells_the_heights(date: tuple[int, int], lowest_km: int, highest_km: int) -> None:
    for time_utc in (datetime(*date, 15, tzinfo=UTC), None, datetime(1970, 1, 1, tzinfo=UTC)):
        low_km, high_km = flown_heights_km(time_utc)
        assert low_km <= lowest_km < highest_km <= high_km
