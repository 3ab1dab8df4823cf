"""How much of a drawn list is placed: the list, the table, and what is said of a wrong list."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from benchmarks import __main__ as launcher
from regengine.store.read import iter_frames
from tests.conftest import ROOT
from tests.kit.exports import decide, engine_points, work
from tests.kit.samples import PROPOSALS, sample_store

IDS = ROOT / "benchmarks" / "yield_ids.txt"


def test_the_list_is_drawn_by_numbers_alone_and_equal_with_an_equal_seed(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    names = [f"ISS030-E-{number}" for number in range(1000)]
    drawn = []
    for order in (names, names[::-1] + names[:50]):
        table.write_text("\n".join(["frame_id,place", *(f"{name},x" for name in order)]) + "\n")
        out = str(tmp_path / "ids.txt")
        assert launcher.main(["yield", out, "--draw", "40", str(table), "--seed", "5"]) == 0
        drawn.append(Path(out).read_text().split())
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) == 40
    assert len(set(importlib.import_module("benchmarks.yield").read_ids(IDS))) == 200


def test_the_table_tells_what_became_of_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = sample_store(tmp_path / "f")
    ids = tmp_path / "ids.txt"
    lines = [*(f"ISS990-E-{number}" for number in range(101, 107)), "ISS990-E-7"]
    ids.write_text("\n".join(lines) + "\n")
    for frame in iter_frames(store):
        if frame.result.frame == "ISS990-E-000104":  # left to review by the engine
            assert frame.result.solved is not None
            done = work(frame.result.solved.camera, engine_points(frame.result))
            decide(store, frame.frame_index, frame.result, "accepted", done, "eva")
    words = ["yield", str(ids), str(tmp_path / "f"), "--table-only", "--out", str(tmp_path / "o")]
    assert launcher.main(words) == 0
    said = capsys.readouterr().out
    assert "Drawn 7, in the store 6, missing 1 " in said
    (row,) = [line for line in said.splitlines() if line.startswith("| all ")]
    cells = [cell.strip().partition(" ")[0] for cell in row.strip("|").split("|")[1:]]
    verdicts = [one.verdict for one in PROPOSALS.values()]
    assert cells == [
        "6",
        str(verdicts.count("accepted")),
        "0",
        "1",
        str(verdicts.count("review") - 1),
        str(verdicts.count("no_match")),
        "0",
    ]
    assert "| 1 (17 %, 3 to 56) |" in row
    assert "991 (82 %, 80 to 84) of 1,210" in said
    (page,) = (tmp_path / "o").iterdir()
    assert page.read_text() == said


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "names no photo"), ("ISS030-E-7\nnight.jpg\n", "'night.jpg' is no archive id")],
)
def test_a_wrong_list_is_told(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ids.txt").write_text(text)
    assert launcher.main(["yield", str(tmp_path / "ids.txt"), str(tmp_path)]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.real
def test_the_committed_list_is_that_of_its_recipe(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "orbit" / "iss_night_photos_jsc.csv"
    out = tmp_path / "ids.txt"
    assert launcher.main(["yield", str(out), "--draw", "200", str(source)]) == 0
    assert out.read_text() == IDS.read_text()
