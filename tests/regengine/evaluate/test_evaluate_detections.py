from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.evaluate.detections import (
    match_positions,
    match_tolerance_px,
    score_frame,
    total_score,
)

TRUTH = np.array([[10.0, 10.0], [20.0, 10.0], [50.0, 50.0]])


def matched(found, tolerance=3.0):
    return match_positions(TRUTH, np.array(found, float).reshape(-1, 2), np.full(3, tolerance))


def test_each_is_used_once_and_the_nearest_wins():
    matches = matched([[11.0, 10.0], [10.2, 10.0], [50.0, 52.0], [80.0, 80.0]])
    assert dict(zip(matches.truth.tolist(), matches.found.tolist(), strict=True)) == {0: 1, 2: 2}
    assert sorted(matches.distance_px) == pytest.approx([0.2, 2.0])


def test_a_detection_between_two_lights_is_one_of_them():
    assert matched([[15.0, 10.0]], tolerance=6.0).truth.size == 1


def test_beyond_the_tolerance_is_no_match():
    assert matched([[13.1, 10.0]]).truth.size == 0


def test_large_lights_may_be_further_off():
    tolerance = match_tolerance_px(np.array([np.nan, 0.0, 40.0]))
    assert tolerance.tolist() == [3.0, 3.0, 13.0]
    found = np.array([[50.0, 58.0], [20.0, 18.0]])
    assert match_positions(TRUTH, found, tolerance).truth.tolist() == [2]


def test_nothing_and_nothing():
    assert matched([]).truth.size == 0
    assert match_positions(np.zeros((0, 2)), TRUTH, np.zeros(0)).found.size == 0


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), max_size=12))
def test_pairs_are_one_to_one_and_within_tolerance(found):
    matches = matched(found, tolerance=5.0)
    assert len(set(matches.truth.tolist())) == matches.truth.size
    assert len(set(matches.found.tolist())) == matches.found.size
    assert (matches.distance_px <= 5.0).all()


def test_score_counts_wanted_found_and_false():
    matches = matched([[10.0, 10.5], [20.0, 10.0], [90.0, 90.0]])
    wanted = np.array([True, False, True])
    score = score_frame(matches, wanted, 3, flux=np.array([3.0, 9.0, 1.0]), seconds=0.5)
    assert (score.wanted, score.found, score.detections, score.false) == (2, 1, 3, 1)
    assert score.completeness == 0.5
    assert score.flux_completeness == 0.75
    assert score.false_fraction == pytest.approx(1 / 3)
    assert score.distance_px.tolist() == [0.5]  # the one that was not wanted does not count
    assert score.error_px(0.5) == 0.5


def test_scores_add_up():
    one = score_frame(matched([[10.0, 10.5]]), np.ones(3, bool), 1, seconds=0.5)
    none = score_frame(matched([]), np.zeros(3, bool), 0, seconds=0.25)
    total = total_score([one, none])
    assert (total.frames, total.wanted, total.found, total.seconds) == (2, 3, 1, 0.75)
    assert np.isnan(total.flux_completeness)


def test_what_is_not_known_is_nan():
    empty = total_score([])
    assert np.isnan([empty.completeness, empty.false_fraction, empty.error_px(0.5)]).all()
