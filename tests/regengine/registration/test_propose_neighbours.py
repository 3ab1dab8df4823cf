"""What neighbours tell: their cameras carried along, and searches that prove nothing by that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from time_lapse import Ticks, facts_at, time_lapse, true_lesson, window_shot

from benchmarks.trials.attempt import camera_of
from matchers.camera import Camera
from matchers.pose import off_nadir_attitude, with_attitude
from regengine.registration import propose_asterisms, propose_dense, propose_neighbours
from regengine.registration.neighbour_priors import (
    Lesson,
    Neighbour,
    NeighbourPrior,
    neighbour_prior,
)
from regengine.registration.outcome import proposal_result
from regengine.registration.propose_neighbours import carried, expected_place, following
from regengine.registration.register import register_frame, search_frame
from regengine.registration.search import RegisterParams, Search, SearchAids
from regengine.registration.tracks import Track, tracks_for
from regengine.result import FrameResult
from tests.regengine.registration.simulated_frames import (
    MAP_PIXEL_M,
    Shot,
    camera_miss_m,
    light_map,
    other_land,
    position_of,
    write,
)


def turned_deg(a: Camera, b: Camera) -> float:
    """Angle of the rotation between two attitudes."""
    cosine = (np.trace(a.matrix.T @ b.matrix) - 1.0) / 2.0
    return float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def track_of(seconds: float, off_nadir_deg: float, clock_s: float) -> Track:
    """The track of the frame at that time, as a camera believes whose clock is wrong."""
    shot = window_shot(off_nadir_deg, seconds)
    return tracks_for(position_of(shot, clock_s=clock_s), 600.0)[0]


@pytest.mark.parametrize("off_nadir_deg", [10.0, 60.0])
@pytest.mark.parametrize("seconds", [-60.0, 10.0, 60.0])
@pytest.mark.parametrize("clock_s", [0.0, -100.0])
def test_a_camera_on_a_window_is_predicted(
    off_nadir_deg: float, seconds: float, clock_s: float
) -> None:
    """To half a degree; without the turn of the station with its orbit it is four a minute."""
    before = camera_of(window_shot(off_nadir_deg, 0.0).camera)
    truth = camera_of(window_shot(off_nadir_deg, seconds).camera)
    track = track_of(seconds, off_nadir_deg, clock_s)
    neighbour = Neighbour(frame="before", camera=before)
    found = carried(neighbour, track, -clock_s * track.speed_km_s)
    assert turned_deg(found, truth) < 0.5
    assert np.linalg.norm(np.subtract(found.position_ecef_m, truth.position_ecef_m)) < 40e3
    assert (found.focal_px, found.principal_point) == (before.focal_px, before.principal_point)
    assert turned_deg(before, truth) > abs(seconds) / 30.0


def test_a_camera_that_follows_a_place_keeps_it_in_the_middle() -> None:
    before = camera_of(window_shot(30.0, 0.0).camera)
    track = track_of(20.0, 30.0, 0.0)
    neighbour = Neighbour(frame="before", camera=before)
    moved = carried(neighbour, track, 0.0)
    turned = following(neighbour, moved)
    assert turned.position_ecef_m == moved.position_ecef_m
    place = before.pixel_to_ecef(*before.principal_point)
    assert np.hypot(*np.subtract(turned.ecef_to_pixel(place), before.principal_point)) < 1e-6
    assert turned_deg(turned, moved) > 5.0
    again = following(neighbour, turned)
    assert again is not None
    assert turned_deg(again, turned) < 1e-6


def test_nothing_is_followed_in_the_sky() -> None:
    camera = camera_of(window_shot(80.0, 0.0).camera)
    neighbour = Neighbour(frame="before", camera=camera)
    assert following(neighbour, camera) is None


def test_the_source_names_who_told_what() -> None:
    hints = NeighbourPrior(frames=("A", "B"), offset_s=3.0, spread_s=2.0)
    assert hints.source == "with clock and lens of A, B"


CLOCK_S = 110.0  # the camera's clock is behind by this
FEW_LOOKS, MANY_LOOKS = 8.0, 500.0


def searched(
    shot: Shot, path: Path, hints: NeighbourPrior | None, looks: float, clock_s: float = CLOCK_S
) -> tuple[Search, FrameResult]:
    """Search a photo whose clock is wrong with a budget of so many looks."""
    frame, position = write(shot, path), position_of(shot, clock_s=-clock_s)
    parameters = RegisterParams(max_seconds=looks, clock=Ticks())
    aids = SearchAids(neighbours=hints)
    search = search_frame(frame, position, light_map(), parameters, aids)
    return search, proposal_result(search)


def told(*lessons: Lesson, seconds: float = 10.0) -> NeighbourPrior:
    hints = neighbour_prior(facts_at(seconds), lessons)
    assert hints is not None
    return hints


@pytest.fixture(scope="module")
def before() -> Lesson:
    """A frame that was solved."""
    return true_lesson(time_lapse(30.0, 0.0), 0.0, CLOCK_S)


@pytest.fixture(scope="module")
def after() -> Shot:
    """The photo of ten seconds later."""
    return time_lapse(30.0, 10.0)


@pytest.fixture(scope="module")
def foreign() -> Shot:
    """A photo of a land that the map does not show, from the same place."""
    return time_lapse(30.0, 10.0, world=other_land())


def test_a_wrong_clock_is_found_in_few_looks_with_hints_and_not_without(
    before: Lesson, after: Shot, tmp_path: Path
) -> None:
    _, alone = searched(after, tmp_path / "a.png", None, FEW_LOOKS)
    assert alone.verdict != "accepted"
    search, helped = searched(after, tmp_path / "a.png", told(before), FEW_LOOKS)
    assert helped.verdict == "accepted"
    assert np.median(camera_miss_m(after, helped)) < 0.5 * MAP_PIXEL_M
    assert helped.solved.along_track_offset_s == pytest.approx(CLOCK_S, abs=2.0)
    assert search.looks_taken <= 3


def test_the_clock_alone_is_enough(before: Lesson, after: Shot, tmp_path: Path) -> None:
    hints = replace(told(before), neighbours=())
    _, helped = searched(after, tmp_path / "a.png", hints, FEW_LOOKS)
    assert helped.verdict == "accepted"


def test_a_neighbours_camera_finds_what_the_first_look_does_not(
    before: Lesson, after: Shot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With looks that find nothing of their own, its candidate is there, and right."""
    monkeypatch.setattr(propose_neighbours, "best_figures", lambda *_: [])
    monkeypatch.setattr(propose_neighbours, "best_peaks", lambda *_: [])
    monkeypatch.setattr(propose_asterisms, "propose", lambda _: iter([]))
    monkeypatch.setattr(propose_dense, "propose", lambda _: iter([]))
    search, helped = searched(after, tmp_path / "a.png", told(before), FEW_LOOKS)
    assert search.best is not None
    assert helped.solved is not None
    assert np.median(camera_miss_m(after, helped)) < 0.5 * MAP_PIXEL_M


