"""Scores: labels are read, detections and registrations held against them, and counted by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pyproj import Geod
from sklearn.metrics import brier_score_loss

from benchmarks.trials.score import MAP_PIXEL_M, score_columns
from matchers.geometry.footprint import diagonal_km, right_within_km
from regengine.errors import ConfigError, FrameError
from regengine.score.detections import (
    match_flashes,
    match_positions,
    score_points,
    summarise_detections,
)
from regengine.score.labels import LabelledPhoto, add_scores, check_labels, read_labels
from regengine.score.registration import distance_m
from regengine.score.scenes import score_calibration, score_class
from regengine.score.streak_scores import (
    StreakScore,
    line_measures,
    match_streaks,
    score_mask,
    score_streak_photo,
    score_streaks,
    summarise_streaks,
)
from tests.world.results import control_point, nadir_camera

TRUTH = np.array([[10.0, 10.0], [20.0, 10.0], [50.0, 50.0]])


def matched(found, tolerance=3.0):
    return match_positions(TRUTH, np.array(found, float).reshape(-1, 2), np.full(3, tolerance))


def test_each_is_used_once_and_the_nearest_wins_and_large_lights_may_be_further_off():
    matches = matched([[11.0, 10.0], [10.2, 10.0], [50.0, 52.0], [80.0, 80.0]])
    assert dict(zip(*(part.tolist() for part in matches[:2]), strict=True)) == {0: 1, 2: 2}
    assert sorted(matches[2]) == pytest.approx([0.2, 2.0])
    tolerance = np.array([3.0, 3.0, 13.0])
    found = np.array([[50.0, 58.0], [20.0, 18.0]])
    assert match_positions(TRUTH, found, tolerance)[0].tolist() == [2]


def test_score_counts_wanted_found_and_false_and_what_is_not_known_is_nan():
    rows = np.column_stack([TRUTH, [3.0, 9.0, 1.0], np.full(3, np.nan)])
    ignored = np.array([False, True, False])
    photo = LabelledPhoto(path=Path("a.png"), rows=rows, ignored=ignored, has_ends=False)
    found = np.array([[10.0, 10.5], [20.0, 10.0], [90.0, 90.0]])
    score, _, _ = score_points(photo, found, 0.5, 3.0)
    assert (score.wanted, score.found, score.detections, score.false) == (2, 1, 3, 1)
    assert score.distance_px.tolist() == [0.5]  # the one that was not wanted does not count
    told = summarise_detections("some", [score])
    assert (told["completeness"], told["flux_completeness"]) == (0.5, 0.75)
    assert told["false_fraction"] == pytest.approx(1 / 3)
    assert told["centroid_error_px"] == 0.5
    empty, none = summarise_detections("some", []), np.zeros((0, 5))
    unknown = ("completeness", "flux_completeness", "false_fraction", "centroid_error_px")
    assert [empty[name] for name in unknown] == [None] * 4
    assert np.isnan(score_streaks(none, none).recall())
    assert np.isnan(add_scores(StreakScore, []).false_per_frame)


# Flashes

FOUND = np.array([(90.0, 210.0), (260.0, 150.0)])
FIRST, SECOND = (80.0, 200.0, 100.0, 220.0), (250.0, 140.0, 270.0, 160.0)


WIDE = (60.0, 120.0, 300.0, 240.0)


@pytest.mark.parametrize(
    ("boxes", "of_label", "false"),
    [
        ([FIRST, SECOND, (300.0, 20.0, 320.0, 40.0)], [0, 1, -1], [False, False]),
        ([WIDE], [1], [False, False]),  # the nearer one; a piece is not false
        # 3 px and a quarter of the shorter side beside it, and no more
        ([(98.1, 200.0, 118.0, 220.0)], [-1], [True, True]),
        ([(97.9, 200.0, 118.0, 220.0)], [0], [False, True]),
        # Two that share what either could have: as many as can be
        ([WIDE, SECOND], [0, 1], [False, False]),
    ],
)
def test_each_box_takes_one_detection(
    boxes: list[tuple[float, ...]], of_label: list[int], false: list[bool]
) -> None:
    matched, outside = match_flashes(np.array(boxes, float).reshape(-1, 4), FOUND)
    assert matched.tolist() == of_label
    assert outside.tolist() == false


# Streaks


TRUE = np.array([100.0, 100.0, 300.0, 100.0, 0.0])


def one(*row: float) -> np.ndarray:
    return np.array([[*row, *([0.0] * (5 - len(row)))]])


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ((100, 102.9, 300, 102.9), True),  # beside it by less than three pixels
        ((100, 103.1, 300, 103.1), False),
        ((300, 100, 201, 100), False),  # the other way round, a little less than half
        ((100, 100, 201, 100), True),  # a little more than half of it
        ((0, 100, 399, 100), True),  # twice as long at most
        ((0, 100, 401, 100), False),
        ((100, 95, 300, 105), True),  # turned: 5 px at the ends is 2.9 RMS
        ((100, 94, 300, 106), False),
    ],
)
def test_what_counts_as_found(row, found):
    matches = match_streaks(TRUE[None], one(*row))
    assert (matches[0].size == 1) is found


def test_both_measures_of_a_shifted_shorter_line():
    rms, overlap, beside = line_measures(TRUE, one(150, 102, 350, 102)[0])
    assert rms == pytest.approx(2.0)
    assert overlap == pytest.approx(150 / 250)
    assert beside == pytest.approx(0.75, abs=0.01)
    matches = match_streaks(TRUE[None], one(303, 104 - 2, 100, 101))
    assert sorted(matches[1][0]) == pytest.approx([1.0, np.hypot(3, 2)])


# Tables of labels


def read(folder: Path, kind: str, text: str | bytes):
    path = folder / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_labels(path, kind)


NAN = np.nan
LABELS = [
    (
        "lights",
        "radius_px,path,x,y,note,flux\n2.5,b.jpg,10.25,20,harbour,100\n,a.jpg,1,2,,\n"
        "4,b.jpg,30,40,,50\n",
        {"b.jpg": [[10.25, 20, 100, 2.5], [30, 40, 50, 4]], "a.jpg": [[1, 2, NAN, NAN]]},
    ),
    (
        "streaks",
        "kind,path,x1,y1,x2,y2,peak_snr,bow_px\nsatellite,a.png,1,2,30,40,2.5,\n,b.png,,,,,,\n"
        "ignore,a.png,5,6,70,80,,1.5\ncosmic_ray,a.png,5,6,9,9,,\n",
        {"a.png": [[1, 2, 30, 40, NAN, 2.5], [5, 6, 70, 80, 1.5, NAN]], "b.png": []},
    ),
]


@pytest.mark.parametrize(("kind", "text", "expected"), LABELS)
def test_labels_are_read_by_photo_in_the_order_of_their_first_rows(
    tmp_path: Path, kind: str, text: str, expected: dict[str, list[list[float]]]
) -> None:
    found = read(tmp_path, kind, text)
    assert [photo.path for photo in found] == [tmp_path / name for name in expected]
    for photo, rows in zip(found, expected.values(), strict=True):
        np.testing.assert_array_equal(photo.rows, np.array(rows).reshape(-1, photo.rows.shape[1]))
        assert photo.ignored.tolist() == [k == 1 and "ignore" in text for k in range(len(rows))]
        assert photo.mask is None
        if rows:
            x, y = (rows[0][0] + rows[0][2]) / 2, (rows[0][1] + rows[0][3]) / 2
            assert photo.middle[0].tolist() == ([x, y] if kind == "streaks" else rows[0][:2])


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("stars", "path,x,y\n", "labels no photo: add one row per star, path, x, y"),
        ("lights", "path,x,y\na.jpg,1,two\n", "line 2.*write a number"),
        ("lights", "path,x,y\na.jpg,1,2\na.jpg,1,\n", "line 3: a light needs x, y"),
        ("lights", "path,x,y\n\u00e4,1,2\n".encode("latin-1"), "cannot be read"),
        ("streaks", "path,x1,y1,x2,y2\na,1,2,3,wide\n", "line 2: could not convert"),
    ],
)
def test_labels_that_make_no_sense_are_one_sentence(
    tmp_path: Path, kind: str, text: str | bytes, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        read(tmp_path, kind, text)
    assert str(tmp_path / "labels.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


# Photos


def test_a_mask_is_scored_by_the_length_that_is_covered(tmp_path: Path) -> None:
    mask = np.zeros((208, 256), np.uint8)
    mask[98:103, 20:220] = 255
    mask[20:180, 240:244] = 200
    mask[5, 5] = 30  # a trace of compression
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(np.zeros_like(mask)).save(tmp_path / "a.png")
    (photo,) = read(tmp_path, "streaks", "path,mask\na.png,mask.png\n")
    check_labels(photo)
    found = np.array([[30.0, 100, 210, 100, 0], [10, 10, 100, 60, 0]])
    score = score_streak_photo(photo, found, 0.5)[0]
    assert (score.found.size, score.recall(), score.false_per_frame) == (2, 0.5, 1.0)
    facts = summarise_streaks("some", [score])
    assert (facts["end_error_px"], facts["recall_by"]) == (None, [])
    pieces = np.array([[20.0, 100, 90, 100, 0], [110, 100, 170, 100, 0]])
    assert score_mask(mask > 99, pieces)[1] == 1
    Image.fromarray(mask[:100]).save(tmp_path / "mask.png")
    with pytest.raises(FrameError, match="mask of the photo's size"):
        score_streak_photo(photo, found, 0.5)


def test_false_and_missed_are_told_apart_for_the_picture(tmp_path: Path) -> None:
    rows = "path,x1,y1,x2,y2,kind\na.png,5,5,15,15,\na.png,40,40,60,60,ignore\n"
    (photo,) = read(tmp_path, "lightning", rows)
    found = np.array([[200.0, 90.0], [50.0, 50.0]])
    score, false, missed = score_points(photo, found, 0.25, 3.0)
    assert false.tolist() == [True, False]
    assert missed.tolist() == [[10.0, 10.0]]
    assert (score.detections, score.false, score.seconds) == (2, 1, 0.25)
    assert (score.wanted, score.found) == (1, 0)


# Scenes


def test_groups_are_missed_when_most_of_their_photos_are() -> None:
    truth, said = np.array([0, 0, 0, 0, 0, 1]), np.array([0, 1, 1, 1, 0, 1])
    groups = np.array(["a", "a", "b", "b", "b", "c"])
    day, night = (score_class("it", truth == k, said == k, groups) for k in (0, 1))
    assert (day["frames"], day["groups"], day["groups_missed"]) == (5, 2, 1)
    assert (day["precision"], day["recall"]) == (1.0, 0.4)
    assert (night["precision"], night["recall"], night["groups_missed"]) == (0.25, 1.0, 0)


def test_calibration_is_that_of_sklearn_and_counts_votes() -> None:
    p = np.random.default_rng(0).random(500)
    happened = np.random.default_rng(0).random(500) < p
    assert score_calibration(p, happened).brier == pytest.approx(brier_score_loss(happened, p))
    p, happened = np.array([0.9, 0.9, 0.9]), np.array([True, False, False])
    voted = score_calibration(p, happened, np.array([1.0, 0.5, 0.5]))
    assert score_calibration(p, happened).expected_error == pytest.approx(0.9 - 1 / 3)
    assert voted.expected_error == pytest.approx(0.9 - 1 / 2)
    assert voted.brier == pytest.approx((0.01 + 0.81) / 2)
    boaster = score_calibration(np.array([0.95, 0.95, 0.05, 1.0]), np.array([1, 0, 0, 1], bool))
    assert boaster.expected_error == pytest.approx((3 * abs(2.9 / 3 - 2 / 3) + 0.05) / 4)


# Registrations


WGS84 = Geod(ellps="WGS84")


def test_distances_are_geodesic() -> None:
    # A degree of the equator, and 15 arc seconds of the mean great circle
    equator = np.pi * 6378137.0 / 180.0
    np.testing.assert_allclose(distance_m(10.0, 0.0, 11.0, 0.0), equator, atol=0.01)
    np.testing.assert_allclose(distance_m(179.5, 0.0, -179.5, 0.0), equator, atol=0.01)
    sky = distance_m([10.0, np.nan, np.inf], [0.0, 0.0, 1.0], 10.0, 0.0)
    np.testing.assert_array_equal(sky, [0.0, np.inf, np.inf])
    np.testing.assert_allclose(MAP_PIXEL_M, 6371008.8 * np.radians(15.0 / 3600.0), atol=0.1)
    assert (right_within_km(60.0), right_within_km(1650.0)) == (1.0, pytest.approx(16.5))


@pytest.mark.parametrize(("share", "right"), [(0.98, True), (1.02, False)])
def test_right_ends_at_the_bar_and_where_points_are_too_near_each_other(
    share: float, right: bool
) -> None:
    truth = nadir_camera()
    bar_m = 1000.0 * right_within_km(diagonal_km(truth))
    points = [control_point(100, 90), control_point(520, 80), control_point(540, 330)]
    worst = control_point(90, 340)
    lon, lat, _ = WGS84.fwd(worst.lon, worst.lat, 77.0, share * bar_m)
    points.append(replace(worst, lon=lon, lat=lat))
    score = score_columns(truth, points, truth)
    assert score["right"] is right
    np.testing.assert_allclose(score["point_error_m"][:3], 0.0, atol=0.01)
    np.testing.assert_allclose(score["point_error_m"][3], share * bar_m, atol=0.5)
    # Exact points, on a hundredth of the picture and a little more or less
    high_px = truth.width_px * truth.height_px / 400.0 / 100.0 / share
    corners = ((100, 90), (500, 90), (500, 90 + high_px), (100, 90 + high_px))
    assert score_columns(truth, [control_point(*at) for at in corners], truth)["right"] is right
    assert not score_columns(truth, (), truth)["right"]
