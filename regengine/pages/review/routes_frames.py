"""Routes of the session, the queue, single frames, decisions and files of control points."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import timedelta
from importlib.metadata import version
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import Field

from detectors.types import FloatArray
from matchers.geometry.camera import Camera
from matchers.geometry.earth import geodetic_to_ecef
from matchers.geometry.pose import turn_along_track, with_attitude
from regengine.io.html import escape_invisible
from regengine.io.plain import plain
from regengine.io.times import parse_iso_time
from regengine.pages.review.bodies import (
    MAX_POINTS,
    PLACED,
    Body,
    CameraBody,
    DecisionBody,
    DraftBody,
    PointBody,
    camera_json,
    check_sent,
    decision_json,
)
from regengine.pages.review.context import ReviewContext, make_no_frame_error
from regengine.pages.review.queue import FramePlaces, Queue, QueueFilter, Standings
from regengine.store.result import FrameResult
from regengine.store.reviews import Judged, check_work, describe_judged_state

if TYPE_CHECKING:
    from regengine.maps.reference import LightMap


REACH_S = 300.0  # the station flies from above a place to its horizon in this time
MAX_COUNT = 8
MIN_WAY_M = 1000.0  # of the station: a shorter distance does not determine the direction of flight


def list_neighbours(queue: Queue, here: FrameResult, number: int) -> list[dict[str, Any]]:
    """Queue entries in order of time, with ``seconds`` after the given frame."""
    rows, when = queue.rows, parse_iso_time(here.time_utc or "")
    if when is None or not here.camera_body:
        return []
    reach = timedelta(seconds=REACH_S)
    # Times sort as text
    first, own, last = (
        f"{at:%Y-%m-%dT%H:%M:%S}".encode() for at in (when - reach, when, when + reach)
    )
    order = rows.by_time_known
    times = rows.time_utc[order]
    start, end = np.searchsorted(times, first), np.searchsorted(times, last + b"\xff", "right")
    near = order[start:end]
    near = near[rows.camera_body.are([here.camera_body])[near] & (rows.frame_index[near] != number)]
    middle = int(np.searchsorted(rows.time_utc[near], own))
    found = []
    for row in near[max(0, middle - MAX_COUNT) : middle + MAX_COUNT].tolist():
        at = parse_iso_time(rows.text("time_utc", row))
        if at is not None:
            found.append(((at - when).total_seconds(), row))
    nearest = sorted(found, key=lambda pair: abs(pair[0]))[:MAX_COUNT]
    return [queue.line(row) | {"seconds": seconds} for seconds, row in sorted(nearest)]


def carry_neighbour(
    context: ReviewContext, number: int, here: FrameResult, seconds: float
) -> dict[str, Any] | None:
    """The camera of a neighbour, so many seconds after a frame, propagated to the frame's time.

    It is the camera that a person accepted, or else the engine's proposal, moved along the orbit
    with constant attitude relative to the vertical, as a camera fixed to a window. The station's
    positions are those known independently of the photos; if they are unknown, the camera is not
    moved. None if there is none, or it is for another image size.
    """
    there = context.result(number)
    camera = _camera(context, number, there)
    if camera is None or (there.width_px, there.height_px) != (here.width_px, here.height_px):
        return None
    if there.focal_mm and here.focal_mm:
        camera = replace(camera, focal_px=camera.focal_px * here.focal_mm / there.focal_mm)
    before, after = _station_m(there), _station_m(here)
    if before is not None and after is not None and np.linalg.norm(after - before) >= MIN_WAY_M:
        flight = after - before if seconds < 0.0 else before - after
        turn = turn_along_track(before, after, flight)
        x, y, z = (turn @ np.asarray(camera.position_ecef_m)).tolist()
        moved = replace(camera, position_ecef_m=(x, y, z))
        camera = with_attitude(moved, turn @ camera.matrix)
    return camera_json(camera)


def _camera(context: ReviewContext, number: int, result: FrameResult) -> Camera | None:
    """The camera that a person accepted, or else the engine's proposal unless rejected."""
    heads = context.decisions.heads(number, result.sha256)
    if heads:
        work = heads[0].work
        accepted = heads[0].decision == "accepted" and work["camera"] is not None
        return CameraBody(**work["camera"]).camera() if accepted else None
    placed = result.verdict in PLACED and result.solved is not None
    return result.solved.camera if placed and result.solved is not None else None


