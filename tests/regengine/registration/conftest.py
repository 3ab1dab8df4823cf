"""Simulated photographs that several modules look at, registered once."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest

from matchers.light_grid import pyramid
from tests.matchers.lamp_world import LampWorld, light_grid, town_lamps
from tests.regengine.registration.simulated_frames import (
    CITY,
    PLAIN,
    MemoryMap,
    Solved,
    shoot,
    solve_shot,
)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> Iterator[None]:
    """The machine is shared: threads only wait for each other."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


@pytest.fixture(scope="session")
def near_nadir(tmp_path_factory: pytest.TempPathFactory) -> Solved:
    """A great city and its coast from nearly above."""
    shot = shoot(CITY, off_nadir_deg=6.0)
    return solve_shot(shot, tmp_path_factory.mktemp("near") / "near.png")


@pytest.fixture(scope="session")
def oblique(tmp_path_factory: pytest.TempPathFactory) -> Solved:
    """Towns seen at 50 degrees from the vertical."""
    shot = shoot(PLAIN, off_nadir_deg=50.0, roll_deg=-70.0)
    return solve_shot(shot, tmp_path_factory.mktemp("oblique") / "oblique.png")


@pytest.fixture(scope="session")
def slanted(tmp_path_factory: pytest.TempPathFactory) -> Solved:
    """Many towns seen at 30 degrees from the vertical."""
    shot = shoot(PLAIN, off_nadir_deg=30.0)
    return solve_shot(shot, tmp_path_factory.mktemp("slanted") / "slanted.png")


@pytest.fixture(params=["near_nadir", "oblique", "slanted"])
def solved(request: pytest.FixtureRequest) -> Solved:
    """Each of the three."""
    found: Solved = request.getfixturevalue(request.param)
    return found


LAMPS_BOX = -8.0, 30.0, 32.0, 56.0  # west, south, east, north


@pytest.fixture(scope="session")
def lamps() -> LampWorld:
    """Four thousand towns about the Mediterranean."""
    return town_lamps(2, *LAMPS_BOX, towns=4000, lamps_per_town=15, radius_km=4.0)


@pytest.fixture(scope="session")
def light_map(lamps: LampWorld) -> MemoryMap:
    """Their map."""
    return MemoryMap(levels=pyramid(light_grid(lamps, *LAMPS_BOX, 1.0 / 120.0), 6))
