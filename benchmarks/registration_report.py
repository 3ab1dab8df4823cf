"""The outcomes as Markdown tables."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.orbit_uncertainty import commit
from benchmarks.registration_run import Outcome
from benchmarks.registration_truth import City
from matchers.camera import Camera
from regengine.evaluate.registration import (
    MAP_PIXEL_M,
    centre_distance_km,
    shows_place,
)
from regengine.words import centre_text, probability_text

NONE = "–"


def title_lines(title: str, command: str, map_note: str) -> list[str]:
    """Heading: what was run, when, on what."""
    return [
        f"# {title}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, commit {commit()}, {os.cpu_count()} CPUs "
        f"({processor()}), Python {platform.python_version()}: `{command}`.",
        "",
        map_note,
        "",
    ]


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: int = 0) -> list[str]:
    """A Markdown table, the last ``right`` columns aligned to the right."""
    marks = ["---"] * (len(header) - right) + ["---:"] * right
    lines = [header, marks, *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def number(value: float | None, digits: int = 2) -> str:
    """A number with thousands separated; a dash for none, a sign for what has no end."""
    if value is None or np.isnan(value):
        return NONE
    return "∞" if np.isinf(value) else f"{value:,.{digits}f}"


RESULT_HEADER = (
    *("photo", "centre", "off-nadir", "verdict", "probability", "margin", "error m", "map px"),
    *("% of diagonal", "hand points px", "control points", "known place", "clock s"),
    *("s", "CPU s", "MB", "reasons"),
)


def result_row(outcome: Outcome) -> list[str]:
    """One case of the main table."""
    result = outcome.result
    name = outcome.case.name + (f" ({outcome.case.note})" if outcome.case.note else "")
    cost = [number(outcome.wall_s, 1), number(outcome.cpu_s, 1), number(outcome.peak_mb, 0)]
    if result is None:
        return [name, NONE, NONE, "failed", *[NONE] * 9, *cost, outcome.problem]
    solved, fit = result.solved, result.fit
    return [
        name,
        centre_text(result) or NONE,
        NONE if solved is None else f"{solved.off_nadir_deg:.0f}°",
        result.verdict,
        probability_text(result.probability) or NONE,
        number(None if fit is None else fit.margin),
        *error_cells(outcome),
        number(outcome.hand_px, 1),
        control_point_words(outcome),
        place_words(outcome.camera, outcome.case.city),
        number(None if solved is None else solved.along_track_offset_s, 1),
        *cost,
        ", ".join(reason.code for reason in result.reasons) or NONE,
    ]


def error_cells(outcome: Outcome) -> list[str]:
    """Median and largest error in metres, map pixels and parts of the diagonal."""
    score, result = outcome.score, outcome.result
    if score is not None:
        errors_m = float(np.median(score.error_m)), float(score.error_m.max())
        diagonal_km, sign = score.diagonal_km, ""
    elif outcome.hand_m is not None and result is not None:
        errors_m, diagonal_km, sign = outcome.hand_m, result.footprint_diagonal_km or 0.0, "≈ "
    else:
        return [NONE] * 3
    units = ((1.0, 0), (MAP_PIXEL_M, 2), (10.0 * max(diagonal_km, 1e-9), 2))
    return [
        sign + " / ".join(number(error / unit, digits) for error in errors_m)
        for unit, digits in units
    ]


def control_point_words(outcome: Outcome) -> str:
    """Whether the control points are right, the worst of them, and what it is held against."""
    score = outcome.score
    if score is None:
        return NONE
    if not len(score.control_point_error_m):
        return "none"
    worst_km = float(score.control_point_error_m.max()) / 1000.0
    word = "right" if score.right else "**wrong**"
    return f"{word} ({number(worst_km)} of {score.bar_km:.2f} km)"


def place_words(camera: Camera | None, city: City | None) -> str:
    """How far the city of the title is from the image centre, and whether it is in the image."""
    if camera is None or city is None:
        return NONE
    inside = "in view" if shows_place(camera, city.lon, city.lat) else "**not in view**"
    distance_km = centre_distance_km(camera, city.lon, city.lat)
    return f"{city.name} {number(distance_km, 0)} km, {inside}"


CHECK_HEADER = (
    *("photo", "reference fit px", "local shift: found", "px", "m"),
    *("same of the reference: found", "px", "m", "hand points px", "same of the reference"),
)


def check_row(outcome: Outcome) -> list[str]:
    """One case of the table that checks the reference itself."""
    cells = [outcome.case.name, number(outcome.truth.residual_px, 3)]
    for shift in (outcome.shift, outcome.shift_of_reference):
        if shift is None:
            cells += [NONE] * 3
            continue
        cells += [f"{shift.found} of {shift.tried}"]
        cells += [number(shift.median_px), number(shift.median_m, 0)]
    return [*cells, number(outcome.hand_px, 1), number(outcome.hand_of_reference_px, 1)]


def peer_table(outcomes: Sequence[Outcome]) -> list[str]:
    """What the peers made of every photo, beside our own; bold where within the bar."""
    asked = [outcome for outcome in outcomes if outcome.peers]
    if not asked:
        return []
    header = ["photo", "our verdict", "km from", "bar", "ours", "s"]
    for peer in asked[0].peers:
        header += [peer.name, "inliers", "s"]
    rows = []
    for outcome in asked:
        score, peers = outcome.score, outcome.peers
        verdict = "failed" if outcome.result is None else outcome.result.verdict
        head = [outcome.case.name, verdict]
        if outcome.truth.points is not None:
            own = None
            if score is not None:
                own = float(np.median(score.error_m)), float(score.error_m.max())
            errors = [peer.from_reference_m for peer in peers]
            rows.append([*head, "the reference", *_peer_cells(outcome, own, errors)])
        if outcome.camera is not None:
            errors = [peer.from_solution_m for peer in peers]
            rows.append([*head, "our solution", *_peer_cells(outcome, None, errors)])
    return table(header, rows, right=len(header) - 3)


def _peer_cells(
    outcome: Outcome,
    own_m: tuple[float, float] | None,
    errors_m: Sequence[tuple[float, float] | None],
) -> list[str]:
    bar_km = outcome.peers[0].bar_km
    cells = [number(bar_km), verdict_numbers(own_m, bar_km), number(outcome.wall_s, 1)]
    for peer, errors in zip(outcome.peers, errors_m, strict=True):
        inliers = NONE if peer.inliers is None else str(peer.inliers)
        cells += [verdict_numbers(errors, bar_km), inliers, number(peer.seconds, 1)]
    return cells


def verdict_numbers(errors_m: tuple[float, float] | None, bar_km: float) -> str:
    """Median and largest error in kilometres; bold where the median is within the bar."""
    if errors_m is None:
        return NONE
    text = " / ".join(number(error / 1000.0) for error in errors_m)
    return f"**{text}**" if errors_m[0] <= 1000.0 * bar_km else text
