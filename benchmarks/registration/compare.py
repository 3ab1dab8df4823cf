"""Solutions of one frame against each other: copies, moved nadirs, turned and cropped pictures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.pages import NONE, number
from benchmarks.registration.process import Outcome
from benchmarks.registration.report import judgement
from benchmarks.registration.scores import centre_distance_km, distance_m
from benchmarks.registration.variants import places_moved_px
from matchers.camera import Camera
from matchers.earth import ecef_to_geodetic
from regengine.records import probability_text

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
