"""Routes of the session, the queue, single frames, decisions and files of control points."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import Field

from detectors.constants import SEMI_MAJOR_M, SEMI_MINOR_M
from detectors.types import FloatArray
from matchers.geometry.earth import ecef_to_geodetic, geodetic_to_ecef, surface_to_lonlat, to_xyz
from matchers.geometry.pose import turn_along_track, with_attitude
from regengine.errors import ConfigError, EphemerisError
from regengine.io.html import escape_invisible
from regengine.io.plain import plain
from regengine.io.times import parse_iso_time
from regengine.orbit.propagation import track_positions
from regengine.orbit.tle import TleSet
from regengine.pages.review import bodies
from regengine.pages.review.context import ReviewContext
from regengine.pages.review.queue import Queue, QueueFilter, name_shown_by
from regengine.store.records import margin_of, prior_nadir, tell_record
from regengine.store.result import FrameResult, NadirInput, list_columns
from regengine.store.reviews import check_work

LonLat = tuple[float, float]
MAX_COUNT = 8
ABOUT_NADIR = [one.path for one in list_columns(NadirInput) if "page" in one.where]


def describe_frame(queue: Queue, context: ReviewContext, number: int) -> dict[str, Any]:
    """All data of one frame for the page; 404 if there is none of this number."""
    result = context.result(number)
    (line,) = queue.lines([number])
    nadir = prior_nadir(result)
    of_page = tell_record(replace(result, nadir=nadir), "page")
    image, of_nadir, fit = (of_page.pop(name) for name in ("image", "nadir", "fit"))
    said = line | of_page | image
    said |= {
        "nadir": of_nadir,
        "track": track(result.time_utc, context.tles),
        "horizon": [] if nadir is None else horizon(nadir.lon, nadir.lat, nadir.altitude_km),
        "camera": None if result.solved is None else bodies.camera_json(result.solved.camera),
        "points": bodies.points_json(result, origin="engine"),
        "hypotheses": [
            {
                "rank": one.rank,
                "camera": bodies.camera_json(one.solved.camera),
                "ncc": one.ncc,
                "log10_odds": one.log10_odds,
                "centre": None
                if one.centre_lon is None or one.centre_lat is None
                else [one.centre_lon, one.centre_lat],
                "place": name_shown_by(one.solved.camera),
            }
            for one in result.hypotheses
        ],
        "fit": fit,
        # Evidence for the position: lights, or patches of streets or daytime imagery, the
        # coarse scale first
        "reference": result.reference_kind,
        "proofs": [asdict(proof) for proof in result.proofs],
        "margin": margin_of(result),
        "photo": context.frames.photo(number) is not None,
    }
    heads = context.decisions.heads(number, result.sha256)
    draft, version = context.decisions.draft(number, result.sha256, context.reviewer)
    return plain(said, escape_invisible) | {
        "draft": draft and bodies.mend_work(draft, result)[0],
        "draft_version": version,
        "decisions": [bodies.decision_json(head, result) for head in heads],
    }


def list_neighbours(queue: Queue, here: FrameResult, number: int) -> list[dict[str, Any]]:
    """Queue entries in order of time, with ``seconds`` after the given frame."""
    when = parse_iso_time(here.time_utc or "")
    if when is None or not here.camera_body:
        return []
    # The station flies from above a place to its horizon in 300 s
    reach = timedelta(seconds=300.0)
    # Times sort as text
    first, last = (f"{at:%Y-%m-%dT%H:%M:%S}" for at in (when - reach, when + reach))
    near = queue.ask(
        "frame_index FROM frames WHERE time_utc >= :first AND time_utc < :last || char(0x10FFFF) "
        "AND camera_body = :body AND frame_index != :number ORDER BY by_time",
        first=first,
        last=last,
        body=here.camera_body,
        number=number,
    )
    found = [
        line | {"seconds": (at - when).total_seconds()}
        for line in queue.lines([other for (other,) in near])
        if (at := parse_iso_time(line["time_utc"])) is not None
    ]
    nearest = sorted(found, key=lambda line: abs(line["seconds"]))[:MAX_COUNT]
    return sorted(nearest, key=lambda line: line["seconds"])


def carry_neighbour(
    context: ReviewContext, number: int, here: FrameResult, seconds: float
) -> dict[str, Any] | None:
    """The camera of a neighbour, so many seconds after a frame, propagated to the frame's time.

    It is the camera that a person accepted, or else the engine's proposal unless rejected, moved
    along the orbit with constant attitude relative to the vertical, as a camera fixed to a window.
    The station's positions are those known independently of the photos; if they are unknown, the
    camera is not moved. None if there is none, or it is for another image size.
    """
    there = context.result(number)
    heads = context.decisions.heads(number, there.sha256)
    camera = there.solved.camera if there.solved and there.verdict in bodies.PLACED else None
    if heads:
        work, _ = bodies.mend_work(heads[0].work, there)
        is_accepted = heads[0].decision == "accepted" and work["camera"] is not None
        camera = bodies.CameraFields(**work["camera"]).camera() if is_accepted else None
    if camera is None or (there.width_px, there.height_px) != (here.width_px, here.height_px):
        return None
    if there.focal_mm and here.focal_mm:
        camera = replace(camera, focal_px=camera.focal_px * here.focal_mm / there.focal_mm)
    before, after = _station_m(there), _station_m(here)
    # A shorter distance of the station than 1 km does not determine the direction of flight
    if before is not None and after is not None and np.linalg.norm(after - before) >= 1000.0:
        flight = after - before if seconds < 0.0 else before - after
        turn = turn_along_track(before, after, flight)
        moved_m = to_xyz(turn @ np.asarray(camera.position_ecef_m))
        camera = with_attitude(replace(camera, position_ecef_m=moved_m), turn @ camera.matrix)
    return bodies.camera_json(camera)


def _station_m(result: FrameResult) -> FloatArray | None:
    nadir = result.nadir
    if nadir is None:
        return None
    return np.asarray(geodetic_to_ecef(nadir.lon, nadir.lat, 1e3 * nadir.altitude_km), float)


FrameId = Annotated[int, Path(ge=0, lt=2**63)]


def router(context: ReviewContext) -> APIRouter:
    """Routes of the session and of the frames."""
    routes = APIRouter(prefix="/api")
    _add_queue(routes, context)
    _add_decisions(routes, context)
    return routes


def _add_queue(routes: APIRouter, context: ReviewContext) -> None:
    now = Queue(context.frames, context.decisions, context.reviewer)
    one_at_a_time = context.frames.turn
    engine_version = version("regengine")  # reads a file

    @routes.get("/session")
    def session() -> dict[str, Any]:
        maps = {}
        for kind, one in context.maps.items():
            # The product, or the names of its files, and who made them
            name = one.info.product or ", ".join(path.name for path in one.info.paths)
            makers = ", ".join(dict.fromkeys(part.credit for part in one if part.credit))
            maps[kind] = {"name": escape_invisible(name), "attribution": escape_invisible(makers)}
        return {
            "store": escape_invisible(context.store.name),
            "frames": len(context.frames),
            "reviewer": context.reviewer,
            "readonly": context.readonly,
            "sheet": context.sheet,
            "version": engine_version,
            "orbits": context.tles is not None,
            "maps": maps,
            "layers": context.layers,
        }

    @routes.get("/facets")
    def facets_of_store() -> dict[str, Any]:
        with one_at_a_time:
            return now.update().facets()

    @routes.get("/queue")
    def queue(wanted: Annotated[QueueFilter, Query()]) -> dict[str, Any]:
        """A page of the frames that pass a filter, and the numbers of all that pass."""
        with one_at_a_time:
            return now.update().choose(wanted)

    @routes.get("/frames")
    def frames(wanted: Annotated[QueueFilter, Query()]) -> dict[str, Any]:
        """A page of the frames that pass a filter."""
        page = queue(wanted)
        del page["ids"]
        return page

    @routes.get("/frames/{number}")
    def frame(number: FrameId) -> dict[str, Any]:
        with one_at_a_time:
            return describe_frame(now.update(), context, number)

    @routes.get("/frames/{number}/neighbours")
    def near_in_time(number: FrameId) -> dict[str, Any]:
        """Frames of the same camera taken moments before or after.

        ``camera`` is theirs, propagated along the orbit to this frame's time.
        """
        here = context.result(number)
        with one_at_a_time:
            found = list_neighbours(now.update(), here, number)
        for line in found:
            line["camera"] = carry_neighbour(context, line["id"], here, line["seconds"])
        return {"neighbours": plain(found, str)}

    @routes.get("/frames/{number}/history")
    def history(number: FrameId) -> list[dict[str, Any]]:
        result = context.result(number)
        found = context.decisions.history(number, result.sha256)
        return [bodies.decision_json(each, result) for each in found]


def check_decidable(
    context: ReviewContext, number: int, work: bodies.DraftBody | None = None
) -> FrameResult:
    """The engine's result that a person decides on; 403 if nothing can be decided."""
    if context.readonly:
        raise HTTPException(403, "this review is for looking only: nothing can be decided.")
    result = context.result(number)
    if work is not None:
        camera = bodies.check_sent(result, work.camera, work.points, work.given)
    if isinstance(work, bodies.DecisionBody):
        # The camera of an unfinished draft may still look at the sky
        check_work((), camera, (result.width_px or 0, result.height_px or 0))
        if work.decision == "accepted":
            bodies.check_acceptance(result, work.camera, work.points)
    return result


