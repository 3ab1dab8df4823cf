"""Boxes and detections are paired one to one, and pieces of a flash are not false."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regengine.evaluate.labelled_flashes import match_flashes, read_flash_labels

FOUND = np.array([(90.0, 210.0), (260.0, 150.0)])
FIRST, SECOND = (80.0, 200.0, 100.0, 220.0), (250.0, 140.0, 270.0, 160.0)


@pytest.mark.parametrize(
    ("boxes", "of_label", "false"),
    [
        ([FIRST, SECOND], [0, 1], [False, False]),
        ([SECOND], [1], [True, False]),
        ([FIRST, SECOND, (300.0, 20.0, 320.0, 40.0)], [0, 1, -1], [False, False]),
        (
            [(60.0, 120.0, 300.0, 240.0)],
            [1],
            [False, False],
        ),  # the nearer one; a piece is not false
        ([FIRST, FIRST], [0, -1], [False, True]),
        # 3 px and a quarter of the shorter side beside it, and no more
        ([(98.1, 200.0, 118.0, 220.0)], [-1], [True, True]),
        ([(97.9, 200.0, 118.0, 220.0)], [0], [False, True]),
        # Two that share what either could have: as many as can be
        ([(60.0, 120.0, 300.0, 240.0), SECOND], [0, 1], [False, False]),
        ([], [], [True, True]),
    ],
)
def test_each_box_takes_one_detection(
    boxes: list[tuple[float, ...]], of_label: list[int], false: list[bool]
) -> None:
    matched, outside = match_flashes(np.array(boxes, float).reshape(-1, 4), FOUND)
    if boxes == [FIRST, FIRST]:
        matched = np.sort(matched)[::-1]
    assert matched.tolist() == of_label
    assert outside.tolist() == false


def test_nothing_found_misses_all() -> None:
    matched, outside = match_flashes(np.array([FIRST]), np.zeros((0, 2)))
    assert (matched.tolist(), outside.tolist()) == ([-1], [])


def test_labels_are_read_by_photo_and_a_path_alone_is_a_photo_without(tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    table.write_text(
        "path,x1,y1,x2,y2,kind\na.jpg,1,2,3,4,\na.jpg,5,6,7,8,ignore\nb/c.jpg,,,,,\n",
        encoding="utf-8",
    )
    first, second = read_flash_labels(table)
    assert (first.path, second.path) == (tmp_path / "a.jpg", tmp_path / "b" / "c.jpg")
    assert first.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert first.ignored.tolist() == [False, True]
    assert second.boxes.shape == (0, 4)
