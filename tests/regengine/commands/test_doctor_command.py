"""`regengine doctor`: what is there, what is not, and what to do about it."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest

from tests.command_line import invoke
from tests.conftest import ROOT

SAMPLES = ROOT / "data_samples"


def doctor() -> tuple[int, dict[str, dict[str, object]]]:
    said = invoke("doctor", "--json")
    return said.exit_code, {one["what"]: one for one in json.loads(said.stdout)}


def test_without_a_map_it_says_the_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path / "none"))
    code, found = doctor()
    assert code == 1
    assert [name for name, one in found.items() if not one["ok"]] == ["map"]
    assert "regengine lights get" in str(found["map"]["mend"])
    assert "regengine tle add FILE" in str(found["element sets"]["mend"])
    assert str(tmp_path) in str(found["free disk"]["found"])
    assert not (tmp_path / "none").exists()


def test_what_is_there_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGENGINE_DATA", str(tmp_path))
    for kind, name in (("lights", "lights.tif"), ("tle", "tle.txt")):
        (tmp_path / kind).mkdir()
        shutil.copy(SAMPLES / name, tmp_path / kind)
    code, found = doctor()
    assert code == 0
    assert str(tmp_path / "lights" / "lights.tif") in str(found["map"]["found"])
    assert found["index"]["mend"].startswith("regengine lights index ")  # type: ignore[attr-defined]
    assert "2014-01-16 to " in str(found["element sets"]["found"])
    lines = invoke("doctor").stdout.splitlines()
    assert [line.split()[0] for line in lines if " index " in line] == ["--"]
    (tmp_path / "lights" / "lights.tif.idx").write_text("damaged")
    code, found = doctor()
    assert code == 1
    assert "make it anew with regengine lights index" in str(found["index"]["mend"])


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    version = metadata.version

    def without(name: str) -> str:
        if name == "sgp4":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    code, found = doctor()
    assert code == 1
    assert found["libraries"]["mend"] == "pip install sgp4"
