"""`python -m benchmarks kills` sees what is lost, and loses nothing itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import kills
from benchmarks.kills import lost, whole_records
from benchmarks.made_up import made_up_frame, made_up_result
from regengine.records import record_line
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter


def write(store: Path, numbers: tuple[int, ...]) -> list[StoredFrame]:
    frames = [made_up_frame(number, made_up_result(number)) for number in numbers]
    with StoreWriter(store) as writer:
        for frame in frames:
            writer.add(frame)
        writer.flush()
    return frames


def printed(frames: list[StoredFrame]) -> str:
    return "".join(record_line(frame.result) + "\n" for frame in frames)


def test_what_was_reported_and_is_not_there_is_seen(tmp_path: Path) -> None:
    store = tmp_path / "run.h5"
    frames = write(store, (0, 1))
    records = whole_records(printed(frames) + "not a record\n" + printed(frames)[:40])
    assert len(records) == 2
    assert lost(records, store) == []
    missing = json.loads(record_line(made_up_result(2)))
    assert lost([missing], store) == [f"reported, but lost: {missing['path']}"]
    changed = records[0] | {"verdict": "review"}
    assert lost([changed], store) == [f"reported, but changed: {changed['path']}"]
    store.write_bytes(store.read_bytes()[:2000])
    assert lost(records, store)[0].startswith("does not open")


@pytest.mark.slow
def test_killed_runs_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert kills.main(["--kills", "2", "--photos", "24"]) == 0
    assert "| local workers | " in capsys.readouterr().out
