"""The queue of the review: which frames, in which order, and what a row of it says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from regengine.review.frame_columns import FrameColumns
from regengine.review.frame_places import FramePlaces
from regengine.review.reviewed import Standings

Status = Literal["open", "done", "disputed", "second", "all"]
Sort = Literal["doubt", "time", "name"]


@dataclass(frozen=True, kw_only=True)
class QueueFilter:
    """Which frames to show; empty says nothing.

    Attributes
    ----------
    verdict, reason, category, camera : tuple of str
        One of these.
    date_from, date_to : str
        Starts of ISO 8601 times, UTC; the last day (or hour) counts whole.
    bbox : tuple of float or None
        West, south, east, north, degrees, around a place that the photo shows, or the nadir
        where none is known; west > east crosses the antimeridian.
    text : str
        In the frame id, the path, or the name of the town or country, in small or capital letters.
    status : str
        "open": nobody decided; "done": somebody did; "disputed": people differ; "second": others
        decided, the reviewer did not yet.
    tag : str
        Given by somebody.
    sort : str
        "doubt", "time" or "name".
    """

    verdict: tuple[str, ...] = ()
    reason: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    camera: tuple[str, ...] = ()
    date_from: str = ""
    date_to: str = ""
    bbox: tuple[float, float, float, float] | None = None
    text: str = ""
    status: Status = "all"
    tag: str = ""
    sort: Sort = "doubt"


def chosen_rows(
    rows: FrameColumns, standings: Standings, places: FramePlaces, wanted: QueueFilter
) -> NDArray[np.int64]:
    """Rows of the frames to show, in the order to show them."""
    keep = np.ones(len(rows), bool)
    if wanted.verdict:
        keep &= rows.verdict.are(wanted.verdict)
    if wanted.reason:
        keep &= rows.reasons.hold(wanted.reason)
    if wanted.category:
        keep &= rows.category.are(wanted.category)
    if wanted.camera:
        keep &= rows.camera_body.are(wanted.camera)
    if wanted.date_from or wanted.date_to:
        keep &= rows.time_utc != b""
    if wanted.date_from:
        keep &= rows.time_utc >= wanted.date_from.encode()
    if wanted.date_to:
        keep &= rows.time_utc <= wanted.date_to.encode() + b"\xff"
    if wanted.bbox is not None:
        keep &= _within(rows, wanted.bbox)
    if wanted.text:
        sought = wanted.text.casefold()
        named = np.array([sought in text for text in rows.searched], bool)
        keep &= named | places.hold(rows, sought)
    if wanted.tag:
        keep &= standings.tagged(wanted.tag)
    if wanted.status != "all":
        keep &= _standing(standings, wanted.status)
    order: NDArray[np.int64] = getattr(rows, f"by_{wanted.sort}")
    return order[keep[order]]


def queue_row(
    rows: FrameColumns, standings: Standings, places: FramePlaces, row: int
) -> dict[str, Any]:
    """One row of the queue, as the page has it."""
    heads = standings.heads(row)
    lon, lat = float(rows.centre_lon[row]), float(rows.centre_lat[row])
    codes = rows.reasons[row]
    return {
        "id": int(rows.frame_index[row]),
        "frame": rows.text("frame", row),
        "verdict": rows.verdict[row],
        "probability": float(rows.probability[row]),
        "reasons": codes.split(",") if codes else [],
        "category": rows.category[row] or None,
        "time_utc": rows.text("time_utc", row) or None,
        "camera_body": rows.camera_body[row] or None,
        "centre": [lon, lat] if math.isfinite(lon) and math.isfinite(lat) else None,
        "place": places.name(rows, row),
        "decision": heads[0].decision if heads else None,
        "reviewers": len(heads),
        "disputed": len({head.decision for head in heads}) > 1,
    }


def facets(rows: FrameColumns, standings: Standings) -> dict[str, Any]:
    """How many frames of the store have each value of what can be filtered by."""
    reasons: dict[str, int] = {}
    for codes, number in rows.reasons.counts().items():
        for code in codes.split(","):
            reasons[code] = reasons.get(code, 0) + number
    known = rows.time_utc[rows.by_time_known]
    return {
        "verdict": rows.verdict.counts(),
        "reason": dict(sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0]))),
        "category": rows.category.counts(),
        "camera": rows.camera_body.counts(),
        "tag": standings.tags(),
        "first_time": known[0].decode() if len(known) else None,
        "last_time": known[-1].decode() if len(known) else None,
    }


def _standing(standings: Standings, status: Status) -> NDArray[np.bool_]:
    if status == "disputed":
        return standings.disputed
    if status == "second":
        return standings.decided & ~standings.own
    return standings.decided if status == "done" else ~standings.decided


def _within(rows: FrameColumns, bbox: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    west, south, east, north = bbox
    lon = np.where(np.isfinite(rows.shown_lon), rows.shown_lon, rows.nadir_lon)
    lat = np.where(np.isfinite(rows.shown_lon), rows.shown_lat, rows.nadir_lat)
    inside = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    return inside & (lat >= south) & (lat <= north)
