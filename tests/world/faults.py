"""Programs that are hit at a chosen moment: by a signal, or by a disk that refuses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Seconds run a thousand times as fast, so that each result is brought to the disk by itself
PROGRAM = """
import os, runpy, signal, sys, time

kind, name, moment = sys.argv.pop(1), sys.argv.pop(1), int(sys.argv.pop(1))
real, clock, calls = getattr(os, name), time.monotonic, 0


def counted(*arguments, **named):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), getattr(signal, kind))
    return real(*arguments, **named)


setattr(os, name, counted)
time.monotonic = lambda: 1000.0 * clock()
runpy.run_module("regengine", run_name="__main__", alter_sys=True)
"""


def hit_by(kind: str, name: str, moment: int) -> tuple[str, ...]:
    """A ``program`` of `begin` and `start` that gets a signal just before its n-th ``os.NAME``."""
    return "-c", PROGRAM, kind, name, str(moment)


@contextmanager
def refusing(name: str, moment: int, number: int) -> Iterator[Callable[[], bool]]:
    """``os.NAME`` fails with an error number, once, at its n-th call; whether it came to that."""
    real, calls = getattr(os, name), 0

    def counted(*arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == moment:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, counted)
        yield lambda: calls >= moment


def write_photos(folder: Path, count: int) -> list[Path]:
    """Small photos of the dark, each another one."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"night {number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        dark = np.random.default_rng(number).integers(0, 9, (48, 48, 3), np.uint8)
        Image.fromarray(dark).save(path)
    return paths
