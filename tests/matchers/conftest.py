"""A world of towns that several searches look for."""

from __future__ import annotations

import pytest

from matchers.geometry.light_grid import make_pyramid
from tests.matchers.lamp_world import LampWorld, Levels, light_grid, town_lamps

BOX = -8.0, 30.0, 32.0, 56.0  # west, south, east, north


@pytest.fixture(scope="session")
def lamps() -> LampWorld:
    """Four thousand towns about the Mediterranean."""
    return town_lamps(2, *BOX, towns=4000, lamps_per_town=15, radius_km=4.0)


@pytest.fixture(scope="session")
def levels(lamps: LampWorld) -> Levels:
    """Their map."""
    return make_pyramid(light_grid(lamps, *BOX, 0.02), 5)
