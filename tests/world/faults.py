"""Programs that are hit at a chosen moment: by a signal, or by a disk that refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.world.program import Said

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


def begin_hit(kind: str, name: str, moment: int, *words: object) -> subprocess.Popen[str]:
    """``regengine WORDS`` that gets a signal just before its n-th ``os.NAME``."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, kind, name, str(moment), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def start_hit(kind: str, name: str, moment: int, *words: object) -> Said:
    """`begin_hit` to its end."""
    process = begin_hit(kind, name, moment, *words)
    out, err = process.communicate(timeout=300)
    return Said(process.returncode, out, err)


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


def write_photos(folder: Path, count: int, side_px: int = 48) -> list[Path]:
    """Small photos of the dark, each another one."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"night {number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        dark = np.random.default_rng(number).integers(0, 9, (side_px, side_px, 3), np.uint8)
        Image.fromarray(dark).save(path)
    return paths
