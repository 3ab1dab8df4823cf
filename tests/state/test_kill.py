"""Runs that are killed, stopped or refused by the disk: nothing that they reported is lost."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import regengine as rg
from benchmarks.same import compare
from tests.world.batches import (
    BatchOptions,
    count_attempts,
    hurt_worker,
    options_of,
    run_stand_in,
)
from tests.world.faults import hit_by, refusing, write_photos
from tests.world.pages import serve
from tests.world.program import begin, run, start
from tests.world.runs import LIGHTS
from tests.world.shared import make_once

PHOTOS = 6


def register(folder: Path, store: Path) -> tuple[object, ...]:
    given = ("--lights", LIGHTS, "--blind", "never", "--workers", 0, "--store", store)
    return ("register", folder, *given, "--json", "--quiet")


def detect(folder: Path, out: Path) -> tuple[object, ...]:
    return ("detect", "lights", folder, "--workers", 0, "--out", out, "--json", "--quiet")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos, and what runs over them write that nothing disturbs."""

    def make(folder: Path) -> None:
        write_photos(folder / "photos", PHOTOS)
        run(*register(folder / "photos", folder / "run.h5"))
        assert run(*detect(folder / "photos", folder / "lights.ndjson")).code == 0

    return make_once(tmp_path_factory, "undisturbed", make)


