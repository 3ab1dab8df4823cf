"""Writing a store: parts, merges, locks, and disks that refuse or run full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import h5py
import pytest
from stored_frames import frame, names

from regengine.errors import StoreError
from regengine.io.atomic import FileLock
from regengine.store import writer as writer_module
from regengine.store.file import StoreFile
from regengine.store.rows import StoredFrame
from regengine.store.snapshot import iter_frames, list_parts, parts_folder, read_store
from regengine.store.writer import PART_FRAMES, PART_SECONDS, StoreWriter
from tests.example_results import proposal


def attributes(path: Path) -> dict[str, str]:
    with StoreFile(path) as file:
        return file.attributes


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_parts_become_one_store_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "run.h5"
    with StoreWriter(path) as writer:
        for index in (2, 0):
            writer.add(frame(index))
        assert [f.frame_index for f in writer.flush()] == [0, 2]
        writer.add(frame(1))
        assert len(writer.flush()) == 1
        assert not path.exists()
        assert [p.name for p in list_parts(parts_folder(path))] == ["000001.h5", "000002.h5"]
        assert names(path) == ["f0", "f1", "f2"]  # readable while the run is under way
    assert names(path) == ["f0", "f1", "f2"]
    assert sorted(p.name for p in path.parent.iterdir()) == ["run.h5"]


def test_a_frame_is_safe_only_once_flushed(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        assert writer.flush() == []
        writer.add(frame(0))
        writer.flush()
        writer.add(frame(1))
    assert names(path) == ["f0"]


def test_a_part_is_due_by_number_or_by_age(tmp_path: Path) -> None:
    clock = Clock()
    with StoreWriter(tmp_path / "run.h5", clock=clock) as writer:
        assert not writer.due(1e9)
        writer.add(frame(0))
        assert not writer.due()
        clock.now = PART_SECONDS - 3.0
        assert not writer.due(2.0)
        assert writer.due(3.0)
        clock.now = PART_SECONDS
        assert writer.due()
        writer.flush()
        for index in range(PART_FRAMES):
            assert not writer.due()
            writer.add(frame(index))
        assert writer.due()


def test_a_second_run_adds_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        for index in range(3):
            writer.add(frame(index))
        writer.flush()
    created = attributes(path)["created"]
    with StoreWriter(path) as writer:
        assert next(writer.index.free_numbers()) == 3
        assert writer.stored_frame(1) == frame(1)
        writer.add(StoredFrame(frame_index=1, result=proposal("better")))
        writer.add(frame(3))
        writer.flush()
    assert names(path) == ["f0", "better", "f2", "f3"]
    assert attributes(path)["created"] == created


def test_a_run_without_news_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        writer.add(frame(0))
        writer.flush()
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    with StoreWriter(path):
        pass
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_leftovers_of_a_killed_run_are_merged_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    writer = StoreWriter(path)
    writer.add(frame(0))
    writer.flush()
    writer._parts._lock.release(delete=False)  # what the kernel does to a killed process
    (parts_folder(path) / ".000002.h5.99.tmp").write_bytes(b"half a part")
    (tmp_path / ".run.h5.99.tmp").write_bytes(b"half a store")
    with StoreWriter(path) as again:
        assert next(again.index.free_numbers()) == 1
        assert path.exists()
    assert names(path) == ["f0"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.h5"]


def test_a_merge_that_was_cut_off_before_its_parts_were_deleted_is_harmless(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        writer.add(frame(0))
        writer.flush()
        part = list_parts(parts_folder(path))[0].read_bytes()
    parts_folder(path).mkdir()
    (parts_folder(path) / "000001.h5").write_bytes(part)
    assert names(path) == ["f0"]
    with StoreWriter(path):
        pass
    assert names(path) == ["f0"]
    assert not parts_folder(path).exists()


def test_two_writers_exclude_each_other(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        writer.add(frame(0))
        writer.flush()
        with pytest.raises(StoreError, match="being written by another regengine") as caught:
            StoreWriter(path)
        assert caught.value.code == "store_busy"
    assert names(path) == ["f0"]


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    parts_folder(path).mkdir()
    (parts_folder(path) / "000001.h5").write_bytes(b"nonsense")
    with pytest.raises(StoreError, match=r"000001\.h5 is not a regengine store"):
        read_store(path)


def test_a_folder_that_another_run_deletes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run ends between two of our steps: first before the open, then before the lock."""
    path = tmp_path / "run.h5"
    real_open, really_there = os.open, FileLock._is_there
    steps = ["open", "lock"]

    def open_late(*arguments: object) -> int:
        if steps[:1] == ["open"]:
            steps.pop(0)
            parts_folder(path).rmdir()
        return real_open(*arguments)  # type: ignore[arg-type]

    def there_late(lock: FileLock) -> bool:
        if steps[:1] == ["lock"]:
            steps.pop(0)
            lock._path.unlink()
            parts_folder(path).rmdir()
        return really_there(lock)

    monkeypatch.setattr("regengine.io.atomic.os.open", open_late)
    monkeypatch.setattr(FileLock, "_is_there", there_late)
    with StoreWriter(path) as writer:
        writer.add(frame(0))
        writer.flush()
    assert steps == []
    assert names(path) == ["f0"]


