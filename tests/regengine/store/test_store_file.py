"""The store's file: what it looks like to other programs, what it refuses, older formats."""

from __future__ import annotations

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pytest
from stored_frames import frame, names

from regengine.errors import LightMapError, StoreError
from regengine.lights import open_light_map
from regengine.store.file import StoreFile
from regengine.store.hdf5 import HEAP_SIGNATURE, encode, file_heaps_sound, heaps_sound
from regengine.store.rows import StoredFrame, to_tables
from regengine.store.schema import FORMAT_VERSION, GROUPS, column_tables
from regengine.store.snapshot import read_store, read_tables
from regengine.store.writer import StoreWriter, root_attributes
from tests.conftest import ROOT
from tests.example_results import nothing_found, proposal


@pytest.fixture
def store(tmp_path: Path) -> Path:
    frames = [
        StoredFrame(frame_index=0, result=proposal("Évora")),
        StoredFrame(frame_index=1, result=nothing_found()),
    ]
    path = tmp_path / "run.h5"
    path.write_bytes(encode(to_tables(frames), root_attributes()))
    return path


def test_root_attributes_tell_format_and_origin(store: Path) -> None:
    with h5py.File(store) as file:
        attributes = dict(file.attrs)
    assert attributes["format"] == "regengine"
    assert attributes["format_version"] == FORMAT_VERSION
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", attributes["created"])
    assert attributes["command_line"]
    assert {"python", "regengine", "numpy", "h5py"} <= set(
        json.loads(attributes["package_versions"])
    )


def test_every_column_is_chunked_compressed_and_described(store: Path) -> None:
    with h5py.File(store) as file:
        assert set(file) == set(GROUPS)
        for group, columns in GROUPS.items():
            assert set(file[group]) == {column.name for column in columns}
            for column in columns:
                dataset = file[group][column.name]
                assert dataset.chunks is not None
                assert dataset.compression == "gzip"
                assert dataset.attrs["units"] == column.units
                assert dataset.attrs["description"] == column.description
                assert bool(dataset.attrs["volatile"]) is column.volatile


def test_texts_are_utf8_of_fixed_length(store: Path) -> None:
    with h5py.File(store) as file:
        dataset = file["frames/frame"]
        kind = h5py.check_string_dtype(dataset.dtype)
        assert (kind.encoding, kind.length) == ("utf-8", len("ISS001-E-1"))
        assert dataset.asstr()[()].tolist() == ["Évora", "ISS001-E-1"]


def test_groups_become_data_frames_without_our_code(store: Path) -> None:
    with h5py.File(store) as file:
        group = file["frames"]
        rows = {name: group[name][()] for name in group if group[name].ndim == 1}
    table = np.rec.fromarrays(list(rows.values()), names=list(rows))
    assert table[table["verdict"] == b"accepted"]["matched_lights"].tolist() == [143]


def test_the_file_reads_back(store: Path) -> None:
    with StoreFile(store) as file:
        attributes = file.attributes
    tables = read_tables(store)
    assert set(attributes) == {"created", "command_line", "package_versions"}
    assert tables["frames"]["frame"].tolist() == ["Évora", "ISS001-E-1"]
    assert [frame.result for frame in read_store(store)] == [proposal("Évora"), nothing_found()]


def test_docs_describe_every_column() -> None:
    assert column_tables() in (ROOT / "docs" / "store.md").read_text(encoding="utf-8")


def test_a_newer_format_is_refused_politely(store: Path) -> None:
    with h5py.File(store, "r+") as file:
        file.attrs["format_version"] = FORMAT_VERSION + 1
    with pytest.raises(StoreError, match=r"newer regengine .*upgrade regengine"):
        read_tables(store)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_truncated_store_is_refused(store: Path, share: float) -> None:
    content = store.read_bytes()
    store.write_bytes(content[: int(share * len(content))])
    with pytest.raises(StoreError, match=r"run\.h5 is (not a regengine|a damaged) store"):
        read_tables(store)


def test_a_store_that_lost_a_column_is_called_damaged(store: Path) -> None:
    with h5py.File(store, "r+") as file:
        del file["frames/verdict"]
    with pytest.raises(StoreError, match=r"damaged store .*restore it"):
        read_tables(store)


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


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        writer.add(StoredFrame(frame_index=0, result=proposal()))
        writer.flush()
    return path


def test_what_is_written_is_sound(whole: Path) -> None:
    content = whole.read_bytes()
    assert 0 < content.find(HEAP_SIGNATURE) < 4096  # the root's own texts are looked at
    assert heaps_sound(content)
    assert heaps_sound(content[: content.find(HEAP_SIGNATURE) + 100])  # a heap may reach beyond
    assert len(read_store(whole)) == 1


@pytest.mark.parametrize("reserved", [b"\0\0\0", b"\x3b\xfc\0"])  # HDF5 does not look at them
@pytest.mark.parametrize("text", [b"\0" * 16, b"\1\0\1\0\0\0\0\0" + b"\xff" * 8])
def test_an_entry_that_leads_nowhere_is_told_and_not_followed(
    whole: Path, text: bytes, reserved: bytes
) -> None:
    content = bytearray(whole.read_bytes())
    heap = content.find(HEAP_SIGNATURE)
    first = heap + 16
    content[heap + 5 : heap + 8] = reserved
    content[first : first + len(text)] = text
    assert not heaps_sound(bytes(content))
    whole.write_bytes(content)
    with pytest.raises(StoreError, match="attributes are no chain"):
        read_store(whole)


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


def test_values_that_look_like_texts_are_none(whole: Path) -> None:
    assert heaps_sound(whole.read_bytes() + HEAP_SIGNATURE + bytes(range(1, 100)))


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
