"""`python -m benchmarks streaks`: who finds what is told right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import streaks
from benchmarks.simulate.streaks import StreakFrame, StreakFrameSettings, streak_frame
from benchmarks.streaks import (
    condition_table,
    curves,
    ends_table,
    ideal_recall,
    look_elsewhere_sigma,
    main_table,
    matched_table,
    run_method,
)


@pytest.fixture(scope="module")
def frames() -> list[StreakFrame]:
    return [streak_frame(seed, StreakFrameSettings(width_px=256, height_px=256)) for seed in (1, 2)]


def test_the_tables_tell_methods_apart(frames: list[StreakFrame]) -> None:
    results = {
        "good": run_method(curves, frames),
        "bad": run_method(lambda frame: np.array([[0.0, 250.0, 40.0, 250.0, 0.0]]), frames),
    }
    rows = main_table(results, 256.0**2)[2:]
    good, bad, ideal = ([cell.strip() for cell in line.split("|")] for line in rows)
    assert good[4] == "1.00"
    assert bad[4] == "0.00"
    assert good[-6] == "0.00"
    assert ideal[3] == good[3]
    assert all(0.0 <= float(cell) <= 1.0 for cell in ideal[5:12] if cell not in ("", "–"))
    assert "1.00 of" in "\n".join(matched_table(results, 256.0**2))
    assert "| 0.00 of 2 |" in "\n".join(condition_table({"good": results["good"]})) or all(
        "0.00 of" in cell or "of 0" in cell
        for cell in condition_table({"good": results["good"]})[2].split("|")[2:-1]
    )
    assert all("–" in cell for cell in ends_table({"bad": results["bad"]})[2].split("|")[2:-1])


def test_the_ideal_filter_s_threshold_follows_from_chance() -> None:
    sigma = look_elsewhere_sigma(1024.0**2)
    assert 5.5 < sigma < 7.0
    assert look_elsewhere_sigma(12e6) > sigma
    assert ideal_recall(np.array([sigma, 20.0]), 1024.0**2) == pytest.approx([0.5, 1.0])


def test_an_unknown_method_is_said_and_stops(capsys: pytest.CaptureFixture[str]) -> None:
    assert streaks.main(["--methods", "none"]) == 2
    assert "no method is called 'none'" in capsys.readouterr().err


def test_the_command_writes_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--frames", "1", "--methods", "radon", "--generator", "open"]
    assert streaks.main([*arguments, "--out", str(tmp_path)]) == 0
    page = next(tmp_path.glob("streaks-*.md")).read_text("utf-8")
    assert "| radon | 1 |" in page
    assert str(tmp_path) not in page