def _station_m(result: FrameResult) -> FloatArray | None:
    nadir = result.nadir
    if nadir is None:
        return None
    return np.asarray(geodetic_to_ecef(nadir.lon, nadir.lat, 1e3 * nadir.altitude_km), float)


FrameId = Annotated[int, Path(ge=0, lt=2**63)]


def router(context: ReviewContext) -> APIRouter:
    """Routes of the session and of the frames."""
    routes = APIRouter(prefix="/api")
    _add_session(routes, context)
    _add_queue(routes, context)
    _add_decisions(routes, context)
    _add_points(routes, context)
    return routes


def _add_session(routes: APIRouter, context: ReviewContext) -> None:
    engine_version = version("regengine")  # reads a file

    @routes.get("/session")
    def session() -> dict[str, Any]:
        return {
            "store": escape_invisible(context.store.name),
            "frames": len(context.frames.rows),
            "reviewer": context.reviewer,
            "readonly": context.readonly,
            "version": engine_version,
            "orbits": context.tles is not None,
            "maps": {
                kind: {"name": _name(one), "attribution": _credits(one)}
                for kind, one in context.maps.items()
            },
            "layers": [asdict(layer) for layer in context.layers],
        }


def _credits(light_map: LightMap) -> str:
    """Credits of a map's files."""
    makers = dict.fromkeys(one.credit for one in light_map if one.credit)
    return escape_invisible(", ".join(makers))


def _name(light_map: LightMap) -> str:
    """Name of the product, or the names of its files."""
    info = light_map.info
    return escape_invisible(info.product or ", ".join(path.name for path in info.paths))


def _add_queue(routes: APIRouter, context: ReviewContext) -> None:
    standings = Standings(context.decisions, context.reviewer)
    places = FramePlaces(context.frames)
    one_at_a_time = Lock()  # the status belongs to the rows that were requested

    def up_to_date() -> Queue:
        context.frames.refresh()
        rows = context.frames.rows
        standings.update(rows)
        return Queue(rows=rows, standings=standings, places=places)

    @routes.get("/facets")
    def facets_of_store() -> dict[str, Any]:
        with one_at_a_time:
            return up_to_date().facets()

    def listed(wanted: QueueFilter) -> tuple[list[int], dict[str, Any]]:
        """Numbers of all frames that pass, in order, and the data of those on the page."""
        with one_at_a_time:
            now = up_to_date()
            passing = now.passing(wanted)
            chosen = now.chosen(wanted, passing)
            shown = chosen[wanted.offset : wanted.offset + wanted.limit].tolist()
            lines = [now.line(row) for row in shown]
        # Progress: of the frames that pass the filter, the number that are decided
        decided = int((passing & standings.decided).sum())
        return now.rows.frame_index[chosen].tolist(), {
            "total": len(chosen),
            "progress": {"all": int(passing.sum()), "decided": decided},
            "offset": wanted.offset,
            "named": True,
            "frames": plain(lines, str),
        }

    @routes.get("/frames")
    def frames(wanted: Annotated[QueueFilter, Query()]) -> dict[str, Any]:
        """A page of the frames that pass a filter."""
        return listed(wanted)[1]

    @routes.get("/queue")
    def queue(wanted: Annotated[QueueFilter, Query()]) -> dict[str, Any]:
        """A page of the frames that pass a filter, and the numbers of all that pass."""
        ids, told = listed(wanted)
        return told | {"ids": ids}

    @routes.get("/frames/{number}")
    def frame(number: FrameId) -> dict[str, Any]:
        with one_at_a_time:
            try:
                return up_to_date().frame(context, number)
            except KeyError:
                raise make_no_frame_error(number) from None

    @routes.get("/frames/{number}/neighbours")
    def near_in_time(number: FrameId) -> dict[str, Any]:
        """Frames of the same camera taken moments before or after.

        ``camera`` is theirs, propagated along the orbit to this frame's time.
        """
        here = context.result(number)
        with one_at_a_time:
            found = list_neighbours(up_to_date(), here, number)
        for line in found:
            line["camera"] = carry_neighbour(context, line["id"], here, line["seconds"])
        return {"neighbours": plain(found, str)}

    @routes.get("/frames/{number}/history")
    def history(number: FrameId) -> list[dict[str, Any]]:
        sha256 = context.result(number).sha256
        found = context.decisions.history(number, sha256)
        return [decision_json(each) for each in found]


