"""Merging the stores of shards: which result is taken, and under which number."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import pytest

from regengine.errors import ConfigError, StoreError
from regengine.result import Reason
from regengine.store import merge_stores as shards
from regengine.store.merge_stores import merge_stores
from regengine.store.rows import StoredFrame
from regengine.store.snapshot import list_parts, parts_folder, read_store
from regengine.store.writer import StoreWriter
from tests.example_results import nothing_found, proposal


def done(name: str, hour: int, *, by: str = "", failed: bool = False) -> StoredFrame:
    """A frame that was finished at some hour, by a run that can be told."""
    result = proposal(name) if hour % 2 else nothing_found(name)
    result = replace(result, path=f"{by}/{name}.jpg", lights=by)
    if failed:
        reasons = (Reason(code="timed_out", text="Too slow."),)
        result = replace(nothing_found(name), verdict="failed", reasons=reasons, lights=by)
    return StoredFrame(
        frame_index=0,
        result=result,
        parameters_sha256="p" * 64,
        processed_utc=f"2026-01-02T{hour:02d}:00:00Z",
    )


def write(path: Path, *frames: StoredFrame, first: int = 0, merged: bool = True) -> Path:
    writer = StoreWriter(path)
    for index, frame in enumerate(frames, first):
        writer.add(replace(frame, frame_index=index))
    writer.flush()
    if merged:
        with writer:
            pass
    else:
        writer._parts.release()  # as a killed run leaves it
    return path


def told(path: Path) -> list[tuple[int, str, str]]:
    return [(s.frame_index, s.result.frame, s.result.lights) for s in read_store(path)]


def test_shards_become_one_store(tmp_path: Path) -> None:
    one = write(tmp_path / "1.h5", done("a", 1, by="1"), done("c", 2, by="1"), first=7)
    two = write(tmp_path / "2.h5", done("b", 3, by="2"), merged=False)
    before = [one.read_bytes(), list_parts(parts_folder(two))[0].read_bytes()]
    summary = merge_stores([one, two, one], tmp_path / "all.h5")
    assert (summary.frames, summary.repeated) == (3, 0)
    assert summary.taken == {one: 2, two: 1}
    assert told(tmp_path / "all.h5") == [(0, "a", "1"), (1, "c", "1"), (2, "b", "2")]
    merged = read_store(tmp_path / "all.h5")
    originals = [*read_store(one), *read_store(two)]
    assert [replace(stored, frame_index=0) for stored in merged] == [
        replace(stored, frame_index=0) for stored in originals
    ]
    assert [one.read_bytes(), list_parts(parts_folder(two))[0].read_bytes()] == before
    assert not parts_folder(tmp_path / "all.h5").exists()


@pytest.mark.parametrize(
    ("first", "second", "taken"),
    [
        ((1, False), (2, False), "2"),
        ((2, False), (1, False), "1"),
        ((2, False), (2, False), "2"),
        ((1, False), (2, True), "1"),
        ((2, True), (1, False), "2"),
        ((2, True), (1, True), "1"),
    ],
    ids=["later", "earlier", "as late", "failed later", "failed", "both failed"],
)
def test_of_a_frame_in_several_stores_the_best_is_taken(
    tmp_path: Path, first: tuple[int, bool], second: tuple[int, bool], taken: str
) -> None:
    one = write(tmp_path / "1.h5", done("x", first[0], by="1", failed=first[1]), done("y", 1))
    two = write(tmp_path / "2.h5", done("z", 1), done("x", second[0], by="2", failed=second[1]))
    summary = merge_stores([one, two], tmp_path / "all.h5")
    assert summary.repeated == 1
    assert told(tmp_path / "all.h5") == [(0, "x", taken), (1, "y", ""), (2, "z", "")]


def test_a_store_grows_and_keeps_its_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regengine.store.writer.BLOCK_FRAMES", 2)
    old = [done(name, 1, by="old", failed=name == "e") for name in "abcdefg"]
    out = write(tmp_path / "out.h5", *old, first=3)
    write(out, done("h", 1, by="part"), first=20, merged=False)
    new = write(tmp_path / "new.h5", done("i", 1, by="new"), done("e", 1, by="new"))
    with pytest.raises(ConfigError, match=r"out\.h5 exists already.*--grow"):
        merge_stores([out, new], out)
    summary = merge_stores([out, new], out, grow=True)
    assert summary.taken == {out: 7, new: 2}
    expected = [(3 + k, name, "new" if name == "e" else "old") for k, name in enumerate("abcdefg")]
    assert told(out) == [*expected, (20, "h", "part"), (21, "i", "new")]
    assert not parts_folder(out).exists()
    before = told(out)
    merge_stores([new], out, grow=True)  # once more is as good as once
    assert told(out) == before


def test_a_store_with_a_photo_twice_grows_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regengine.store.writer.BLOCK_FRAMES", 2)
    frames = [done(name, 1, by=str(place)) for place, name in enumerate("abcbdefghi")]
    out = write(tmp_path / "out.h5", *frames)
    merge_stores([write(tmp_path / "new.h5", done("j", 1))], out, grow=True)
    kept = [(0, "a", "0"), (1, "b", "3"), (2, "c", "2")]  # the later b, where b was first
    rest = [(place, name, str(place)) for place, name in enumerate("defghi", 4)]
    assert told(out) == [*kept, *rest, (10, "j", "")]


def test_frames_that_lie_far_apart_are_found_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "FAR_APART", 1)
    monkeypatch.setattr("regengine.store.writer.BLOCK_FRAMES", 4)
    names = [f"f{k}" for k in range(12)]
    one = write(
        tmp_path / "1.h5", *(done(n, 1, by="1", failed=k % 3 == 0) for k, n in enumerate(names))
    )
    two = write(
        tmp_path / "2.h5",
        *(done(n, 1, by="2", failed=k % 3 > 0) for k, n in enumerate(names[::-1])),
    )
    merge_stores([one, two], tmp_path / "all.h5")
    better = {
        s.result.frame: s.result
        for s in [*read_store(one), *read_store(two)]
        if s.result.verdict != "failed"
    }
    merged = read_store(tmp_path / "all.h5")
    assert [s.result.frame for s in merged] == names
    assert [s.result for s in merged] == [
        better.get(name, merged[k].result) for k, name in enumerate(names)
    ]
    assert sum(s.result.verdict == "failed" for s in merged) == 12 - len(better)


def test_a_store_that_is_being_written_is_not_replaced(tmp_path: Path) -> None:
    one = write(tmp_path / "1.h5", done("a", 1))
    with StoreWriter(tmp_path / "out.h5"), pytest.raises(StoreError, match="being written"):
        merge_stores([one], tmp_path / "out.h5", grow=True)


def test_a_store_that_is_missing_leaves_nothing_behind(tmp_path: Path) -> None:
    one = write(tmp_path / "1.h5", done("a", 1))
    with pytest.raises(StoreError, match=r"nowhere\.h5 does not exist"):
        merge_stores([one, tmp_path / "nowhere.h5"], tmp_path / "new" / "all.h5")
    assert not list((tmp_path / "new").iterdir())
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="cannot be written"):
        merge_stores([one], tmp_path / "file" / "all.h5")


def test_what_is_left_of_a_killed_first_run_is_no_empty_place(tmp_path: Path) -> None:
    out = write(tmp_path / "out.h5", done("a", 1, by="part"), merged=False)
    one = write(tmp_path / "1.h5", done("b", 1, by="1"))
    with pytest.raises(ConfigError, match="exists already"):
        merge_stores([one], out)
    merge_stores([one], out, grow=True)
    assert told(out) == [(0, "a", "part"), (1, "b", "1")]


def test_empty_stores_merge_into_an_empty_one(tmp_path: Path) -> None:
    one = write(tmp_path / "1.h5", done("a", 1))
    with h5py.File(one, "r+") as file:
        for group in file.values():
            for dataset in group.values():
                dataset.resize(0, axis=0)
    assert merge_stores([one], tmp_path / "all.h5").frames == 0
    assert read_store(tmp_path / "all.h5") == []
