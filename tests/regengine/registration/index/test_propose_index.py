"""What is known narrows the look-up, and hides no place that the lights prove."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from matchers.camera import Camera
from regengine.lights.map import LightMap
from regengine.orbit.position import choose_position
from regengine.orbit.propagation import position_from_elements
from regengine.orbit.tle import load_tle_file
from regengine.photo.frame import FrameOptions, read_frame
from regengine.registration.index.earth import PIXELS_KM, EarthIndex, index_in_memory
from regengine.registration.index.options import BlindOptions, earth_index, index_beside
from regengine.registration.outcome import result_of
from regengine.registration.register import search_frame
from regengine.registration.search import RegisterParams, SearchAids
from regengine.registration.without_orbit import time_that_fits_s
from tests.regengine.registration.index.conftest import LIGHTS, SAMPLES
from tests.regengine.registration.index.test_blind_register import STEEP, worst_km

TLES = SAMPLES / "tle.txt"
TAKEN = datetime(2014, 1, 30, 10, 14, 58, tzinfo=UTC)


def test_what_lies_around_some_places_is_all_there_and_nothing_else(index: EarthIndex) -> None:
    reach = 0.05
    for pixel_km in PIXELS_KM:
        whole = index.levels[pixel_km]
        places = whole.vectors[[0, -1]]
        near = (np.linalg.norm(whole.vectors[:, None] - places, axis=2) < reach).any(axis=1)
        few = index.around(places, reach)
        level = few.levels[pixel_km]
        assert 0 < near.sum() < len(near)
        assert np.array_equal(level.vectors, whole.vectors[near])
        assert len(few.patches[pixel_km]) == near.sum()
        # Figures are those whose towns are all there, by their new numbers
        inside = near[whole.figures.members].all(axis=1)
        towns = level.vectors[level.figures.members]
        assert np.array_equal(towns, whole.vectors[whole.figures.members[inside]])
        assert np.array_equal(level.figures.codes, whole.figures.codes[inside])
        assert np.array_equal(level.azimuths_rad, whole.azimuths_rad[inside])


@pytest.mark.parametrize("late", [timedelta(0), timedelta(hours=-1, minutes=-33)])
def test_the_time_that_fits_is_when_the_station_was_there(late: timedelta) -> None:
    """By construction: the camera is put where SGP4 has the station so much later, at night."""
    tles = load_tle_file(TLES)
    photo = SAMPLES / f"{STEEP}.jpg"
    told = choose_position(read_frame(photo, options=FrameOptions(time_utc=TAKEN)), tles)
    assert told.element_set is not None
    x, y, z = position_from_elements(told.element_set, TAKEN + late).position_ecef_m.tolist()
    camera = Camera(
        width_px=600,
        height_px=400,
        focal_px=800.0,
        principal_point=(299.5, 199.5),
        quaternion=(0.0, 0.0, 0.0, 1.0),
        position_ecef_m=(x, y, z),
    )
    assert time_that_fits_s(camera, told) == pytest.approx(late.total_seconds(), abs=10.0)


@pytest.mark.slow
def test_a_photo_with_a_wrong_date_is_placed_and_its_time_doubted(
    light_map: LightMap, index: EarthIndex
) -> None:
    wrong = TAKEN - timedelta(hours=23.0, minutes=17)
    frame = read_frame(SAMPLES / f"{STEEP}.jpg", options=FrameOptions(time_utc=wrong))
    position = choose_position(frame, load_tle_file(TLES))
    parameters = RegisterParams(most_work=3.0)
    search = search_frame(frame, position, light_map, parameters, SearchAids(index=index))
    result = result_of(search)
    assert result.verdict in ("accepted", "review")
    assert result.reasons[0].code == "clock_suspect"
    assert f"{TAKEN:%Y-%m-%d %H:1}" in result.reasons[0].text
    assert result.solved is not None
    assert worst_km(result.solved.camera, STEEP) < 5.0
    # Within a window nothing is sought elsewhere
    bound = replace(parameters, clock_window_s=30.0)
    within = search_frame(frame, position, light_map, bound, SearchAids(index=index))
    assert within.told is None
    assert result_of(within).verdict == "no_match"


@pytest.mark.slow
def test_the_clock_of_the_machine_changes_nothing(light_map: LightMap, index: EarthIndex) -> None:
    """Work ends a search, not time, unless the brake does."""
    frame = read_frame(SAMPLES / f"{STEEP}.jpg")
    position = choose_position(frame, load_tle_file(TLES))

    def ticking(seconds: float) -> Iterator[float]:
        now = 0.0
        while True:
            now += seconds
            yield now

    found = []
    for seconds in (0.0, 0.01):
        clock = ticking(seconds).__next__
        parameters = RegisterParams(clock=clock, most_work=3.0)
        search = search_frame(frame, position, light_map, parameters, SearchAids(index=index))
        assert not search.braked
        found.append((result_of(search), search.work_done, search.looks_taken))
    assert found[0] == found[1]


def test_the_index_lies_beside_its_map(
    index_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lights = tmp_path / "earth.tif"
    shutil.copy(LIGHTS, lights)
    assert index_beside(lights).name == "earth.tif.idx"
    shutil.copy(index_path, index_beside(lights))
    found = earth_index(BlindOptions(), [lights])
    assert found is not None
    assert isinstance(found.levels, dict)
    # A damaged one is told, and does without
    other = tmp_path / "other.tif"
    shutil.copy(LIGHTS, other)
    index_beside(other).write_bytes(b"no index")
    with caplog.at_level(logging.WARNING, "regengine"):
        made = earth_index(BlindOptions(), [other])
    assert made is not None
    assert tuple(made.levels) == PIXELS_KM
    assert "is no index, or it is damaged" in caplog.text


def test_the_index_of_a_large_map_is_not_made_at_once(light_map: LightMap) -> None:
    class Earth:
        info = replace(light_map.info, bounds=(-180.0, -65.0, 180.0, 75.0))

    assert index_in_memory(Earth()) is None  # type: ignore[arg-type]
    assert index_in_memory(light_map) is not None
