"""The benchmark of the review page: traces are read right, counts add up, truth is truth."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from benchmarks.review.effort import (
    POINTS,
    STEPS,
    Job,
    camera_error_km,
    effort_s,
    points_error_km,
    qgis_actions,
)
from benchmarks.review.page import job_lines, main_thread_tasks, trace_events
from benchmarks.review.sample import (
    HEIGHT_PX,
    PROPOSALS,
    SAMPLES,
    WIDTH_PX,
    enlarged,
    sample_result,
    true_camera,
    truth_of,
    turned_camera,
)
from matchers.camera import Camera

LIT = [frame for frame in PROPOSALS if truth_of(frame)["reference_points"]]


def told(camera: Camera) -> dict[str, object]:
    """A camera as the interface writes it."""
    return {name: getattr(camera, name) for name in Camera.__dataclass_fields__}


def task(
    start: float, wall: float, cpu: float, thread: int = 7, name: str = "RunTask"
) -> dict[str, object]:
    """A complete event of a trace, microseconds."""
    return {"ph": "X", "pid": 1, "tid": thread, "ts": start, "dur": wall, "tdur": cpu, "name": name}


def test_tasks_are_those_of_the_main_thread_each_once() -> None:
    names = [
        {"ph": "M", "pid": 1, "tid": thread, "name": "thread_name", "args": {"name": name}}
        for thread, name in ((7, "CrRendererMain"), (8, "Compositor"))
    ]
    events = [
        *names,
        task(0.0, 250_000.0, 120_000.0),
        task(10.0, 90_000.0, 80_000.0),  # within the one before
        task(300_000.0, 5_000.0, 4_000.0),
        task(0.0, 900_000.0, 900_000.0, thread=8),
        task(400_000.0, 700_000.0, 700_000.0, name="Paint"),
    ]
    for written in (events, {"traceEvents": events}):
        tasks = main_thread_tasks(trace_events(json.dumps(written).encode()))
        assert [(each.wall_ms, each.cpu_ms) for each in tasks] == [(250.0, 120.0), (5.0, 4.0)]


def test_qgis_is_counted_by_its_points() -> None:
    assert qgis_actions() == 4 * POINTS + 9
    assert sum(times == POINTS for _, times, _ in STEPS) == 4


def test_effort_adds_up() -> None:
    assert effort_s({"keys": 1}) == pytest.approx(1.63)
    assert effort_s({"drags": 4, "keys": 1}) == pytest.approx(8 * 2.55 + 1.63)


@pytest.mark.parametrize("frame", LIT)
def test_the_truth_is_free_of_error_and_the_turned_camera_is_not(frame: str) -> None:
    known = truth_of(frame)["reference_points"]
    assert camera_error_km(told(true_camera(frame)), frame) < 0.02
    assert points_error_km(known, frame) < 0.02
    wrong = camera_error_km(told(turned_camera(true_camera(frame))), frame)
    assert not wrong < 20.0


def test_an_enlarged_answer_shows_the_same_ground() -> None:
    photo = SAMPLES / "ISS990-E-000101.jpg"
    small = sample_result("ISS990-E-000101", photo)
    large = enlarged(small)
    assert (large.width_px, large.height_px) == (WIDTH_PX, HEIGHT_PX)
    assert large.solved is not None
    for before, after in zip(small.control_points, large.control_points, strict=True):
        x, y = large.solved.camera.lonlat_to_pixel(before.lon, before.lat)
        np.testing.assert_allclose(
            (x, y), (after.x, after.y), atol=5.0
        )  # 1600 x 1065 is not quite 3:2


def test_a_page_of_jobs_shows_the_counts() -> None:
    job = Job(
        name="put right",
        actions=Counter({"drags": 4, "keys": 1}),
        before_km=52.0,
        after_km=0.02,
        steps_km=(30.0, 4.0, 2.0, 0.02),
    )
    page = "\n".join(job_lines([job]))
    assert "| put right | 1 | 0 | 4 | 22 | 52.00 | 30.0, 4.0, 2.0, 0.0 | 0.02 |" in page
    assert "| QGIS's Georeferencer | 0 | 25 | 0 | 66 |" in page
