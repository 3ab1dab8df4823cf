"""Photos of a batch: their order and its end, and how they help each other."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.same import compare
from regengine import open_store
from regengine.registration.priors import NeighbourPrior
from regengine.runs.map_photos import Executor
from regengine.runs.plan import RunSettings, Task
from regengine.runs.run import BatchOptions, BatchSummary, run_batch
from regengine.store.result import FrameResult
from regengine.store.writer import StoreWriter
from tests.conftest import ROOT
from tests.world.results import nothing_found, proposal
from tests.world.sharing import register


def tasks(taken: list[int], count: int = 9) -> Iterator[tuple[Task, str | None]]:
    """Every third needs work; ``taken`` tells how far it went."""
    for number in range(count):
        taken.append(number)
        task = Task(path=Path(str(number)), frame_index=number)
        yield task, None if number % 3 == 0 else f"known {number}"


def work(task: Task) -> str:
    return f"done {task.frame_index}"


def test_a_stop_is_heard_between_photos_that_are_known() -> None:
    """A run that goes on may have thousands of them; what is known needs no work."""
    taken: list[int] = []
    seen: list[tuple[int, str]] = []
    for some in Executor(work).map_photos(tasks(taken), lambda: len(seen) > 4):
        seen.extend((task.frame_index, outcome) for task, outcome in some)
    assert len(seen) == 5
    assert len(taken) <= 6
    assert all(outcome == f"{'known' if n % 3 else 'done'} {n}" for n, outcome in seen)


# Passes, what is held back, what stands in the end


OPTIONS = BatchOptions(
    settings=RunSettings(parameters="{}", sha256="p"), workers=0, neighbours=True
)
LAPSE = ("0000_a.jpg", "0010_b_hard.jpg", "0020_c.jpg", "0500_d_hard.jpg", "0600_e_hopeless.jpg")


def run(
    photos: Sequence[Path],
    store: Path,
    options: BatchOptions = OPTIONS,
    process: Callable[..., FrameResult] = register,
) -> tuple[list[FrameResult], BatchSummary]:
    reported: list[FrameResult] = []
    with StoreWriter(store) as writer:
        summary = run_batch(photos, process, writer, options, reported.append)
    return reported, summary


def make(folder: Path, *names: str) -> list[Path]:
    """Photos whose names tell the stand-in when they were taken and what becomes of them."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [folder / name for name in names]


def hint_of(result: FrameResult) -> str | None:
    return dict(result.sources).get("hint")


def test_frames_are_solved_by_what_others_tell_them_and_say_so(tmp_path: Path) -> None:
    photos = make(tmp_path / "photos", *LAPSE)
    alone, _ = run(photos, tmp_path / "alone.h5", replace(OPTIONS, neighbours=False))
    assert [r.verdict for r in alone] == ["accepted", "review", "accepted", "review", "review"]
    reported, summary = run(photos, tmp_path / "run.h5")
    assert summary.verdicts == {"accepted": 4, "review": 1}
    told = {result.frame[5]: result for result in reported}
    assert hint_of(told["a"]) is None
    assert hint_of(told["b"]) == (
        "searched again with clock and lens of 0000_a, 0020_c, neighbour 0000_a and 0020_c"
    )
    assert hint_of(told["d"]) == ("searched again with clock and lens of 0020_c, 0000_a")
    assert hint_of(told["e"]) is None  # the first result stands
    assert told["e"].probability == 0.5
    assert (told["d"].seconds, told["e"].seconds) == (2.0, 2.0)
    assert {one.frame: one.result for one in open_store(tmp_path / "run.h5")} == {
        result.frame: result for result in reported
    }


def assert_equal(one: Path, two: Path) -> None:
    assert list(compare(one, two)) == []


