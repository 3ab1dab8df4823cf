"""The outcomes as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.pages import NONE, number, table
from benchmarks.registration.process import Outcome
from benchmarks.registration.scores import MAP_PIXEL_M, RegistrationScore
from benchmarks.registration.truth import ReferenceCamera, misses_px
from regengine.records import centre_text, probability_text
from regengine.result import FrameResult

# Who is right: the reference camera decides, the photo's own lights and older points beside it.


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


def points_disagree(outcome: Outcome) -> bool:
    """Whether the older reference points judge a proposal otherwise than the reference camera."""
    score, points_score = outcome.score, outcome.points_score
    return score is not None and points_score is not None and score.right != points_score.right


def agrees_locally(outcome: Outcome) -> bool:
    """Whether most patches at the older reference points lie near where our camera has them."""
    shift, score = outcome.shift, outcome.score
    if shift is None or score is None:
        return False
    within = shift.median_m <= 1000.0 * score.bar_km
    return bool(2 * shift.found >= shift.tried > 0 and within)


def contradicts_points(outcome: Outcome) -> bool:
    """Whether the photo's own lights, and no hand point, speak for us against the older points.

    The lights do if they lie where our camera puts them, and more than twice as far from where
    the camera of the older reference points does.
    """
    ours, theirs = outcome.shift, outcome.shift_of_points
    if ours is None or theirs is None or not agrees_locally(outcome):
        return False
    hand, hand_of_points = outcome.hand_px, outcome.hand_of_points_px
    if hand is not None and hand_of_points is not None and hand > hand_of_points:
        return False
    return not theirs.median_m <= 2.0 * ours.median_m


RESULT_HEADER = (
    *("photo", "position from", "centre", "off-nadir", "verdict", "judged", "probability"),
    *("margin", "from the reference m", "map px", "% of diagonal", "worst control point"),
    *("named places px", "within the bar"),
    *("clock s", "s", "CPU s", "MB", "reasons"),
)
FOOTNOTE = "¹"  # of a judgement that the older reference points do not share


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
    """Right or wrong, with a mark where the older reference points disagree."""
    word = judgement(outcome)
    mark = FOOTNOTE if points_disagree(outcome) else ""
    return {"wrong": "**wrong**", "no proposal": NONE}.get(word, word) + mark


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


def control_point_words(outcome: Outcome) -> str:
    """Whether the control points are right, the worst of them, and what it is held against."""
    if outcome.score is None:
        return NONE
    worst = worst_words(outcome)
    if not worst:
        return "none"
    return f"{'right' if outcome.score.right else '**wrong**'} ({worst})"


def worst_words(outcome: Outcome) -> str:
    """The error of the worst control point, and what it is held against; empty without any."""
    return "" if outcome.score is None else worst_of(outcome.score)


def worst_of(score: RegistrationScore) -> str:
    """The error of the worst control point, and what it is held against; empty without any."""
    if not len(score.control_point_error_m):
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


CHECK_HEADER = (
    *("photo", "judged", "by the older points", "their fit px"),
    *("local shift: found", "px", "m", "of the reference camera: found", "px", "m"),
    *("of the older points: found", "px", "m"),
    *("hand points px", "of the reference camera", "of the older points"),
)


def check_row(outcome: Outcome) -> list[str]:
    """One case of the table that holds the reference camera against the older points."""
    score = outcome.points_score
    by_points = NONE
    if score is not None:
        by_points = f"{'right' if score.right else '**wrong**'} ({worst_of(score)})"
    cells = [outcome.case.name, judged_words(outcome), by_points]
    cells += [number(outcome.truth.points_residual_px, 3)]
    for shift in (outcome.shift, outcome.shift_of_reference, outcome.shift_of_points):
        if shift is None:
            cells += [NONE] * 3
            continue
        cells += [f"{shift.found} of {shift.tried}"]
        cells += [number(shift.median_px), number(shift.median_m, 0)]
    hand = (outcome.hand_px, outcome.hand_of_reference_px, outcome.hand_of_points_px)
    return [*cells, *(number(value, 1) for value in hand)]


# How many of the real photographs that must be placed are: the first lines of the page.

GOAL_SHARE = 0.75
HEADER = ("frame", "counts", "element set", "recorded nadir", "files", "placed")


@dataclass(frozen=True, kw_only=True)
class CountingFrame:
    """A frame that must be placed, with all its files; a frame and its copy count once."""

    name: str  # frame id, or the file where it is unknown
    references: tuple[ReferenceCamera, ...]  # one a file
    # Whether it shows eight separable lit places; without them it counts in the second figure only.
    enough_lights: bool
    outcomes: tuple[Outcome, ...] = ()  # of its files as they are; empty where none was run.

    @property
    def placed(self) -> bool:
        """Whether a file of it is right and accepted, and none wrong and accepted."""
        right = any(is_accepted(outcome, "right") for outcome in self.outcomes)
        return right and not any(is_accepted(outcome, "wrong") for outcome in self.outcomes)


def counting_frames(
    references: Iterable[ReferenceCamera], outcomes: Iterable[Outcome]
) -> list[CountingFrame]:
    """The frames that must be placed, and what became of them."""
    frames: dict[str, list[ReferenceCamera]] = {}
    for reference in references:
        frames.setdefault(reference.frame_id or reference.file, []).append(reference)
    plain = [outcome for outcome in outcomes if outcome.case.plain]
    found = []
    for name, of_frame in frames.items():
        enough_lights = any(reference.must_be_placed for reference in of_frame)
        if not (enough_lights or any(would_count(reference) for reference in of_frame)):
            continue
        files = {reference.file for reference in of_frame}
        frame = CountingFrame(
            name=name,
            references=tuple(of_frame),
            enough_lights=enough_lights,
            outcomes=tuple(outcome for outcome in plain if outcome.case.file in files),
        )
        found.append(frame)
    return sorted(found, key=lambda frame: (not frame.enough_lights, frame.name))


def would_count(reference: ReferenceCamera) -> bool:
    """Whether a photo that could be placed counted if it showed enough lights."""
    return reference.camera is not None and replace(reference, registrable=True).must_be_placed


def headline(
    references: Iterable[ReferenceCamera], outcomes: Sequence[Outcome], others: Sequence[Outcome]
) -> list[str]:
    """The aim, what was reached, and the frames that count."""
    frames = [frame for frame in counting_frames(references, outcomes) if frame.outcomes]
    counted = [frame for frame in frames if frame.enough_lights]
    few = [frame for frame in frames if not frame.enough_lights]
    everything = [*outcomes, *others]
    wrong = [outcome for outcome in everything if is_accepted(outcome, "wrong")]
    unknown = [outcome for outcome in everything if is_accepted(outcome, "unknown")]
    scope = "All categories, `--any-category` too" if others else "City photos only"
    lines = [
        f"- Frames that must be placed, right and accepted: {share_words(counted)} (aim: "
        f"{GOAL_SHARE:.0%}). These are the city frames with an element set within 10 days or a "
        "recorded nadir, and at least eight separable lit places; an edited frame and its copy in "
        "the archive count once, as placed if at least one of the two is right and accepted and "
        "none is wrong and accepted."
    ]
    if few:
        names = ", ".join(frame.name for frame in few)
        lines += [
            f"- With {names}, whose lights the map has less than eight of: {share_words(frames)}."
        ]
    lines += [
        f"- {scope}: wrong and accepted: {case_names(wrong)} (aim: none). Accepted without a "
        f"reference camera, to be looked at: {case_names(unknown)}.",
    ]
    if frames:
        lines += ["", *table(HEADER, [frame_row(frame) for frame in frames])]
    return lines


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
        "yes" if frame.enough_lights else "few lights",
        f"{min(ages):.1f} d" if ages else NONE,
        "yes" if any(r.has_record_nadir for r in frame.references) else NONE,
        "; ".join(files),
        "yes" if frame.placed else "**no**",
    ]
