"""Stand-ins for the registration that hurt their worker, as often as a file beside says."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from regengine.result import FrameResult
from tests.example_results import fake_process


def attempts(path: Path) -> int:
    """How often a photo has been tried, this time included."""
    counter = path.with_suffix(".tries")
    number = 1 + (int(counter.read_text()) if counter.exists() else 0)
    counter.write_text(str(number))
    return number


def process(path: Path) -> FrameResult:
    """``dies_N``: its first N attempts kill the worker."""
    number = attempts(path)
    if path.stem.startswith("dies_") and number <= int(path.stem.split("_")[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    return fake_process(path)


def die_at_every_start() -> None:
    """Kills a process that prepares itself to be a worker."""
    os.kill(os.getpid(), signal.SIGKILL)
