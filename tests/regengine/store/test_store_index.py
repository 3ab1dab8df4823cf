"""Which photo is which frame, without holding the frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from stored_frames import frame

from regengine.result import Reason
from regengine.store import index
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.example_results import nothing_found, proposal


def unreadable(path: str) -> StoredFrame:
    result = replace(
        nothing_found(Path(path).stem),
        path=path,
        sha256="",
        verdict="failed",
        reasons=(Reason(code="unreadable", text="No."), Reason(code="x", text="Y.")),
    )
    return StoredFrame(frame_index=1, result=result, parameters_sha256="q", search_pass=1)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "run.h5"
    found = StoredFrame(
        frame_index=2,
        result=proposal(verdict="review"),
        parameters_sha256="p",
        hints_sha256="h" * 64,
        search_pass=3,
    )
    with StoreWriter(path) as writer:
        for stored in (frame(0), unreadable("photos/locked.jpg"), found, frame(3)):
            writer.add(stored)
        writer.flush()
    return path


def test_what_decides_about_a_frame_is_found_by_content_and_name(store: Path) -> None:
    sha256 = proposal().sha256
    with StoreWriter(store) as writer:
        entry = writer.index.find("elsewhere/ISS030-E-184140.jpg", sha256)
        assert entry == index.StoredEntry(
            frame_index=2,
            verdict="review",
            reason_codes=("low_margin", "x"),
            parameters_sha256="p",
            hints_sha256="h" * 64,
            search_pass=3,
        )
        assert writer.index.find("ISS030-E-184141.jpg", sha256) is None
        assert writer.index.find("ISS030-E-184140.jpg", "0" * 64) is None
        assert len(writer.index) == 4


def test_a_photo_that_could_not_be_read_is_the_same_once_it_can(store: Path) -> None:
    with StoreWriter(store) as writer:
        for sha256 in ("", "ab" * 32):
            entry = writer.index.find("photos/locked.jpg", sha256)
            assert entry is not None
            assert (entry.frame_index, entry.verdict) == (1, "failed")
            assert entry.reason_codes == ("unreadable", "x")
        assert writer.index.find("other/locked.jpg", "ab" * 32) is None


def test_names_that_are_no_utf8_are_found_again(tmp_path: Path) -> None:
    odd = "photos/\udce9t\udce9.jpg"
    printed = "photos/\\udce9t\\udce9.jpg"
    with StoreWriter(tmp_path / "run.h5") as writer:
        writer.add(
            StoredFrame(frame_index=0, result=replace(nothing_found(), path=printed, sha256="ab"))
        )
        writer.flush()
    with StoreWriter(tmp_path / "run.h5") as writer:
        assert writer.index.find(odd, "ab") is not None


def test_an_empty_store_knows_nothing(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "run.h5") as writer:
        assert len(writer.index) == 0
        assert writer.index.find("a.jpg", "ab" * 32) is None
        assert next(writer.index.free_numbers()) == 0


def test_frames_are_read_again_in_any_order(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BLOCK_FRAMES", 1)
    monkeypatch.setattr(index, "BLOCKS", 2)
    monkeypatch.setattr(index, "READ_ROWS", 3)
    with StoreWriter(store) as writer:
        found = [writer.stored_frame(number) for number in (3, 0, 2, 1, 3)]
        assert found[:2] == [frame(3), frame(0)]
        assert found[2].result == proposal(verdict="review")
        assert found[3] == unreadable("photos/locked.jpg")
        assert found[4] == found[0]
        assert len(writer.index) == 4
        with pytest.raises(KeyError):
            writer.stored_frame(4)