OTHER_DRAFT = "another tab has newer unfinished work on this photo, which is kept: open it first."


class PointsBody(bodies.Body):
    """Control points, and the camera that they belong to."""

    points: Annotated[list[bodies.PointBody], Field(max_length=bodies.MAX_POINTS)]
    camera: bodies.CameraFields | None


def _add_decisions(routes: APIRouter, context: ReviewContext) -> None:
    """Add the routes of decisions, drafts and points, saved at once or refused with a message."""
    decisions, reviewer = context.decisions, context.reviewer

    @routes.put("/frames/{number}/draft")
    def keep_draft(number: FrameId, draft: bodies.DraftBody) -> dict[str, str]:
        """Save unfinished work, which a reload restores; 409 if it would replace another tab's."""
        about = check_decidable(context, number, draft)
        work = draft.work()
        time_utc = decisions.keep_draft(number, about.sha256, reviewer, work, draft.seen)
        if time_utc is None:
            raise HTTPException(409, OTHER_DRAFT)
        return {"time_utc": time_utc}

    @routes.delete("/frames/{number}/draft", status_code=204, response_class=Response)
    def drop_draft(
        number: FrameId, tab: bodies.Version | None = None, draft: bodies.Version | None = None
    ) -> None:
        """Discard unfinished work; 409 if it is another tab's."""
        check_decidable(context, number)
        if not decisions.drop_draft(number, reviewer, (tab, draft)):
            raise HTTPException(409, OTHER_DRAFT)

    @routes.post("/frames/{number}/acceptance")
    def acceptance(number: FrameId, body: PointsBody) -> dict[str, str | None]:
        """Why the frame cannot be accepted with this camera and these points; null if it can."""
        result = context.result(number)
        bodies.check_sent(result, body.camera, body.points)
        try:
            bodies.check_acceptance(result, body.camera, body.points)
        except ConfigError as refused:
            return {"refusal": str(refused)}
        return {"refusal": None}

    @routes.put("/frames/{number}/decision")
    def decide(number: FrameId, body: bodies.DecisionBody) -> dict[str, Any]:
        """Add a decision; returns a conflict if the page had not seen the latest one.

        ``draft_kept``: there is unfinished work that the page had not seen.
        """
        about = check_decidable(context, number, body)
        saved, conflict = decisions.save(
            number,
            about,
            reviewer,
            body.decision,
            body.work(),
            base=body.base,
            seconds=body.seconds,
            seen=body.seen,
        )
        heads = decisions.heads(number, about.sha256)
        return {
            "revision": saved.revision,
            "time_utc": saved.time_utc,
            "conflict": None if conflict is None else bodies.decision_json(conflict, about),
            "draft_kept": decisions.draft(number, about.sha256, reviewer)[0] is not None,
            "others": [
                bodies.decision_json(head, about) for head in heads if head.reviewer != reviewer
            ],
        }

    @routes.post("/frames/{number}/points")
    def points_file(number: FrameId, body: PointsBody) -> dict[str, str]:
        """A points file of QGIS's georeferencer: its name and its text."""
        from regengine.export.formats import photo_stem
        from regengine.export.formats.gcp_qgis import points_text
        from regengine.frames.frame import ExportFrame, ExportPoint, sigma_on_ground

        if not body.points:
            raise ConfigError("there is no point to write: add one first.")
        result = context.result(number)
        camera = bodies.check_sent(result, body.camera, body.points)
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


