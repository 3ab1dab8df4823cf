"""Batches: what is found, what is skipped, what goes wrong, what is reported when."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.same import compare
from regengine.batch.plan import Task, plan, stored_verdicts
from regengine.batch.run import BatchOptions, BatchSummary, run_batch
from regengine.result import FrameResult, Reason
from regengine.store.rows import StoredFrame
from regengine.store.snapshot import parts_folder, read_store
from regengine.store.writer import StoreWriter
from tests.conftest import ROOT
from tests.example_results import fake_process, proposal

OPTIONS = BatchOptions(parameters='{"a": 1}', parameters_sha256="p1", workers=0)


def make(folder: Path, *names: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in names]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def run(
    photos: Sequence[Path], store: Path, options: BatchOptions = OPTIONS, process=fake_process
) -> tuple[list[FrameResult], BatchSummary]:
    reported: list[FrameResult] = []
    with StoreWriter(store) as writer:
        summary = run_batch(photos, process, writer, options, reported.append)
    return reported, summary


def test_one_bad_file_never_stops_a_batch(tmp_path: Path) -> None:
    photos = make(tmp_path, "a.jpg", "bad.jpg", "crash.jpg", "memory.jpg", "dark.jpg", "z.jpg")
    photos.insert(2, tmp_path / "missing.jpg")
    reported, summary = run(photos, tmp_path / "run.h5")
    assert [result.frame for result in reported] == [path.stem for path in photos]
    codes = [[reason.code for reason in result.reasons] for result in reported]
    assert codes == [
        [],
        ["unreadable"],
        ["not_found"],
        ["internal_error"],
        ["out_of_memory"],
        ["no_ephemeris"],
        [],
    ]
    for result in reported[1:5]:
        assert result.verdict == "failed"
        assert Path(result.path).name in result.reasons[0].text
    assert "ZeroDivisionError: division by zero" in reported[3].reasons[0].text
    assert reported[2].sha256 == ""
    assert summary.verdicts == {"accepted": 2, "failed": 4, "no_match": 1}
    assert [s.result for s in read_store(tmp_path / "run.h5")] == reported


def test_a_result_that_cannot_be_stored_fails_its_own_frame(tmp_path: Path) -> None:
    def process(path: Path) -> FrameResult:
        good = fake_process(path)
        return replace(good, width_px="wide") if path.stem == "b" else good  # type: ignore[arg-type]

    reported, _ = run(make(tmp_path, "a.jpg", "b.jpg", "c.jpg"), tmp_path / "r.h5", process=process)
    assert [result.verdict for result in reported] == ["accepted", "failed", "accepted"]
    assert reported[1].reasons[0].code == "internal_error"


def test_slow_frames_are_written_before_the_next_one_makes_them_wait(tmp_path: Path) -> None:
    photos = make(tmp_path, "a.jpg", "b.jpg")
    seen: list[int] = []

    def process(path: Path) -> FrameResult:
        seen.append(len(reported))
        return replace(fake_process(path), seconds=11.0)

    reported: list[FrameResult] = []
    with StoreWriter(tmp_path / "run.h5") as writer:
        run_batch(photos, process, writer, OPTIONS, reported.append)
    assert seen == [0, 1]


def test_the_same_settings_are_not_worked_out_again(tmp_path: Path) -> None:
    store = tmp_path / "run.h5"
    photos = make(tmp_path, "a.jpg", "bad.jpg", "dark.jpg")
    first, _ = run(photos, store)
    done: list[str] = []

    def process(path: Path) -> FrameResult:
        done.append(path.name)
        return fake_process(path)

    again, summary = run([*photos, *make(tmp_path, "new.jpg")], store, process=process)
    assert done == ["bad.jpg", "new.jpg"]  # a failure may have passed
    assert summary.resumed == 2
    assert {result.frame for result in again} == {"a", "bad", "dark", "new"}
    assert next(r for r in again if r.frame == "a") == first[0]
    indices = {s.result.frame: s.frame_index for s in read_store(store)}
    assert indices == {"a": 0, "bad": 1, "dark": 2, "new": 3}


def test_verdicts_can_be_worked_out_again(tmp_path: Path) -> None:
    store = tmp_path / "run.h5"
    photos = make(tmp_path, "a.jpg", "bad.jpg", "dark.jpg")
    run(photos, store)
    done: list[str] = []

    def process(path: Path) -> FrameResult:
        done.append(path.name)
        return proposal(path.stem)

    options = replace(OPTIONS, retry=frozenset(["failed", "no_match"]))
    _, summary = run(photos, store, options, process=process)
    assert done == ["bad.jpg", "dark.jpg"]
    assert summary.resumed == 1
    assert summary.verdicts == {"accepted": 3}


@pytest.mark.parametrize("code", ["unreadable", "internal_error", "timed_out"])
def test_a_failure_that_may_have_passed_is_tried_again(tmp_path: Path, code: str) -> None:
    """Of the same bytes, too: the disk was full, or gone, after they had been read once."""
    store = tmp_path / "run.h5"
    photos = make(tmp_path, "a.jpg")

    def fails(path: Path) -> FrameResult:
        reason = Reason(code=code, text="It could not be done.")
        return replace(fake_process(path), verdict="failed", probability=None, reasons=(reason,))

    run(photos, store, process=fails)
    costly = code == "timed_out"  # takes minutes each time: only where it is asked for
    told = stored_verdicts(photos, store, parameters_sha256=OPTIONS.parameters_sha256)
    assert told == ({photos[0]: "failed"} if costly else {})
    assert run(photos, store)[1].verdicts == {"failed" if costly else "accepted": 1}
    assert run(photos, store, replace(OPTIONS, retry=frozenset(["failed"])))[1].verdicts == {
        "accepted": 1
    }


def test_a_photo_that_can_be_read_again_is_done_again(tmp_path: Path) -> None:
    store = tmp_path / "run.h5"
    gone = tmp_path / "a.jpg"
    assert run([gone], store)[1].verdicts == {"failed": 1}
    assert run([gone], store)[1].verdicts == {"failed": 1}
    make(tmp_path, "a.jpg")
    assert run([gone], store)[1].verdicts == {"accepted": 1}
    (row,) = read_store(store)
    assert row.result.verdict == "accepted"


def test_numbers_that_a_killed_run_left_out_are_given_to_its_photos(tmp_path: Path) -> None:
    photos = make(tmp_path, *(f"{letter}.jpg" for letter in "abcdef"))
    store = tmp_path / "run.h5"
    with StoreWriter(store) as writer:  # as workers leave it: the second and fourth are missing
        tasks = [t for t in plan(photos, writer, parameters_sha256="p1") if isinstance(t, Task)]
        for task in tasks:
            if task.path.stem in "acef":
                result = fake_process(task.path)
                index = task.frame_index
                writer.add(StoredFrame(frame_index=index, result=result, parameters_sha256="p1"))
        writer.flush()
    run([*photos, *make(tmp_path, "g.jpg")], store)
    numbers = {s.result.frame: s.frame_index for s in read_store(store)}
    assert numbers == {letter: k for k, letter in enumerate("abcdefg")}


@pytest.mark.parametrize(
    "options",
    [replace(OPTIONS, parameters_sha256="p2"), replace(OPTIONS, resume=False)],
    ids=["other settings", "no resume"],
)
def test_other_settings_or_no_resume_replace_the_rows(
    tmp_path: Path, options: BatchOptions
) -> None:
    store = tmp_path / "run.h5"
    photos = make(tmp_path, "a.jpg", "b.jpg")
    run(photos, store)

    def better(path: Path) -> FrameResult:
        return replace(fake_process(path), probability=0.5)

    _, summary = run(photos[:1], store, options, process=better)
    assert summary.resumed == 0
    rows = read_store(store)
    assert [(s.frame_index, s.result.probability) for s in rows] == [(0, 0.5), (1, 0.9997)]
    assert rows[0].parameters_sha256 == options.parameters_sha256


def test_a_photo_that_moved_is_the_same_and_one_that_changed_is_not(tmp_path: Path) -> None:
    store = tmp_path / "run.h5"
    (photo,) = make(tmp_path / "here", "a.jpg")
    run([photo], store)
    (tmp_path / "there").mkdir()
    moved = photo.rename(tmp_path / "there" / "a.jpg")
    assert run([moved], store)[1].resumed == 1
    moved.write_bytes(b"edited")
    assert run([moved], store)[1].resumed == 0
    assert len(read_store(store)) == 2


def test_a_photo_given_twice_is_done_once(tmp_path: Path) -> None:
    one, other = make(tmp_path / "x", "a.jpg")[0], make(tmp_path / "y", "a.jpg")[0]
    assert len(run([one, other], tmp_path / "run.h5")[0]) == 1


def test_equal_runs_give_equal_stores_but_for_volatile_columns(tmp_path: Path) -> None:
    photos = make(tmp_path / "photos", "a.jpg", "bad.jpg", "dark.jpg")
    for name, workers in (("one.h5", 0), ("two.h5", 2)):
        run(photos, tmp_path / name, replace(OPTIONS, workers=workers))
    assert list(compare(tmp_path / "one.h5", tmp_path / "two.h5")) == []


@pytest.mark.slow
def test_a_dying_worker_and_a_slow_photo_cost_only_themselves(tmp_path: Path) -> None:
    photos = make(tmp_path, "a.jpg", "killer.jpg", "slow.jpg", "z.jpg")
    options = replace(OPTIONS, workers=2, limit_s=8.0)
    reported, _ = run(photos, tmp_path / "run.h5", options)
    told = {result.frame: result for result in reported}
    assert told["a"].verdict == told["z"].verdict == "accepted"
    assert told["killer"].reasons[0].code == "worker_died"
    assert "killer.jpg" in told["killer"].reasons[0].text
    assert told["slow"].reasons[0].code == "timed_out"


def test_resumed_frames_pass_through_workers(tmp_path: Path) -> None:
    photos = make(tmp_path, "a.jpg", "b.jpg")
    run(photos[:1], tmp_path / "run.h5")
    _, summary = run(photos, tmp_path / "run.h5", replace(OPTIONS, workers=1))
    assert (summary.resumed, summary.verdicts["accepted"]) == (1, 2)


def test_odd_file_names_reach_store_and_record(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/na\xefve.jpg"))
    path.write_bytes(b"x")
    (result,), _ = run([path], tmp_path / "run.h5", process=lambda p: proposal())
    assert result.verdict == "accepted"
    (failed,), _ = run([path.with_name("\udcefbad.jpg")], tmp_path / "run.h5")
    assert "bad.jpg" in failed.path
    assert len(read_store(tmp_path / "run.h5")) == 2


# A run that is killed at any instant has lost nothing that it reported

KILLED_PHOTOS = 16
# The run is killed after so many lines
LINES = (1, 4, 9, 13, KILLED_PHOTOS, 1, KILLED_PHOTOS, KILLED_PHOTOS)
SCRIPT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from regengine.batch.discover import find_photos
    from regengine.batch.run import BatchOptions, run_batch
    from regengine.records import record_line
    from regengine.store import writer as writer_module
    from tests.example_results import fake_process

    writer_module.PART_FRAMES = 2
    options = BatchOptions(parameters="{}", parameters_sha256="p", workers=0)
    with writer_module.StoreWriter(Path(sys.argv[2])) as writer:
        report = lambda result: print(record_line(result), flush=True)
        run_batch(find_photos([sys.argv[1]]), fake_process, writer, options, report)
    print("end", flush=True)
    """
)


