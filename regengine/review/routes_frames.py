"""The queue, and single frames."""

from __future__ import annotations

import math
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query

from regengine.records import plain
from regengine.review.context import ReviewContext
from regengine.review.frame_answer import decision_json, frame_answer
from regengine.review.frame_columns import FrameColumns
from regengine.review.frame_places import FramePlaces
from regengine.review.queue import QueueFilter, Sort, Status, chosen_rows, facets, queue_row
from regengine.review.reviewed import Standings

FrameId = Annotated[int, Path(ge=0, lt=2**63)]
Texts = Annotated[list[str], Query(max_length=64)]
# The start of an ISO 8601 time, UTC
Date = Annotated[str, Query(pattern=r"^(\d{4}(-\d{2}(-\d{2}(T[\d:.]{0,15}Z?)?)?)?)?$")]
MOST_ROWS = 500


def router(context: ReviewContext) -> APIRouter:
    """Routes of the frames."""
    routes = APIRouter(prefix="/api")
    standings = Standings(context.decisions, context.reviewer)
    places = FramePlaces()

    one_at_a_time = Lock()  # the standings are those of the rows that were asked for

    def up_to_date() -> FrameColumns:
        context.frames.refresh()
        rows = context.frames.rows
        standings.update(rows)
        return rows

    @routes.get("/facets")
    def facets_of_store() -> dict[str, Any]:
        with one_at_a_time:
            return facets(up_to_date(), standings)

    @routes.get("/frames")
    def queue(
        verdict: Texts = [],  # noqa: B006 - FastAPI copies it
        reason: Texts = [],  # noqa: B006
        category: Texts = [],  # noqa: B006
        camera: Texts = [],  # noqa: B006
        date_from: Date = "",
        date_to: Date = "",
        bbox: Annotated[str, Query(max_length=100)] = "",
        text: Annotated[str, Query(max_length=200)] = "",
        status: Status = "all",
        tag: Annotated[str, Query(max_length=100)] = "",
        sort: Sort = "doubt",
        offset: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        limit: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 100,
    ) -> dict[str, Any]:
        wanted = QueueFilter(
            verdict=tuple(verdict),
            reason=tuple(reason),
            category=tuple(category),
            camera=tuple(camera),
            date_from=date_from,
            date_to=date_to,
            bbox=parse_bbox(bbox),
            text=text,
            status=status,
            tag=tag,
            sort=sort,
        )
        with one_at_a_time:
            rows = up_to_date()
            chosen = chosen_rows(rows, standings, places, wanted)
            shown_rows = [
                queue_row(rows, standings, places, row)
                for row in chosen[offset : offset + limit].tolist()
            ]
        return {
            "total": len(chosen),
            "offset": offset,
            "named": places.ready(rows),
            "frames": plain(shown_rows, str),
        }

    @routes.get("/frames/{number}")
    def frame(number: FrameId) -> dict[str, Any]:
        with one_at_a_time:
            try:
                return frame_answer(context, up_to_date(), standings, places, number)
            except KeyError:
                raise no_frame(number) from None

    @routes.get("/frames/{number}/history")
    def history(number: FrameId) -> list[dict[str, Any]]:
        try:
            sha256 = context.frames.frame(number).result.sha256
        except KeyError:
            raise no_frame(number) from None
        return [decision_json(each) for each in context.decisions.history(number, sha256)]

    return routes


def no_frame(number: int) -> HTTPException:
    """What is answered where there is no such frame."""
    return HTTPException(404, f"the store has no frame {number}: GET /api/frames lists them.")


def parse_bbox(text: str) -> tuple[float, float, float, float] | None:
    """West, south, east, north out of ``w,s,e,n``; None of an empty text."""
    if not text:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        west = south = east = north = math.nan
    if not all(map(math.isfinite, (west, south, east, north))) or south > north:
        raise HTTPException(422, "bbox is west,south,east,north in degrees, such as 130,30,146,46.")
    return west, south, east, north
