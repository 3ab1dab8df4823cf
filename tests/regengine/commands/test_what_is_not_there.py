"""Inputs that are not there, or something else: every command says so in a sentence, with 3."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import invoke
from tests.conftest import ROOT

LIGHTS = str(ROOT / "data_samples" / "lights.tif")
OF_STORES = (
    ("show",),
    ("verify",),
    ("report", "--json"),
    ("review", "--no-browser"),
    ("export", "--format", "csv", "--out", "out.csv"),
    ("radiometry", "--lights", LIGHTS, "--out", "out"),
    ("merge", "--into", "out.h5"),
)
OF_FILES = (("tle", "info"), ("lights", "info"), ("lights", "build", "--out", "out.tif"))
OF_PHOTOS = (
    ("register", "--lights", LIGHTS),
    ("classify",),
    ("detect", "lights"),
    ("solve",),
    ("lens", "fit", "--out", "out.toml"),
)


@pytest.mark.parametrize("command", [*OF_STORES, *OF_FILES, *OF_PHOTOS], ids=" ".join)
def test_what_is_missing_or_no_such_file_is_one_sentence(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (None, "text"):
        if content is not None and command in OF_PHOTOS:
            break  # one that cannot be read costs itself alone
        if content is not None:
            Path("given.h5").write_text(content)
        result = invoke(*command, "given.h5")
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr.startswith("Error: ")
        assert "given.h5" in result.stderr
        assert result.stderr.count("\n") == 1
        assert not list(tmp_path.glob("out*"))
