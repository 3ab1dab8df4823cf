"""When `regengine register` lets photos tell each other something."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from regengine import pipeline
from regengine.registration.neighbour_priors import FrameFacts, NeighbourPrior
from regengine.registration.outcome import iso_utc
from regengine.result import FrameResult
from regengine.store.snapshot import read_store
from tests.command_line import invoke
from tests.conftest import ROOT
from tests.example_results import proposal

SAMPLES = ROOT / "data_samples"
START = datetime(2014, 1, 30, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        (["--tle", SAMPLES / "tle.txt"], True),
        (["--tle", SAMPLES / "tle.txt", "--share"], True),
        (["--tle", SAMPLES / "tle.txt", "--no-share"], False),
        (["--tle", SAMPLES / "tle.txt", "--time", "2014-01-30T10:00:00Z"], False),
        (["--nadir", "-151.7,35.2"], False),
    ],
    ids=["usual", "share", "no share", "one time for all", "no orbit"],
)
def test_photos_share_where_each_has_a_clock_and_an_orbit(
    options: list[object], shares: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def at(path: Path) -> datetime:
        return START + timedelta(seconds=int(path.stem))

    def facts_of(path: Path, inputs: object) -> FrameFacts:
        return FrameFacts(
            frame=path.stem,
            camera_body="NIKON D3S",
            time_utc=at(path),
            focal_mm=85.0,
            size_px=(640, 426),
        )

    def process(path: Path, inputs: object, hints: NeighbourPrior | None = None) -> FrameResult:
        if hints is not None:
            told.append(path.stem)
        return replace(proposal(path.stem), path=str(path), time_utc=iso_utc(at(path)))

    monkeypatch.setattr(pipeline, "facts_of_photo", facts_of)
    monkeypatch.setattr(pipeline, "process_photo", process)
    for name in ("0.jpg", "10.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    arguments = ["register", tmp_path, "--lights", SAMPLES / "lights.tif", "--workers", "0"]
    arguments += ["--store", tmp_path / "run.h5", *options]
    result = invoke(*arguments)
    assert result.exit_code == 0, result.stderr
    assert told == (["10"] if shares else [])


def test_an_interrupted_run_counts_what_is_stored_and_not_told_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def facts_of(path: Path, inputs: object) -> FrameFacts:
        return FrameFacts(
            frame=path.stem,
            camera_body="NIKON D3S",
            time_utc=START + timedelta(seconds=int(path.stem)),
            focal_mm=85.0,
            size_px=(640, 426),
        )

    def process(path: Path, inputs: object, hints: NeighbourPrior | None = None) -> FrameResult:
        if path.stem == "30":
            raise KeyboardInterrupt
        return replace(proposal(path.stem), path=str(path), verdict="no_match", solved=None)

    monkeypatch.setattr(pipeline, "facts_of_photo", facts_of)
    monkeypatch.setattr(pipeline, "process_photo", process)
    for name in ("0.jpg", "10.jpg", "20.jpg", "30.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    store = tmp_path / "run.h5"
    arguments = ["register", tmp_path, "--lights", SAMPLES / "lights.tif", "--workers", "0"]
    result = invoke(*arguments, "--store", store, "--tle", SAMPLES / "tle.txt", "--json")
    assert result.exit_code == 130
    told, stored = result.stdout.splitlines(), list(read_store(store))
    assert len(stored) == 3
    assert f"3 photos: 0 accepted, 0 review, 3 no_match, 0 failed; stored in {store}" in (
        result.stderr
    )
    assert f"be told of {3 - len(told)} that others may still change" in result.stderr
