"""What a decision consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Choice = Literal["accepted", "rejected", "unsure"]
Work = dict[str, Any]  # camera, points, hypothesis, comment, tags, quality, place: a Draft's JSON


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a decision is about: the photo, and what the engine said of it then."""

    frame_index: int
    sha256: str
    verdict: str
    probability: float | None
    proposal_sha256: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision of one person, as it was saved.

    Attributes
    ----------
    revision : int
        Counts all decisions of the file.
    judged : Judged
        What it is about.
    reviewer, time_utc : str
        Who, and when (ISO 8601, UTC).
    decision : str
        "accepted", "rejected" or "unsure".
    seconds : float or None
        How long the frame was in view.
    work : dict
        Camera, points, hypothesis, comment, tags, quality and place, as the page sent them.
    """

    revision: int
    judged: Judged
    reviewer: str
    time_utc: str
    decision: Choice
    seconds: float | None
    work: Work


class Brief(NamedTuple):
    """A decision without the work."""

    revision: int
    frame_index: int
    sha256: str
    reviewer: str
    decision: Choice
    tags: tuple[str, ...]
