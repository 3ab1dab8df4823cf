"""Photographs of all categories: nothing may be accepted where it does not lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.registration_cases import WORLD
from benchmarks.registration_judge import judgement
from benchmarks.registration_report import NONE, judged_words, position_words, table
from benchmarks.registration_run import Outcome, overlay_name
from regengine.words import centre_text, probability_text

VERDICTS = ("accepted", "review", "no_match", "failed")
COUNT_HEADER = (
    *("category", "photos", *VERDICTS),
    *("turned away", *(f"{verdict}, any category" for verdict in VERDICTS)),
)
ACCEPTED_HEADER = (
    *("photo", "category", "position from", "centre", "off-nadir", "probability", "judged"),
    "overlay",
)
# What the program says of a photo that it does not try, unless told to
TURNED_AWAY = "not_a_night_city_frame"

INTRODUCTION = """\
Every photo of every category, with what is known of it: its EXIF time and an element set, or the
nadir that the archive recorded. *Turned away* are those that do not look like a night city: they
were tried again with `--any-category`, which changes nothing for the others. On the right each
photo has the verdict of its last try."""


def was_turned_away(outcome: Outcome) -> bool:
    """Whether a photo was not tried since it does not look like a city at night."""
    reasons = () if outcome.result is None else outcome.result.reasons
    return any(reason.code == TURNED_AWAY for reason in reasons)


def of_photos(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Of each photo the outcome as it is, on the world map."""
    return [o for o in outcomes if o.case.plain and o.case.lights == WORLD]


def category_lines(
    outcomes: Sequence[Outcome], others: Sequence[Outcome], overlays: Path | None
) -> list[str]:
    """The part of the page on all categories.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of the city photos.
    others : sequence of Outcome
        Of the other photos, and of those tried again.
    overlays : Path or None
        Whether there are pictures.

    Returns
    -------
    list of str
        Markdown.
    """
    once = of_photos([*outcomes, *others])
    again = {outcome.case.file: outcome for outcome in others if outcome.case.any_category}
    last = [again.get(outcome.case.file, outcome) for outcome in once]
    accepted = [o for o in (*once, *again.values()) if o.verdict == "accepted"]
    lines = [INTRODUCTION, "", *table(COUNT_HEADER, count_rows(once, last), right=10), ""]
    if not accepted:
        return [*lines, "None is accepted."]
    rows = [accepted_row(outcome, overlays is not None) for outcome in accepted]
    return [*lines, "Accepted:", "", *table(ACCEPTED_HEADER, rows)]


def count_rows(once: Sequence[Outcome], last: Sequence[Outcome]) -> list[list[str]]:
    """Per category, and in all: photos and verdicts as they are, and with ``--any-category``."""
    rows = []
    for category in [*sorted({outcome.case.category for outcome in once}), ""]:
        first, tried = (
            [outcome for outcome in tries if category in ("", outcome.case.category)]
            for tries in (once, last)
        )
        turned_away = sum(was_turned_away(outcome) for outcome in first)
        cells = [category or "all", str(len(first)), *_counts(first)]
        rows.append([*cells, str(turned_away), *_counts(tried)])
    return rows


def _counts(outcomes: Sequence[Outcome]) -> list[str]:
    found = [outcome.verdict for outcome in outcomes]
    return [str(found.count(verdict)) for verdict in VERDICTS]


def accepted_row(outcome: Outcome, drawn: bool) -> list[str]:
    """An accepted photo, how it is judged, and the picture to look at where nothing judges it."""
    result = outcome.result
    assert result is not None
    unknown = judgement(outcome) == "unknown"
    return [
        outcome.case.name,
        outcome.case.category,
        position_words(result),
        centre_text(result) or NONE,
        NONE if result.solved is None else f"{result.solved.off_nadir_deg:.0f}°",
        probability_text(result.probability) or NONE,
        "**to be looked at**" if unknown else judged_words(outcome),
        overlay_name(outcome.case) if drawn else NONE,
    ]
