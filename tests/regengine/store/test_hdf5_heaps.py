"""Texts of attributes that HDF5 would walk through for ever."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from regengine.errors import LightMapError, StoreError
from regengine.lights import open_light_map
from regengine.store.hdf5 import HEAP_SIGNATURE, file_heaps_sound, heaps_sound
from regengine.store.rows import StoredFrame
from regengine.store.snapshot import read_store
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
    assert 0 < content.find(HEAP_SIGNATURE) < 4096  # the root's own texts are looked at
    assert heaps_sound(content)
    assert heaps_sound(content[: content.find(HEAP_SIGNATURE) + 100])  # a heap may reach beyond
    assert len(read_store(store)) == 1


@pytest.mark.parametrize("text", [b"\0" * 16, b"\1\0\1\0\0\0\0\0" + b"\xff" * 8])
def test_an_entry_that_leads_nowhere_is_told_and_not_followed(store: Path, text: bytes) -> None:
    content = bytearray(store.read_bytes())
    first = content.find(HEAP_SIGNATURE) + 16
    content[first : first + len(text)] = text
    store.write_bytes(content)
    with pytest.raises(StoreError, match="attributes are no chain"):
        read_store(store)


@pytest.mark.parametrize("suffix", ["h5", "nc"])
def test_a_map_whose_texts_lead_nowhere_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"VNP46A4.A2020001.h31v05.{suffix}"
    with h5py.File(path, "w") as file:
        lights = file.create_dataset("AllAngle_Composite_Snow_Free", data=np.ones((8, 8), "f4"))
        lights.attrs["units"] = "nWatts/(cm^2 sr)"
    content = bytearray(path.read_bytes())
    assert heaps_sound(bytes(content))
    first = content.find(HEAP_SIGNATURE) + 16
    content[first : first + 16] = bytes(16)
    path.write_bytes(content)
    with pytest.raises(LightMapError, match="get it again"):
        open_light_map([path])


@pytest.mark.parametrize("lengths", [4, 8])
def test_lengths_of_four_and_of_eight_bytes(tmp_path: Path, lengths: int) -> None:
    plan = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    plan.set_sizes(8, lengths)
    path = tmp_path / "file.h5"
    with h5py.File(h5py.h5f.create(bytes(path), fcpl=plan)) as file:
        for number in range(300):  # several heaps
            file.attrs[f"text {number}"] = "x" * number
    content = bytearray(path.read_bytes())
    heap = content.find(HEAP_SIGNATURE)
    assert heap > 0
    assert file_heaps_sound(path)
    content[heap + 24 : heap + 24 + lengths] = b"\xff" * lengths
    assert not heaps_sound(bytes(content))
