"""Scores of streaks: what is found, false, a piece, and how far off, by construction."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.evaluate.streak_labels import score_mask
from regengine.evaluate.streak_scores import (
    line_measures,
    match_streaks,
    score_streaks,
    total_streak_score,
)

TRUE = np.array([100.0, 100.0, 300.0, 100.0, 0.0])


def one(*row: float) -> np.ndarray:
    return np.array([[*row, *([0.0] * (5 - len(row)))]])


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ((100, 102.9, 300, 102.9), True),  # beside it by less than three pixels
        ((100, 103.1, 300, 103.1), False),
        ((300, 100, 100, 100), True),  # the other way round
        ((100, 100, 201, 100), True),  # a little more than half of it
        ((100, 100, 199, 100), False),
        ((0, 100, 399, 100), True),  # twice as long at most
        ((0, 100, 401, 100), False),
        ((100, 95, 300, 105), True),  # turned: 5 px at the ends is 2.9 RMS
        ((100, 94, 300, 106), False),
    ],
)
def test_what_counts_as_found(row, found):
    matches = match_streaks(TRUE[None, :4], np.array([row], float))
    assert (matches.truth.size == 1) is found


def test_both_measures_of_a_shifted_shorter_line():
    rms, overlap, beside = line_measures(TRUE, one(150, 102, 350, 102)[0])
    assert rms == pytest.approx(2.0)
    assert overlap == pytest.approx(150 / 250)
    assert beside == pytest.approx(0.75, abs=0.01)


@given(st.floats(-500, 500), st.floats(-500, 500), st.floats(0, 6.283), st.floats(-0.03, 0.03))
def test_measures_know_neither_place_nor_direction(dx, dy, angle, bend):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def moved(row):
        ends = (row[:4].reshape(2, 2) @ turn.T + (dx, dy)).ravel()
        return np.array([*ends, row[4]])

    truth = np.array([0.0, 0.0, 200.0, 0.0, 200 * bend])
    found = np.array([20.0, 1.0, 190.0, -1.0, 170 * bend])
    plain, there = line_measures(truth, found), line_measures(moved(truth), moved(found))
    assert there == pytest.approx(plain, abs=0.02)
    itself = line_measures(moved(truth), moved(truth))
    assert itself[:2] == pytest.approx((0.0, 1.0), abs=1e-6)


def test_a_bent_streak_wants_its_bow():
    bent = np.array([[100.0, 100.0, 300.0, 100.0, 12.0]])
    straight = match_streaks(bent, bent[:, :4])
    assert straight.truth.size == 0
    assert straight.false.size == 1
    assert match_streaks(bent, bent).truth.size == 1


def test_halves_are_pieces_and_the_rest_is_false():
    found = np.array(
        [
            [100, 100, 260, 100],  # found
            [240, 101, 300, 101],  # a piece
            [100, 100, 290, 100.5],  # found better: the first becomes a piece
            [100, 200, 300, 200],  # nothing there
        ],
        float,
    )
    matches = match_streaks(TRUE[None], found)
    assert matches.found.tolist() == [2]
    assert matches.pieces.tolist() == [0, 1]
    assert matches.false.tolist() == [3]


def test_as_many_as_possible_have_a_partner():
    # The detection in the middle is nearest to both, yet the second has no other
    truth = np.array([[100, 100, 300, 100], [100, 104, 300, 104]], float)
    found = np.array([[100, 102, 300, 102], [100, 98, 300, 98]], float)
    matches = match_streaks(truth, found)
    assert dict(zip(matches.truth.tolist(), matches.found.tolist(), strict=True)) == {0: 1, 1: 0}


def test_end_errors_are_those_of_each_end():
    matches = match_streaks(TRUE[None], one(303, 104 - 2, 100, 101))
    assert sorted(matches.end_error_px[0]) == pytest.approx([1.0, np.hypot(3, 2)])


def test_nothing_true_and_nothing_found():
    none = np.zeros((0, 4))
    assert match_streaks(none, none).false.size == 0
    assert match_streaks(none, TRUE[None]).false.tolist() == [0]
    score = score_streaks(none, none)
    assert np.isnan(score.recall())
    assert total_streak_score([]).frames == 0
    assert np.isnan(total_streak_score([]).false_per_frame)
    with pytest.raises(ValueError, match="rows of 4 or 5"):
        match_streaks(np.zeros((1, 3)), none)


def test_objects_of_a_mask_are_found_along_their_length():
    drawn = cv2.line(np.zeros((300, 400), np.uint8), (100, 100), (300, 100), 1, 9)
    truth = cv2.line(drawn, (50, 200), (350, 260), 1, 5) > 0
    half = score_mask(truth, np.array([[110.0, 103.0, 290.0, 103.0], [10, 10, 80, 10]]))
    assert (half.wanted, half.found, half.false) == (2, 1, 1)
    pieces = score_mask(truth, np.array([[100.0, 100, 160, 100], [180, 100, 250, 100]]))
    assert (pieces.found, pieces.false) == (1, 0)
    short = score_mask(truth, np.array([[100.0, 100, 160, 100]]))
    assert short.found == 0
    assert score_mask(np.zeros((20, 20), bool), np.zeros((0, 4))).wanted == 0
