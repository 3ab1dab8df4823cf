"""`python -m benchmarks NAME`: its help, and what it says of a package that is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest

from benchmarks import __main__ as launcher
from tests.conftest import ROOT

# Asks each benchmark for help where nothing but the core is installed
CORE_ALONE = """
import contextlib, io, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

ABSENT = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Absent())
from benchmarks import __main__ as launcher
for name in launcher.available():
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
        try:
            code = launcher.main([name, "--help"])
        except SystemExit as exit:
            code = exit.code or 0
    print(name, code, said.getvalue().strip(), sep="|")
"""


def optional_packages() -> set[str]:
    """Modules that only extras bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [one for names in project["optional-dependencies"].values() for one in names]
    words = {re.split(r"[^\w-]", one)[0].replace("-", "_") for one in named}
    return words - {"regengine"}


@pytest.mark.slow
def test_every_benchmark_says_in_a_sentence_what_to_install() -> None:
    absent = ",".join(sorted(optional_packages()))
    done = subprocess.run(
        [sys.executable, "-c", CORE_ALONE, absent], cwd=ROOT, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = dict(line.split("|", 1) for line in done.stdout.splitlines())
    assert set(told) == set(launcher.available())
    wanting = {name: text for name, text in told.items() if not text.startswith("0|")}
    assert "confidence" in wanting
    for name, text in wanting.items():
        assert re.fullmatch(
            rf"2\|Error: The benchmark {name} needs \w+, which is not installed: pip install .*\.",
            text,
        ), text


@pytest.mark.parametrize("name", sorted(launcher.available()))
def test_every_benchmark_tells_its_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert launcher.main([name, "--help"]) == 0
    assert "--help" in capsys.readouterr().out


def test_a_package_that_is_missed_on_the_way_is_told_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(name: str, words: list[str]) -> int:
        raise ModuleNotFoundError("No module named 'pandas'", name="pandas")

    monkeypatch.setattr(launcher, "run", fail)
    assert launcher.main(["scenes"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "Error: The benchmark scenes needs pandas, which is not installed: "
        "pip install 'regengine[gis]'.\n"
    )


def test_a_fault_of_our_own_is_no_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str, words: list[str]) -> int:
        raise ImportError("cannot import name 'x'", name="benchmarks.scenes")

    monkeypatch.setattr(launcher, "run", fail)
    with pytest.raises(ImportError, match="cannot import name"):
        launcher.main(["scenes"])
