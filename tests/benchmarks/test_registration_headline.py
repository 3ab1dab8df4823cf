"""The count of real photographs that must be placed."""

from __future__ import annotations

import pytest
from registration_outcomes import outcome, reference, scored, with_case

from benchmarks.registration.process import Outcome
from benchmarks.registration.report import HEADER, counting_frames, headline, share_words

RIGHT, WRONG = 100.0, 90_000.0


def answer(name: str, kind: str) -> Outcome:
    """An outcome: verdict and whether it is right."""
    verdict, _, word = kind.partition(" ")
    if word:
        return scored(RIGHT if word == "right" else WRONG, name, verdict=verdict)
    return outcome(name, verdict)


@pytest.mark.parametrize(
    ("edited", "copy", "placed"),
    [
        ("accepted right", "accepted right", True),
        ("accepted right", "no_match", True),
        ("failed", "accepted right", True),
        ("accepted right", "review wrong", True),
        ("accepted right", "accepted wrong", False),
        ("accepted wrong", "no_match", False),
        ("review right", "review right", False),
        ("no_match", "failed", False),
    ],
)
def test_a_frame_and_its_copy_count_once(edited: str, copy: str, placed: bool) -> None:
    references = [reference("edited", "A"), reference("copy", "A")]
    outcomes = [answer("edited", edited), answer("copy", copy)]
    (frame,) = counting_frames(references, outcomes)
    assert (frame.name, len(frame.outcomes)) == ("A", 2)
    assert frame.placed is placed
    text = "\n".join(headline(references, outcomes, []))
    assert f"right and accepted: {int(placed)} of 1 = {100 * placed}% (aim: 75%)" in text
    assert f"wrong and accepted: {'copy' if copy == 'accepted wrong' else ''}" in text
    row = text.splitlines()[-1]
    assert row.endswith(f"| {'yes' if placed else '**no**'} |")
    assert len(row.strip("|").split("|")) == len(HEADER)


def test_what_counts() -> None:
    references = [
        reference("near"),
        reference("old", age_days=-10.1),
        reference("recorded", age_days=-53.0, record=True),
        reference("timeless", age_days=None),
        reference("dim", enough_lights=False),
        reference("dim and old", age_days=40.0, enough_lights=False),
        reference("dim and not placed", enough_lights=False, placed=False),
        reference("not placed"),
    ]
    frames = counting_frames(references, [])
    assert [(frame.name.removeprefix("cities/"), frame.enough_lights) for frame in frames] == [
        ("near.jpg", True),
        ("not placed.jpg", True),
        ("recorded.jpg", True),
        ("dim.jpg", False),
    ]


def test_both_counts_are_stated() -> None:
    references = [
        *(reference(f"city {n}") for n in range(4)),
        reference("dim", enough_lights=False),
    ]
    outcomes = [answer(f"city {n}", "accepted right") for n in range(3)]
    outcomes += [answer("city 3", "no_match"), answer("dim", "review right")]
    text = "\n".join(headline(references, outcomes, []))
    assert "must be placed, right and accepted: 3 of 4 = 75% (aim: 75%)" in text
    assert (
        "- With cities/dim.jpg, whose lights the map has less than eight of: 3 of 5 = 60%." in text
    )


def test_only_photos_as_they_are_count() -> None:
    right = answer("city", "accepted right")
    others = [
        with_case(right, moved_km=100.0),
        with_case(right, variant="mirrored"),
        with_case(right, any_category=True),
    ]
    as_it_is = answer("city", "no_match")
    (frame,) = counting_frames([reference("city")], [as_it_is, *others])
    assert frame.outcomes == (as_it_is,)
    assert not frame.placed


def test_what_was_not_run_is_not_counted() -> None:
    references = [reference("run"), reference("left out")]
    text = "\n".join(headline(references, [answer("run", "accepted right")], []))
    assert "1 of 1 = 100%" in text
    assert "left out" not in text
    assert share_words([]) == "0 of 0"


def test_wrong_and_accepted_counts_over_everything() -> None:
    right = answer("city", "accepted right")
    turned = with_case(answer("city", "accepted wrong"), name="turned", variant="turned 90°")
    moved = with_case(answer("city", "review wrong"), name="moved", moved_km=100.0)
    dark = with_case(answer("dark", "accepted"), name="dark, any category", any_category=True)
    text = "\n".join(headline([reference("city")], [right, turned, moved], [dark]))
    assert "wrong and accepted: turned (aim: none)" in text
    assert "to be looked at: dark, any category." in text
    assert "All categories, `--any-category` too: wrong" in text
    assert "City photos only: wrong" in "\n".join(headline([], [right], []))
