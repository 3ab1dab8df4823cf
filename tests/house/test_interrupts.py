"""Ctrl-C while the program still begins ends it as at any later time: without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SAMPLES = ROOT / "data_samples"
# Interrupted when a module is first asked for
SCRIPT = """
import os, runpy, signal, sys

wanted, entry, *arguments = sys.argv[1:]

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == wanted and sys.meta_path[0] is self:
            del sys.meta_path[0]
            os.kill(os.getpid(), signal.SIGINT)

# Tests that run in the background have it ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
sys.argv = [entry, *arguments]
runpy.run_path(entry, run_name="__main__")
"""


@pytest.mark.parametrize("entry", ["cli.py", "regengine/__main__.py"])
@pytest.mark.parametrize(
    "module",
    ["regengine.commands", "typer", "regengine.settings", "regengine.api", "numpy"],
)
def test_an_interrupt_while_modules_are_imported_leaves_no_traceback(
    tmp_path: Path, module: str, entry: str
) -> None:
    arguments = ["register", str(SAMPLES / "ISS990-E-000102.jpg"), "--workers", "0"]
    arguments += ["--lights", str(SAMPLES / "lights.tif"), "--tle", str(SAMPLES / "tle.txt")]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, module, str(ROOT / entry), *arguments],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (130, -signal.SIGINT), done.stderr  # a shell tells both as 130
    assert "Traceback" not in done.stderr
    assert "Aborted" not in done.stderr
    assert not list(tmp_path.iterdir())
