"""Runs of trials: resumed, crashed, hung, and told of."""

from __future__ import annotations

from pathlib import Path

import pytest
from trial_rows import MadeUpSettings, columns_of, drawn, mishap, ready

from benchmarks.rows import Row, read_rows
from benchmarks.trials.run import run_trials

pytestmark = pytest.mark.slow


def by_seed(path: Path) -> list[Row]:
    return sorted(read_rows(path), key=lambda row: int(row["seed"]))


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    told: list[Row] = []

    def run(path: Path, first: int, last: int) -> None:
        run_trials(
            range(first, last),
            path,
            MadeUpSettings(),
            workers=1,
            tell=told.append,
            work=columns_of,
            prepare=ready,
        )

    run(whole, 0, 6)
    assert len(told) == 6
    run(parts, 0, 2)
    with parts.open("a") as file:
        file.write('{"seed": 2, "half": "te')  # killed while it wrote
    run(parts, 1, 5)
    run(parts, 0, 6)
    assert len(told) == 12  # nothing was done twice but the torn one
    assert by_seed(parts) == by_seed(whole)
    assert by_seed(whole)[3]["odd"] == pytest.approx(0.3)


def test_a_mishap_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    run_trials(
        range(5),
        path,
        MadeUpSettings(limit_s=2.0),
        workers=2,
        tell=lambda _: None,
        work=mishap,
        describe=drawn,
        prepare=ready,
    )
    rows = by_seed(path)
    assert [row["verdict"] for row in rows] == ["review", "failed", "failed", "failed", "review"]
    assert rows[1]["problem"] == "ValueError: a bad\nday"
    assert "kind" not in rows[1]
    assert "died (exit code 3)" in rows[2]["problem"]
    assert rows[3]["problem"] == "killed after 2 s"
    assert [row["kind"] for row in rows[2:4]] == ["stars", "stars"]