SCRIPT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tests.world.sharing import register
    from regengine.runs.remote import find_photos
    from regengine.runs.run import BatchOptions, run_batch
    from regengine.runs.plan import RunSettings
    from regengine.store.records import record_line
    from regengine.store import writer as writer_module

    settings = RunSettings(parameters="{}", sha256="p")
    options = BatchOptions(settings=settings, workers=0, neighbours=True)
    with writer_module.StoreWriter(Path(sys.argv[2])) as writer:
        report = lambda result: print(record_line(result), flush=True)
        run_batch(find_photos([sys.argv[1]]), register, writer, options, report)
    """
)


@pytest.mark.slow
def test_a_kill_between_passes_loses_nothing_that_was_reported(tmp_path: Path) -> None:
    names = ("0000_a.jpg", "0010_b_hard.jpg", "0500_c_hard.jpg", "0700_hard_never_again.jpg",
             "0800_e.jpg")  # fmt: skip
    photos = make(tmp_path / "photos", *names)
    store = tmp_path / "run.h5"
    command = [sys.executable, "-c", SCRIPT, photos[0].parent, store]
    killed = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    reported = [json.loads(line)["frame"] for line in killed.stdout.splitlines()]
    assert {"0000_a", "0010_b_hard", "0500_c_hard", "0800_e"} == set(reported)
    stored = {one.frame: one.verdict for one in open_store(store)}
    # The result of its first search is safe, and not told: it may change
    assert stored == {**dict.fromkeys(reported, "accepted"), "0700_hard_never_again": "review"}

    def mended(path: Path, neighbours: NeighbourPrior | None = None) -> FrameResult:
        result = register(path.with_name(path.name.replace("never", "ever")), neighbours)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return replace(result, frame=path.stem, path=str(path), sha256=sha256)

    resumed, summary = run(photos, store, process=mended)
    assert len(summary.taken) == len(stored)
    assert summary.verdicts == {"accepted": 5}
    whole, _ = run(photos, tmp_path / "whole.h5", process=mended)
    assert sorted(r.frame for r in resumed) == sorted(r.frame for r in whole)
    assert {r.frame: hint_of(r) for r in resumed} == {r.frame: hint_of(r) for r in whole}
    assert_equal(store, tmp_path / "whole.h5")


def test_stored_frames_help_as_they_did_when_they_were_made(tmp_path: Path) -> None:
    """A result of the second search is no help: it was not there in the run that made it."""
    photos = make(tmp_path / "photos", "0000_a.jpg", "0500_b_hard.jpg", "0600_c_hard.jpg")
    run(photos, tmp_path / "whole.h5")
    run(photos[:2], tmp_path / "grown.h5")
    run(photos, tmp_path / "grown.h5")
    assert_equal(tmp_path / "whole.h5", tmp_path / "grown.h5")


@pytest.mark.parametrize(
    ("new", "first", "wins"),
    [
        (proposal(verdict="accepted"), 0.9999, True),
        (replace(proposal(verdict="review"), probability=0.6), 0.5, True),
        (replace(proposal(verdict="review"), probability=0.4), 0.5, False),
        (replace(nothing_found(), probability=0.04), 0.0, False),
        (replace(nothing_found(), verdict="failed"), 0.0, False),
    ],
)
def test_a_second_result_stands_where_it_is_accepted_or_likelier(
    new: FrameResult, first: float, wins: bool
) -> None:
    assert new.replaces(first) is wins


@pytest.mark.parametrize("order", [(4, 1, 3, 0, 2), (4, 3, 2, 1, 0)])
def test_a_second_search_is_told_by_the_frames_of_half_a_day_in_whatever_order_they_came(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    """Names count seconds; half a day is 43,200 of them. The nearest are told first."""
    names = ["6799_too_early.jpg", "6800_a.jpg", "50000_hard.jpg", "93200_b.jpg", "93201_late.jpg"]
    photos = make(tmp_path / "photos", *names)
    results, _ = run([photos[k] for k in order], tmp_path / "run.h5")
    (hard,) = (one for one in results if "hard" in one.frame)
    assert hard.verdict == "accepted"
    assert hint_of(hard) == "searched again with clock and lens of 6800_a, 93200_b"