def start_killable(photos: Path, store: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(photos), str(store)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def many_photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(KILLED_PHOTOS):
        (folder / f"f{number:02d}.jpg").write_bytes(bytes([number]))
    return folder


@pytest.mark.slow
def test_nothing_reported_is_lost(tmp_path: Path, many_photos: Path) -> None:
    chance = random.Random(20120328)
    store = tmp_path / "run0.h5"
    reported: set[str] = set()
    for trial, last_line in enumerate(LINES):
        if len(reported) == KILLED_PHOTOS:  # all would be resumed from here on
            store = tmp_path / f"run{trial}.h5"
            reported.clear()
        run = start_killable(many_photos, store)
        assert run.stdout is not None
        lines = [run.stdout.readline() for _ in range(last_line)]
        time.sleep(chance.uniform(0.0, 0.12))
        run.send_signal(signal.SIGKILL)
        rest = run.stdout.read()  # `communicate` forgets what was read ahead
        run.communicate()
        lines += rest.splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("}\n")]
        reported |= {json.loads(line)["frame"] for line in whole}
        kept = {stored.result.frame for stored in read_store(store)}
        assert reported <= kept
    finished = start_killable(many_photos, store)
    out, _ = finished.communicate()
    assert finished.returncode == 0
    assert out.endswith("end\n")
    names = [stored.result.frame for stored in read_store(store)]
    assert names == [f"f{number:02d}" for number in range(KILLED_PHOTOS)]
    assert not parts_folder(store).exists()
    assert [json.loads(line)["frame"] for line in out.splitlines()[:-1]] == names
