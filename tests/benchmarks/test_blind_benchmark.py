"""The benchmark of blind placing: what it counts, what it refuses, what it draws."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.blind import main
from benchmarks.blind_figures import save_figures
from benchmarks.blind_page import groups_of, page_lines
from benchmarks.blind_real import blind_case
from benchmarks.registration_cases import Case
from regengine.frame import FrameOptions


def row(seed: int, **changes: str) -> dict[str, str]:
    plain = {
        "seed": str(seed),
        "half": "test",
        "kind": "city",
        "places": "40",
        "off_nadir_deg": "12",
        "limb_visible": "0",
        "focal_told": "exact",
        "focal_error": "0.001",
        "verdict": "accepted",
        "right": "1",
        "seconds_cpu": "2.0",
        "peak_mb": "600",
    }
    return plain | changes


ROWS = [
    row(0),
    row(1, verdict="review"),
    row(2, right="0"),
    row(3, places="9", verdict="no_match", right=""),
    row(4, off_nadir_deg="62", limb_visible="1", kind="elsewhere"),
    row(5, off_nadir_deg="45"),
    row(6, focal_told="unknown", focal_error="", verdict="no_match", right=""),
    row(7, focal_told="wrong", focal_error="0.3"),
    row(8, kind="aurora", places="0", verdict="no_match", right=""),
]


def test_frames_are_counted_by_what_is_asked_of_them() -> None:
    seeds = [[r["seed"] for r in group] for _, group, _ in groups_of(ROWS)]
    assert seeds == [["0", "1", "2"], ["4"], ["5"], ["6"], ["3"], ["8"]]


def test_the_page_tells_shares_and_what_is_wrong(tmp_path: Path) -> None:
    lines = page_lines([], ROWS, "python -m benchmarks blind", "Map.", tmp_path / "blind")
    steep = next(line for line in lines if line.startswith("| off-nadir at most 30°"))
    assert "| 3 | 33% (6% to 79%) | 80% | 2 | 1 | 2.0 |" in steep
    assert "Wrong and accepted: seeds 2." in lines
    assert any("Wrong among the accepted: 1 of 5" in line for line in lines)
    assert (tmp_path / "blind" / "places.png").stat().st_size > 10_000


def test_figures_bear_empty_bins(tmp_path: Path) -> None:
    assert save_figures(ROWS[:1], tmp_path) == ["places.png"]


def test_nothing_but_the_lens_is_told() -> None:
    options = FrameOptions(nadir=(1.0, 2.0), altitude_km=400.0, focal_mm=28.0)
    case = blind_case(Case(name="a", file="a.jpg", photo=Path("a.jpg"), options=options))
    assert case.options == FrameOptions(focal_mm=28.0)
    assert not case.any_category
    assert blind_case(Case(name="b", file="b", photo=Path("b"), category="aurora")).any_category


@pytest.mark.parametrize("extra", [[], ["--seeds", "0:3"]])
def test_what_cannot_be_started_is_told(
    tmp_path: Path, extra: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if extra:
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "index.csv").write_text("file\n")
    assert main(["--real", str(tmp_path), "--cache", str(tmp_path / "c"), *extra]) == 2
    said = capsys.readouterr().err
    assert ("no table of simulated ones" if extra else "holds no photos/index.csv") in said
    assert not (tmp_path / "c").exists()
