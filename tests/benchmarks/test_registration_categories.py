"""Photographs of all categories on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from registration_outcomes import outcome, scored, with_case

from benchmarks.registration.cases import with_any_category
from benchmarks.registration.process import Outcome
from benchmarks.registration.report import (
    ACCEPTED_HEADER,
    COUNT_HEADER,
    TURNED_AWAY,
    category_lines,
    of_photos,
    was_turned_away,
)
from regengine.result import Reason


def photo(name: str, category: str, verdict: str) -> Outcome:
    return with_case(outcome(name, verdict), file=f"{category}/{name}.jpg", category=category)


def turned_away(name: str, category: str) -> Outcome:
    one = photo(name, category, "no_match")
    assert one.result is not None
    reason = Reason(code=TURNED_AWAY, text="By day.")
    return replace(one, result=replace(one.result, reasons=(reason,)))


def again(one: Outcome, verdict: str) -> Outcome:
    case = with_any_category(one.case)
    return replace(outcome(one.case.name, verdict), case=case)


def cells_of(lines: list[str], first: str) -> list[str]:
    (row,) = (line for line in lines if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


CITIES = [
    scored(name="Osaka"),
    scored(90_000.0, name="Tokyo"),
    with_case(scored(name="Osaka"), name="Osaka, clip", lights="clip.tif"),
    with_case(scored(name="Osaka"), name="Osaka, moved", moved_km=100.0),
    with_case(scored(name="Osaka"), name="Osaka, mirrored", variant="mirrored"),
]
NOON, MORNING = turned_away("noon", "day"), turned_away("morning", "day")
OTHERS = [
    photo("dusk", "day", "review"),
    NOON,
    MORNING,
    photo("broken", "stars", "failed"),
    again(NOON, "no_match"),
    again(MORNING, "accepted"),
]


def test_each_photo_is_counted_once_a_category() -> None:
    lines = category_lines(CITIES, OTHERS, None)
    # photos, then accepted, review, no match, failed; turned away; the same with any category
    assert cells_of(lines, "cities")[1:] == [*"2", *"2000", *"0", *"2000"]
    assert cells_of(lines, "day")[1:] == [*"3", *"0120", *"2", *"1110"]
    assert cells_of(lines, "stars")[1:] == [*"1", *"0001", *"0", *"0001"]
    assert cells_of(lines, "all")[1:] == [*"6", *"2121", *"2", *"3111"]
    assert len(cells_of(lines, "all")) == len(COUNT_HEADER)


def test_what_is_accepted_is_judged_or_to_be_looked_at() -> None:
    lines = category_lines(CITIES, OTHERS, Path("overlays"))
    said = {
        name: dict(zip(ACCEPTED_HEADER, cells_of(lines, name), strict=True))
        for name in ("Osaka", "Tokyo", "morning, any category")
    }
    assert [row["judged"] for row in said.values()] == [
        "right",
        "**wrong**",
        "**to be looked at**",
    ]
    assert said["morning, any category"]["category"] == "day"
    assert said["morning, any category"]["overlay"] == "morning_any_category.png"
    assert said["Osaka"]["position from"] == "tle, 6.5 d"
    assert cells_of(category_lines(CITIES, OTHERS, None), "Osaka")[-1] == "–"


def test_where_nothing_is_accepted() -> None:
    assert category_lines([], [NOON], None)[-1] == "None is accepted."


def test_only_what_was_turned_away_is_tried_again() -> None:
    assert [one.case.name for one in of_photos(OTHERS) if was_turned_away(one)] == [
        "noon",
        "morning",
    ]
    assert not was_turned_away(photo("dark", "stars", "no_match"))
    assert [one.case.name for one in of_photos(CITIES)] == ["Osaka", "Tokyo"]
