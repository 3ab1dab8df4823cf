"""Simulated photos, searched once with everything that is found on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate.camera import SimCamera
from regengine.lights.map import open_light_map
from regengine.orbit import load_tle_file
from regengine.orbit.position import choose_position
from regengine.photo.frame import read_frame
from regengine.registration.evidence import Verified
from regengine.registration.outcome import result_of
from regengine.registration.register import search_frame
from regengine.registration.search import RegisterParams, Search
from regengine.result import FrameResult
from tests.kit.runs import ELEMENTS, LIGHTS
from tests.kit.simulated import picture_of, true_camera


@dataclass(frozen=True, kw_only=True)
class Solved:
    """A photo that was placed: its true camera, its picture, its search and its result."""

    truth: SimCamera
    picture: NDArray[np.uint8]
    search: Search
    result: FrameResult

    @property
    def best(self) -> Verified:
        """What the search proved."""
        assert self.search.best is not None
        return self.search.best


def solve(photo: Path) -> Solved:
    """Place one of the simulated photos."""
    frame = read_frame(photo)
    position = choose_position(frame, load_tle_file(ELEMENTS))
    search = search_frame(frame, position, open_light_map([LIGHTS]), RegisterParams())
    return Solved(
        truth=true_camera(photo),
        picture=picture_of(photo),
        search=search,
        result=result_of(search),
    )


@pytest.fixture(scope="session")
def over_city(simulated: Path) -> Solved:
    """A great city from nearly above."""
    return solve(simulated / "nadir.jpg")


@pytest.fixture(scope="session")
def slanted(simulated: Path) -> Solved:
    """Many towns at a slant."""
    return solve(simulated / "slanted.jpg")
