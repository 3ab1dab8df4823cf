"""What accepted frames tell of another one: which of them, and how sure."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.photo.frame import Frame
from regengine.registration.neighbour_priors import (
    AGREE_S,
    LEAST_SPREAD_S,
    FrameFacts,
    Lesson,
    NeighbourPrior,
    agreeing,
    facts_of_frame,
    facts_of_result,
    lesson_of,
    neighbour_prior,
    worth_trying,
)
from regengine.result import FrameResult
from tests.example_results import nothing_found, proposal, solved

TIME = datetime.fromisoformat("2012-03-28T15:46:41Z")


def facts(seconds: float, **changes: object) -> FrameFacts:
    known = FrameFacts(
        frame=f"at {seconds:g} s",
        camera_body="NIKON D3S",
        time_utc=TIME + timedelta(seconds=seconds),
        focal_mm=85.0,
        size_px=(640, 426),
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def lesson(seconds: float, offset_s: float, ratio: float = 1.0, **changes: object) -> Lesson:
    return Lesson(
        facts=facts(seconds, **changes),
        camera=solved().camera,
        offset_s=offset_s,
        focal_ratio=ratio,
    )


def told(seconds: float, *lessons: Lesson) -> NeighbourPrior:
    hints = neighbour_prior(facts(seconds), lessons)
    assert hints is not None
    return hints


def test_an_accepted_result_teaches_offset_and_lens() -> None:
    known = lesson_of(proposal())
    assert known.offset_s == -131.7
    assert known.focal_ratio == pytest.approx(1506.1 / (85.0 / 0.05625))
    assert known.facts == replace(facts(0.0), frame="ISS030-E-184140")
    zoom = lesson_of(replace(proposal(), focal_mm=None))
    assert zoom.focal_ratio == known.focal_ratio  # an unknown lens counts as the commonest, 85 mm


@pytest.mark.parametrize(
    "result",
    [
        proposal(verdict="review"),
        nothing_found(),
        replace(proposal(), solved=None),
        replace(proposal(), time_utc=None),
        replace(proposal(), camera_body=None),
        replace(proposal(), width_px=None),
        replace(proposal(), pixel_pitch_um=None),
        replace(proposal(), nadir=None),
        replace(proposal(), nadir=replace(proposal().nadir, source="record")),  # type: ignore[type-var]
    ],
)
def test_nothing_else_teaches_anything(result: FrameResult) -> None:
    assert lesson_of(result) is None


def test_facts_of_a_frame_and_of_its_result_are_the_same() -> None:
    frame = Frame(
        path=Path("a.jpg"),
        frame_id="ISS030-E-184140",
        sha256="",
        width_px=640,
        height_px=426,
        time_utc=TIME,
        focal_mm=85.0,
        camera_body="NIKON D3S",
    )
    assert facts_of_frame(frame) == facts_of_result(proposal())
    assert facts_of_frame(replace(frame, time_utc=None)) is None
    assert facts_of_frame(replace(frame, camera_body=None)) is None


def test_one_frame_is_enough_within_minutes_and_not_over_hours() -> None:
    near = told(0.0, lesson(300.0, 41.0))
    assert (near.offset_s, near.spread_s, near.neighbours) == (41.0, LEAST_SPREAD_S, ())
    assert neighbour_prior(facts(0.0), [lesson(3600.0, 41.0)]) is None
    assert told(0.0, lesson(3600.0, 41.0), lesson(-7200.0, 43.0)).offset_s == 42.0


def test_frames_that_disagree_over_a_day_tell_nothing() -> None:
    apart = [lesson(3600.0, 40.0), lesson(7200.0, 40.0 + AGREE_S + 1.0)]
    assert neighbour_prior(facts(0.0), apart) is None
    third = lesson(9000.0, 39.0)
    assert told(0.0, *apart, third).offset_s == 39.5  # the outlier is left out
    minority = [lesson(4000.0 + k, 1000.0 * k) for k in range(3)]
    assert neighbour_prior(facts(0.0), [*apart, third, *minority]) is None


def test_another_copy_of_the_frame_tells_the_clock() -> None:
    hints = told(0.0, lesson(0.0, 41.0, size_px=(1000, 664)))
    assert (hints.offset_s, hints.neighbours) == (41.0, ())


def test_what_is_near_counts_more_than_the_day() -> None:
    day = [lesson(3600.0 + k, 5.0) for k in range(4)]
    hints = told(0.0, lesson(-60.0, 300.0), *day)
    assert hints.offset_s == 300.0
    assert hints.frames == ("at -60 s",)


def test_a_wrong_neighbour_is_outvoted() -> None:
    hints = told(0.0, lesson(1.0, 900.0), lesson(2.0, 6.0), lesson(-3.0, 8.0))
    assert hints.offset_s == 7.0
    assert [n.frame for n in hints.neighbours] == ["at 2 s", "at -3 s"]


@pytest.mark.parametrize(
    "stranger",
    [
        lesson(10.0, 300.0, camera_body="NIKON D4"),
        lesson(43_300.0, 300.0),
    ],
)
def test_other_cameras_and_other_days_tell_nothing(stranger: Lesson) -> None:
    assert neighbour_prior(facts(0.0), [stranger]) is None


def test_the_two_nearest_neighbours_of_two_minutes_are_taken() -> None:
    hints = told(0.0, *[lesson(s, 6.0) for s in (119.0, -2.0, 121.0, 30.0)])
    assert [n.frame for n in hints.neighbours] == ["at -2 s", "at 30 s"]
    assert told(0.0, lesson(121.0, 6.0)).neighbours == ()


def test_another_lens_shares_the_clock_alone() -> None:
    hints = told(0.0, lesson(10.0, 300.0, 1.3, focal_mm=50.0))
    assert (hints.offset_s, hints.focal_ratio, hints.neighbours) == (300.0, 1.0, ())
    turned = told(0.0, lesson(10.0, 300.0, 1.3, size_px=(426, 640)))
    assert turned.focal_ratio == pytest.approx(1.3)
    assert turned.neighbours == ()  # its attitude is that of a turned picture


def test_focal_length_mirror_and_crop_are_the_majoritys() -> None:
    camera = solved().camera
    crop = replace(camera, principal_point=(250.0, 212.5), mirrored=True)
    crops = [replace(lesson(s, 6.0, 1.5), camera=crop) for s in (20.0, 30.0)]
    hints = told(0.0, lesson(10.0, 6.0, 1.0), *crops)
    assert hints.focal_ratio == pytest.approx(1.5)
    assert hints.mirrored
    assert hints.cropped
    assert [n.frame for n in hints.neighbours] == ["at 20 s", "at 30 s"]
    plain = told(0.0, lesson(10.0, 6.0, 1.01))
    assert not plain.mirrored
    assert not plain.cropped


@given(st.lists(st.floats(-1e3, 1e3), max_size=12), st.floats(0.1, 50.0))
def test_those_that_agree_are_the_largest_group(values: list[float], width: float) -> None:
    chosen = agreeing(values, width)
    assert chosen == sorted(set(chosen))
    group = [values[k] for k in chosen]
    assert not values or max(group) - min(group) <= width * (1.0 + 1e-9)
    for low in values:
        assert len(chosen) >= sum(low <= v <= low + width for v in values)


def test_of_equal_groups_the_weightier_is_taken() -> None:
    assert agreeing([100.0, 7.0, 8.0, 101.0], 5.0) == [0, 3]
    assert agreeing([], 5.0) == []


@pytest.mark.parametrize(
    ("hints", "worth"),
    [
        (NeighbourPrior(frames=("a",), offset_s=1.0, spread_s=2.0), False),
        (NeighbourPrior(frames=("a",), offset_s=-6.0, spread_s=2.0), True),
        (NeighbourPrior(frames=("a",), offset_s=0.0, spread_s=2.0, focal_ratio=1.5), True),
        (NeighbourPrior(frames=("a",), offset_s=0.0, spread_s=2.0, focal_ratio=1 / 1.5), True),
        (NeighbourPrior(frames=("a",), offset_s=0.0, spread_s=2.0, mirrored=True), True),
        (told(0.0, lesson(10.0, 0.0)), True),
    ],
)
def test_hints_that_lead_nowhere_new_are_not_worth_a_second_search(
    hints: NeighbourPrior, worth: bool
) -> None:
    assert worth_trying(hints) is worth
    assert math.isfinite(hints.offset_s)
