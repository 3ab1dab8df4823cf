"""The cost of batches is measured on batches that end, and the photos for it have their names."""

from __future__ import annotations

from pathlib import Path

from benchmarks.batches import LIGHTS, SAMPLES, empty, full, measured, repeated
from benchmarks.faults.engine import make_photos


def test_a_batch_says_what_it_took(tmp_path: Path) -> None:
    make_photos(tmp_path / "photos", 20)
    told = measured(tmp_path / "photos", tmp_path / "run.h5", workers=0, engine="full")
    assert told["frames"] == 20
    assert 0.0 < told["merge_cpu_s"] < told["cpu_s"]
    assert 0.0 < told["bare_mb"] <= told["peak_mb"]
    assert told["points"] == []


def test_engines_that_do_nothing_give_whole_results() -> None:
    path = Path("f0008.jpg")
    assert empty(path).verdict == "no_match"
    accepted = full(path)
    assert accepted.verdict == "accepted"
    assert accepted.detections is not None
    assert len(accepted.detections.x) == LIGHTS
    assert {accepted.frame, empty(path).frame} == {"f0008"}


def test_samples_are_repeated_under_names_of_their_own(tmp_path: Path) -> None:
    samples = sorted(SAMPLES.glob("*.jpg"))
    copies = sorted(repeated(tmp_path, len(samples) + 1).iterdir())
    assert len(copies) == len(samples) + 1
    assert {copy.read_bytes() for copy in copies} == {sample.read_bytes() for sample in samples}
