"""``python -m benchmarks confidence``: from tables to a calibration file and a judgement."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from confidence_cases import case_rows, evidence_row, write_rows

from benchmarks.confidence import main
from benchmarks.confidence.fit import (
    THRESHOLDS,
    evidence_of,
    probability_of,
    proposals_of,
    read_rows,
)
from benchmarks.confidence.report import statement_rows
from regengine.registration.calibration import read_calibration, shipped_calibration
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

TRAIN, TEST = case_rows(240, "train", 1), case_rows(120, "test", 2)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tables, and the calibration and figure that came of them."""
    folder = tmp_path_factory.mktemp("confidence")
    train = write_rows(folder / "train.csv", TRAIN)
    test = write_rows(folder / "test.csv", TEST)
    made = folder / "made.json"
    options = ["--write", str(made), "--plot", str(folder / "figures"), "--out", str(folder)]
    assert main([str(train), str(test), *options]) == 0
    return folder


def test_the_calibration_tells_what_it_rests_on(fitted: Path) -> None:
    made = read_calibration(fitted / "made.json")
    proposals = [row for row in TRAIN if row["right"] != ""]
    assert made.trials["cases"] == 240
    assert made.trials["proposals"] == len(proposals) == 220
    assert made.trials["right"] == sum(int(str(row["right"])) for row in proposals)
    assert "Europe" in made.trials["source"]
    assert "Asia" not in made.trials["source"]
    assert "Asia" in made.tested["source"]
    assert made.accept_probability in THRESHOLDS
    everything = made.tested["kinds"][0]
    assert 0 < everything["accepted"] <= 120
    # 120 cases vouch for no rate of 1 in 1,000
    assert made.tested["wrong_rate"] > 0.02
    assert made.steps.probability(1e9) <= 1.0 - 1.0 / (made.trials["right"] + 2)
    picture = (fitted / "figures" / "reliability.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_the_probabilities_of_other_cases_are_true(fitted: Path) -> None:
    made = read_calibration(fitted / "made.json")
    rng = np.random.default_rng(5)
    rows = [row for row in case_rows(1200, "test", 3) if row["right"] != ""]
    trials = proposals_of([{k: str(v) for k, v in r.items()} for r in rows], "test")
    assert trials is not None
    p = probability_of(trials, made.steps)
    right = np.array([row["right"] == 1 for row in rows])
    assert abs(float(p.mean()) - float(right.mean())) < 0.04
    assert p[right].mean() > 0.9
    assert p[~right].mean() < 0.25
    best = evidence_row(8.0, rng)
    sure = evidence_of({f"ev_{k}": str(v) for k, v in best.items()})
    assert made.steps.probability(sure.lead_log10_odds) > 0.95


def test_the_steps_know_nothing_of_the_test_half(fitted: Path, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other.csv", case_rows(150, "test", 4))
    again = tmp_path / "again.json"
    assert main([str(fitted / "train.csv"), str(other), "--write", str(again)]) == 0
    assert read_calibration(again).steps == read_calibration(fitted / "made.json").steps


def test_a_threshold_that_lets_wrong_ones_through_is_not_written(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = [row | {"right": 1 - int(str(row["right"]))} for row in TEST if row["right"] != ""]
    table = write_rows(tmp_path / "turned.csv", turned)
    again = tmp_path / "again.json"
    assert main([str(fitted / "train.csv"), str(table), "--write", str(again)]) == 2
    assert "draw more cases" in capsys.readouterr().err
    assert not again.exists()


def test_it_prints_the_steps_the_test_and_what_other_thresholds_do(fitted: Path) -> None:
    (page,) = fitted.glob("confidence-*.md")
    printed = page.read_text(encoding="utf-8")
    for part in (
        *("## The acceptance threshold", "## Training half, left out in turn", "## Test half"),
        *("2,995 accepted trials", "Expected calibration error", "Brier", "ROC", "95 % bound"),
        *("| nothing told |", "| beyond 45° |", "as the threshold moves"),
    ):
        assert part in printed


def test_without_training_rows_the_package_is_judged(
    fitted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(fitted / "test.csv")]) == 0
    printed = capsys.readouterr().out
    assert "calibration of the package is judged" in printed
    assert f"Accepted from {shipped_calibration().accept_probability:g} on" in printed


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        pytest.param([{"a": 1}], [], "no table of cases", id="another table"),
        pytest.param([TRAIN[0] | {"right": "maybe"}], [], "neither yes nor no", id="maybe"),
        pytest.param(
            [{k: v for k, v in TRAIN[0].items() if k != "ev_ncc"}], [], "ev_ncc", id="a gap"
        ),
        pytest.param([TRAIN[0] | {"ev_picture_log10_odds": ""}], [], "no odds", id="no odds"),
        pytest.param(TRAIN, ["--target", "0.5"], "--target", id="no target"),
        pytest.param(TEST, ["--write", "x.json"], "both halves", id="nothing to fit"),
        pytest.param(TRAIN, ["--write", "x.json"], "both halves", id="nothing to test"),
    ],
)
def test_what_cannot_be_done_is_said(
    rows: list[dict[str, object]],
    options: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = write_rows(tmp_path / "table.csv", rows)
    assert main([str(table), *options]) == 2
    assert says in capsys.readouterr().err


def test_a_figure_that_cannot_be_drawn_is_told_before_the_calibration_is_written(
    fitted: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    tables, made = [str(fitted / f"{half}.csv") for half in ("train", "test")], tmp_path / "m.json"
    assert main([*tables, "--write", str(made), "--plot", str(tmp_path / "figures")]) == 2
    assert "--plot needs matplotlib, which is not installed" in capsys.readouterr().err
    assert not made.exists()


def test_of_a_case_that_comes_twice_the_last_counts(tmp_path: Path) -> None:
    first = write_rows(tmp_path / "a.csv", [TRAIN[0] | {"right": 0}, TRAIN[1]])
    second = write_rows(tmp_path / "b.csv", [TRAIN[0] | {"right": 1}])
    found = proposals_of(read_rows([first, second]), "train")
    assert found is not None
    assert len(found) == found.cases == 2
    assert found.right[0]


def test_truth_may_be_spelled_as_python_does(tmp_path: Path) -> None:
    rows = [TRAIN[0] | {"right": True}, TRAIN[1] | {"right": False}]
    found = proposals_of(read_rows([write_rows(tmp_path / "a.csv", rows)]), "train")
    assert found is not None
    assert found.right.tolist() == [True, False]


def test_a_bent_fit_of_the_right_place_teaches_the_steps_that_the_place_was_right(
    tmp_path: Path,
) -> None:
    off_percent = [("1", ""), ("0", 4.9), ("0", 5.1), ("0", "")]
    rows = [
        row | {"right": right, "grid_median_percent": off}
        for row, (right, off) in zip(TRAIN, off_percent, strict=False)
    ]
    found = proposals_of(read_rows([write_rows(tmp_path / "a.csv", rows)]), "train")
    assert found is not None
    assert found.right.tolist() == [True, False, False, False]
    assert found.placed.tolist() == [True, True, False, False]


def test_doubts_are_the_reasons_that_keep_a_sure_proposal_back(tmp_path: Path) -> None:
    reasons = ["", "low_probability|clock_suspect", "few_lights", "low_margin|imprecise"]
    rows = [row | {"reasons": text} for row, text in zip(TRAIN, reasons, strict=False)]
    found = proposals_of(read_rows([write_rows(tmp_path / "a.csv", rows)]), "train")
    assert found is not None
    assert found.doubted.tolist() == [False, False, False, True]


def test_doubted_cases_are_fitted_but_not_counted_as_accepted(fitted: Path, tmp_path: Path) -> None:
    rows = [row | {"reasons": "imprecise" if k % 2 else ""} for k, row in enumerate(TRAIN + TEST)]
    made = tmp_path / "made.json"
    assert main([str(write_rows(tmp_path / "a.csv", rows)), "--write", str(made)]) == 0
    half, whole = read_calibration(made), read_calibration(fitted / "made.json")
    assert half.steps == whole.steps
    counts = [one.tested["kinds"][0]["accepted"] for one in (half, whole)]
    assert 0.35 * counts[1] < counts[0] < 0.65 * counts[1]


def test_what_is_told_and_how_steeply_a_photo_looks_make_kinds(tmp_path: Path) -> None:
    kinds = [{"told": "nothing", "off_nadir_deg": 60}, {"told": "all", "off_nadir_deg": 45}, {}]
    rows = [
        row | {"told": "", "off_nadir_deg": ""} | kind
        for row, kind in zip(TRAIN, kinds, strict=False)
    ]
    found = proposals_of(read_rows([write_rows(tmp_path / "a.csv", rows)]), "train")
    assert found is not None
    assert [of_kind.tolist() for of_kind in found.kinds.values()] == [
        [False, True, True],
        [True, False, False],
        [False, True, False],
        [True, False, False],
    ]


def test_cases_of_a_region_stay_together(tmp_path: Path) -> None:
    places = [(1.0, 46.0), (14.0, 59.0), (16.0, 46.0), (1.0, 44.0), (-1.0, 46.0)]
    rows = [row | {"lon": lon, "lat": lat} for row, (lon, lat) in zip(TRAIN, places, strict=False)]
    found = proposals_of(read_rows([write_rows(tmp_path / "a.csv", rows)]), "train")
    assert found is not None
    assert found.blocks[0] == found.blocks[1]
    assert len(set(found.blocks.tolist())) == 4


PAGE = ROOT / "docs" / "methods" / "probability.md"


def test_the_page_tells_what_the_data_file_says() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = dict(re.findall(r"^\| ([^|`]+) \| ([\d., %]+) \|$", text, re.M))
    said = dict(statement_rows(shipped_calibration()))
    assert told == said


def test_a_missing_table_is_said_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["/no/such/table.csv"]) == 2
    assert "table.csv" in capsys.readouterr().err


def test_without_places_neighbouring_seeds_stay_together(tmp_path: Path) -> None:
    rows = [row | {"seed": k, "lon": "", "lat": ""} for k, row in enumerate(TRAIN[:11])]
    found = proposals_of(read_rows([write_rows(tmp_path / "a.csv", rows)]), "train")
    assert found is not None
    assert np.bincount(found.blocks).tolist() == [10, 1]
