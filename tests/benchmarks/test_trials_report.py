"""Figures of made-up runs whose numbers are known."""

from __future__ import annotations

from trial_rows import made_row, reviewed, unmatched

from benchmarks.rows import Row
from benchmarks.trials.report import Figure, figures_of, trials_of

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


def test_of_a_seed_that_comes_twice_the_last_row_counts() -> None:
    rows = [made_row(2), made_row(1, half="train"), made_row(1), reviewed(2)]
    found = trials_of(rows, "test")
    assert list(zip(found.seed, found.verdict, strict=True)) == [(1, "accepted"), (2, "review")]
