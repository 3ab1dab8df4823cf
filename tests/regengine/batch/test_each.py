"""A function over many photos: in order, and one that fails costs a sentence."""

from __future__ import annotations

import os
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from regengine.batch.each_photo import each_photo
from regengine.batch.plan import Mishap
from regengine.errors import FrameError


def length_or_trouble(path: Path) -> int:
    if path.name == "unreadable":
        raise FrameError(f"{path} is no photo; give another")
    if path.name == "bug":
        raise ZeroDivisionError("by zero")
    if path.name == "greedy":
        raise MemoryError
    if path.name == "deadly":
        os._exit(7)
    if path.name == "large":
        return len(bytearray(4 << 30))
    if path.name == "picture":
        return len(cv2.resize(np.zeros((9, 9), np.float32), (32_000, 32_000)))
    if path.name == "slow":
        time.sleep(60.0)
    return len(path.name)


def results(told):
    """Without the turns that the caller gets."""
    return [one for one in told if one is not None]


@pytest.mark.parametrize("workers", [0, 2])
def test_one_bad_photo_stops_nothing(workers: int) -> None:
    names = ["a", "unreadable", "bb", "bug", "greedy", "ccc"]
    photos = [Path(name) for name in names]
    done = results(each_photo(photos, length_or_trouble, workers=workers))
    assert [path for path, _ in done] == photos
    values = [value.code if isinstance(value, Mishap) else value for _, value in done]
    assert values == [1, "unreadable", 2, "internal_error", "out_of_memory", 3]
    assert isinstance(done[3][1], Mishap)
    assert "ZeroDivisionError: by zero" in done[3][1].text


def test_a_dead_and_a_stuck_worker_cost_their_own_photos() -> None:
    photos = [Path(name) for name in ("a", "deadly", "bb", "slow", "ccc")]
    done = results(each_photo(photos, length_or_trouble, workers=2, limit_s=8.0))
    values = [value.code if isinstance(value, Mishap) else value for _, value in done]
    assert values == [1, "worker_died", 2, "timed_out", 3]


def test_what_needs_too_much_memory_fails_alone() -> None:
    photos = [Path(name) for name in ("a", "large", "picture", "bb")]
    done = results(each_photo(photos, length_or_trouble, workers=1, memory_mb=800))
    values = [value.code if isinstance(value, Mishap) else value for _, value in done]
    assert values == [1, "out_of_memory", "out_of_memory", 2]
