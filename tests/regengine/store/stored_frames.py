"""Frames without a result, as many as a test of the store needs."""

from __future__ import annotations

from pathlib import Path

from regengine.store.rows import StoredFrame
from regengine.store.snapshot import iter_frames
from tests.example_results import nothing_found


def frame(index: int, name: str = "") -> StoredFrame:
    """A frame to be stored."""
    return StoredFrame(
        frame_index=index, result=nothing_found(name or f"f{index}"), parameters_sha256="p"
    )


def names(path: Path) -> list[str]:
    """Names of the frames that a store holds, in its order."""
    return [stored.result.frame for stored in iter_frames(path)]
