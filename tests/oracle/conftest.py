"""Simulated photos, searched once with everything that is found on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.simulate.camera import SimCamera
from regengine import open_light_map
from regengine.maps.index.earth import BlindOptions, EarthIndex, load_earth_index
from regengine.orbit import load_tle_file
from regengine.orbit.position import choose_position
from regengine.photo.frame import read_frame
from regengine.registration.parameters import RegisterParams
from regengine.registration.prepare_photo import prepare_photo
from regengine.registration.register import search, state_problem
from regengine.registration.report_result import report_result
from regengine.registration.types import LightMatch, Prior, Problem, SearchReferences, SearchState
from regengine.store.result import FrameResult
from tests.world.runs import ELEMENTS, LIGHTS
from tests.world.simulated import picture_of, true_camera


@dataclass(frozen=True, kw_only=True)
class Solved:
    """A photo that was placed: its true camera, its picture, its search and its result."""

    truth: SimCamera
    picture: NDArray[np.uint8]
    problem: Problem
    state: SearchState
    result: FrameResult

    @property
    def match(self) -> LightMatch:
        """What the search proved."""
        assert self.state.match is not None
        return self.state.match


@pytest.fixture(scope="session")
def samples_index() -> EarthIndex:
    """Of the samples' map."""
    index = load_earth_index(BlindOptions(), (LIGHTS,))  # that of registrations in this process
    assert index is not None
    return index


def solve(photo: Path, index: EarthIndex) -> Solved:
    """Place one of the simulated photos."""
    frame = read_frame(photo)
    prior = Prior(position=choose_position(frame, load_tle_file(ELEMENTS)))
    references = SearchReferences(light_map=open_light_map([LIGHTS]), index=index)
    params = RegisterParams()
    problem = state_problem(prepare_photo(frame, prior, params), prior, references, params)
    state = search(problem)
    return Solved(
        truth=true_camera(photo),
        picture=picture_of(photo),
        problem=problem,
        state=state,
        result=report_result(problem, state),
    )


@pytest.fixture(scope="session")
def over_city(simulated: Path, samples_index: EarthIndex) -> Solved:
    """A great city from nearly above."""
    return solve(simulated / "nadir.jpg", samples_index)


@pytest.fixture(scope="session")
def slanted(simulated: Path, samples_index: EarthIndex) -> Solved:
    """Many towns at a slant."""
    return solve(simulated / "slanted.jpg", samples_index)
