"""Commands that say a line of each photo: in order, safe before it is told, taken up again."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from regengine.batch.each_photo import each_photo
from regengine.batch.pool import TeamOptions
from regengine.errors import FrameError
from regengine.result import Failure
from tests.conftest import ROOT
from tests.regengine.batch.answered import Deadly, make_photos, told

NAMES = [f"f{number:02d}.jpg" for number in range(12)]
MANY = [f"f{number:03d}.jpg" for number in range(200)]  # never all done before a signal
SCRIPT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from regengine.batch.each_photo import answers
    from regengine.batch.console import stop_on_signals
    from tests.regengine.batch.answered import options, slow_answer

    if __name__ == "__main__":
        photos = sorted(Path(sys.argv[1]).iterdir())
        done = 0
        with stop_on_signals() as stop:
            run = options(Path(sys.argv[2]), workers=int(sys.argv[3]))
            for path, outcome in answers(photos, slow_answer, run, stop):
                print(path.name, flush=True)
                done += 1
        sys.exit(130 if stop() and done < len(photos) else 0)
    """
)


@pytest.fixture
def photos(tmp_path):
    return make_photos(tmp_path / "photos", NAMES)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.ndjson"


def frames(out):
    return [json.loads(line)["frame"] for line in out.read_text().splitlines()]


def start(photos, out, workers):
    """A run in a process group of its own, as a terminal makes one."""
    command = [sys.executable, "-c", SCRIPT, str(photos[0].parent), str(out), str(workers)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def test_records_are_stamped_and_in_the_order_given(photos, out, tmp_path):
    bad = make_photos(tmp_path / "more", ["bad.jpg"])
    given = [photos[3], tmp_path / "gone.jpg", *bad, photos[0]]
    said = told(given, out)
    assert said["f03.jpg"] == "f03 4"
    assert said["bad.jpg"] == "unreadable"
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["frame"] for record in records] == ["f03", "gone", "bad", "f00"]
    assert list(records[0])[-3:] == ["command", "sha256", "parameters_sha256"]
    assert records[1]["sha256"] == ""
    assert records[2]["failed"]["code"] == "unreadable"
    assert "size" in records[3]


def test_what_is_there_is_not_done_again(photos, out):
    assert set(told(photos[:4], out).values()) != {"there"}
    said = told(photos[:6], out)
    assert [said[name] for name in NAMES[:6]] == ["there"] * 4 + ["f04 5", "f05 6"]
    photos[0].write_bytes(b"changed")
    assert told(photos[:2], out) == {"f00.jpg": "f00 7", "f01.jpg": "there"}
    other = told(photos[:1], out, parameters_sha256="b" * 64)
    assert other == {"f00.jpg": "f00 7"}
    assert told(photos[1:2], out, resume=False) == {"f01.jpg": "f01 2"}
    assert frames(out) == ["f01"]


def test_failed_photos_are_done_again_on_demand(out, tmp_path):
    given = make_photos(tmp_path / "photos", ["a.jpg", "bad.jpg", "c.jpg"])
    told(given, out)
    assert told(given, out) == dict.fromkeys(("a.jpg", "bad.jpg", "c.jpg"), "there")
    again = told(given, out, retry_failed=True)
    assert again == {"a.jpg": "there", "bad.jpg": "unreadable", "c.jpg": "there"}
    assert frames(out) == ["a", "bad", "c"]


