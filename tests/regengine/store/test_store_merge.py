"""The streaming merge: equal to joining everything in memory, whatever the blocks and chunks."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest

from regengine.errors import StoreError
from regengine.result import FrameResult
from regengine.store import file as store_file
from regengine.store import hdf5, snapshot
from regengine.store.file import StoreFile
from regengine.store.hdf5 import HeldErrors
from regengine.store.rows import StoredFrame, Table, Tables, join, to_tables
from regengine.store.schema import GROUPS, Column
from regengine.store.snapshot import Snapshot, list_parts, parts_folder, read_store, read_tables
from regengine.store.writer import StoreWriter, write_merged
from tests.conftest import ROOT
from tests.example_results import nothing_found, proposal


def made(index: int, kind: int) -> StoredFrame:
    """A frame of one of several shapes: with and without points, lights, long texts."""
    result: FrameResult = proposal(f"f{index}") if kind % 2 else nothing_found(f"f{index}")
    if kind >= 2:
        lights = np.arange(float(5 * kind))
        found = SimpleNamespace(x=lights + index, y=lights, contrast=lights, matched=lights > 3)
        result = replace(result, category="é" * kind, seconds=float(kind))
        object.__setattr__(result, "detections", found)
    return StoredFrame(frame_index=index, result=result, parameters="p" * kind)


def write(path: Path, frames: Sequence[StoredFrame]) -> None:
    path.write_bytes(hdf5.encode(to_tables(frames), {"created": "then"}))


def assert_equal(one: Tables, other: Tables) -> None:
    for group, columns in GROUPS.items():
        for column in columns:
            np.testing.assert_array_equal(one[group][column.name], other[group][column.name])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and blocks of a few rows, so that few frames cross all their borders."""
    for module in (hdf5, store_file):
        monkeypatch.setattr(module, "CHUNK_ROWS", 4)
    monkeypatch.setattr(store_file, "PIECE_ROWS", 8)
    monkeypatch.setattr(snapshot, "BLOCK_FRAMES", 8)
    monkeypatch.setattr("regengine.store.writer.BLOCK_FRAMES", 8)
    monkeypatch.setattr(snapshot, "OPEN_PARTS", 1)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("small")
def test_merging_is_joining(tmp_path: Path, seed: int) -> None:
    """Twice in a row: parts become a store, and other parts are merged into it."""
    chance = np.random.default_rng(seed)
    sets: list[Tables] = []
    store: Path | None = None
    for turn in range(2):
        paths = []
        for number in range(3):
            # Frames of one stretch in the first turn, anywhere in the second
            among = np.arange(25 * number, 25 * number + 30) if turn == 0 else np.arange(90)
            indices = np.sort(chance.choice(among, size=chance.integers(1, 26), replace=False))
            frames = [made(int(index), int(chance.integers(4))) for index in indices]
            paths.append(tmp_path / f"{turn}{number}.h5")
            write(paths[-1], frames)
            sets.append(to_tables(frames))
        with Snapshot(store, paths) as whole:
            write_merged(tmp_path / f"store{turn}.h5", whole, {"created": "now"})
        store = tmp_path / f"store{turn}.h5"
        assert_equal(read_tables(store), join(sets))
        with StoreFile(store) as file:
            assert file.attributes == {"created": "now"}


def long_store(path: Path, count: int) -> None:
    with StoreWriter(path) as writer:
        for index in range(count):
            writer.add(made(index, index % 2))
        writer.flush()


def chunk(path: Path, name: str, row: int) -> bytes:
    with h5py.File(path) as file:
        return file[name].id.read_direct_chunk((row,))[1]


@pytest.mark.usefixtures("small")
def test_chunks_that_nothing_changes_are_not_packed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    long_store(path, 40)
    before = read_store(path)
    kept = chunk(path, "frames/verdict", 8)
    read: list[tuple[str, int, int]] = []
    real = StoreFile.table

    def table(self: StoreFile, group: str, start: int, stop: int, *columns: Any) -> Table:
        if self.path == path:
            read.append((group, start, stop))
        return real(self, group, start, stop, *columns)

    monkeypatch.setattr(StoreFile, "table", table)
    with StoreWriter(path) as writer:
        writer.add(replace(made(40, 1), parameters=""))
        writer.flush()
        read.clear()
    assert sum(stop - start for group, start, stop in read if group == "frames") < 4
    assert chunk(path, "frames/verdict", 8) == kept
    monkeypatch.undo()
    assert read_store(path)[:40] == before


@pytest.mark.usefixtures("small")
def test_longer_texts_widen_their_column_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    long_store(path, 40)
    before = read_store(path)
    kept = chunk(path, "frames/sha256", 8)
    with StoreWriter(path) as writer:
        writer.add(replace(made(40, 1), parameters="x" * 99))
        writer.flush()
    with h5py.File(path) as file:
        assert file["provenance/parameters"].dtype.itemsize == 99
    assert chunk(path, "frames/sha256", 8) == kept
    assert read_store(path)[:40] == before


