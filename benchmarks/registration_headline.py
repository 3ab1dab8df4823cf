"""How many of the real photographs that must be placed are: the first lines of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from benchmarks.reference_cameras import ReferenceCamera
from benchmarks.registration_judge import is_accepted, judgement
from benchmarks.registration_report import NONE, judged_words, table
from benchmarks.registration_run import Outcome

GOAL_SHARE = 0.75
HEADER = ("frame", "counts", "element set", "recorded nadir", "files", "placed")


@dataclass(frozen=True, kw_only=True)
class CountingFrame:
    """A frame that must be placed, with all its files; a frame and its copy count once.

    Attributes
    ----------
    name : str
        Frame id, or the file where it is unknown.
    references : tuple of ReferenceCamera
        One a file.
    enough_lights : bool
        Whether it shows eight separable lit places; without them it counts in the second figure
        only.
    outcomes : tuple of Outcome
        Of its files as they are; empty where none was run.
    """

    name: str
    references: tuple[ReferenceCamera, ...]
    enough_lights: bool
    outcomes: tuple[Outcome, ...] = ()

    @property
    def placed(self) -> bool:
        """Whether a file of it is right and accepted, and none wrong and accepted."""
        right = any(is_accepted(outcome, "right") for outcome in self.outcomes)
        return right and not any(is_accepted(outcome, "wrong") for outcome in self.outcomes)


def counting_frames(
    references: Iterable[ReferenceCamera], outcomes: Iterable[Outcome]
) -> list[CountingFrame]:
    """The frames that must be placed, and what became of them.

    Parameters
    ----------
    references : iterable of ReferenceCamera
        Of all city photos.
    outcomes : iterable of Outcome
        Only photos as they are count.

    Returns
    -------
    list of CountingFrame
        With an element set or a recorded nadir near; those with a reference camera but too few
        lights last.
    """
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
    """The aim, what was reached, and the frames that count.

    Parameters
    ----------
    references : iterable of ReferenceCamera
        Of all city photos.
    outcomes : sequence of Outcome
        Of the city photos, told and shown in all ways.
    others : sequence of Outcome
        Of the other categories, and of what was tried though it does not look like a night city;
        empty where only city photos were tried.

    Returns
    -------
    list of str
        Markdown.
    """
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
