"""Readers that do what no reader may."""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path

import numpy as np

from regengine.errors import FrameError


def crash(path: Path) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(path: Path) -> None:
    while True:
        pass


def bloat(path: Path) -> None:
    np.ones(2_000_000_000, np.uint8)


def foreign(path: Path) -> None:
    raise KeyError("x")


def warn(path: Path) -> None:
    warnings.warn("mind", RuntimeWarning, stacklevel=1)


def chatter(path: Path) -> None:
    os.write(2, b"libnoise: oh\n")


def unclear(path: Path) -> None:
    raise FrameError("no")


def refuse(path: Path) -> None:
    raise FrameError(f"{path} is damaged; get it again")


def fine(path: Path) -> None: ...
