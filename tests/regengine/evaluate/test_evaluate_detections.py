"""Labelled lights are read, and detections held against them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regengine.errors import ConfigError
from regengine.evaluate.detections import (
    match_positions,
    match_tolerance_px,
    read_light_labels,
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


def test_what_is_not_known_is_nan():
    empty = total_score([])
    assert np.isnan([empty.completeness, empty.false_fraction, empty.error_px(0.5)]).all()


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_photos_in_order_with_all_columns(tmp_path):
    path = written(
        tmp_path,
        "radius_px,path,x,y,note,flux\n"
        "2.5,b.jpg,10.25,20,harbour,100\n"
        ",a.jpg,1,2,,\n"
        "4,b.jpg,30,40,,50\n",
    )
    second, first = read_light_labels(path)
    assert second.path == tmp_path / "b.jpg"
    assert second.x.tolist() == [10.25, 30.0]
    assert second.y.tolist() == [20.0, 40.0]
    assert second.flux.tolist() == [100.0, 50.0]
    assert second.radius_px.tolist() == [2.5, 4.0]
    assert first.path == tmp_path / "a.jpg"
    assert np.isnan([first.flux[0], first.radius_px[0]]).all()


def test_a_photo_without_lights(tmp_path):
    (photo,) = read_light_labels(written(tmp_path, "path,x,y\nsea.jpg,,\n"))
    assert photo.x.size == photo.flux.size == 0


def test_short_rows_bom_and_windows_line_ends(tmp_path):
    path = written(tmp_path, "path,x,y,flux\r\na.jpg,1,2\r\n", "utf-8-sig")
    (photo,) = read_light_labels(path)
    assert photo.x.tolist() == [1.0]


def test_absolute_paths_stay(tmp_path):
    photo = tmp_path / "elsewhere" / "a.jpg"
    assert read_light_labels(written(tmp_path, f"path,x,y\n{photo},1,2\n"))[0].path == photo


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "lacks the column path, x, y"),
        ("path,x\na.jpg,1\n", "lacks the column y"),
        ("path,x,y\n", "labels no photo"),
        ("path,x,y\na.jpg,1,two\n", "line 2.*write a number"),
        ("path,x,y\na.jpg,1,2\na.jpg,1,\n", "line 3: a light needs both x and y"),
        ("path,x,y\na.jpg,nan,2\n", "line 2: a light needs both"),
        ("path,x,y\n,1,2\n", "line 2: the path is empty"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, says):
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_light_labels(path)
    assert str(path) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_light_labels(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_light_labels(written(tmp_path, "path,x,y\nä,1,2\n", "latin-1"))
