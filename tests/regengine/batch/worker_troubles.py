"""Stand-ins for the registration that hurt their worker, as often as a file beside says."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from threading import Timer

from regengine.result import FrameResult, Reason
from tests.example_results import proposal


def attempts(path: Path) -> int:
    """How often a photo has been tried, this time included."""
    counter = path.with_suffix(".tries")
    number = 1 + (int(counter.read_text()) if counter.exists() else 0)
    counter.write_text(str(number))
    return number


LARGE = 50_000_000  # characters of a result that is killed on its way


def process(path: Path) -> FrameResult:
    """``dies_N``: its first N attempts kill the worker; ``sends_MS``: the first does on its way."""
    number = attempts(path)
    if path.stem.startswith("sends_") and number == 1:
        delay_s = 1e-3 * int(path.stem.split("_")[1])
        Timer(delay_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return replace(_accepted(path), reasons=(Reason(code="large", text="x" * LARGE),))
    if path.stem.startswith("dies_") and number <= int(path.stem.split("_")[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    if path.stem == "unheard_of":  # a number that the store has no room for
        return replace(_accepted(path), width_px=1 << 70)
    if path.stem == "slow":
        time.sleep(600.0)
    return _accepted(path)


def _accepted(path: Path) -> FrameResult:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return replace(proposal(path.stem), path=str(path), sha256=sha256)


def die_at_every_start() -> None:
    """Kills a process that prepares itself to be a worker."""
    os.kill(os.getpid(), signal.SIGKILL)
