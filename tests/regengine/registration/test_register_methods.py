"""Each way of proposing cameras finds one alone, and is left out where it is not asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from regengine.registration import propose_dense
from regengine.registration.candidates import Look
from regengine.registration.outcome import result_of
from regengine.registration.propose_dense import Find, take_look
from regengine.registration.register import search_frame
from regengine.registration.search import Proposals, RegisterParams, Search
from tests.regengine.registration.simulated_frames import (
    MAP_PIXEL_M,
    PLAIN,
    Solved,
    camera_miss_m,
    light_map,
    position_of,
    shoot,
    write,
)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What each look of a search was."""
    names: list[str] = []

    def noted(search: Search, look: Look, find: Find) -> Iterator[Proposals]:
        names.append("sparse" if look.sparse else "dense")
        return take_look(search, look, find)

    monkeypatch.setattr(propose_dense, "take_look", noted)
    return names


def searched(solved: Solved, *methods: str) -> Search:
    parameters = RegisterParams(clock_window_s=20.0, max_seconds=120.0, methods=methods)  # type: ignore[arg-type]
    return search_frame(solved.frame, solved.position, light_map(), parameters)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sparse", "dense"])
@pytest.mark.parametrize("name", ["near_nadir", "oblique"])
def test_either_search_finds_the_camera_alone(
    name: str, method: str, tried: list[str], request: pytest.FixtureRequest
) -> None:
    solved: Solved = request.getfixturevalue(name)
    tried.clear()
    search = searched(solved, method)
    assert set(tried) == {method}
    assert len(tried) == search.looks_taken
    result = result_of(search)
    assert result.verdict == "accepted"
    assert np.median(camera_miss_m(solved.shot, result)) < 0.5 * MAP_PIXEL_M


def test_what_is_planned_is_tried_once_where_it_is_asked_for(
    near_nadir: Solved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here nothing is ever found: the searches are counted, not made."""
    counted: list[str] = []

    def counting(search: Search, look: Look, find: Find) -> Iterator[Proposals]:
        search.covered = True
        counted.append("sparse" if look.sparse else "dense")
        return iter([])

    monkeypatch.setattr(propose_dense, "take_look", counting)
    assert searched(near_nadir, "sparse", "dense").exhausted
    both = counted.copy()
    assert both[0] == "sparse"
    for method in ("sparse", "dense"):
        counted.clear()
        searched(near_nadir, method)
        assert counted == [name for name in both if name == method]
        assert len(counted) > 10


def test_the_seconds_that_are_allowed_are_a_brake(tmp_path: Path) -> None:
    """A clock that races ends the search, and the result says so."""
    number = count()
    shot = shoot(PLAIN, off_nadir_deg=60.0, roll_deg=10.0)
    frame = write(shot, tmp_path / "limb.png")
    parameters = RegisterParams(max_seconds=0.5, clock=lambda: float(next(number)))
    search = search_frame(frame, position_of(shot), light_map(), parameters)
    assert (search.braked, search.exhausted, search.looks_taken) == (True, False, 0)
    assert search.futile is not None
    assert "raise --max-seconds" in search.futile.text
