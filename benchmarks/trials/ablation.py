"""What each way of proposing cameras brings: runs that left some out, beside the whole engine."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.registration_report import number, table
from benchmarks.trials.headline import STEEP_DEG, interval_words, percent
from benchmarks.trials.outcomes import RIGHT_ACCEPTED, WRONG_ACCEPTED, having, registrable
from benchmarks.trials.stats import quantile
from benchmarks.trials.table import Row, number_of, numbers

TELEPHOTO_MM = 135.0
HEADER = (
    *("methods", "trials", "registrable", "right and accepted", "95 % interval"),
    *(f"≤ {STEEP_DEG:g}°", f"> {STEEP_DEG:g}°", f"≥ {TELEPHOTO_MM:g} mm"),
    *("lost to all", "won from all", "wrong and accepted", "CPU s median, registrable"),
)


def ablation_lines(rows: Sequence[Row], ablations: Sequence[Sequence[Row]]) -> list[str]:
    """A table of the whole engine and of runs that left something out, on the same seeds.

    Parameters
    ----------
    rows : sequence of Row
        Trials of the whole engine.
    ablations : sequence of sequence of Row
        Trials of the same half, each run with other ``methods``.

    Returns
    -------
    list of str
        Empty if no seed was run by all of them.
    """
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