def test_equal_merges_give_equal_files(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        write(tmp_path / "part.h5", [made(index, index % 4) for index in range(30)])
        with Snapshot(None, [tmp_path / "part.h5"]) as whole:
            write_merged(tmp_path / name, whole, {"created": "now"})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


LIMITED = textwrap.dedent(
    """
    import resource, sys
    from pathlib import Path
    from regengine.errors import StoreError
    from regengine.store.snapshot import read_store
    from regengine.store.writer import StoreWriter
    from test_store_merge import made

    path, limit = Path(sys.argv[1]), int(sys.argv[2])
    try:
        with StoreWriter(path) as writer:
            writer.add(made(200, 3))
            writer.flush()
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    except StoreError as error:
        print(error.code, error)
    # The HDF5 library is as good as new
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(len(read_store(path)))
    """
)


def test_a_disk_that_runs_full_anywhere_in_a_merge_costs_nothing(tmp_path: Path) -> None:
    """The kernel refuses the file's growth after some bytes, in a process of its own."""
    path = tmp_path / "run.h5"
    write(path, [made(index, index % 4) for index in range(200)])
    before = path.read_bytes()
    command = [sys.executable, "-c", LIMITED, str(path), str(int(0.7 * len(before)))]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
    told = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert told[0].startswith(f"store_full {path} cannot be written because its disk is full")
    assert told[1:] == ["201"]
    assert path.read_bytes() == before
    assert len(list_parts(parts_folder(path))) == 1
    assert list(tmp_path.rglob("*.tmp")) == []


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from regengine.store.hdf5 import HeldErrors
    from regengine.store.writer import StoreWriter
    from test_store_merge import made

    writes, real = [0], HeldErrors.write

    def write(self, data):
        writes[0] += 1
        if writes[0] == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, data)

    HeldErrors.write = write
    with StoreWriter(Path(sys.argv[1])) as writer:
        writer.add(made(200, 3))
        writer.flush()
    print(writes[0])
    """
)


def test_a_kill_in_the_midst_of_a_merge_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    write(path, [made(index, index % 4) for index in range(200)])
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
    command = [sys.executable, "-c", KILLED, str(path), "100"]
    killed = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(read_store(path)) == 201
    with StoreWriter(path) as writer:
        assert next(writer.index.free_numbers()) == 201
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]


def test_what_is_written_after_a_failure_is_read_back_as_it_was(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (tmp_path / "file").open("w+b", buffering=0) as stream:
        disk = HeldErrors(stream)
        disk.write(b"abcd")
        disk.check()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (6, hard))
            disk.write(b"efgh")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        disk.seek(2)
        disk.write(b"CDE")
        disk.truncate(20)
        assert disk.seek(0, os.SEEK_END) == 20
        disk.seek(1)
        assert disk.read(9) == b"bCDEfgh\0\0"
        assert disk.tell() == 10
        with pytest.raises(OSError, match="too large"):
            disk.check()


def test_an_interrupt_while_hdf5_writes_is_raised_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    real = os.pwrite
    calls = []

    def interrupted(handle: int, data: bytes, offset: int) -> int:
        calls.append(offset)
        if len(calls) == 20:
            raise KeyboardInterrupt
        return real(handle, data, offset)

    def run() -> None:
        with StoreWriter(path) as writer:
            writer.add(made(0, 1))
            writer.flush()
            monkeypatch.setattr(os, "pwrite", interrupted)

    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.undo()
    assert not path.exists()
    assert [stored.frame_index for stored in read_store(path)] == [0]
    assert list(tmp_path.rglob("*.tmp")) == []


def test_a_part_that_somebody_deletes_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"000001\.h5 was deleted .* same command again"):
        Snapshot(None, [tmp_path / "000001.h5"])


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of any size are copied and gone on with."""
    monkeypatch.setattr(store_file, "GROWN_BYTES", 0)
    monkeypatch.setattr(store_file, "MOST_UNUSED", 1e3)  # little stores are mostly heads
    for module in (hdf5, store_file):
        monkeypatch.setattr(module, "CHUNK_ROWS", 16)


def run(path: Path, frames: Sequence[StoredFrame]) -> None:
    with StoreWriter(path) as writer:
        for one in frames:
            writer.add(one)
        writer.flush()


@pytest.mark.usefixtures("grown")
def test_one_more_frame_reads_what_tells_frames_apart_and_the_last_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    frames = [made(index, 3) for index in range(300)]
    run(path, frames)
    read: Counter[str] = Counter()
    real = StoreFile._read

    def counted(self: StoreFile, column: Column, group: str, start: int, stop: int) -> Any:
        read[f"{group}/{column.name}"] += (stop - start) * (self.path == path)
        return real(self, column, group, start, stop)

    def copied(*_: object) -> None:
        raise AssertionError("chunks were copied one by one")

    monkeypatch.setattr(StoreFile, "_read", counted)
    monkeypatch.setattr(StoreFile, "whole_chunks", copied)
    run(path, [made(300, 3)])
    known = {"frames/frame_index", "frames/path", "frames/sha256"}
    assert max(rows for name, rows in read.items() if name not in known) <= 10 * 16
    monkeypatch.undo()
    assert_equal(read_tables(path), to_tables([*frames, made(300, 3)]))


@pytest.mark.parametrize("last", [299, 280, 3])
@pytest.mark.usefixtures("grown")
def test_a_store_that_grows_is_as_if_written_anew(tmp_path: Path, last: int) -> None:
    path = tmp_path / "run.h5"
    sets = [
        [made(index, index % 4) for index in range(300)],
        [replace(made(last, 2), processed_utc="2026-11-22T00:00:00Z")],
        [replace(made(300, 1), parameters="x" * 500)],
        [made(301, 3)],
    ]
    for frames in sets:
        run(path, frames)
    assert_equal(read_tables(path), join([to_tables(frames) for frames in sets]))


@pytest.mark.usefixtures("grown")
def test_holes_and_longer_texts_have_a_store_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    run(path, [made(index, 2) for index in range(50)])
    with StoreFile(path) as store:
        assert store.can_grow({})
        assert not store.can_grow({("frames", "path"): 1000})
        monkeypatch.setattr(store_file, "MOST_UNUSED", 1.0)
        assert not store.can_grow({})
