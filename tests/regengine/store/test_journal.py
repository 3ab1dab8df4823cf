"""The journal beside a store: what a run wrote last, whatever became of the run."""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regengine import open_store
from regengine.errors import StoreError
from regengine.result import DetectedLights
from regengine.store.read import iter_frames
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.example_results import nothing_found, proposal
from tests.world.program import run

NAMES = ("ISS030-E-1", "ISS030-E-2", "ISS030-E-3")


def stored(number: int, name: str, *, seconds: float = 1.5) -> StoredFrame:
    """A frame with a text that has to survive: other letters, quotes and a line's end."""
    result = proposal(name) if number != 1 else nothing_found(name)
    sha256 = f"{number:064x}"
    lights = DetectedLights(
        x=np.array([1.25, 1 / 3]),
        y=np.array([2.0, 1e-17]),
        contrast=np.array([0.5, np.pi]),
        matched=np.array([1, 0], np.uint8),
    )
    result = replace(
        result,
        path=f'fotos "noche"\n ñ/{name}.jpg',
        sha256=sha256,
        seconds=seconds,
        detections=lights,
    )
    return StoredFrame(
        frame_index=number,
        result=result,
        parameters='{"lights": ["l.tif"]}',
        parameters_sha256="0" * 64,
        processed_utc="2026-11-28T12:00:00Z",
        search_pass=1,
    )


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A store whose run was ended before it merged anything; its journal lies beside."""
    (tmp_path / "run").mkdir()
    store = tmp_path / "run" / "run.h5"
    with StoreWriter(store) as writer:
        for number, name in enumerate(NAMES):
            writer.add(stored(number, name))
            writer.flush()
        shutil.copytree(store.parent, tmp_path / "killed", ignore=shutil.ignore_patterns(".*"))
    return tmp_path / "killed" / "run.h5"


def columns(store: Path) -> dict[str, list[object]]:
    """All columns of a store that were worked out, of a journal as of a store."""
    whole = open_store(store)
    return {
        f"{group}/{name}": np.asarray(getattr(whole, group)[name]).tolist()
        for group in ("frames", "control_points", "hypotheses", "detections")
        for name in getattr(whole, group).columns
    }


def seconds_of(store: Path) -> list[float]:
    return [one.result.seconds for one in iter_frames(store)]


def test_what_is_read_of_a_journal_is_what_the_store_has_of_it_in_the_end(killed: Path) -> None:
    assert not killed.exists()
    before = columns(killed)
    StoreWriter(killed).__exit__(None, None, None)
    assert killed.exists()
    assert not killed.with_name("run.h5.journal").exists()
    np.testing.assert_equal(columns(killed), before)
    assert before["frames/path"][0] == 'fotos "noche"\n ñ/ISS030-E-1.jpg'
    assert before["detections/x"] == [1.25, 1 / 3] * 3
    assert [path.name for path in killed.parent.iterdir()] == ["run.h5"]


def test_a_line_that_was_torn_is_left_out_at_every_byte(killed: Path) -> None:
    journal = killed.with_name("run.h5.journal")
    whole = journal.read_bytes()
    ends = [number + 1 for number, byte in enumerate(whole) if byte == 10]
    for cut in (1, 25, ends[0] - 1, ends[0], ends[1] - 1, ends[1], ends[2] + 40, ends[3] - 1):
        journal.write_bytes(whole[:cut])
        assert len(open_store(killed)) == max(0, sum(end <= cut for end in ends) - 1)
    writer = StoreWriter(killed)
    assert [one.frame for one in open_store(killed)] == list(NAMES[:2])
    writer.add(stored(2, NAMES[2]))
    writer.flush()
    assert [one.frame for one in open_store(killed)] == list(NAMES)
    writer.__exit__(None, None, None)
    assert run("verify", killed).out == f"{killed} is sound: 3 frames.\n"


def test_a_line_that_was_changed_costs_its_photo_and_is_told(
    killed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = killed.with_name("run.h5.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"rows": "', b'"rows": "A', 1)
    journal.write_bytes(b"".join(lines))
    with caplog.at_level(logging.WARNING, "regengine"):
        assert [one.frame for one in open_store(killed)] == [NAMES[0], NAMES[2]]
    assert "1 damaged line skipped" in caplog.text


def test_of_two_lines_the_newer_one_counts_and_the_store_before_both(tmp_path: Path) -> None:
    store = tmp_path / "run.h5"
    with StoreWriter(store) as writer:
        for seconds in (1.0, 2.0):
            writer.add(stored(0, NAMES[0], seconds=seconds))
            writer.flush()
        assert seconds_of(store) == [2.0]
        assert writer.frames.frame(0).result.seconds == 2.0
    with StoreWriter(store) as writer:
        assert writer.frames.frame(0).result.seconds == 2.0
        writer.add(stored(0, NAMES[0], seconds=3.0))
        writer.add(stored(0, NAMES[0], seconds=4.0))
        assert seconds_of(store) == [2.0]  # nothing is safe yet
        assert [frame.result.seconds for frame in writer.flush()] == [4.0]
        assert seconds_of(store) == [4.0]
        assert writer.frames.frame(0, detections=True).result.detections is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a diary\nof somebody\n", "not a journal of a regengine store"),
        (b"a diary", "not a journal of a regengine store"),
        (b"\0" * 100, "not a journal of a regengine store"),
    ],
)
def test_a_foreign_file_of_that_name_is_left_alone(
    tmp_path: Path, content: bytes, words: str
) -> None:
    store, journal = tmp_path / "run.h5", tmp_path / "run.h5.journal"
    journal.write_bytes(content)
    for begin in (StoreWriter, open_store):
        with pytest.raises(StoreError, match=words):
            begin(store)
    assert journal.read_bytes() == content


def test_a_journal_of_a_newer_version_is_not_merged(killed: Path) -> None:
    journal = killed.with_name("run.h5.journal")
    head, *rest = journal.read_bytes().splitlines(keepends=True)
    newer = json.dumps(json.loads(head) | {"format_version": 99}).encode() + b"\n"
    journal.write_bytes(b"".join([newer, *rest]))
    with pytest.raises(StoreError, match="written by a newer regengine") as told:
        StoreWriter(killed)
    assert told.value.code == "store_newer"
    assert journal.read_bytes().startswith(newer)


def test_a_folder_that_may_only_be_read_shows_a_run_that_was_killed(killed: Path) -> None:
    killed.parent.chmod(0o555)
    try:
        before = sorted(os.listdir(killed.parent))
        assert run("show", killed).code == 0
        assert len(run("show", killed, "--json").records) == len(NAMES)
        assert sorted(os.listdir(killed.parent)) == before
    finally:
        killed.parent.chmod(0o755)
