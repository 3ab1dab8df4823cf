"""The page on a run of simulated registrations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks.pages import NONE, number, table, title_lines
from benchmarks.row_tables import Row, flags, number_of, numbers, values
from benchmarks.trials import headline
from benchmarks.trials.figures import (
    missed_lines,
    problem_lines,
    reason_lines,
    seconds_lines,
    wrong_lines,
)
from benchmarks.trials.headline import STEEP_DEG, interval_words, percent, stated
from benchmarks.trials.outcomes import (
    OUTCOMES,
    RIGHT_ACCEPTED,
    RIGHT_REVIEW,
    WRONG_ACCEPTED,
    bins_of,
    factors_of,
    having,
    outcome_of,
    proposals,
    registrable,
)
from benchmarks.trials.stats import calibration, quantile, roc, within_one_sigma

# What each way of proposing cameras brings: runs that left some out, beside the whole engine.

TELEPHOTO_MM = 135.0
HEADER = (
    *("methods", "trials", "registrable", "right and accepted", "95 % interval"),
    *(f"≤ {STEEP_DEG:g}°", f"> {STEEP_DEG:g}°", f"≥ {TELEPHOTO_MM:g} mm"),
    *("lost to all", "won from all", "wrong and accepted", "CPU s median, registrable"),
)


def ablation_lines(rows: Sequence[Row], ablations: Sequence[Sequence[Row]]) -> list[str]:
    """A table of the whole engine and of runs that left something out, on the same seeds."""
    runs = [{row["seed"]: row for row in run} for run in (rows, *ablations)]
    common = [row["seed"] for row in rows if all(row["seed"] in run for run in runs)]
    if not ablations or not common:
        return []
    whole = [runs[0][seed] for seed in common]
    cells = [run_cells([run[seed] for seed in common], whole) for run in runs]
    return [
        *table(HEADER, cells, right=len(HEADER) - 1),
        "",
        f"The same {len(common)} seeds. *Lost to all*: right and accepted by the whole engine and "
        "not by this one; *won from all*: the other way round.",
    ]


def run_cells(run: Sequence[Row], whole: Sequence[Row]) -> list[str]:
    """One row of the table."""
    able = registrable(run)
    right = having(able, RIGHT_ACCEPTED)
    seeds, of_whole = (
        {row["seed"] for row in having(registrable(group), RIGHT_ACCEPTED)}
        for group in (run, whole)
    )
    steep = [row for row in able if number_of(row["off_nadir_deg"]) <= STEEP_DEG]
    oblique = [row for row in able if number_of(row["off_nadir_deg"]) > STEEP_DEG]
    telephoto = [row for row in able if number_of(row["focal_mm"]) >= TELEPHOTO_MM]
    return [
        ", ".join(sorted({row.get("methods") or "not known" for row in run})),
        str(len(run)),
        str(len(able)),
        percent(len(right) / len(able) if able else float("nan")),
        interval_words(len(right), len(able)),
        *(shares_right(group) for group in (steep, oblique, telephoto)),
        str(len(of_whole - seeds)),
        str(len(seeds - of_whole)),
        str(len(having(run, WRONG_ACCEPTED))),
        number(quantile(numbers(able, "seconds_cpu"), 0.5), 1),
    ]


def shares_right(group: Sequence[Row]) -> str:
    """How many of a group are right and accepted."""
    return f"{len(having(group, RIGHT_ACCEPTED))} of {len(group)}"


PROBABILITY_EDGES = (0.0, 0.05, 0.5, 0.9, 0.99, 0.999, 1.1)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What a page is made from."""

    rows: Sequence[Row]  # trials of one half, ordered by seed
    # command and note: what was run, and a sentence on world and map
    command: str
    note: str
    ablations: Sequence[Sequence[Row]] = ()  # runs that left ways of proposing cameras out
    # Columns that hold what was drawn, those without bins of their own among them
    drawn: tuple[str, ...] = ()


def in_order(rows: Iterable[Row], half: str) -> list[Row]:
    """The rows of one half, one a seed, ordered by seed."""
    found = {int(row["seed"]): row for row in rows if row.get("half") == half}
    return [found[seed] for seed in sorted(found)]


def page_lines(page: Page) -> list[str]:
    """The whole page as Markdown lines."""
    rows = page.rows
    asked = headline.figures_of(rows)
    sections = (
        ("Numbers", table(headline.HEADER, [figure.cells() for figure in asked])),
        ("Outcomes by kind of trial", kind_lines(rows)),
        ("Registrable trials by factor", factor_lines(page)),
        ("Errors", error_lines(rows)),
        ("Probability", probability_lines(page)),
        ("Seconds", seconds_lines(rows)),
        ("What each way of proposing brings", ablation_lines(rows, page.ablations)),
        ("Wrong and accepted", wrong_lines(rows)),
        ("Registrable trials that were missed, by reason", reason_lines(rows)),
        ("The best-lit of them", missed_lines(rows)),
        ("Trials that failed", problem_lines(rows)),
    )
    lines = title_lines("Simulated registrations", page.command, page.note)
    lines += [f"{len(rows)} trials, {len(registrable(rows))} of them registrable."]
    for title, body in sections:
        if body:
            lines += ["", f"## {title}", "", *body]
    return lines


