"""Runs that are killed, stopped or refused by the disk: nothing that they reported is lost."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.world.faults import begin_hit, refusing, start_hit, write_photos
from tests.world.pages import serve
from tests.world.program import run
from tests.world.shared import make_once

PHOTOS = 6
LIGHTS = ROOT / "data_samples" / "lights.tif"
# The folder of the journal, each photo, the store, its folder, and once more without the journal
OF_THE_STORE = PHOTOS + 2


def register(folder: Path, store: Path) -> tuple[object, ...]:
    given = ("--lights", LIGHTS, "--blind", "never", "--workers", 0, "--store", store)
    return ("register", folder, *given, "--json", "--quiet")


def detect(folder: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("detect", "lights", folder, "--workers", 0, "--out", out, "--json", "--quiet", *more)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos, and what runs over them write that nothing disturbs."""

    def make(folder: Path) -> None:
        write_photos(folder / "photos", PHOTOS)
        run(*register(folder / "photos", folder / "run.h5"))
        assert run(*detect(folder / "photos", folder / "lights.ndjson")).code == 0

    return make_once(tmp_path_factory, "undisturbed", make)


def columns(store: Path) -> dict[str, Any]:
    """Everything in a store that equal runs have in common."""
    with h5py.File(store) as file:
        return {
            f"{group}/{name}": column[()].tolist()
            for group in file
            for name, column in file[group].items()
            if not column.attrs["volatile"]
        }


def assert_equal_stores(one: Path, other: Path) -> None:
    expected = columns(other)
    for name, values in columns(one).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "moment"),
    [("fsync", 1), ("fsync", 4), ("replace", 1), ("fsync", OF_THE_STORE + 2)],
)
def test_a_killed_register_loses_nothing_and_the_next_one_goes_on(
    undisturbed: Path, tmp_path: Path, name: str, moment: int
) -> None:
    store = tmp_path / "run.h5"
    words = register(undisturbed / "photos", store)
    killed = start_hit("SIGKILL", name, moment, *words)
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


@pytest.mark.parametrize(
    ("moment", "more"), [(5, ()), pytest.param(4, ("--no-resume",), marks=pytest.mark.slow)]
)
def test_a_killed_detect_keeps_its_lines_and_the_next_one_goes_on(
    undisturbed: Path, tmp_path: Path, moment: int, more: tuple[str, ...]
) -> None:
    out, whole = tmp_path / "lights.ndjson", undisturbed / "lights.ndjson"
    if more:
        shutil.copy(whole, out)
    killed = start_hit("SIGKILL", "fsync", moment, *detect(undisturbed / "photos", out, *more))
    assert killed.code == -signal.SIGKILL, killed.err
    files = "".join(path.read_text() for path in tmp_path.glob("lights.ndjson*"))
    assert set(killed.out.splitlines()) <= set(files.splitlines())
    assert run(*detect(undisturbed / "photos", out)).code == 0
    assert out.read_bytes() == whole.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["lights.ndjson"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number", "words"),
    [
        ("fsync", errno.ENOSPC, "disk is full"),
        ("replace", errno.EROFS, "cannot be written"),
    ],
)
def test_a_disk_that_refuses_once_costs_nothing_that_was_reported(
    undisturbed: Path, tmp_path: Path, name: str, number: int, words: str
) -> None:
    for command, result in ((register, "run.h5"), (detect, "lights.ndjson")):
        for moment in range(1, 12):
            target = tmp_path / f"{result} {name} {moment}" / result
            again = command(undisturbed / "photos", target)
            with refusing(name, moment, number) as refused:
                said = run(*again)
            if not refused():
                break
            assert said.code == 3, (moment, said)
            assert words in said.err
            assert len(said.err.splitlines()) == 1
            told = {record["frame"] for record in run(*again).records} if said.out else set()
            assert {record["frame"] for record in said.records} <= told or result != "run.h5"
            run(*again)
            if result == "run.h5":
                assert_equal_stores(target, undisturbed / result)
            else:
                assert target.read_bytes() == (undisturbed / result).read_bytes()
            assert [path.name for path in target.parent.iterdir()] == [result]
        else:
            pytest.fail("the disk was always asked for more")


@pytest.mark.slow
def test_a_run_under_way_can_be_read_and_shuts_out_another(
    undisturbed: Path, tmp_path: Path
) -> None:
    store = tmp_path / "run.h5"
    words = register(undisturbed / "photos", store)
    process = begin_hit("SIGSTOP", "fsync", 5, *words)
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SIGINT", "SIGTERM"])
def test_a_run_that_is_asked_to_stop_keeps_what_it_has(
    undisturbed: Path, tmp_path: Path, kind: str
) -> None:
    store = tmp_path / "run.h5"
    words = register(undisturbed / "photos", store)
    stopped = start_hit(kind, "fsync", 3, *words)
    assert stopped.code == 130, stopped.err
    assert 0 < len(stopped.records) < PHOTOS
    assert run("show", store, "--json").records == stopped.records
    assert len(run(*words).records) == PHOTOS
    assert_equal_stores(store, undisturbed / "run.h5")


@pytest.mark.slow
def test_what_a_crash_tore_is_left_out_and_done_again(undisturbed: Path, tmp_path: Path) -> None:
    store = tmp_path / "run.h5"
    words = register(undisturbed / "photos", store)
    start_hit("SIGKILL", "fsync", 5, *words)
    torn = max((path for path in tmp_path.rglob("*") if path.is_file()), key=os.path.getsize)
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    assert len(run(*words).records) == PHOTOS
    assert run("verify", store).code == 0
    assert sorted(columns(store)["frames/frame"]) == sorted(
        columns(undisturbed / "run.h5")["frames/frame"]
    )


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_store_that_outgrows_what_the_system_allows_is_told_and_the_old_one_stays(
    store_copy: Path, share: float
) -> None:
    before = store_copy.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    (store_copy.parent / "more").mkdir()
    more = Path(shutil.copy(store_copy, store_copy.parent / "more" / "run.h5"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * len(before)), limits[1]))
    try:
        said = run("merge", more, "--out", store_copy, "--grow")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said.code == 3
    assert "disk is full" in said.err
    assert store_copy.read_bytes() == before
    assert sorted(path.name for path in store_copy.parent.iterdir()) == ["more", "photos", "run.h5"]


def test_a_folder_that_may_not_be_written_is_told_before_any_work(undisturbed: Path) -> None:
    said = run(*register(undisturbed / "photos", Path("/proc/nowhere/run.h5")))
    assert (said.code, said.out, len(said.err.splitlines())) == (3, "", 1)
    assert "/proc/nowhere/run.h5 cannot be written" in said.err
