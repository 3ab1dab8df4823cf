"""Stored frames for tests of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from regengine.report.report import Collected, collect, to_list
from regengine.result import FrameResult
from regengine.store.rows import StoredFrame, to_tables
from regengine.store.writer import StoreWriter
from tests.example_results import nothing_found, proposal, solved


def accepted(name: str = "f", *, offset_s: float = 0.0, **changes: Any) -> FrameResult:
    """An accepted result with an offset along the orbit."""
    made = replace(proposal(name), solved=replace(solved(), along_track_offset_s=offset_s))
    return replace(made, **changes)


def failed(name: str, code: str, text: str = "It broke.") -> FrameResult:
    """A result of a photo that could not be processed."""
    from regengine.result import Reason

    reasons = (Reason(code=code, text=text),)
    return replace(nothing_found(name), verdict="failed", reasons=reasons)


def stored(results: Sequence[FrameResult], **changes: Any) -> list[StoredFrame]:
    """Results as a store holds them."""
    return [
        replace(StoredFrame(frame_index=index, result=result, parameters_sha256="p"), **changes)
        for index, result in enumerate(results)
    ]


def figures_of(results: Sequence[FrameResult]) -> dict[str, Any]:
    """Figures of some results."""
    return collected(results).figures


def collected(results: Sequence[FrameResult], most_frames: int = 100) -> Collected:
    """Figures and photos of some results."""
    return collected_of(stored(results), most_frames)


def collected_of(frames: Sequence[StoredFrame], most_frames: int = 100) -> Collected:
    """Figures and photos of stored frames."""
    tables = to_tables(frames)
    return collect([tables], to_list([tables], most_frames))


def store_of(path: Path, results: Sequence[FrameResult]) -> Path:
    """A store that holds some results."""
    with StoreWriter(path) as writer:
        for frame in stored(results, processed_utc="2026-01-02T03:04:05Z"):
            writer.add(frame)
        writer.flush()
    return path
