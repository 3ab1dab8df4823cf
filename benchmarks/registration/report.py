"""The outcomes of real photographs as sentences and Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.pages import NONE, number, table
from benchmarks.registration.cases import WORLD
from benchmarks.registration.process import Outcome, overlay_name
from benchmarks.registration.scores import (
    MAP_PIXEL_M,
    centre_distance_km,
    distance_m,
)
from benchmarks.registration.truth import ReferenceCamera, misses_px
from benchmarks.registration.variants import places_moved_px
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
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


GOAL_MEDIAN_S, GOAL_95_S, GOAL_MB = 1.5, 8.0, 1024.0
GOAL_MOVED_PX = 1.0
# A patch fit from another start lands tens of metres away
REPEATED_M = 5.0

READING = """\
*Judged*: right if every control point lies within 1 % of the diagonal of the true footprint, or
within 1 km where that is more, of what its pixel shows by the photo's reference camera
(`benchmarks/reference_cameras.csv`), and the four span 1 % of the picture. *Worst control point*:
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
        *place_lines(known),
        *cost_lines(plain, outcomes),
        *variant_lines(outcomes),
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


def place_lines(known: Sequence[Outcome]) -> list[str]:
    """What the named places say of those that the reference cameras judge."""
    named = [o for o in known if o.places_within is not None and judgement(o) == "right"]
    missing = [outcome for outcome in named if not most_places_within(outcome)]
    return [
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
        f"{np.median(wall_s):.1f} s of wall time (aim: {GOAL_MEDIAN_S:g} s), 95th percentile "
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


CHANGED_HEADER = (
    *("photo", "changed", "verdict", "judged", "probability", "margin"),
    *("places moved, map px: median", "largest", "s"),
)


TWIN_HEADER = (
    *("frame", "verdicts", "image centres apart km", "% of diagonal", "nadirs apart km"),
    "clocks s",
)


def twin_rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Copies of the same frame, solved on their own: their solutions must agree."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.case.plain and outcome.case.same_frame and outcome.result is not None:
            groups.setdefault(outcome.case.same_frame, []).append(outcome)
    rows = []
    for frame, copies in groups.items():
        photos = {copy.case.photo: copy for copy in copies}
        if len(photos) != 2:
            continue
        one, other = photos.values()
        rows.append([frame, verdicts((one, other)), *_twin_cells(one, other)])
    return rows


def verdicts(outcomes: Iterable[Outcome]) -> str:
    """Verdicts in a row."""
    return ", ".join(outcome.verdict for outcome in outcomes)


def _twin_cells(one: Outcome, other: Outcome) -> list[str]:
    a, b = one.camera, other.camera
    if a is None or b is None:
        return [NONE] * 4
    assert one.result is not None
    assert other.result is not None
    assert one.result.solved is not None
    assert other.result.solved is not None
    middle = b.pixel_to_lonlat((b.width_px - 1) / 2.0, (b.height_px - 1) / 2.0)
    apart_km = centre_distance_km(a, float(middle[0]), float(middle[1]))
    diagonal = one.result.footprint_diagonal_km or float("nan")
    nadirs_km = float(distance_m(*_nadir(a), *_nadir(b))[0]) / 1000.0
    clocks = (one.result.solved, other.result.solved)
    return [
        number(apart_km, 1),
        number(100.0 * apart_km / diagonal, 1),
        number(nadirs_km, 1),
        ", ".join(f"{solved.along_track_offset_s:+.1f}" for solved in clocks),
    ]


def _nadir(camera: Camera) -> tuple[float, float]:
    lon, lat, _ = ecef_to_geodetic(camera.position_ecef_m)
    return float(lon), float(lat)


def bases(outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """The first outcome of each photo as it is, by its file: what others are compared with."""
    found: dict[str, Outcome] = {}
    for outcome in outcomes:
        if outcome.case.plain:
            found.setdefault(outcome.case.file, outcome)
    return found


def moved_px(outcome: Outcome, base: Outcome | None) -> tuple[float, float] | None:
    """Median and largest distance between the places of two solutions of a photo, map pixels."""
    if base is None or outcome is base or base.camera is None or outcome.camera is None:
        return None
    apart = places_moved_px(base.camera, outcome.camera, outcome.case.variant)
    return (float(np.median(apart)), float(apart.max())) if len(apart) else None


def changed_rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """Every case that is compared with another solution of its photo."""
    first = bases(outcomes)
    rows = []
    for outcome in outcomes:
        base = first.get(outcome.case.file)
        if base is None or outcome is base:
            continue
        case, result = outcome.case, outcome.result
        km = f"nadir {case.moved_km:+.0f} km" if case.moved_km else ""
        how = case.variant or ", ".join(text for text in (_map_words(outcome, base), km) if text)
        moved = moved_px(outcome, base)
        margin = None if result is None or result.fit is None else result.fit.margin
        rows.append(
            [
                Path(case.file).stem,
                how,
                outcome.verdict,
                judgement(outcome),
                probability_text(None if result is None else result.probability) or NONE,
                number(margin),
                *([NONE] * 2 if moved is None else [number(value) for value in moved]),
                number(outcome.wall_s, 1),
            ]
        )
    return rows


def _map_words(outcome: Outcome, base: Outcome) -> str:
    return "" if outcome.case.lights == base.case.lights else f"{outcome.case.lights} map"
