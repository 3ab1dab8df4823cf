"""Commands are loaded when they are called, and each help has an example."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from regengine.commands import RegengineGroup
from regengine.commands.lazy import leaves, load_command

ROOT = Path(__file__).resolve().parents[2]
HEAVY = (
    "numpy",
    "numba",
    "cv2",
    "astropy",
    "rasterio",
    "scipy",
    "sklearn",
    "skimage",
    "h5py",
    "pyproj",
)


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom regengine.commands import run\n"
        "sys.argv = ['regengine', '--help']\n"
        "try:\n    run()\n"
        "finally:\n"
        f"    print('heavy:', [name for name in {HEAVY} if name in sys.modules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("heavy: []\n")


def test_command_modules_import_nothing_heavy() -> None:
    script = (
        "import sys\nfrom regengine.commands.lazy import load_command\n"
        f"for name in {sorted(RegengineGroup.summaries)}:\n"
        "    load_command(name)\n"
        f"    heavy = [module for module in {HEAVY} if sys.modules.pop(module, None)]\n"
        "    if heavy:\n"
        "        print(name, heavy)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout == ""


@pytest.mark.parametrize("name", sorted(RegengineGroup.summaries))
def test_the_help_of_every_command_has_an_example(name: str) -> None:
    for path in leaves(load_command(name)):
        command = path[-1]
        text = f"{command.help or ''} {command.epilog or ''}"
        words = " ".join(["regengine", *(str(step.name) for step in path)])
        assert "Example" in text, words
        assert words in text


def test_the_launcher_is_the_same_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cli.py", "--version"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "cli.py"), run_name="__main__")
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("regengine ")
