"""Caption strips, in pictures of any shape."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.masks import caption_strips


@pytest.mark.parametrize("turn", range(4))
def test_a_strip_with_letters_and_its_blurred_edge_is_masked(turn: int) -> None:
    white = np.zeros((200, 300), bool)
    white[-14:] = True
    white[-9:-4, 40:240] = False  # letters
    masked = caption_strips(np.rot90(white, turn), margin_px=3)
    wanted = np.zeros((200, 300), bool)
    wanted[-16:] = True
    np.testing.assert_array_equal(masked, np.rot90(wanted, turn))


def test_white_rows_away_from_the_border_are_no_caption() -> None:
    white = np.zeros((200, 300), bool)
    white[8:20] = True
    assert not caption_strips(white, margin_px=3).any()


@pytest.mark.parametrize("height", range(1, 12))
@pytest.mark.parametrize("row", range(3))
def test_pictures_of_a_few_rows(height: int, row: int) -> None:
    """A white row within the margin and beyond the reach is no strip, and no error."""
    white = np.zeros((height, 512), bool)
    white[row : row + 1] = True
    assert caption_strips(white, margin_px=2).shape == white.shape