def assert_equal_stores(one: Path, other: Path) -> None:
    assert list(compare(one, other)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "moment"), [("fsync", 4), pytest.param("replace", 1, marks=pytest.mark.nightly)]
)
def test_a_killed_register_loses_nothing_and_the_next_one_goes_on(
    undisturbed: Path, tmp_path: Path, name: str, moment: int
) -> None:
    store = tmp_path / "run.h5"
    words = register(undisturbed / "photos", store)
    killed = start(*words, program=hit_by("SIGKILL", name, moment))
    assert killed.code == -signal.SIGKILL, killed.err
    if killed.records:
        there = run("show", store, "--json").records
        assert all(record in there for record in killed.records)
        assert len(there) <= PHOTOS
    again = run(*words)
    assert all(record in again.records for record in killed.records)
    assert len(again.records) == PHOTOS
    assert run("verify", store).code == 0
    assert_equal_stores(store, undisturbed / "run.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


def test_a_killed_detect_keeps_its_lines_and_the_next_one_goes_on(
    undisturbed: Path, tmp_path: Path
) -> None:
    out, whole = tmp_path / "lights.ndjson", undisturbed / "lights.ndjson"
    killed = start(*detect(undisturbed / "photos", out), program=hit_by("SIGKILL", "fsync", 5))
    assert killed.code == -signal.SIGKILL, killed.err
    files = "".join(path.read_text() for path in tmp_path.glob("lights.ndjson*"))
    assert set(killed.out.splitlines()) <= set(files.splitlines())
    assert run(*detect(undisturbed / "photos", out)).code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["lights.ndjson"]


def test_a_full_disk_costs_nothing_that_was_reported(undisturbed: Path, tmp_path: Path) -> None:
    store = tmp_path / "run.h5"
    words = register(undisturbed / "photos", store)
    with refusing("fsync", 3, errno.ENOSPC) as refused:
        said = run(*words)
    assert refused()
    assert (said.code, len(said.err.splitlines())) == (3, 1)
    assert "disk is full" in said.err
    told = {record["frame"] for record in run(*words).records}
    assert {record["frame"] for record in said.records} <= told
    assert_equal_stores(store, undisturbed / "run.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["run.h5"]


@pytest.mark.slow
def test_a_run_under_way_can_be_read_and_shuts_out_another(
    undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "run.h5"
    words = register(undisturbed / "photos", store)
    process = begin(*words, program=hit_by("SIGSTOP", "fsync", 5))
    assert process.stdout is not None
    reported = [json.loads(process.stdout.readline()) for _ in range(3)]
    os.waitpid(process.pid, os.WUNTRACED)
    there = run("show", store, "--json").records  # with the one that is being brought to the disk
    assert (there[:3], len(there)) == (reported, 4)
    assert run("export", store, "--verdict", "all", "--format", "csv", "--table", "frames",
               "--out", tmp_path / "frames.csv").code == 0  # fmt: skip
    assert len((tmp_path / "frames.csv").read_text().splitlines()) == 1 + 4
    assert run("report", store, "--out", tmp_path / "report.html").code == 0
    assert all(one["frame"] in (tmp_path / "report.html").read_text() for one in there)
    with serve(store) as client:
        rows = client.told("frames?limit=100")["frames"]
    assert {row["frame"] for row in rows} == {one["frame"] for one in there}
    second = run(*words)
    assert (second.code, second.out) == (3, "")
    assert "is being written by another regengine" in second.err
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=120)
    assert len(out.splitlines()) == PHOTOS - 3
    assert_equal_stores(store, undisturbed / "run.h5")


def test_a_store_that_outgrows_what_the_system_allows_is_told_and_the_old_one_stays(
    store_copy: Path,
) -> None:
    before = store_copy.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    (store_copy.parent / "more").mkdir()
    more = Path(shutil.copy(store_copy, store_copy.parent / "more" / "run.h5"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 3, limits[1]))
    try:
        said = run("merge", more, "--out", store_copy, "--grow")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said.code == 3
    assert "disk is full" in said.err
    assert store_copy.read_bytes() == before
    assert sorted(path.name for path in store_copy.parent.iterdir()) == ["more", "photos", "run.h5"]


NIGHT = ("detect", "lights", "photos", "--json")
MANY = 150  # photos that take a worker long enough to be hit among them


@pytest.fixture
def many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``photos`` in the working directory."""
    monkeypatch.chdir(tmp_path)
    write_photos(Path("photos"), MANY)


@pytest.mark.slow
def test_ctrl_c_ends_a_run_of_workers_and_the_next_goes_on(many: None) -> None:
    words = (*NIGHT, "--workers", 1, "--out", "out.ndjson")
    with begin(*words, start_new_session=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)  # a terminal signals the workers, too
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "run the same command again to resume" in err
    assert "Traceback" not in err
    lines = Path("out.ndjson").read_text().splitlines()
    assert set((first + out).splitlines()) <= set(lines)
    assert 0 < len(lines) < MANY
    again = run(*NIGHT, "--workers", 0, "--out", "out.ndjson")
    there = "1 was" if len(lines) == 1 else f"{len(lines)} were"
    assert f"{there} already there" in again.err
    assert len(Path("out.ndjson").read_text().splitlines()) == MANY


OPTIONS = options_of(workers=2, limit_s=60.0)


def run_hurt(
    folder: Path, names: Sequence[str], options: BatchOptions = OPTIONS
) -> dict[str, rg.FrameResult]:
    photos = [folder / f"{name}.jpg" for name in names]
    for path in photos:
        path.write_bytes(path.name.encode())
    reported: list[rg.FrameResult] = []
    run_stand_in(photos, folder / "run.h5", options, hurt_worker, reported)
    assert sorted(result.frame for result in reported) == sorted(names)
    return {result.frame: result for result in reported}


@pytest.mark.slow
def test_a_photo_whose_worker_was_killed_is_tried_again_and_given_up_in_the_end(
    tmp_path: Path,
) -> None:
    told = run_hurt(tmp_path, ["a", "dies_1", "b", "dies_2", "dies_9", "c", "d"])
    gone = told.pop("dies_9")
    assert gone.reasons[0].code == "worker_died"
    assert "dies_9.jpg" in gone.reasons[0].text
    assert {result.verdict for result in told.values()} == {"accepted"}
    # What waited behind the dying ones was not tried for nothing
    names = ("a", "dies_2", "dies_9")
    assert [count_attempts(tmp_path / f"{name}.jpg") - 1 for name in names] == [1, 3, 3]


def test_a_result_that_cannot_be_stored_fails_its_photo_alone(tmp_path: Path) -> None:
    told = run_hurt(tmp_path, ["a", "unheard_of", "b"], replace(OPTIONS, workers=0))
    assert [reason.code for reason in told.pop("unheard_of").reasons] == ["internal_error"]
    assert {result.verdict for result in told.values()} == {"accepted"}


@pytest.mark.nightly
def test_a_photo_that_takes_too_long_is_given_up_and_no_other(tmp_path: Path) -> None:
    told = run_hurt(tmp_path, ["a", "slow", "b"], replace(OPTIONS, workers=1, limit_s=5.0))
    assert [reason.code for reason in told.pop("slow").reasons] == ["timed_out"]
    assert {result.verdict for result in told.values()} == {"accepted"}
