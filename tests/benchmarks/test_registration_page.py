"""Tables, summary and page of the registration benchmark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from example_results import nadir_camera, nothing_found
from registration_outcomes import CAMERA, elsewhere, outcome, score_of, scored, with_case

from benchmarks.pages import command_of, number
from benchmarks.registration.real import page_lines
from benchmarks.registration.report import (
    RESULT_HEADER,
    result_row,
    summary_lines,
)
from benchmarks.registration.truth import NamedPlace, Truth


def test_rows_have_a_cell_for_every_column() -> None:
    failed = replace(outcome(), result=None, problem="unreadable")
    nothing = replace(outcome(), result=nothing_found())
    for one in (scored(), outcome(verdict="review"), failed, nothing):
        assert len(result_row(one)) == len(RESULT_HEADER)
    assert result_row(failed)[-1] == "unreadable"


def test_the_row_says_what_is_known() -> None:
    row = dict(zip(RESULT_HEADER, result_row(scored(463.3)), strict=True))
    assert row["from the reference m"] == "463 / 463"
    assert row["centre"] == "35.70 N 136.90 E"
    assert row["position from"] == "tle, 6.5 d"
    assert row["map px"] == "1.00 / 1.00"
    assert row["margin"] == "0.29"
    assert row["judged"] == "right"
    assert row["worst control point"].startswith("0.46 of ")
    assert row["clock s"] == "-131.7"
    assert (row["s"], row["CPU s"]) == ("2.5", "2.0")
    assert row["probability"] == "0.9997"
    assert row["reasons"] == "–"
    wrong = result_row(scored(90_000.0))
    assert wrong[RESULT_HEADER.index("judged")] == "**wrong**"
    assert wrong[RESULT_HEADER.index("worst control point")].startswith("90.00 of ")
    assert result_row(outcome())[RESULT_HEADER.index("judged")] == "unknown"
    none = replace(score_of(1.0), control_point_error_m=np.zeros(0), enough=False)
    blank = replace(scored(), score=none)
    assert result_row(blank)[RESULT_HEADER.index("worst control point")] == "–"


def test_named_places_stand_beside_those_of_the_reference() -> None:
    x, y = CAMERA.lonlat_to_pixel(137.0, 35.7)
    places = tuple(
        NamedPlace(name=name, lon=137.0, lat=35.7, x=float(x) + off, y=float(y))
        for name, off in (("near", 1.0), ("middle", 2.0), ("far", 30.0))
    )
    truth = Truth(camera=CAMERA, places=places)
    one = scored(truth=truth, places_px=4.25, places_within=(2, 3))
    column = RESULT_HEADER.index("named places px")
    assert result_row(one)[column : column + 2] == ["4.2 (2.0)", "2 of 3"]
    assert result_row(replace(one, places_px=None))[column : column + 2] == ["–", "–"]
    few = replace(with_case(one, name="few"), places_within=(1, 3))
    wrong = replace(with_case(one, name="wrong"), score=score_of(90_000.0))
    text = "\n".join(summary_lines([one, few, wrong]))
    assert "Of 2 right by their reference cameras, 1 have most of their named" in text
    assert "within the bar, too; not so: few." in text


def test_a_solution_that_is_its_own_reference_is_named() -> None:
    text = "\n".join(summary_lines([scored(4.0), scored(6.0, name="Italy")]))
    assert "independent there: Osaka." in text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (float("inf"), "∞"), (1234.567, "1,234.57")],
)
def test_numbers_that_are_none(value: float | None, text: str) -> None:
    assert number(value) == text


def test_the_summary_counts() -> None:
    base = scored(100.0)
    wrong = scored(90_000.0, name="Tokyo")
    oblique = scored(100.0, name="Italy")
    turned = elsewhere(base, 0.01, variant="mirrored")
    assert turned.result is not None
    assert turned.result.solved is not None
    other_hand = replace(nadir_camera(tilt_deg=0.01), mirrored=True)
    solved = replace(turned.result.solved, camera=other_hand)
    turned = replace(turned, result=replace(turned.result, solved=solved))
    failed = replace(outcome("Bad"), result=None)
    unknown = outcome("Nowhere", verdict="review")
    text = "\n".join(summary_lines([base, wrong, oblique, turned, failed, unknown]))
    assert "Right, accepted or not: 2 of 3 photos with a reference camera (Osaka, Italy)" in text
    assert "Wrong, accepted or not: Tokyo." in text
    assert "3 accepted, 1 review, 1 failed" in text
    assert "of 1 variants 1 give the same places within a map pixel in the median" in text
    assert "median 2.0 s of CPU, 2.5 s of wall time (aim: 1.5 s)" in text
    assert "Largest memory: 300 MB" in text


def test_the_page_has_a_table_for_everything() -> None:
    base = with_case(scored(), same_frame="A")
    copy = with_case(outcome("copy"), same_frame="A")
    outcomes = [base, copy, elsewhere(base, 0.01, variant="mirrored")]
    dark = with_case(outcome("dark", "no_match"), category="stars", file="stars/dark.jpg")
    assert headings(page_lines(outcomes, [dark])) == [
        "## The frames that must be placed",
        "## In short",
        "## Photographs",
        "## All categories",
        "## Copies of the same frame",
        "## The same photo, told or shown otherwise",
    ]
    assert headings(page_lines([copy])) == [
        "## The frames that must be placed",
        "## In short",
        "## Photographs",
    ]


def headings(lines: list[str]) -> list[str]:
    return [line for line in "\n".join(lines).splitlines() if line.startswith("## ")]


def test_a_page_tells_the_command_and_no_folder_of_one_machine() -> None:
    told = command_of("stars", ["--frames", "3", "--out", "/somewhere/here"])
    assert told == "python -m benchmarks stars --frames 3 --out FOLDER"
    assert command_of("lens", ["--out=/somewhere"]) == "python -m benchmarks lens --out=FOLDER"
