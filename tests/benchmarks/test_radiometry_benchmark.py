"""The table of the radiometry benchmark, out of outcomes that are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import radiometry
from benchmarks.radiometry import Outcome, SceneWish


def test_the_table_has_a_line_for_each_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trial(wish: SceneWish) -> tuple[Outcome, float]:
        ratio = {100: 0.9, 101: 1.0, 102: 1.3}[wish.seed]
        return (
            Outcome(
                gain_ratio=ratio,
                gain_sigma_ratio=0.1,
                exponent=1.0,
                scatter=0.2,
                r_squared=0.9,
                planted=2 * wish.changes,
                found=wish.changes,
                false=1,
            ),
            0.5,
        )

    monkeypatch.setattr(radiometry, "_trial", trial)
    assert radiometry.main(["--seeds", "3", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(radiometry.CASES)
    assert rows[2].endswith("| 1.000 (1.30) | 0.100 | 67% | 1.00 | 0.90 | 9 of 18 | 3 |")
    assert [line.split("|")[7].strip() for line in rows[2:]].count("–") == 1
    (page,) = tmp_path.iterdir()
    assert page.read_text(encoding="utf-8").strip() == printed.strip()
