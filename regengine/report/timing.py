"""When a run worked, how quickly, and on what longest."""

from __future__ import annotations

import heapq
import math
from array import array
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regengine.report.distribution import Distribution, decades
from regengine.store.rows import StoredFrame

SLOWEST = 20


class TimeTally:
    """Seconds spent on photos and the times at which they were done."""

    def __init__(self) -> None:
        self._seconds = Distribution(decades(-2, 3))
        self._total_s = 0.0
        self._spans = array("d")
        self._slowest: list[tuple[float, int, dict[str, Any]]] = []

    def add(self, stored: StoredFrame) -> None:
        """Take one photo's times."""
        result = stored.result
        self._seconds.add(result.seconds)
        self._total_s += result.seconds if math.isfinite(result.seconds) else 0.0
        done = _posix(stored.processed_utc)
        if done is not None and math.isfinite(result.seconds):
            self._spans.extend((done - result.seconds, done))
        facts = {
            "frame": result.frame,
            "path": result.path,
            "verdict": result.verdict,
            "seconds": result.seconds,
            "reasons": [reason.code for reason in result.reasons],
        }
        heapq.heappush(self._slowest, (result.seconds, -stored.frame_index, facts))
        if len(self._slowest) > SLOWEST:
            heapq.heappop(self._slowest)

    def figures(self) -> dict[str, Any]:
        """Distribution of seconds, span of the run, rate, the slowest photos first."""
        spans = np.reshape(self._spans, (-1, 2))
        at_work_s = covered_s(spans)
        return {
            "seconds": self._seconds.figures(),
            "total_seconds": self._total_s,
            "first_utc": _iso(spans[:, 1].min()) if len(spans) else None,
            "last_utc": _iso(spans[:, 1].max()) if len(spans) else None,
            "at_work_seconds": at_work_s,
            "photos_per_second": len(spans) / at_work_s if at_work_s > 0.0 else None,
            "slowest": [facts for _, _, facts in sorted(self._slowest, key=lambda s: s[:2])[::-1]],
        }


def covered_s(spans: NDArray[np.float64]) -> float:
    """Length of the time that lies in at least one span.

    Parameters
    ----------
    spans : ndarray, shape (n, 2)
        Begin and end of each, seconds.

    Returns
    -------
    float
        Pauses between runs do not count, nor does time twice that several workers shared.
    """
    if len(spans) == 0:
        return 0.0
    ordered = spans[np.argsort(spans[:, 0], kind="stable")]
    reached = np.maximum.accumulate(ordered[:, 1])
    begin = np.maximum(ordered[1:, 0], reached[:-1])
    later = np.maximum(ordered[1:, 1] - begin, 0.0)
    return float(ordered[0, 1] - ordered[0, 0] + later.sum())


def _posix(text: str) -> float | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _iso(posix_s: float) -> str:
    return datetime.fromtimestamp(posix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
