"""What the engine says, as the page says it: without the command line."""

from __future__ import annotations

import pytest

from regengine.registration.without_orbit import GUESSED_LENS, NOWHERE
from regengine.review.bodies import page_words


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("few lights agree with the map", "few lights agree with the map"),
        (
            "a.jpg: neither a TLE file nor a nadir says where the camera was: give --tle, --nadir "
            "or --metadata, or keep element sets with regengine tle add FILE.",
            "a.jpg: neither a TLE file nor a nadir says where the camera was",
        ),
        ("time ran out before anything was tried; raise --max-seconds", None),
        (GUESSED_LENS.text, GUESSED_LENS.text.rpartition(";")[0]),
        (NOWHERE.text, NOWHERE.text.replace(" (--focal-mm)", "")),
    ],
)
def test_options_are_left_out_and_reasons_stay(text: str, told: str | None) -> None:
    assert page_words(text) == (told or "time ran out before anything was tried")
