"""`regengine report` from the command line."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from regengine.store.rows import StoredFrame
from regengine.store.writer import StoreWriter
from tests.command_line import invoke
from tests.example_results import nothing_found, proposal
from tests.regengine.exchange.export.exported import write_store


def write(path: Path) -> Path:
    return write_store(path, [proposal("p0"), nothing_found("n1"), proposal("p2")])


report = partial(invoke, "report")


def test_it_writes_one_page(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    result = report(write(tmp_path / "run.h5"), "--out", out)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "3 photos, 3 listed" in result.stderr
    assert out.read_text().startswith("<!doctype html>")


def test_without_options_the_page_lies_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert report(write(tmp_path / "run.h5"), "--quiet").stderr == ""
    assert (tmp_path / "report.html").is_file()


def test_json_is_one_object_and_writes_nothing(tmp_path: Path) -> None:
    store = write(tmp_path / "run.h5")
    result = report(store, "--json")
    figures = json.loads(result.stdout)
    assert result.stdout.count("\n") == 1
    assert figures["verdicts"] == {"accepted": 2, "review": 0, "no_match": 1, "failed": 0}
    assert figures["photos"] == 3
    assert figures["run"]["unmerged_parts"] == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["run.h5"]


def test_the_keys_of_the_figures_are_documented(tmp_path: Path) -> None:
    figures = json.loads(report(write(tmp_path / "run.h5"), "--json").stdout)
    docs = Path(__file__).parents[3] / "docs" / "commands" / "report.md"
    text = docs.read_text(encoding="utf-8")
    keys = [*figures, *figures["run"], *figures["times"], *figures["origins"]]
    keys += figures["clocks"]["rows"][0].keys() | figures["lenses"]["rows"][0].keys()
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_a_run_under_way_can_be_reported_on(tmp_path: Path) -> None:
    store = tmp_path / "run.h5"
    with StoreWriter(store) as writer:
        writer.add(StoredFrame(frame_index=0, result=proposal()))
        writer.flush()
        figures = json.loads(report(store, "--json").stdout)
    assert figures["photos"] == 1
    assert figures["run"]["unmerged_parts"] == 1


@pytest.mark.parametrize("out", ["-", "run.h5", "photo.jpg", "nowhere/report.html", "folder.html"])
def test_what_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    before = write(tmp_path / "run.h5").read_bytes()
    result = report("run.h5", "--out", out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"Error: --out {out}")
    assert result.stderr.count("\n") == 1
    assert (tmp_path / "run.h5").read_bytes() == before


def test_overlays_that_are_not_there(tmp_path: Path) -> None:
    store = write(tmp_path / "run.h5")
    out = tmp_path / "r.html"
    missing = report(store, "--out", out, "--overlays", tmp_path / "no")
    assert missing.exit_code == 2
    assert "is no folder" in missing.stderr
    assert not out.exists()


def test_overlays_are_linked(tmp_path: Path) -> None:
    store, folder, out = write(tmp_path / "run.h5"), tmp_path / "o", tmp_path / "r.html"
    folder.mkdir()
    (folder / "p0.overlay.png").touch()
    assert report(store, "--out", out, "--overlays", folder).exit_code == 0
    assert '"overlay":"o/p0.overlay.png"' in out.read_text()