def test_workers_change_nothing(photos, tmp_path):
    alone, together = tmp_path / "alone.ndjson", tmp_path / "together.ndjson"
    told(photos, alone)
    told(photos, together, workers=2)
    assert together.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize(
    ("deaths", "end"), [(1, "deadly 3"), pytest.param(9, "worker_died", marks=pytest.mark.slow)]
)
def test_a_photo_whose_worker_dies_is_tried_again_and_costs_no_other(tmp_path, out, deaths, end):
    names = ["a.jpg", "b.jpg", "deadly.jpg", "c.jpg", "d.jpg"]
    given = make_photos(tmp_path / "photos", names)
    marks = tmp_path / "marks"
    marks.mkdir()
    said = told(given, out, Deadly(marks, deaths), workers=2)
    assert [said[name] for name in names] == ["a 1", "b 2", end, "c 4", "d 5"]
    assert len(list(marks.iterdir())) == min(deaths, 3)
    assert frames(out) == ["a", "b", "deadly", "c", "d"]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_after_kills_the_file_is_that_of_an_uninterrupted_run(photos, out, tmp_path, workers):
    whole = tmp_path / "whole.ndjson"
    told(photos, whole)
    chance = random.Random(7)
    for lines in (1, 4):
        run = start(photos, out, workers)
        seen = [run.stdout.readline().strip() for _ in range(lines)]
        time.sleep(chance.uniform(0.0, 0.2))
        os.killpg(run.pid, signal.SIGKILL)
        rest = run.stdout.read()
        run.communicate()
        seen += [one for one in rest.splitlines() if one in NAMES]
        safe = out.read_bytes().splitlines(keepends=True)
        kept = [json.loads(one)["frame"] for one in safe if one.endswith(b"\n")]
        assert {name[:3] for name in seen} <= set(kept)
        assert kept == [name[:3] for name in NAMES[: len(kept)]]
    told(photos, out)
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_group_ends_the_run_in_order(tmp_path, out, number):
    run = start(make_photos(tmp_path / "photos", MANY), out, 2)
    first = run.stdout.readline().strip()
    os.killpg(run.pid, number)
    # not `communicate` alone: it forgets the lines that came with the first one
    rest = run.stdout.read()
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in errors
    seen = [first, *rest.split()]
    assert len(seen) < len(MANY)
    assert [f"{frame}.jpg" for frame in frames(out)] == seen == MANY[: len(seen)]


def test_a_signal_while_workers_begin_does_not_kill_them(tmp_path, out):
    run = start(make_photos(tmp_path / "photos", MANY), out, 2)
    while not out.exists():
        assert run.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "KeyboardInterrupt" not in errors


def length_or_trouble(path: Path) -> int:
    if path.name == "unreadable":
        raise FrameError(f"{path} is no photo; give another")
    if path.name == "bug":
        raise ZeroDivisionError("by zero")
    if path.name == "greedy":
        raise MemoryError
    if path.name == "deadly":
        os._exit(7)
    if path.name == "large":
        return len(bytearray(4 << 30))
    if path.name == "picture":
        return len(cv2.resize(np.zeros((9, 9), np.float32), (32_000, 32_000)))
    if path.name == "slow":
        time.sleep(60.0)
    return len(path.name)


def results(told):
    """Without the turns that the caller gets."""
    return [one for one in told if one is not None]


@pytest.mark.parametrize("workers", [0, 2])
def test_one_bad_photo_stops_nothing(workers: int) -> None:
    names = ["a", "unreadable", "bb", "bug", "greedy", "ccc"]
    photos = [Path(name) for name in names]
    done = results(each_photo(photos, length_or_trouble, TeamOptions(workers=workers)))
    assert [path for path, _ in done] == photos
    values = [value.code if isinstance(value, Failure) else value for _, value in done]
    assert values == [1, "unreadable", 2, "internal_error", "out_of_memory", 3]
    assert isinstance(done[3][1], Failure)
    assert "ZeroDivisionError: by zero" in done[3][1].text


def test_what_needs_too_much_memory_fails_alone() -> None:
    photos = [Path(name) for name in ("a", "large", "picture", "bb")]
    done = results(each_photo(photos, length_or_trouble, TeamOptions(workers=1, memory_mb=800)))
    values = [value.code if isinstance(value, Failure) else value for _, value in done]
    assert values == [1, "out_of_memory", "out_of_memory", 2]
