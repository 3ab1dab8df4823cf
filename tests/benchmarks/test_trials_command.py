"""``--simulated``: what does not fit is told, and the smoke run."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import registration
from benchmarks.row_tables import read_rows
from benchmarks.trials import SMOKE_WORK
from benchmarks.trials.exposures import KINDS
from benchmarks.trials.outcomes import RIGHT_ACCEPTED, WRONG_ACCEPTED, trials_of
from benchmarks.trials.run import TrialSettings, draw_only, prepare, wanted_seeds, workshop

pytestmark = pytest.mark.slow

FEW = 2


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "--table"),
        (["--table", "t.csv", "--real", "somewhere"], "--lights"),
        (["--table", "t.csv", "--seeds", "few"], "FIRST:LAST"),
        (["--table", "t.csv", "--lights", "none.tif", "--seeds", "0:1"], "none.tif"),
    ],
)
def test_what_does_not_fit_is_told_in_one_sentence(
    options: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert registration.main(["--simulated", *options]) == 2
    said = capsys.readouterr()
    assert complaint in said.err
    assert said.err.count("\n") == 1


def test_steep_frames_are_chosen_before_they_are_drawn() -> None:
    prepare(TrialSettings())
    rows = [draw_only(seed) for seed in range(5)]
    lit = [row for row in rows if row["kind"] in ("city", "elsewhere", "other_time")]
    steep = [row["seed"] for row in lit if row["off_nadir_deg"] <= 30.0]
    assert wanted_seeds(range(5), KINDS, "steep", workshop()) == steep


def test_a_few_trials_are_registered_and_judged(tmp_path: Path) -> None:
    """The first of ``--smoke``, as it does them: cities and the dark."""
    path = tmp_path / "few.csv"
    words = ["--simulated", "--seeds", f"0:{FEW}", "--max-work", str(SMOKE_WORK)]
    assert registration.main([*words, "--table", str(path)]) == 0
    rows = read_rows([path])
    assert sorted(int(row["seed"]) for row in rows) == list(range(FEW))
    assert [row["problem"] for row in rows if row["problem"]] == []
    trials = trials_of(rows, "test")
    assert WRONG_ACCEPTED not in set(trials.outcome)
    assert RIGHT_ACCEPTED in set(trials[trials.registrable].outcome)
