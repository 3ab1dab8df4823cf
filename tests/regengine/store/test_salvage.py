"""What is whole of a damaged store and its parts is saved, and the rest is named."""

from __future__ import annotations

import json
import logging
from functools import partial
from pathlib import Path

import h5py
import pytest
from stored_frames import frame, names
from test_store_verify import drop, put, stored

from regengine.errors import ConfigError, StoreError
from regengine.store import file as file_module
from regengine.store import hdf5
from regengine.store import salvage as salvage_module
from regengine.store.rows import StoredFrame
from regengine.store.salvage import salvage
from regengine.store.snapshot import list_parts, parts_folder, read_store, read_tables
from regengine.store.verify import verify_store
from regengine.store.writer import StoreWriter
from tests.command_line import invoke

verify = partial(invoke, "verify")
CHUNK_ROWS = 32
FRAMES = 2 * CHUNK_ROWS + 10  # three chunks of frames, five of points


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (hdf5, file_module, salvage_module):
        monkeypatch.setattr(module, "CHUNK_ROWS", CHUNK_ROWS)


@pytest.fixture
def store(tmp_path: Path, small_chunks: None) -> Path:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        for index in range(FRAMES):
            writer.add(stored(index))
        writer.flush()
    return path


def flip(path: Path, column: str, chunk: int) -> None:
    """Change a bit in the midst of a chunk of a column."""
    with h5py.File(path) as file:
        info = file[column].id.get_chunk_info(chunk)
    flip_at(path, info.byte_offset + info.size // 2)


def flip_at(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def lose_head(path: Path, column: str) -> None:
    """Damage what the file says of a column itself."""
    with h5py.File(path) as file:
        place = h5py.h5o.get_info(file[column].id).addr
    flip_at(path, place + 8)


def test_photos_beside_a_damaged_stretch_are_saved_as_they_were(
    store: Path, tmp_path: Path
) -> None:
    before = read_store(store)
    detections = read_tables(store, ["detections"])["detections"]
    flip(store, "frames/ncc", 1)
    with pytest.raises(StoreError, match="regengine verify --salvage"):
        read_store(store)
    damaged, out = store.read_bytes(), tmp_path / "whole.h5"
    saved = salvage(store, out)
    gone = range(CHUNK_ROWS, 2 * CHUNK_ROWS)
    (lost,) = saved.lost
    assert (lost.file, lost.why) == (store, "column frames/ncc is damaged")
    assert lost.frame_index == tuple(gone)
    assert read_store(out) == [one for one in before if one.frame_index not in gone]
    kept = read_tables(out, ["detections"])["detections"]
    assert len(kept["x"]) == len(detections["x"]) - CHUNK_ROWS
    found = verify_store(out)
    assert (found.frames, found.problems) == (saved.frames, ())
    assert store.read_bytes() == damaged
    with pytest.raises(ConfigError, match="exists already"):
        salvage(store, out)


@pytest.mark.parametrize("name", ["control_points/lon", "control_points/frame_index"])
def test_only_photos_with_damaged_rows_are_given_up(store: Path, tmp_path: Path, name: str) -> None:
    flip(store, name, 0)  # of the first 8 proposals, which are every other frame
    saved = salvage(store, tmp_path / "whole.h5")
    gone = {number for lost in saved.lost for number in lost.frame_index}
    assert set(range(0, 16, 2)) <= gone <= set(range(17))
    assert saved.frames == FRAMES - len(gone)
    assert verify_store(tmp_path / "whole.h5").problems == ()


def test_numbers_that_are_damaged_are_known_from_provenance(store: Path, tmp_path: Path) -> None:
    flip(store, "frames/frame_index", 0)
    (lost,) = salvage(store, tmp_path / "whole.h5").lost
    assert lost.frame_index == tuple(range(CHUNK_ROWS))
    flip(store, "provenance/frame_index", 0)
    saved = salvage(store, tmp_path / "rest.h5")
    assert saved.frames == FRAMES - CHUNK_ROWS
    assert saved.lost[0].why == f"{CHUNK_ROWS} frames whose numbers are damaged"
    assert verify_store(tmp_path / "rest.h5").problems == ()


def test_photos_without_rows_of_a_lost_column_are_whole(store: Path, tmp_path: Path) -> None:
    lose_head(store, "detections/flags")
    problems = verify_store(store).problems
    assert [problem.code for problem in problems] == ["bytes_damaged"]
    assert "the head of the column detections/flags is damaged" in problems[0].text
    saved = salvage(store, tmp_path / "whole.h5")
    assert [one.frame_index for one in read_store(tmp_path / "whole.h5")] == list(
        range(1, FRAMES, 2)
    )
    assert saved.lost[0].frame_index == tuple(range(0, FRAMES, 2))


def test_rows_that_make_no_sense_are_left_out(store: Path, tmp_path: Path) -> None:
    with h5py.File(store, "r+") as file:
        put("frames/probability", 4, 1.0)(file)
    saved = salvage(store, tmp_path / "whole.h5")
    assert [lost.frame_index for lost in saved.lost] == [(4,)]
    assert saved.frames == FRAMES - 1


def test_a_group_that_is_gone_leaves_nothing_whole(store: Path, tmp_path: Path) -> None:
    with h5py.File(store, "r+") as file:
        drop("provenance")(file)
    saved = salvage(store, tmp_path / "whole.h5")
    assert saved.frames == 0
    assert {number for lost in saved.lost for number in lost.frame_index} == set(range(FRAMES))


def parts_of(path: Path, count: int) -> list[Path]:
    """Parts of two photos each, as a killed run leaves them."""
    with StoreWriter(path) as writer:
        for index in range(2 * count):
            writer.add(frame(index))
            if index % 2:
                writer.flush()
        parts = list_parts(parts_folder(path))
        content = [part.read_bytes() for part in parts]
    path.unlink()
    parts_folder(path).mkdir()
    for part, bytes_of in zip(parts, content, strict=True):
        part.write_bytes(bytes_of)
    return parts


def test_parts_are_salvaged_too(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    parts = parts_of(path, 3)
    flip(parts[1], "provenance/parameters", 0)
    parts[2].write_bytes(b"nonsense")
    saved = salvage(path, tmp_path / "whole.h5")
    assert names(tmp_path / "whole.h5") == ["f0", "f1"]
    assert [(lost.file, lost.frame_index) for lost in saved.lost] == [
        (parts[2], ()),
        (parts[1], (2, 3)),
    ]


@pytest.mark.parametrize("how", ["bit", "head", "nonsense", "empty"])
def test_a_damaged_part_costs_its_own_photos(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    path = tmp_path / "run.h5"
    part = parts_of(path, 3)[1]
    if how == "bit":
        flip(part, "frames/path", 0)
    elif how == "head":
        lose_head(part, "hypotheses/ncc")
    else:
        part.write_bytes(b"nonsense" if how == "nonsense" else b"")
    with caplog.at_level(logging.WARNING, "regengine"), StoreWriter(path) as writer:
        assert "000002.h5 is damaged and was set aside as 000002.h5.damaged" in caplog.text
        assert writer.index.find("f2", "") is None
        numbers = writer.index.free_numbers()
        for name in ("f2", "f3"):
            writer.add(StoredFrame(frame_index=next(numbers), result=frame(0, name).result))
        writer.flush()
    assert names(path) == ["f0", "f1", "f2", "f3", "f4", "f5"]
    assert verify_store(path).problems == ()
    assert [found.name for found in parts_folder(path).iterdir()] == ["000002.h5.damaged"]


def test_the_command_lists_what_is_not_whole(store: Path, tmp_path: Path) -> None:
    with h5py.File(store, "r+") as file:
        put("frames/probability", 4, 1.0)(file)
    out = tmp_path / "whole.h5"
    result = verify(store, "--salvage", out)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1:] == [
        f"{store}: not whole: probabilities are not between 0 and 1, or not within their "
        "intervals (frame_index 4)",
        f"{out}: {FRAMES - 1:,} photos are whole.",
    ]
    assert verify(store, "--salvage", out).exit_code == 2
    told = json.loads(verify(store, "--salvage", tmp_path / "b.h5", "--json").stdout)
    assert told["salvaged"]["frames"] == FRAMES - 1
    assert told["salvaged"]["lost"][0]["frame_index"] == [4]
