"""`regengine show` from the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from regengine.records import record
from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.command_line import invoke
from tests.example_results import nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store

RESULTS = (proposal(verdict="review"), nothing_found("ISS001-E-1"), proposal("espana"))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        for index, result in enumerate(RESULTS):
            writer.add(
                StoredFrame(
                    frame_index=index,
                    result=result,
                    parameters='{"seed": 0}',
                    processed_utc="2026-01-02T03:04:05Z",
                )
            )
        writer.flush()
    return path


show = partial(invoke, "show")


def test_a_store_is_a_table(store: Path) -> None:
    result = show(store)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["ISS030-E-184140", "review"],
        ["ISS001-E-1", "no_match"],
        ["espana", "accepted"],
    ]
    assert lines[1].split() == [
        *("ISS030-E-184140", "review", "0.9997", "35.70", "N", "136.90", "E", "0°"),
        *("143", "0.29", "1.9", "Two", "cameras", "fit", "alike;", "Y,", "z"),
    ]


def test_json_is_the_records(store: Path) -> None:
    lines = show(store, "--json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        json.loads(json.dumps(record(result))) for result in RESULTS
    ]


@pytest.mark.parametrize(
    "name",
    [
        "ISS030-E-184140",
        "iss030e184140",
        "ISS030-E-184140.jpg",
        "photos/ISS030-E-184140.jpg",
        RESULTS[0].sha256[:8],
        RESULTS[0].sha256.upper(),
    ],
)
def test_a_frame_is_found_by_any_of_its_names(store: Path, name: str) -> None:
    (line,) = show(store, name, "--json").stdout.splitlines()
    assert json.loads(line)["frame"] == "ISS030-E-184140"


def test_one_frame_is_shown_whole(store: Path) -> None:
    text = show(store, "ISS030-E-184140").stdout
    for part in (
        "REVIEW",
        "low_margin: Two cameras fit alike.",
        "640 x 426 px, EXIF orientation 6",
        "85 mm, from record",
        "NIKON D3S",
        "391.2 km, from tle",
        "157.0 h",
        "60.0 km along the track",
        "-131.70 s",
        "sky",
        "correlation          0.710, runner-up 0.420",
        "control points",
        "hypotheses",
        "191 km",
        "Black Marble 2016",
        "2026-01-02T03:04:05Z",
        '{"seed": 0}',
    ):
        assert part in text
    point = RESULTS[0].control_points[3]
    assert f"{point.lon:.5f}" in text


def test_a_frame_without_a_proposal_is_shown_too(store: Path) -> None:
    text = show(store, "ISS001-E-1").stdout
    assert "NO MATCH" in text
    assert "unknown" in text
    assert "control points" not in text


def test_two_frames_of_one_name_are_both_shown(tmp_path: Path) -> None:
    sky = (replace(proposal().hypotheses[0], centre_lon=None, centre_lat=None),)
    results = [replace(proposal(), sha256=sha256 * 32, hypotheses=sky) for sha256 in ("ab", "cd")]
    path = write_store(tmp_path / "run.h5", results)
    text = show(path, "ISS030-E-184140").stdout
    assert text.count("ACCEPTED") == 2


def test_a_frame_that_is_not_there_is_told_in_one_sentence(store: Path) -> None:
    missing = show(store, "ISS999-E-9")
    assert missing.exit_code == 2
    assert "holds no frame ISS999-E-9" in missing.stderr


def test_a_run_under_way_can_be_watched(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with StoreWriter(path) as writer:
        writer.add(StoredFrame(frame_index=0, result=nothing_found()))
        writer.flush()
        assert "ISS001-E-1" in show(path).stdout
