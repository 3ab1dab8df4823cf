"""What every streak detector must do, whichever method it is."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from streak_scene import Streak, nearest_streak, streak_frame

from detectors.registry import STREAKS

DETECTORS = STREAKS.detectors()
SHAPE = HEIGHT, WIDTH = (168, 208)
TWO = (Streak(30.0, 45.0, 150.0, 137.0, snr=12.0), Streak(60.0, 20.0, 185.0, 90.0, snr=12.0))
# How far ends may be off, of methods that connect bright pixels and cut stars away, too: how well
# each does is for the benchmark to say
END_PX = 8.0
SAME_PX = 1.5
CLEAR_PX = 30.0  # of stars, so that none is taken for a part of a streak
MARGIN = 24  # around the frame, for what is moved into it

pytestmark = pytest.mark.parametrize("name", DETECTORS)


@cache
def detected(name, what="two"):
    """A detector's answer for a frame that several tests look at."""
    return DETECTORS[name].detect(frame(what))


@cache
def frame(what="two"):
    image = wide_frame()[MARGIN:-MARGIN, MARGIN:-MARGIN]
    image = {
        "two": image,
        "moved": wide_frame()[MARGIN - 7 : -MARGIN - 7, MARGIN - 11 : -MARGIN - 11],
        "transposed": image.T,
        "other unit": 4000.0 * image - 350.0,
        "integers": np.rint(65535 * image).astype(np.uint16),
    }[what]
    return np.ascontiguousarray(image)


@cache
def wide_frame():
    """The frame with what lies around it."""
    shape = (HEIGHT + 2 * MARGIN, WIDTH + 2 * MARGIN)
    return streak_frame(
        [one.moved(MARGIN, MARGIN) for one in TWO], shape, seed=4, stars=24, clear_px=CLEAR_PX
    )


def assert_found(found, streak, tolerance_px=END_PX):
    assert nearest_streak(found, streak)[1] < tolerance_px


def test_two_streaks_are_found_from_end_to_end(name):
    found = detected(name)
    for streak in TWO:
        assert_found(found, streak)


def test_streaks_move_and_turn_with_the_frame(name):
    moved, transposed = detected(name, "moved"), detected(name, "transposed")
    for streak in TWO:
        index = nearest_streak(detected(name), streak)[0]
        found = detected(name).select(np.array([index]))
        twin = Streak(*(float(getattr(found, end)[0]) for end in ("x1", "y1", "x2", "y2")))
        assert_found(moved, twin.moved(11, 7), SAME_PX)
        assert_found(transposed, Streak(twin.y1, twin.x1, twin.y2, twin.x2), SAME_PX)


def test_the_unit_of_the_light_does_not_matter(name):
    for what in ("other unit", "integers"):
        for streak in TWO:
            assert_found(detected(name, what), streak)


def test_masked_and_missing_pixels_are_ignored(name):
    """One streak is masked, the other lies beside pixels that are no numbers."""
    mask = np.zeros(SHAPE, bool)
    rows, cols = np.mgrid[0:HEIGHT, 0:WIDTH]
    hidden, kept = TWO
    across = (rows - hidden.y1) * (hidden.x2 - hidden.x1) - (cols - hidden.x1) * (
        hidden.y2 - hidden.y1
    )
    mask[np.abs(across) < 9.0 * np.hypot(hidden.x2 - hidden.x1, hidden.y2 - hidden.y1)] = True
    image = frame().copy()
    image[130:, :20] = np.nan
    image[150:, 190:] = np.inf
    found = DETECTORS[name].detect(image, mask)
    assert_found(found, kept)
    assert nearest_streak(found, hidden)[1] > 2 * END_PX


def test_a_streak_that_leaves_the_frame_ends_at_its_border(name):
    leaving = Streak(70.0, 60.0, 270.0, 135.0, snr=12.0)
    found = DETECTORS[name].detect(streak_frame([leaving], SHAPE, clear_px=CLEAR_PX))
    assert_found(found, Streak(70.0, 60.0, 207.0, 111.4))


def test_a_frame_that_is_clipped_by_half_ends_in_an_answer(name):
    image = frame()[:90, :110].copy()
    image[:, :55] = 1.0
    saturated = (image >= 1.0).astype(np.float32)
    assert len(DETECTORS[name].detect(image, None, saturated)) <= 2
