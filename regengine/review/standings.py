"""Where every frame stands: decided by whom, disputed, with which tags."""

from __future__ import annotations

from collections import defaultdict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from regengine.review.decision_records import Brief
from regengine.review.decisions import Decisions
from regengine.review.frame_columns import FrameColumns


class Standings:
    """Keeps up with the decisions: only what is new is read.

    A decision counts for a frame whose photo is still the one that was decided on.

    Parameters
    ----------
    decisions : Decisions
        What people decided, also in other processes.
    reviewer : str
        Whose decisions count as one's own.

    Attributes
    ----------
    decided, disputed, own : ndarray of bool, shape (frames,)
        Whether anybody decided, people differ, the reviewer decided; as of the last `update`.
    """

    def __init__(self, decisions: Decisions, reviewer: str) -> None:
        self._decisions = decisions
        self._reviewer = reviewer
        self._lock = Lock()
        self._last = 0
        self._heads: defaultdict[int, dict[tuple[str, str], Brief]] = defaultdict(dict)
        self._rows: FrameColumns | None = None
        self._tagged: defaultdict[str, set[int]] = defaultdict(set)
        self._tags: dict[int, frozenset[str]] = {}
        self.decided = self.disputed = self.own = np.zeros(0, bool)

    def update(self, rows: FrameColumns) -> None:
        """Read what was decided since the last time.

        Parameters
        ----------
        rows : FrameColumns
            The frames as they are now.
        """
        with self._lock:
            touched = set()
            for brief in self._decisions.since(self._last):
                self._heads[brief.frame_index][brief.reviewer, brief.sha256] = brief
                touched.add(brief.frame_index)
                self._last = brief.revision
            if rows is not self._rows:
                self._rows, touched = rows, set(self._heads)
                self.decided, self.disputed, self.own = np.zeros((3, len(rows)), bool)
                self._tagged.clear()
                self._tags.clear()
            for row in rows.rows_of(list(touched)).tolist():
                heads = self.heads(row)
                self.decided[row] = bool(heads)
                self.disputed[row] = len({head.decision for head in heads}) > 1
                self.own[row] = any(head.reviewer == self._reviewer for head in heads)
                self._tag(row, frozenset().union(*(head.tags for head in heads)))

    def heads(self, row: int) -> list[Brief]:
        """The latest decision of each person on the frame of a row, newest first."""
        if self._rows is None:
            return []
        heads = self._heads.get(int(self._rows.frame_index[row]), {})
        sha256 = self._rows.sha256[row].decode() if heads else ""
        found = [head for (_, judged), head in heads.items() if judged == sha256]
        return found if len(found) < 2 else sorted(found, key=lambda head: -head.revision)

    def tagged(self, tag: str) -> NDArray[np.bool_]:
        """Which frames somebody gave a tag."""
        found = np.zeros(len(self.decided), bool)
        found[list(self._tagged.get(tag, ()))] = True
        return found

    def tags(self) -> dict[str, int]:
        """How many frames have each tag, the commonest first."""
        counts = [(tag, len(rows)) for tag, rows in self._tagged.items() if rows]
        return dict(sorted(counts, key=lambda pair: (-pair[1], pair[0])))

    def _tag(self, row: int, tags: frozenset[str]) -> None:
        """Note the tags that a frame has now."""
        before = self._tags.get(row, frozenset())
        for tag in before - tags:
            self._tagged[tag].discard(row)
        for tag in tags - before:
            self._tagged[tag].add(row)
        if tags or before:
            self._tags[row] = tags