def test_an_offset_beyond_the_clock_window_is_not_believed(before: Lesson, after: Shot) -> None:
    hints, position = told(before), position_of(after, clock_s=-CLOCK_S)
    believed = expected_place(hints, tracks_for(position, CLOCK_S + 1.0))
    assert believed.offset_km == pytest.approx(CLOCK_S * believed.track.speed_km_s)
    assert expected_place(hints, tracks_for(position, 60.0)) is None


WRONG = {
    "clock": lambda lesson: replace(lesson, offset_s=CLOCK_S - 130.0),
    "lens": lambda lesson: replace(lesson, focal_ratio=1.7),
    "attitude": lambda lesson: replace(
        lesson,
        camera=with_attitude(
            lesson.camera, off_nadir_attitude(lesson.camera.position_ecef_m, 40.0, 200.0, 10.0)
        ),
    ),
    "mirror": lambda lesson: replace(lesson, camera=replace(lesson.camera, mirrored=True)),
}


@pytest.mark.parametrize("what", ["right, first search", "right", *WRONG])
def test_no_hint_makes_a_photo_of_another_land_accepted(
    what: str, before: Lesson, foreign: Shot, tmp_path: Path
) -> None:
    """Be the neighbour right or wrong: the photo's own lights must prove it."""
    lesson = WRONG[what](before) if what in WRONG else before
    hints = replace(told(lesson), beat=None if "first" in what else 0.0)
    search, result = searched(foreign, tmp_path / "f.png", hints, FEW_LOOKS)
    assert search.looks_taken >= 3
    assert result.verdict != "accepted"


@pytest.mark.slow
@pytest.mark.parametrize("what", ["clock", "attitude"])
def test_wrong_hints_do_not_keep_a_photo_from_being_solved(
    what: str, before: Lesson, after: Shot, tmp_path: Path
) -> None:
    """The search goes on as without them."""
    lesson = replace(WRONG[what](before), offset_s=-100.0 if what == "clock" else 0.0)
    _, result = searched(after, tmp_path / "a.png", told(lesson), MANY_LOOKS, clock_s=0.0)
    assert result.verdict == "accepted"
    assert np.median(camera_miss_m(after, result)) < 0.5 * MAP_PIXEL_M


def test_a_second_search_ends_where_hints_lead_nowhere(
    before: Lesson, foreign: Shot, tmp_path: Path
) -> None:
    search, result = searched(foreign, tmp_path / "f.png", replace(told(before), beat=0.0), 500.0)
    assert result.verdict == "no_match"
    assert search.looks_taken <= 6
    far = replace(told(before), offset_s=700.0, beat=0.0)
    search, result = searched(foreign, tmp_path / "f.png", far, MANY_LOOKS)
    assert (search.looks_taken, result.verdict) == (0, "no_match")


def test_without_an_orbit_hints_are_left_out(before: Lesson, after: Shot, tmp_path: Path) -> None:
    position = replace(position_of(after), velocity_ecef_m_s=None, element_set=None)
    frame = write(after, tmp_path / "a.png")
    parameters = RegisterParams(max_seconds=FEW_LOOKS, clock=Ticks())
    plain = register_frame(frame, position, light_map(), parameters)  # type: ignore[arg-type]
    parameters = replace(parameters, clock=Ticks())
    aids = SearchAids(neighbours=told(before))
    hinted = register_frame(frame, position, light_map(), parameters, aids)  # type: ignore[arg-type]
    assert hinted == plain
