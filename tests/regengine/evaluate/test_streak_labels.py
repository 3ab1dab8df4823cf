"""Labelled streaks: tables and masks, and what they are scored as."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from regengine.errors import ConfigError, FrameError
from regengine.evaluate.labelled_streaks import (
    score_streak_photo,
    streak_summary,
)
from regengine.evaluate.streak_labels import read_streak_labels
from tests.world.fields import streak_frame

SHAPE = HEIGHT, WIDTH = (208, 256)


def photo(path, streaks=(), **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    light = np.clip(streak_frame(streaks, **more), 0.0, 1.0)
    curved = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    Image.fromarray(np.rint(65535 * curved).astype(np.uint16)).save(path)
    return path


def table(tmp_path, text):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    return path


def test_end_points(tmp_path):
    path = table(
        tmp_path,
        "kind,path,x1,y1,x2,y2,peak_snr,bow_px\n"
        "satellite,a.png,1,2,30,40,2.5,\n"
        ",b.png,,,,,,\n"
        "ignore,a.png,5,6,70,80,,1.5\n"
        "cosmic_ray,a.png,5,6,9,9,,\n",
    )
    first, second = read_streak_labels(path)
    assert (first.path, second.path) == (tmp_path / "a.png", tmp_path / "b.png")
    np.testing.assert_array_equal(first.rows, [[1, 2, 30, 40, 0], [5, 6, 70, 80, 1.5]])
    np.testing.assert_array_equal(first.peak_snr, [2.5, np.nan])
    assert first.ignored.tolist() == [False, True]
    assert len(second.rows) == 0
    assert second.mask is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("path,x1,y1,x2\na,1,2,3\n", "lacks columns"),
        ("path,x1,y1,x2,y2\n", "labels no photo"),
        ("path,x1,y1,x2,y2\n,1,2,3,4\n", "path is empty"),
        ("path,x1,y1,x2,y2\na,1,2,3,\n", "a streak needs"),
        ("path,x1,y1,x2,y2\na,1,2,3,wide\n", "line 2: could not convert"),
        ("path,x1,y1,x2,y2,mask\na,1,2,3,4,m.png\n", "either one mask or end points"),
        ("path,mask\na,m.png\na,n.png\n", "either one mask or end points"),
    ],
)
def test_tables_that_make_no_sense_are_one_sentence(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says) as caught:
        read_streak_labels(table(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_streak_labels(tmp_path / "none.csv")


def scored(tmp_path, text, found):
    (labelled,) = read_streak_labels(table(tmp_path, text))
    rows = np.array(found, float).reshape(-1, 5)
    return score_streak_photo(labelled, lambda path: (rows, 0.5))


def test_what_is_to_be_ignored_is_neither_missed_nor_false(tmp_path):
    photo(tmp_path / "a.png")
    text = "path,x1,y1,x2,y2,kind\na.png,20,30,200,150,\na.png,20,100,220,100,ignore\n"
    good, ignored, wrong = [20, 30, 200, 150, 0], [20, 100, 220, 100, 0], [5, 190, 250, 195, 0]
    assert scored(tmp_path, text, []).recall() == 0.0
    score = scored(tmp_path, text, [good, ignored, wrong])
    assert (score.found.size, score.recall(), score.false_per_frame) == (1, 1.0, 1.0)


def test_a_mask_is_scored_by_the_length_that_is_covered(tmp_path):
    photo(tmp_path / "a.png")
    mask = np.zeros(SHAPE, np.uint8)
    mask[98:103, 20:220] = 255
    mask[20:180, 240:244] = 200
    mask[5, 5] = 30  # a trace of compression
    Image.fromarray(mask).save(tmp_path / "mask.png")
    text = "path,mask\na.png,mask.png\n"
    score = scored(tmp_path, text, [[30, 100, 210, 100, 0], [10, 10, 100, 60, 0]])
    assert (score.found.size, score.recall(), score.false_per_frame) == (2, 0.5, 1.0)
    facts = streak_summary("some", [score])
    assert facts["end_error_px"] is None
    assert facts["recall_by"] == []
    Image.fromarray(mask[:100]).save(tmp_path / "mask.png")
    with pytest.raises(FrameError, match="mask of the photo's size"):
        scored(tmp_path, text, [])
