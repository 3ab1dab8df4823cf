"""Texts of attributes that HDF5 would walk through for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from regengine.errors import StoreError
from regengine.store.heaps import SIGNATURE, heaps_sound
from regengine.store.reader import read_store
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.example_results import proposal


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        writer.add(StoredFrame(frame_index=0, result=proposal()))
        writer.flush()
    return path


def test_what_is_written_is_sound(store: Path) -> None:
    content = store.read_bytes()
    assert 0 < content.find(SIGNATURE) < 4096  # the root's own texts are looked at
    assert heaps_sound(content)
    assert heaps_sound(content[: content.find(SIGNATURE) + 100])  # a heap may reach beyond
    assert len(read_store(store)) == 1


@pytest.mark.parametrize("text", [b"\0" * 16, b"\1\0\1\0\0\0\0\0" + b"\xff" * 8])
def test_an_entry_that_leads_nowhere_is_told_and_not_followed(store: Path, text: bytes) -> None:
    content = bytearray(store.read_bytes())
    first = content.find(SIGNATURE) + 16
    content[first : first + len(text)] = text
    store.write_bytes(content)
    with pytest.raises(StoreError, match="attributes are no chain"):
        read_store(store)
