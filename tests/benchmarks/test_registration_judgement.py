"""Who is right: the reference, the photo's own lights, a city, another solution."""

from __future__ import annotations

from dataclasses import replace

import pytest
from example_results import nothing_found
from registration_outcomes import BAD, GOOD, elsewhere, in_city, outcome, scored

from benchmarks.registration_compare import (
    CHANGED_HEADER,
    TWIN_HEADER,
    agrees_locally,
    bases,
    changed_rows,
    contradicts_reference,
    judgement,
    twin_rows,
)
from benchmarks.registration_local import LocalShift
from benchmarks.registration_report import (
    RESULT_HEADER,
    result_row,
)
from benchmarks.registration_summary import summary_lines
from benchmarks.registration_truth import City


@pytest.mark.parametrize(
    ("error_m", "shift", "of_reference", "word"),
    [
        (900.0, None, None, "right"),
        (90_000.0, None, None, "wrong"),
        (90_000.0, GOOD, GOOD, "wrong"),
        (90_000.0, BAD, GOOD, "wrong"),
        (90_000.0, GOOD, BAD, "disputed"),
    ],
)
def test_reference_points_decide_unless_the_photo_contradicts_them(
    error_m: float, shift: LocalShift | None, of_reference: LocalShift | None, word: str
) -> None:
    one = scored(error_m, shift=shift, shift_of_reference=of_reference)
    assert judgement(one, bases([one])) == word


def test_hand_points_may_save_the_reference() -> None:
    one = scored(90_000.0, shift=GOOD, shift_of_reference=BAD, hand_px=9.0)
    assert contradicts_reference(replace(one, hand_of_reference_px=12.0))
    assert not contradicts_reference(replace(one, hand_of_reference_px=5.0))


def test_too_few_local_matches_are_no_agreement() -> None:
    assert agrees_locally(scored(shift=GOOD))
    assert not agrees_locally(scored(shift=replace(GOOD, found=9)))
    assert not agrees_locally(scored(shift=replace(GOOD, tried=0, found=0)))
    assert not agrees_locally(outcome())


def test_a_city_out_of_view_is_wrong() -> None:
    far = in_city(outcome(), City(name="Far", lon=130.0, lat=35.0))
    near = in_city(outcome(), City(name="Near", lon=137.0, lat=35.7))
    assert judgement(far, {}) == "wrong"
    assert judgement(near, {}) == "unknown"
    cropped = replace(far, case=replace(far.case, variant="first half"))
    assert judgement(cropped, {}) == "unknown"
    nothing = replace(far, result=nothing_found())
    assert judgement(nothing, {}) == "no proposal"


@pytest.mark.parametrize(("largest_m", "word"), [(1900.0, "right"), (1920.0, "wrong")])
def test_landmarks_judge_where_there_is_no_reference(largest_m: float, word: str) -> None:
    one = outcome(hand_m=(300.0, largest_m))  # the footprint's diagonal is told as 191 km
    assert judgement(one, {}) == word
    row = dict(zip(RESULT_HEADER, result_row(one), strict=True))
    assert row["error m"].startswith("≈ 300 / 1,9")
    assert row["% of diagonal"].startswith("≈ 0.16 / ")
    assert ("by eye: Osaka" in "\n".join(summary_lines([one]))) is (word == "right")


@pytest.mark.parametrize(("tilt_deg", "word"), [(0.05, "right"), (2.0, "wrong")])
def test_accepted_solutions_of_a_photo_judge_each_other(tilt_deg: float, word: str) -> None:
    base = outcome()
    moved = elsewhere(base, tilt_deg, moved_km=100.0)
    assert judgement(moved, bases([base, moved])) == word
    unsure = outcome(verdict="review")
    assert judgement(moved, bases([unsure, moved])) == "unknown"


def test_what_changed_is_compared_with_the_photo_as_it_is() -> None:
    base = outcome()
    cases = [
        elsewhere(base, 0.05, moved_km=-100.0),
        elsewhere(base, 0.05, variant="mirrored"),
        elsewhere(base, 0.05, lights="clip.tif"),
    ]
    rows = changed_rows([base, *cases, outcome("Tokyo")])
    assert [row[:2] for row in rows] == [
        ["Osaka", "nadir -100 km"],
        ["Osaka", "mirrored"],
        ["Osaka", "clip.tif map"],
    ]
    assert all(len(row) == len(CHANGED_HEADER) for row in rows)
    # 0.05 degrees at 391 km are 341 m
    assert float(rows[0][5]) == pytest.approx(341.0 / 463.3, abs=0.02)


def test_copies_of_a_frame_are_compared() -> None:
    one = outcome("edit")
    one = replace(one, case=replace(one.case, same_frame="ISS030-E-184140"))
    other = outcome("original")
    other = replace(other, case=replace(other.case, same_frame="ISS030-E-184140"))
    (row,) = twin_rows([one, other, outcome("third")])
    assert len(row) == len(TWIN_HEADER)
    assert row == ["ISS030-E-184140", "accepted, accepted", "0.0", "0.0", "0.0", "-131.7, -131.7"]
    nothing = replace(other, result=nothing_found())
    assert twin_rows([one, nothing])[0][2:] == ["–"] * 4
    failed = replace(other, result=None)
    assert twin_rows([one, failed]) == []
