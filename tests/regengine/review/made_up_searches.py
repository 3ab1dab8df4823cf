"""Searches that do as their rough camera's focal length says, for a process of their own."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from matchers.camera import Camera
from regengine.errors import FrameError
from regengine.result import FrameResult

FINDS, HANGS, FAILS, DIES, BREAKS = 1.0, 2.0, 3.0, 4.0, 5.0


@dataclass(frozen=True)
class MadeUpInputs:
    """In the place of `regengine.pipeline.RunInputs`: a process need not load the engine for it."""

    register: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(max_seconds=15.0))


def made_up(path: Path, rough: Camera, inputs: MadeUpInputs) -> FrameResult:
    """One of the five ends of a search."""
    if rough.focal_px == HANGS:
        time.sleep(3600.0)
    if rough.focal_px == FAILS:
        raise FrameError(f"{path.name} is no photo")
    if rough.focal_px == DIES:
        os._exit(1)
    if rough.focal_px == BREAKS:
        raise ZeroDivisionError("nothing to divide by")
    return FrameResult(
        frame="a", path=str(path), sha256="0" * 64, verdict="review", probability=0.5, reasons=()
    )
