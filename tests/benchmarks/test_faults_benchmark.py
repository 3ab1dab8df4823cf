"""The fault benchmark sees what is lost, and loses nothing itself; small versions of its trials."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import h5py
import pytest

from benchmarks import faults
from benchmarks.faults.child import differences, lost, whole_records, without_seconds
from benchmarks.faults.engine import KINDS, facts_of, kind_of, make_photos, process, result_of
from benchmarks.faults.kills import FINISHED, kill_trials
from benchmarks.faults.trial import Bench, Trial, problem_lines, reference_bench, table_lines
from regengine.errors import FrameError
from regengine.records import record_line
from regengine.store.rows import StoredFrame
from regengine.store.snapshot import parts_folder
from regengine.store.writer import StoreWriter


def stored(names: list[str], first: int = 0, kind: str = "easy") -> list[StoredFrame]:
    return [
        StoredFrame(frame_index=first + k, result=result_of(Path(f"{name}.jpg"), kind, b""))
        for k, name in enumerate(names)
    ]


def write(store: Path, frames: list[StoredFrame]) -> Path:
    with StoreWriter(store) as writer:
        for frame in frames:
            writer.add(frame)
        writer.flush()
    return store


def records(frames: list[StoredFrame]) -> list[dict[str, object]]:
    return [without_seconds(json.loads(record_line(frame.result))) for frame in frames]


def test_what_was_reported_and_is_not_there_is_seen(tmp_path: Path) -> None:
    frames = stored(["f0000", "f0001"])
    store = write(tmp_path / "run.h5", frames)
    assert lost(records(frames), store) == []
    more = records(stored(["f0000", "f0001", "f0002"]))
    assert lost(more, store) == ["reported, but lost: f0002.jpg"]
    other = records(stored(["f0000"], kind="hard"))
    assert lost(other, store) == ["reported, but changed: f0000.jpg"]
    assert lost(records(frames), tmp_path / "none.h5")[0].startswith("reported, but lost")


def test_a_file_that_does_not_open_is_seen(tmp_path: Path) -> None:
    store = write(tmp_path / "run.h5", stored(["f0000"]))
    part = parts_folder(store) / "000001.h5"
    part.parent.mkdir()
    part.write_bytes(store.read_bytes()[:9000])
    problems = lost([], store)
    assert problems
    assert all("does not open" in problem for problem in problems)


def test_a_store_is_compared_to_the_last_bit(tmp_path: Path) -> None:
    names = ["f0000", "f0001", "f0002"]
    whole = write(tmp_path / "whole.h5", stored(names))
    same = write(tmp_path / "same.h5", stored(names))
    assert differences(same, whole) == []
    with h5py.File(same, "r+") as file:
        file["control_points/lon"][5] += 1e-13
    assert differences(same, whole) == ["differs: control_points/lon"]
    turned = write(tmp_path / "turned.h5", stored(names[::-1]))
    assert differences(turned, whole) == ["frames have other numbers"]
    less = write(tmp_path / "less.h5", stored(names[:2]))
    assert differences(less, whole) == ["not in the store: f0002"]
    assert differences(whole, less) == ["nobody asked for: f0002"]
    assert differences(whole, less, extra=("f0002",)) == []
    with h5py.File(turned, "r+") as file:
        file["provenance/seconds"][:] = 7.0
    assert differences(turned, whole) == ["frames have other numbers"]


def test_half_a_line_is_no_record() -> None:
    line = record_line(stored(["f0000"])[0].result)
    text = f"{line}\nnot a record\n{line[:40]}"
    assert [record["frame"] for record in whole_records(text)] == ["f0000"]
    assert "seconds" not in whole_records(text)[0]["engine"]


def test_the_stand_in_says_the_same_of_the_same(tmp_path: Path) -> None:
    photos = make_photos(tmp_path, 40)
    assert {kind_of(n) for n in range(400)} == {kind for kind, _ in KINDS}
    for number, path in enumerate(photos):
        if kind_of(number) in ("unreadable", "broken"):
            with pytest.raises((FrameError, ZeroDivisionError)):
                process(path)
        elif number < 12:
            assert process(path) == process(path)
            assert process(path).camera_body == getattr(facts_of(path), "camera_body", None)


def test_killed_runs_lose_nothing(tmp_path: Path) -> None:
    """Kills of the real machinery; workers have kills of their own in the benchmark."""
    make_photos(tmp_path / "photos", 24)
    bench = Bench(
        folder=tmp_path,
        photos=tmp_path / "photos",
        reference=tmp_path / "reference.h5",
        frames=24,
        options=("--workers", "0"),
    )
    trials = list(kill_trials(reference_bench(bench), 2, random.Random(3)))
    assert sum(trial.kind != FINISHED for trial in trials) == 2
    assert [trial for trial in trials if trial.problems] == []
    assert trials[-1].checked == 24


def test_the_command_tells_losses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = Trial(kind="a kill", checked=3)
    bad = replace(good, problems=("reported, but lost: f1.jpg", "stuck"))
    monkeypatch.setattr(faults, "reference_bench", lambda bench: bench)
    monkeypatch.setattr(faults, "KINDS", {"kills": (lambda *_: iter([good, bad]), 1.0)})
    kept = tmp_path / "kept.jsonl"
    options = ["--trials", "1", "--frames", "2", "--kept", str(kept), "--out", str(tmp_path)]
    assert faults.main(options) == 1
    assert faults.kept(kept) == [good, bad]
    assert "| a kill | 2 | 2 | 6 | 1 | 1 |" in capsys.readouterr().out
    (page,) = tmp_path.glob("faults-*.md")
    assert "- a kill: stuck (1 trials)" in page.read_text(encoding="utf-8")
    assert problem_lines([good]) == ["None."]
    assert "| a kill | 1 | 1 | 3 | 0 | 0 |" in table_lines([good])
