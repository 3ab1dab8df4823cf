"""Stand-ins for the registration that hurt their worker, as often as a file beside says."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from regengine.result import FrameResult
from tests.example_results import fake_process


def attempts(path: Path) -> int:
    """How often a photo has been tried, this time included."""
    counter = path.with_suffix(".tries")
    number = 1 + (int(counter.read_text()) if counter.exists() else 0)
    counter.write_text(str(number))
    return number


def process(path: Path) -> FrameResult:
    """``dies_N``: its first N attempts kill the worker; ``greedy``: 2 GiB; ``pause``: a second."""
    number = attempts(path)
    if path.stem.startswith("dies_") and number <= int(path.stem.split("_")[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    if path.stem == "greedy":
        np.ones(1 << 28)  # 2 GiB
    return fake_process(path)


def timed(path: Path) -> tuple[float, float]:
    """When a moment's work began and ended, by the clock of the machine; ``long`` takes longer."""
    begun_s = time.monotonic()
    time.sleep(6.0 if path.stem == "long" else 0.2)
    process(path)
    return begun_s, time.monotonic()


def die_at_every_start() -> None:
    """Kills a process that prepares itself to be a worker."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_the_first_start(marker: Path) -> None:
    """Kills the first process that prepares itself to be a worker."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
