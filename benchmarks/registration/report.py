"""The outcomes of real photographs as sentences and Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.pages import NONE, number, table
from benchmarks.registration.process import Outcome
from benchmarks.registration.scores import (
    MAP_PIXEL_M,
)
from benchmarks.registration.truth import ReferenceCamera, misses_px
from regengine.records import centre_text, probability_text
from regengine.result import FrameResult


def judgement(outcome: Outcome) -> str:
    """Whether a proposal is right: every control point near where the reference camera has it."""
    if outcome.camera is None:
        return "no proposal"
    if outcome.score is None:
        return "unknown"
    return "right" if outcome.score.right else "wrong"


def is_accepted(outcome: Outcome, word: str) -> bool:
    """Whether an outcome is accepted and judged so."""
    return outcome.verdict == "accepted" and judgement(outcome) == word


RESULT_HEADER = (
    *("photo", "position from", "centre", "off-nadir", "verdict", "judged", "probability"),
    *("margin", "from the reference m", "map px", "% of diagonal", "worst control point"),
    *("named places px", "within the bar"),
    *("clock s", "s", "CPU s", "MB", "reasons"),
)


def result_row(outcome: Outcome) -> list[str]:
    """One case of the main table."""
    result = outcome.result
    name = outcome.case.name + (f" ({outcome.case.note})" if outcome.case.note else "")
    cost = [number(outcome.wall_s, 1), number(outcome.cpu_s, 1), number(outcome.peak_mb, 0)]
    if result is None:
        return [name, NONE, NONE, NONE, "failed", *[NONE] * 10, *cost, outcome.problem]
    solved, fit = result.solved, result.fit
    return [
        name,
        position_words(result),
        centre_text(result) or NONE,
        NONE if solved is None else f"{solved.off_nadir_deg:.0f}°",
        result.verdict,
        judged_words(outcome),
        probability_text(result.probability) or NONE,
        number(None if fit is None else fit.margin),
        *error_cells(outcome),
        worst_words(outcome) or NONE,
        *place_cells(outcome),
        number(None if solved is None else solved.along_track_offset_s, 1),
        *cost,
        ", ".join(reason.code for reason in result.reasons) or NONE,
    ]


def position_words(result: FrameResult) -> str:
    """Where the believed position comes from, and how old an element set is."""
    nadir = result.nadir
    if nadir is None:
        return NONE
    age = "" if nadir.tle_age_h is None else f", {nadir.tle_age_h / 24.0:.1f} d"
    return nadir.source + age


def judged_words(outcome: Outcome) -> str:
    """Right or wrong, in bold what is wrong."""
    word = judgement(outcome)
    return {"wrong": "**wrong**", "no proposal": NONE}.get(word, word)


def error_cells(outcome: Outcome) -> list[str]:
    """Median and largest error in metres, map pixels and parts of the diagonal."""
    score = outcome.score
    if score is None or not len(score.error_m):
        return [NONE] * 3
    errors_m = float(np.median(score.error_m)), float(score.error_m.max())
    units = ((1.0, 0), (MAP_PIXEL_M, 2), (10.0 * max(score.diagonal_km, 1e-9), 2))
    return [
        " / ".join(number(error / unit, digits) for error in errors_m) for unit, digits in units
    ]


def worst_words(outcome: Outcome) -> str:
    """The error of the worst control point, and what it is held against; empty without any."""
    score = outcome.score
    if score is None or not len(score.control_point_error_m):
        return ""
    worst_km = float(score.control_point_error_m.max()) / 1000.0
    return f"{number(worst_km)} of {score.bar_km:.2f} km"


def place_cells(outcome: Outcome) -> list[str]:
    """Median miss of named places, in brackets the reference camera's; how many are near enough."""
    camera, places, within = outcome.truth.camera, outcome.truth.places, outcome.places_within
    if camera is None or outcome.places_px is None or within is None:
        return [NONE, NONE]
    own = float(np.median(misses_px(camera, places)))
    return [f"{number(outcome.places_px, 1)} ({number(own, 1)})", f"{within[0]} of {within[1]}"]


GOAL_SHARE = 0.75
HEADER = ("frame", "element set", "recorded nadir", "files", "placed")


@dataclass(frozen=True, kw_only=True)
class CountingFrame:
    """A frame that must be placed, with all its files; a frame and its copy count once."""

    name: str  # frame id, or the file where it is unknown
    references: tuple[ReferenceCamera, ...]  # one a file
    outcomes: tuple[Outcome, ...]  # of its files as they are

    @property
    def placed(self) -> bool:
        """Whether a file of it is right and accepted, and none wrong and accepted."""
        right = any(is_accepted(outcome, "right") for outcome in self.outcomes)
        return right and not any(is_accepted(outcome, "wrong") for outcome in self.outcomes)


def counting_frames(
    references: Iterable[ReferenceCamera], outcomes: Iterable[Outcome]
) -> list[CountingFrame]:
    """The frames that must be placed and were run, and what became of them."""
    plain = [outcome for outcome in outcomes if outcome.case.plain]
    frames: dict[str, list[ReferenceCamera]] = {}
    for reference in references:
        frames.setdefault(reference.frame_id or reference.file, []).append(reference)
    found = []
    for name, of_frame in sorted(frames.items()):
        files = {reference.file for reference in of_frame}
        run = tuple(outcome for outcome in plain if outcome.case.file in files)
        if run and any(reference.must_be_placed for reference in of_frame):
            found.append(CountingFrame(name=name, references=tuple(of_frame), outcomes=run))
    return found


