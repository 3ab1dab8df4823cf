"""`python -m benchmarks soak` sees copies that come out otherwise, and goes on where it ended."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import soak
from benchmarks.made_up import made_up_frame, made_up_result
from regengine.result import Reason
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.conftest import ROOT

SAMPLES = ROOT / "data_samples"


def copy_of(number: int, turn: int, **changed: object) -> StoredFrame:
    """A copy of a photo as the store has it, whose sentence names it."""
    path = f"photos/{turn:04d}/p{number}_{turn:04d}.jpg"
    made = made_up_frame(turn * 10 + number, made_up_result(number))
    why = (Reason(code="few_lights", text=f"{path} shows few lights; take another one."),)
    result = replace(made.result, path=path, reasons=why, sha256="0" * 64, seconds=float(turn))
    return replace(made, result=replace(result, **changed))


def test_copies_that_come_out_otherwise_are_told_by_their_columns(tmp_path: Path) -> None:
    frames = [copy_of(number, turn) for turn in range(3) for number in range(4)]
    odd = copy_of(1, 3, camera_body="NIKON D5")
    for name, kept in (("same", frames), ("odd", [*frames, odd])):
        with StoreWriter(tmp_path / f"{name}.h5") as writer:
            for frame in kept:
                writer.add(frame)
            writer.flush()
    assert list(soak.unlike(tmp_path / "same.h5")) == []
    assert list(soak.unlike(tmp_path / "odd.h5")) == ["p1: frames/camera_body (1)"]


@pytest.mark.slow
def test_a_run_of_shards_is_done_and_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(soak, "BLOCK_PHOTOS", 2)
    for shade in (120, 200):  # by day: nothing is searched for
        Image.new("RGB", (96, 72), (shade, 180, 230)).save(tmp_path / f"{shade}.png")
    lights, tle = SAMPLES / "lights.tif", SAMPLES / "tle.txt"
    words = [str(tmp_path / "*.png"), "--lights", str(lights), "--tle", str(tle)]
    words += ["--folder", str(tmp_path / "soak"), "--frames", "4", "--end", "900"]
    assert soak.main(words) == 0
    assert "4 photos (2 names of each of 2)" in capsys.readouterr().out
    log = tmp_path / "soak" / "runs.ndjson"
    assert [json.loads(line)["end"] for line in log.read_text().splitlines()] == ["done"] * 2
    assert soak.main(words) == 0
    assert len(log.read_text().splitlines()) == 2


@pytest.mark.slow
def test_a_run_that_gives_up_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(soak, "BLOCK_PHOTOS", 1)
    Image.new("RGB", (96, 72), (120, 180, 230)).save(tmp_path / "day.png")
    words = [str(tmp_path / "*.png"), "--lights", str(SAMPLES / "lights.tif"), "--tle", "none.txt"]
    words += ["--folder", str(tmp_path / "soak"), "--frames", "2", "--end", "900"]
    assert soak.main(words) == 1
    assert "a run gave up" in capsys.readouterr().err
    log = tmp_path / "soak" / "runs.ndjson"
    assert [json.loads(line)["end"] for line in log.read_text().splitlines()] == ["failed"]
