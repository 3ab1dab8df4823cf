"""The outcomes in a few sentences, beside what was aimed for, and how to read the tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.pages import NONE, number, table
from benchmarks.registration.cases import WORLD
from benchmarks.registration.compare import bases, moved_px
from benchmarks.registration.process import Outcome, overlay_name
from benchmarks.registration.report import (
    FOOTNOTE,
    agrees_locally,
    case_names,
    contradicts_points,
    judged_words,
    judgement,
    points_disagree,
    position_words,
    worst_of,
)
from regengine.records import centre_text, probability_text

NEAR_NADIR_DEG = 30.0
GOAL_NEAR_M, GOAL_OBLIQUE_SHARE = 500.0, 0.003
GOAL_MEDIAN_S, GOAL_95_S, GOAL_MB = 3.0, 15.0, 1024.0
GOAL_MOVED_PX = 1.0
# A patch fit from another start lands tens of metres away
REPEATED_M = 5.0

READING = """\
*Judged*: right if every control point lies within 1 % of the diagonal of the true footprint, or
within 1 km where that is more, of what its pixel shows by the photo's reference camera
(`benchmarks/reference_cameras.csv`). *Worst control point*: the farthest of the four, and that bar.
*From the reference*: distance between what the solved and the reference camera see, median /
largest over a grid of pixels that show ground. Most reference cameras were fitted to the same map
by this program's own alignment, from a start found otherwise or from its own answer, so that
figure says how well a solution is repeated and not how true it is. A map pixel is 15 arc seconds,
463 m. *Named places*: median distance of places recognised on the picture, without any map, from
their lights, in brackets that of the reference camera; *within the bar*: how many lie that near
what their pixels show. They say that it is the right place, to a kilometre or two. *Clock*: the
along-track offset solved for. The budget of a search counts CPU seconds, so that other work on the
machine does not spoil it. *CPU s*, and *s* of wall time: from opening the photo to the result on
one thread; imports and the opening of map and element sets are not in them. *MB*: largest resident
memory of the process, Python and libraries included."""


def summary_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """Sentences on all outcomes, each with its aim, and the key to the tables."""
    plain = [outcome for outcome in outcomes if outcome.case.plain]
    known = [outcome for outcome in plain if outcome.truth.camera is not None]
    right = [outcome for outcome in known if judgement(outcome) == "right"]
    wrong = [outcome for outcome in outcomes if judgement(outcome) == "wrong"]
    lines = [
        f"- Right, accepted or not: {len(right)} of {len(known)} photos with a reference camera "
        f"({case_names(right)}).",
        f"- Wrong, accepted or not: {case_names(wrong)}.",
        f"- Verdicts of the photos as they are: {verdict_counts(plain)}.",
        *error_lines(known),
        *cost_lines(plain, outcomes),
        *variant_lines(outcomes),
        *footnotes(plain),
    ]
    return [*lines, "", READING]


def footnotes(plain: Sequence[Outcome]) -> list[str]:
    """What the older reference points judge otherwise, and what speaks for whom."""
    found = []
    for outcome in filter(points_disagree, plain):
        assert outcome.points_score is not None
        score, shift, of_points = outcome.points_score, outcome.shift, outcome.shift_of_points
        words = "do not settle it"
        if shift is not None and of_points is not None:
            words = (
                f"lie {number(shift.median_m, 0)} m from where our camera has the map's, "
                f"{number(of_points.median_m, 0)} m from where the camera of those points does"
            )
        verdict = "contradict these points" if contradicts_points(outcome) else "leave it open"
        found.append(
            f"- {FOOTNOTE} {outcome.case.name}: by the older reference points it would be "
            f"{'right' if score.right else 'wrong'} ({worst_of(score)}). The photo's own lights "
            f"{words}: they {verdict}. It is judged by our reference camera here."
        )
    return found


def verdict_counts(outcomes: Sequence[Outcome]) -> str:
    """How many of each verdict."""
    found = [outcome.verdict for outcome in outcomes]
    return ", ".join(
        f"{found.count(verdict)} {verdict}"
        for verdict in ("accepted", "review", "no_match", "failed")
        if verdict in found
    )


def error_lines(known: Sequence[Outcome]) -> list[str]:
    """Median errors by what does not come from this program: older points and named places."""
    near, oblique = [], []
    for outcome in known:
        score, truth = outcome.points_score, outcome.truth.points_camera
        if score is None or truth is None:
            continue
        middle = float(np.median(score.error_m))
        if truth.off_nadir_deg <= NEAR_NADIR_DEG:
            near.append(f"{outcome.case.name} {number(middle, 0)} m")
        else:
            share = 100.0 * score.share_of_diagonal(middle)
            oblique.append(f"{outcome.case.name} {number(share)} %")
    named = [o for o in known if o.places_within is not None and judgement(o) == "right"]
    missing = [outcome for outcome in named if not most_places_within(outcome)]
    return [
        f"- Median error at the older reference points, near nadir: {', '.join(near) or 'none'} "
        f"(aim: {GOAL_NEAR_M:.0f} m); on obliques: {', '.join(oblique) or 'none'} of the diagonal "
        f"(aim: {100 * GOAL_OBLIQUE_SHARE:.1f} %). In agreement with the photo's own lights "
        f"there: {case_names(o for o in known if agrees_locally(o))}.",
        f"- Of {len(named)} right by their reference cameras, {len(named) - len(missing)} have "
        f"most of their named places within the bar, too; not so: {case_names(missing)}.",
        f"- The reference camera is this program's own answer, checked by eye, where a solution "
        f"repeats it to {REPEATED_M:.0f} m; the named places alone are independent there: "
        f"{case_names(o for o in known if repeats_reference(o))}.",
    ]


def most_places_within(outcome: Outcome) -> bool:
    """Whether most named places lie within the bar of what their pixels show."""
    near, of = outcome.places_within or (0, 0)
    return 2 * near > of


def repeats_reference(outcome: Outcome) -> bool:
    """Whether a solution is the reference camera but for rounding."""
    score = outcome.score
    if score is None or not len(score.error_m):
        return False
    return float(np.median(score.error_m)) <= REPEATED_M


def cost_lines(plain: Sequence[Outcome], outcomes: Sequence[Outcome]) -> list[str]:
    """Time of the photos as they are, of the processor and on the wall, and memory of all cases."""
    timed = [outcome for outcome in plain if outcome.result is not None]
    if not timed:
        return []
    cpu_s, wall_s = ([getattr(outcome, name) for outcome in timed] for name in ("cpu_s", "wall_s"))
    slowest = max(timed, key=lambda outcome: outcome.cpu_s)
    peak = max(outcome.peak_mb for outcome in outcomes if outcome.result is not None)
    return [
        f"- Time of a photo as it is: median {np.median(cpu_s):.1f} s of CPU, "
        f"{np.median(wall_s):.1f} s of wall time (aim: {GOAL_MEDIAN_S:.0f} s), 95th percentile "
        f"{np.percentile(cpu_s, 95):.1f} and {np.percentile(wall_s, 95):.1f} s (aim: "
        f"{GOAL_95_S:.0f} s), slowest {slowest.cpu_s:.1f} s of CPU ({slowest.case.name}). Largest "
        f"memory: {peak:.0f} MB (aim: {GOAL_MB:.0f} MB)."
    ]


def variant_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """How many variants give the same places within a map pixel."""
    first = bases(outcomes)
    variants = [outcome for outcome in outcomes if outcome.case.variant]
    if not variants:
        return []
    moved = [moved_px(outcome, first.get(outcome.case.file)) for outcome in variants]
    medians = sum(found is not None and found[0] <= GOAL_MOVED_PX for found in moved)
    largest = sum(found is not None and found[1] <= GOAL_MOVED_PX for found in moved)
    return [
        f"- Turned, mirrored, cropped: of {len(variants)} variants {medians} give the same places "
        f"within a map pixel in the median, {largest} everywhere (aim: all)."
    ]


# Photographs of all categories: nothing may be accepted where it does not lie.

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
    """The part of the page on all categories."""
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
