"""What counts of the decisions on a store's frames: for exports and statistics."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matchers.camera import Camera
from regengine.review.decision_file import decisions_path
from regengine.review.decision_records import Choice, Decision
from regengine.review.decisions import Decisions
from regengine.review.proposal_state import states


@dataclass(frozen=True, kw_only=True)
class ReviewedPoint:
    """A control point of a reviewed frame.

    Attributes
    ----------
    x, y : float
        Pixel, zero-based, integer at centres, image as stored.
    lon, lat : float
        Degrees, WGS84.
    sigma_px : float or None
        One sigma per axis; None where nobody knows it.
    origin : str
        "engine", "person", "snap" or "search".
    """

    x: float
    y: float
    lon: float
    lat: float
    sigma_px: float | None
    origin: str


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """The decision that counts for a frame: the latest of all reviewers.

    Attributes
    ----------
    frame_index : int
        The frame's number in the store.
    decision : str
        "accepted", "rejected" or "unsure".
    reviewer, time_utc : str
        Who, and when (ISO 8601, UTC).
    camera : Camera or None
        The camera that was decided on.
    points : tuple of ReviewedPoint
        Its control points.
    comment : str
        What the person says.
    tags : tuple of str
        Of the person.
    quality : int or None
        0 (useless) to 5 (excellent).
    place : dict or None
        name, country, lon, lat and population of a place that the person named.
    disputed : bool
        Whether the latest decisions of two people differ.
    stale : bool
        Whether the engine proposes something else by now.
    """

    frame_index: int
    decision: Choice
    reviewer: str
    time_utc: str
    camera: Camera | None
    points: tuple[ReviewedPoint, ...]
    comment: str
    tags: tuple[str, ...]
    quality: int | None
    place: dict[str, Any] | None
    disputed: bool
    stale: bool


def reviewed(store: Path) -> dict[int, Reviewed]:
    """What people decided of a store's frames.

    Decisions on a photo that the store does not have under the same number any more are left out.

    Parameters
    ----------
    store : Path
        The store.

    Returns
    -------
    dict of int to Reviewed
        By the frames' numbers, ascending; empty where nobody decided anything.

    Raises
    ------
    StoreError
        If the store or the file beside it cannot be read.
    """
    heads = heads_of(store)
    return {number: _reviewed(*heads[number]) for number in sorted(heads)}


def heads_of(store: Path) -> dict[int, tuple[list[Decision], str]]:
    """The latest decision of each reviewer on each frame, newest first, and the proposal's hash."""
    if not decisions_path(store).exists():
        return {}
    decisions = Decisions(decisions_path(store), readonly=True)
    try:
        found: defaultdict[tuple[int, str], list[Decision]] = defaultdict(list)
        for head in decisions.all_heads():
            found[head.judged.frame_index, head.judged.sha256].append(head)
    finally:
        decisions.close()
    if not found:
        return {}
    return {
        number: (found[number, sha256], proposal)
        for number, sha256, proposal in states(store, {number for number, _ in found})
        if (number, sha256) in found
    }


def camera_of(decision: Decision) -> Camera | None:
    """The camera that was decided on."""
    camera = decision.work["camera"]
    if camera is None:
        return None
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in camera.items()
    }
    return Camera(**values)


def _reviewed(heads: list[Decision], proposal: str) -> Reviewed:
    counts = heads[0]
    work = counts.work
    return Reviewed(
        frame_index=counts.judged.frame_index,
        decision=counts.decision,
        reviewer=counts.reviewer,
        time_utc=counts.time_utc,
        camera=camera_of(counts),
        points=tuple(ReviewedPoint(**point) for point in work["points"]),
        comment=work["comment"],
        tags=tuple(work["tags"]),
        quality=work["quality"],
        place=work["place"],
        disputed=len({head.decision for head in heads}) > 1,
        stale=counts.judged.proposal_sha256 != proposal,
    )
