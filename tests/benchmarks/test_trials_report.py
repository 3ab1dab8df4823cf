"""The page of made-up runs whose numbers are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_rows import made_row, reviewed, unmatched

from benchmarks.row_tables import Row
from benchmarks.trials.outcomes import FACTORS, bins_of, trials_of
from benchmarks.trials.pictures import plot_run
from benchmarks.trials.report import Figure, figures_of, page_lines, worst_seeds

WRONG = made_row(90, right=False, point_error_m=[9e5, 1.0, 1.0, 1.0])
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
    return next(one for one in figures_of(trials_of(rows, "test")) if words in one.what)


def test_recall_counts_right_and_accepted_of_registrable_only() -> None:
    near, far = figure(ROWS, "≤ 45°"), figure(ROWS, "beyond 45°")
    assert (near.measured, near.n, near.met) == ("95.0 %", 40, True)
    assert (far.measured, far.n, far.met) == ("60.0 %", 20, False)
    assert near.interval == "83.5 to 98.6 %"
    assert figure([*ROWS, CRASHED], "≤ 45°").measured == "92.7 %"


def test_no_wrong_one_is_claimed_rare_before_enough_were_tried() -> None:
    few = figure(ROWS, "wrong among accepted")
    assert (few.measured, few.n, few.met) == ("0 of 50", 50, None)
    assert figure([made_row(k) for k in range(3000)], "wrong among accepted").met is True
    assert figure([*ROWS, WRONG], "wrong among accepted").met is False


def test_the_page_holds_every_outcome() -> None:
    text = "\n".join(page_lines(trials_of([*ROWS, WRONG, CRASHED], "test"), "c"))
    assert "63 trials, 62 of them registrable." in text
    assert "| stars | 1 | 0 | 0 | 0 | 0 | 1 | 0 |" in text
    assert "| 0.999 to 1 | 51 | 0.99950 | 50 | 98.0 % |" in text
    assert worst_seeds(trials_of([*ROWS, WRONG], "test"))[:2] == [90, 39]


def test_factors_are_put_into_bins_by_size() -> None:
    rows = [made_row(k, tle_age_days=age) for k, age in enumerate((-0.5, 0.5, -4.0, 9.0))]
    age = next(factor for factor in FACTORS if factor.column == "tle_age_days")
    found = [(label, len(group)) for label, group in bins_of(trials_of(rows, "test"), age)]
    assert found == [("< 1", 2), ("3 to 5", 1), ("≥ 7", 1)]


@pytest.mark.parametrize("rows", [[], [NEGATIVE], [made_row(1)]])
def test_small_runs_have_a_page_and_a_picture(rows: list[Row], tmp_path: Path) -> None:
    trials = trials_of(rows, "test")
    assert page_lines(trials, "")
    plot_run(trials, tmp_path / "run.png")


def test_of_a_seed_that_comes_twice_the_last_row_counts() -> None:
    rows = [made_row(2), made_row(1, half="train"), made_row(1), reviewed(2)]
    found = trials_of(rows, "test")
    assert list(zip(found.seed, found.verdict, strict=True)) == [("1", "accepted"), ("2", "review")]
