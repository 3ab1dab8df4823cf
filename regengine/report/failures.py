"""Photos that could not be processed: why, and which."""

from __future__ import annotations

from collections import Counter
from typing import Any

from regengine.report.sample import EvenSample
from regengine.store.rows import StoredFrame

MOST_SHOWN = 200


class FailureTally:
    """Failed photos by code; of very many, some of them."""

    def __init__(self) -> None:
        self._codes: Counter[str] = Counter()
        self._shown: EvenSample[dict[str, Any]] = EvenSample(MOST_SHOWN)

    def add(self, stored: StoredFrame) -> None:
        """Take a photo; those that did not fail are left out."""
        result = stored.result
        if result.verdict != "failed":
            return
        code = result.reasons[0].code if result.reasons else ""
        text = "; ".join(reason.text for reason in result.reasons)
        self._codes[code] += 1
        self._shown.add({"frame": result.frame, "path": result.path, "code": code, "text": text})

    def figures(self) -> dict[str, Any]:
        """How many, by code, and up to `MOST_SHOWN` of them."""
        return {
            "photos": self._codes.total(),
            "codes": dict(sorted(self._codes.items(), key=lambda pair: (-pair[1], pair[0]))),
            "shown": self._shown.items,
        }
