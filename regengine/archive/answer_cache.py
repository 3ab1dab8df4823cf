"""Answers on disk: what was asked lately is not asked again, so an interrupted query goes on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from regengine.archive.answer import Row
from regengine.store.atomic import write_whole

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class AnswerCache:
    """A folder of answers; neither their names nor their contents hold the key.

    Attributes
    ----------
    folder : Path
        Made when the first answer is kept.
    max_age_days : float
        Older answers are asked for anew.
    """

    folder: Path
    max_age_days: float

    def find(self, question: str) -> list[Row] | None:
        """Rows of a question that was asked lately; None where it was not.

        Parameters
        ----------
        question : str
            Address, conditions and fields.
        """
        path = self._path(question)
        try:
            age_days = (time.time() - path.stat().st_mtime) / DAY_S
            if age_days >= self.max_age_days:
                return None
            kept = json.loads(path.read_text(encoding="utf-8"))
            rows = kept["rows"] if kept["question"] == question else None
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                return None
            return [{str(name): str(value) for name, value in row.items()} for row in rows]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None  # a damaged answer is asked for anew

    def keep(self, question: str, rows: Sequence[Row]) -> None:
        """Keep an answer; a disk without room only costs the next run the question."""
        path = self._path(question)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = {"question": question, "rows": list(rows)}
            write_whole(path, json.dumps(kept).encode())

    def _path(self, question: str) -> Path:
        digest = hashlib.sha256(question.encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.json"
