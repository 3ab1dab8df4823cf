"""The store: what other programs read in it, how stores are merged, and how damage is told."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import regengine as rg
from docs.field_tables import fill_in
from tests.conftest import ROOT
from tests.world.faults import write_photos
from tests.world.program import run
from tests.world.runs import LIGHTS
from tests.world.stores import HOSTILE, make_results, write_store

GROUPS = ("frames", "control_points", "hypotheses", "detections", "provenance")


DOCUMENT = fill_in((ROOT / "docs" / "store.md").read_text(encoding="utf-8"))


def documented(group: str) -> dict[str, list[str]]:
    """The row of each column in the table of a group: type, per row, units, description."""
    table = DOCUMENT.partition(f"### `{group}`")[2].partition("\n###")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.M)
    return {name: cells.split(" | ", 3) for name, cells in rows}


def frames_of(store: Path, *names: str) -> pd.DataFrame:
    with h5py.File(store) as file:
        columns = {name: file[f"frames/{name}"][()] for name in names}
    texts = {name: np.char.decode(v, "utf-8") for name, v in columns.items() if v.dtype.kind == "S"}
    return pd.DataFrame(columns | texts)


def test_every_column_is_documented_and_says_the_same_of_itself(store: Path) -> None:
    with h5py.File(store) as file:
        assert set(file) == set(GROUPS)
        for group in GROUPS:
            rows = documented(group)
            assert set(rows) == set(file[group])
            for name, (kind, width, units, description) in rows.items():
                column = file[group][name]
                assert column.dtype.kind == "S" if kind == "text" else column.dtype == kind
                assert (column.shape[1:] or (1,)) == (int(width),)
                assert column.attrs["units"] == units.replace("–", "")
                told = column.attrs["description"]
                assert told + " (volatile)" * int(column.attrs["volatile"]) == description
                assert column.compression == "gzip"
                assert column.fletcher32
        assert (file.attrs["format"], file.attrs["format_version"]) == ("regengine", 8)
        assert set(json.loads(file.attrs["package_versions"])) > {"regengine", "numpy", "python"}


def test_names_come_back_as_they_were_whatever_is_in_them(store: Path) -> None:
    names = frames_of(store, "frame", "camera_body").iloc[32:]
    assert list(names.frame) == list(HOSTILE)
    bodies = ["" if n % 5 == 3 else name for n, name in enumerate(HOSTILE, 32)]
    assert list(names.camera_body) == bodies


def test_show_finds_a_frame_by_each_of_its_names(store: Path) -> None:
    frames = frames_of(store, "frame", "sha256")
    names = {"iss030e184141": 1, "photos/broken 2.jpg": 22, frames.sha256[7][:10]: 7}
    for name, number in names.items():
        (record,) = run("show", store, name, "--json").records
        assert record["frame"] == frames.frame[number]


HOLDING = """
import sys, h5py
file = h5py.File(sys.argv[1], "r+")
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_open(path: Path) -> Iterator[None]:
    """An HDF5 file that another process has open for writing, and is killed with it in the end."""
    words, pipe = [sys.executable, "-c", HOLDING, path], subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        yield
        holder.kill()


