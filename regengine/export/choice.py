"""Which frames of a store are handed over, and why others are not."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from regengine.export.frame import ExportFrame, engine_frame, together
from regengine.export.frame_rows import frame_rows
from regengine.export.reviewed_frame import with_review
from regengine.export.where import COLUMNS, REVIEW_COLUMNS, Condition
from regengine.review.reviewed import Reviewed, reviewed
from regengine.store.reader import iter_frames
from regengine.store.schema import COLUMNS as STORED

VERDICTS = ("accepted", "review", "no_match", "failed")
TOGETHER = 128  # frames whose footprints and cities are worked out at once


@dataclass(frozen=True, kw_only=True)
class FrameChoice:
    """Conditions that frames are to meet.

    Attributes
    ----------
    verdicts : tuple of str
        Verdicts that are wanted; what a person accepted counts as accepted, and what a person
        rejected is never handed over.
    reviewed : bool
        Only what a person accepted.
    where : str or None
        See `regengine.export.where.Condition`.
    """

    verdicts: tuple[str, ...] = ("accepted",)
    reviewed: bool = False
    where: str | None = None


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The frames that were chosen.

    Attributes
    ----------
    store : Path
        Their store.
    numbers : array of int
        The frames' numbers, in order.
    reviews : dict of int to Reviewed
        What people decided, by the frames' numbers.
    left_out : Counter
        How many frames were not chosen, by why.
    """

    store: Path
    numbers: array[int] = field(default_factory=lambda: array("q"))
    reviews: dict[int, Reviewed] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def frames(self) -> Iterator[ExportFrame]:
        """The frames themselves, one by one; few of them are in memory at a time."""
        frames = self._frames()
        while block := list(islice(frames, TOGETHER)):
            yield from together(block)

    def photos(self) -> Iterator[tuple[int, str, str]]:
        """Number, path and SHA-256 of each of the photos."""
        for rows in frame_rows(self.store, ("frame_index", "path", "sha256")):
            for row in rows:
                if self._holds(row["frame_index"]):
                    yield row["frame_index"], row["path"], row["sha256"]

    def _holds(self, number: int) -> bool:
        place = bisect_left(self.numbers, number)
        return place < len(self.numbers) and self.numbers[place] == number

    def _frames(self) -> Iterator[ExportFrame]:
        for stored in iter_frames(self.store):
            if self._holds(stored.frame_index):
                frame = engine_frame(stored, self.store)
                yield with_review(frame, self.reviews.get(stored.frame_index))


def choose(store: Path, choice: FrameChoice) -> Chosen:
    """Choose frames by their columns alone.

    Parameters
    ----------
    store : Path
        The store; a run may be writing it.
    choice : FrameChoice
        The conditions.

    Returns
    -------
    Chosen

    Raises
    ------
    StoreError
        If the store cannot be read.
    ConfigError
        If the condition is none.
    """
    names = [name for name in COLUMNS if ("frames", name) in STORED]
    chosen = Chosen(store=store, reviews=reviewed(store))
    with ExitStack() as stack:
        condition = None
        if choice.where is not None:
            condition = stack.enter_context(Condition(choice.where))
        for rows in frame_rows(store, names):
            _choose(chosen, rows, choice, condition)
    return chosen


def _choose(
    chosen: Chosen, rows: list[dict[str, Any]], choice: FrameChoice, condition: Condition | None
) -> None:
    for row in rows:
        review = chosen.reviews.get(row["frame_index"])
        if review is not None:
            row |= {name: getattr(review, name) for name in REVIEW_COLUMNS}
    meets = None if condition is None else condition.chosen(rows)
    for row in rows:
        why = _left_out(row, chosen.reviews.get(row["frame_index"]), choice, meets)
        if why:
            chosen.left_out[why] += 1
        else:
            chosen.numbers.append(row["frame_index"])


def _left_out(
    row: dict[str, Any], review: Reviewed | None, choice: FrameChoice, meets: set[int] | None
) -> str:
    """Why a frame is not chosen; empty if it is."""
    accepted = review is not None and review.decision == "accepted"
    verdict = "accepted" if accepted else row["verdict"]
    if meets is not None and row["frame_index"] not in meets:
        return "not --where"
    if review is not None and review.decision == "rejected":
        return "rejected in review"
    if choice.reviewed and not accepted:
        return "not accepted in review"
    return "" if verdict in choice.verdicts else f"verdict {verdict}"
