"""The session, the queue, single frames and what is decided of them: what the page asks first."""

from __future__ import annotations

import math
from dataclasses import asdict
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response

from regengine.io.html import visible_text
from regengine.io.plain import plain
from regengine.review.bodies import DecisionBody, DraftBody, camera_json, decision_json, points_json
from regengine.review.context import ReviewContext, no_frame
from regengine.review.decisions import Judged, Work
from regengine.review.queue import FramePlaces, Queue, QueueFilter, Sort, Standings, Status
from regengine.review.reviewed import state_of
from regengine.review.stats import review_stats

if TYPE_CHECKING:
    from regengine.lights.map import LightMap

FrameId = Annotated[int, Path(ge=0, lt=2**63)]
Texts = Annotated[list[str], Query(max_length=64)]
# The start of an ISO 8601 time, UTC
Date = Annotated[str, Query(pattern=r"^(\d{4}(-\d{2}(-\d{2}(T[\d:.]{0,15}Z?)?)?)?)?$")]
MOST_ROWS = 500
MOST_TOGETHER = 20_000  # decisions at once: some minutes
UNSEEN = "accepted unseen"  # tag of decisions on many frames at once
PageName = Annotated[str, Query(pattern="^[0-9a-z]{8,40}$")]


def wanted_of(
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
) -> QueueFilter:
    """A filter as an address has it."""
    return QueueFilter(
        verdict=tuple(verdict),
        reason=tuple(reason),
        category=tuple(category),
        camera=tuple(camera),
        date_from=date_from,
        date_to=date_to,
        bbox=_bbox(bbox),
        text=text,
        status=status,
        tag=tag,
        sort=sort,
    )


Wanted = Annotated[QueueFilter, Depends(wanted_of)]


def router(context: ReviewContext) -> APIRouter:
    """Routes of the session and of the frames."""
    routes = APIRouter(prefix="/api")
    _add_session(routes, context)
    _add_queue(routes, context)
    _add_decisions(routes, context)
    return routes


def _add_session(routes: APIRouter, context: ReviewContext) -> None:
    engine_version = version("regengine")  # reads a file

    @routes.get("/session")
    def session() -> dict[str, Any]:
        light_map = context.light_map
        return {
            "store": visible_text(context.store.name),
            "frames": len(context.frames.rows),
            "reviewer": context.reviewer,
            "readonly": context.readonly,
            "version": engine_version,
            "lights": light_map is not None,
            "orbits": context.tles is not None,
            "lights_name": "" if light_map is None else _name(light_map),
            "layers": [asdict(layer) for layer in context.layers],
        }

    @routes.get("/stats")
    def stats() -> dict[str, Any]:
        """How far the review is, and who agrees with whom."""
        return review_stats(context.store, context.frames.rows)


def _name(light_map: LightMap) -> str:
    """The product's, else the names of its files."""
    info = light_map.info
    return visible_text(info.product or ", ".join(path.name for path in info.paths))


def _add_queue(routes: APIRouter, context: ReviewContext) -> None:
    standings = Standings(context.decisions, context.reviewer)
    places = FramePlaces()
    one_at_a_time = Lock()  # the standings are those of the rows that were asked for

    def up_to_date() -> Queue:
        context.frames.refresh()
        rows = context.frames.rows
        standings.update(rows)
        drafted = context.decisions.drafted()
        return Queue(rows=rows, standings=standings, places=places, drafted=drafted)

    @routes.get("/facets")
    def facets_of_store() -> dict[str, Any]:
        with one_at_a_time:
            return up_to_date().facets()

    @routes.get("/frames")
    def queue(
        wanted: Wanted,
        offset: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        limit: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 100,
    ) -> dict[str, Any]:
        with one_at_a_time:
            now = up_to_date()
            chosen = now.chosen(wanted)
            lines = [now.line(row) for row in chosen[offset : offset + limit].tolist()]
            progress = now.progress(wanted)
        return {
            "total": len(chosen),
            "progress": progress,
            "offset": offset,
            "named": places.ready(now.rows),
            "frames": plain(lines, str),
        }

    @routes.get("/frames/{number}")
    def frame(number: FrameId) -> dict[str, Any]:
        with one_at_a_time:
            try:
                return up_to_date().frame(context, number)
            except KeyError:
                raise no_frame(number) from None

    @routes.post("/frames/accept")
    def accept_all(
        wanted: Wanted, count: Annotated[int, Query(ge=1, le=MOST_TOGETHER)]
    ) -> dict[str, int]:
        """Accept the proposals of all frames that pass a filter and that nobody has worked on.

        ``count`` is how many the page has said that there are: with others, nothing is done.
        """
        with one_at_a_time:
            numbers = up_to_date().acceptable(wanted)
        if len(numbers) != count:
            raise HTTPException(
                409, f"there are {len(numbers)} such frames by now, not {count}: look again."
            )
        proposals = [_as_proposed(context, number) for number in numbers]
        return {
            "accepted": context.decisions.save_together(context.reviewer, "accepted", proposals)
        }

    @routes.get("/frames/{number}/history")
    def history(number: FrameId) -> list[dict[str, Any]]:
        sha256 = context.result(number).sha256
        return [decision_json(each) for each in context.decisions.history(number, sha256)]