def headline(
    references: Iterable[ReferenceCamera], outcomes: Sequence[Outcome], others: Sequence[Outcome]
) -> list[str]:
    """The aim, what was reached, and the frames that count."""
    frames = counting_frames(references, outcomes)
    everything = [*outcomes, *others]
    wrong = [outcome for outcome in everything if is_accepted(outcome, "wrong")]
    unknown = [outcome for outcome in everything if is_accepted(outcome, "unknown")]
    scope = "All categories, `--any-category` too" if others else "City photos only"
    return [
        f"- Frames that must be placed, right and accepted: {share_words(frames)} (aim: "
        f"{GOAL_SHARE:.0%}). These are the city frames with an element set within 10 days or a "
        "recorded nadir, and at least eight separable lit places; an edited frame and its copy in "
        "the archive count once, as placed if at least one of the two is right and accepted and "
        "none is wrong and accepted.",
        f"- {scope}: wrong and accepted: {case_names(wrong)} (aim: none). Accepted without a "
        f"reference camera, to be looked at: {case_names(unknown)}.",
        *(["", *table(HEADER, [frame_row(frame) for frame in frames])] if frames else []),
    ]


def share_words(frames: Sequence[CountingFrame]) -> str:
    """How many of some frames are placed, and the share."""
    placed = sum(frame.placed for frame in frames)
    share = f" = {placed / len(frames):.0%}" if frames else ""
    return f"{placed} of {len(frames)}{share}"


def case_names(outcomes: Iterable[Outcome]) -> str:
    """Names of cases, or "none"."""
    return ", ".join(outcome.case.name for outcome in outcomes) or "none"


def frame_row(frame: CountingFrame) -> list[str]:
    """One frame of the table."""
    ages = [abs(r.tle_age_days) for r in frame.references if r.tle_age_days is not None]
    files = [
        f"{outcome.case.name}: {outcome.verdict}"
        + ("" if judgement(outcome) == "no proposal" else f", {judged_words(outcome)}")
        for outcome in frame.outcomes
    ]
    return [
        frame.name,
        f"{min(ages):.1f} d" if ages else NONE,
        "yes" if any(r.has_record_nadir for r in frame.references) else NONE,
        "; ".join(files),
        "yes" if frame.placed else "**no**",
    ]


GOAL_MEDIAN_S, GOAL_95_S, GOAL_MB = 1.5, 8.0, 1024.0

READING = """\
*Judged*: right if every control point lies within 1 % of the diagonal of the true footprint, or
within 1 km where that is more, of what its pixel shows by the photo's reference camera
(`benchmarks/registration/reference_cameras.csv`), and the four span 1 % of the picture.
*Worst control point*:
the farthest of the four, and that bar.
*From the reference*: distance between what the solved and the reference camera see, median /
largest over a grid of pixels that show ground. Most reference cameras were fitted to the same map
by this program's own alignment, from a start found otherwise or from its own answer, so that
figure says how well a solution is repeated and not how true it is. A map pixel is 15 arc seconds,
463 m. *Named places*: median distance of places recognised on the picture, without any map, from
their lights, in brackets that of the reference camera; *within the bar*: how many lie that near
what their pixels show. They say that it is the right place, to a kilometre or two. *Clock*: the
along-track offset solved for. The budget of a search counts work, so that it ends alike on every
machine. *CPU s*, and *s* of wall time: from opening the photo to the result on one thread; imports,
of compiled code, too, and the opening of map, index and element sets are not in them. *MB*: largest
resident memory of the process, without files that it maps and shares with others: index, map,
libraries."""


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
        *cost_lines(plain, outcomes),
    ]
    return [*lines, "", READING]


def verdict_counts(outcomes: Sequence[Outcome]) -> str:
    """How many of each verdict."""
    found = [outcome.verdict for outcome in outcomes]
    return ", ".join(
        f"{found.count(verdict)} {verdict}"
        for verdict in ("accepted", "review", "no_match", "failed")
        if verdict in found
    )


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
        f"{np.median(wall_s):.1f} s of wall time (aim: {GOAL_MEDIAN_S:g} s), 95th percentile "
        f"{np.percentile(cpu_s, 95):.1f} and {np.percentile(wall_s, 95):.1f} s (aim: "
        f"{GOAL_95_S:.0f} s), slowest {slowest.cpu_s:.1f} s of CPU ({slowest.case.name}). Largest "
        f"memory: {peak:.0f} MB (aim: {GOAL_MB:.0f} MB)."
    ]


# What the program says of a photo that it does not try, unless told to
TURNED_AWAY = "not_a_night_city_frame"


def was_turned_away(outcome: Outcome) -> bool:
    """Whether a photo was not tried since it does not look like a city at night."""
    reasons = () if outcome.result is None else outcome.result.reasons
    return any(reason.code == TURNED_AWAY for reason in reasons)
