"""Stores of older formats: read as they are, brought up to date when they are next written."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest
from stored_frames import frame, names

from regengine.store.rows import StoredFrame
from regengine.store.schema import FORMAT_VERSION, GROUPS
from regengine.store.snapshot import read_store
from regengine.store.writer import StoreWriter
from tests.example_results import proposal


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store as format version 1 wrote it."""
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        stored = StoredFrame(
            frame_index=0, result=proposal(), search_pass=3, hints_sha256="h", parameters_sha256="p"
        )
        writer.add(stored)
        writer.add(frame(1))
        writer.flush()
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 1
        for group, columns in GROUPS.items():
            for column in columns:
                values = file[group][column.name][()]
                units = file[group][column.name].attrs["units"]
                del file[group][column.name]
                if column.since == 1:  # version 1 had no checksums
                    new = file[group].create_dataset(
                        column.name,
                        data=values,
                        maxshape=(None, *values.shape[1:]),
                        chunks=(1024, *values.shape[1:]),
                        compression="gzip",
                    )
                    new.attrs["units"] = units
    return path


def test_version_1_is_read_with_what_stands_for_missing(old: Path) -> None:
    before = old.read_bytes()
    first, second = read_store(old)
    assert (first.search_pass, first.hints_sha256) == (0, "")
    assert first.result == proposal()
    assert second == frame(1)
    assert old.read_bytes() == before


def test_version_1_is_known_to_a_run_and_migrated_by_its_merge(old: Path) -> None:
    with StoreWriter(old) as writer:
        entry = writer.index.find(proposal().path, proposal().sha256)
        assert entry is not None
        assert (entry.search_pass, entry.hints_sha256, entry.verdict) == (0, "", "accepted")
        assert writer.stored_frame(0).result == proposal()
        writer.add(StoredFrame(frame_index=2, result=proposal("new"), search_pass=2))
        writer.flush()
    with h5py.File(old) as file:
        assert file.attrs["format_version"] == FORMAT_VERSION
        for group, columns in GROUPS.items():
            assert set(file[group]) == {column.name for column in columns}
            assert all(file[group][column.name].fletcher32 for column in columns)
    assert names(old) == ["ISS030-E-184140", "f1", "new"]
    assert [stored.search_pass for stored in read_store(old)] == [0, 0, 2]