# Ground track and visible ground of a photo before registration

# The station moves from the horizon to the nadir in two minutes; clock errors rarely exceed ten
OFFSETS_S = np.arange(-600.0, 601.0, 20.0)


def track(time_utc: str | None, tles: TleSet | None) -> list[LonLat]:
    """Nadirs from ten minutes before a photo's time to ten minutes after; empty if unknown."""
    when = parse_iso_time(time_utc or "")
    if tles is None or when is None:
        return []
    with suppress(EphemerisError):  # too far from all epochs: the nadir is shown instead
        return track_at(tles, when)
    return []


def track_at(tles: TleSet, time_utc: datetime) -> list[LonLat]:
    """Nadirs from ten minutes before a time to ten minutes after, from the element sets.

    EphemerisError if they do not cover that time.
    """
    position_m = track_positions(tles.best_for(time_utc), time_utc, OFFSETS_S, 0.0)
    lon, lat, _ = ecef_to_geodetic(position_m)
    return _unbroken(lon.tolist(), lat.tolist())


def horizon(lon: float, lat: float, altitude_km: float) -> list[LonLat]:
    """Outline of the ground visible from above a nadir.

    Rays tangent to an ellipsoid touch it in a plane. Scaled to a unit sphere, with the eye at
    distance d, these are the points at the angle arccos(1 / d) from the eye's direction.
    """
    axes = np.array([SEMI_MAJOR_M, SEMI_MAJOR_M, SEMI_MINOR_M])
    eye = geodetic_to_ecef(lon, lat, 1000.0 * altitude_km) / axes
    distance = float(np.linalg.norm(eye))
    towards = eye / distance
    # Any two perpendicular directions; the pole is used unless it is close
    beside = np.cross(towards, [0.0, 0.0, 1.0] if abs(towards[2]) < 0.9 else [1.0, 0.0, 0.0])
    beside /= np.linalg.norm(beside)
    upright = np.cross(beside, towards)
    turn = np.linspace(0.0, 2.0 * np.pi, 72 + 1)[:, None]
    across = np.sqrt(1.0 - 1.0 / distance**2) * (np.cos(turn) * beside + np.sin(turn) * upright)
    ring_lon, ring_lat = surface_to_lonlat((towards / distance + across) * axes)
    return _unbroken(ring_lon.tolist(), ring_lat.tolist())


def _unbroken(lon: list[float], lat: list[float]) -> list[LonLat]:
    turned = np.unwrap(lon, period=360.0)
    return list(zip(turned.tolist(), lat, strict=True))
