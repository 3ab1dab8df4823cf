"""Commands are loaded when they are called."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from regengine.commands import RegengineGroup

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


def test_results_are_printed_by_the_console_alone() -> None:
    """Within a command `sys.stdout` is standard error: `print_data` and `say` print results."""
    printing = re.compile(
        r"typer\.echo\((?![^()]*(\([^()]*\)[^()]*)*err=True)|(?<!\w)print\(|sys\.stdout"
    )
    allowed = {"__init__.py", "lazy.py"}  # what happens outside of commands
    told = [
        f"{path.name}: {match.group()}"
        for path in sorted((ROOT / "regengine" / "commands").glob("*.py"))
        if path.name not in allowed
        for match in printing.finditer(path.read_text(encoding="utf-8"))
    ]
    assert told == []


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
