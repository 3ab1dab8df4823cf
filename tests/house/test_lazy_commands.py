"""Commands are loaded when they are called."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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


SCRIPT = f"""
import sys
from regengine.commands import RegengineGroup, run
from regengine.commands.lazy import load_command

def tell(what):
    print(what, [name for name in {HEAVY} if sys.modules.pop(name, None)])

sys.argv = ["regengine", "--help"]
try:
    run()
except SystemExit:
    print()
tell("help")
for name in RegengineGroup.summaries:
    load_command(name)
    tell(name)
"""


def test_neither_help_nor_the_modules_of_commands_import_anything_heavy() -> None:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told = result.stdout.rpartition("\n\n")[2].splitlines()
    assert len(told) > 20
    assert [line for line in told if not line.endswith(" []")] == []


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