def outcome_cells(rows: Sequence[Row]) -> list[str]:
    """Counts of all outcomes."""
    kinds = [outcome_of(row) for row in rows]
    return [str(kinds.count(name)) for name in OUTCOMES]


def kind_lines(rows: Sequence[Row]) -> list[str]:
    """Outcomes of every kind of trial; registrable and other cities apart."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        kind = row.get("kind") or "not drawn"
        if kind == "city":
            many = row.get("registrable") == "1"
            kind = "city, registrable" if many else "city, too few lit places"
        groups.setdefault(kind, []).append(row)
    cells = [
        [kind, str(len(group)), *outcome_cells(group)] for kind, group in sorted(groups.items())
    ]
    cells.append(["all", str(len(rows)), *outcome_cells(rows)])
    return table(("kind", "trials", *OUTCOMES), cells, right=len(OUTCOMES) + 1)


def factor_lines(page: Page) -> list[str]:
    """Outcomes in the bins of every factor, what is right and accepted with intervals."""
    rows = registrable(page.rows)
    header = ("factor", "", "n", "recall", "95 % interval", *OUTCOMES)
    cells: list[list[str]] = []
    for factor in factors_of(rows, page.drawn):
        title = factor.title
        for label, group in bins_of(rows, factor):
            cells.append([title, label, *recall_cells(group), *outcome_cells(group)])
            title = ""
    return table(header, cells, right=len(header) - 2) if cells else []


def recall_cells(group: Sequence[Row]) -> list[str]:
    """Number of trials, share right and accepted, its interval."""
    hits = len(having(group, RIGHT_ACCEPTED))
    return [str(len(group)), percent(hits / len(group)), interval_words(hits, len(group))]


def error_lines(rows: Sequence[Row]) -> list[str]:
    """Errors and sigmas of right proposals, by verdict."""
    header = (
        *("proposals", "n", "control points m: median", "95 %", "units: median", "95 %"),
        *("visible ground m: median", "95 % of the largest", "units", "% of diagonal"),
        *("within one sigma: east", "north"),
    )
    cells = []
    for outcome in (RIGHT_ACCEPTED, RIGHT_REVIEW):
        group = having(rows, outcome)
        shown = [outcome, str(len(group))]
        for column, digits in (("point_error_m", 0), ("point_error_units", 2)):
            errors = values(group, column)
            shown += [number(quantile(errors, share), digits) for share in (0.5, 0.95)]
        shown.append(number(quantile(numbers(group, "grid_median_m"), 0.5), 0))
        shown.append(number(quantile(numbers(group, "grid_max_m"), 0.95), 0))
        shown.append(number(quantile(numbers(group, "grid_median_units"), 0.5), 2))
        shown.append(number(quantile(numbers(group, "grid_median_percent"), 0.5), 2))
        shown += [percent(within_one_sigma(values(group, name))) for name in ("z_east", "z_north")]
        cells.append(shown)
    return table(header, cells, right=len(header) - 1)


def probability_lines(page: Page) -> list[str]:
    """Calibration and separation of the probability."""
    rows = page.rows
    header = (
        *("trials", "n", "right", "expected calibration error", "Brier score"),
        "area under the ROC curve",
    )
    cells = []
    for what, some in (
        ("proposals", proposals(rows)),
        ("all with a probability", stated(rows)),
        ("all, 0 where there is none", list(rows)),
    ):
        p, right = np.nan_to_num(numbers(some, "probability")), flags(some, "right")
        found = calibration(p, right)
        figures = (found.expected_error, found.brier, roc(p, right).area)
        cells.append(
            [what, str(len(some)), str(int(right.sum())), *(number(f, 4) for f in figures)]
        )
    return [*table(header, cells, right=5), "", *probability_bins(rows)]


def probability_bins(rows: Sequence[Row]) -> list[str]:
    """Share right by stated probability, in bins that tell the extremes apart."""
    some = stated(rows)
    p = numbers(some, "probability")
    cells = []
    for low, high in pairwise(PROBABILITY_EDGES):
        inside = [row for row, value in zip(some, p, strict=True) if low <= value < high]
        hits = int(flags(inside, "right").sum())
        share = percent(hits / len(inside)) if inside else NONE
        mean = float(numbers(inside, "probability").mean()) if inside else None
        words = [f"{low:g} to {min(high, 1.0):g}", str(len(inside)), number(mean, 5)]
        cells.append([*words, str(hits), share, interval_words(hits, len(inside))])
    header = ("stated probability", "n", "mean", "right", "share right", "95 % interval")
    return table(header, cells, right=5)
