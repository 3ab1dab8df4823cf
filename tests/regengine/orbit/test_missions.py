"""Missions of the station tell from how high its photos were taken."""

from __future__ import annotations

import pytest

from regengine.errors import ConfigError
from regengine.orbit.missions import mission_heights_km


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