def _as_proposed(context: ReviewContext, number: int) -> tuple[Judged, Work]:
    """A frame, and the work of accepting its proposal unseen, which a tag says."""
    result = context.result(number)
    work = DraftBody.model_validate(
        {
            "camera": None if result.solved is None else camera_json(result.solved.camera),
            "points": points_json(result, origin="engine"),
            "hypothesis": result.hypotheses[0].rank if result.hypotheses else None,
            "comment": "",
            "tags": [UNSEEN],
            "quality": None,
            "place": None,
        }
    ).work()
    return judged_of(context, number), work


def judged_of(context: ReviewContext, number: int) -> Judged:
    """What a decision on a frame is about; 403 where nothing can be decided."""
    if context.readonly:
        raise HTTPException(403, "this review is for looking only: nothing can be decided.")
    result = context.result(number)
    sha256, proposal = state_of(result)
    return Judged(
        frame_index=number,
        sha256=sha256,
        verdict=result.verdict,
        probability=result.probability,
        proposal_sha256=proposal,
    )


def _bbox(text: str) -> tuple[float, float, float, float] | None:
    """West, south, east, north out of ``w,s,e,n``; None of an empty text."""
    if not text:
        return None
    edges = edges_of(text)
    if edges is None:
        raise HTTPException(422, "bbox is west,south,east,north in degrees, such as 130,30,146,46.")
    return edges


def edges_of(text: str) -> tuple[float, float, float, float] | None:
    """Four finite numbers out of ``west,south,east,north``, south not above north; else None."""
    try:
        west, south, east, north = (float(edge) for edge in text.split(","))
    except ValueError:
        return None
    if not all(map(math.isfinite, (west, south, east, north))) or south > north:
        return None
    return west, south, east, north


def _add_decisions(routes: APIRouter, context: ReviewContext) -> None:
    """Decisions and drafts are saved at once, or refused with a sentence."""
    decisions, reviewer = context.decisions, context.reviewer

    @routes.put("/frames/{number}/draft")
    def keep_draft(number: FrameId, draft: DraftBody) -> dict[str, str]:
        """Keep unfinished work: what a reload brings back."""
        about = judged_of(context, number)
        time_utc = decisions.keep_draft(number, about.sha256, reviewer, draft.work())
        return {"time_utc": time_utc}

    @routes.delete("/frames/{number}/draft", status_code=204, response_class=Response)
    def drop_draft(number: FrameId) -> None:
        """Forget unfinished work."""
        judged_of(context, number)
        decisions.drop_draft(number, reviewer)

    @routes.put("/frames/{number}/shown")
    def shown(number: FrameId, page: PageName) -> dict[str, Any]:
        """Note that a page shows a frame; who else has it before them, and what was decided."""
        result = context.result(number)
        if not context.readonly:
            decisions.show(page, number, reviewer)
        return {
            "others": decisions.shown_by(number, page),
            "decisions": [decision_json(head) for head in decisions.heads(number, result.sha256)],
        }

    @routes.put("/frames/{number}/decision")
    def decide(number: FrameId, body: DecisionBody) -> dict[str, Any]:
        """Add a decision; one that the page had not seen comes back as a conflict."""
        about = judged_of(context, number)
        saved, conflict = decisions.save(
            about, reviewer, body.decision, body.work(), base=body.base, seconds=body.seconds
        )
        heads = decisions.heads(number, about.sha256)
        return {
            "revision": saved.revision,
            "time_utc": saved.time_utc,
            "conflict": None if conflict is None else decision_json(conflict),
            "others": [decision_json(head) for head in heads if head.reviewer != reviewer],
        }
