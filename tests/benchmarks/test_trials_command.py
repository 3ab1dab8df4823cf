"""``--simulated``: options that do not fit, reports of tables, pictures, the smoke run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PIL import Image
from trial_rows import made_row, unmatched

from benchmarks import registration
from benchmarks import trials as sim_command
from benchmarks.row_tables import RowTable, read_rows
from benchmarks.trials import drawn_columns, seeds_of
from benchmarks.trials.draw import WITH_LIGHTS
from benchmarks.trials.exposures import KINDS
from benchmarks.trials.outcomes import RIGHT_ACCEPTED, WRONG_ACCEPTED, outcome_of, registrable
from benchmarks.trials.run import TrialSettings, draw_only, prepare, wanted_seeds, workshop
from regengine.errors import ConfigError

pytestmark = pytest.mark.slow


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "cases.csv"
    rows = RowTable(path)
    for row in (made_row(0), unmatched(1), made_row(2, half="train")):
        rows.append(row)
    return path


@pytest.fixture(scope="module")
def map_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("world")


@pytest.fixture
def one_map(map_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The self-made world's map is built by the first test that asks, a matter of ten seconds."""
    build = sim_command.built_map

    def built_once(settings: TrialSettings, folder: Path) -> Path:
        path = map_folder / "lights.tif"
        return path if path.is_file() else build(settings, map_folder)

    monkeypatch.setattr(sim_command, "built_map", built_once)


def test_seed_ranges() -> None:
    assert seeds_of("3:7") == range(3, 7)
    assert seeds_of("") == range(0)
    for text in ("7", "a:b", "1:2:3"):
        with pytest.raises(ConfigError, match="FIRST:LAST"):
            seeds_of(text)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "--table"),
        (["--table", "t.csv", "--real", "somewhere"], "--lights"),
        (["--table", "t.csv", "--seeds", "few"], "FIRST:LAST"),
        (["--table", "t.csv", "--lights", "none.tif", "--seeds", "0:1"], "none.tif"),
        (["--table", "t.csv", "--overlays", "o", "--only-seeds", "x"], "--only-seeds 3,17"),
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
    assert said.out == ""


def test_whatever_was_drawn_becomes_a_factor() -> None:
    row = {"seed": "1", "places": "9", "dust": "0.5", "lon": "3", "seconds_draw": "1"}
    assert drawn_columns([row | {"verdict": "review", "right": "1"}]) == ("dust",)
    assert drawn_columns([]) == ()


def test_another_programs_table_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.csv"
    path.write_text("seed,ncc\n1,0.5\n")
    assert registration.main(["--simulated", "--report-only", "--table", str(path)]) == 2
    assert "no table of trials" in capsys.readouterr().err


def test_a_report_of_a_table(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results"
    options = ["--simulated", "--report-only", "--table", str(table), "--out", str(out)]
    assert registration.main(options) == 0
    said = capsys.readouterr().out
    assert "2 trials, 2 of them registrable" in said
    assert str(tmp_path) not in said
    assert "VIIRS 2023 (product B); test half; map: map-a.tif; its index: map-a.tif.idx; " in said
    assert "budget of a search, s of work: 15; run at commit: abc." in said
    page = next(out.glob("registration-simulated-*.md"))
    text, picture = page.read_text(encoding="utf-8"), page.with_suffix(".png")
    assert "2 trials, 2 of them registrable" in text
    assert f"]({picture.name})" in text
    with Image.open(picture) as image:
        assert min(image.size) > 300


def test_a_picture_that_cannot_be_drawn_is_told_before_trials_are_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    path, out = tmp_path / "cases.csv", tmp_path / "results"
    options = ["--simulated", "--smoke", "--table", str(path), "--out", str(out)]
    assert registration.main(options) == 2
    said = capsys.readouterr()
    assert "--out needs matplotlib, which is not installed: pip install" in said.err
    assert not path.exists()
    assert not out.exists()


def test_a_table_is_continued_as_it_was_begun(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--simulated", "--report-only", "--table", str(table), "--told", "nothing"]
    assert registration.main(options) == 2
    assert "told otherwise: say --told as then, or another --table" in capsys.readouterr().err


def test_frames_and_kinds_are_those_that_are_drawn() -> None:
    """What is told of a trial before it is drawn is what its row says."""
    settings = TrialSettings()
    prepare(settings)
    rows = [draw_only(seed) for seed in range(7)]
    lit = [r for r in rows if r["kind"] in WITH_LIGHTS]
    expected = {
        "all": rows,
        "steep": [r for r in lit if r["off_nadir_deg"] <= 30.0],
        "limb": [r for r in lit if r["limb_visible"]],
        "unknown": [r for r in lit if r["focal_told"] == "unknown"],
    }
    for frames, there in expected.items():
        found = wanted_seeds(range(7), KINDS, frames, workshop())
        assert found == [r["seed"] for r in there]
    for kinds in (["city"], ["dark", "elsewhere"]):
        there = [r["seed"] for r in rows if r["kind"] in kinds]
        assert wanted_seeds(range(7), kinds, "all", workshop()) == there
    assert expected["steep"]
    assert expected["limb"]


@pytest.mark.usefixtures("one_map")
def test_pictures_of_single_trials(table: Path, tmp_path: Path) -> None:
    folder = tmp_path / "overlays"
    options = ["--simulated", "--table", str(table), "--overlays", str(folder)]
    assert registration.main([*options, "--only-seeds", "12", "--max-work", "2"]) == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["trial-test-000012.overlay.png", "trial-test-000012.truth.png"]
    for name in names:
        with Image.open(folder / name) as image:
            assert min(image.size) > 300


@pytest.mark.usefixtures("one_map")
def test_smoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of the two photos one shows too little to be registered
    monkeypatch.setattr(sim_command, "SMOKE_SEEDS", (5, 7))
    path = tmp_path / "smoke.csv"
    assert registration.main(["--simulated", "--smoke", "--table", str(path)]) == 0
    rows = read_rows([path])
    first, last = sim_command.SMOKE_SEEDS
    assert sorted(int(row["seed"]) for row in rows) == list(range(first, last))
    assert [row["problem"] for row in rows if row["problem"]] == []
    assert {(row["told"], row["index"], row["budget_s"]) for row in rows} == {
        ("all", "made in memory", str(sim_command.SMOKE_WORK))
    }
    kinds = [outcome_of(row) for row in rows]
    assert WRONG_ACCEPTED not in kinds
    assert RIGHT_ACCEPTED in [outcome_of(row) for row in registrable(rows)]
