"""Workers that are killed, starved or started in vain, and what becomes of their photos."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from worker_troubles import attempts, die_at_every_start, die_at_the_first_start, process, timed

from regengine.batch import pool as team
from regengine.batch.each_photo import each_photo
from regengine.batch.pool import Given, TeamOptions, Worker
from regengine.batch.run import BatchOptions, run_batch
from regengine.errors import WorkerError
from regengine.result import FrameResult
from regengine.store.writer import StoreWriter
from tests.conftest import ROOT

OPTIONS = BatchOptions(parameters="{}", parameters_sha256="p", workers=2, limit_s=60.0)


def run(
    folder: Path, names: Sequence[str], options: BatchOptions = OPTIONS
) -> dict[str, FrameResult]:
    photos = [folder / f"{name}.jpg" for name in names]
    for path in photos:
        path.write_bytes(path.name.encode())
    reported: list[FrameResult] = []
    with StoreWriter(folder / "run.h5") as writer:
        run_batch(photos, process, writer, options, reported.append)
    assert sorted(result.frame for result in reported) == sorted(names)
    return {result.frame: result for result in reported}


@pytest.mark.slow
def test_a_photo_whose_worker_was_killed_is_tried_again_and_given_up_in_the_end(
    tmp_path: Path,
) -> None:
    told = run(tmp_path, ["a", "dies_1", "b", "dies_2", "dies_9", "c", "d"])
    gone = told.pop("dies_9")
    assert gone.reasons[0].code == "worker_died"
    assert "dies_9.jpg" in gone.reasons[0].text
    assert {result.verdict for result in told.values()} == {"accepted"}
    # What waited behind the dying ones was not tried for nothing
    assert {name: attempts(tmp_path / f"{name}.jpg") - 1 for name in ("a", "dies_2", "dies_9")} == {
        "a": 1,
        "dies_2": 3,
        "dies_9": 3,
    }


def test_a_worker_that_dies_before_its_first_photo_costs_none(tmp_path: Path) -> None:
    prepare = partial(die_at_the_first_start, tmp_path / "died")
    told = run(tmp_path, ["a", "b"], replace(OPTIONS, workers=1, prepare=prepare))
    assert (tmp_path / "died").exists()
    assert {result.verdict for result in told.values()} == {"accepted"}


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_run_and_the_store_stays_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path, ["a"])
    monkeypatch.setattr(team, "MOST_BREAKS", 2)
    with pytest.raises(WorkerError, match="--max-memory-mb"):
        run(tmp_path, ["a", "b", "c"], replace(OPTIONS, prepare=die_at_every_start))
    assert set(run(tmp_path, ["a", "b", "c"])) == {"a", "b", "c"}


@pytest.mark.slow
def test_what_a_worker_died_of_is_tried_again_while_no_other_works(tmp_path: Path) -> None:
    photos = [tmp_path / f"{name}.jpg" for name in ("long", "dies_1", "a", "b", "c")]
    for path in photos:
        path.touch()
    done = [one for one in each_photo(photos, timed, TeamOptions(workers=2)) if one is not None]
    assert [path for path, _ in done] == photos
    spans = dict(done)
    begun, ended = spans.pop(photos[1])
    assert all(end < begun or ended < start for start, end in spans.values())


def test_a_clock_that_is_set_ends_no_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_time = time.time
    calls = iter(range(1_000_000))
    monkeypatch.setattr(time, "time", lambda: true_time() + 86400.0 * next(calls))
    told = run(tmp_path, ["a", "b", "c"], replace(OPTIONS, workers=1))
    assert {result.verdict for result in told.values()} == {"accepted"}


ENDED_AT_ONCE = """
if __name__ == "__main__":
    from regengine.batch.pool import Worker

    worker = Worker()
    worker.give("a job", print, "begun")
    worker.stop().join(0.5)
"""


def test_a_worker_that_is_stopped_while_it_begins_says_nothing_and_ends(tmp_path: Path) -> None:
    """As when Ctrl-C comes in the first seconds: its process still imports then."""
    script = tmp_path / "script.py"
    script.write_text(ENDED_AT_ONCE)
    ended = subprocess.run(
        [sys.executable, script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_what_a_stopped_run_forgets_is_not_what_a_process_is_at() -> None:
    """Also in the moment in which it has begun and that is not known yet."""
    running: Future[None] = Future()
    running.set_running_or_notify_cancel()
    done: Future[None] = Future()
    done.set_result(None)
    for futures, kept in (
        ([Future[None](), Future[None]()], []),  # no process, or one that still begins
        ([running, Future[None]()], [0]),
        ([done, Future[None](), Future[None]()], [0, 1]),
    ):
        worker = Worker[int]()
        for job, future in enumerate(futures):
            worker.given.append(Given(job=job, future=future, given_s=0.0))
        worker.forget_waiting()
        assert [given.job for given in worker.given] == kept
    worker.given.popleft()
    worker.has_done_one = True  # as who takes the result in notes
    worker.forget_waiting()
    assert [given.job for given in worker.given] == [1]
