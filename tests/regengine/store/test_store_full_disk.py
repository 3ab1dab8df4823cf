"""A disk that runs full while a store is written."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from stored_frames import frame, names

from regengine.errors import StoreError
from regengine.store.snapshot import parts_folder, read_store
from regengine.store.writer import StoreWriter
from tests.conftest import ROOT


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


def test_a_limit_on_file_size_is_a_full_disk_too(tmp_path: Path) -> None:
    """A real refusal by the kernel, in a process of its own."""
    script = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        from regengine.errors import StoreError
        from regengine.store.rows import StoredFrame
        from regengine.store.writer import StoreWriter
        from tests.example_results import nothing_found

        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
        try:
            with StoreWriter(Path(sys.argv[1])) as writer:
                writer.add(StoredFrame(frame_index=0, result=nothing_found()))
                writer.flush()
        except StoreError as error:
            print(error)
        """
    )
    path = tmp_path / "run.h5"
    command = [sys.executable, "-c", script, str(path), "4096"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "run.h5 cannot be written because its disk is full" in told
    assert len(told.splitlines()) == 1
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_small_real_disk_runs_full(tmp_path: Path) -> None:
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if mount.returncode != 0:
        pytest.skip("this user may not mount a small file system")
    try:
        told, safe = "", 0
        try:
            with StoreWriter(tmp_path / "run.h5") as writer:
                for index in range(20):
                    writer.add(frame(index))
                    safe += len(writer.flush())
        except StoreError as error:
            told = str(error)
        assert "disk is full" in told
        assert 0 < safe < 20
        assert len(read_store(tmp_path / "run.h5")) == safe
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
