"""The store's file: what it looks like to other programs, and what it refuses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from regengine.errors import StoreError
from regengine.store.file import StoreFile
from regengine.store.hdf5 import check, encode
from regengine.store.rows import StoredFrame, to_tables
from regengine.store.schema import FORMAT_VERSION, GROUPS, column_tables
from regengine.store.snapshot import read_store, read_tables
from regengine.store.writer import root_attributes
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


def test_document_prints_the_tables() -> None:
    import sys

    command = [sys.executable, "-m", "regengine.store.schema"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == column_tables()


def documented() -> dict[tuple[str, str], tuple[str, int]]:
    """Type and values per row of each (group, column), as docs/store.md says."""
    found, group = {}, ""
    for line in (ROOT / "docs" / "store.md").read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"### `(\w+)`", line):
            group = heading[1]
        elif row := re.match(r"\| `(\w+)` \| (\w+) \| (\d+) \|", line):
            found[group, row[1]] = (row[2], int(row[3]))
    return found


H5DUMP_KINDS = {
    "text": "H5T_STRING",
    "float64": "H5T_IEEE_F64LE",
    "int64": "H5T_STD_I64LE",
    "int32": "H5T_STD_I32LE",
    "uint8": "H5T_STD_U8LE",
}


def test_h5dump_sees_what_the_docs_say(store: Path) -> None:
    if shutil.which("h5dump") is None:
        pytest.skip("needs h5dump (Debian package hdf5-tools)")
    header = subprocess.run(
        ["h5dump", "-H", str(store)], capture_output=True, text=True, check=True
    ).stdout
    seen, group, dataset = {}, "", ""
    for line in header.splitlines():
        if heading := re.match(r'\s*GROUP "(\w+)"', line):
            group = heading[1]
        elif heading := re.match(r'\s*DATASET "(\w+)"', line):
            dataset = heading[1]
            seen[group, dataset] = ["", 0]
        elif dataset and (kind := re.match(r"\s*DATATYPE\s+(\w+)", line)):
            seen[group, dataset][0] = kind[1]
        elif dataset and (
            space := re.match(r"\s*DATASPACE  SIMPLE \{ \( \d+(?:, (\d+))? \)", line)
        ):
            seen[group, dataset][1] = int(space[1] or 1)
        elif re.match(r"\s*ATTRIBUTE", line):
            dataset = ""
    expected = {key: [H5DUMP_KINDS[kind], width] for key, (kind, width) in documented().items()}
    assert seen == expected


def test_text_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.h5"
    path.write_text("my notes")
    with pytest.raises(StoreError, match=r"notes\.h5 is not a regengine store .*--store"):
        check(path)
    assert path.read_text() == "my notes"


def test_hdf5_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(3)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="HDF5 file of another program"):
        check(path)
    assert path.read_bytes() == before


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


def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        check(tmp_path)  # a folder


def test_what_is_not_there_cannot_be_shown(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"nowhere\.h5 does not exist"):
        read_store(tmp_path / "nowhere.h5")
    with pytest.raises(StoreError, match="is a folder"):
        read_store(tmp_path)
