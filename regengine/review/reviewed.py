"""What counts of the decisions on a store's frames: for exports and statistics."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from matchers.camera import Camera
from regengine.result import FrameResult
from regengine.review.decisions import Choice, Decision, Decisions, decisions_path
from regengine.store.schema import select
from regengine.store.snapshot import PartGoneError, Snapshot

OF_STATE = select(
    "frames/sha256",
    *(f"control_points/{name}" for name in ("x", "y", "lon", "lat")),
)


def proposal_sha256(points: Iterable[Sequence[float]]) -> str:
    """Hash of a proposal's control points."""
    text = json.dumps([[float(value) for value in point] for point in points])
    return hashlib.sha256(text.encode()).hexdigest()


def state_of(result: FrameResult) -> tuple[str, str]:
    """Hash of the photo and of the proposal, as decisions keep them."""
    points = [(point.x, point.y, point.lon, point.lat) for point in result.control_points]
    return result.sha256, proposal_sha256(points)


def states(store: Path, wanted: Collection[int]) -> Iterator[tuple[int, str, str]]:
    """Number, hash of the photo and hash of the proposal of some frames of a store."""
    last: int | None = None
    sought = np.array(sorted(wanted), dtype=np.int64)
    while True:
        try:
            with Snapshot.of(store) as snapshot:
                for tables in snapshot.blocks(after=last, groups=OF_STATE, frames=4096):
                    frames, points = tables["frames"], tables["control_points"]
                    values = np.stack([points[name] for name in ("x", "y", "lon", "lat")], axis=-1)
                    numbers = frames["frame_index"]
                    first = np.searchsorted(points["frame_index"], numbers, side="left").tolist()
                    beyond = np.searchsorted(points["frame_index"], numbers, side="right").tolist()
                    hashes = frames["sha256"].tolist()
                    for row in np.flatnonzero(np.isin(numbers, sought)).tolist():
                        proposal = values[first[row] : beyond[row]].tolist()
                        yield int(numbers[row]), hashes[row].decode(), proposal_sha256(proposal)
                    last = int(numbers[-1])
            return
        except PartGoneError:
            continue


@dataclass(frozen=True, kw_only=True)
class ReviewedPoint:
    """A control point of a reviewed frame."""

    # Pixel, zero-based, integer at centres, image as stored
    x: float
    y: float
    # Degrees, WGS84
    lon: float
    lat: float
    sigma_px: float | None  # one sigma per axis; None where nobody knows it
    origin: str  # "engine", "person", "snap" or "search"


@dataclass(frozen=True, kw_only=True)
class Reviewed:
    """The decision that counts for a frame: the latest of all reviewers."""

    frame_index: int
    decision: Choice
    reviewer: str
    time_utc: str  # when, ISO 8601
    camera: Camera | None  # the camera that was decided on, with its control points
    points: tuple[ReviewedPoint, ...]
    comment: str
    tags: tuple[str, ...]
    quality: int | None  # 0 (useless) to 5 (excellent)
    # name, country, lon, lat and population of a place that the person named.
    place: dict[str, Any] | None
    disputed: bool  # whether the latest decisions of two people differ
    stale: bool  # whether the engine proposes something else by now


def reviewed(store: Path) -> dict[int, Reviewed]:
    """What people decided of a store's frames, by their numbers, ascending.

    Decisions on a photo that the store does not have under the same number any more are left out;
    empty where nobody decided anything. StoreError if the store or the file beside it cannot be
    read.
    """
    heads = heads_of(store)
    return {number: _reviewed(*heads[number]) for number in sorted(heads)}


def heads_of(store: Path) -> dict[int, tuple[list[Decision], str]]:
    """The latest decision of each reviewer on each frame, newest first, and the proposal's hash."""
    if not decisions_path(store).exists():
        return {}
    found: defaultdict[tuple[int, str], list[Decision]] = defaultdict(list)
    with closing(Decisions(decisions_path(store), readonly=True)) as decisions:
        for head in decisions.all_heads():
            found[head.judged.frame_index, head.judged.sha256].append(head)
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
