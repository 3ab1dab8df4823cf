"""Workers that are killed, starved or started in vain, and what becomes of their photos."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from worker_troubles import LARGE, attempts, die_at_every_start, process

from regengine.batch.plan import describe_failure
from regengine.batch.run import BatchOptions, run_batch
from regengine.batch.same_settings import RunSettings
from regengine.errors import WorkerError
from regengine.result import FrameResult
from regengine.store.writer import StoreWriter

OPTIONS = BatchOptions(settings=RunSettings(parameters="{}", sha256="p"), workers=2, limit_s=60.0)


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


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_sends_costs_a_second_try_at_most(tmp_path: Path) -> None:
    """Delays in milliseconds, from before the first byte of 50 MB to after the last."""
    names = [f"sends_{delay_ms}" for delay_ms in (1, 5, 10, 20, 30, 40, 60, 90, 150, 400)]
    told = run(tmp_path, [*names, "a", "b"])
    assert {result.verdict for result in told.values()} == {"accepted"}
    tries = {name: attempts(tmp_path / f"{name}.jpg") - 1 for name in names}
    for name in names:  # the whole large result, or that of the second try
        lengths = [len(reason.text) for reason in told[name].reasons if reason.code == "large"]
        assert (lengths, tries[name]) in (([LARGE], 1), ([], 2))
    assert list(tries.values()).count(2) >= 3


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_run_and_the_store_stays_sound(tmp_path: Path) -> None:
    run(tmp_path, ["a"])
    with pytest.raises(WorkerError, match="--max-memory-mb"):
        run(tmp_path, ["a", "b", "c"], replace(OPTIONS, prepare=die_at_every_start))
    assert set(run(tmp_path, ["a", "b", "c"])) == {"a", "b", "c"}


def test_a_result_that_cannot_be_stored_fails_its_photo_alone(tmp_path: Path) -> None:
    told = run(tmp_path, ["a", "unheard_of", "b"], replace(OPTIONS, workers=0))
    assert [reason.code for reason in told.pop("unheard_of").reasons] == ["internal_error"]
    assert {result.verdict for result in told.values()} == {"accepted"}


@pytest.mark.slow
def test_a_photo_that_takes_too_long_is_given_up_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    told = run(tmp_path / "photos", ["a", "slow", "b"], replace(OPTIONS, workers=1, limit_s=5.0))
    assert [reason.code for reason in told.pop("slow").reasons] == ["timed_out"]
    assert {result.verdict for result in told.values()} == {"accepted"}


def test_a_disk_of_the_network_that_does_not_answer_is_no_photo_that_takes_too_long() -> None:
    """Both are a TimeoutError; what could not be read is tried again by the next run."""
    silent = TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
    failure = describe_failure(Path("a.jpg"), silent)
    assert failure.code == "unreadable"
    assert "a.jpg cannot be read (Connection timed out)" in failure.text
    assert describe_failure(Path("a.jpg"), TimeoutError(), 3.0).code == "timed_out"
