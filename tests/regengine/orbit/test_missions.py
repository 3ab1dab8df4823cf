"""Missions of the station tell from how high its photos were taken."""

from __future__ import annotations

import pytest

from regengine.errors import ConfigError
from regengine.orbit.missions import ANY_KM, HIGH_KM, LOW_KM, mission_heights_km


@pytest.mark.parametrize(
    ("mission", "heights"),
    [("ISS006", LOW_KM), ("iss016-e", LOW_KM), ("28", ANY_KM), ("ISS030-E", HIGH_KM)],
)
def test_a_mission_tells_the_height(mission: str, heights: tuple[float, float]) -> None:
    assert mission_heights_km(mission) == heights


@pytest.mark.parametrize("mission", ["STS-60", "0", "ISS", "30-F"])
def test_what_is_no_mission_is_refused(mission: str) -> None:
    with pytest.raises(ConfigError, match="is no mission of the station"):
        mission_heights_km(mission)
