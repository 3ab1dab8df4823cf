"""Clocks: the camera's, which may be wrong by hours, and the one that limits the search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulate.camera import Pointing, wgs84
from regengine.orbit.propagation import CameraPosition, position_from_elements
from regengine.registration.outcome import result_of
from regengine.registration.register import register_frame, search_frame
from regengine.registration.search import RegisterParams
from regengine.result import FrameResult
from tests.regengine.registration.orbits_overhead import overhead, vantage_at
from tests.regengine.registration.simulated_frames import (
    CITY,
    MAP_PIXEL_M,
    TIME,
    Shot,
    Solved,
    camera_miss_m,
    light_map,
    position_of,
    register,
    shoot_from,
    write,
)


@pytest.fixture(scope="module")
def an_hour_slow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shot, CameraPosition]:
    """A city from overhead, and where the satellite was at the hour that the camera tells."""
    elements = overhead(tmp_path_factory.mktemp("tle"), CITY, 0.5)
    truth = position_from_elements(elements, TIME)
    vantage = vantage_at(truth)
    lon, lat, _ = vantage.nadir()
    azimuth = wgs84().inv(lon, lat, *CITY)[0]
    shot = shoot_from(vantage, Pointing(off_nadir_deg=12.0, azimuth_deg=azimuth, roll_deg=20.0))
    return shot, position_from_elements(elements, TIME - timedelta(hours=1))


def test_a_whole_hour_is_found_where_no_window_is_told(
    an_hour_slow: tuple[Shot, CameraPosition], tmp_path: Path
) -> None:
    shot, believed = an_hour_slow
    result = register(shot, tmp_path / "hour.png", believed, clock_window_s=None)
    assert result.verdict == "accepted"
    assert np.median(camera_miss_m(shot, result)) < 0.5 * MAP_PIXEL_M
    assert result.solved is not None
    assert result.solved.along_track_offset_s == pytest.approx(3600.0, abs=3.0)


@pytest.mark.parametrize("window_s", [0.0, 20.0, 600.0])
def test_a_window_that_is_told_keeps_the_hour_out(
    an_hour_slow: tuple[Shot, CameraPosition], tmp_path: Path, window_s: float
) -> None:
    """Somewhere else on the orbit the map holds nothing of that ground."""
    shot, believed = an_hour_slow
    result = register(shot, tmp_path / "hour.png", believed, clock_window_s=window_s)
    assert result.verdict == "no_match"
    assert result.solved is None


def test_without_a_window_nothing_else_is_found_where_the_clock_was_right(
    near_nadir: Solved,
) -> None:
    """The same camera as within 20 s, to a fraction of a map pixel."""
    parameters = RegisterParams(max_seconds=120.0)
    wide = search_frame(near_nadir.frame, near_nadir.position, light_map(), parameters)
    assert wide.best is not None
    x, y = np.meshgrid(np.linspace(0.0, 479.0, 5), np.linspace(0.0, 319.0, 5))
    here = near_nadir.best.camera.pixel_to_ecef(x.ravel(), y.ravel())
    at_x, at_y = wide.best.camera.ecef_to_pixel(here)
    assert np.hypot(at_x - x.ravel(), at_y - y.ravel()).max() < 0.5


def stopping_after(readings: int) -> Callable[[], float]:
    """A clock on which no time passes until it was read so often, and then all of it."""
    number = count()
    return lambda: 0.0 if next(number) < readings else 1e9


def registered(solved: Solved, readings: int, **settings: float) -> FrameResult:
    return register_frame(
        solved.frame,
        solved.position,
        light_map(),  # type: ignore[arg-type]
        RegisterParams(
            clock_window_s=20.0, max_seconds=1.0, clock=stopping_after(readings), **settings
        ),
    )


def test_the_search_goes_by_the_clock_that_it_is_given(near_nadir: Solved) -> None:
    """The first reading is the start; without a second in time, nothing is tried."""
    none = registered(near_nadir, 1)
    assert none.verdict == "no_match"
    assert [reason.code for reason in none.reasons] == ["search_budget"]
    assert "--max-seconds" in none.reasons[0].text
    # Time for everything, however long it takes on this machine
    assert registered(near_nadir, 10**9) == near_nadir.result


def test_when_time_runs_out_the_best_so_far_is_told_with_the_reason(
    near_nadir: Solved, tmp_path: Path
) -> None:
    """One look, 300 km from the camera, and the last chance after it."""
    shot = near_nadir.shot
    position = position_of(shot, slide_s=40.0, sigma_along_km=150.0)
    parameters = RegisterParams(clock_window_s=20.0, max_seconds=1.0, clock=stopping_after(2))
    frame = write(shot, tmp_path / "cut.png")
    search = search_frame(frame, position, light_map(), parameters)
    assert search.looks_taken == 1
    assert not search.exhausted
    assert search.best is not None
    result = result_of(search)
    assert result.verdict != "accepted"
    assert [reason.code for reason in result.reasons][-1] == "search_budget"
    # With time, the camera is found
    parameters = replace(parameters, clock=stopping_after(10**9))
    search = search_frame(frame, position, light_map(), parameters)
    result = result_of(search)
    assert result.verdict == "accepted"
    assert np.median(camera_miss_m(shot, result)) < 0.5 * MAP_PIXEL_M


def test_the_acceptance_threshold_is_the_users(near_nadir: Solved) -> None:
    assert near_nadir.result.probability is not None
    stricter = 0.5 * (1.0 + near_nadir.result.probability)
    result = registered(near_nadir, 10**9, accept_probability=stricter)
    assert result.verdict == "review"
    assert [reason.code for reason in result.reasons] == ["low_probability"]
    assert replace(result, verdict="accepted", reasons=()) == near_nadir.result


def test_a_photo_that_the_search_need_not_try_costs_no_time(
    near_nadir: Solved, tmp_path: Path
) -> None:
    """A frame of daylight is told as such, even where there is no time at all."""
    day = near_nadir.shot.edited(np.full((60, 90, 3), 180, np.uint8))
    parameters = RegisterParams(clock=stopping_after(1))
    frame = write(day, tmp_path / "day.png")
    result = register_frame(frame, near_nadir.position, light_map(), parameters)  # type: ignore[arg-type]
    assert result.verdict == "no_match"
    assert [reason.code for reason in result.reasons] == ["not_a_night_city_frame"]
