"""The page and the figures of made-up runs whose numbers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from trial_rows import made_row, reviewed, unmatched

from benchmarks.row_tables import Row, cell
from benchmarks.trials.attempt import WORK_OF
from benchmarks.trials.outcomes import (
    Factor,
    bins_of,
    factors_of,
)
from benchmarks.trials.pictures import plot_run
from benchmarks.trials.report import (
    Figure,
    Page,
    ablation_lines,
    case_cells,
    code_of,
    figures_of,
    in_order,
    missed,
    page_lines,
    proposer_lines,
    reason_lines,
    seconds_lines,
    truth_found,
    worst_seeds,
    wrong_lines,
)

WRONG = made_row(90, right=False, point_error_m=[9e5, 1.0, 1.0, 1.0], truth_in_finalists=2)
NEGATIVE = unmatched(91, kind="stars", registrable=False, places=0)
CRASHED = made_row(92, verdict="failed", problem="ValueError: x", probability=None, right=None)
# 40 near the nadir, of which 38 are right and accepted; 20 obliques, of which 12 are
ROWS = [
    *(made_row(k) for k in range(38)),
    reviewed(38, clock_class="120s"),
    unmatched(39, places=50, clock_class="120s"),
    *(made_row(k, off_nadir_deg=50.0, focal_told="unknown") for k in range(40, 52)),
    *(unmatched(k, off_nadir_deg=50.0, focal_told="unknown") for k in range(52, 60)),
    NEGATIVE,
]


def figure(rows: list[Row], words: str) -> Figure:
    return next(one for one in figures_of(rows) if words in one.what)


def test_recalls_by_angle_clock_and_lens() -> None:
    near, far = figure(ROWS, "≤ 45°"), figure(ROWS, "beyond 45°")
    assert (near.measured, near.n, near.met) == ("95.0 %", 40, True)
    assert (far.measured, far.n, far.met) == ("60.0 %", 20, False)
    assert (figure(ROWS, "±120 s").measured, figure(ROWS, "±120 s").n) == ("0.0 %", 2)
    assert figure(ROWS, "unknown focal").measured == "60.0 %"
    assert near.interval == "83.5 to 98.6 %"
    assert "too few to tell" in far.cells()
    assert figure([*ROWS, CRASHED], "≤ 45°").measured == "92.7 %"


def test_told_nothing_the_well_lit_are_asked_for() -> None:
    rows = [made_row(k, places=8 + k % 12, told="nothing") for k in range(48)]
    lit = figure(rows, "≥ 15 lit places")
    assert (lit.n, lit.measured, lit.asked) == (20, "100.0 %", "≥ 80 %")
    assert not [one for one in figures_of(rows) if "°" in one.what]
    assert page_lines(Page(rows=rows, command="c", note="n"))[0].endswith(", nothing told")


def test_what_work_cost_tells_machines_apart() -> None:
    words = "for a second of work"
    assert not [one for one in figures_of(ROWS) if words in one.what]
    idle = made_row(9, seconds_cpu=3.0, work=0.2)
    rows = [*(made_row(k, seconds_cpu=3.0, work=2.0) for k in range(3)), idle, made_row(10)]
    cost = figure(rows, words)
    assert (cost.measured, cost.n, cost.cells()[-1]) == ("1.50", 3, "")


def test_what_each_proposer_found_and_found_alone() -> None:
    rows = [
        *(made_row(k) for k in range(3)),
        *(made_row(k, kinds=["pictures"]) for k in range(3, 5)),
        reviewed(5, kinds=["pictures"]),
        made_row(6, kinds=[]),
        made_row(7, kinds=["pictures"], right=False),
        unmatched(8, kinds=None),
    ]
    told = {"found_by": "pictures", f"{WORK_OF}pictures": "4.0"}
    idle = {f"{WORK_OF}pictures": ""}  # as the table has it that does no such work
    lines = proposer_lines([*(row | told for row in rows), unmatched(9, kinds=None) | idle])
    assert lines[2] == "| index figures | 3 | 0 | 3 | 0 | 0 | – | – |"
    # Of the seven right ones all but the reviewed are accepted; nine trials of 4 s
    assert lines[3] == "| pictures | 6 | 3 | 5 | 2 | 6 | 36 | 1.67 |"
    assert "Of 7 right proposals 3 were found by several, 1 by none" in lines[-1]


def test_wrong_among_accepted_counts_negatives_and_claims_only_on_enough() -> None:
    few = figure(ROWS, "wrong among accepted")
    assert (few.measured, few.n, few.met) == ("0 of 50", 50, None)
    assert few.interval.startswith("≤ 5.816 %")
    accepted = [made_row(k) for k in range(3000)]
    assert figure(accepted, "wrong among accepted").met is True
    assert figure(accepted, "wrong among accepted").interval.startswith("≤ 0.100 %")
    elsewhere = replace_row(WRONG, kind="elsewhere", registrable=False)
    spoiled = figure([*ROWS, elsewhere], "wrong among accepted")
    assert (spoiled.measured, spoiled.met) == ("1 of 51", False)


def test_the_tail_of_errors_tells_of_wrong_ones_before_enough_were_tried() -> None:
    def rows(spread_m: float) -> list[Row]:
        errors = spread_m * np.abs(np.random.default_rng(0).normal(size=(400, 4)))
        return [made_row(k, bar_km=1.0, point_error_m=list(e)) for k, e in enumerate(errors)]

    what = "by the tail of their errors"
    good, loose = figure(rows(100.0), what), figure(rows(350.0), what)
    assert (good.n, good.met, loose.met) == (400, True, False)
    assert good.interval.startswith("≤ 0.0")
    with pytest.raises(StopIteration):
        figure(rows(100.0)[:299], what)


def test_what_would_be_found_once_the_camera_is_told_bounds_the_recall() -> None:
    what = "once the true camera is told"
    with pytest.raises(StopIteration):
        figure(ROWS, what)
    hits = [made_row(k) for k in range(7)]
    lost = replace_row(made_row(7), verdict="no_match", right=False)
    told = [
        replace_row(lost, placed_verdict="accepted", placed_right=True),
        replace_row(lost, placed_verdict="accepted", placed_right=False),
        replace_row(lost, placed_verdict="review", placed_right=True),
    ]
    found = figure([*hits, *told], what)
    assert (found.measured, found.n, found.cells()[-1]) == ("80.0 %", 10, "")
    with pytest.raises(StopIteration):  # one missed photo was never tried: no telling
        figure([*hits, *told, lost], what)
    failed = replace_row(made_row(8), verdict="failed", right=False)
    assert figure([*hits, *told, failed], what).n == 11


def replace_row(row: Row, **known: object) -> Row:
    return row | {name: cell(value) for name, value in known.items()}


def test_errors_sigmas_and_seconds() -> None:
    assert figure(ROWS, "control points, median").measured == "0.40"
    assert figure(ROWS, "control points, 95th").measured == "0.80"
    # Of each frame's eight errors two exceed one sigma
    sigma = figure(ROWS, "one sigma")
    assert (sigma.measured, sigma.n, sigma.met) == ("75.0 %", 400, True)
    assert figure(ROWS, "seconds a frame, median").measured == "2.00"
    slow = [*ROWS, *(made_row(100 + k, seconds_cpu=20.0) for k in range(5))]
    assert figure(slow, "seconds a frame, 95th").met is False


def test_calibration_of_proposals() -> None:
    # 50 at 0.9995 all right, one at 0.6 right
    error = (50 * 0.0005 + 1 * 0.4) / 51
    assert figure(ROWS, "calibration error, proposals").measured == f"{error:.4f}"
    assert figure(ROWS, "calibration error, proposals").n == 51


def test_bins() -> None:
    rows = [made_row(k, tle_age_days=age) for k, age in enumerate((-0.5, 0.5, -4.0, 9.0))]
    age = next(factor for factor in factors_of(rows) if factor.column == "tle_age_days")
    assert [(label, len(group)) for label, group in bins_of(rows, age)] == [
        ("< 1", 2),
        ("3 to 5", 1),
        ("≥ 7", 1),
    ]
    clocks = [made_row(k, clock_class=c) for k, c in enumerate(("1h", "120s", "2s", "10min"))]
    clock = next(factor for factor in factors_of(rows) if factor.column == "clock_class")
    assert [label for label, _ in bins_of(clocks, clock)] == ["2s", "120s", "10min", "1h"]
    flags = [made_row(k, mirrored=k == 1) for k in range(3)]
    assert [label for label, _ in bins_of(flags, Factor(column="mirrored", title=""))] == [
        "no",
        "yes",
    ]
    many = [made_row(k, bloom=float(k)) for k in range(40)]
    quarters = bins_of(many, Factor(column="bloom", title=""))
    assert [len(group) for _, group in quarters] == [10, 10, 10, 10]
    assert bins_of(rows, Factor(column="bloom", title="")) == []
    bodies = [made_row(k, body=body) for k, body in enumerate("aaabbccddeeffgh")]
    shown = bins_of(bodies, Factor(column="body", title=""))
    assert [(label, len(group)) for label, group in shown] == [
        ("a", 3),
        *((label, 2) for label in "bcdef"),
        ("others", 2),
    ]


def test_failures_are_ordered_and_grouped() -> None:
    rows = [*ROWS, WRONG, CRASHED]
    assert worst_seeds(rows)[:2] == [90, 39]
    assert [int(row["seed"]) for row in missed(ROWS)][:2] == [39, 38]
    assert (code_of(CRASHED), code_of(reviewed(1))) == ("ValueError", "low_margin")
    assert truth_found(made_row(1)) == "chosen"
    assert truth_found(WRONG) == "finalist 3"
    assert truth_found(unmatched(1)) == "candidate 5"
    lines = reason_lines(ROWS)
    assert lines[2] == "| no_agreement | 9 | 0 | 0 | 0 | 9 | 0 | 0 | 9 | 0 |"
    assert lines[3].startswith("| low_margin | 1 | 1 | 0")
    assert wrong_lines(ROWS) == ["None."]
    assert "900.0" in wrong_lines(rows)[2]
    assert len(case_cells(NEGATIVE)) == len(case_cells(WRONG))
    assert "| all | 63 | 2.0 |" in "\n".join(seconds_lines(rows))


def test_the_page_holds_everything() -> None:
    page = Page(rows=[*ROWS, WRONG, CRASHED], command="c", note="n")
    text = "\n".join(page_lines(page))
    assert "63 trials, 62 of them registrable." in text
    assert "| stars | 1 | 0 | 0 | 0 | 0 | 1 | 0 |" in text
    assert "| 0.999 to 1 | 51 | 0.99950 | 50 | 98.0 % |" in text
    assert "| 92 | city | ValueError: x |" in text


@pytest.mark.parametrize("rows", [[], [NEGATIVE], [made_row(1)]])
def test_small_runs_have_a_page_and_a_picture(rows: list[Row], tmp_path: Path) -> None:
    assert page_lines(Page(rows=rows, command="", note=""))
    plot_run(rows, tmp_path / "once.png")
    plot_run(rows, tmp_path / "again.png")
    once, again = (path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert once == again


def test_rows_of_one_half_in_order() -> None:
    rows = [made_row(2), made_row(1, half="train"), made_row(1), reviewed(2)]
    found = in_order(rows, "test")
    assert [(row["seed"], row["verdict"]) for row in found] == [("1", "accepted"), ("2", "review")]


def test_an_ablation_is_compared_on_common_seeds() -> None:
    whole = [made_row(1), made_row(2, focal_mm=200.0), unmatched(3), made_row(4), made_row(5)]
    alone = [made_row(1), unmatched(2, focal_mm=200.0), made_row(3), WRONG, unmatched(5)]
    whole = [row | {"methods": "limb+sparse+dense"} for row in whole]
    alone = [row | {"methods": "sparse"} for row in alone]
    lines = ablation_lines(whole, [alone])
    of_whole, of_alone = (
        [cell.strip() for cell in line.strip("| ").split("|")] for line in lines[2:4]
    )
    assert of_whole[:4] == ["limb+sparse+dense", "4", "4", "75.0 %"]
    assert of_alone[:4] == ["sparse", "4", "4", "50.0 %"]
    assert of_whole[5:11] == ["3 of 4", "0 of 0", "1 of 1", "0", "0", "0"]
    assert of_alone[5:11] == ["2 of 4", "0 of 0", "0 of 1", "2", "1", "0"]
    assert "The same 4 seeds" in lines[-1]
