"""A folder with a last file: whole where that is there, whatever came between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.example_results import proposal
from tests.regengine.exchange.export.exported import export, photographed, try_export, write_store
from tests.regengine.exchange.export.stac_reader import exported_items, valid_items

# Ends the program within the write of the item of this name, or of the collection
KILLED = """
import os, signal, sys
from regengine.commands import app
from regengine.exchange.export.formats import stac
store, out, victim, *more = sys.argv[1:]
text = stac.stac_text
def dies(told):
    if told["id"] == victim:
        os.kill(os.getpid(), signal.SIGKILL)
    return text(told)
stac.stac_text = dies
app(["export", store, "--format", "stac", "--out", out, *more])
"""


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return write_store(tmp_path / "run.h5", [proposal(f"f{number}") for number in range(3)])


def killed_at(victim: str, store: Path, out: Path, *more: str) -> list[str]:
    """Names of what is there after the program was killed; hidden ones are those half written."""
    words = [sys.executable, "-c", KILLED, str(store), str(out), victim, *more]
    run = subprocess.run(words, check=False, env=dict(os.environ))
    assert run.returncode == -signal.SIGKILL
    found = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    for name in found:
        json.loads((out / name).read_text())  # whole
    return found


@pytest.mark.parametrize(("victim", "whole"), [("f2", ["f0", "f1"]), ("o", ["f0", "f1", "f2"])])
def test_without_a_collection_a_catalogue_was_interrupted(
    three: Path, tmp_path: Path, victim: str, whole: list[str]
) -> None:
    out = tmp_path / "o"
    found = killed_at(victim, three, out)
    endings = (".points.geojson", ".stac.json")
    assert found == [f"{name}{ending}" for name in whole for ending in endings]
    refused = try_export(three, "stac", out)
    assert refused.exit_code == 2
    assert "exist already: nothing was written" in refused.stderr
    assert set(exported_items(three, out, "--force")) == {"f0", "f1", "f2"}


def test_a_collection_never_stands_beside_items_that_are_half_replaced(
    three: Path, tmp_path: Path
) -> None:
    out = tmp_path / "o"
    export(three, "stac", out)
    assert "collection.json" not in killed_at("f1", three, out, "--force")
    assert set(exported_items(three, out, "--force")) == {"f0", "f1", "f2"}


def test_a_catalogue_stays_where_nothing_was_replaced_yet(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    export(three, "stac", out)
    broken = tmp_path / "broken.h5"
    broken.write_bytes(three.read_bytes()[:2000])
    assert try_export(broken, "stac", out, "--force").exit_code == 3
    assert try_export(three, "stac", out, "--force", "--where", "nonsense").exit_code == 2
    assert try_export(three, "stac", out).exit_code == 2
    assert len(valid_items(out)) == 3


def test_items_that_are_not_chosen_any_more_are_not_listed(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    export(three, "stac", out)
    chosen = exported_items(three, out, "--force", "--where", "frame = 'f1'")
    assert set(chosen) == {"f1"}
    assert (out / "f0.stac.json").is_file()  # nothing is removed that was not replaced


def test_a_collection_of_others_is_not_replaced_unasked(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    out.mkdir()
    (out / "collection.json").write_text("mine")
    refused = try_export(three, "stac", out)
    assert refused.exit_code == 2
    assert [path.name for path in out.iterdir()] == ["collection.json"]
    assert (out / "collection.json").read_text() == "mine"


def test_a_photo_is_never_taken_away(tmp_path: Path) -> None:
    out = tmp_path / "o"
    out.mkdir()
    photo = photographed(proposal(), out / "photo.jpg")
    (out / "photo.jpg").rename(out / "collection.json")
    before = (out / "collection.json").read_bytes()
    result = replace(photo, path=str(out / "collection.json"))
    store = write_store(tmp_path / "run.h5", [result])
    refused = try_export(store, "stac", out, "--force")
    assert refused.exit_code == 2
    assert "is one of the photos" in refused.stderr
    assert (out / "collection.json").read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["collection.json"]


def test_a_full_disk_leaves_no_collection(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from regengine.exchange.export.formats import stac

    def full(told: dict[str, object]) -> str:
        if told["type"] == "Collection":
            raise OSError(28, "No space left on device")
        return "{}"

    monkeypatch.setattr(stac, "stac_text", full)
    result = try_export(three, "stac", tmp_path / "o")
    assert result.exit_code == 3
    assert "No space left on device" in result.stderr
    names = {path.name for path in (tmp_path / "o").iterdir()}
    assert "collection.json" not in names
    assert not [name for name in names if name.startswith(".")]


def test_a_file_of_each_photo_and_the_collection_are_counted(three: Path, tmp_path: Path) -> None:
    said = json.loads(export(three, "stac", tmp_path / "o", "--json").stdout)
    assert (said["frames"], said["files"]) == (3, 7)
