"""Engines that do nothing, so that only the machinery around them is measured."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

from benchmarks.fault_engine import facts_of, result_of
from regengine.hints import Hints
from regengine.result import FrameResult

LIGHTS = 60  # of the stand-in's usual photo


def empty(path: Path, hints: Hints | None = None) -> FrameResult:
    """A photo in which nothing was found."""
    return replace(_nothing(), frame=path.stem, path=str(path), sha256=_sha256(path))


def full(path: Path, hints: Hints | None = None) -> FrameResult:
    """A photo that was accepted, with control points, hypotheses and `LIGHTS` lights."""
    facts = facts_of(path)
    return replace(
        _accepted(),
        frame=path.stem,
        path=str(path),
        sha256=_sha256(path),
        time_utc=None if facts is None else facts.time_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        camera_body=None if facts is None else facts.camera_body,
    )


ENGINES = {"empty": empty, "full": full}


@cache
def _nothing() -> FrameResult:
    return result_of(Path("f0003.jpg"), "nothing", b"")


@cache
def _accepted() -> FrameResult:
    results = (result_of(Path("f0000.jpg"), "easy", bytes([k])) for k in range(100))
    return next(r for r in results if r.detections is not None and len(r.detections.x) == LIGHTS)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.name.encode()).hexdigest()
