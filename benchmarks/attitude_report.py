"""The page of `python -m benchmarks attitude`."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from benchmarks.orbit_uncertainty import commit
from benchmarks.trials.table import Row, flags, numbers

WAYS = {
    "plain": "stars left aside",
    "stars": "stars detected and solved",
    "truth": "attitude given (20″ off)",
}


def page_lines(rows: Sequence[Row]) -> list[str]:
    """All tables, as Markdown."""
    if not rows:
        return ["No rows yet."]
    today = datetime.now(UTC).date().isoformat()
    ways = [way for way in WAYS if any(r["way"] == way for r in rows)]
    cities = [r for r in rows if r["kind"] == "city"]
    lines = [
        "# Stars above the limb and registration",
        "",
        f"{today}, commit {commit()}, {os.cpu_count()} CPUs, Python {platform.python_version()}.",
        "",
        f"Simulated limb frames, {len({r['seed'] for r in cities})} of the training half of the "
        "world: cities below, the catalogue's stars above, with aberration and refraction. "
        "Seconds are of processor time, from opening the photo to the result.",
        "",
        *summary(cities, ways),
    ]
    both = paired(cities, ways)
    if both:
        lines += ["", *both]
    for column, title in (("clock_class", "clock"), ("focal_told", "focal length told")):
        lines += ["", f"## By {title}", "", *classes(cities, ways, column)]
    wrong = [r for r in rows if r["kind"] != "city"]
    if wrong:
        lines += ["", "## Frames of another pass than clock and element set say", ""]
        lines += ["| way | frames | accepted | review | no match |", "|---|---:|---:|---:|---:|"]
        for way in ways:
            mine = [r for r in wrong if r["way"] == way]
            counts = [sum(r["verdict"] == v for r in mine) for v in VERDICTS]
            lines.append(f"| {WAYS[way]} | {len(mine)} | {' | '.join(map(str, counts))} |")
    return lines


COMPARED = (
    ("grid_p95_m", "ground off (95 %)", "m"),
    ("offset_error_s", "place in orbit off", "s"),
    ("seconds_cpu", "time", "s"),
)
VERDICTS = ("accepted", "review", "no_match")


def summary(rows: Sequence[Row], ways: Sequence[str]) -> list[str]:
    """One row a way."""
    lines = [
        "| way | frames | sky solved | accepted, right | accepted, wrong | review, right | "
        "no match | s, median | s, 90 % | place in orbit off by s, median (accepted) | "
        "ground off by m, median of 95 % (accepted) |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for way in ways:
        mine = [r for r in rows if r["way"] == way]
        right = flags(mine, "right")
        accepted = np.array([r["verdict"] == "accepted" for r in mine])
        review = np.array([r["verdict"] == "review" for r in mine])
        seconds = numbers(mine, "seconds_cpu")
        offset = np.abs(numbers(mine, "offset_error_s"))[accepted & right]
        place = numbers(mine, "grid_p95_m")[accepted & right]
        solved = np.isfinite(numbers(mine, "stars_solved"))
        lines.append(
            f"| {WAYS[way]} | {len(mine)} | {int(solved.sum())} | {int((accepted & right).sum())} "
            f"| {int((accepted & ~right).sum())} | {int((review & right).sum())} "
            f"| {sum(r['verdict'] == 'no_match' for r in mine)} "
            f"| {np.nanmedian(seconds):.1f} | {np.nanquantile(seconds, 0.9):.1f} "
            f"| {_median(offset):.2f} | {_median(place):,.0f} |"
        )
    return lines


def paired(rows: Sequence[Row], ways: Sequence[str]) -> list[str]:
    """What changes for the frames that both ways accept, frame by frame."""
    lines = []
    plain = {r["seed"]: r for r in rows if r["way"] == "plain"}
    for way in ways:
        if way == "plain" or not plain:
            continue
        mine = {r["seed"]: r for r in rows if r["way"] == way}
        both = [
            (plain[s], mine[s])
            for s in sorted(set(plain) & set(mine))
            if _good(plain[s]) and _good(mine[s])
        ]
        if not both:
            continue
        firsts, seconds = zip(*both, strict=True)
        texts = []
        for name, title, unit in COMPARED:
            before, after = (_median(np.abs(numbers(rs, name))) for rs in (firsts, seconds))
            texts.append(f"{title} {before:.3g} → {after:.3g} {unit}")
        gained = sum(_good(mine[s]) and not _good(plain[s]) for s in set(plain) & set(mine))
        lost = sum(_good(plain[s]) and not _good(mine[s]) for s in set(plain) & set(mine))
        lines.append(
            f"- {WAYS[way]}: {gained} frames gained, {lost} lost; medians of the {len(both)} that "
            f"both accept: {', '.join(texts)}."
        )
    return lines


def classes(rows: Sequence[Row], ways: Sequence[str], column: str) -> list[str]:
    """Accepted and right of all, and the median seconds, by the classes of a column."""
    names = sorted({r[column] for r in rows})
    lines = [
        f"| way | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for way in ways:
        cells = []
        for name in names:
            mine = [r for r in rows if r["way"] == way and r[column] == name]
            seconds = numbers(mine, "seconds_cpu")
            good = sum(_good(r) for r in mine)
            cells.append(f"{good} of {len(mine)}, {_median(seconds):.1f} s")
        lines.append(f"| {WAYS[way]} | {' | '.join(cells)} |")
    return lines


def _good(row: Row) -> bool:
    return row["verdict"] == "accepted" and row.get("right") == "1"


def _median(values: np.ndarray) -> float:
    kept = values[np.isfinite(values)]
    return float(np.median(kept)) if kept.size else float("nan")
