"""Tables, summary and page of the registration benchmark."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from example_results import nadir_camera, nothing_found
from registration_outcomes import GOOD, elsewhere, in_city, outcome, scored

from benchmarks.registration_real import report
from benchmarks.registration_report import (
    CHECK_HEADER,
    RESULT_HEADER,
    check_row,
    number,
    peer_table,
    result_row,
)
from benchmarks.registration_run import PeerScore
from benchmarks.registration_summary import summary_lines
from benchmarks.registration_truth import City


def test_rows_have_a_cell_for_every_column() -> None:
    failed = replace(outcome(), result=None, problem="unreadable")
    nothing = replace(outcome(), result=nothing_found())
    for one in (scored(shift=GOOD), outcome(verdict="review"), failed, nothing):
        assert len(result_row(one)) == len(RESULT_HEADER)
    assert len(check_row(scored(shift=GOOD))) == len(CHECK_HEADER)
    assert result_row(failed)[-1] == "unreadable"


def test_the_row_says_what_is_known() -> None:
    row = dict(zip(RESULT_HEADER, result_row(scored(463.3, hand_px=8.6)), strict=True))
    assert row["error m"] == "463 / 463"
    assert row["centre"] == "35.70 N 136.90 E"
    assert row["map px"] == "1.00 / 1.00"
    assert row["margin"] == "0.29"
    assert row["hand points px"] == "8.6"
    assert row["control points"].startswith("right (0.46 of ")
    assert row["clock s"] == "-131.7"
    assert row["probability"] == "0.9997"
    assert row["reasons"] == "–"
    city = result_row(in_city(outcome(), City(name="Far", lon=130.0, lat=35.0)))
    assert "**not in view**" in city[RESULT_HEADER.index("known place")]
    wrong = result_row(scored(90_000.0))[RESULT_HEADER.index("control points")]
    assert wrong.startswith("**wrong** (90.00 of ")
    blank = replace(scored(), score=replace(scored().score, control_point_error_m=np.zeros(0)))
    assert result_row(blank)[RESULT_HEADER.index("control points")] == "none"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (float("inf"), "∞"), (1234.567, "1,234.57")],
)
def test_numbers_that_are_none(value: float | None, text: str) -> None:
    assert number(value) == text


def peer(
    from_reference_m: tuple[float, float] | None, from_solution_m: tuple[float, float]
) -> PeerScore:
    return PeerScore(
        name="SIFT",
        inliers=30,
        from_reference_m=from_reference_m,
        from_solution_m=from_solution_m,
        bar_km=2.0,
        seconds=0.5,
    )


def test_peers_stand_beside_us() -> None:
    assert peer_table([outcome()]) == []
    lines = peer_table(
        [
            scored(peers=(peer((1900.0, 9000.0), (2100.0, 9000.0)),)),
            outcome("Tokyo", peers=(peer(None, (float("inf"), float("inf"))),)),
        ]
    )
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    assert [row[2] for row in cells[2:]] == ["the reference", "our solution", "our solution"]
    assert [row[6] for row in cells[2:]] == ["**1.90 / 9.00**", "2.10 / 9.00", "∞ / ∞"]
    assert [row[4] for row in cells[2:]] == ["**0.10 / 0.10**", "–", "–"]


def test_the_summary_counts() -> None:
    base = scored(100.0, shift=GOOD, shift_of_reference=GOOD)
    wrong = in_city(outcome("Tokyo"), City(name="Far", lon=130.0, lat=35.0))
    oblique_truth = replace(base.truth, camera=nadir_camera(tilt_deg=50.0))
    oblique = scored(100.0, truth=oblique_truth)
    oblique = replace(oblique, case=replace(oblique.case, name="Italy", file="cities/Italy.jpg"))
    turned = replace(elsewhere(base, 0.01, variant="mirrored"), score=None)
    assert turned.result is not None
    assert turned.result.solved is not None
    other_hand = replace(nadir_camera(tilt_deg=0.01), mirrored=True)
    solved = replace(turned.result.solved, camera=other_hand)
    turned = replace(turned, result=replace(turned.result, solved=solved))
    failed = replace(outcome("Bad"), result=None)
    text = "\n".join(summary_lines([base, wrong, oblique, turned, failed]))
    assert "Right by the reference points: 2 of 2 (Osaka, Italy)" in text
    assert "Wrong: Tokyo. Wrong and accepted: Tokyo (aim: none)." in text
    assert "3 accepted, 1 failed" in text
    assert "Median error near nadir: Osaka 100 m" in text
    assert "on obliques: Italy 0.0" in text
    assert "of 1 variants 1 give the same places within a map pixel in the median" in text
    assert "median 2.0 s (aim: 3 s), slowest 2.0 s" in text
    assert "Largest memory: 300 MB" in text


def test_the_page_has_a_table_for_everything() -> None:
    base = scored(shift=GOOD, shift_of_reference=GOOD, peers=(peer((1900.0, 9e3), (2100.0, 9e3)),))
    base = replace(base, case=replace(base.case, same_frame="A"))
    copy = outcome("copy")
    copy = replace(copy, case=replace(copy.case, same_frame="A"))
    text = "\n".join(report([base, copy, elsewhere(base, 0.01, variant="mirrored")]))
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Photographs",
        "## The reference itself",
        "## What else could be tried",
        "## Copies of the same frame",
        "## The same photo, told or shown otherwise",
    ]
    assert [line for line in "\n".join(report([copy])).splitlines() if line[:3] == "## "] == [
        "## Photographs"
    ]