def describe_judged(context: ReviewContext, number: int, work: DraftBody | None = None) -> Judged:
    """The subject of a decision on a frame; 403 if it cannot be decided."""
    if context.readonly:
        raise HTTPException(403, "this review is for looking only: nothing can be decided.")
    result = context.result(number)
    if work is not None:
        camera = check_sent(result, work.camera, work.points, work.given)
    if isinstance(work, DecisionBody):
        # The camera of an unfinished draft may still look at the sky
        check_work((), camera, (result.width_px or 0, result.height_px or 0))
        work.check(result)
    return describe_judged_state(number, result)


def _add_decisions(routes: APIRouter, context: ReviewContext) -> None:
    """Add the routes of decisions and drafts, which are saved at once or refused with a message."""
    decisions, reviewer = context.decisions, context.reviewer

    @routes.put("/frames/{number}/draft")
    def keep_draft(number: FrameId, draft: DraftBody) -> dict[str, str]:
        """Save unfinished work, which a reload restores."""
        about = describe_judged(context, number, draft)
        time_utc = decisions.keep_draft(number, about.sha256, reviewer, draft.work())
        return {"time_utc": time_utc}

    @routes.delete("/frames/{number}/draft", status_code=204, response_class=Response)
    def drop_draft(number: FrameId) -> None:
        """Discard unfinished work."""
        describe_judged(context, number)
        decisions.drop_draft(number, reviewer)

    @routes.put("/frames/{number}/decision")
    def decide(number: FrameId, body: DecisionBody) -> dict[str, Any]:
        """Add a decision; returns a conflict if the page had not seen the latest one."""
        about = describe_judged(context, number, body)
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


class PointsBody(Body):
    """Control points, and the camera that they belong to."""

    points: Annotated[list[PointBody], Field(min_length=1, max_length=MAX_POINTS)]
    camera: CameraBody | None


def _add_points(routes: APIRouter, context: ReviewContext) -> None:
    @routes.post("/frames/{number}/points")
    def points_file(number: FrameId, body: PointsBody) -> dict[str, str]:
        """A points file of QGIS's georeferencer: its name and its text."""
        from regengine.export.formats import photo_stem
        from regengine.export.formats.gcp_qgis import points_text
        from regengine.frames.frame import ExportFrame, ExportPoint, sigma_on_ground

        result = context.result(number)
        camera = check_sent(result, body.camera, body.points)
        frame = ExportFrame(
            stored=context.frames.frame(number),
            store=context.store,
            verdict=result.verdict,
            camera=camera,
            points=tuple(
                ExportPoint(
                    **vars(one.point()),
                    sigma_m=sigma_on_ground(camera, one.point()),
                    enabled=not one.off,
                )
                for one in body.points
            ),
        )
        return {"name": f"{photo_stem(result.path, number)}.points", "text": points_text(frame)}
