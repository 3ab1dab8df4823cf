"""`python -m benchmarks store-scale`, with few frames."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import store_frames, store_scale
from regengine.store.index import find_frames
from regengine.store.snapshot import read_store
from regengine.store.verify import verify_store
from regengine.store.writer import StoreWriter


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (store_scale, store_frames):
        monkeypatch.setattr(module, "DISTINCT", 5)
    monkeypatch.setattr(store_scale, "BLOCK", 20)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "run.h5"
    store_scale.make_store(path, 50)
    return path


def test_the_store_that_is_made_up_is_a_sound_one(store: Path) -> None:
    assert verify_store(store).problems == ()
    frames = read_store(store)
    assert [stored.frame_index for stored in frames] == list(range(50))
    with StoreWriter(store) as writer:
        for stored in (frames[0], frames[49]):
            entry = writer.index.find(stored.result.path, stored.result.sha256)
            assert entry is not None
            assert entry.frame_index == stored.frame_index


def test_answers_are_right(store: Path) -> None:
    frames = read_store(store)
    assert store_scale.count_verdicts(store) == "10 accepted, 10 failed, 20 no_match, 10 review"
    assert store_scale.one_frame(store, "ISS030-E-45") == 4
    assert store_scale.found_frame(store, "ISS030-E-45") == 4
    assert find_frames(store, "ISS030-E-45") == [frames[45]]
    assert store_scale.opened_for_writing(store) == 50
    assert store_scale.ten_more(store) == 60
    assert store_scale.streamed(store) == 60
    assert len(store_scale.run_records(store.with_name("other.h5"), 100, 20)) == 11
    assert store_scale.grown(store, store.with_name("other.h5")) == 80
    assert store_scale.verified(store) == 0


def test_the_memory_of_a_command_is_its_own(store: Path) -> None:
    held = b"x" * (1 << 30)  # of the process that starts it
    lines, _, _, megabytes = store_scale.show_process(store, "ISS030-E-45")
    assert lines > 5
    assert megabytes < len(held) / 1e6


def test_the_page_has_every_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without processes of their own, which cost seconds each."""
    monkeypatch.setattr(store_scale, "afresh", lambda function, *given: function(*given))
    monkeypatch.setattr(store_scale, "REPEATS", 1)
    arguments = ["--frames", "40", "--records", "10", "--folder", str(tmp_path)]
    assert store_scale.main([*arguments, "--out", str(tmp_path / "out")]) == 0
    page = capsys.readouterr().out
    (written,) = (tmp_path / "out").iterdir()
    assert written.read_text(encoding="utf-8") == page
    assert re.search(r"\| `verify` of the large store: problems \| 0 \|", page)
    assert "merge at the end" in page
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
