"""Searches from a rough placement: one at a time, and whatever becomes of one is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from matchers.camera import Camera
from matchers.pose import turned
from regengine.errors import ConfigError
from regengine.pipeline import RunInputs, register_from
from regengine.registration.search import RegisterParams
from regengine.review.search_jobs import SearchJob, SearchJobs
from tests.regengine.review.made_review import Browser, opened
from tests.regengine.review.made_up_searches import (
    BREAKS,
    DIES,
    FAILS,
    FINDS,
    HANGS,
    MadeUpInputs,
    made_up,
)
from tests.regengine.review.sample import SAMPLES, sample_store, true_camera

FRAME = "ISS990-E-000104"
LIGHTS = SAMPLES / "lights.tif"
INPUTS = RunInputs(lights=(LIGHTS,), tle=SAMPLES / "tle.txt")
PHOTO = Path("photo.jpg")
MADE_UP = MadeUpInputs()
FOR_EVER_S = 120.0


@pytest.fixture
def jobs() -> Iterator[SearchJobs]:
    running = SearchJobs(made_up)
    yield running
    running.close()


def camera(focal_px: float = FINDS) -> Camera:
    return replace(true_camera(FRAME), focal_px=focal_px)


def until(jobs: SearchJobs, job: SearchJob, done: Callable[[SearchJob], bool]) -> SearchJob:
    """The job once it is as it should become."""
    given_up_s = time.monotonic() + FOR_EVER_S
    while not done(jobs.look(job.job)):
        assert time.monotonic() < given_up_s, job
        time.sleep(0.02)
    return job


def ended(job: SearchJob) -> bool:
    return job.ended_s is not None


def test_whatever_becomes_of_a_search_is_told_and_the_next_one_runs(jobs: SearchJobs) -> None:
    asked = [jobs.start(PHOTO, camera(end), MADE_UP) for end in (FAILS, BREAKS, DIES)]
    told = [until(jobs, job, ended) for job in asked]
    assert [job.state for job in told] == ["failed"] * 3
    words = ("photo.jpg is no photo", "nothing to divide by", "process ended")
    for job, word in zip(told, words, strict=True):
        assert word in (job.message or "")
    found = until(jobs, jobs.start(PHOTO, camera(), INPUTS), ended)  # the real ones pickle
    assert found.state == "done"
    assert found.result is not None
    assert found.result.probability == 0.5


def test_what_a_search_found_is_told_though_nobody_looks(jobs: SearchJobs) -> None:
    told: list[tuple[str, float]] = []
    for end in (FAILS, FINDS):
        job = jobs.start(
            PHOTO, camera(end), MADE_UP, lambda result, s: told.append((result.verdict, s))
        )
    given_up_s = time.monotonic() + FOR_EVER_S
    while not told:
        assert time.monotonic() < given_up_s
        time.sleep(0.02)
    assert told == [("review", job.seconds)]


def test_cancelled_searches_end_at_once_and_those_that_wait_go_on(jobs: SearchJobs) -> None:
    first = jobs.start(PHOTO, camera(HANGS), MADE_UP)
    second = jobs.start(PHOTO, camera(HANGS), MADE_UP)
    third = jobs.start(PHOTO, camera(), MADE_UP)
    until(jobs, first, lambda job: job.state == "running")
    assert (second.state, third.state) == ("waiting", "waiting")
    jobs.cancel(second.job)
    jobs.cancel(first.job)
    assert (first.state, second.state) == ("cancelled", "cancelled")
    assert until(jobs, third, ended).state == "done"
    assert jobs.cancel(third.job).state == "done"


def test_a_search_that_hangs_is_ended(jobs: SearchJobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regengine.review.search_jobs.LIMIT_SHARE", 0.0)
    monkeypatch.setattr("regengine.review.search_jobs.LIMIT_S", 0.2)
    job = until(jobs, jobs.start(PHOTO, camera(HANGS), MADE_UP), ended)
    assert job.state == "failed"
    assert "took too long" in (job.message or "")


def test_more_than_a_few_do_not_wait(jobs: SearchJobs) -> None:
    for _ in range(8):
        jobs.start(PHOTO, camera(HANGS), MADE_UP)
    with pytest.raises(ConfigError, match="too many searches"):
        jobs.start(PHOTO, camera(), MADE_UP)


def test_requests_that_cannot_be_searched_are_told_why(client: Browser) -> None:
    sent = client.get("/api/frames/3").json()["camera"]
    other = client.post("/api/frames/3/search", {"camera": sent | {"width_px": 99}})
    assert other.status_code == 422
    assert "another size" in other.json()["detail"]
    assert client.post("/api/frames/77/search", {"camera": sent}).status_code == 404
    assert client.post("/api/frames/3/search", {"camera": sent, "seconds": 1e9}).status_code == 422
    for method in ("GET", "DELETE"):
        assert client.ask(method, "/api/jobs/0123456789abcdef").status_code == 404
        assert client.ask(method, "/api/jobs/run.h5").status_code == 422


def test_without_a_map_there_is_no_search(tmp_path: Path) -> None:
    with opened(sample_store(tmp_path / "run"), reviewer="tester") as client:
        sent = client.get("/api/frames/3").json()["camera"]
        answer = client.post("/api/frames/3/search", {"camera": sent})
    assert answer.status_code == 422
    assert "needs a night-light map" in answer.json()["detail"]


@pytest.mark.slow
def test_a_photo_laid_roughly_on_the_map_is_registered() -> None:
    truth = true_camera(FRAME)
    aside_rad = 0.06 * truth.width_px / truth.focal_px
    rough = turned(truth, (aside_rad, -aside_rad, 0.08))
    inputs = replace(INPUTS, register=RegisterParams(max_seconds=15.0))
    result = register_from(SAMPLES / f"{FRAME}.jpg", rough, inputs)
    assert result.verdict == "accepted"
    assert result.solved is not None
    corners = [0.0, truth.width_px - 1.0], [0.0, truth.height_px - 1.0]
    x, y = result.solved.camera.lonlat_to_pixel(*truth.pixel_to_lonlat(*corners))
    assert abs(x - corners[0]).max() < 2.0
    assert abs(y - corners[1]).max() < 2.0


def test_a_photo_laid_where_the_map_has_nothing_is_no_match() -> None:
    truth = true_camera(FRAME)
    x, y, z = truth.position_ecef_m
    away = replace(truth, position_ecef_m=(-x, -y, z))
    result = register_from(SAMPLES / f"{FRAME}.jpg", away, INPUTS)
    assert result.verdict == "no_match"
    assert [reason.code for reason in result.reasons] == ["outside_map"]