@pytest.mark.parametrize(
    "words", ["show", "verify", "export --format csv --out points.csv", "review --no-browser"]
)
def test_a_store_that_another_program_holds_open_is_in_use_and_not_damaged(
    store_copy: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.chdir(store_copy.parent)
    command, *options = words.split()
    with held_open(store_copy):
        before = {path.name for path in store_copy.parent.iterdir()}
        said = run(command, store_copy, *options)
    assert said.code == 3
    assert f"{store_copy} is in use: another program has it open" in said.err
    assert "damaged" not in said.err
    assert {path.name for path in store_copy.parent.iterdir()} == before


def test_a_store_that_was_not_closed_says_how_it_is_mended(store_copy: Path) -> None:
    with held_open(store_copy):
        pass
    said = run("show", store_copy)
    assert said.code == 3
    assert "in use, or was not closed" in said.err
    assert f"h5clear -s {store_copy}" in said.err
    assert "damaged" not in said.err
    if shutil.which("h5clear") is not None:
        subprocess.run(["h5clear", "-s", store_copy], check=True)
        assert run("verify", store_copy).code == 0


def test_merging_is_the_union_and_of_a_photo_in_both_the_better_is_taken(tmp_path: Path) -> None:
    results = make_results()[:24]
    failed = replace(results[3], verdict="failed", control_points=(), footprint=None, solved=None,
                     fit=None, hypotheses=(), detections=None, probability=None,
                     reasons=results[20].reasons)  # fmt: skip
    other = replace(results[4], probability=0.9995)
    first = write_store(tmp_path / "1.h5", results[:16])
    second = write_store(
        tmp_path / "2.h5", [failed, other, *results[8:]], processed_utc="2026-11-21T12:00:00Z"
    )
    before = first.read_bytes(), second.read_bytes()
    into = tmp_path / "new folder" / "all.h5"
    said = run("merge", first, second, "--out", into, "--json")
    assert said.code == 0, said.err
    (summary,) = said.records
    assert (summary["frames"], summary["repeated"]) == (24, 10)
    assert sum(one["frames"] for one in summary["taken"]) == 24
    merged = frames_of(into, "frame_index", "frame", "verdict", "probability")
    assert list(merged.frame_index) == list(range(24))
    assert list(merged.frame) == [result.frame for result in results]
    assert merged.verdict[3] == "accepted"
    assert merged.probability[4] == 0.9995
    assert run("verify", into).code == 0
    assert (first.read_bytes(), second.read_bytes()) == before
    again = run("merge", first, "--out", into)
    assert again.code == 2
    assert "exists" in again.err


@pytest.mark.parametrize("share", [0.0, 0.02, 0.9])
def test_a_store_cut_short_is_one_sentence(store_copy: Path, share: float) -> None:
    content = store_copy.read_bytes()
    store_copy.write_bytes(content[: int(share * len(content))])
    for command in ("show", "verify", "report"):
        said = run(command, store_copy, "--json")
        assert said.code in (1, 3)
        assert "run.h5" in (said.err + said.out)
        assert len(said.err.splitlines()) <= 1
        assert "unforeseen" not in said.err


def put(name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (put("format_version", 99), "newer regengine"),
        (put("format_version", 7), "older regengine (format version 7, this one reads 8 alone)"),
        (lambda file: file.attrs.__delitem__("format_version"), "damaged store"),
        (put("format", "other"), "of another program"),
        (lambda file: file.__delitem__("frames/verdict"), "damaged store"),
    ],
)
def test_what_this_version_cannot_read_is_refused_and_left_untouched(
    store_copy: Path, edit: Callable[[h5py.File], None], words: str
) -> None:
    with h5py.File(store_copy, "r+") as file:
        edit(file)
    before = store_copy.read_bytes()
    photo = next((store_copy.parent / "photos").glob("ISS030-E-18414*.jpg"))
    said = run("register", photo, "--lights", ROOT / "data_samples/lights.tif", "--blind", "never",
               "--store", store_copy, "--workers", 0)  # fmt: skip
    assert said.code == 3
    assert words in said.err
    assert run("show", store_copy).code == 3
    assert store_copy.read_bytes() == before


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A store that is only a journal of three frames."""
    store = tmp_path / "whole" / "run.h5"
    write_store(store, make_results()[:3], killed=tmp_path / "killed")
    return tmp_path / "killed" / store.name


def test_a_journal_is_read_as_the_store_that_it_becomes(killed: Path) -> None:
    def read() -> dict[str, list[object]]:
        whole = rg.open_store(killed)
        return {
            f"{group}/{name}": np.asarray(getattr(whole, group)[name]).tolist()
            for group in ("frames", "control_points", "hypotheses", "detections")
            for name in getattr(whole, group).columns
        }

    before, folder = read(), killed.parent
    (record,) = run("verify", killed, "--json").records
    assert (record["frames"], record["unmerged_frames"], record["problems"]) == (3, 3, [])
    folder.chmod(0o555)
    assert len(run("show", killed, "--json").records) == 3
    assert [path.name for path in folder.iterdir()] == ["run.h5.journal"]
    folder.chmod(0o755)
    write_store(killed, [])
    assert [path.name for path in folder.iterdir()] == ["run.h5"]
    np.testing.assert_equal(read(), before)


def test_a_line_that_was_changed_costs_its_photo_and_is_told(
    killed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = killed.with_name("run.h5.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"rows": "', b'"rows": "A', 1)
    journal.write_bytes(b"".join(lines))
    with caplog.at_level(logging.WARNING, "regengine"):
        names = [one.frame for one in rg.open_store(killed)]
    assert names == ["ISS030-E-184140", "ISS030-E-184142"]
    assert "1 damaged line skipped" in caplog.text
    (record,) = run("verify", killed, "--json").records
    assert (record["frames"], [one["code"] for one in record["problems"]]) == (2, ["bytes_damaged"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a diary\nof somebody\n", "not a journal of a regengine store"),
        (99, "written by a newer regengine"),
        (5, "written by an older regengine"),
    ],
)
def test_a_journal_that_cannot_be_read_is_refused_and_left_alone(
    killed: Path, content: bytes | int, words: str
) -> None:
    journal = killed.with_name("run.h5.journal")
    if isinstance(content, int):
        head, *rest = journal.read_bytes().splitlines(keepends=True)
        other = json.dumps(json.loads(head) | {"format_version": content}).encode() + b"\n"
        content = b"".join([other, *rest])
    journal.write_bytes(content)
    write_photos(killed.parent / "new", 1)
    given = ("--lights", LIGHTS, "--blind", "never", "--workers", 0, "--store", killed)
    for said in (run("show", killed), run("register", killed.parent / "new", *given)):
        assert said.code == 3
        assert words in said.err
    assert journal.read_bytes() == content
