"""Solutions of one frame against each other: copies, moved nadirs, turned and cropped pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.registration_report import NONE, number
from benchmarks.registration_run import Outcome
from benchmarks.registration_variants import places_moved_px
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from regengine.evaluate.registration import (
    MAP_PIXEL_M,
    centre_distance_km,
    distance_m,
    right_within_km,
    shows_place,
)
from regengine.words import probability_text

CHANGED_HEADER = (
    *("photo", "changed", "verdict", "probability", "margin"),
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
    return ", ".join("failed" if o.result is None else o.result.verdict for o in outcomes)


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
                verdicts([outcome]),
                probability_text(None if result is None else result.probability) or NONE,
                number(margin),
                *([NONE] * 2 if moved is None else [number(value) for value in moved]),
                number(outcome.wall_s, 1),
            ]
        )
    return rows


def _map_words(outcome: Outcome, base: Outcome) -> str:
    return "" if outcome.case.lights == base.case.lights else f"{outcome.case.lights} map"


def judgement(outcome: Outcome, first: Mapping[str, Outcome]) -> str:
    """Whether a proposal is right, as far as anything known tells.

    Parameters
    ----------
    outcome : Outcome
    first : mapping
        Of `bases`.

    Returns
    -------
    str
        "no proposal", "right", "wrong", "disputed" or "unknown". Reference points decide, unless
        the photo itself contradicts them; where there are none, the landmarks picked by eye,
        all of which must lie within the bar; without those it is wrong if the city of the title
        is not in view, or if the places differ from an accepted solution of the same photo by more
        than the bar.
    """
    if outcome.camera is None:
        return "no proposal"
    if outcome.score is not None:
        wrong = "disputed" if contradicts_reference(outcome) else "wrong"
        return "right" if outcome.score.right else wrong
    diagonal_km = 0.0 if outcome.result is None else outcome.result.footprint_diagonal_km or 0.0
    if outcome.hand_m is not None:
        return "right" if outcome.hand_m[1] <= 1000.0 * right_within_km(diagonal_km) else "wrong"
    city = None if outcome.case.variant else outcome.case.city
    if city is not None and not shows_place(outcome.camera, city.lon, city.lat):
        return "wrong"
    base = first.get(outcome.case.file)
    moved = moved_px(outcome, base)
    if base is None or moved is None or base.result is None or base.result.verdict != "accepted":
        return "unknown"
    if judgement(base, first) == "wrong":
        return "unknown"
    bar_km = right_within_km(base.result.footprint_diagonal_km or 0.0)
    return "right" if moved[0] * MAP_PIXEL_M <= 1000.0 * bar_km else "wrong"


def agrees_locally(outcome: Outcome) -> bool:
    """Whether most patches at the reference points lie within the bar of where we put them."""
    shift, score = outcome.shift, outcome.score
    if shift is None or score is None:
        return False
    within = shift.median_m <= 1000.0 * score.bar_km
    return bool(2 * shift.found >= shift.tried > 0 and within)


def contradicts_reference(outcome: Outcome) -> bool:
    """Whether the photo's own lights, and no hand point, speak for us against the reference.

    The lights do if they lie where our camera puts them, and more than twice as far from where
    the reference's does.
    """
    ours, theirs = outcome.shift, outcome.shift_of_reference
    if ours is None or theirs is None or not agrees_locally(outcome):
        return False
    hand, hand_of_reference = outcome.hand_px, outcome.hand_of_reference_px
    if hand is not None and hand_of_reference is not None and hand > hand_of_reference:
        return False
    return not theirs.median_m <= 2.0 * ours.median_m
