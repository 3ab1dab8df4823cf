"""Going through many frames reads each stretch once, and makes no frame that is not asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regengine.exchange.export.selection import FrameChoice, choose
from regengine.store import hdf5, snapshot
from regengine.store.file import StoreFile
from regengine.store.rows import StoredFrame, to_tables
from regengine.store.schema import Column
from regengine.store.snapshot import iter_frames, iter_frames_numbered, read_store
from tests.example_results import nothing_found, proposal

CHUNK_ROWS = 300  # more than `BLOCK_FRAMES`
FRAMES = 2 * CHUNK_ROWS


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("many") / "run.h5"
    frames = [
        StoredFrame(
            frame_index=number,
            result=nothing_found(f"f{number}") if number % 5 else proposal(f"f{number}"),
        )
        for number in range(FRAMES)
    ]
    path.write_bytes(hdf5.encode(to_tables(frames), {}))
    return path


@pytest.fixture
def reads(path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counted: Counter[str] = Counter()
    real = StoreFile._read

    def read(self: StoreFile, column: Column, group: str, start: int, stop: int) -> Any:
        counted[f"{group}/{column.name}"] += 1
        return real(self, column, group, start, stop)

    monkeypatch.setattr(StoreFile, "_read", read)
    monkeypatch.setattr(snapshot, "CHUNK_ROWS", CHUNK_ROWS)
    return counted


def test_each_chunk_is_unpacked_once(path: Path, reads: Counter[str]) -> None:
    assert len(list(iter_frames(path))) == FRAMES
    assert {reads["frames/ncc"], reads["control_points/x"], reads["hypotheses/ncc"]} == {2}
    assert reads["detections/x"] == 0


def test_frames_that_were_not_chosen_are_not_made(
    path: Path, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = read_store(path)
    made: list[str] = []
    real = snapshot.frames_of

    def frames_of(*given: Any) -> list[StoredFrame]:
        frames = real(*given)
        made.extend(stored.result.frame for stored in frames)
        return frames

    monkeypatch.setattr(snapshot, "frames_of", frames_of)
    found = list(iter_frames_numbered(path, np.array([3, 10, 599])))
    wanted = [every[number] for number in (3, 10, 599)]
    assert found == [replace(s, result=replace(s.result, hypotheses=())) for s in wanted]
    assert reads["hypotheses/ncc"] == 2  # of `read_store`
    assert made == ["f3", "f10", "f599"]
    made.clear()
    reads.clear()
    chosen = choose(path, FrameChoice())
    assert set(reads) == {"frames/frame_index", "frames/verdict"}
    assert len(list(chosen.frames())) == len(made) == FRAMES // 5