def test_a_part_that_is_merged_while_it_is_read_is_found_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        writer.add(frame(0))
        writer.flush()
    listings = [[parts_folder(path) / "000001.h5"], []]
    monkeypatch.setattr("regengine.store.snapshot.list_parts", lambda folder: listings.pop(0))
    assert names(path) == ["f0"]
    assert listings == []


def test_a_merge_in_the_midst_of_reading_takes_and_repeats_no_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regengine.store.snapshot.BLOCK_FRAMES", 2)
    monkeypatch.setattr("regengine.store.snapshot.OPEN_PARTS", 1)
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        for index in range(9):
            writer.add(frame(index))
            writer.flush()
        reading = iter_frames(path)
        assert [next(reading).frame_index for _ in range(3)] == [0, 1, 2]
    assert not parts_folder(path).exists()
    assert [stored.frame_index for stored in reading] == [3, 4, 5, 6, 7, 8]


def test_a_frame_that_is_added_twice_is_stored_as_it_was_last(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        writer.add(frame(0, "first"))
        writer.add(frame(0, "second"))
        assert [stored.result.frame for stored in writer.flush()] == ["second"]
        assert writer.stored_frame(0) == frame(0, "second")
        writer.add(frame(0, "third"))
        writer.flush()
        assert writer.stored_frame(0) == frame(0, "third")
        with pytest.raises(KeyError):
            writer.stored_frame(1)
    assert names(path) == ["third"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"text", "no HDF5 file.* left untouched"),
        (b"\x89HDF\r\n\x1a\n and then nothing of sense", "damaged store .HDF5 cannot open"),
        (None, "HDF5 file of another program.* left untouched"),
    ],
)
def test_a_foreign_file_is_refused_before_anything_is_written(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "run.h5"
    if content is None:
        h5py.File(path, "w").close()
        content = path.read_bytes()
    path.write_bytes(content)
    with pytest.raises(StoreError, match=rf"{why}.*: .*--store"):
        StoreWriter(path)
    assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["run.h5"]


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        StoreWriter(tmp_path)


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"run\.h5 cannot be written .*--store") as caught:
        StoreWriter(tmp_path / "file" / "run.h5")
    assert caught.value.code == "store_unwritable"


def test_a_store_without_permission_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module.os, "access", lambda path, mode: False)
    with pytest.raises(StoreError, match=r"cannot be written \(permission denied\)"):
        StoreWriter(tmp_path / "run.h5")


def test_a_part_damaged_during_the_run_is_told_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"

    def run() -> None:
        with StoreWriter(path) as writer:
            writer.add(frame(0))
            writer.flush()
            list_parts(parts_folder(path))[0].write_bytes(b"")

    with pytest.raises(StoreError, match="not a regengine store"):
        run()


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"

    def run() -> None:
        with StoreWriter(path) as writer:
            writer.add(frame(0))
            writer.flush()
            monkeypatch.setattr(os, "fsync", fail_with(errno.ENOSPC))
            writer.add(frame(1))
            writer.flush()

    with pytest.raises(StoreError, match="disk is full") as caught:
        run()
    assert caught.value.code == "store_full"
    assert "1 frames of this run are safe" in str(caught.value)
    monkeypatch.undo()
    assert [p.name for p in parts_folder(path).glob("*.h5")] == ["000001.h5"]
    assert list(tmp_path.rglob("*.tmp")) == []
    with StoreWriter(path):
        pass
    assert names(path) == ["f0"]


def test_a_disk_that_is_full_at_the_merge_keeps_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"

    def run() -> None:
        with StoreWriter(path) as writer:
            writer.add(frame(0))
            writer.flush()
            monkeypatch.setattr(os, "fsync", fail_with(errno.EDQUOT))

    with pytest.raises(StoreError, match="same command again"):
        run()
    monkeypatch.undo()
    assert names(path) == ["f0"]
    assert not path.exists()


def fail_with(number: int):
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    return fail
